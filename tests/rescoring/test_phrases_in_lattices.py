"""Listed phrases in lattices: the paths that join a list, their scores, and when nothing changes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.lattice.lattice import Lattice
from asr_lm.rescoring.features.table import PHRASES
from asr_lm.rescoring.lattices import Listing, first_list, search_lattices
from asr_lm.rescoring.list_sources import LatticeLists
from asr_lm.rescoring.phrases.features import Phrases
from asr_lm.rescoring.phrases.lattice_paths import MOST, phrase_gains
from asr_lm.rescoring.phrases.phrase_list import Phrase, PhraseList
from asr_lm.rescoring.second_pass import rescore
from asr_lm.rescoring.settings import Scoring
from asr_lm.rescoring.tuned import Tuned
from asr_lm.rescoring.weights import Weights

sys.path.append(str(Path(__file__).parents[1] / "lattice"))
from toy_lattices import paths, random_lattice

VALUES = {"acoustic": 1.0, "lm": 1.0}
LISTED = ("a b", "c", "d d", "b c a")
seeds = st.integers(0, 10_000)


def listed(*phrases: str) -> Phrases:
    return Phrases(PhraseList.of(map(Phrase, phrases)), near_misses=False)


def found(lattice: Lattice, phrases: Phrases | None, count: int = 1) -> Utterance:
    (searched,) = search_lattices([lattice], [], VALUES, Listing(count, phrases=phrases))
    return searched.utterance


def texts(utterance: Utterance) -> list[str]:
    return [hypothesis.text for hypothesis in utterance.hypotheses]


def total(hypothesis: Hypothesis) -> float:
    return sum(VALUES[name] * value for name, value in hypothesis.scores.items())


def holds(text: str, phrase: str) -> bool:
    return f" {phrase} " in f" {text} "


@settings(deadline=None, max_examples=40)
@given(seeds)
def test_the_best_path_through_every_phrase_is_in_the_list(seed: int) -> None:
    lattice = random_lattice(seed)
    weights = lattice.weights(VALUES)
    best = {h.text: total(h) for h in found(lattice, listed(*LISTED)).hypotheses}
    for phrase in LISTED:
        scores = [weights[path].sum() for path in paths(lattice) if holds(lattice.text(path), phrase)]
        in_list = [score for text, score in best.items() if holds(text, phrase)]
        assert bool(scores) == bool(in_list)
        assert not scores or max(in_list) == pytest.approx(max(scores))


@settings(deadline=None, max_examples=40)
@given(seeds)
def test_what_joins_is_an_ordinary_hypothesis_and_no_text_is_there_twice(seed: int) -> None:
    lattice = random_lattice(seed)
    utterance = found(lattice, listed(*LISTED), count=3)
    spoken = {(lattice.text(p), *(round(float(lattice.scores[n][p].sum()), 9) for n in VALUES)) for p in paths(lattice)}
    for hypothesis in utterance.hypotheses:
        assert not hypothesis.corrected
        assert (hypothesis.text, *(round(hypothesis.scores[name], 9) for name in VALUES)) in spoken
    assert len(set(texts(utterance))) == len(texts(utterance))


@settings(deadline=None, max_examples=20)
@given(seeds, st.permutations(LISTED))
def test_the_order_of_phrases_changes_nothing(seed: int, order: list[str]) -> None:
    lattice = random_lattice(seed)
    assert found(lattice, listed(*order)) == found(lattice, listed(*LISTED))
    assert first_list(lattice, 2, listed(*order)) == first_list(lattice, 2, listed(*LISTED))


@settings(deadline=None, max_examples=20)
@given(seeds)
def test_what_the_lattice_does_not_hold_adds_nothing(seed: int) -> None:
    lattice = random_lattice(seed)
    for absent in (listed(), listed("zebra", "zebra crossing", "a zebra")):
        assert found(lattice, absent, count=3) == found(lattice, None, count=3)
        assert first_list(lattice, 3, absent) == first_list(lattice, 3)


RARE = "d"


def lacks(lattice: Lattice) -> bool:
    """Whether the lattice holds the rare word, and the best path does not."""
    held = any(RARE in lattice.text(path).split() for path in paths(lattice))
    return held and RARE not in texts(found(lattice, None))[0].split()


def test_phrases_of_one_utterance_are_the_lattice_s() -> None:
    lattice = replace(next(x for x in map(random_lattice, range(50)) if lacks(x)), phrases=(RARE,))
    assert found(lattice, Phrases(near_misses=False)).phrases == (RARE,)
    assert any(RARE in text.split() for text in texts(found(lattice, Phrases(near_misses=False))))


def test_what_is_added_is_bounded() -> None:
    words = [f"w{number}" for number in range(3 * MOST)]
    acoustic = [0.0, *(-1.0 - number for number in range(len(words)))]
    count = len(acoustic)
    lattice = Lattice.from_arcs(
        "u", ("", "said", *words), [0] * count, [1] * count, range(1, count + 1), {"acoustic": acoustic}, final={1: {}}
    )
    (searched,) = search_lattices([lattice], [], {"acoustic": 1.0}, Listing(1, phrases=listed(*words)))
    assert texts(searched.utterance) == ["said", *words[:MOST]]


def spoken(count: int) -> list[Lattice]:
    """Lattices of one word, which is said less loud than its rivals; the rarest is beyond every short list."""
    return [
        replace(
            Lattice.from_arcs(
                f"u{number}",
                ("", "the", "other", "word", "lovelace"),
                [0, 0, 0, 0, 1],
                [1, 1, 1, 1, 2],
                [1, 2, 3, 4, 1],
                {"acoustic": [-1.0, -1.5, -2.0, -3.0, 0.0]},
                final={2: {}},
            ),
            reference="lovelace the" if number % 2 else "the the",
            phrases=("lovelace",) if number % 2 else None,
        )
        for number in range(count)
    ]


def test_words_beyond_the_list_are_found() -> None:
    scoring, tuned = Scoring(phrases=Phrases()), Tuned.of_weights(Weights(values={"acoustic": 1.0}), [])
    errors = {}
    for expected in (None, scoring.phrases):
        lists = LatticeLists(spoken(10), [], Listing(2, phrases=expected)).utterances(tuned)
        (part,) = rescore(lists, [], tuned, scoring=scoring)
        errors[expected is not None] = part.comparison()["rescored"].counts.errors
    assert errors == {False: 5, True: 0}


def test_development_lists_have_them_from_the_first_round_on() -> None:
    seen = []

    def noted(lists: Sequence[Utterance]) -> Tuned:
        seen.append(sum("lovelace the" in texts(utterance) for utterance in lists))
        return Tuned.of_weights(Weights(values={"acoustic": 1.0}), [])

    LatticeLists(spoken(10), [], Listing(2, phrases=Phrases())).tuned(noted)
    assert seen == [5]


def halves(listed_words: tuple[str, ...]) -> Lattice:
    """Two places, each with a loud word and a rival."""
    symbols = ("", "the", "ada", "calls", "lovelace")
    scores = {"acoustic": [0.0, -2.0, 0.0, -2.0]}
    lattice = Lattice.from_arcs("u", symbols, [0, 0, 1, 1], [1, 1, 2, 2], [1, 2, 3, 4], scores, final={2: {}})
    return replace(lattice, phrases=listed_words)


@pytest.mark.parametrize("phrases", [("ada", "lovelace"), ("Ada Lovelace",)])
def test_the_search_is_guided_to_several_phrases_at_once(phrases: tuple[str, ...]) -> None:
    for weight, expected in ((0.0, False), (20.0, True)):
        listing = Listing(1, phrases=Phrases())
        (searched,) = search_lattices([halves(phrases)], [], {"acoustic": 1.0, PHRASES: weight}, listing)
        assert (len(phrases) == 1 or expected) == ("ada lovelace" in texts(searched.utterance))
        assert texts(searched.utterance)[0] == "the calls"  # the recogniser's best is still there


def test_gains_of_arcs_add_up_to_what_a_text_gains() -> None:
    for phrases in (("ada", "lovelace"), ("Ada Lovelace",), ("calls",), ("ada", "ada lovelace", "calls")):
        lattice, known = halves(phrases), PhraseList.of(map(Phrase, phrases))
        gains = phrase_gains(lattice, known)
        for path in paths(lattice):
            assert gains[path].sum() >= known.gain(lattice.text(path))
        whole = max(paths(lattice), key=lambda path: gains[path].sum())
        assert gains[whole].sum() == pytest.approx(max(known.gain(lattice.text(path)) for path in paths(lattice)))
