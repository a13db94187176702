"""The packaged model is whole and small; the kind of a list's scores is told by the documented rule."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_lm.errors import InputError
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.lm.loading import load_model
from asr_lm.lm.protocol import LanguageModel
from asr_lm.rescoring import default_model
from asr_lm.rescoring.default_model import (
    FEWEST,
    FIRST_PASS_TOTAL,
    LENGTH_CORRELATION,
    MEAN_LARGEST,
    default_folder,
    default_weights,
    doubt_of_kind,
    first_pass_total,
    read_default_weights,
    score_kind,
)
from asr_lm.rescoring.features.table import Column, FeatureTable

KINDS = ("sum", "mean", "rank")
LARGEST_PACKAGE = 12 * 2**20


def utterance(number: int, *hypotheses: tuple[str, dict[str, float]], reference: str | None = None) -> Utterance:
    return Utterance(f"u{number}", tuple(Hypothesis(text, scores) for text, scores in hypotheses), reference)


def scored(lengths: Sequence[int], scores: Sequence[float]) -> list[Utterance]:
    """A list whose first hypotheses have these lengths (characters) and scores; the second ones mislead."""
    return [
        utterance(number, ("x" * length, {"score": score}), ("y", {"score": -1000.0 * (number % 2)}))
        for number, (length, score) in enumerate(zip(lengths, scores, strict=True))
    ]


class TestScoreKind:
    """The rule that tells sums from averages."""

    def test_a_list_without_scores_has_ranks_only(self) -> None:
        assert score_kind([utterance(0, ("a", {}), ("b", {})), utterance(1, ("c d", {}))]) == "rank"

    def test_several_scores_are_parts_of_a_sum(self) -> None:
        assert score_kind([utterance(0, ("a", {"acoustic": -0.1, "lm": -0.2}))]) == "sum"

    def test_log_probabilities_of_utterances_are_sums(self) -> None:
        generator = np.random.default_rng(0)
        lengths = generator.integers(5, 120, 200)
        assert score_kind(scored(lengths.tolist(), (-0.3 * lengths + generator.standard_normal(200)).tolist())) == "sum"

    def test_averages_a_token_are_means(self) -> None:
        generator = np.random.default_rng(1)
        lengths = generator.integers(5, 120, 200)
        assert score_kind(scored(lengths.tolist(), generator.uniform(-0.9, -0.05, 200).tolist())) == "mean"

    def test_large_scores_are_sums_whatever_their_lengths(self) -> None:
        assert score_kind(scored([10], [-5.1])) == "sum"
        assert score_kind(scored([10, 10, 10], [-1.0, -6.0, -7.0])) == "sum"

    @pytest.mark.parametrize(
        ("lengths", "scores"),
        [([10], [-MEAN_LARGEST]), ([10, 10], [-1.0, -4.0]), ([5, 50], [-3.0, -3.0]), ([0], [0.0])],
    )
    def test_small_scores_are_means_where_nothing_correlates(self, lengths: list[int], scores: list[float]) -> None:
        assert score_kind(scored(lengths, scores)) == "mean"

    @pytest.mark.parametrize(("count", "kind"), [(2, "mean"), (FEWEST - 1, "mean"), (FEWEST, "sum")])
    def test_of_few_utterances_a_correlation_is_not_believed(self, count: int, kind: str) -> None:
        lengths = list(range(1, count + 1))
        given = scored(lengths, [-0.1 * length for length in lengths])
        assert score_kind(given) == kind
        doubt = doubt_of_kind(given)
        assert (doubt is None) == (kind == "sum")
        assert doubt is None or doubt.startswith(f"{count} utterances are too few to tell")

    def test_large_scores_and_parts_of_a_sum_are_not_doubted(self) -> None:
        assert doubt_of_kind(scored([10], [-50.0])) is None
        assert doubt_of_kind([utterance(0, ("a", {"acoustic": -0.1, "lm": -0.2}))]) is None
        assert doubt_of_kind([utterance(0, ("a", {}), ("b", {}))]) is None

    @given(st.floats(-1, 1), st.sampled_from([-1.0, 1.0]), st.integers(0, 2**32 - 1))
    def test_the_correlation_with_the_length_decides_about_small_scores(
        self, correlation: float, sign: float, seed: int
    ) -> None:
        generator = np.random.default_rng(seed)
        lengths = generator.permutation(np.arange(1, 41))
        along = (lengths - lengths.mean()) / np.linalg.norm(lengths - lengths.mean())
        across = generator.standard_normal(40)
        across -= across.mean() + (across @ along) * along
        size = 2.0 + correlation * along + math.sqrt(1 - correlation**2) * across / np.linalg.norm(across)
        assert size.min() > 0
        if abs(correlation - LENGTH_CORRELATION) > 1e-6:
            kind = score_kind(scored(lengths.tolist(), (sign * size).tolist()))
            assert kind == ("sum" if correlation > LENGTH_CORRELATION else "mean")


@pytest.fixture
def table() -> FeatureTable:
    generator = np.random.default_rng(2)
    texts = [["a bc", "a bcd", "", "ab"], ["cd ef gh"], ["x", "xyz z"]]
    return FeatureTable.from_utterances(
        [
            utterance(n, *((text, {"acoustic": -generator.random(), "lm": -generator.random()}) for text in some))
            for n, some in enumerate(texts)
        ]
    )


class TestFirstPassTotal:
    """The one first-pass figure default weights know."""

    def test_sum_adds_all_scores(self, table: FeatureTable) -> None:
        np.testing.assert_allclose(first_pass_total(table, "sum"), table.column("acoustic") + table.column("lm"))

    def test_rank_is_the_order_alone(self, table: FeatureTable) -> None:
        np.testing.assert_allclose(first_pass_total(table, "rank"), -np.log([1, 2, 3, 4, 1, 1, 2]))

    def test_mean_stands_for_a_sum_over_the_mean_length_of_the_list(self, table: FeatureTable) -> None:
        characters = np.array([(3 + 4 + 0 + 2) / 4] * 4 + [6] + [(1 + 4) / 2] * 2)
        total = first_pass_total(table.select_columns(["acoustic", "characters"]), "mean")
        np.testing.assert_allclose(total, table.column("acoustic") * characters)

    def test_mean_keeps_the_recognisers_order(self, table: FeatureTable) -> None:
        average, total = table.column("lm"), first_pass_total(table.select_columns(["lm", "characters"]), "mean")
        for begin, end in ((0, 4), (4, 5), (5, 7)):
            assert np.argsort(-total[begin:end]).tolist() == np.argsort(-average[begin:end]).tolist()

    @pytest.mark.parametrize("kind", ["sum", "mean"])
    def test_a_list_without_scores_has_neither_sum_nor_mean(self, kind: default_model.ScoreKind) -> None:
        table = FeatureTable.from_utterances([utterance(0, ("a", {}), ("b", {}))])
        with pytest.raises(InputError, match=f"its kind is rank, not the {kind} of"):
            first_pass_total(table, kind)


class TestDefaultWeights:
    """The packaged weights."""

    def test_there_are_usable_weights_for_every_kind(self) -> None:
        weights = read_default_weights()
        assert tuple(weights) == KINDS
        for packaged in weights.values():
            assert packaged.first_pass > 0
            assert packaged.model > 0
            assert math.isfinite(packaged.words)
            assert math.isfinite(packaged.characters)

    @pytest.mark.parametrize("kind", KINDS)
    def test_they_fit_a_table_with_the_first_pass_total(
        self, kind: default_model.ScoreKind, table: FeatureTable
    ) -> None:
        model = np.arange(len(table.texts), dtype=float)
        full = table.with_columns(
            [(Column(FIRST_PASS_TOTAL, "first-pass"), first_pass_total(table, kind)), (Column("lm2", "model"), model)]
        )
        packaged = read_default_weights()[kind]
        expected = packaged.first_pass * first_pass_total(table, kind) + packaged.model * model
        expected += packaged.words * table.column("words") + packaged.characters * table.column("characters")
        np.testing.assert_allclose(default_weights(kind, ["lm2"], []).totals(full), expected)

    @pytest.mark.parametrize("kind", KINDS)
    def test_models_share_the_weight_and_are_charged_for_unknown_words(self, kind: default_model.ScoreKind) -> None:
        packaged = read_default_weights()[kind]
        values = default_weights(kind, ["a", "b", "c"], ["unknown:b"]).values
        assert sum(values[name] for name in "abc") == pytest.approx(packaged.model)
        assert values["a"] == values["b"] == values["c"]
        assert values["unknown:b"] == pytest.approx(-10 * values["b"])
        assert "unknown:a" not in values

    @pytest.mark.parametrize(
        "content", [None, "", "{", "[]", "{}", '{"sum": {"model": 1}}', "sum and mean", "several"], ids=str
    )
    def test_damaged_weights_are_named(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None
    ) -> None:
        whole = {kind: {"model": 1, "words": 0, "characters": 0, "first_pass": 1} for kind in KINDS}
        if content == "sum and mean":
            content = json.dumps({kind: whole[kind] for kind in KINDS[:2]})
        elif content == "several":
            content = json.dumps(whole | {"mean": {**whole["mean"], "model": "much"}})
        if content is not None:
            (tmp_path / "weights.json").write_text(content)
        monkeypatch.setattr(default_model, "default_folder", lambda: tmp_path)
        with pytest.raises(InputError, match="install asr_lm again") as caught:
            read_default_weights()
        assert caught.value.file == str(tmp_path / "weights.json")


class TestPackagedModel:
    """The general-English model."""

    def test_it_is_small_enough_for_a_wheel(self) -> None:
        files = [path for path in default_folder().iterdir() if path.is_file()]
        assert {"config.json", "model.safetensors", "tokens.model", "weights.json"} <= {path.name for path in files}
        assert sum(path.stat().st_size for path in files) <= LARGEST_PACKAGE

    def test_nothing_is_unknown_to_it(self) -> None:
        model = load_model(default_folder())
        vocabulary = model.vocabulary
        texts = ["zyxgwy", "don't", "naïve 東京 Ω", "1984 & 🎉", "\u0301", ""]
        assert vocabulary.is_open
        assert [vocabulary.unknown_words(text) for text in texts] == [0] * len(texts)
        scores = model.score_tokens(vocabulary.encode_batch(texts))
        assert np.isfinite(scores).all()
        assert (scores < 0).all()

    def test_digits_are_read_as_they_are_said(self) -> None:
        model = load_model(default_folder())
        assert isinstance(model, LanguageModel)
        texts = ["order forty two lamps", "order 42 lamps", "Order 42 lamps.", "order forty two lambs"]
        words, digits, dressed, others = model.log_prob(texts).tolist()
        assert words == digits == dressed > others

    def test_it_knows_some_english(self) -> None:
        model = load_model(default_folder())
        said = ["he did not know what to say", "the old man sat by the fire", "it was a very cold night"]
        jumbled = [" ".join(reversed(text.split())) for text in said]
        encode = model.vocabulary.encode_batch
        assert (model.score_tokens(encode(said)) > model.score_tokens(encode(jumbled))).all()
