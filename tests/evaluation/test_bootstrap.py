import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_lm.errors import InputError
from asr_lm.evaluation import bootstrap
from asr_lm.evaluation.bootstrap import Interval, PairedDifference, Resamples


def counts_of(errors, lengths):
    """Counts whose errors are all substitutions."""
    counts = np.zeros((len(lengths), 4), dtype=np.int32)
    counts[:, 0], counts[:, 3] = errors, lengths
    return counts


def ordinary(utterances, seed, rate=0.1):
    generator = np.random.default_rng(seed)
    lengths = generator.integers(3, 30, utterances)
    return counts_of(generator.binomial(lengths, rate), lengths)


def pair(utterances, seed):
    """Two systems on one set of references; the second is a little better."""
    first = ordinary(utterances, seed)
    second = first.copy()
    second[:, 0] = np.random.default_rng(seed + 1).binomial(first[:, 0], 0.9)
    return first, second


@settings(max_examples=50, deadline=None)
@given(st.integers(20, 200), st.integers(0, 1000))
def test_the_interval_holds_the_measured_rate(utterances, seed):
    counts = ordinary(utterances, seed)
    interval = Resamples.draw([counts], resamples=500).interval(0)
    measured = 100 * counts[:, 0].sum() / counts[:, 3].sum()
    assert interval.low <= measured <= interval.high


def test_the_interval_narrows_with_the_root_of_the_utterances():
    widths = []
    for utterances in (100, 1600):
        interval = Resamples.draw([ordinary(utterances, 1)]).interval(0)
        widths.append(interval.high - interval.low)
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.25)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    hits = 0
    for seed in range(300):
        interval = Resamples.draw([ordinary(150, seed)], resamples=400, seed=seed).interval(0)
        hits += interval.low <= 10 <= interval.high
    assert 0.91 < hits / 300 < 0.98


def test_shares_are_those_of_all_possible_draws():
    lengths = [4, 7, 2]
    errors = [[1, 2, 0], [0, 3, 0]]
    exact = []
    for draw in itertools.product(range(3), repeat=3):
        rates = [sum(row[i] for i in draw) / sum(lengths[i] for i in draw) for row in errors]
        exact.append(rates[1] - rates[0])
    difference = Resamples.draw([counts_of(row, lengths) for row in errors], resamples=50_000).difference(0, 1)
    assert difference.improvement == pytest.approx(np.mean(np.array(exact) < 0), abs=0.01)
    assert difference.value == pytest.approx(0.0)
    drawn = Resamples.draw([counts_of(row, lengths) for row in errors], resamples=50_000).rates
    assert np.mean(drawn[:, 1] - drawn[:, 0]) == pytest.approx(100 * np.mean(exact), abs=0.1)


def test_equal_systems_do_not_differ():
    first, _ = pair(100, 3)
    assert Resamples.draw([first, first.copy()]).difference(0, 1) == PairedDifference(0.0, Interval(0.0, 0.0), 0.0)


def test_pairing_is_sharper_than_two_intervals():
    resamples = Resamples.draw(pair(300, 5))
    difference = resamples.difference(0, 1)
    single = resamples.interval(0)
    assert difference.interval.high - difference.interval.low < 0.5 * (single.high - single.low)
    assert difference.interval.high < 0
    assert difference.improvement == 1.0


def test_swapping_the_systems_turns_the_difference_round():
    resamples = Resamples.draw(pair(50, 7))
    there, back = resamples.difference(0, 1), resamples.difference(1, 0)
    assert there.value == -back.value
    assert (there.interval.low, there.interval.high) == pytest.approx((-back.interval.high, -back.interval.low))
    assert there.improvement + back.improvement <= 1.0


def test_recordings_of_one_utterance_each_are_utterances():
    counts = ordinary(80, 2)
    alone = Resamples.draw([counts], recordings=[f"r{i}" for i in range(80)])
    assert alone.interval(0) == Resamples.draw([counts]).interval(0)


def test_utterances_of_one_recording_are_drawn_together():
    lengths = np.tile([5, 15], 20)
    recordings = [f"r{i // 10}" for i in range(40)]
    counts = counts_of(np.concatenate([[0] * 10, [4, 0] * 5, [3, 7] * 5, [4, 14] * 5]), lengths)
    together = Resamples.draw([counts], recordings)
    assert together.units == 4
    possible = {round(sum(draw) / 4, 6) for draw in itertools.product([0, 20, 50, 90], repeat=4)}
    assert set(together.rates[:, 0].round(6).tolist()) <= possible
    apart = Resamples.draw([counts]).interval(0)
    whole = together.interval(0)
    assert whole.high - whole.low > 2 * (apart.high - apart.low)


def test_order_within_and_of_recordings_does_not_matter():
    counts = ordinary(30, 4)
    recordings = [i % 3 for i in range(30)]
    order = sorted(range(30), key=lambda i: recordings[i])
    assert Resamples.draw([counts], recordings).interval(0) == Resamples.draw(
        [counts[order]], [recordings[i] for i in order]
    ).interval(0)


def test_seeds():
    counts = ordinary(50, 1)
    assert Resamples.draw([counts]).interval(0) == Resamples.draw([counts]).interval(0)
    assert Resamples.draw([counts], seed=1).interval(0) != Resamples.draw([counts], seed=2).interval(0)


def test_each_draw_is_as_large_as_the_set(monkeypatch):
    for block in (1, 7, 100, 1 << 17):
        monkeypatch.setattr(bootstrap, "_BLOCK", block)
        drawn = bootstrap._draw_sums(np.column_stack([np.ones(13), np.arange(13.0)]), 50, seed=3)
        assert (drawn[:, 0] == 13).all()
        assert len(np.unique(drawn[:, 1])) > 20


def test_confidence_widens():
    resamples = Resamples.draw([ordinary(100, 1)])
    narrow, wide = resamples.interval(0, 0.5), resamples.interval(0, 0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize("lengths", [[], [7], [0], [0, 0, 0]])
def test_too_little_to_draw_from_gives_no_interval(lengths):
    counts = counts_of(np.ones(len(lengths)), lengths)
    resamples = Resamples.draw([counts, counts])
    assert resamples.interval(0) is None
    difference = resamples.difference(0, 1)
    assert difference.interval is None
    assert difference.improvement is None
    assert difference.value == (0.0 if sum(lengths) else None)


def test_draws_without_a_reference_word_are_left_out():
    resamples = Resamples.draw([counts_of([1, 1, 1], [0, 0, 5])])
    assert np.isfinite(resamples.rates).all()
    assert 0.6 < len(resamples.rates) / bootstrap.RESAMPLES < 0.8  # 1 - (2/3)^3 of the draws hold the third


def test_no_error_at_all():
    assert Resamples.draw([counts_of([0, 0], [5, 6])]).interval(0) == Interval(0.0, 0.0)


def test_systems_must_be_counted_on_the_same_references():
    with pytest.raises(InputError, match="different references"):
        Resamples.draw([ordinary(10, 1), ordinary(10, 2)])
    with pytest.raises(InputError, match="different references"):
        Resamples.draw([ordinary(10, 1), ordinary(9, 1)])
    with pytest.raises(InputError, match="recording of every utterance"):
        Resamples.draw([ordinary(2, 1)], recordings=["a", None])
    with pytest.raises(InputError, match="recording of every utterance"):
        Resamples.draw([ordinary(2, 1)], recordings=["a"])


def test_three_thousand_utterances_take_about_half_a_second():
    systems = pair(3000, 1)
    start = time.process_time()
    Resamples.draw(systems).difference(0, 1)
    assert time.process_time() - start < 3  # the aim is 1 s
