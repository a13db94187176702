"""What is applied: the simplest system that no other beats on utterances that it was not tuned on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from counting_model import counting
from msgspec.structs import replace

from asr_lm.errors import InputError
from asr_lm.evaluation.roles import FIRST_PASS, RESCORED, RETUNED
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.rescoring.decisions import apply
from asr_lm.rescoring.development import tune
from asr_lm.rescoring.features.table import FeatureTable
from asr_lm.rescoring.second_pass import Rescored, rescore
from asr_lm.rescoring.systems import System, Systems, systems_for_rescore
from asr_lm.rescoring.tuned import Tuned
from asr_lm.rescoring.tuning.choose import check_held_out, system_weights
from asr_lm.rescoring.tuning.shrink import STRENGTHS, shrunk_weights
from asr_lm.rescoring.tuning.tune import assign_folds, completed, hold_out
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
        shrunk = System(RESCORED, ("one",)).shrunk(3.0, words=False)
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


def averaged(count: int, seed: int) -> list[Utterance]:
    """Lists with averages a letter, of which the sums are right: by two nats, whatever the length and the sound."""
    generator = np.random.default_rng(seed)
    found = []
    for number in range(count):
        texts = [" ".join(generator.choice(WORDS, size).tolist()) for size in generator.permutation(range(2, 12))[:2]]
        wrong = -float(generator.uniform(1, 20))
        averages = [
            total / len(f"{text}.".replace(" ", "")) for text, total in zip(texts, (wrong + 2, wrong), strict=True)
        ]
        heard = [Hypothesis(text, {"score": average}) for text, average in zip(texts, averages, strict=True)]
        heard.sort(key=lambda hypothesis: -hypothesis.scores["score"])
        found.append(Utterance(f"{seed}-{number}", tuple(heard), texts[0]))
    return found


class TestTimesLength:
    def test_the_column_is_the_score_times_the_characters_and_the_end(self) -> None:
        table = FeatureTable.from_utterances(averaged(5, 1))
        expected = table.column("score") * (table.column("characters") + 1)
        np.testing.assert_array_equal(table.column("score times length"), expected)
        assert table.has("score times length")
        assert [column.kind for column in table.kinds(["score times length", "words"])] == ["first-pass", "length"]
        for stranger in ("words times length", "other times length", " times length"):
            assert not table.has(stranger)
            with pytest.raises(InputError, match="no feature"):
                table.column(stranger)

    def test_an_average_is_taken_times_the_length_where_that_holds_out_better(self) -> None:
        systems = Systems((System(RETUNED),), RETUNED)
        found = tune(averaged(200, 1), [], systems)
        chosen = found.systems[found.systems.final]
        assert chosen.timed
        assert chosen.name.endswith("score times length")
        assert "score times length" in found.weights.values
        assert "score" not in found.weights.values
        test = averaged(30, 2)
        parts = list(rescore(test, [], found))
        right = [u.hypotheses[0].text == u.reference for part in parts for u in part.utterances]
        assert np.mean(right) > 0.9

    def test_sums_stay_as_they_are(self) -> None:
        utterances = [
            Utterance(
                one.id,
                tuple(Hypothesis(h.text, {"sum": 100 * h.scores["score"]}) for h in one.hypotheses),
                one.reference,
            )
            for one in averaged(60, 1)
        ]
        found = tune(utterances, [], Systems((System(RETUNED),), RETUNED))
        assert not any(row.timed for row in found.systems.rows)


class TestExpectedErrors:
    def test_they_are_those_of_the_posteriors_of_the_other_folds_weights(self, table: FeatureTable) -> None:
        assigned = assign_folds(table, 3)

        def fit(part: FeatureTable) -> Weights:
            return Weights(values={"acoustic": 1.0 + len(part.utterances) / 100}, scale=0.5)

        folds = hold_out(table, assigned, fit)
        for number, expected in enumerate(folds.expected):
            part = table.select_utterances(np.array([number]))
            others = fit(table.select_utterances(assigned != assigned[number]))
            by_hand = apply(others, part).posteriors @ part.errors.sum(1)
            assert expected == pytest.approx(by_hand)

    def test_sharp_posteriors_expect_what_is_made(self, table: FeatureTable) -> None:
        folds = hold_out(table, assign_folds(table, 3), lambda part: Weights(values={"acoustic": 1.0}, scale=1e6))
        np.testing.assert_allclose(folds.expected, table.errors.sum(1)[folds.rows])

    @pytest.mark.parametrize("turned", [False, True])
    def test_the_first_pass_is_its_scores_or_its_order_where_these_choose_worse(self, turned: bool) -> None:
        utterances = lists(30, 3, honest=True)
        if turned:
            utterances = [
                replace(
                    one,
                    hypotheses=tuple(replace(h, scores={"acoustic": -h.scores["acoustic"]}) for h in one.hypotheses),
                )
                for one in utterances
            ]
        found = FeatureTable.from_utterances(utterances)
        own = check_held_out(found, [System(RETUNED)]).expected
        name = "rank" if turned else "acoustic"
        divisions = [assign_folds(found, 5, seed) for seed in (None, 1, 2)]
        by_hand = [hold_out(found, folds, lambda part: completed(part, [name], {name: 1.0})) for folds in divisions]
        np.testing.assert_allclose(own, np.mean([folds.expected for folds in by_hand], axis=0))


def misled() -> FeatureTable:
    """Lists whose first hypothesis is as wrong as any, and a model that mostly knows the wrong word."""
    utterances = lists(40, 1, honest=False)
    wrong = [-float("x" in hypothesis.text) for one in utterances for hypothesis in one.hypotheses]
    noise = np.random.default_rng(0).standard_normal(len(wrong)) / 2
    return FeatureTable.from_utterances(utterances, {"lm": np.array(wrong) + noise})


class TestCloseCalls:
    """One division into folds may say anything of a close call: the mean over several decides."""

    SYSTEM = System(RESCORED, ("lm",), strength=3.0)

    def test_only_close_ones_are_judged_by_all_divisions(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = misled()
        clear = check_held_out(found, [self.SYSTEM]).best
        monkeypatch.setattr("asr_lm.rescoring.tuning.choose.CLOSE", np.inf)
        close = check_held_out(found, [self.SYSTEM]).best
        assert clear is not None
        assert close is not None
        assert (len(clear.divisions), len(close.divisions)) == (1, 3)
        assert close.folds.held_out == clear.folds.held_out
        by_hand = [
            hold_out(found, assign_folds(found, 5, seed), lambda part: system_weights(part, self.SYSTEM, {}))
            for seed in (None, 1, 2)
        ]
        np.testing.assert_allclose(close.expected, np.mean([folds.expected for folds in by_hand], axis=0))
        errors = [found.counts(folds.rows)[:, :3].sum() for folds in by_hand]
        assert close.errors == pytest.approx(np.mean(errors))

    def test_of_many_utterances_one_division_is_enough(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("asr_lm.rescoring.tuning.choose.CLOSE", np.inf)
        monkeypatch.setattr("asr_lm.rescoring.tuning.choose.FEW", 39)
        best = check_held_out(misled(), [self.SYSTEM]).best
        assert best is not None
        assert len(best.divisions) == 1
