"""Lists of several recognisers become one."""

from __future__ import annotations

import itertools

import pytest

from asr_lm.errors import InputError
from asr_lm.hypotheses.joining import joined_lists
from asr_lm.hypotheses.utterance import Hypothesis, Utterance


def utterance(identity: str = "u", reference: str | None = None, **scores: float) -> Utterance:
    hypotheses = tuple(Hypothesis(text.replace("_", " "), {"am": score}) for text, score in scores.items())
    return Utterance(identity, hypotheses, reference)


def test_every_recogniser_keeps_its_scores() -> None:
    (found,) = joined_lists([[utterance(a=-1.0, b=-2.0)], [utterance(b=-10.0, c=-30.0)]])
    assert {hypothesis.text: hypothesis.scores for hypothesis in found.hypotheses} == {
        "a": {"recogniser1.am": -1, "recogniser1.absent": 0, "recogniser2.am": -30, "recogniser2.absent": -1},
        "b": {"recogniser1.am": -2, "recogniser1.absent": 0, "recogniser2.am": -10, "recogniser2.absent": 0},
        "c": {"recogniser1.am": -2, "recogniser1.absent": -1, "recogniser2.am": -30, "recogniser2.absent": 0},
    }
    assert [hypothesis.text for hypothesis in found.hypotheses] == ["b", "a", "c"]


def test_a_recogniser_without_scores_gives_its_ranks() -> None:
    bare = Utterance("u", (Hypothesis("b"), Hypothesis("a")))
    (found,) = joined_lists([[utterance(a=-1.0)], [bare]])
    assert {each.text: each.scores["recogniser2.rank"] for each in found.hypotheses} == {"a": -1.0, "b": 0.0}


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_no_text_is_lost_or_doubled_in_any_order(order: tuple[int, ...]) -> None:
    lists = [[utterance(a=-1, b=-2)], [utterance(c=-1, a=-2)], [utterance(b=-1, c=-2, d=-3)]]
    (found,) = joined_lists([lists[place] for place in order])
    assert sorted(hypothesis.text for hypothesis in found.hypotheses) == ["a", "b", "c", "d"]
    assert len({frozenset(hypothesis.scores) for hypothesis in found.hypotheses}) == 1


def test_utterances_are_found_by_their_ids() -> None:
    one, other = utterance("u", "x", a=-1), utterance("v", None, b=-1)
    found = joined_lists([[one, other], [utterance("v", "y", c=-1), utterance("u", None, d=-1)]])
    assert [(each.id, each.reference) for each in found] == [("u", "x"), ("v", "y")]


def test_lists_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(InputError, match="only in list 2") as error:
        joined_lists([[utterance("u", a=-1)], [utterance("u", a=-1), utterance("v", a=-1)]])
    assert (error.value.utterance, error.value.parameter) == ("v", "together")
    with pytest.raises(InputError, match="references of the lists differ"):
        joined_lists([[utterance("u", "x", a=-1)], [utterance("u", "y", a=-1)]])
    with pytest.raises(InputError, match="two recognisers"):
        joined_lists([[utterance(a=-1)]])
