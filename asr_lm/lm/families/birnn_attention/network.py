"""Bidirectional recurrent encoder and attentive decoder: from what a recogniser heard to what was said.

Bahdanau, Cho, Bengio: Neural Machine Translation by Jointly Learning to Align and Translate (ICLR 2015;
arXiv 1409.0473), appendix A. The source ``x`` is what the recogniser wrote, the target ``y`` the transcript.
Biases are left out below, as they are there; ``∘`` is the product of elements, ``E`` the embedding.

Encoder (A.2.1): gated recurrent units read the source forwards and backwards, and the annotation of a source token is
both their states there, ``h_j = [→h_j ; ←h_j]``::

    z_j = σ(W_z E x_j + U_z →h_{j-1})    r_j = σ(W_r E x_j + U_r →h_{j-1})
    →h_j = (1 - z_j) ∘ →h_{j-1} + z_j ∘ tanh(W E x_j + r_j ∘ U →h_{j-1})

Alignment: how much each annotation matters to the next target token, and their sum, a context of its own for it::

    e_ij = vᵀ tanh(W_a s_{i-1} + U_a h_j)    α_ij = exp(e_ij) / Σ_k exp(e_ik)    c_i = Σ_j α_ij h_j

Decoder (A.2.2), which begins with ``s_0 = tanh(W_s ←h_1)``::

    z_i = σ(W_z E y_{i-1} + U_z s_{i-1} + C_z c_i)    r_i = σ(W_r E y_{i-1} + U_r s_{i-1} + C_r c_i)
    s_i = (1 - z_i) ∘ s_{i-1} + z_i ∘ tanh(W E y_{i-1} + U [r_i ∘ s_{i-1}] + C c_i)

Output, a layer of maxout units between state and softmax::

    t̃_i = U_o s_{i-1} + V_o E y_{i-1} + C_o c_i    t_i = [max(t̃_{i,2k-1}, t̃_{i,2k})]_k
    p(y_i | y_1 … y_{i-1}, x) ∝ exp(y_iᵀ W_o t_i)

Differences: the encoder is ``torch.nn.GRU``, which resets after the product with U, not before it (its ``z`` is the
``1 - z`` above); source and target share one embedding, as they are one language, and ``W_o`` can be that embedding,
too; dropout on embeddings, annotations and maxout units; weights begin uniform (Glorot), recurrent ones orthogonal.

Additions, each of which can be left out, because what was said is mostly what was heard, in the same order:

``copy``: the units before the softmax also get the attended embeddings, ``t_i = […]_k + W_c Σ_j α_ij E x_j``. As
``W_o`` is the embedding, this votes for the source tokens looked at, those that are rare in the training data included.
``W_c`` begins as a multiple of the identity.

``pointer`` (See, Liu, Manning: Get To The Point, ACL 2017, equation 9): a source token is copied from where the decoder
looks, with a probability that is learnt. So that it looks for the token after ``y_{i-1}``, the alignment reads that,
too. A separator between hypotheses is never copied (α below is without it)::

    e_ij = vᵀ tanh(W_a s_{i-1} + V_a E y_{i-1} + U_a h_j)    g_i = σ(wᵀ t̃'_i + b), where t̃'_i are the maxima of t̃_i
    p(y_i | …) = g_i p_softmax(y_i | …) + (1 - g_i) Σ_{j: x_j = y_i} α_ij

``location`` (Chorowski et al. 2015, section 2.1; the sum is the coverage of Tu et al. 2016): the alignment knows where
it was, one token further on, and what it has looked at so far, so ``e_ij`` also reads
``L_a [α_{i-1,j} ; α_{i-1,j-1} ; Σ_{k<i} α_kj]``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear, pad

from asr_lm.hypotheses.prefix_tree import PrefixTree
from asr_lm.lm.device import draw_orthogonal
from asr_lm.lm.dropout import Dropout
from asr_lm.lm.families.birnn_attention import BirnnAttentionConfig
from asr_lm.lm.neural import Network, NeuralModel, State, row_sums
from asr_lm.lm.protocol import LogProbs, Tokens
from asr_lm.lm.scoring.beam_search import beam_search
from asr_lm.lm.scoring.conditional import AttentiveModel, Written
from asr_lm.lm.scoring.continuations import every_continuation
from asr_lm.lm.training.batches import IGNORED, Batch
from asr_lm.lm.training.pairs import PairBatch, encode_sources, padded, source_hypotheses

_BLOCK_VALUES = 4_000_000
"""Values of the alignment model in memory at once while scoring."""

_COPY = 5.0
"""What ``W_c`` begins as, times the identity: a token fully attended to begins some five nats above the others."""

_LONGER = 10
"""Tokens by which a written sentence may be longer than the longest hypothesis heard: room for words written apart,
none for the endless repetitions that attention can fall into (one such text cost a point of word error rate)."""


@dataclass(frozen=True)
class Source:
    """Encoded sources.

    Attributes:
        annotations: h ``[sources, time, 2 · hidden]``, with the embeddings E x behind it where the network copies
            ``[sources, time, 2 · hidden + embedding]``; without meaning where there is padding.
        keys: U_a h ``[sources, time, attention]``: computed once for all target tokens.
        padding: where there is no token ``[sources, time]``.
        start: s_0 ``[sources, hidden]``.
        tokens: x ``[sources, time]``; 0 where there is padding.
    """

    annotations: Tensor
    keys: Tensor
    padding: Tensor
    start: Tensor
    tokens: Tensor

    def rows(self, index: Tensor) -> Source:
        """The sources of these numbers ``[n]``, repeated as often as they are named."""
        return Source(*(getattr(self, item.name)[index] for item in fields(self)))


class Encoder(nn.Module):
    """Bidirectional gated recurrent units; the annotations and the first state of the decoder."""

    def __init__(self, config: BirnnAttentionConfig) -> None:
        super().__init__()
        self.forwards = nn.GRU(config.embedding, config.hidden, batch_first=True)
        self.backwards = nn.GRU(config.embedding, config.hidden, batch_first=True)
        self.first_state = nn.Linear(config.hidden, config.hidden)
        for gru in (self.forwards, self.backwards):
            for name, parameter in gru.named_parameters():
                _initialise(parameter, recurrent=name.startswith("weight_hh"))

    def forward(self, embedded: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Annotations ``[batch, time, 2 · hidden]`` and s_0 ``[batch, hidden]`` of sources ``[batch, time, width]``."""
        # Reversed within its length, a source has its padding last in both directions, where no state has read it.
        time = torch.arange(embedded.shape[1], device=embedded.device)
        mirrored = torch.where(time < lengths[:, None], lengths[:, None] - 1 - time, time)[..., None]
        forwards, _ = self.forwards(embedded)
        backwards, _ = self.backwards(embedded.gather(1, mirrored.expand_as(embedded)))
        backwards = backwards.gather(1, mirrored.expand_as(backwards))
        # h_j = [→h_j ; ←h_j], and s_0 = tanh(W_s ←h_1)
        return torch.cat([forwards, backwards], dim=2), torch.tanh(self.first_state(backwards[:, 0]))


