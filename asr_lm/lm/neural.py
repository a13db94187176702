"""Neural language models: a network, its vocabulary, and the folder that holds both."""

from __future__ import annotations

import hashlib
import itertools
import platform
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from asr_lm import __version__
from asr_lm.errors import InputError
from asr_lm.hypotheses.prefix_tree import PrefixTree, split_by_nodes
from asr_lm.lm.folder import begin, write_config
from asr_lm.lm.output.layer import OutputLayer, even_block
from asr_lm.lm.precision import IN_BFLOAT16, SHARD_WORK, Precision, PrecisionChoice, resolve_precision
from asr_lm.lm.protocol import CausalModel, LogProbs, Ranker, Reader, Tokens
from asr_lm.lm.scoring.dynamic_evaluation import DynamicReader
from asr_lm.lm.scoring.growing_tree import GrowingTree
from asr_lm.lm.scoring.learning import Learning
from asr_lm.lm.scoring.matrix_product import products_in
from asr_lm.lm.scoring.recurrent_tree import RecurrentTree
from asr_lm.lm.sizes import NetworkConfig
from asr_lm.lm.training.batches import IGNORED, Batch
from asr_lm.lm.weights_file import WEIGHTS_FILE, write_weights
from asr_lm.text.vocabulary import Vocabulary

_TOGETHER = 256
"""States whose output is computed together, of as many levels of a tree as it takes."""

_BLOCK_STATES = 1024
"""States that are advanced at once on a CPU."""

_LARGE = 20_000_000
"""Parameters of a network whose scoring takes long."""

TrainingContext = Literal["sentence", "stream"]
"""Whether a network was trained on single sentences, or on texts read in order."""

State = tuple[Tensor, ...]
"""What a network remembers; the batch is axis 1 of every tensor (axis 0 counts the layers)."""


class Network(nn.Module):
    """A network that the training loop can train.

    Attributes:
        config: its sizes; written to ``config.json``.
        pseudo: whether the loss is a pseudo-log-likelihood (:attr:`~asr_lm.lm.protocol.LanguageModel.pseudo`).
        counts_errors: whether the loss is a number of errors, which has no perplexity.
    """

    config: NetworkConfig
    pseudo: bool = False
    counts_errors: ClassVar[bool] = False

    @abstractmethod
    def loss(self, batch: Batch, state: State | None = None) -> tuple[Tensor, State | None]:
        """Summed loss of a batch that lies on the network's device, in nats.

        Args:
            batch: what to learn; its :attr:`~asr_lm.lm.training.batches.Batch.units` are what the sum runs over.
            state: what the network remembers from before, or None at a beginning.

        Returns:
            The loss, and the new state (None for networks without memory).
        """

    @abstractmethod
    def row_log_probs(self, batch: Batch) -> Tensor:
        """Log-probability (or pseudo-log-likelihood) of each row of a batch ``[batch]``, with its gradient (nats)."""

    def prepare(self, counts: Tensor) -> None:
        """Told before the training how often each token occurs in its text ``[vocabulary]``."""

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next(self.parameters()).device


class CausalNetwork(Network):
    """A network that predicts every token from those before it, so that a prefix tree can be scored.

    Attributes:
        output: its output layer.
        has_state: whether what it remembers is a state that :meth:`forward` takes and gives back.
    """

    output: OutputLayer
    has_state: ClassVar[bool] = False

    @abstractmethod
    def forward(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State | None]:
        """Hidden vectors that predict the next token.

        Args:
            inputs: token ids ``[batch, time]``, the first of a sentence being ``<s>``.
            state: what the network remembers from before, or None at a beginning.

        Returns:
            hidden ``[batch, time, width]`` and the new state (None for networks without memory).
        """

    @abstractmethod
    def node_log_probs(self, tree: PrefixTree) -> Tensor:
        """Log p(token | ancestors) ``[nodes]`` of a prefix tree, float32; 0 for the root."""

    def growing_tree(self, bos_id: int) -> GrowingTree | None:
        """An empty tree whose prefixes are each read once; None where only whole prefixes can be read."""
        return None

    def loss(self, batch: Batch, state: State | None = None) -> tuple[Tensor, State | None]:
        hidden, state = self(batch.inputs, state)
        kept = batch.targets != IGNORED
        return self.output.loss(hidden[kept], batch.targets[kept]).sum(), state

    def row_log_probs(self, batch: Batch) -> Tensor:
        hidden, _ = self(batch.inputs)
        kept = batch.targets != IGNORED
        return -row_sums(self.output.nll(hidden[kept], batch.targets[kept]), kept)

    def prepare(self, counts: Tensor) -> None:
        self.output.prepare(counts)


