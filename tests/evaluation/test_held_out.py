"""The verdict claims what held-out errors bear, and names how many utterances would bear it."""

import numpy as np
import pytest

from asr_lm.errors import InputError
from asr_lm.evaluation.held_out import UNCHECKED, beats_first_pass, held_out_verdict, is_won, utterances_needed


def counts(errors, words=10):
    rows = np.zeros((len(errors), 4), dtype=np.int32)
    rows[:, 0], rows[:, 3] = errors, words
    return rows


def test_a_clear_gain_wins():
    found = held_out_verdict(counts([2] * 50 + [1] * 50), counts([0] * 50 + [1] * 50))
    assert found.text == "Held out, the tuned weights beat the first pass: 5.00 % WER against 15.00 %."
    assert (found.wins, found.needed) == (True, None)


def test_a_clear_loss_does_not_win():
    found = held_out_verdict(counts([0] * 50 + [1] * 50), counts([2] * 50 + [1] * 50))
    assert "do worse than the first pass: 15.00 % WER against 5.00 %" in found.text
    assert (found.wins, found.needed) == (False, None)


def test_as_many_errors_win_nothing():
    found = held_out_verdict(counts([1, 0, 2, 0]), counts([0, 1, 0, 2]))
    assert found.text == "Held out, the tuned weights equal the first pass at 7.50 % WER."
    assert (found.wins, found.needed) == (False, None)


def test_what_is_within_noise_is_not_told():
    first, tuned = counts([1] * 4 + [0] * 46), counts([0] * 4 + [1] * 3 + [0] * 43)
    found = held_out_verdict(first, tuned, "character")
    assert found.wins is None
    # Variance 0.1424 and mean 1/50: (1.960 + 0.842)^2 * 0.1424 * 2500.
    assert found.needed == 2796
    assert found.text == (
        "Held out, the tuned weights are within noise of the first pass: 0.60 % CER against 0.80 %; "
        "50 utterances are too few to tell, about 2,796 would be needed."
    )


def test_the_number_needed_gives_the_power_promised():
    draw = np.random.default_rng(0)
    values, shares = np.array([-1.0, 0.0, 1.0]), np.array([0.25, 0.6, 0.15])
    population = np.repeat(values, (shares * 10_000).astype(int))
    needed = utterances_needed(population)
    assert needed == pytest.approx((1.95996 + 0.84162) ** 2 * 0.39 / 0.01, rel=0.01)
    samples = draw.choice(values, (4000, needed), p=shares)
    z = samples.mean(1) / (samples.std(1, ddof=1) / np.sqrt(needed))
    assert (np.abs(z) > 1.95996).mean() == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("better", [False, True])
def test_ever_more_of_the_same_is_told_in_the_end(better):
    one = [1, 0, 0, 1, 0], [0, 0, 0, 1, 1, 0, 0, 0, 0, 1]
    first, tuned = counts([*one[0], 1, 1, 0, 0, 0]), counts(one[1])
    if better is False:
        first, tuned = tuned, first
    small = held_out_verdict(first, tuned)
    assert small.wins is None
    times = small.needed // len(first) + 1
    large = held_out_verdict(np.tile(first, (times, 1)), np.tile(tuned, (times, 1)))
    assert large.wins is better


def test_what_cannot_be_estimated_has_no_number():
    assert utterances_needed(np.zeros(9)) is None
    assert utterances_needed(np.ones(9)) is None
    assert utterances_needed(np.ones(1)) is None
    one = held_out_verdict(counts([1]), counts([0]))
    assert (one.wins, one.needed) == (None, None)
    assert one.text.endswith("; 1 utterance is too few to tell.")
    assert held_out_verdict(counts([1], words=0), counts([0], words=0)) is UNCHECKED


def test_other_references_are_refused():
    with pytest.raises(InputError, match="expected the same utterances"):
        held_out_verdict(counts([1, 0]), counts([1, 0], words=9))


def test_ties_and_noise_go_to_the_simpler_system() -> None:
    some = counts([2, 0, 1, 3] * 10)
    assert not is_won(some, some)
    assert not is_won(counts([1, 0] * 20), counts([0, 1] * 20))
    assert not is_won(counts([1] + [0] * 39), counts([0] * 40))
    assert is_won(counts([1] * 10 + [0] * 30), counts([0] * 40))
    assert not is_won(counts([1]), counts([0]))


def test_one_utterance_that_fails_altogether_decides_nothing() -> None:
    before = counts([30] + [0] * 39)
    assert not is_won(before, counts([0] + [0] * 39))
    # Fewer errors as they are must be there, too.
    assert not is_won(counts([0] + [1] * 20 + [0] * 19), counts([30] + [0] * 39))


def test_the_fewer_utterances_the_more_must_be_won_against_the_first_pass() -> None:
    gain = [1, 0, 1, -1, 1, 0, -1, 1, 0, 1]
    won = [beats_first_pass(counts([2] * 10 * times), counts([2 - g for g in gain] * times)) for times in (1, 2, 5, 30)]
    assert won == [False, False, True, True]


def test_expected_errors_decide_where_the_errors_made_fell() -> None:
    some, fewer = counts([1] + [0] * 39), counts([0] * 40)
    before = np.full(40, 0.3)
    after = before - np.linspace(0.05, 0.15, 40)
    assert is_won(some, fewer, expected=(before, after))
    assert not is_won(some, fewer, expected=(after, before))
    assert not is_won(some, some, expected=(before, after))
    assert not is_won(fewer, some, expected=(before, after))


def test_what_is_beyond_noise_by_the_errors_made_needs_no_more() -> None:
    before, after = counts([1] * 20 + [0] * 80), counts([0] * 100)
    expected = np.linspace(0.1, 0.2, 100)
    assert beats_first_pass(before, after, (expected, expected + 0.01))
    assert held_out_verdict(before, after).wins
    assert not beats_first_pass(after, before, (expected, expected - 0.05))


def test_of_few_utterances_the_errors_made_must_say_as_much_as_those_expected() -> None:
    """With 25 utterances two standard errors are seen too often by chance."""
    gain = [1] * 6 + [0] * 18 + [-1] * 1
    before, after = counts([2] * 25), counts([2 - g for g in gain])
    assert not beats_first_pass(before, after)
    assert held_out_verdict(before, after).wins is None
    before, after = (counts(list(some[:, 0]) * 4) for some in (before, after))
    assert beats_first_pass(before, after)
    assert held_out_verdict(before, after).wins