class Alignment(nn.Module):
    """The additive alignment model."""

    def __init__(self, config: BirnnAttentionConfig) -> None:
        super().__init__()
        self.state = nn.Linear(config.hidden, config.attention, bias=False)
        self.annotation = nn.Linear(2 * config.hidden, config.attention)
        self.token = nn.Linear(config.embedding, config.attention, bias=False) if config.pointer else None
        self.location = nn.Linear(3, config.attention, bias=False) if config.location else None
        bound = config.attention**-0.5
        self.energy = nn.Parameter(torch.empty(config.attention).uniform_(-bound, bound))

    def forward(self, source: Source, state: Tensor, embedded: Tensor, looked: Tensor) -> tuple[Tensor, Tensor]:
        """Where the decoder looks.

        Args:
            source: ``[batch, time, …]``.
            state: s_{i-1} ``[batch, hidden]``.
            embedded: E y_{i-1} ``[batch, embedding]``.
            looked: where it looked so far (:meth:`looked_at`).

        Returns:
            Contexts c_i ``[batch, …]``, as wide as annotations, and alignments α_i ``[batch, time]``.
        """
        asked = self.state(state)  # W_a s_{i-1}
        if self.token is not None:
            asked = asked + self.token(embedded)  # V_a E y_{i-1}
        keys = source.keys + asked[:, None]
        if self.location is not None:
            last, sums = looked.chunk(2, dim=1)
            keys = keys + self.location(torch.stack([last, pad(last[:, :-1], (1, 0)), sums], dim=2))
        energies = torch.tanh(keys) @ self.energy  # e_ij = vᵀ tanh(W_a s_{i-1} + … + U_a h_j)
        weights = energies.masked_fill(source.padding, -torch.inf).softmax(dim=1)  # α_ij
        return torch.bmm(weights[:, None], source.annotations)[:, 0], weights  # c_i = Σ_j α_ij h_j

    def looked_nowhere(self, source: Source) -> Tensor:
        """What :meth:`looked_at` begins with: zeros."""
        batch, time = source.tokens.shape
        return source.start.new_zeros(batch, 0 if self.location is None else 2 * time)

    def looked_at(self, looked: Tensor, weights: Tensor) -> Tensor:
        """The last alignment and the sum of all ``[batch, 2 · time]``; nothing ``[batch, 0]`` without ``location``."""
        if self.location is None:
            return looked
        return torch.cat([weights, looked[:, weights.shape[1] :] + weights], dim=1).to(looked.dtype)


