import json
import math
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from asr_lm.errors import InputError
from asr_lm.evaluation.bootstrap import Interval, Resamples
from asr_lm.evaluation.comparison import compare
from asr_lm.evaluation.formatting import p_text
from asr_lm.evaluation.matched_pairs import compare_positions, error_positions
from asr_lm.evaluation.table import changes_table, comparison_table
from asr_lm.evaluation.word_changes import word_changes
from asr_lm.evaluation.word_errors import ErrorCounts, count_errors

REFERENCES = [
    "he hoped there would be stew for dinner",
    "turnips and carrots and bruised potatoes",
    "stuff it into you his belly counselled him",
    "after early nightfall the yellow lamps would light up",
    "number ten fresh nelly is waiting on you",
    "the music came nearer and he recalled the words",
]
FIRST = [
    "he hoped there would be a stew for dinner",
    "turn ups and carrots and bruised potatoes",
    "stuff it into you is belly counsel him",
    "after early night fall the yellow lamps would light up",
    "number ten fresh nelly is waiting on you",
    "the music came nearer and he recalled the word",
]
RETUNED = [FIRST[0], FIRST[1], "stuff it into you his belly counsel him", *FIRST[3:]]
RESCORED = [REFERENCES[0], "turnips and carrots and bruise potatoes", RETUNED[2], REFERENCES[3], FIRST[4], FIRST[5]]
ORACLE = [REFERENCES[0], REFERENCES[1], REFERENCES[2], REFERENCES[3], REFERENCES[4], FIRST[5]]
SYSTEMS = {"first_pass": FIRST, "retuned": RETUNED, "rescored": RESCORED, "oracle": ORACLE}
RECORDINGS = ["r1", "r1", "r2", "r2", "r3", "r3"]


def matched_pairs_test(references, first, second, unit="word"):
    return compare_positions(error_positions(references, first, unit), error_positions(references, second, unit))


