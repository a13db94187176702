"""What a CTC network says of a text: its probability, and when each word was spoken (Graves et al. 2006).

A text is a chain of states, of which every frame has one. A letter's state lasts as long as the letter, blanks stand
between letters, and word ends (``|``, or SentencePiece's ``▁`` alone) may come as often as they like before the first
word, between words and after the last one: none of them changes the words. Where words are told apart by nothing else
one has to stand between them. Each alignment of the words is one way through the chain, so that sums are exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asr_lm.acoustic.chain_tree import ChainTree
from asr_lm.acoustic.tokens import Spelt, Tokens

SILENCE = -1
"""Label of a state that says the blank or a word end."""

_CELLS = 20_000_000
_NEVER = float("-inf")


class WordStates(NamedTuple):
    """States of a word in a chain: its first and its last token, and the one after which the next word begins."""

    first: int
    last: int
    end: int


class Chain(NamedTuple):
    """The states of a text, in order.

    Attributes:
        labels: what each says, a token or :data:`SILENCE`. From a state the next one follows, or the one after that if
            it is a token and another one.
        words: where the words are.
        single: states that last a single frame, as what may follow says the same.
    """

    labels: list[int]
    words: list[WordStates]
    single: list[int]


def chain(spelt: Spelt, tokens: Tokens) -> Chain:
    """The states of a text."""
    labels: list[int] = []
    words: list[WordStates] = []
    single: list[int] = []
    for place, word in enumerate(spelt):
        separator, letters = _separator(word, place, tokens)
        labels += _gap(separator, tokens)
        if separator.needed:
            single.append(len(labels) - 2)
            if tokens.has_word_ends:
                words[-1] = words[-1]._replace(end=single[-1])
        first = len(labels)
        for letter in letters:
            labels += [letter, tokens.blank_number]
        labels.pop()
        last = len(labels) - 1
        begins = first - 2 if separator.needed and not tokens.has_word_ends else first
        words.append(WordStates(begins, last, last))
    return Chain([*labels, _silence(tokens)], words, single)


class _Separator(NamedTuple):
    """Whether word ends may stand before a word, and whether one has to."""

    allowed: bool
    needed: bool


def _separator(word: tuple[int, ...], place: int, tokens: Tokens) -> tuple[_Separator, tuple[int, ...]]:
    """What stands before a word, and its tokens after that."""
    number = tokens.separator_number
    if tokens.has_word_ends:
        return _Separator(True, place > 0), word
    if number is not None and word[0] == number:
        return _Separator(True, True), word[1:]
    # A word begun with "▁" alone is another spelling of the same word.
    return _Separator(number is not None and tokens.begins_word(word[0]), False), word


def _gap(separator: _Separator, tokens: Tokens) -> list[int]:
    if separator.needed:
        assert tokens.separator_number is not None
        return [tokens.blank_number, tokens.separator_number, SILENCE]
    return [SILENCE if separator.allowed else tokens.blank_number]


def _silence(tokens: Tokens) -> int:
    return tokens.blank_number if tokens.separator_number is None else SILENCE


class _Batch(NamedTuple):
    """Chains of different lengths side by side, ``[texts, states]``; no state depends on those after it."""

    labels: Tensor
    stay: Tensor
    skip: Tensor
    sizes: list[int]

    @classmethod
    def of(cls, chains: Sequence[Chain], tokens: Tokens) -> _Batch:
        sizes = [len(each.labels) for each in chains]
        labels = torch.full((len(chains), max(sizes)), tokens.blank_number)
        stay = torch.zeros(labels.shape, dtype=torch.double)
        for row, each in enumerate(chains):
            labels[row, : sizes[row]] = torch.tensor(each.labels)
            stay[row, each.single] = _NEVER
        skips = (labels != tokens.blank_number) & (labels != SILENCE)
        skips[:, 2:] &= labels[:, 2:] != labels[:, :-2]
        return cls(labels, stay, torch.zeros(labels.shape, dtype=torch.double).masked_fill_(~skips, _NEVER), sizes)

    def start(self) -> Tensor:
        """Scores of states before the first frame; two columns stand before the first state."""
        scores = torch.full((len(self.sizes), self.labels.shape[1] + 2), _NEVER, dtype=torch.double)
        scores[:, 1] = 0.0
        return scores

    def ways(self, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scores of each state by how it is reached: it lasts, from the state before, from the one before that."""
        return scores[:, 2:] + self.stay, scores[:, 1:-1], scores[:, :-2] + self.skip

    def finals(self, row: int) -> list[int]:
        """States in which a text may end."""
        return list(range(max(0, self.sizes[row] - 2), self.sizes[row]))


