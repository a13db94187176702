"""CTC scores and alignments equal what enumeration of all alignments gives."""

import itertools

import pytest
import torch

from asr_lm.acoustic.ctc import best_alignment, forward_scores, word_times
from asr_lm.acoustic.tokens import Tokens

TOKENS = Tokens(("-", "|", "a", "b"))


def emissions(frames, seed=0, tokens=4):
    return torch.randn(frames, tokens, generator=torch.Generator().manual_seed(seed)).log_softmax(-1)


def collapsed(path, blank):
    return [token for token, _ in itertools.groupby(path) if token != blank]


def paths(found, sequence, blank):
    for path in itertools.product(range(found.shape[1]), repeat=len(found)):
        if collapsed(path, blank) == list(sequence):
            yield path, sum(found[frame, token].item() for frame, token in enumerate(path))


@pytest.mark.parametrize("blank", [0, 3])
@pytest.mark.parametrize("sequence", [(), (1,), (2, 1), (1, 1), (2, 1, 2)])
def test_forward_score_is_the_sum_over_alignments(sequence, blank):
    found = emissions(5)
    expected = torch.tensor([score for _, score in paths(found, sequence, blank)]).logsumexp(0).item()
    assert forward_scores(found, [sequence], blank)[0] == pytest.approx(expected, abs=1e-5)


def test_scores_do_not_depend_on_what_is_scored_with_them(monkeypatch):
    found = emissions(9)
    sequences = [(2, 1), (3,), (2, 3, 2, 1), (), (2,) * 6]
    alone = [forward_scores(found, [sequence], 0)[0] for sequence in sequences]
    assert forward_scores(found, sequences, 0) == pytest.approx(alone)
    assert alone[-1] == float("-inf")
    monkeypatch.setattr("asr_lm.acoustic.ctc._LATTICE_CELLS", 200)
    assert forward_scores(found, sequences, 0) == pytest.approx(alone)


@pytest.mark.parametrize("sequence", [(), (1,), (2, 1), (2, 2), (3, 1, 3)])
def test_alignment_is_the_best_of_all(sequence):
    found = emissions(5, 3)
    places = best_alignment(found, sequence, 0)
    path = [0 if place < 0 else sequence[place] for place in places]
    scores = dict(paths(found, sequence, 0))
    assert scores[tuple(path)] == pytest.approx(max(scores.values()))
    assert [place for place, _ in itertools.groupby(places) if place >= 0] == list(range(len(sequence)))


def test_words_last_from_their_first_letter_to_their_last():
    said = "-aab-|-bb||-"
    found = torch.full((len(said), 4), -20.0)
    for frame, token in enumerate(said):
        found[frame, TOKENS.numbers[token]] = 0.0
    times = word_times(found.log_softmax(-1), ((2, 3), (3,)), TOKENS, 0.02)
    assert times == ((0.02, 0.08), (0.14, 0.18))
    assert word_times(found, (), TOKENS, 0.02) == ()


def test_spelling_follows_the_case_of_the_tokens():
    upper = Tokens(("-", "|", "A", "'", "é"))
    assert upper.spelling("a'É") == ("A", "'", "é")
    assert upper.spelling("ab") is None
    assert upper.spelling("a-a") is None
    assert upper.written(upper.spelt([1, 2, 2, 1, 0, 1, 3, 1])) == "AA '"
