"""Models of Hugging Face's ``transformers`` as scorers.

*Causal* models score by log-likelihood. All hypotheses are one packed sequence, the nodes of their prefix tree in
preorder: the mask lets a node attend to its ancestors, its position is its depth. Whether a model heeds such a mask
and such positions is tried out on a small tree before anything is scored; where it does not, paths are scored in padded
batches. ``<s>`` is the model's token for the beginning of a text, or what separates texts where it has none, so that
the first token is scored, too; ``</s>`` is scored.

*Masked* models score by pseudo-log-likelihood (Salazar et al. 2020, Masked language model scoring): the sum over the
tokens of log p(token | all others), one copy of the sentence with the token masked for each. It is no probability of
the sentence, and its end is not scored.

What is longer than a model's window is read with a rolling one: causal models see at least half a window before each
token, masked ones the window around it. Nothing is cut off.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asr_lm.errors import InputError
from asr_lm.hypotheses.prefix_tree import PrefixTree
from asr_lm.lm.folder import begin
from asr_lm.lm.precision import IN_BFLOAT16, SHARD_WORK, Precision, PrecisionChoice, resolve_precision
from asr_lm.lm.pretrained.place import FAMILY
from asr_lm.lm.protocol import CausalModel, LanguageModel, LogProbs, Tokens
from asr_lm.lm.scoring.tree_attention import Preorder
from asr_lm.text.huggingface_tokenizer import HuggingFaceVocabulary
from asr_lm.text.vocabulary import token_ids

NOT_SCORED = "none"
"""What is given for the end of a text that is not to be scored."""

_LOGITS = {"cpu": 25_000_000, "cuda": 500_000_000}
"""Logits in memory at once."""

_SUMMED = 16
"""Rows of logits that are summed at once."""

_PACKED = 512
"""Nodes of a packed sequence, the path to the first of them not counted."""

_LONGEST = 100_000
"""Tokens that a model without a window of its own reads at once."""

_NOT_THE_MODEL = ("transformers_version", "dtype", "quantization_config")
"""Entries of a configuration that say how a model was stored."""

_COLUMNS = 4096
"""Columns of the table that the bits of a tensor are summed up in."""

_HEEDED = {torch.float32: 0.01, torch.bfloat16: 0.15, torch.float16: 0.05}
"""Share of a mask's effect that rounding may take away from it: a mask or positions unheeded take away most of it."""