def row_sums(values: Tensor, kept: Tensor) -> Tensor:
    """Sums ``[batch]`` of the values ``[kept]`` that stand where ``kept [batch, time]`` is true, row by row."""
    return torch.zeros(kept.shape, dtype=values.dtype, device=values.device).masked_scatter(kept, values).sum(1)


class RecurrentNetwork(CausalNetwork):
    """A network whose memory after a prefix is a state of fixed size: the tree is walked level by level.

    The children of a node gather its state, so a prefix is read once however many sentences share it.
    """

    has_state = True

    def growing_tree(self, bos_id: int) -> RecurrentTree:
        return RecurrentTree(self, bos_id)

    @abstractmethod
    def initial_state(self, batch: int) -> State:
        """The state before anything was read."""

    @abstractmethod
    def input_gates(self, tokens: Tensor) -> Tensor:
        """What reading a token adds before the recurrent part, ``[n, …]`` for ``tokens [n]``."""

    @abstractmethod
    def advance(self, state: State, parents: Tensor, gates: Tensor) -> State:
        """States after reading tokens in the states ``parents [n]``.

        ``gates [n, …]`` are the tokens' :meth:`input_gates`; they may be overwritten.
        """

    @abstractmethod
    def hidden(self, state: State) -> Tensor:
        """The vectors ``[n, width]`` that the output layer reads in these states."""

    def node_log_probs(self, tree: PrefixTree) -> Tensor:
        device = self.device
        tokens = torch.from_numpy(tree.token).long().to(device)
        results = torch.zeros(len(tree.token), device=device)
        done = int(tree.levels[1])
        hidden: list[Tensor] = []
        rows: list[Tensor] = []
        for level, state in enumerate(self.inner_states(tree), 1):
            begin, end = int(tree.levels[level]), int(tree.levels[level + 1])
            above = sum(map(len, hidden))
            parents = np.searchsorted(tree.inner_nodes(level - 1), tree.parent[begin:end])
            rows.append(torch.from_numpy(parents + above).to(device))
            hidden.append(self.hidden(state))
            # A list of one utterance has few nodes a level: reading the weights for each would take most of the time.
            if above + len(hidden[-1]) >= _TOGETHER or level == tree.depth:
                found = self.output.log_probs(torch.cat(hidden), torch.cat(rows), tokens[done:end])
                results[done:end] = found
                done, hidden, rows = end, [], []
        return results

    def inner_states(self, tree: PrefixTree) -> Iterator[State]:
        """For each level from the root's on, the states after reading each of its inner nodes."""
        device = self.device
        inner = [tree.inner_nodes(level) for level in range(tree.depth)]
        # Reading a token costs a matrix product with its embedding: once per distinct token, not once per node.
        distinct, kind = np.unique(tree.token[np.concatenate(inner)], return_inverse=True)
        gates = self.input_gates(torch.from_numpy(distinct).long().to(device))
        kinds = torch.from_numpy(kind.astype(np.int64)).to(device)
        state = self.advance(self.initial_state(1), kinds.new_zeros(1), gates[kinds[:1]])
        yield state
        read = 1
        for above, nodes in itertools.pairwise(inner):
            parents = torch.from_numpy(np.searchsorted(above, tree.parent[nodes])).to(device)
            state = self._advance_in_blocks(state, parents, gates, kinds[read : read + len(nodes)])
            yield state
            read += len(nodes)

    def _advance_in_blocks(self, state: State, parents: Tensor, gates: Tensor, kinds: Tensor) -> State:
        """:meth:`advance` with the rows ``kinds [n]`` of ``gates``, in blocks that a cache holds."""
        size = even_block(len(kinds), _BLOCK_STATES) if self.device.type == "cpu" else len(kinds)
        blocks = zip(parents.split(size), kinds.split(size), strict=True)
        states = [self.advance(state, some, gates[kind]) for some, kind in blocks]
        return tuple(torch.cat(parts, dim=1) for parts in zip(*states, strict=True))


