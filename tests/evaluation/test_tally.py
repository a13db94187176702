"""A list that is counted part by part gives what it gives as a whole, and keeps no text."""

from __future__ import annotations

import pickle
import random

import numpy as np
import pytest

from asr_lm.errors import InputError
from asr_lm.evaluation import bootstrap
from asr_lm.evaluation.bootstrap import ErrorTable, Resamples
from asr_lm.evaluation.comparison import compare, comparison_of
from asr_lm.evaluation.normalized_rate import normalized_rate
from asr_lm.evaluation.spread_sample import SpreadSample
from asr_lm.evaluation.tally import Tally

WORDS = ["the", "ferry", "is", "late", "again", "so", "we", "wait", "here"]


def spoken(count: int, seed: int) -> tuple[list[str | None], dict[str, list[str]], list[str]]:
    """References, what three systems and the oracle say, and recordings."""
    chance = random.Random(seed)
    said = [" ".join(chance.choices(WORDS, k=chance.randint(0, 8))) for _ in range(count)]

    def heard(rate: float) -> list[str]:
        return [" ".join(chance.choice(WORDS) if chance.random() < rate else w for w in s.split()) for s in said]

    systems = {"first_pass": heard(0.3), "retuned": heard(0.25), "rescored": heard(0.2), "oracle": heard(0.1)}
    references = [None if chance.random() < 0.1 else text for text in said]
    return references, systems, [f"r{number // 5}" for number in range(count)]


def in_parts(count: int, *cuts: int, **how: str) -> Tally:
    references, systems, recordings = spoken(count, 1)
    tally = Tally(tuple(systems), **how)  # type: ignore[arg-type]
    for begin, end in zip((0, *cuts), (*cuts, count), strict=True):
        part = slice(begin, end)
        tally.add(references[part], {name: texts[part] for name, texts in systems.items()}, recordings[part])
    return tally


@pytest.mark.parametrize("how", [{}, {"resample": "recording"}, {"unit": "character"}, {"baseline": "first_pass"}])
@pytest.mark.parametrize("cuts", [(), (1,), (20, 20, 77)])
def test_parts_add_up_to_the_whole(how: dict[str, str], cuts: tuple[int, ...]) -> None:
    references, systems, recordings = spoken(90, 1)
    whole = compare(references, systems, recordings=recordings, resamples=200, **how)  # type: ignore[arg-type]
    assert comparison_of(in_parts(90, *cuts, **how), resamples=200) == whole


@pytest.mark.parametrize("how", [{}, {"resample": "recording"}, {"unit": "character"}, {"normalizer": "unicode"}])
def test_tallies_of_parts_are_merged_to_that_of_the_whole(how: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "MOST_ROWS", 70)
    references, systems, recordings = spoken(90, 1)
    merged = Tally(tuple(systems), **how, sampled=20)  # type: ignore[arg-type]
    whole = Tally(tuple(systems), **how, sampled=20)  # type: ignore[arg-type]
    for begin in range(0, 90, 17):
        part = slice(begin, begin + 17)
        one = Tally(tuple(systems), **how, sampled=90)  # type: ignore[arg-type]
        for tally in (one, whole):
            tally.add(references[part], {name: texts[part] for name, texts in systems.items()}, recordings[part])
        merged.merge(pickle.loads(pickle.dumps(one)))
    assert comparison_of(merged, resamples=200) == comparison_of(whole, resamples=200)
    assert merged._sample.items == whole._sample.items


def test_a_table_of_grouped_rows_is_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "MOST_ROWS", 30)
    references, systems, _ = spoken(90, 1)
    merged, whole = Tally(tuple(systems)), Tally(tuple(systems))
    for begin in (0, 45):
        part = slice(begin, begin + 45)
        one = Tally(tuple(systems))
        for tally in (one, whole):
            tally.add(references[part], {name: texts[part] for name, texts in systems.items()})
        merged.merge(one)
    assert comparison_of(merged, resamples=200) == comparison_of(whole, resamples=200)


def test_no_text_is_kept_beyond_the_sample_for_normalisers() -> None:
    small, large = (len(pickle.dumps(in_parts(count, *range(50, count, 50)))) for count in (3_000, 12_000))
    numbers = 9_000 * 5 * 8
    assert large - small < 1.2 * numbers


def test_a_list_without_references_has_no_comparison() -> None:
    tally = Tally(("first_pass",))
    tally.add([None], {"first_pass": ["a"]})
    with pytest.raises(InputError, match="none of the 1 utterance has a reference"):
        comparison_of(tally)


def test_of_many_units_equal_ones_are_kept_once_and_drawn_by_the_same_law(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(5)
    lengths = generator.integers(3, 12, 4_000)
    systems = []
    for rate in (0.2, 0.18):
        counts = np.zeros((4_000, 4), dtype=np.int32)
        counts[:, 0], counts[:, 3] = generator.binomial(lengths, rate), lengths
        systems.append(counts)
    plain = Resamples.draw(systems, resamples=4_000)
    monkeypatch.setattr(bootstrap, "MOST_ROWS", 500)
    table = ErrorTable()
    for begin in range(0, 4_000, 300):
        table.add([counts[begin : begin + 300] for counts in systems])
    grouped = table.draw(resamples=4_000)
    assert (grouped.units, grouped.measured.tolist()) == (4_000, plain.measured.tolist())
    for mine, theirs in ((grouped.interval(0), plain.interval(0)), *[
        (found.difference(0, 1).interval, plain.difference(0, 1).interval) for found in (grouped,)
    ]):  # fmt: skip
        assert mine is not None
        assert theirs is not None
        width = theirs.high - theirs.low
        assert mine.low == pytest.approx(theirs.low, abs=0.05 * width)
        assert mine.high == pytest.approx(theirs.high, abs=0.05 * width)


def test_how_the_list_was_cut_does_not_change_the_draws_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "MOST_ROWS", 30)
    one, other = comparison_of(in_parts(90, 20), resamples=50), comparison_of(in_parts(90, 40, 41, 80), resamples=50)
    assert one == other


def test_a_spread_sample_is_spread() -> None:
    sample: SpreadSample[int] = SpreadSample(100)
    sample.extend(range(1_000))
    assert sample.items == list(range(0, 1_000, 16))


def test_the_sample_is_that_of_the_whole_list() -> None:
    references, systems, _ = spoken(90, 1)
    assert in_parts(90, 30).normalized() == normalized_rate(references, systems["first_pass"])