def shown(renderable, width=80):
    console = Console(width=width, force_terminal=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def numbers(record):
    """Every number in a JSON value."""
    if isinstance(record, dict):
        return [number for value in record.values() for number in numbers(value)]
    if isinstance(record, list):
        return [number for value in record for number in numbers(value)]
    return [record] if isinstance(record, int | float) else []


def test_every_figure_is_what_its_own_function_gives():
    result = compare(REFERENCES, SYSTEMS)
    counts = {name: count_errors(REFERENCES, texts) for name, texts in SYSTEMS.items()}
    draws = Resamples.draw(list(counts.values()))
    for place, (name, texts) in enumerate(SYSTEMS.items()):
        system = result[name]
        assert system.counts == ErrorCounts.from_counts(counts[name])
        assert system.interval == draws.interval(place)
        if name == "rescored":
            assert system.against_baseline.against == system.against_above.against == "retuned"
            assert system.against_baseline.test == matched_pairs_test(REFERENCES, RETUNED, texts)
            assert system.against_baseline.rate == draws.difference(1, place)
    assert result["first_pass"].counts.errors == 8
    assert result["rescored"].gap_closed == pytest.approx((8 - 3) / (8 - 1))
    assert result["retuned"].against_above.against == "first_pass"
    assert result["retuned"].against_baseline is None
    assert result["first_pass"].against_above is None
    assert result["oracle"].against_baseline is None
    assert result["oracle"].against_above is None
    assert list(result.changes) == word_changes(REFERENCES, RETUNED, RESCORED)
    assert result.final == "rescored"


def test_the_baseline_is_the_first_pass_where_nothing_was_tuned():
    result = compare(REFERENCES, {"first_pass": FIRST, "rescored": RESCORED})
    assert result.baseline == "first_pass"
    assert result["rescored"].against_baseline.test == matched_pairs_test(REFERENCES, FIRST, RESCORED)
    assert result["rescored"].gap_closed is None


def test_models_are_compared_with_the_row_above_and_with_the_baseline():
    result = compare(REFERENCES, {"first_pass": FIRST, "retuned": RETUNED, "4-gram": RESCORED, "both": ORACLE})
    assert result["4-gram"].against_above.against == "retuned"
    assert result["both"].against_above.against == "4-gram"
    assert result["both"].against_baseline.against == "retuned"
    record = result.to_json()
    assert list(record["systems"]) == ["4-gram", "both"]
    assert record["systems"]["both"]["above"]["against"] == "4-gram"
    assert "gap_closed" not in record
    other = compare(REFERENCES, {"first_pass": FIRST, "4-gram": RESCORED, "both": ORACLE}, baseline="4-gram")
    assert other["both"].against_baseline.against == "4-gram"
    assert other["first_pass"].against_baseline.against == "4-gram"


def test_the_json_has_the_layout_that_is_promised():
    record = compare(REFERENCES, SYSTEMS).to_json(weights={"acoustic": 1.0, "lstm": 0.4}, tuned_on="dev.json")
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["first_pass"]["wer"] == pytest.approx(100 * 8 / 48)
    assert record["rescored"]["wer"] == pytest.approx(100 * 3 / 48)
    low, high = record["rescored"]["interval"]
    assert low <= record["rescored"]["wer"] <= high
    difference = record["rescored"]["difference"]
    assert difference["wer"] == pytest.approx(record["rescored"]["wer"] - record["retuned"]["wer"])
    assert difference["interval"][0] <= difference["wer"] <= difference["interval"][1]
    assert 0 < difference["p_value"] < 1
    assert difference["against"] == "retuned"
    assert record["gap_closed"] == pytest.approx(5 / 7)
    assert record["weights"] == {"acoustic": 1.0, "lstm": 0.4}
    assert record["tuned_on"] == "dev.json"
    for name in SYSTEMS:
        system = record[name]
        errors = system["substitutions"] + system["deletions"] + system["insertions"]
        assert system["wer"] == pytest.approx(100 * errors / system["reference_words"])
        assert 0 <= system["sentence_errors"] <= system["sentences"] == 6
    assert record["words"]["from"] == "retuned"
    assert {"word": "turnips", "fixed": 1, "broken": 0, "spoken": 1} in record["words"]["fixed"]
    assert [change["word"] for change in record["words"]["broken"]] == ["bruised"]


def test_utterances_without_a_reference_are_left_out_and_counted():
    references = [*REFERENCES, None, None]
    systems = {name: [*texts, "anything at all", ""] for name, texts in SYSTEMS.items()}
    result, expected = compare(references, systems), compare(REFERENCES, SYSTEMS)
    assert result.systems == expected.systems
    assert (result.utterances, result.with_reference) == (8, 6)
    assert "the 6 of 8 utterances that have a reference" in " ".join(shown(comparison_table(result)).split())


def test_recordings():
    result = compare(REFERENCES, SYSTEMS, recordings=RECORDINGS, resample="recording")
    assert (result.units, result.resampled) == (3, "recording")
    draws = Resamples.draw([count_errors(REFERENCES, texts) for texts in SYSTEMS.values()], RECORDINGS)
    assert result["rescored"].interval == draws.interval(2)
    assert compare(REFERENCES, SYSTEMS, recordings=RECORDINGS).systems == compare(REFERENCES, SYSTEMS).systems
    missing_where_unknown = compare(
        [*REFERENCES, None],
        {name: [*texts, "x"] for name, texts in SYSTEMS.items()},
        recordings=[*RECORDINGS, None],
        resample="recording",
    )
    assert missing_where_unknown.systems == result.systems


def test_characters():
    references, texts = ["今天 天气 很 好", "明天 下雨"], ["今天天汽很好", "明天 下 雪"]
    result = compare(references, {"first_pass": texts}, unit="character")
    assert result["first_pass"].counts == ErrorCounts(2, 0, 0, 10, sentences=2, sentence_errors=2)
    record = result.to_json()["first_pass"]
    assert record["cer"] == 20.0
    assert record["reference_characters"] == 10
    assert "wer" not in record
    assert "CER %" in shown(comparison_table(result))


def test_texts_are_normalised_only_on_request():
    references, systems = ["Stew, for dinner!"], {"first_pass": ["stew for  dinner"]}
    assert compare(references, systems)["first_pass"].counts.errors == 2
    result = compare(references, systems, normalizer="librispeech")
    assert result["first_pass"].counts.errors == 0
    assert result.to_json()["normalizer"] == "librispeech"
    assert "normaliser librispeech" in " ".join(shown(comparison_table(result)).split())
    with pytest.raises(InputError, match="unknown normaliser"):
        compare(references, systems, normalizer="nobody")


EDGES = {
    "one utterance": (["a b c"], ["a b x"], ["a b c"]),
    "no error": (["a b c", "d e"], ["a b c", "d e"], ["a b c", "d e"]),
    "everything wrong": (["a b c", "d e"], ["x y z", "x y"], ["u v w", "u v"]),
    "all references empty": (["", ""], ["a", ""], ["", ""]),
    "everything empty": (["", " "], ["", ""], ["", ""]),
    "empty hypotheses": (["a b", "c"], ["", ""], ["a b", ""]),
}


@pytest.mark.parametrize("name", EDGES)
def test_edges_give_honest_numbers(name):
    references, first, second = EDGES[name]
    result = compare(references, {"first_pass": first, "rescored": second, "oracle": second})
    record = result.to_json()
    json.dumps(record, allow_nan=False)
    assert shown(comparison_table(result))
    words = sum(len(reference.split()) for reference in references)
    assert (record["rescored"]["wer"] is None) == (words == 0)
    assert (record["gap_closed"] is None) == (result["first_pass"].counts.errors == result["oracle"].counts.errors)
    assert (record["rescored"]["interval"] is None) == (len(references) == 1 or words == 0)


def test_edges_in_figures():
    references, first, second = EDGES["everything wrong"]
    wrong = compare(references, {"first_pass": first, "rescored": second})
    assert wrong["rescored"].counts.rate == wrong["rescored"].counts.sentence_error_rate == 100.0
    assert wrong["rescored"].interval == Interval(100.0, 100.0)
    assert wrong["rescored"].against_baseline.test.p_value == 1.0
    references, first, second = EDGES["no error"]
    right = compare(references, {"first_pass": first, "rescored": second})["rescored"]
    assert right.counts.rate == 0.0
    assert right.against_baseline.test.p_value is None
    references, first, second = EDGES["all references empty"]
    empty = compare(references, {"first_pass": first, "rescored": second})
    assert empty["first_pass"].counts == ErrorCounts(0, 0, 1, 0, sentences=2, sentence_errors=1)
    assert empty["rescored"].against_baseline.rate.value is None


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(*[st.lists(st.sampled_from("ab"), max_size=3).map(" ".join)] * 3), min_size=1, max_size=5))
def test_no_input_gives_nan(rows):
    references, first, second = [list(column) for column in zip(*rows, strict=True)]
    result = compare(references, {"first_pass": first, "rescored": second, "oracle": first}, resamples=50)
    assert all(math.isfinite(number) for number in numbers(result.to_json()))


