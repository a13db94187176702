"""CTC scores and alignments of words equal what enumeration of all alignments gives."""

import itertools
import math
from collections import defaultdict

import numpy as np
import pytest
import torch

from asr_lm.acoustic.ctc import best_alignments, chain, forward_scores, with_silence, word_times
from asr_lm.acoustic.first_pass import FirstPass
from asr_lm.acoustic.options import BeamOptions
from asr_lm.acoustic.tokens import Tokens

TOKENS = Tokens(("-", "|", "a", "b"))
PIECES = Tokens(("▁a", "b", "▁", "-"), words="pieces")
PLAIN = Tokens(("b", "-", "a"), words="characters")
KINDS = [TOKENS, PIECES, PLAIN]


def emissions(frames, seed=0, tokens=4):
    return torch.randn(frames, tokens, generator=torch.Generator().manual_seed(seed)).log_softmax(-1)


def heard(tokens, path):
    """The words of a path and their tokens, told without the code that is tested."""
    texts = [tokens.texts[number] for number, _ in itertools.groupby(path) if number != tokens.blank_number]
    if tokens.words == "characters":
        return tuple((tokens.numbers[text],) for text in texts)
    words = [[]]
    for text in texts:
        if text == "|" or text.startswith("▁"):
            words.append([])
        if text != "|":
            words[-1].append(tokens.numbers[text])
    return tuple(tuple(word) for word in words if word and word != [tokens.numbers.get("▁")])


def everything(tokens, found):
    """Scores of all alignments of every text."""
    scores = defaultdict(list)
    for path in itertools.product(range(len(tokens)), repeat=len(found)):
        scores[heard(tokens, path)].append(sum(found[frame, token].item() for frame, token in enumerate(path)))
    return scores


@pytest.mark.parametrize("tokens", KINDS)
def test_scores_are_sums_over_all_alignments_and_numbers_of_word_ends(tokens):
    found = emissions(6, tokens=len(tokens))
    expected = everything(tokens, found)
    scores = dict(zip(expected, forward_scores(found, list(expected), tokens), strict=True))
    assert len(expected) > 20
    for text, score in scores.items():
        assert score == pytest.approx(torch.tensor(expected[text]).logsumexp(0).item(), abs=1e-5)
    assert math.fsum(map(math.exp, scores.values())) == pytest.approx(1.0)


@pytest.mark.parametrize("tokens", KINDS)
def test_alignments_are_the_best_of_all(tokens):
    found = emissions(6, 3, len(tokens))
    expected = everything(tokens, found)
    said = with_silence(found, tokens).numpy()
    for text, states in zip(expected, best_alignments(found, list(expected), tokens), strict=True):
        labels = np.array(chain(text, tokens).labels)[states]
        assert said[np.arange(len(said)), labels].sum() == pytest.approx(max(expected[text]), abs=1e-5)


def test_scores_do_not_depend_on_what_is_scored_with_them(monkeypatch):
    found = emissions(9)
    texts = [((2,), (3,)), ((3,),), ((2, 3, 2), (2,)), (), ((2,) * 6,)]
    alone = [forward_scores(found, [text], TOKENS)[0] for text in texts]
    paths = [best_alignments(found, [text], TOKENS)[0] for text in texts[:-1]]
    assert forward_scores(found, texts, TOKENS) == pytest.approx(alone)
    assert alone[-1] == float("-inf")
    monkeypatch.setattr("asr_lm.acoustic.ctc._CELLS", 200)
    assert forward_scores(found, texts, TOKENS) == pytest.approx(alone)
    assert np.array_equal(best_alignments(found, texts[:-1], TOKENS), paths)


def emitted(said, tokens, other=-20.0):
    found = torch.full((len(said), len(tokens)), other)
    for frame, token in enumerate(said):
        found[frame, tokens.numbers[token]] = 0.0
    return found.log_softmax(-1)


def test_word_ends_may_come_first_and_twice_and_need_not_come_last():
    tokens = Tokens(("-", "|", "a", "b", "c"))
    for said in ("-|-aa-|--bb-c-|---", "|a||-|b-c", "-a|bc--", "a|bc||"):
        first = FirstPass(tokens, search=BeamOptions(beam=50)).texts(emitted(said, tokens))[0]
        assert first.text == "a bc"
        assert first.acoustic == pytest.approx(0.0, abs=1e-3)


def test_words_last_from_their_first_letter_to_their_last():
    found = emitted("-aab-|-bb||-", TOKENS)
    assert word_times(found, [((2, 3), (3,)), ()], TOKENS, 0.02) == [((0.02, 0.08), (0.14, 0.18)), ()]


def test_spelling_follows_the_case_of_the_tokens():
    upper = Tokens(("-", "|", "A", "'", "é"))
    assert upper.spelling("a'É") == ("A", "'", "é")
    assert upper.spelling("ab") is None
    assert upper.spelling("a-a") is None
    assert upper.written(upper.spelt([1, 2, 2, 1, 0, 1, 3, 1])) == "AA '"