class TextStream:
    """Consecutive sentences read with carried state, as a network trained on streams was.

    The input of a sentence is ``<s> w1 … wn``; its first word is predicted from all that was read before.
    """

    _STEPS = 512

    def __init__(self, network: CausalNetwork, vocabulary: Vocabulary) -> None:
        self._network = network
        self._vocabulary = vocabulary
        self._state: State | None = None

    @torch.inference_mode()
    def token_log_probs(self, sentences: Sequence[Tokens]) -> list[LogProbs]:
        """Log-probability of every token of the next sentences, ``</s>`` included."""
        if not sentences:
            return []
        self._network.eval()
        inputs, targets = (np.concatenate(side).astype(np.int64) for side in self._framed(sentences))
        values = np.concatenate(
            [self._read(inputs[at : at + self._STEPS], targets[at : at + self._STEPS]) for at in self._starts(inputs)]
        )
        return np.split(values, np.cumsum([len(sentence) + 1 for sentence in sentences])[:-1])

    def _framed(self, sentences: Sequence[Tokens]) -> tuple[list[Tokens], list[Tokens]]:
        """What is read and what is predicted of each sentence."""
        frames = list(map(self._vocabulary.frame, sentences))
        return [read for read, _ in frames], [predicted for _, predicted in frames]

    def _starts(self, inputs: NDArray[np.int64]) -> range:
        return range(0, len(inputs), self._STEPS)

    def _read(self, inputs: NDArray[np.int64], targets: NDArray[np.int64]) -> LogProbs:
        device = self._network.device
        hidden, self._state = self._network(torch.from_numpy(inputs)[None].to(device), self._state)
        return -self._network.output.nll(hidden[0], torch.from_numpy(targets).to(device)).double().cpu().numpy()


class NeuralModel(Ranker):
    """A trained network with its vocabulary, kept in a folder.

    Folder: ``config.json``, ``model.safetensors`` and the vocabulary's file.

    Attributes:
        network: the network.
        trained_on: single sentences, or texts read in order: only these teach it to use what was said before.
    """

    def __init__(self, family: str, network: Network, vocabulary: Vocabulary, normalizer: str) -> None:
        if network.config.vocabulary_size != vocabulary.size:
            raise InputError(
                f"the network has {network.config.vocabulary_size} outputs, the vocabulary {vocabulary.size} tokens"
            )
        self.family = family
        self.network = network
        self.vocabulary = vocabulary
        self.normalizer = normalizer
        self.trained_on: TrainingContext = "sentence"

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.network.parameters() if parameter.requires_grad)

    def fingerprint(self) -> str:
        digest = hashlib.blake2b(digest_size=16)
        for name, tensor in sorted(self.network.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.float().cpu().contiguous().numpy().tobytes())
        digest.update(f"{self.family} {self.vocabulary.fingerprint()} {self.normalizer}".encode())
        return digest.hexdigest()

    def save(self, folder: Path, *, half: bool = False, training: dict[str, Any] | None = None) -> None:
        """Write the folder; ``config.json`` comes last, so a folder with one is whole.

        Args:
            folder: made when missing.
            half: store float16 (half the size; the scores change in the fourth digit).
            training: facts of the training to keep in ``config.json``.
        """
        begin(folder)
        self.vocabulary.save(folder)
        write_weights(folder / WEIGHTS_FILE, self.network, half=half)
        config = {
            "family": self.family,
            "network": asdict(self.network.config),
            "vocabulary": {"kind": self.vocabulary.kind, "size": self.vocabulary.size},
            "vocabulary_fingerprint": self.vocabulary.fingerprint(),
            "normalizer": self.normalizer,
            "trained_on": self.trained_on,
            "parameters": self.parameters,
            "training": training or {},
            "versions": {"asr_lm": __version__, "torch": torch.__version__, "python": platform.python_version()},
        }
        write_config(folder, config)