@pytest.mark.parametrize(
    ("references", "systems", "options", "message"),
    [
        ([None, None], {"first_pass": ["a", "b"]}, {}, "none of the 2 utterances has a reference"),
        ([], {"first_pass": []}, {}, "none of the 0 utterances"),
        (["a"], {}, {}, "no system 'first_pass'"),
        (["a"], {"rescored": ["a"]}, {}, "no system 'first_pass'"),
        (["a"], {"first_pass": ["a"]}, {"baseline": "lstm"}, "no system 'lstm'"),
        (["a"], {"first_pass": ["a"], "oracle": ["a"]}, {"baseline": "oracle"}, "cannot be the baseline"),
        (["a"], {"first_pass": ["a", "b"]}, {}, "system 'first_pass' has 2 texts, expected one for each of 1"),
        (["a"], {"first_pass": ["a"]}, {"unit": "phone"}, "unknown unit 'phone'"),
        (["a"], {"first_pass": ["a"]}, {"resample": "speaker"}, "cannot resample by 'speaker'"),
        (["a"], {"first_pass": ["a"]}, {"resample": "recording"}, "needs every recording; 1 of 1"),
        (["a"], {"first_pass": ["a"]}, {"recordings": ["r", "s"]}, "2 recordings, expected one for each of 1"),
        (["a", "b"], {"first_pass": ["a", "b"]}, {"resample": "recording", "recordings": ["r", None]}, "1 of 2"),
    ],
)
def test_bad_input_is_refused(references, systems, options, message):
    with pytest.raises(InputError, match=message):
        compare(references, systems, **options)


def test_results_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        compare(REFERENCES, SYSTEMS).baseline = "oracle"


def test_the_table_fits_a_terminal_and_shows_names_as_they_are():
    result = compare(REFERENCES, SYSTEMS | {"[bold] 4-gram": RESCORED})
    text = shown(comparison_table(result))
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[1].startswith("first pass 16.67 ")
    assert any(line.startswith("re-tuned first pass first pass -2.08 ") for line in lines)
    assert any(line.startswith("rescored re-tuned first pass -8.33 ") for line in lines)
    assert sum(line.startswith("[bold] 4-gram") for line in lines) == 4  # its rates, and three differences
    assert sum("first pass first pass" in line for line in lines) == 1


def test_a_baseline_further_down_is_compared_with_once():
    result = compare(REFERENCES, {"first_pass": FIRST, "a": RETUNED, "b": RESCORED}, baseline="b")
    lines = [" ".join(line.split()) for line in shown(comparison_table(result)).splitlines()]
    pairs = [line for line in lines if line.startswith(("a first", "b a", "first pass b", "a b", "b first"))]
    assert [line.split(" +")[0].split(" -")[0] for line in pairs] == ["a first pass", "b a", "b first pass"]


def test_words_fixed_and_broken_side_by_side():
    text = shown(changes_table(compare(REFERENCES, SYSTEMS).changes, most=3))
    rows = [line.split() for line in text.splitlines()[1:]]
    assert rows[0] == ["nightfall", "1", "0", "bruised", "0", "1"]
    assert rows[1] == ["turnips", "1", "0"]
    assert text.splitlines()[0].split() == ["fixed", "once", "fixed", "broken", "broken", "once", "fixed", "broken"]


def test_most_often_is_at_least_twice():
    said = ["a b", "a c", "a d"]
    changed = compare(said, {"first_pass": ["x b", "x c", "x x"], "lm": said}).changes
    lines = shown(changes_table(changed)).splitlines()
    assert lines[0].startswith("most often fixed")
    assert [line.split()[:2] for line in lines[1:]] == [["a", "3"]]


def test_p_values_as_printed():
    assert [p_text(value) for value in (None, 1e-9, 0.04449, 1.0)] == ["–", "<0.001", "0.044", "1.000"]