class DecoderCell(nn.Module):
    """The gated unit of the decoder, which reads the last token, its own state and a context."""

    stacked: ClassVar = {"token": 3, "context": 3, "gates": 2}
    """How many matrices the weight of a layer holds (:func:`~asr_lm.lm.training.muon.hidden_matrices`)."""

    def __init__(self, config: BirnnAttentionConfig) -> None:
        super().__init__()
        hidden = config.hidden
        self.token = nn.Linear(config.embedding, 3 * hidden)
        self.context = nn.Linear(2 * hidden, 3 * hidden, bias=False)
        self.gates = nn.Linear(hidden, 2 * hidden, bias=False)
        self.proposal = nn.Linear(hidden, hidden, bias=False)
        for matrix in (self.gates.weight, self.proposal.weight):
            _initialise(matrix, recurrent=True)

    def forward(self, inputs: Tensor, state: Tensor, context: Tensor) -> Tensor:
        """s_i ``[batch, hidden]`` from ``inputs``, what :attr:`token` makes of E y_{i-1}, s_{i-1} and c_i."""
        hidden = state.shape[1]
        read = inputs + self.context(context[:, : 2 * hidden])
        update_reset, proposed = read.split([2 * hidden, hidden], dim=1)
        update, reset = torch.sigmoid(update_reset + self.gates(state)).chunk(2, dim=1)  # z_i and r_i
        proposal = torch.tanh(proposed + self.proposal(reset * state))  # tanh(W E y_{i-1} + U [r_i ∘ s_{i-1}] + C c_i)
        return torch.lerp(state, proposal, update)  # s_i = (1 - z_i) ∘ s_{i-1} + z_i ∘ tanh(…)


