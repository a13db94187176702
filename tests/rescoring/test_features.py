from __future__ import annotations

import math

import numpy as np
import pytest

from asr_lm.errors import InputError
from asr_lm.evaluation.word_errors import count_errors
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.rescoring.default_model import first_pass_total, score_kind
from asr_lm.rescoring.features.table import Column, FeatureTable

SCORED = (
    Utterance(
        id="a",
        reference="the cat sat",
        recording="r",
        hypotheses=(
            Hypothesis(text="the cat sat", scores={"acoustic": -1.0, "lm": -2.0}),
            Hypothesis(text="a  cat", scores={"lm": -3.5, "acoustic": -4.0}),
        ),
    ),
    Utterance(id="b", hypotheses=(Hypothesis(text="", scores={"acoustic": 0.0, "lm": -1.0}),)),
    Utterance(
        id="c",
        reference="nan",
        hypotheses=(
            Hypothesis(text="", scores={"acoustic": -1.0, "lm": -1.0}),
            Hypothesis(text="nan null", scores={"acoustic": -2.0, "lm": -1.0}),
        ),
    ),
)


def ranked(*texts: str, name: str = "a", reference: str | None = None) -> Utterance:
    return Utterance(id=name, reference=reference, hypotheses=tuple(Hypothesis(text=text) for text in texts))


def test_a_scored_list_by_hand() -> None:
    table = FeatureTable.from_utterances(
        SCORED, {"book": np.array([-9.0, -8.0, -1.0, -1.0, -7.0])}, {"book": np.array([0, 1, 0, 0, 2])}
    )
    assert table.names == ("acoustic", "lm", "rank", "words", "characters", "book", "unknown:book")
    assert table.offsets.tolist() == [0, 2, 3, 5]
    assert table.column("lm").tolist() == [-2.0, -3.5, -1.0, -1.0, -1.0]
    np.testing.assert_allclose(table.column("rank"), [0, -math.log(2), 0, 0, -math.log(2)])
    assert table.column("words").tolist() == [3, 2, 0, 0, 2]
    assert table.column("characters").tolist() == [9, 4, 0, 0, 7]
    assert table.column("unknown:book").tolist() == [0, 1, 0, 0, 2]
    assert table.errors.tolist() == [[0, 0, 0], [1, 1, 0], [-1, -1, -1], [0, 1, 0], [0, 0, 1]]
    assert table.reference_words.tolist() == [3, -1, 1]
    assert table.recordings == ("r", None, None)
    assert [column.model for column in table.columns] == [None] * 5 + ["book", "book"]


def test_errors_are_those_of_the_evaluation() -> None:
    table = FeatureTable.from_utterances(SCORED)
    rows = np.array([1, 2, 3])
    expected = count_errors(["the cat sat", "nan"], ["a cat", ""])
    np.testing.assert_array_equal(table.counts(rows), expected)
    assert table.word_errors(rows).errors == expected[:, :3].sum()


def test_rank_is_the_feature_of_a_list_without_scores() -> None:
    table = FeatureTable.from_utterances([ranked("x", "y"), ranked("z", name="b")], {"m": np.zeros(3)})
    assert table.names == ("rank", "words", "characters", "m")
    assert table.default_features() == table.names
    assert table.default_features(models=False) == ("rank", "words", "characters")


def test_rank_stands_by_where_there_are_scores() -> None:
    table = FeatureTable.from_utterances(SCORED, {"m": np.zeros(5)}, {"m": np.zeros(5)})
    assert table.default_features() == ("acoustic", "lm", "words", "characters", "m", "unknown:m")
    assert table.default_features(models=False) == ("acoustic", "lm", "words", "characters")


def test_normalizer_and_unit_of_the_errors() -> None:
    utterances = [ranked("Cat!", "dog", reference="cat")]
    table = FeatureTable.from_utterances(utterances, wer_normalizer=lambda text: text.lower().strip("!"))
    assert table.errors.sum(1).tolist() == [0, 1]
    table = FeatureTable.from_utterances(utterances, unit="character")
    assert table.errors.sum(1).tolist() == [2, 3]
    assert table.reference_words.tolist() == [3]


