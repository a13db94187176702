"""What is applied: the simplest system that no other beats on utterances that it was not tuned on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from counting_model import counting

from asr_lm.evaluation.roles import FIRST_PASS, RESCORED, RETUNED
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.rescoring.decisions import apply
from asr_lm.rescoring.development import tune
from asr_lm.rescoring.features.table import FeatureTable
from asr_lm.rescoring.second_pass import Rescored, rescore
from asr_lm.rescoring.systems import System, Systems, systems_for_rescore
from asr_lm.rescoring.tuned import Tuned
from asr_lm.rescoring.tuning.shrink import STRENGTHS, shrunk_weights
from asr_lm.rescoring.weights import Weights

WORDS = tuple("abcdefgh")


def lists(count: int, seed: int, *, honest: bool) -> list[Utterance]:
    """Lists whose order says all that can be known, or whose first hypothesis is as wrong as any."""
    generator = np.random.default_rng(seed)
    found = []
    for number in range(count):
        said = generator.choice(WORDS, 5).tolist()
        texts = [" ".join([*said[:place], "x", *said[place + 1 :]]) for place in range(4)]
        if honest:
            texts = [" ".join(said), *texts] if number % 4 else [*texts, " ".join(said)]
        else:
            texts = [*texts, " ".join(said)]
        hypotheses = tuple(Hypothesis(text, {"acoustic": -float(rank)}) for rank, text in enumerate(texts))
        found.append(Utterance(f"{seed}-{number}", hypotheses, " ".join(said)))
    return found


def blind():  # type: ignore[no-untyped-def]
    """A model to which all words are alike."""
    return counting("lm", (*WORDS, "x"))


def knowing():  # type: ignore[no-untyped-def]
    """A model that knows the wrong word."""
    return counting("lm", (*WORDS, "x"), costs={"x": 4.0})


def tuned(model, utterances: list[Utterance], **how: bool) -> Tuned:  # type: ignore[no-untyped-def]
    return tune(utterances, [model], systems_for_rescore(["lm"]), **how)


class TestChoice:
    def test_a_model_that_knows_nothing_is_not_applied(self) -> None:
        found = tuned(blind(), lists(40, 1, honest=True))
        assert found.systems.final == FIRST_PASS
        assert list(found.by_system) == [RETUNED, RESCORED, FIRST_PASS]
        test = lists(20, 2, honest=True)
        result = Rescored.concatenate(list(rescore(test, [blind()], found)))
        for before, after in zip(test, result.utterances, strict=True):
            assert [h.text for h in after.hypotheses] == [h.text for h in before.hypotheses]

    def test_force_applies_it_all_the_same(self) -> None:
        assert tuned(blind(), lists(40, 1, honest=True), force=True).systems.final == RESCORED

    def test_a_model_that_knows_is_applied(self) -> None:
        found = tuned(knowing(), lists(40, 1, honest=False))
        assert found.systems[found.systems.final].models == ("lm",)
        result = Rescored.concatenate(list(rescore(lists(20, 2, honest=False), [knowing()], found)))
        assert all(u.hypotheses[0].text == u.reference for u in result.utterances)

    def test_saved_weights_choose_the_same(self, tmp_path: Path) -> None:
        for model, honest in ((blind(), True), (knowing(), False)):
            found = tuned(model, lists(40, 1, honest=honest))
            found.save(tmp_path / "w.json")
            test = lists(20, 2, honest=honest)
            again = Tuned.of_weights(Weights.load(tmp_path / "w.json"), [model])
            chosen = [
                [u.hypotheses[0].text for part in rescore(test, [model], weights) for u in part.utterances]
                for weights in (found, again)
            ]
            assert chosen[0] == chosen[1]

    def test_fewer_utterances_than_folds_keep_the_first_pass(self) -> None:
        found = tuned(knowing(), lists(3, 1, honest=False))
        assert found.systems.final == FIRST_PASS
        assert found.development is not None
        assert found.development.check is None

    def test_the_candidates_are_each_model_alone_and_all(self) -> None:
        systems = systems_for_rescore(["one", "two"])
        names = [(row.name, row.models) for row in systems.candidates()]
        assert names == [(RETUNED, ()), ("one", ("one",)), ("two", ("two",)), (RESCORED, ("one", "two"))]
        assert [row.name for row in systems.candidates({"two": -1})] == [RETUNED, "one", RESCORED]

    def test_what_decides_is_a_row_once(self) -> None:
        systems = systems_for_rescore(["one"])
        shrunk = System(RESCORED, ("one",)).shrunk(3.0, ranked=False)
        assert systems.choosing(None) == Systems(systems.rows, FIRST_PASS)
        assert [row.name for row in systems.choosing(shrunk).rows] == [RETUNED, RESCORED, "rescored, shrunk"]
        assert systems.choosing(systems.rows[0]).rows == systems.rows


@pytest.fixture(scope="module")
def table() -> FeatureTable:
    utterances = lists(30, 3, honest=True)
    rows = sum(len(utterance.hypotheses) for utterance in utterances)
    return FeatureTable.from_utterances(utterances, {"lm": np.random.default_rng(0).standard_normal(rows)})


class TestShrinking:
    def test_a_strong_prior_keeps_the_first_pass(self, table: FeatureTable) -> None:
        weights = shrunk_weights(table, ("acoustic", "lm"), 1e6)
        assert (apply(weights, table).rows == table.lists.starts).all()
        assert abs(weights.values["lm"]) < 1e-3

    def test_the_weaker_the_prior_the_farther_the_weights_go(self, table: FeatureTable) -> None:
        weights = [shrunk_weights(table, ("acoustic", "lm"), strength) for strength in (1e6, *STRENGTHS, 0.0)]
        moved = [abs(found.values["lm"]) for found in weights]
        assert moved == sorted(moved)

    def test_signs_hold(self, table: FeatureTable) -> None:
        assert shrunk_weights(table, ("acoustic", "lm"), 0.0).values["lm"] >= 0
        assert shrunk_weights(table, ("acoustic", "lm"), 0.0, signs={"lm": -1}).values["lm"] <= 0