class MaxoutOutput(nn.Module):
    """Maxout units and the softmax over the vocabulary.

    Args:
        config: sizes.
        tied: the embedding whose first rows serve as W_o, or None.
    """

    def __init__(self, config: BirnnAttentionConfig, tied: nn.Embedding | None) -> None:
        super().__init__()
        self.state = nn.Linear(config.hidden, 2 * config.maxout)
        self.token = nn.Linear(config.embedding, 2 * config.maxout, bias=False)
        self.context = nn.Linear(2 * config.hidden, 2 * config.maxout, bias=False)
        self.copy = nn.Linear(config.embedding, config.maxout, bias=False) if config.copy else None
        if self.copy is not None and not self.copy.weight.is_meta:
            nn.init.eye_(self.copy.weight).data.mul_(_COPY)
        self.dropout = Dropout(config.dropout)
        self.bias = nn.Parameter(torch.zeros(config.vocabulary_size))
        self.weight: Tensor
        if tied is None:
            self.weight = nn.Parameter(torch.empty(config.vocabulary_size, config.maxout).uniform_(-0.05, 0.05))
        else:
            self.weight = tied.weight

    def forward(self, state: Tensor, embedded: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``[…, vocabulary]`` from s_{i-1}, E y_{i-1} and c_i, and the maxima of t̃_i ``[…, maxout]``."""
        annotation, attended = context.tensor_split([self.context.in_features], dim=-1)
        units = self.state(state) + self.token(embedded) + self.context(annotation)  # t̃_i
        maxima = self.dropout(units.unflatten(-1, (-1, 2)).amax(dim=-1))
        chosen = maxima if self.copy is None else maxima + self.copy(attended)  # t_i, with W_c Σ_j α_ij E x_j
        return linear(chosen, self.weight[: len(self.bias)], self.bias), maxima  # y_iᵀ W_o t_i


class Pointer(nn.Module):
    """The choice between the softmax and a token of the source."""

    def __init__(self, config: BirnnAttentionConfig) -> None:
        super().__init__()
        self.gate = nn.Linear(config.maxout, 1)

    def forward(self, logits: Tensor, maxima: Tensor, weights: Tensor, tokens: Tensor) -> Tensor:
        """Log-probabilities ``[batch, time, vocabulary]``.

        Args:
            logits: of the softmax ``[batch, time, vocabulary]``.
            maxima: of t̃_i ``[batch, time, maxout]``.
            weights: α ``[batch, time, source time]``.
            tokens: x ``[batch, source time]``; ids past the vocabulary are not copied.
        """
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        vocabulary = logits.shape[-1]
        generated = torch.sigmoid(self.gate(maxima)).to(logits.dtype)  # g_i
        # The end of a source is no separator, so something is left.
        copied = weights.to(logits.dtype).masked_fill((tokens >= vocabulary)[:, None], 0)
        copied = copied / copied.sum(-1, keepdim=True).clamp_min(torch.finfo(logits.dtype).tiny)
        index = tokens.clamp(max=vocabulary - 1)[:, None].expand_as(copied)
        mixed = (generated * logits.softmax(-1)).scatter_add(-1, index, (1 - generated) * copied)
        return mixed.clamp_min(torch.finfo(logits.dtype).tiny).log()


class BirnnAttentionNetwork(Network):
    """The network. Its embedding has one row more than the vocabulary: :attr:`separator`, which only sources have."""

    def __init__(self, config: BirnnAttentionConfig) -> None:
        super().__init__()
        self.config: BirnnAttentionConfig = config
        self.embedding = nn.Embedding(config.vocabulary_size + 1, config.embedding)
        nn.init.normal_(self.embedding.weight, std=config.embedding**-0.5)
        self.encoder = Encoder(config)
        self.alignment = Alignment(config)
        self.decoder = DecoderCell(config)
        self.output = MaxoutOutput(config, self.embedding if config.tied else None)
        self.pointer = Pointer(config) if config.pointer else None
        self.dropout = Dropout(config.dropout)

    @property
    def separator(self) -> int:
        """Id of the token between the hypotheses of a source."""
        return self.config.vocabulary_size

    def encode(self, source: Tensor) -> Source:
        """Read sources ``[batch, time]``, padded with ``IGNORED``, none of them empty."""
        padding = source == IGNORED
        embedded = self.dropout(self.embedding(source.clamp(min=0)))
        annotations, start = self.encoder(embedded, (~padding).sum(1))
        annotations = self.dropout(annotations)
        keys = self.alignment.annotation(annotations)  # U_a h_j
        if self.config.copy:
            annotations = torch.cat([annotations, embedded], dim=2)
        return Source(annotations, keys, padding, start, source.clamp(min=0))

    def first_state(self, source: Source) -> Tensor:
        """What :meth:`step` begins with: s_0, and behind it where the decoder looked: nowhere ``[batch, …]``."""
        return torch.cat([source.start, self.alignment.looked_nowhere(source)], dim=1)

    def step(self, source: Source, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Read one token more.

        Args:
            source: of each row ``[batch, …]``.
            tokens: y_{i-1} ``[batch]``.
            state: s_{i-1}, and behind it where the decoder looked.

        Returns:
            Log-probabilities of the next token ``[batch, vocabulary]`` and the next state.
        """
        own, looked = state.tensor_split([self.config.hidden], dim=1)
        embedded = self.embedding(tokens)
        context, weights = self.alignment(source, own, embedded, looked)
        logits = self._logits(own[:, None], embedded[:, None], context[:, None], weights[:, None], source.tokens)[:, 0]
        advanced = self.decoder(self.decoder.token(embedded), own, context)
        after = torch.cat([advanced, self.alignment.looked_at(looked, weights)], dim=1)
        return logits.float().log_softmax(dim=-1), after

    def _logits(self, states: Tensor, embedded: Tensor, contexts: Tensor, weights: Tensor, tokens: Tensor) -> Tensor:
        """Logits ``[batch, time, vocabulary]``; log-probabilities already where the network points."""
        logits, maxima = self.output(states, embedded, contexts)
        if self.pointer is not None:
            logits = self.pointer(logits, maxima, weights, tokens)
        result: Tensor = logits
        return result

    def forward(self, source: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Read a source and a target.

        Args:
            source: token ids ``[batch, source time]``, padded with :data:`~asr_lm.lm.training.batches.IGNORED`.
            inputs: the target's token ids ``[batch, time]``, the first being ``<s>``.

        Returns:
            Logits of the next token ``[batch, time, vocabulary]`` and alignments ``[batch, time, source time]``.
        """
        encoded = self.encode(source)
        embedded = self.dropout(self.embedding(inputs))
        state, looked = encoded.start, self.alignment.looked_nowhere(encoded)
        states, contexts, alignments = [], [], []
        for last, read in zip(embedded.unbind(dim=1), self.decoder.token(embedded).unbind(dim=1), strict=True):
            context, weights = self.alignment(encoded, state, last, looked)
            looked = self.alignment.looked_at(looked, weights)
            states.append(state)
            contexts.append(context)
            alignments.append(weights)
            state = self.decoder(read, state, context)
        weights = torch.stack(alignments, dim=1)
        logits = self._logits(
            torch.stack(states, dim=1), embedded, torch.stack(contexts, dim=1), weights, encoded.tokens
        )
        return logits, weights

    def loss(self, batch: Batch, state: State | None = None) -> tuple[Tensor, State | None]:
        assert isinstance(batch, PairBatch)
        logits, _ = self(batch.source, batch.inputs)
        kept = batch.targets != IGNORED
        smoothing = self.config.label_smoothing if self.training else 0.0
        loss = cross_entropy(logits[kept].float(), batch.targets[kept], reduction="sum", label_smoothing=smoothing)
        return loss, None

    def row_log_probs(self, batch: Batch) -> Tensor:
        """Of each target, given its source."""
        assert isinstance(batch, PairBatch)
        logits, _ = self(batch.source, batch.inputs)
        kept = batch.targets != IGNORED
        logits = logits[kept].to(torch.promote_types(logits.dtype, torch.float32))
        return -row_sums(cross_entropy(logits, batch.targets[kept], reduction="none"), kept)


def _initialise(parameter: Tensor, recurrent: bool) -> None:
    """Orthogonal squares for recurrent weights, Glorot's for others, zero for biases."""
    if parameter.dim() < 2:
        nn.init.zeros_(parameter)
    elif recurrent:
        for square in parameter.data.split(parameter.shape[1]):
            draw_orthogonal(square)
    else:
        nn.init.xavier_uniform_(parameter)


class BirnnAttentionModel(NeuralModel, AttentiveModel):
    """The network with its vocabulary."""

    network: BirnnAttentionNetwork

    default_budget = 40_000
    """Tokens of sources and hypotheses in memory at once."""

    def sources(self, heard: Sequence[Sequence[str]]) -> list[Tokens]:
        return encode_sources(heard, self.vocabulary, self.network.config.heard)

    def source_hypotheses(self, heard: Sequence[str]) -> list[str]:
        return source_hypotheses(heard, self.network.config.heard)

    @torch.inference_mode()
    def token_log_probs_given(
        self, sources: Sequence[Tokens], sentences: Sequence[Sequence[Tokens]], budget: int | None = None
    ) -> list[list[LogProbs]]:
        self.network.eval()
        results: list[list[LogProbs]] = [[] for _ in sources]
        sizes = [sum(len(sentence) + 1 for sentence in some) for some in sentences]
        for group in _groups([len(source) for source in sources], sizes, budget or self.default_budget):
            scored = self._score([sources[index] for index in group], [sentences[index] for index in group])
            for index, values in zip(group, scored, strict=True):
                results[index] = values
        return results

    def _score(self, sources: Sequence[Tokens], sentences: Sequence[Sequence[Tokens]]) -> list[list[LogProbs]]:
        """One prefix tree for all sources: its first level is the number of the source."""
        paths = [
            np.append(np.int32(number), target)
            for number, some in enumerate(sentences)
            for target in self.vocabulary.targets(some)
        ]
        tree = PrefixTree.build(paths, self.vocabulary.bos_id)
        values = tree.along_paths(self._node_log_probs(tree, self._encode(sources)))
        ends = np.cumsum([len(some) for some in sentences]).tolist()
        return [[value[1:] for value in values[begin:end]] for begin, end in zip([0, *ends[:-1]], ends, strict=True)]

    @torch.inference_mode()
    def next_log_probs_given(self, source: Tokens, prefixes: Sequence[Tokens]) -> LogProbs:
        self.network.eval()
        size = self.vocabulary.size
        # The first level of a tree is the number of the source.
        paths = [np.append(np.int32(0), prefix).astype(np.int32) for prefix in prefixes]
        tree, first = every_continuation(paths, self.vocabulary.bos_id, size)
        following: LogProbs = self._node_log_probs(tree, self._encode([source]))[first[:, None] + np.arange(size)]
        return following

    def _encode(self, sources: Sequence[Tokens]) -> Source:
        return self.network.encode(padded(sources, IGNORED).to(self.network.device))

    def _node_log_probs(self, tree: PrefixTree, encoded: Source) -> LogProbs:
        """Log p(token | ancestors, source) of every node ``[nodes]``; 0 for the root and the first level."""
        values = np.zeros(len(tree.token))
        owner = np.zeros(len(tree.token), dtype=np.int64)
        first = slice(int(tree.levels[1]), int(tree.levels[2]))
        owner[first] = tree.token[first]
        state = self.network.first_state(encoded)
        for level in range(1, tree.depth):
            inner = tree.inner_nodes(level)
            begin, end = int(tree.levels[level + 1]), int(tree.levels[level + 2])
            row = np.searchsorted(inner, tree.parent[begin:end])
            read = tree.token[inner] if level > 1 else np.full(len(inner), self.vocabulary.bos_id)
            owner[begin:end] = owner[inner][row]
            found, state = self._step(encoded, owner[inner], read, state, row, tree.token[begin:end])
            values[begin:end] = found
            # The state after a node does not depend on which child follows, so the children share it.
            kept = torch.from_numpy(row[tree.inner_nodes(level + 1) - begin])
            state = state[kept.to(state.device)]
        return values

    def _step(
        self,
        encoded: Source,
        owner: NDArray[np.integer],
        read: NDArray[np.integer],
        state: Tensor,
        row: NDArray[np.int64],
        tokens: NDArray[np.integer],
    ) -> tuple[LogProbs, Tensor]:
        """Log-probabilities of ``tokens`` in the states ``row`` once these have read ``read``, and the new states."""
        size = max(1, _BLOCK_VALUES // encoded.keys[0].numel())
        values, states = [], []
        for begin in range(0, len(owner), size):
            end = begin + size
            part = encoded.rows(self._ids(owner[begin:end]))
            ids = self._ids(read[begin:end])
            log_probs, advanced = self.network.step(part, ids, state[begin:end])
            states.append(advanced)
            asked = slice(*np.searchsorted(row, [begin, end]))
            values.append(log_probs[self._ids(row[asked] - begin), self._ids(tokens[asked])].double().cpu().numpy())
        return np.concatenate(values), torch.cat(states)

    def _ids(self, values: NDArray[np.integer]) -> Tensor:
        return torch.from_numpy(values.astype(np.int64)).to(self.network.device)

    @torch.inference_mode()
    def write(self, sources: Sequence[Tokens], *, width: int, best: int = 1) -> list[list[Written]]:
        self.network.eval()
        results: list[list[Written]] = [[] for _ in sources]
        lengths = [len(source) for source in sources]
        for group in _groups(lengths, [length * width for length in lengths], self.default_budget):
            encoded = self._encode([sources[index] for index in group])
            found = beam_search(
                _SourceWriter(self.network, encoded),
                self.network.first_state(encoded),
                [self._longest_heard(sources[index]) + _LONGER for index in group],
                bos=self.vocabulary.bos_id,
                eos=self.vocabulary.eos_id,
                width=width,
                best=best,
                forbidden=[self.vocabulary.unk_id, self.vocabulary.bos_id],
            )
            for index, written in zip(group, found, strict=True):
                results[index] = written
        return results

    def _longest_heard(self, source: Tokens) -> int:
        """Tokens of the longest hypothesis of a source."""
        ends = np.flatnonzero((source == self.network.separator) | (np.arange(len(source)) == len(source) - 1))
        return int((np.diff(ends, prepend=-1) - 1).max())

    @torch.inference_mode()
    def alignments(self, source: Tokens, sentence: Tokens) -> NDArray[np.float64]:
        self.network.eval()
        inputs, _ = self.vocabulary.frame(sentence)
        _, weights = self.network(self._ids(source)[None], self._ids(inputs)[None])
        return weights[0].double().cpu().numpy()


class _SourceWriter:
    """The decoder as beam search knows it."""

    def __init__(self, network: BirnnAttentionNetwork, encoded: Source) -> None:
        self._network = network
        self._encoded = encoded

    def step(self, owner: Tensor, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        return self._network.step(self._encoded.rows(owner), tokens, state)


def _groups(lengths: Sequence[int], sizes: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Groups of sources of like length, whose padded lengths and ``sizes`` together are at most ``budget``.

    A source that is larger alone makes a group of its own.
    """
    group: list[int] = []
    total = 0
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if group and (len(group) + 1) * lengths[index] + total + sizes[index] > budget:
            yield group
            group, total = [], 0
        group.append(index)
        total += sizes[index]
    if group:
        yield group