@pytest.mark.parametrize(
    ("utterances", "models", "message"),
    [
        ([Utterance(id="a", hypotheses=())], {}, "utterance 'a': no hypotheses"),
        ([ranked("x"), ranked("y")], {}, "utterance 'a': two utterances of this id"),
        ([ranked("x", "y")], {"m": np.array([0.0, np.nan])}, "utterance 'a': 'm' is nan for the hypothesis of rank 1"),
        ([ranked("x")], {"words": np.zeros(1)}, "two features are named 'words'"),
        (
            [ranked("x"), Utterance(id="b", hypotheses=(Hypothesis(text="y", scores={"s": 1.0}),))],
            {},
            r"utterance 'b', field hypotheses\[0\].scores: scores s, but the first hypothesis of the list has none",
        ),
        (
            [Utterance(id="b", hypotheses=(Hypothesis(text="y", scores={"s": math.inf}),))],
            {},
            r"utterance 'b', field hypotheses\[0\].scores.s: inf, a finite number",
        ),
    ],
)
def test_bad_input_is_named(utterances: list[Utterance], models: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(InputError, match=message):
        FeatureTable.from_utterances(utterances, models)


def test_unknown_feature_lists_what_there_is() -> None:
    with pytest.raises(InputError, match="no feature 'x' in the table, which has 'acoustic', 'lm'"):
        FeatureTable.from_utterances(SCORED).features(["lm", "x"])


def test_selecting_and_concatenating_utterances_gives_the_table_back() -> None:
    table = FeatureTable.from_utterances(SCORED)
    parts = [table.select_utterances([0]), table.select_utterances(np.array([False, True, True]))]
    whole = FeatureTable.concatenate(parts)
    assert (whole.utterances, whole.recordings, whole.texts) == (table.utterances, table.recordings, table.texts)
    for field in ("offsets", "values", "errors", "reference_words"):
        np.testing.assert_array_equal(getattr(whole, field), getattr(table, field))


def test_utterances_come_in_the_order_selected() -> None:
    table = FeatureTable.from_utterances(SCORED).select_utterances([2, 0])
    assert table.utterances == ("c", "a")
    assert table.texts == ("", "nan null", "the cat sat", "a  cat")
    assert table.errors.sum(1).tolist() == [1, 1, 0, 2]


def test_tables_that_do_not_fit_are_not_concatenated() -> None:
    table = FeatureTable.from_utterances(SCORED)
    with pytest.raises(InputError, match="two utterances of this id"):
        FeatureTable.concatenate([table, table])
    with pytest.raises(InputError, match=r"different features: acoustic, lm, .* and lm"):
        FeatureTable.concatenate([table, table.select_columns(["lm"])])


def test_columns_are_selected_and_added() -> None:
    table = FeatureTable.from_utterances(SCORED)
    smaller = table.select_columns(["words", "acoustic"])
    assert smaller.names == ("words", "acoustic")
    grown = smaller.with_columns([(Column("lm", "first-pass"), table.column("lm"))])
    np.testing.assert_array_equal(grown.features(["acoustic", "lm"]), table.features(["acoustic", "lm"]))


def test_shapes_that_do_not_fit_are_a_mistake_of_the_caller() -> None:
    table = FeatureTable.from_utterances(SCORED)
    with pytest.raises(ValueError, match="values has shape"):
        FeatureTable(**(vars(table) | {"values": table.values[:-1]}))


@pytest.mark.parametrize("name", ["tokens", "num_words", "recogniser2.tokens", "tokenCount"])
def test_a_score_that_counts_is_a_length_and_no_part_of_the_first_pass(name: str) -> None:
    scored = [
        Utterance("u", (Hypothesis("late again", {"am": -3.0, name: 7.0}), Hypothesis("late", {"am": -4.0, name: 2.0})))
    ]
    table = FeatureTable.from_utterances(scored)
    assert {column.name: column.kind for column in table.columns}[name] == "length"
    assert name in table.default_features(models=False)
    assert first_pass_total(table, "sum").tolist() == [-3.0, -4.0]
    assert score_kind(scored) == "sum"


def test_a_list_that_only_counts_is_ranked() -> None:
    counted = [Utterance("u", (Hypothesis("late again", {"tokens": 7.0}), Hypothesis("late", {"tokens": 2.0})))]
    assert score_kind(counted) == "rank"
    assert "rank" in FeatureTable.from_utterances(counted).default_features()