class HuggingFaceModel(LanguageModel):
    """A ``transformers`` model with its tokeniser.

    Attributes:
        network: the model.
        window: most tokens it reads at once.
    """

    family = FAMILY
    normalizer = "as-is"
    is_foreign = True
    vocabulary: HuggingFaceVocabulary

    def __init__(self, network: Any, tokenizer: Any, name: str = FAMILY) -> None:
        """Args: network: from an Auto class; tokenizer: its tokeniser; name: for messages.

        Raises:
            InputError: a tokeniser that does not go with the model, or has no token that ends a text.
        """
        self.network = network.eval()
        self.vocabulary = HuggingFaceVocabulary(tokenizer, name)
        embedded = network.get_input_embeddings().num_embeddings
        if self.vocabulary.size > embedded:
            raise InputError(
                f"the tokeniser has {self.vocabulary.size} tokens, the model only {embedded}: they do not go together",
                file=name,
            )
        self.window = _window(network)

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next(iter(self.network.parameters())).device

    @property
    def dtype(self) -> torch.dtype:
        """What the weights are held in, and products computed in."""
        return next(iter(self.network.parameters())).dtype

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.network.parameters())

    @property
    def shard_hypotheses(self) -> int:
        return max(20, int(SHARD_WORK / self.parameters))

    def compute_in(self, precision: PrecisionChoice) -> None:
        """As there; the weights are held in that precision, too."""
        chosen = resolve_precision(precision, self.network)
        if chosen != self.precision:
            self.replace_network(_held_in(self.network, getattr(torch, chosen)))

    def replace_network(self, network: Any) -> None:
        """Score with other weights, or the same in another form, from now on."""
        self.network = network
        for name in ("_fingerprint", "heeds_tree"):
            self.__dict__.pop(name, None)

    @property
    def precision(self) -> Precision:
        return "bfloat16" if self.dtype == torch.bfloat16 else "float32"

    @property
    def remarks(self) -> list[str]:
        return [] if self.dtype == torch.float32 else [IN_BFLOAT16]

    def fingerprint(self) -> str:
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.blake2b(digest_size=16)
        for name, tensor in sorted(self.network.state_dict().items()):
            digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
            digest.update(_summary(tensor))
        config = {key: value for key, value in self.network.config.to_dict().items() if not key.startswith("_")}
        config = {key: config[key] for key in sorted(config) if key not in _NOT_THE_MODEL}
        described = json.dumps(config, sort_keys=True, default=str)
        digest.update(f"{type(self).__name__} {described} {self.vocabulary.fingerprint()}".encode())
        if self.normalizer != type(self).normalizer:
            digest.update(self.normalizer.encode())
        return digest.hexdigest()

    def save(self, folder: Path) -> None:
        begin(folder)
        self.network.save_pretrained(folder)
        self.vocabulary.save(folder)

    @cached_property
    def _arguments(self) -> frozenset[str]:
        """What the network can be called with."""
        return frozenset(inspect.signature(self.network.forward).parameters)

    def _logits(self, inputs: NDArray[np.int64], **options: Any) -> Tensor:
        """As :meth:`logits`, of an array."""
        return self.logits(torch.from_numpy(inputs).to(self.device), **options)

    def logits(self, inputs: Tensor, **options: Any) -> Tensor:
        """Logits ``[batch, time, vocabulary]`` of token ids ``[batch, time]`` on the network's device.

        Args:
            inputs: token ids.
            options: of the network, such as ``attention_mask``.
        """
        if "use_cache" in self._arguments:
            options["use_cache"] = False
        logits: Tensor = self.network(input_ids=inputs, **options).logits
        return logits

    def _padded_logits(self, rows: Sequence[NDArray[np.integer]]) -> Tensor:
        """Logits of rows of different lengths, padded on the right ``[rows, longest, vocabulary]``."""
        longest = max(map(len, rows))
        inputs = np.full((len(rows), longest), self.vocabulary.pad_id, dtype=np.int64)
        heeded = np.zeros((len(rows), longest), dtype=np.int64)
        for number, row in enumerate(rows):
            inputs[number, : len(row)] = row
            heeded[number, : len(row)] = 1
        return self._logits(inputs, attention_mask=torch.from_numpy(heeded).to(self.device))

    def _most_tokens(self, budget: int | None) -> int:
        """Tokens in memory at once."""
        most = _LOGITS["cuda" if self.device.type == "cuda" else "cpu"] // self.vocabulary.size
        return max(1, most if budget is None else min(budget, most))


