"""From a development list to weights, and from weights to a rescored list and its evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pytest
from counting_model import counting, listed

from asr_lm.errors import InputError
from asr_lm.evaluation.comparison import Comparison
from asr_lm.evaluation.roles import FIRST_PASS, ORACLE, RESCORED, RETUNED
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.rescoring import second_pass as module
from asr_lm.rescoring.default_model import FIRST_PASS_TOTAL, read_default_weights
from asr_lm.rescoring.rules.decision import word_distances
from asr_lm.rescoring.scoring.models import RescoringModel, feature_table
from asr_lm.rescoring.scoring.scorer import shards
from asr_lm.rescoring.second_pass import (
    Development,
    Measuring,
    SecondPass,
    develop,
    features_of,
    systems_for_comparison,
    systems_for_rescore,
)
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
def developed() -> Development:
    model = knowing()
    return develop(spoken(60, 0, "d"), [model], systems_for_rescore([model]))


def rescored(
    utterances: Sequence[Utterance], models: Sequence[RescoringModel], weights: dict[str, Weights] | None
) -> tuple[list[Utterance], SecondPass]:
    second_pass = SecondPass(models, weights)
    return list(second_pass.rescore(utterances)), second_pass


def rates(comparison: Comparison) -> dict[str, float | None]:
    return {result.name: result.counts.rate for result in comparison.systems}


class TestDevelopment:
    """Weights come from utterances with a reference."""

    def test_the_retuned_first_pass_has_no_model_and_the_rescored_list_all(self, developed: Development) -> None:
        assert list(developed.weights) == [RETUNED, RESCORED]
        assert set(developed.weights[RETUNED].values) == {"acoustic", "words", "characters"}
        assert set(developed.weights[RESCORED].values) == {"acoustic", "words", "characters", "lm", "unknown:lm"}

    def test_tuning_never_loses_to_the_first_pass(self, developed: Development) -> None:
        for weights in developed.weights.values():
            assert weights.dev["wer"] <= weights.dev["first_pass_wer"]
            assert weights.dev["oracle_wer"] == 0
        assert developed.weights[RESCORED].dev["wer"] < developed.weights[RETUNED].dev["wer"]

    @pytest.mark.parametrize("seed", range(6))
    def test_more_models_never_lose_to_fewer_on_the_development_list(self, seed: int) -> None:
        models = [
            counting(name, (*RIGHT, *WRONG), costs=dict(zip(WRONG, costs, strict=True)))
            for name, costs in (("one", (4.0, 0.0, 1.0)), ("two", (0.0, 3.0, -1.0)), ("three", (1.0, 1.0, 1.0)))
        ]
        systems = systems_for_comparison(models)
        weights = develop(spoken(40, seed), models, systems).weights
        for name, members in systems.items():
            for other, fewer in systems.items():
                if set(fewer) <= set(members):
                    assert weights[name].dev["wer"] <= weights[other].dev["wer"]

    def test_the_held_out_figure_is_of_the_last_system(self, developed: Development) -> None:
        assert developed.cross_validation is not None
        held_out = developed.cross_validation.held_out.rate
        assert held_out is not None
        assert held_out < developed.weights[RETUNED].dev["wer"]

    def test_utterances_without_a_reference_change_nothing(self, model: RescoringModel) -> None:
        known = spoken(12, 0)
        mixed = [*known[:10], *listed(["x y"], ["z"], acoustic=-1.0), *known[10:]]
        mixed[10:12] = [Utterance(f"silent{n}", u.hypotheses) for n, u in enumerate(mixed[10:12])]
        systems = systems_for_rescore([model])
        with_them, without = develop(mixed, [model], systems), develop(known, [model], systems)
        assert with_them.weights == without.weights
        assert with_them.said == without.said
        assert with_them.fingerprint == without.fingerprint

    def test_no_reference_is_refused(self, model: RescoringModel) -> None:
        with pytest.raises(InputError, match="no utterance of the development list has a reference"):
            develop(listed(["a"], ["b"]), [model], systems_for_rescore([model]))

    def test_one_utterance_is_enough_but_for_the_held_out_figure(self, model: RescoringModel) -> None:
        developed = develop(spoken(1, 0), [model], systems_for_rescore([model]))
        assert developed.cross_validation is None
        assert developed.weights[RESCORED].dev["utterances"] == 1

    def test_the_share_of_references_that_a_model_has_seen(self, model: RescoringModel) -> None:
        utterances = spoken(20, 0)
        other = counting("other", RIGHT, is_open=True)
        model.seen = SentenceHashes.from_sentences(utterance.reference or "" for utterance in utterances[:5])
        developed = develop(utterances, [model, other], systems_for_rescore([model, other]))
        assert developed.overlaps == {"lm": 0.25, "other": 0.0}

    def test_a_subtracted_model_counts_against_a_hypothesis(self) -> None:
        bad = counting("bad", (*RIGHT, *WRONG), costs=dict.fromkeys(WRONG, 0.1))
        utterances, systems = spoken(30, 0), systems_for_rescore([bad])
        as_usual = develop(utterances, [bad], systems).weights[RESCORED]
        subtracted = develop(utterances, [bad], systems, signs={"bad": -1}).weights[RESCORED]
        assert as_usual.values["bad"] >= 0 > subtracted.values["bad"]
        assert subtracted.dev["wer"] < as_usual.dev["wer"]

    def test_a_first_pass_score_can_be_subtracted_too(self, model: RescoringModel) -> None:
        developed = develop(spoken(20, 0), [model], systems_for_rescore([model]), signs={"acoustic": -1})
        assert all(weights.values["acoustic"] <= 0 for weights in developed.weights.values())

    def test_a_sign_for_nothing_is_refused(self, model: RescoringModel) -> None:
        with pytest.raises(InputError, match="called 'ml'; there are lm, acoustic"):
            develop(spoken(5, 0), [model], systems_for_rescore([model]), signs={"ml": -1})

    def test_names_that_clash_are_refused_before_anything_is_scored(self) -> None:
        model = counting("acoustic", RIGHT)
        with pytest.raises(InputError, match="called 'acoustic' too"):
            develop(spoken(5, 0), [model], systems_for_rescore([model]))
        assert model.scorer.computed == 0

    def test_minimum_bayes_risk_comes_with_a_scale(self, model: RescoringModel) -> None:
        developed = develop(spoken(20, 0), [model], systems_for_rescore([model]), decision="mbr")
        assert [weights.decision for weights in developed.weights.values()] == ["mbr", "mbr"]
        assert all(weights.scale > 0 for weights in developed.weights.values())

    def test_systems_for_comparison_are_each_model_and_all(self, model: RescoringModel) -> None:
        other = counting("other", RIGHT)
        assert systems_for_comparison([model]) == {RETUNED: (), "lm": ("lm",)}
        systems = systems_for_comparison([model, other])
        assert systems == {RETUNED: (), "lm": ("lm",), "other": ("other",), "lm + other": ("lm", "other")}

    def test_features_of_a_system_leave_other_models_out(self, model: RescoringModel) -> None:
        table = feature_table(spoken(5, 0), [model, counting("open", (*RIGHT, *WRONG), is_open=True)])
        assert features_of(table, ["open"]) == ("acoustic", "words", "characters", "open")
        assert features_of(table, ["lm"]) == ("acoustic", "words", "characters", "lm", "unknown:lm")


class TestRescoring:
    """What is done to a list."""

    def test_it_lowers_the_error_rate(self, model: RescoringModel, developed: Development) -> None:
        _, second_pass = rescored(spoken(100, 1), [model], developed.weights)
        comparison = second_pass.comparison()
        wer = rates(comparison)
        assert list(wer) == [FIRST_PASS, RETUNED, RESCORED, ORACLE]
        assert wer[ORACLE] <= wer[RESCORED] < wer[RETUNED]
        assert wer[RESCORED] < wer[FIRST_PASS]
        assert comparison.baseline == RETUNED

    @pytest.mark.parametrize("decision", ["best", "mbr"])
    def test_shards_change_nothing(
        self, model: RescoringModel, monkeypatch: pytest.MonkeyPatch, decision: module.DecisionRule
    ) -> None:
        weights = develop(spoken(20, 0), [model], systems_for_rescore([model]), decision=decision).weights
        utterances = spoken(60, 1)
        whole, one = rescored(utterances, [model], weights)
        monkeypatch.setattr(module, "shards", lambda items: shards(items, 7))
        parts, many = rescored(utterances, [model], weights)
        assert parts == whole
        assert many.comparison() == one.comparison()

    def test_a_list_streams(
        self, model: RescoringModel, developed: Development, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "shards", lambda items: shards(items, 1))
        taken: list[str] = []

        def source() -> Iterator[Utterance]:
            for utterance in spoken(10, 1):
                taken.append(utterance.id)
                yield utterance

        for number, utterance in enumerate(SecondPass([model], developed.weights).rescore(source()), 1):
            assert taken == [f"u{n}" for n in range(number)]
            assert utterance.id == taken[-1]

    def test_hypotheses_are_ordered_by_total(self, model: RescoringModel, developed: Development) -> None:
        weights = developed.weights[RESCORED].values
        utterances = spoken(40, 1)
        after, _ = rescored(utterances, [model], developed.weights)
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

    def test_what_the_recogniser_wrote_is_kept(self, developed: Development) -> None:
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
        (new,), _ = rescored([old], [model], {RESCORED: Weights(values={"acoustic": 1.0, "lm": 1.0})})
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
        (new,), _ = rescored(listed(["a b", "b a", "c d"]), [model], {RESCORED: Weights(values={"lm": 1.0})})
        assert [hypothesis.text for hypothesis in new.hypotheses] == ["a b", "b a", "c d"]

    def test_minimum_bayes_risk_puts_its_choice_first(self) -> None:
        model = counting("lm", (*RIGHT, *WRONG), is_open=True)
        texts = ["x y z", "a b c", "a b d", "a b"]
        scores = [-1.0, -1.3, -1.4, -1.5]
        utterance = Utterance(
            "u", tuple(Hypothesis(text, {"s": score}) for text, score in zip(texts, scores, strict=True)), "a b c"
        )
        weights = Weights(values={"s": 1.0}, decision="mbr")
        (new,), second_pass = rescored([utterance], [model], {RESCORED: weights})
        posteriors = np.exp(scores) / np.exp(scores).sum()
        risks = word_distances(texts) @ posteriors
        assert new.hypotheses[0].text == texts[int(risks.argmin())] == "a b c"
        assert [hypothesis.text for hypothesis in new.hypotheses[1:]] == ["x y z", "a b d", "a b"]
        assert rates(second_pass.comparison())[RESCORED] == 0

    def test_weights_for_other_scores_are_refused(self, model: RescoringModel, developed: Development) -> None:
        with pytest.raises(InputError, match=r"the weights need 'acoustic', which the list lacks"):
            rescored(listed(["a"], am_score=-1.0), [model], developed.weights)

    def test_progress_is_told(self, model: RescoringModel, developed: Development) -> None:
        told: list[int] = []
        second_pass = SecondPass([model], developed.weights, report=lambda name, count: told.append(count))
        utterances = spoken(10, 1)
        list(second_pass.rescore(utterances))
        assert sum(told) == sum(len(utterance.hypotheses) for utterance in utterances)
        assert second_pass.utterances == 10

    def test_a_vocabulary_is_judged_over_the_whole_list(
        self, model: RescoringModel, developed: Development, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "shards", lambda items: shards(items, 1))
        utterances = [
            *listed(["a " * 50], acoustic=-1.0),
            Utterance("new", listed(["k l"], acoustic=-1.0)[0].hypotheses),
        ]
        warned: list[str] = []
        after = list(SecondPass([model], developed.weights, warn=warned.append).rescore(utterances))
        assert len(after) == 2
        assert [message.split(" of ")[0] for message in warned] == ["3.8 %"]


class TestDefaultWeights:
    """Without weights the packaged ones are used."""

    @pytest.mark.parametrize(
        ("scores", "kind"),
        [({}, "rank"), ({"s": -0.5}, "mean"), ({"s": -50.0}, "sum"), ({"s": -0.5, "t": -1.0}, "sum")],
    )
    def test_for_the_kind_that_is_recognised(self, scores: dict[str, float], kind: str) -> None:
        model = counting("lm", (*RIGHT, *WRONG), is_open=True)
        (new,), second_pass = rescored(listed(["a b", "a"], **scores), [model], None)
        assert second_pass.kind == kind
        assert second_pass.weights is not None
        assert second_pass.weights[RESCORED].values["lm"] == read_default_weights()[kind].model
        for hypothesis in new.hypotheses:
            assert set(hypothesis.scores) == {*scores, "lm"}

    def test_or_for_the_kind_that_is_given(self) -> None:
        second_pass = SecondPass([counting("lm", is_open=True)], None, kind="rank")
        list(second_pass.rescore(listed(["a", "b"], s=-50.0)))
        assert second_pass.kind == "rank"
        impossible = SecondPass([counting("lm", is_open=True)], None, kind="sum")
        with pytest.raises(InputError, match="its kind is rank, not the sum"):
            list(impossible.rescore(listed(["a", "b"])))

    def test_totals_are_what_the_weights_say(self) -> None:
        packaged = read_default_weights()["sum"]
        model = counting("lm", RIGHT)
        model2 = counting("more", RIGHT, is_open=True)
        (new,), second_pass = rescored(listed(["a b", "a"], s=-50.0, t=-2.0), [model, model2], None)
        for hypothesis in new.hypotheses:
            words = len(hypothesis.text.split())
            expected = packaged.first_pass * -52.0 - packaged.model * words
            expected += packaged.words * words + packaged.characters * words
            assert hypothesis.total == pytest.approx(expected)
        assert second_pass.weights is not None
        assert FIRST_PASS_TOTAL in second_pass.weights[RESCORED].values
        assert "unknown:lm" in second_pass.weights[RESCORED].values

    def test_the_first_pass_is_the_baseline(self) -> None:
        _, second_pass = rescored(spoken(10, 1), [counting("lm", (*RIGHT, *WRONG))], None)
        comparison = second_pass.comparison()
        assert list(rates(comparison)) == [FIRST_PASS, RESCORED, ORACLE]
        assert comparison.baseline == FIRST_PASS


class TestEvaluation:
    """What is remembered of a list."""

    def test_references_may_be_missing_for_some(self, model: RescoringModel, developed: Development) -> None:
        utterances = spoken(30, 1)
        silent = [Utterance(f"s{u.id}", u.hypotheses, None, u.recording) for u in spoken(20, 2)]
        _, alone = rescored(utterances, [model], developed.weights)
        after, mixed = rescored([*silent[:10], *utterances, *silent[10:]], [model], developed.weights)
        assert len(after) == mixed.utterances == 50
        assert mixed.references == 30
        assert rates(mixed.comparison()) == rates(alone.comparison())
        assert mixed.comparison().with_reference == 30

    def test_no_reference_means_no_comparison(self, model: RescoringModel, developed: Development) -> None:
        silent = [Utterance(u.id, u.hypotheses) for u in spoken(5, 2)]
        after, second_pass = rescored(silent, [model], developed.weights)
        assert (len(after), second_pass.references) == (5, 0)
        with pytest.raises(InputError, match="none of the 5 utterances has a reference"):
            second_pass.comparison()

    def test_one_utterance(self, model: RescoringModel, developed: Development) -> None:
        after, second_pass = rescored(spoken(1, 1), [model], developed.weights)
        assert len(after) == 1
        assert second_pass.comparison()[RESCORED].interval is None

    def test_the_choice_is_evaluated_not_the_list(self) -> None:
        utterances = listed(["x", "a"], ["a", "x"], references=["a", "a"])
        model = counting("lm", ("a", "x"), costs={"x": 9.0})
        _, second_pass = rescored(utterances, [model], {RESCORED: Weights(values={"lm": 1.0})})
        assert rates(second_pass.comparison()) == {FIRST_PASS: 50.0, RESCORED: 0.0, ORACLE: 0.0}

    def test_units_and_normalisers_go_through(self, model: RescoringModel) -> None:
        utterances = listed(["A b"], ["c"], references=["a, b", "c d"])
        weights = {RESCORED: Weights(values={"words": 0.0})}
        second_pass = SecondPass([], weights, measuring=Measuring("character", "librispeech"))
        list(second_pass.rescore(utterances))
        comparison = second_pass.comparison()
        assert (comparison.unit, comparison.normalizer) == ("character", "librispeech")
        assert comparison[RESCORED].counts.errors == 2

    def test_resampling_by_recording_needs_recordings(self, model: RescoringModel, developed: Development) -> None:
        second_pass = SecondPass([model], developed.weights, measuring=Measuring(resample="recording"))
        list(second_pass.rescore(spoken(20, 1)))
        assert second_pass.comparison().units == 4

    def test_overlaps_by_source(self, model: RescoringModel, developed: Development) -> None:
        references = ["a b", "c d", None, "d a"]
        model.seen = SentenceHashes.from_sentences(["c d", "d a"])
        other = counting("other", RIGHT, is_open=True)
        weights = {RESCORED: Weights(values={"lm": 1.0})}
        _, second_pass = rescored(
            listed(["a"], ["c d"], ["c d"], ["d"], references=references), [model, other], weights
        )
        assert second_pass.overlaps(None) == {"training text of lm": [False, True, False, True]}
        known = develop(listed(["a"], references=["A B!"]), [other], systems_for_rescore([other]))
        assert second_pass.overlaps(known)["development list"] == [True, False, False, False]

    def test_a_comparison_can_leave_utterances_out(self, model: RescoringModel, developed: Development) -> None:
        utterances = spoken(30, 1)
        _, whole = rescored(utterances, [model], developed.weights)
        _, part = rescored(utterances[10:], [model], developed.weights)
        without = whole.comparison(without=[number < 10 for number in range(30)])
        assert rates(without) == rates(part.comparison())

    def test_the_development_list_is_known_by_what_was_said(self, model: RescoringModel) -> None:
        utterances, systems = spoken(20, 0), systems_for_rescore([model])
        developed = develop(utterances, [model], systems)

        def share(items: Sequence[Utterance]) -> float:
            return rescored(items, [model], developed.weights)[1].same_utterances(developed)

        assert share(utterances) == share(utterances[::-1]) == share(utterances[3:9]) == 1.0
        assert share(spoken(20, 0, "other")) == 0.0
        assert share([Utterance(u.id, u.hypotheses) for u in utterances]) == 0.0
        half = [*utterances[:10], *spoken(10, 5, "other")]
        assert share(half) == 0.5

    def test_ids_that_merely_number_the_utterances_prove_nothing(self, model: RescoringModel) -> None:
        developed = develop(spoken(20, 0), [model], systems_for_rescore([model]))
        _, second_pass = rescored(spoken(20, 1), [model], developed.weights)
        assert second_pass.same_utterances(developed) == 0.0

    def test_weights_know_the_list_they_were_tuned_on(self, model: RescoringModel) -> None:
        utterances = spoken(20, 0)
        developed = develop(utterances, [model], systems_for_rescore([model]))
        weights = developed.weights[RESCORED].replaced(fingerprints={module.DEVELOPMENT: developed.fingerprint})

        def known(items: Sequence[Utterance], weights: Weights = weights) -> bool:
            return rescored(items, [model], {RESCORED: weights})[1].is_development(weights)

        assert known(utterances)
        assert known(utterances[::-1])
        assert not known(utterances[1:])
        assert not known(spoken(20, 1))
        assert not known(utterances, developed.weights[RESCORED])