class NeuralLanguageModel(NeuralModel, CausalModel):
    """A causal network with its vocabulary."""

    network: CausalNetwork
    _most_nodes: int | None = None
    _unnormalised = False
    _precision: Precision = "float32"

    context_rule = "stream"

    def skip_normaliser(self) -> None:
        try:
            self.network.output.skip_normaliser()
        except InputError as error:
            raise InputError(error.message, parameter="unnormalised") from None
        self._unnormalised = True

    def compute_in(self, precision: PrecisionChoice) -> None:
        """As there; ``auto`` leaves networks of less than 20 million parameters in float32: they are quick enough."""
        if precision == "auto" and self.parameters < _LARGE:
            precision = "float32"
        self._precision = resolve_precision(precision, self.network)

    @property
    def precision(self) -> Precision:
        return self._precision

    @property
    def recombines(self) -> bool:
        return True

    def recombine(self, words: int) -> None:
        super().recombine(words)
        self.recombined_words = words

    @property
    def remarks(self) -> list[str]:
        return [IN_BFLOAT16] if self._precision == "bfloat16" else []

    @property
    def shard_hypotheses(self) -> int | None:
        return max(20, int(SHARD_WORK / self.parameters)) if self.parameters >= _LARGE else None

    def fingerprint(self) -> str:
        digest = super().fingerprint()
        kept = [name for name, is_so in self._departures() if is_so]
        return hashlib.blake2b(" ".join([digest, *kept]).encode(), digest_size=16).hexdigest() if kept else digest

    def _departures(self) -> list[tuple[str, bool]]:
        """What makes the scores others than those of the weights in float32."""
        return [
            ("unnormalised", self._unnormalised),
            ("bfloat16", self._precision == "bfloat16"),
            (f"recombined {self.recombined_words}", self.recombined_words > 0),
        ]

    @torch.inference_mode()
    def node_log_probs(self, tree: PrefixTree) -> LogProbs:
        self.network.eval()
        with products_in(self._precision):
            return self.network.node_log_probs(tree).double().cpu().numpy()

    def _score_group(self, sentences: Sequence[Tokens], group: list[int]) -> list[tuple[int, LogProbs]]:
        """As in the base class; where the GPU's memory is not enough, half the budget, for the rest of the run too."""
        parts = self._within_memory(sentences, group)
        if len(parts) > 1:
            return [scored for part in parts for scored in self._score_group(sentences, part)]
        try:
            return super()._score_group(sentences, group)
        except torch.OutOfMemoryError:
            pass  # the exception holds the tensors that did not fit until this block is left
        self._halve_budget([sentences[index] for index in group])
        return self._score_group(sentences, group)

    def _within_memory(self, sentences: Sequence[Tokens], group: list[int]) -> list[list[int]]:
        """The group, cut where the GPU's memory was found too small for so many nodes."""
        if self._most_nodes is None:
            return [group]
        parts = split_by_nodes([sentences[index] for index in group], self._most_nodes)
        return [[group[position] for position in part] for part in parts]

    def _halve_budget(self, sentences: Sequence[Tokens]) -> None:
        if len(sentences) == 1:
            raise InputError(f"a sentence of {len(sentences[0])} tokens does not fit into the GPU's memory")
        self._most_nodes = max(1, len(PrefixTree.build(sentences, self.vocabulary.bos_id)) // 2)
        torch.cuda.empty_cache()

    @property
    def has_state(self) -> bool:
        return self.network.has_state

    @property
    def learns(self) -> bool:
        return True

    def stream(self) -> Reader:
        """A reader of consecutive sentences that carries the network's state from one to the next.

        Raises:
            InputError: the network has no state.
        """
        return TextStream(self.network, self.vocabulary) if self.has_state else super().stream()

    def learning_reader(self, learning: Learning, *, carry_state: bool = True) -> Reader:
        if carry_state:
            self.stream()  # which says so where there is no state
        text = self.encode([sentence for sentence in learning.text if sentence.strip()])
        return DynamicReader(self.network, self.vocabulary, learning, text, carry_state=carry_state)

    def grow(self) -> GrowingTree:
        return self.network.growing_tree(self.vocabulary.bos_id) or super().grow()