class HuggingFaceCausalModel(HuggingFaceModel, CausalModel):
    """A causal model, scored on the prefix tree where its mask can be chosen.

    What was said before an utterance is read as lines of text before it.
    """

    default_budget = 100_000
    context_rule = "lines"
    scores_end = True
    """Whether the end of a text counts; where not, its entry is 0."""
    framed: tuple[str | None, str | None] = (None, None)
    """The tokens that :meth:`frame` was last given for the beginning and the end; None is the tokeniser's."""
    learnt_frame = False
    """Whether the model has learnt from texts framed so, and a development list has nothing to choose."""

    @property
    def recombines(self) -> bool:
        return True

    def recombine(self, words: int) -> None:
        super().recombine(words)
        self.recombined_words = words

    def fingerprint(self) -> str:
        digest = super().fingerprint() + ("" if self.scores_end else "-without-end")
        return f"{digest}-recombined-{self.recombined_words}" if self.recombined_words else digest

    @property
    def text_ends(self) -> tuple[str, ...]:
        return () if self.learnt_frame else self.vocabulary.text_ends

    def frame(self, begin: str | None = None, end: str | None = None) -> None:
        found = None if end in (None, NOT_SCORED) else self.vocabulary.token_id(str(end))
        self.vocabulary.bos_id = self.vocabulary.bos_id if begin is None else self.vocabulary.token_id(begin)
        self.vocabulary.eos_id = self.vocabulary.eos_id if found is None else found
        self.scores_end = self.scores_end if end is None else end != NOT_SCORED
        before = self.framed
        self.framed = (before[0] if begin is None else begin, before[1] if end is None else end)
        self.__dict__.pop("_fingerprint", None)

    def _path_log_probs(self, sentences: Sequence[Tokens], budget: int | None) -> list[LogProbs]:
        values = super()._path_log_probs(sentences, budget)
        if not self.scores_end:
            for row in values:
                row[-1] = 0.0
        return values

    def prefix(self, context: Sequence[Tokens]) -> Tokens:
        line_end = self.vocabulary.encode("\n")
        read = [part for said in map(token_ids, context) if len(said) for part in (said, line_end)]
        return np.concatenate([np.zeros(0), *read]).astype(np.int32)

    @cached_property
    def heeds_tree(self) -> bool:
        """Whether a mask and positions of its own make the model read a packed tree as it reads each path alone."""
        with torch.inference_mode():
            return self._reads_tree()

    def _reads_tree(self) -> bool:
        tree = _trial(self.vocabulary.size, self.vocabulary.bos_id, min(self.window, 6))
        order = Preorder.of_tree(tree, _inner(tree))
        every = np.arange(len(order))
        if "position_ids" not in inspect.signature(self.network.forward).parameters:
            return False
        try:
            packed = self._packed(tree, order, every)
            ignored = self._logits(tree.token[order.node][None].astype(np.int64))[0]
        except torch.OutOfMemoryError:
            raise
        except (TypeError, ValueError, RuntimeError, IndexError, AttributeError, KeyError):
            return False
        alone = torch.empty_like(packed)
        for positions, logits in self._alone(tree, order):
            alone[positions] = logits
        return bool((packed - alone).abs().max() <= _HEEDED[self.dtype] * (ignored - alone).abs().max())

    @property
    def remarks(self) -> list[str]:
        if self.heeds_tree:
            return super().remarks
        slow = "heeds no attention mask of one's own, so its hypotheses are scored one by one: several times slower"
        return [*super().remarks, slow]

    @torch.inference_mode()
    def node_log_probs(self, tree: PrefixTree) -> LogProbs:
        results = np.zeros(len(tree.token))
        children = np.bincount(tree.parent[1:], minlength=len(tree.token))
        order = Preorder.of_tree(tree, children > 0)
        for first, forest in _windows(order, self.window):
            rows = self._in_blocks(tree, forest) if self.heeds_tree else self._alone(tree, forest)
            for positions, logits in rows:
                # In a window that is not the first, its first half is there to be read only.
                kept = forest.depth[positions] >= (self.window - window_step(self.window) if first else 0)
                nodes = forest.node[positions[kept]]
                wanted = logits if kept.all() else logits[torch.from_numpy(kept).to(logits.device)]
                _fill(results, tree, children, nodes, wanted)
        return results

    def _in_blocks(self, tree: PrefixTree, order: Preorder) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
        """Positions in the order, and what may follow their nodes: ``[n]`` and ``[n, vocabulary]``."""
        size = max(1, min(_PACKED, self._most_tokens(None)))
        for first in range(0, len(order), size):
            positions = np.arange(first, min(first + size, len(order)))
            yield positions, self._packed(tree, order, positions)

    def _packed(self, tree: PrefixTree, order: Preorder, positions: NDArray[np.int64]) -> Tensor:
        """Logits after neighbouring nodes ``[positions, vocabulary]``, read with the path to the first of them."""
        path = order.path(positions[:1])[0]
        read = np.concatenate([path[path >= 0], positions])
        sees = (read[None] <= read[:, None]) & (read[:, None] < order.end[read][None])
        mask = torch.zeros(1, 1, len(read), len(read), dtype=self.dtype)
        mask.masked_fill_(~torch.from_numpy(sees), torch.finfo(self.dtype).min)
        depth = torch.from_numpy(order.depth[read].astype(np.int64))
        inputs = tree.token[order.node[read]][None].astype(np.int64)
        device = self.device
        # Nobody asks what follows the path; the output layer is a large part of a small model.
        kept = {"logits_to_keep": len(positions)} if "logits_to_keep" in self._arguments else {}
        logits = self._logits(inputs, attention_mask=mask.to(device), position_ids=depth[None].to(device), **kept)
        return logits[0, -len(positions) :]

    def _alone(self, tree: PrefixTree, order: Preorder) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
        """As :meth:`_in_blocks`, each path of the tree a row of a padded batch."""
        leaves = np.flatnonzero(order.end == np.arange(len(order)) + 1)
        leaves = leaves[np.argsort(order.depth[leaves], kind="stable")]
        done = np.zeros(len(order), dtype=bool)
        for some in _batches(order.depth[leaves] + 1, self._most_tokens(None)):
            paths = [
                np.append(path[path >= 0], leaf)
                for path, leaf in zip(order.path(leaves[some]), leaves[some], strict=True)
            ]
            logits = self._padded_logits([tree.token[order.node[path]] for path in paths])
            for path, row in zip(paths, logits, strict=True):
                fresh = ~done[path]
                done[path] = True
                if fresh.any():
                    yield path[fresh], row[: len(path)][torch.from_numpy(fresh).to(row.device)]


