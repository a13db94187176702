"""Scores from the tree of chains are those of each text alone, however improbable it is."""

import math

import pytest
import torch
from torch.nn.functional import ctc_loss

from asr_lm.acoustic.chain_tree import ChainTree
from asr_lm.acoustic.ctc import chain, forward_scores
from asr_lm.acoustic.tokens import Tokens

LETTERS = Tokens(("-", "|", "a", "b"))
CHARACTERS = Tokens(("-", "a", "b", "c"), words="characters")
TEXTS = [(), ((2,),), ((2, 3),), ((2, 3), (2,)), ((2, 3), (3,)), ((2, 2, 3), (2, 2)), ((2, 2, 3),)]


def emissions(frames: int, spread: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(frames)
    return (spread * torch.randn(frames, 4, generator=generator)).double().log_softmax(-1)


@pytest.mark.parametrize("spread", [1.0, 30.0, 300.0])
def test_scores_equal_those_of_torch(spread: float) -> None:
    said = emissions(60, spread)
    texts = [[1], [1, 2], [1, 2, 3], [1, 1, 2, 3], [2, 2, 2, 1, 3, 3], [3]]
    expected = [
        -float(ctc_loss(said[:, None], torch.tensor([text]), (60,), (len(text),), reduction="sum")) for text in texts
    ]
    assert min(expected) > -600 or spread > 1
    spelt = [tuple((number,) for number in text) for text in texts]
    assert forward_scores(said, spelt, CHARACTERS) == pytest.approx(expected, abs=1e-6, rel=1e-9)


@pytest.mark.parametrize("spread", [1.0, 300.0])
def test_what_else_is_scored_changes_nothing(spread: float) -> None:
    said = emissions(50, spread)
    alone = [forward_scores(said, [text], LETTERS)[0] for text in TEXTS]
    assert forward_scores(said, TEXTS, LETTERS) == pytest.approx(alone, rel=1e-9)
    assert forward_scores(said, [*TEXTS[::-1], TEXTS[0]], LETTERS) == pytest.approx([*alone[::-1], alone[0]], rel=1e-9)


def test_common_beginnings_are_there_once() -> None:
    silent = (LETTERS.blank_number, -1)
    chains = [chain(text, LETTERS) for text in TEXTS]
    assert len(ChainTree.of(chains, silent).labels) < sum(len(each.labels) for each in chains)
    twice = ChainTree.of([*chains, *chains], silent)
    assert len(twice.labels) == len(ChainTree.of(chains, silent).labels)
    assert twice.ends[: len(chains)] == twice.ends[len(chains) :]


def test_a_text_needs_its_frames() -> None:
    short, long = forward_scores(emissions(3, 1.0), [((2, 3),), ((2, 2),)], LETTERS)
    assert math.isfinite(short)
    assert math.isfinite(long)
    assert forward_scores(emissions(2, 1.0), [((2, 2),)], LETTERS) == [-math.inf]
    assert forward_scores(emissions(2, 1.0), [], LETTERS) == []
