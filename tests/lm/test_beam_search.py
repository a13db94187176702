from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from asr_lm.lm.scoring.beam_search import beam_search

UNK, BOS, EOS = 0, 1, 2
VOCABULARY = 5


class Table:
    """Log-probabilities by sentence, position and last token, drawn at random; the state is the position."""

    def __init__(self, sentences: int, longest: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        logits = 2 * torch.randn(sentences, longest + 1, VOCABULARY, VOCABULARY, generator=generator)
        self.log_probs = logits.double().log_softmax(-1)

    def step(self, owner: Tensor, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        return self.log_probs[owner, state, tokens], state + 1

    def log_prob(self, sentence: int, tokens: tuple[int, ...]) -> float:
        steps = zip((BOS, *tokens), (*tokens, EOS), strict=True)
        return float(sum(self.log_probs[sentence, i, last, next_] for i, (last, next_) in enumerate(steps)))


def search(table: Table, longest: list[int], width: int, best: int = 1) -> list[list[tuple[tuple[int, ...], float]]]:
    start = torch.zeros(len(longest), dtype=torch.int64)
    found = beam_search(table, start, longest, bos=BOS, eos=EOS, width=width, best=best, forbidden=[UNK, BOS])
    return [[(tuple(sentence.tokens.tolist()), sentence.log_prob) for sentence in some] for some in found]


def every_sentence(longest: int) -> list[tuple[int, ...]]:
    return [tokens for length in range(longest + 1) for tokens in itertools.product((3, 4), repeat=length)]


@pytest.mark.parametrize("seed", range(5))
def test_a_beam_that_holds_everything_is_exhaustive_search(seed: int) -> None:
    longest = [4, 1, 0, 3]
    table = Table(len(longest), max(longest), seed)
    for sentence, found in enumerate(search(table, longest, width=64, best=4)):
        scored = sorted(((table.log_prob(sentence, t), t) for t in every_sentence(longest[sentence])), reverse=True)
        assert [tokens for tokens, _ in found] == [tokens for _, tokens in scored[:4]]
        np.testing.assert_allclose([value for _, value in found], [value for value, _ in scored[:4]], atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_width_one_is_greedy(seed: int) -> None:
    table = Table(6, 7, seed)
    for sentence, [(found, _)] in enumerate(search(table, [7] * 6, width=1)):
        tokens: list[int] = []
        while len(tokens) < 7:
            allowed = table.log_probs[sentence, len(tokens), tokens[-1] if tokens else BOS].clone()
            allowed[[UNK, BOS]] = -torch.inf
            if int(allowed.argmax()) == EOS:
                break
            tokens.append(int(allowed.argmax()))
        assert found == tuple(tokens)


@pytest.mark.parametrize("width", [1, 2, 3, 7])
def test_scores_are_those_of_the_sentences_and_fall(width: int) -> None:
    table = Table(4, 6, 9)
    for sentence, found in enumerate(search(table, [6] * 4, width, best=min(width, 3))):
        values = [value for _, value in found]
        assert values == sorted(values, reverse=True)
        assert len({tokens for tokens, _ in found}) == len(found)
        for tokens, value in found:
            assert value == pytest.approx(table.log_prob(sentence, tokens), abs=1e-9)


def test_a_sentence_does_not_depend_on_the_others_of_its_batch() -> None:
    table = Table(3, 5, 4)
    together = search(table, [5, 2, 4], width=3, best=2)
    for sentence, longest in enumerate([5, 2, 4]):
        alone = Table(3, 5, 4)
        alone.log_probs = alone.log_probs[sentence : sentence + 1]
        assert search(alone, [longest], width=3, best=2) == [together[sentence]]


def test_a_wider_beam_finds_what_a_narrow_one_misses() -> None:
    table = Table(200, 5, 1)
    narrow, wide = (search(table, [5] * 200, width) for width in (1, 16))
    better = sum(w[0][1] > n[0][1] + 1e-9 for n, w in zip(narrow, wide, strict=True))
    worse = sum(w[0][1] < n[0][1] - 1e-9 for n, w in zip(narrow, wide, strict=True))
    assert better > 20
    assert worse == 0