class HuggingFaceMaskedModel(HuggingFaceModel):
    """A masked model: pseudo-log-likelihood.

    The entry for ``</s>`` is 0: a masked model does not say where a text ends.
    """

    def __init__(self, network: Any, tokenizer: Any, name: str = FAMILY) -> None:
        super().__init__(network, tokenizer, name)
        if (mask_id := self.vocabulary.mask_id) is None:
            raise InputError("the tokeniser of a masked model has no mask", file=name)
        self._mask_id = mask_id
        self._before, self._after = self.vocabulary.around()
        self._room = self.window - len(self._before) - len(self._after)
        if self._room < 1:
            raise InputError(f"a window of {self.window} tokens leaves no room for a text", file=name)

    @torch.inference_mode()
    def token_log_probs(self, sentences: Sequence[Tokens], budget: int | None = None) -> list[LogProbs]:
        sentences = list(map(token_ids, sentences))
        results = [np.zeros(len(sentence) + 1) for sentence in sentences]
        places = [(number, place) for number, sentence in enumerate(sentences) for place in range(len(sentence))]
        places.sort(key=lambda item: min(len(sentences[item[0]]), self._room))
        around = len(self._before) + len(self._after)
        lengths = np.array([min(len(sentences[number]), self._room) + around for number, _ in places], dtype=np.int64)
        for some in _batches(lengths, self._most_tokens(budget)):
            batch = places[some]
            rows = [self._masked(sentences[number], place) for number, place in batch]
            logits = self._padded_logits([row for row, _ in rows])
            hidden = torch.tensor([place for _, place in rows], device=logits.device)
            values = torch.log_softmax(logits[torch.arange(len(rows), device=logits.device), hidden].float(), dim=1)
            targets = torch.tensor([int(sentences[number][place]) for number, place in batch], device=logits.device)
            found = values.gather(1, targets[:, None])[:, 0].double().cpu().numpy()
            for (number, place), value in zip(batch, found.tolist(), strict=True):
                results[number][place] = value
        return results

    def _masked(self, sentence: Tokens, place: int) -> tuple[NDArray[np.int64], int]:
        """The window around a token, which is masked, between what begins and ends a text; and where it stands."""
        first = min(max(place - self._room // 2, 0), max(len(sentence) - self._room, 0))
        row = np.concatenate([self._before, sentence[first : first + self._room], self._after]).astype(np.int64)
        at = len(self._before) + place - first
        row[at] = self._mask_id
        return row, at


def _held_in(network: Any, dtype: torch.dtype) -> Any:
    """The network with its stored weights in another format, as if it had been read so.

    What a network computes for itself, such as the frequencies of rotary positions, stays exact.
    """
    stored = network.state_dict(keep_vars=True).values()
    with torch.no_grad():
        for tensor in stored:
            if tensor.is_floating_point():
                tensor.data = tensor.data.to(dtype)
    return network


def _summary(tensor: Tensor) -> bytes:
    """Sums of a tensor's bits, eight bytes a number, along rows and along columns of a table that they are laid out in.

    A weight that changes changes its row and its column; two that change places do, too. This takes a fifth of the time
    of a cryptographic digest; safetensors files have none of their own.
    """
    bits = tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
    whole = len(bits) // (8 * _COLUMNS) * 8 * _COLUMNS
    words = bits[:whole].view(np.int64).reshape(-1, _COLUMNS)
    return words.sum(0).tobytes() + words.sum(1).tobytes() + bits[whole:].tobytes()


def _inner(tree: PrefixTree) -> NDArray[np.bool_]:
    """Which nodes have children."""
    return np.bincount(tree.parent[1:], minlength=len(tree.token)) > 0


def _windows(order: Preorder, window: int) -> Iterator[tuple[int, Preorder]]:
    """The depths that are read at once, by the first of them; all of them where they fit."""
    half = window_step(window)
    deepest = int(order.depth.max())
    yield 0, order.window(0, window)
    for first in range(half, deepest - window + half + 1, half):
        yield first, order.reaching(first + window - half).window(first, window)


def window_step(window: int) -> int:
    """How far the next window of a long text is from one."""
    return max(1, window // 2)


def _fill(
    results: LogProbs, tree: PrefixTree, children: NDArray[np.int64], nodes: NDArray[np.int64], logits: Tensor
) -> None:
    """Put log-probabilities of the nodes' children in place; ``logits [nodes, vocabulary]`` is what may follow."""
    counts = children[nodes]
    firsts = (np.cumsum(children) - children + 1)[nodes]  # children of one node are neighbours, parents in order
    rows = np.repeat(np.arange(len(nodes)), counts)
    found = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(firsts, counts)
    device = logits.device
    targets = torch.from_numpy(tree.token[found].astype(np.int64)).to(device)
    # Only the sum over the vocabulary is needed, of as many rows as a cache holds: not all log-probabilities.
    sums = torch.cat([part.float().logsumexp(1) for part in logits.split(_SUMMED)])
    chosen = logits[torch.from_numpy(rows).to(device), targets].float() - sums[torch.from_numpy(rows).to(device)]
    results[found] = chosen.double().cpu().numpy()


def _batches(lengths: NDArray[np.int64], tokens: int) -> Iterator[slice]:
    """Stretches of rows, sorted by length, of at most so many tokens when padded; at least one row each."""
    first = 0
    for row, length in enumerate(lengths.tolist()):
        if row > first and length * (row - first + 1) > tokens:
            yield slice(first, row)
            first = row
    if len(lengths):
        yield slice(first, len(lengths))


def _trial(size: int, root: int, depth: int) -> PrefixTree:
    """A small tree of tokens from all over the vocabulary."""
    generator = np.random.default_rng(0)
    stem = generator.integers(0, size, depth)
    branches = [np.append(stem[:cut], generator.integers(0, size, depth - cut)) for cut in range(depth)]
    return PrefixTree.build([branch.astype(np.int32) for branch in branches], root)


def _window(network: Any) -> int:
    """Most tokens the model reads at once."""
    config = network.config
    names = ["max_position_embeddings", "n_positions", "max_seq_len"]
    # Where only some layers slide, the others look as far back as there is text.
    if set(getattr(config, "layer_types", None) or ["sliding_attention"]) == {"sliding_attention"}:
        names += ["sliding_window", "attention_window"]
    found = [value for name in names if isinstance(value := getattr(config, name, None), int) and value > 0]
    for name, module in network.named_modules():
        # RoBERTa and its kin count positions from behind the padding's.
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            found.append(module.num_embeddings - module.padding_idx - 1)
    return min([*found, _LONGEST])
