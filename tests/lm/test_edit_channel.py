"""Texts corrupted by an edit channel have the edits that it learnt, as often, and no others."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_lm.errors import InputError
from asr_lm.lm.training.edit_channel import EditChannel, contexts, heard_as

TEXTS = st.text(alphabet="ab ", max_size=12).map(lambda text: " ".join(text.split()))


@given(TEXTS, TEXTS)
def test_what_symbols_are_heard_as_joins_to_what_was_heard(said: str, heard: str) -> None:
    outputs = heard_as(said, heard)
    assert len(outputs) == len(said) + 1
    assert "".join(outputs) == heard
    assert heard_as(said, said) == ["", *said]


@given(TEXTS, st.integers(0, 5))
def test_without_errors_nothing_changes(text: str, seed: int) -> None:
    learnt = EditChannel.learn([(text, [text])] * 30)
    assert learnt.corrupt(text, np.random.default_rng(seed)) == [text]
    assert learnt.corrupt("xyz " + text, np.random.default_rng(seed)) == [f"xyz {text}".strip()]
    assert EditChannel({}).corrupt(text, np.random.default_rng(seed)) == [text]


def test_edits_are_drawn_as_often_as_they_were_learnt() -> None:
    heard = ["us air"] * 40 + ["u s air"] * 30 + ["us a"] * 20 + ["as air"] * 10
    learnt = EditChannel.learn([("us air", [text]) for text in heard])
    random = np.random.default_rng(1)
    counts: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    texts: Counter[str] = Counter()
    for _ in range(8000):
        outputs = learnt.draw("us air", random)
        texts["".join(outputs)] += 1
        changed = [False, *(output != symbol for output, symbol in zip(outputs, ["", *"us air"], strict=True))]
        for place, output in enumerate(outputs):
            counts[contexts("us air", place, changed[place])[0]][output] += 1
    for context, found in counts.items():
        expected = np.diff([0.0, *learnt.outputs[context].sums])
        assert found.keys() <= set(learnt.outputs[context].texts)
        shares = [found[text] / found.total() for text in learnt.outputs[context].texts]
        np.testing.assert_allclose(shares, expected, atol=4 * (0.25 / found.total()) ** 0.5)
    # What one stretch is heard as has nothing to do with another one.
    assert texts["us air"] / 8000 == pytest.approx(0.6 * 0.8, abs=0.03)
    assert texts["u s air"] / 8000 == pytest.approx(0.3 * 0.8, abs=0.03)
    assert texts["as a"] / 8000 == pytest.approx(0.1 * 0.2, abs=0.03)
    assert sum(texts[text] for text in ("us air", "u s air", "as air", "us a", "u s a", "as a")) == 8000


def test_each_symbol_depends_on_its_neighbours_and_on_the_error_before() -> None:
    # An "a" between two "b" becomes "x" or not; the "b" after it does only where the "a" did.
    learnt = EditChannel.learn([("bab", ["bab"] * 50 + ["bxx"] * 50)])
    random = np.random.default_rng(2)
    assert {text for _ in range(300) for text in learnt.corrupt("bab", random)} == {"bab", "bxx"}
    assert contexts("bab", 2, True)[0] != contexts("bab", 2, False)[0]
    assert {learnt.corrupt("aaa", random)[0] for _ in range(50)} <= {
        "aaa",
        "xaa",
        "axa",
        "aax",
        "xxa",
        "axx",
        "xax",
        "xxx",
    }


def test_a_seed_says_everything() -> None:
    lists = [("the ferry is late", ["the fairy is lathe", "a ferry is late", "the ferry islet"])] * 30
    learnt = EditChannel.learn(lists)
    first, again, other = (
        [learnt.corrupt("the last ferry", np.random.default_rng([seed, n])) for n in range(20)] for seed in (1, 1, 2)
    )
    assert first == again != other
    assert all(len(some) == 3 for some in first)


def test_hypotheses_of_a_list_share_their_errors_as_they_did() -> None:
    together = [("one two", ["on two"] * 4), ("one two", ["one two"] * 4)] * 20
    apart = [("one two", ["on two", "one two", "one too", "one tw"])] * 40
    found = {}
    for name, lists in (("together", together), ("apart", apart)):
        learnt, random = EditChannel.learn(lists), np.random.default_rng(3)
        found[name] = np.mean([len(set(learnt.corrupt("one two", random))) for _ in range(300)])
    assert found["together"] == 1.0
    assert found["apart"] > 1.8
    assert EditChannel.learn(together).sharing == 1.0


def test_there_has_to_be_a_list() -> None:
    with pytest.raises(InputError, match="no list"):
        EditChannel.learn([])
    assert EditChannel.learn([("", [""])]).corrupt("", np.random.default_rng(0)) == [""]
