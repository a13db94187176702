"""From a development list to weights, and from weights to a rescored list and its evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from counting_model import counting, listed
from noted_progress import Noted

from asr_lm.errors import InputError
from asr_lm.evaluation.comparison import Comparison
from asr_lm.evaluation.roles import COMPOSITIONAL_ORACLE, FIRST_PASS, ORACLE, RESCORED, RETUNED
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.rescoring import second_pass as module
from asr_lm.rescoring.default_model import FIRST_PASS_TOTAL, read_default_weights
from asr_lm.rescoring.development import tune
from asr_lm.rescoring.rules.mbr import word_distances
from asr_lm.rescoring.rules.registry import RULES
from asr_lm.rescoring.scoring.models import RescoringModel, feature_table
from asr_lm.rescoring.scoring.scorer import shards
from asr_lm.rescoring.second_pass import Rescored, rescore
from asr_lm.rescoring.settings import Measuring
from asr_lm.rescoring.systems import System, systems_for_comparison, systems_for_rescore
from asr_lm.rescoring.tuned import DEVELOPMENT, Development, Tuned, references_fingerprint, refuse_development
from asr_lm.rescoring.weights import Weights
from asr_lm.text.sentence_hashes import SentenceHashes

RIGHT, WRONG = ("a", "b", "c", "d"), ("x", "y", "z")


def spoken(count: int, seed: int, prefix: str = "u") -> list[Utterance]:
    """Utterances of right words, hypotheses with some wrong ones, an acoustic score that errs."""
    generator = np.random.default_rng(seed)
    utterances = []
    for number in range(count):
        reference = generator.choice(RIGHT, 6).tolist()
        texts = {" ".join(reference): 0}
        while len(texts) < 2 + number % 4:
            errors = int(generator.integers(1, 4))
            words = list(reference)
            for place in generator.choice(6, errors, replace=False).tolist():
                words[place] = str(generator.choice(WRONG))
            texts.setdefault(" ".join(words), errors)
        scores = {text: -10.0 - 0.3 * errors + generator.standard_normal() for text, errors in texts.items()}
        ranked = sorted(texts, key=lambda text: -scores[text])
        hypotheses = tuple(Hypothesis(text, {"acoustic": float(scores[text])}) for text in ranked)
        name = f"{prefix}{number}"
        utterances.append(Utterance(name, hypotheses, " ".join(reference), f"{prefix}-r{number // 5}"))
    return utterances


def knowing() -> RescoringModel:
    """Knows all words, and that wrong ones are dear."""
    return counting("lm", (*RIGHT, *WRONG), costs=dict.fromkeys(WRONG, 4.0))


@pytest.fixture
def model() -> RescoringModel:
    return knowing()


@pytest.fixture(scope="module")
def tuned() -> Tuned:
    return tuned_on(spoken(60, 0, "d"), [knowing()])


def tuned_on(utterances: Sequence[Utterance], models: Sequence[RescoringModel], **how: Any) -> Tuned:
    """Weights for all models together, and for none."""
    return tune(utterances, models, systems_for_rescore([model.name for model in models]), **how)


def the_list(tuned: Tuned) -> Development:
    assert tuned.development is not None
    return tuned.development


def only(weights: Weights) -> Tuned:
    """One system with these weights."""
    return Tuned.of_weights(weights, [])


def rescored(
    utterances: Sequence[Utterance], models: Sequence[RescoringModel], tuned: Tuned | None, **how: Any
) -> tuple[list[Utterance], Rescored]:
    result = Rescored.concatenate(list(rescore(utterances, models, tuned, **how)))
    return list(result.utterances), result


def rates(comparison: Comparison) -> dict[str, float | None]:
    return {result.name: result.counts.rate for result in comparison.systems}


class TestDevelopment:
    """Weights come from utterances with a reference."""

    def test_the_retuned_first_pass_has_no_model_and_the_rescored_list_all(self, tuned: Tuned) -> None:
        assert list(tuned.by_system) == [RETUNED, RESCORED]
        assert set(tuned.by_system[RETUNED].values) == {"acoustic", "words", "characters"}
        assert set(tuned.by_system[RESCORED].values) == {"acoustic", "words", "characters", "lm", "unknown:lm"}

    def test_tuning_never_loses_to_the_first_pass(self, tuned: Tuned) -> None:
        for weights in tuned.by_system.values():
            assert weights.dev["wer"] <= weights.dev["first_pass_wer"]
            assert weights.dev["oracle_wer"] == 0
        assert tuned.by_system[RESCORED].dev["wer"] < tuned.by_system[RETUNED].dev["wer"]

    @pytest.mark.parametrize("seed", range(6))
    def test_more_models_never_lose_to_fewer_on_the_development_list(self, seed: int) -> None:
        models = [
            counting(name, (*RIGHT, *WRONG), costs=dict(zip(WRONG, costs, strict=True)))
            for name, costs in (("one", (4.0, 0.0, 1.0)), ("two", (0.0, 3.0, -1.0)), ("three", (1.0, 1.0, 1.0)))
        ]
        systems = systems_for_comparison([model.name for model in models])
        weights = tune(spoken(40, seed), models, systems).by_system
        for system in systems.rows:
            for smaller in systems.rows:
                if system.contains(smaller):
                    assert weights[system.name].dev["wer"] <= weights[smaller.name].dev["wer"]

    def test_the_held_out_figure_is_of_the_last_system(self, tuned: Tuned) -> None:
        assert the_list(tuned).cross_validation is not None
        held_out = the_list(tuned).cross_validation.held_out.rate
        assert held_out is not None
        assert held_out < tuned.by_system[RETUNED].dev["wer"]

    def test_utterances_without_a_reference_change_nothing(self, model: RescoringModel) -> None:
        known = spoken(12, 0)
        mixed = [*known[:10], *listed(["x y"], ["z"], acoustic=-1.0), *known[10:]]
        mixed[10:12] = [Utterance(f"silent{n}", u.hypotheses) for n, u in enumerate(mixed[10:12])]
        with_them, without = tuned_on(mixed, [model]), tuned_on(known, [model])
        assert with_them.by_system == without.by_system
        assert with_them.development is not None
        assert without.development is not None
        assert with_them.development.said == without.development.said
        assert with_them.development.fingerprint == without.development.fingerprint

    def test_no_reference_is_refused(self, model: RescoringModel) -> None:
        with pytest.raises(InputError, match="no utterance of the development list has a reference"):
            tuned_on(listed(["a"], ["b"]), [model])

    def test_one_utterance_is_enough_but_for_the_held_out_figure(self, model: RescoringModel) -> None:
        tuned = tuned_on(spoken(1, 0), [model])
        assert the_list(tuned).cross_validation is None
        assert tuned.by_system[RESCORED].dev["utterances"] == 1

    def test_the_share_of_references_that_a_model_has_seen(self, model: RescoringModel) -> None:
        utterances = spoken(20, 0)
        other = counting("other", RIGHT, is_open=True)
        model.seen = SentenceHashes.from_sentences(utterance.reference or "" for utterance in utterances[:5])
        tuned = tuned_on(utterances, [model, other])
        assert the_list(tuned).overlaps == {"lm": 0.25, "other": 0.0}

    def test_a_subtracted_model_counts_against_a_hypothesis(self) -> None:
        bad = counting("bad", (*RIGHT, *WRONG), costs=dict.fromkeys(WRONG, 0.1))
        as_usual = tuned_on(spoken(30, 0), [bad]).by_system[RESCORED]
        subtracted = tuned_on(spoken(30, 0), [bad], signs={"bad": -1}).by_system[RESCORED]
        assert as_usual.values["bad"] >= 0 > subtracted.values["bad"]
        assert subtracted.dev["wer"] < as_usual.dev["wer"]

    def test_a_first_pass_score_can_be_subtracted_too(self, model: RescoringModel) -> None:
        tuned = tuned_on(spoken(20, 0), [model], signs={"acoustic": -1})
        assert all(weights.values["acoustic"] <= 0 for weights in tuned.by_system.values())

    def test_a_sign_for_nothing_is_refused(self, model: RescoringModel) -> None:
        with pytest.raises(InputError, match="called 'ml'; there are lm, acoustic"):
            tuned_on(spoken(5, 0), [model], signs={"ml": -1})

    def test_names_that_clash_are_refused_before_anything_is_scored(self) -> None:
        model = counting("acoustic", RIGHT)
        with pytest.raises(InputError, match="called 'acoustic' too"):
            tuned_on(spoken(5, 0), [model])
        assert model.scorer.computed == 0

    def test_minimum_bayes_risk_comes_with_a_scale(self, model: RescoringModel) -> None:
        tuned = tune(spoken(20, 0), [model], systems_for_rescore(["lm"]).deciding_by("mbr"))
        assert [weights.decision for weights in tuned.by_system.values()] == ["mbr", "mbr"]
        assert all(weights.scale > 0 for weights in tuned.by_system.values())

    def test_systems_for_comparison_are_each_model_and_all(self) -> None:
        systems = systems_for_comparison(["lm"])
        assert systems.rows == (System(RETUNED), System("lm", ("lm",)))
        systems = systems_for_comparison(["lm", "other"])
        members = {system.name: system.models for system in systems.rows}
        assert members == {RETUNED: (), "lm": ("lm",), "other": ("other",), "lm + other": ("lm", "other")}
        assert systems.final == "lm + other"

    def test_features_of_a_system_leave_other_models_out(self, model: RescoringModel) -> None:
        table = feature_table(spoken(5, 0), [model, counting("open", (*RIGHT, *WRONG), is_open=True)])
        assert System("s", ("open",)).features(table) == ("acoustic", "words", "characters", "open")
        assert System("s", ("lm",)).features(table) == ("acoustic", "words", "characters", "lm", "unknown:lm")


class TestRescoring:
    """What is done to a list."""

    def test_it_lowers_the_error_rate(self, model: RescoringModel, tuned: Tuned) -> None:
        _, result = rescored(spoken(100, 1), [model], tuned)
        comparison = result.comparison()
        wer = rates(comparison)
        assert list(wer) == [FIRST_PASS, RETUNED, RESCORED, ORACLE, COMPOSITIONAL_ORACLE]
        assert wer[COMPOSITIONAL_ORACLE] <= wer[ORACLE] <= wer[RESCORED] < wer[RETUNED]
        assert wer[RESCORED] < wer[FIRST_PASS]
        assert comparison.baseline == RETUNED

    @pytest.mark.parametrize("decision", RULES)
    def test_shards_change_nothing(self, model: RescoringModel, monkeypatch: pytest.MonkeyPatch, decision: str) -> None:
        tuned = tune(spoken(20, 0), [model], systems_for_rescore(["lm"]).deciding_by(decision))
        utterances = spoken(60, 1)
        whole, one = rescored(utterances, [model], tuned)
        monkeypatch.setattr(module, "shards", lambda items: shards(items, 7))
        parts, many = rescored(utterances, [model], tuned)
        assert parts == whole
        assert many.comparison() == one.comparison()

    def test_a_list_streams(self, model: RescoringModel, tuned: Tuned, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "shards", lambda items: shards(items, 1))
        taken: list[str] = []

        def source() -> Iterator[Utterance]:
            for utterance in spoken(10, 1):
                taken.append(utterance.id)
                yield utterance

        for number, part in enumerate(rescore(source(), [model], tuned), 1):
            assert taken == [f"u{n}" for n in range(number)]
            assert [utterance.id for utterance in part.utterances] == taken[-1:]

    def test_hypotheses_are_ordered_by_total(self, model: RescoringModel, tuned: Tuned) -> None:
        weights = tuned.by_system[RESCORED].values
        utterances = spoken(40, 1)
        after, _ = rescored(utterances, [model], tuned)
        for old, new in zip(utterances, after, strict=True):
            totals = [hypothesis.total for hypothesis in new.hypotheses]
            assert all(first >= second for first, second in pairwise(totals))
            for hypothesis in new.hypotheses:
                words, acoustic = hypothesis.text.split(), dict(hypothesis.scores)["acoustic"]
                lm = -sum(4.0 if word in WRONG else 1.0 for word in words)
                expected = weights["acoustic"] * acoustic + weights["lm"] * lm
                expected += weights["words"] * len(words) + weights["characters"] * sum(map(len, words))
                assert hypothesis.total == pytest.approx(expected)
                assert hypothesis.scores["lm"] == lm
            assert {(h.text, h.scores["acoustic"]) for h in new.hypotheses} == {
                (h.text, h.scores["acoustic"]) for h in old.hypotheses
            }

    def test_what_the_recogniser_wrote_is_kept(self, tuned: Tuned) -> None:
        model = counting("lm", (*RIGHT, *WRONG), normalizer="librispeech")
        old = Utterance(
            "Ä",
            (
                Hypothesis("  A, x ", {"acoustic": -1.5}, total=7.0, times=((0.0, 0.5), (0.5, 1.0))),
                Hypothesis("", {"acoustic": -90.0}),
                Hypothesis("B", {"acoustic": -95.0}),
            ),
            " A. ",
            "recording",
        )
        (new,), _ = rescored([old], [model], only(Weights(values={"acoustic": 1.0, "lm": 1.0})))
        assert (new.id, new.reference, new.recording) == (old.id, old.reference, old.recording)
        assert [h.text for h in new.hypotheses] == ["  A, x ", "", "B"]
        assert new.hypotheses[0].times == old.hypotheses[0].times
        assert [h.scores for h in new.hypotheses] == [
            {"acoustic": -1.5, "lm": -2.0},
            {"acoustic": -90.0, "lm": 0.0},
            {"acoustic": -95.0, "lm": -1.0},
        ]
        assert [h.total for h in new.hypotheses] == [-3.5, -90.0, -96.0]

    def test_ties_keep_the_recognisers_order(self, model: RescoringModel) -> None:
        (new,), _ = rescored(listed(["a b", "b a", "c d"]), [model], only(Weights(values={"lm": 1.0})))
        assert [hypothesis.text for hypothesis in new.hypotheses] == ["a b", "b a", "c d"]

    def test_minimum_bayes_risk_puts_its_choice_first(self) -> None:
        model = counting("lm", (*RIGHT, *WRONG), is_open=True)
        texts = ["x y z", "a b c", "a b d", "a b"]
        scores = [-1.0, -1.3, -1.4, -1.5]
        utterance = Utterance(
            "u", tuple(Hypothesis(text, {"s": score}) for text, score in zip(texts, scores, strict=True)), "a b c"
        )
        weights = Weights(values={"s": 1.0}, decision="mbr")
        (new,), result = rescored([utterance], [model], only(weights))
        posteriors = np.exp(scores) / np.exp(scores).sum()
        risks = word_distances(texts) @ posteriors
        assert new.hypotheses[0].text == texts[int(risks.argmin())] == "a b c"
        assert [hypothesis.text for hypothesis in new.hypotheses[1:]] == ["x y z", "a b d", "a b"]
        assert rates(result.comparison())[RESCORED] == 0

    def test_weights_for_other_scores_are_refused(self, model: RescoringModel, tuned: Tuned) -> None:
        with pytest.raises(InputError, match=r"the weights need 'acoustic', which the list lacks"):
            rescored(listed(["a"], am_score=-1.0), [model], tuned)

    def test_progress_is_told(self, model: RescoringModel, tuned: Tuned) -> None:
        progress, utterances = Noted(), spoken(10, 1)
        _, result = rescored(utterances, [model], tuned, progress=progress)
        assert sum(count for _, count in progress.counts) == sum(len(utterance.hypotheses) for utterance in utterances)
        assert len(result.outcome) == 10

    def test_a_vocabulary_is_judged_over_the_whole_list(
        self, model: RescoringModel, tuned: Tuned, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "shards", lambda items: shards(items, 1))
        utterances = [
            *listed(["a " * 50], acoustic=-1.0),
            Utterance("new", listed(["k l"], acoustic=-1.0)[0].hypotheses),
        ]
        progress = Noted()
        after, _ = rescored(utterances, [model], tuned, progress=progress)
        assert len(after) == 2
        assert [message.split(" of ")[0] for message in progress.warnings] == ["3.8 %"]


class TestDefaultWeights:
    """Without weights the packaged ones are used."""

    @pytest.mark.parametrize(
        ("scores", "kind"),
        [({}, "rank"), ({"s": -0.5}, "mean"), ({"s": -50.0}, "sum"), ({"s": -0.5, "t": -1.0}, "sum")],
    )
    def test_for_the_kind_that_is_recognised(self, scores: dict[str, float], kind: str) -> None:
        model = counting("lm", (*RIGHT, *WRONG), is_open=True)
        (new,), result = rescored(listed(["a b", "a"], **scores), [model], None)
        assert result.tuned.kind == kind
        assert result.tuned.by_system[RESCORED].values["lm"] == read_default_weights()[kind].model
        for hypothesis in new.hypotheses:
            assert set(hypothesis.scores) == {*scores, "lm"}

    def test_or_for_the_kind_that_is_given(self) -> None:
        model = counting("lm", is_open=True)
        _, result = rescored(listed(["a", "b"], s=-50.0), [model], None, kind="rank")
        assert result.tuned.kind == "rank"
        with pytest.raises(InputError, match="its kind is rank, not the sum"):
            rescored(listed(["a", "b"]), [model], None, kind="sum")

    def test_totals_are_what_the_weights_say(self) -> None:
        packaged = read_default_weights()["sum"]
        model = counting("lm", RIGHT)
        model2 = counting("more", RIGHT, is_open=True)
        (new,), result = rescored(listed(["a b", "a"], s=-50.0, t=-2.0), [model, model2], None)
        for hypothesis in new.hypotheses:
            words = len(hypothesis.text.split())
            expected = packaged.first_pass * -52.0 - packaged.model * words
            expected += packaged.words * words + packaged.characters * words
            assert hypothesis.total == pytest.approx(expected)
        assert FIRST_PASS_TOTAL in result.tuned.by_system[RESCORED].values
        assert "unknown:lm" in result.tuned.by_system[RESCORED].values

    def test_the_first_pass_is_the_baseline(self) -> None:
        _, result = rescored(spoken(10, 1), [counting("lm", (*RIGHT, *WRONG))], None)
        comparison = result.comparison()
        assert list(rates(comparison)) == [FIRST_PASS, RESCORED, ORACLE, COMPOSITIONAL_ORACLE]
        assert comparison.baseline == FIRST_PASS


class TestEvaluation:
    """What is remembered of a list."""

    def test_references_may_be_missing_for_some(self, model: RescoringModel, tuned: Tuned) -> None:
        utterances = spoken(30, 1)
        silent = [Utterance(f"s{u.id}", u.hypotheses, None, u.recording) for u in spoken(20, 2)]
        _, alone = rescored(utterances, [model], tuned)
        after, mixed = rescored([*silent[:10], *utterances, *silent[10:]], [model], tuned)
        assert len(after) == len(mixed.outcome) == 50
        assert mixed.outcome.with_reference == 30
        assert rates(mixed.comparison()) == rates(alone.comparison())
        assert mixed.comparison().with_reference == 30

    def test_no_reference_means_no_comparison(self, model: RescoringModel, tuned: Tuned) -> None:
        silent = [Utterance(u.id, u.hypotheses) for u in spoken(5, 2)]
        after, result = rescored(silent, [model], tuned)
        assert (len(after), result.outcome.with_reference) == (5, 0)
        with pytest.raises(InputError, match="none of the 5 utterances has a reference"):
            result.comparison()

    def test_one_utterance(self, model: RescoringModel, tuned: Tuned) -> None:
        after, result = rescored(spoken(1, 1), [model], tuned)
        assert len(after) == 1
        assert result.comparison()[RESCORED].interval is None

    def test_the_choice_is_evaluated_not_the_list(self) -> None:
        utterances = listed(["x", "a"], ["a", "x"], references=["a", "a"])
        model = counting("lm", ("a", "x"), costs={"x": 9.0})
        _, result = rescored(utterances, [model], only(Weights(values={"lm": 1.0})))
        assert rates(result.comparison()) == dict.fromkeys(
            (FIRST_PASS, RESCORED, ORACLE, COMPOSITIONAL_ORACLE), 0.0
        ) | {FIRST_PASS: 50.0}

    def test_units_and_normalisers_go_through(self, model: RescoringModel) -> None:
        utterances = listed(["A b"], ["c"], references=["a, b", "c d"])
        weights = only(Weights(values={"words": 0.0}))
        _, result = rescored(utterances, [], weights, measuring=Measuring("character", "librispeech"))
        comparison = result.comparison()
        assert (comparison.unit, comparison.normalizer) == ("character", "librispeech")
        assert comparison[RESCORED].counts.errors == 1

    def test_resampling_by_recording_needs_recordings(self, model: RescoringModel, tuned: Tuned) -> None:
        _, result = rescored(spoken(20, 1), [model], tuned, measuring=Measuring(resample="recording"))
        assert result.comparison().units == 4

    def test_overlaps_by_source(self, model: RescoringModel, tuned: Tuned) -> None:
        references = ["a b", "c d", None, "d a"]
        model.seen = SentenceHashes.from_sentences(["c d", "d a"])
        other = counting("other", RIGHT, is_open=True)
        weights = only(Weights(values={"lm": 1.0}))
        _, result = rescored(listed(["a"], ["c d"], ["c d"], ["d"], references=references), [model, other], weights)
        assert result.overlaps() == {"training text of lm": [False, True, False, True]}
        known = tuned_on(listed(["a"], references=["A B!"]), [other])
        assert result.outcome.overlaps([], known)["development list"] == [True, False, False, False]

    def test_a_comparison_can_leave_utterances_out(self, model: RescoringModel, tuned: Tuned) -> None:
        utterances = spoken(30, 1)
        _, whole = rescored(utterances, [model], tuned)
        _, part = rescored(utterances[10:], [model], tuned)
        without = whole.comparison(without=[number < 10 for number in range(30)])
        assert rates(without) == rates(part.comparison())

    def test_a_part_of_a_list_adds_up_with_the_rest(self, model: RescoringModel, tuned: Tuned) -> None:
        utterances = spoken(30, 1)
        _, whole = rescored(utterances, [model], tuned)
        parts = [rescored(part, [model], tuned)[1] for part in (utterances[:7], utterances[7:])]
        both = Rescored.concatenate(parts)
        assert both.utterances == whole.utterances
        assert both.outcome == whole.outcome
        assert both.table.texts == whole.table.texts


class TestHonesty:
    """Weights are never reported on what they were tuned on."""

    def test_the_development_list_is_known_by_what_was_said(self, model: RescoringModel) -> None:
        utterances = spoken(20, 0)
        tuned = tuned_on(utterances, [model])

        def share(items: Sequence[Utterance]) -> float:
            said = [(u.id, u.reference) for u in items if u.reference is not None]
            return refuse_development(said, tuned, 0.01)

        for items in (utterances, utterances[::-1], utterances[3:9]):
            with pytest.raises(InputError, match=r"100 % of the utterances are in the development list: .* never"):
                share(items)
        assert share(spoken(20, 0, "other")) == 0.0
        assert share([Utterance(u.id, u.hypotheses) for u in utterances]) == 0.0
        assert share([*utterances[:10], *spoken(10, 5, "other")]) == 0.5

    def test_a_list_that_was_tuned_on_is_refused_by_the_second_pass_itself(self, model: RescoringModel) -> None:
        utterances = spoken(20, 0)
        with pytest.raises(InputError, match="never reported on the list they were tuned on"):
            rescored(utterances, [model], tuned_on(utterances, [model]))

    def test_a_part_of_it_is_warned_of(self, model: RescoringModel) -> None:
        utterances, progress = spoken(20, 0), Noted()
        mixed = [*utterances[:5], *spoken(15, 5, "other")]
        rescored(mixed, [model], tuned_on(utterances, [model]), progress=progress)
        assert [message.split(" are ")[0] for message in progress.warnings] == ["25.0 % of the utterances"]

    def test_ids_that_merely_number_the_utterances_prove_nothing(self, model: RescoringModel) -> None:
        _, result = rescored(spoken(20, 1), [model], tuned_on(spoken(20, 0), [model]))
        assert len(result.outcome) == 20

    def test_weights_know_the_list_they_were_tuned_on(self, model: RescoringModel) -> None:
        utterances = spoken(20, 0)
        weights = tuned_on(utterances, [model]).weights

        def known(items: Sequence[Utterance], weights: Weights = weights) -> bool:
            try:
                rescored(items, [model], only(weights))
            except InputError as error:
                return "the one that the weights name" in str(error)
            return False

        assert weights.fingerprints[DEVELOPMENT] == references_fingerprint(
            (u.id, u.reference or "") for u in utterances
        )
        assert known(utterances)
        assert known(utterances[::-1])
        assert not known(utterances[1:])
        assert not known(spoken(20, 1))
        assert not known(utterances, weights.replaced(fingerprints={}))

    def test_an_empty_list_is_refused(self, model: RescoringModel, tuned: Tuned) -> None:
        with pytest.raises(InputError, match="the list is empty"):
            rescored([], [model], tuned)
