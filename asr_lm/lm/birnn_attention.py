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
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from asr_lm.lm.batches import IGNORED, Batch
from asr_lm.lm.neural import Network, State
from asr_lm.lm.pairs import PairBatch
from asr_lm.lm.sizes import BirnnAttentionConfig


@dataclass(frozen=True)
class Source:
    """Encoded sources.

    Attributes:
        annotations: h ``[sources, time, 2 · hidden]``, zero where there is padding.
        keys: U_a h ``[sources, time, attention]``: computed once for all target tokens.
        padding: where there is no token ``[sources, time]``.
        start: s_0 ``[sources, hidden]``.
    """

    annotations: Tensor
    keys: Tensor
    padding: Tensor
    start: Tensor

    def rows(self, index: Tensor) -> Source:
        """The sources of these numbers ``[n]``, repeated as often as they are named."""
        return Source(self.annotations[index], self.keys[index], self.padding[index], self.start[index])


class Encoder(nn.Module):
    """Bidirectional gated recurrent units; the annotations and the first state of the decoder."""

    def __init__(self, config: BirnnAttentionConfig) -> None:
        super().__init__()
        self.gru = nn.GRU(config.embedding, config.hidden, batch_first=True, bidirectional=True)
        self.first_state = nn.Linear(config.hidden, config.hidden)
        for name, parameter in self.gru.named_parameters():
            _initialise(parameter, recurrent=name.startswith("weight_hh"))

    def forward(self, embedded: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Annotations ``[batch, time, 2 · hidden]`` and s_0 ``[batch, hidden]`` of sources ``[batch, time, width]``."""
        packed = pack_padded_sequence(embedded, lengths.cpu(), batch_first=True, enforce_sorted=False)
        annotations, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=embedded.shape[1])
        backward = annotations[:, 0, self.gru.hidden_size :]
        return annotations, torch.tanh(self.first_state(backward))


class Alignment(nn.Module):
    """The additive alignment model."""

    def __init__(self, config: BirnnAttentionConfig) -> None:
        super().__init__()
        self.state = nn.Linear(config.hidden, config.attention, bias=False)
        self.annotation = nn.Linear(2 * config.hidden, config.attention)
        self.energy = nn.Parameter(torch.empty(config.attention).uniform_(-1, 1) / config.attention**0.5)

    def forward(self, source: Source, state: Tensor) -> tuple[Tensor, Tensor]:
        """Contexts c_i ``[batch, 2 · hidden]`` and alignments α_i ``[batch, time]`` for states s_{i-1}."""
        energies = torch.tanh(source.keys + self.state(state)[:, None]) @ self.energy
        weights = energies.masked_fill(source.padding, -torch.inf).softmax(dim=1)
        return torch.bmm(weights[:, None], source.annotations)[:, 0], weights


class DecoderCell(nn.Module):
    """The gated unit of the decoder, which reads the last token, its own state and a context."""

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
        update_reset, proposed = (inputs + self.context(context)).split([2 * hidden, hidden], dim=1)
        update, reset = torch.sigmoid(update_reset + self.gates(state)).chunk(2, dim=1)
        proposal = torch.tanh(proposed + self.proposal(reset * state))
        return torch.lerp(state, proposal, update)


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
        self.dropout = nn.Dropout(config.dropout)
        self.bias = nn.Parameter(torch.zeros(config.vocabulary_size))
        if tied is None:
            self.weight = nn.Parameter(torch.empty(config.vocabulary_size, config.maxout).uniform_(-0.05, 0.05))
        else:
            self.weight = tied.weight

    def forward(self, state: Tensor, embedded: Tensor, context: Tensor) -> Tensor:
        """Logits ``[…, vocabulary]`` from s_{i-1}, E y_{i-1} and c_i."""
        units = self.state(state) + self.token(embedded) + self.context(context)
        maxima = units.unflatten(-1, (-1, 2)).amax(dim=-1)
        return linear(self.dropout(maxima), self.weight[: len(self.bias)], self.bias)


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
        self.dropout = nn.Dropout(config.dropout)

    @property
    def separator(self) -> int:
        """Id of the token between the hypotheses of a source."""
        return self.config.vocabulary_size

    def encode(self, source: Tensor) -> Source:
        """Read sources ``[batch, time]``, padded with :data:`~asr_lm.lm.batches.IGNORED`, none of them empty."""
        padding = source == IGNORED
        embedded = self.dropout(self.embedding(source.clamp(min=0)))
        annotations, start = self.encoder(embedded, (~padding).sum(1))
        annotations = self.dropout(annotations)
        return Source(annotations, self.alignment.annotation(annotations), padding, start)

    def advance(self, tokens: Tensor, state: Tensor, context: Tensor) -> Tensor:
        """s_i after reading ``tokens [batch]``."""
        advanced: Tensor = self.decoder(self.decoder.token(self.embedding(tokens)), state, context)
        return advanced

    def predict(self, tokens: Tensor, state: Tensor, context: Tensor) -> Tensor:
        """Log-probabilities ``[batch, vocabulary]`` of the token after ``tokens [batch]``."""
        logits: Tensor = self.output(state, self.embedding(tokens), context)
        return logits.float().log_softmax(dim=-1)

    def forward(self, source: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Read a source and a target.

        Args:
            source: token ids ``[batch, source time]``, padded with :data:`~asr_lm.lm.batches.IGNORED`.
            inputs: the target's token ids ``[batch, time]``, the first being ``<s>``.

        Returns:
            Logits of the next token ``[batch, time, vocabulary]`` and alignments ``[batch, time, source time]``.
        """
        encoded = self.encode(source)
        embedded = self.dropout(self.embedding(inputs))
        state, states, contexts, alignments = encoded.start, [], [], []
        for read in self.decoder.token(embedded).unbind(dim=1):
            context, weights = self.alignment(encoded, state)
            states.append(state)
            contexts.append(context)
            alignments.append(weights)
            state = self.decoder(read, state, context)
        logits = self.output(torch.stack(states, dim=1), embedded, torch.stack(contexts, dim=1))
        return logits, torch.stack(alignments, dim=1)

    def loss(self, batch: Batch, state: State | None = None) -> tuple[Tensor, State | None]:
        assert isinstance(batch, PairBatch)
        logits, _ = self(batch.source, batch.inputs)
        kept = batch.targets != IGNORED
        smoothing = self.config.label_smoothing if self.training else 0.0
        loss = cross_entropy(logits[kept].float(), batch.targets[kept], reduction="sum", label_smoothing=smoothing)
        return loss, None


def _initialise(parameter: Tensor, recurrent: bool) -> None:
    """Orthogonal squares for recurrent weights, Glorot's for others, zero for biases."""
    if parameter.dim() < 2:
        nn.init.zeros_(parameter)
    elif recurrent:
        for square in parameter.data.split(parameter.shape[1]):
            nn.init.orthogonal_(square)
    else:
        nn.init.xavier_uniform_(parameter)