def _batches(chains: Sequence[Chain], frames: int, tokens: Tokens) -> Iterator[_Batch]:
    longest = max((len(each.labels) for each in chains), default=0)
    size = max(1, _CELLS // max(1, longest * frames))
    for start in range(0, len(chains), size):
        yield _Batch.of(chains[start : start + size], tokens)


def forward_scores(emissions: Tensor, texts: Sequence[Spelt], tokens: Tokens) -> list[float]:
    """Natural-log probability of each text, all its alignments and numbers of word ends summed, in float64.

    Args:
        emissions: log-probabilities ``[frames, tokens]``.
        texts: the tokens of their words. One that needs more frames than there are scores minus infinity.
        tokens: of the recogniser.
    """
    normal = emissions.double().log_softmax(-1)
    silence = normal[:, _silent(tokens)].logsumexp(1, keepdim=True)
    chains = [chain(text, tokens) for text in texts]
    tree = ChainTree.of(chains, (tokens.blank_number, SILENCE))
    return tree.log_probs(torch.cat([normal, silence], 1).numpy(force=True))


def _silent(tokens: Tokens) -> list[int]:
    """Tokens that a silence says."""
    number = tokens.separator_number
    return [tokens.blank_number] if number is None else [tokens.blank_number, number]


def best_alignments(emissions: Tensor, texts: Sequence[Spelt], tokens: Tokens) -> list[NDArray[np.int64]]:
    """The best alignment of each text (Viterbi): the state of its :func:`chain` in every frame ``[frames]``.

    Args:
        emissions: log-probabilities ``[frames, tokens]``.
        texts: the tokens of their words; each must fit into the frames.
        tokens: of the recogniser.
    """
    said = with_silence(emissions, tokens)
    found: list[NDArray[np.int64]] = []
    for batch in _batches([chain(text, tokens) for text in texts], len(said), tokens):
        moves = torch.zeros((len(said), *batch.labels.shape), dtype=torch.int8)
        state = batch.start()
        for number, frame in enumerate(said):
            best, move = torch.stack(batch.ways(state)).max(0)
            moves[number] = move
            state = batch.start()
            state[:, 1], state[:, 2:] = _NEVER, best + frame[batch.labels]
        for row, reached in enumerate(state[:, 2:]):
            last = max(batch.finals(row), key=lambda final: float(reached[final]))
            found.append(_traced(moves[:, row].numpy(), last))
    return found


def with_silence(emissions: Tensor, tokens: Tokens) -> Tensor:
    """Emissions in float64, and a last column for :data:`SILENCE`: the likelier of the tokens that it says."""
    said = emissions.double()
    return torch.cat([said, said[:, _silent(tokens)].amax(1, keepdim=True)], 1)


def _traced(moves: NDArray[np.int8], last: int) -> NDArray[np.int64]:
    """The states that lead to the last one, from moves ``[frames, states]``."""
    states = np.empty(len(moves), np.int64)
    for frame in range(len(moves) - 1, -1, -1):
        states[frame] = last
        last -= int(moves[frame, last])
    return states


def word_times(
    emissions: Tensor, texts: Sequence[Spelt], tokens: Tokens, frame_seconds: float
) -> list[tuple[tuple[float, float], ...]]:
    """Start and end of every word in seconds: from its first token's first frame to the end of its last one's last."""
    return [
        tuple(_span(states, word, frame_seconds) for word in chain(text, tokens).words)
        for text, states in zip(texts, best_alignments(emissions, texts, tokens), strict=True)
    ]


def _span(states: NDArray[np.int64], word: WordStates, frame_seconds: float) -> tuple[float, float]:
    first = np.searchsorted(states, word.first)
    end = np.searchsorted(states, word.last, side="right")
    return round(float(first) * frame_seconds, 3), round(float(end) * frame_seconds, 3)
