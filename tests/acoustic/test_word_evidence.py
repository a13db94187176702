"""Laws of what the sound says of words."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from asr_lm.acoustic.ctc import best_alignments, chain, with_silence
from asr_lm.acoustic.tokens import Spelt, Tokens
from asr_lm.acoustic.word_evidence import FEATURES, word_evidence

LETTERS = Tokens(("-", "|", "a", "b", "c"))
PIECES = Tokens(("-", "▁a", "▁b", "a", "b"), words="pieces")
PLACE = {name: number for number, name in enumerate(FEATURES)}


def drawn(frames: int, seed: int) -> torch.Tensor:
    return (3 * torch.randn(frames, 5, generator=torch.Generator().manual_seed(seed))).log_softmax(-1)


@pytest.mark.parametrize(("tokens", "text"), [(LETTERS, ((2, 3), (4,), (2, 2))), (PIECES, ((1, 4), (2,), (2, 3, 3)))])
@pytest.mark.parametrize("seed", range(5))
def test_margins_of_words_and_gaps_add_up_to_the_whole(tokens: Tokens, text: Spelt, seed: int) -> None:
    emissions = drawn(25, seed)
    found = word_evidence(emissions, text, tokens)
    assert found.shape == (len(text), len(FEATURES))
    (states,) = best_alignments(emissions, [text], tokens)
    said = with_silence(emissions, tokens).numpy()
    labels = np.array(chain(text, tokens).labels)[states]
    whole = said[np.arange(25), labels].sum() - said.max(1).sum()
    gaps = found[:, PLACE["margin before"]].sum() + found[-1, PLACE["margin after"]]
    assert found[:, PLACE["margin"]].sum() + gaps == pytest.approx(whole)
    assert (found[:, [place for name, place in PLACE.items() if name.startswith("margin")]] <= 1e-9).all()
    entropies = found[:, [PLACE["entropy"], PLACE["entropy around"]]]
    assert ((entropies > 0) & (entropies <= math.log(5))).all()


def test_what_the_network_likes_best_has_no_margin() -> None:
    said = [0, 2, 2, 0, 3, 1, 1, 4, 4, 0]  # ab c
    emissions = torch.full((10, 5), -6.0)
    emissions[range(10), said] = -0.01
    found = word_evidence(emissions.log_softmax(-1), ((2, 3), (4,)), LETTERS)
    for name, place in PLACE.items():
        if name.startswith("margin"):
            assert found[:, place] == pytest.approx([0.0, 0.0])
    assert found[:, PLACE["frames a token"]] == pytest.approx([math.log(4 / 2), math.log(2)])
    other = word_evidence(emissions.log_softmax(-1), ((2, 2), (4,)), LETTERS)
    assert other[0, PLACE["margin"]] < -5
    assert other[0, PLACE["least token"]] < -5 < other[1, PLACE["least token"]]
    assert other[1, PLACE["margin"]] == pytest.approx(0.0)
    assert other[1, PLACE["margin within 10 frames"]] == pytest.approx(other[0, PLACE["margin"]])


def test_by_hand() -> None:
    """One token over two frames of three: the alignment stays on it where the network likes something else better."""
    probabilities = torch.tensor([[0.7, 0.0, 0.2, 0.1, 0.0], [0.1, 0.0, 0.6, 0.3, 0.0], [0.5, 0.1, 0.1, 0.3, 0.0]])
    found = dict(zip(FEATURES, word_evidence((probabilities + 1e-9).log(), ((3,),), LETTERS)[0], strict=True))
    # Blank, b, blank: 0.7 * 0.3 * 0.5 is more than any other alignment of b.
    assert found["margin"] == pytest.approx(math.log(0.3 / 0.6), abs=1e-6)
    assert found["least token"] == pytest.approx(math.log(0.3), abs=1e-6)
    assert (found["margin before"], found["margin after"]) == pytest.approx((0.0, 0.0), abs=1e-6)
    entropy = -sum(p * math.log(p) for p in (0.1, 0.6, 0.3))
    assert found["entropy"] == pytest.approx(entropy, abs=1e-5)
