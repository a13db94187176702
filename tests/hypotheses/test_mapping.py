"""Lists read by a mapping of the user's: paths, scores, and what is said of what was left."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from asr_lm.errors import InputError
from asr_lm.hypotheses.mapping import parse_mapping, parse_path, written
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.utterance import Hypothesis, Utterance

TEXTS = ("one two", "one", "two")
ACOUSTIC = (41.5, 43.0, 47.25)
EXPECTED = Utterance(
    "u1", tuple(Hypothesis(text, {"acoustic": -0.5 * cost}) for text, cost in zip(TEXTS, ACOUSTIC, strict=True)), "one"
)
PAIRS = [list(pair) for pair in zip(TEXTS, ACOUSTIC, strict=True)]
OBJECTS = [{"words": {"plain": text}, "cost": cost} for text, cost in PAIRS]

RECORDS: dict[str, tuple[Any, str]] = {
    "objects": ({"key": "u1", "said": "one", "paths": OBJECTS}, "text=paths[].words.plain acoustic=-0.5*paths[].cost"),
    "pairs": ({"key": "u1", "said": "one", "paths": PAIRS}, "text=paths[][0] acoustic=-0.5*paths[][1]"),
    "parallel lists": (
        {"key": "u1", "said": "one", "t": {"w": list(TEXTS)}, "c": list(ACOUSTIC)},
        "text=t.w[] acoustic=-0.5*c[]",
    ),
    "dictionary of hypotheses": (
        {"key": "u1", "said": "one", "paths": {str(number): entry for number, entry in enumerate(OBJECTS)}},
        "text=paths{}.words.plain acoustic=-0.5*paths{}.cost",
    ),
    "numbered names": (
        {"key": "u1", "said": "one"}
        | {f"path {n}": text for n, text in enumerate(TEXTS)}
        | {f"c{n}": cost for n, cost in enumerate(ACOUSTIC)},
        'text="path 0" acoustic=-0.5*c0',
    ),
    "lists of words": (
        {"key": "u1", "said": "one", "paths": [{"w": text.split(), "c": cost} for text, cost in PAIRS]},
        "text=paths[].w acoustic=-0.5*paths[].c",
    ),
}


@pytest.mark.parametrize("shape", [name for name in RECORDS if name != "numbered names"])
@pytest.mark.parametrize("layout", ["lines", "array", "dictionary by id", "inside"])
def test_every_shape_in_every_layout_of_json(tmp_path: Path, shape: str, layout: str) -> None:
    record, mapping = RECORDS[shape]
    head = "id=key reference=said"
    if layout == "lines":
        content = json.dumps(record) + "\n"
    elif layout == "array":
        content = json.dumps([record], indent=1)
    elif layout == "dictionary by id":
        content = json.dumps({"u1": {name: value for name, value in record.items() if name != "key"}})
        head = "utterances={} reference=said"
    else:
        content, head = json.dumps({"all": {"of": [record]}}), "utterances=all.of[] id=key reference=said"
    path = tmp_path / "list.json"
    path.write_text(content)
    assert list(read_nbest(path, mapping=f"{head} {mapping}")) == [EXPECTED]


ROWS = [("u1", text, str(cost), "one") for text, cost in PAIRS]


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@pytest.mark.parametrize("header", [True, False])
def test_tables_hold_a_hypothesis_a_row(tmp_path: Path, delimiter: str, header: bool) -> None:
    lines = [delimiter.join(row) for row in ([("a", "b c", "d", "e"), *ROWS] if header else ROWS)]
    path = tmp_path / "list.txt"
    path.write_text("\n".join(lines) + "\n")
    names = ("a", '"b c"', "d", "e") if header else ("[0]", "[1]", "[2]", "[3]")
    mapping = "id={} text={} acoustic=-0.5*{} reference={}".format(*names)
    assert list(read_nbest(path, mapping=mapping)) == [EXPECTED]


@pytest.mark.parametrize("kind", ["parquet", "arrow file", "arrow stream", "data set", "data set of one split"])
def test_columnar_files_hold_lists_or_rows(tmp_path: Path, kind: str) -> None:
    import pyarrow
    import pyarrow.parquet

    lists = pyarrow.table({"a": ["u1"], "b": [list(TEXTS)], "c": [list(ACOUSTIC)], "e": ["one"]})
    rows = pyarrow.table(dict(zip("abce", (list(column) for column in zip(*ROWS, strict=True)), strict=True)))
    for number, (table, mapping) in enumerate(
        [(lists, "id=a text=b[] acoustic=-0.5*c[] reference=e"), (rows, "id=a text=b acoustic=-0.5*c reference=e")]
    ):
        path = tmp_path / str(number)
        if kind == "parquet":
            pyarrow.parquet.write_table(table, path)
        elif kind == "arrow file":
            with pyarrow.ipc.new_file(path, table.schema) as writer:
                writer.write_table(table)
        else:
            folder = {"data set": path, "data set of one split": path / "train"}.get(kind)
            if folder is not None:
                folder.mkdir(parents=True)
            if kind == "data set of one split":
                (path / "dataset_dict.json").write_text('{"splits": ["train"]}')
            file = path if folder is None else folder / "data-00000-of-00001.arrow"
            with pyarrow.ipc.new_stream(file, table.schema) as writer:
                writer.write_table(table)
        assert list(read_nbest(path, mapping=mapping)) == [EXPECTED]


def test_numbered_names_are_a_list_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "list.jsonl"
    path.write_text('{"hyp10": "ten", "hyp2": "two", "s2": -2, "s10": -10}\n')
    (utterance,) = read_nbest(path, mapping="text=hyp* s=s*")
    assert utterance.hypotheses == (Hypothesis("two", {"s": -2.0}), Hypothesis("ten", {"s": -10.0}))


def test_scores_become_natural_logarithms(tmp_path: Path) -> None:
    path = tmp_path / "list.jsonl"
    path.write_text('{"n": [{"t": "a", "x": 0.25, "y": 2}, {"t": "b", "x": 0.5, "y": 3}]}\n')
    mapping = "text=n[].t p=probability(n[].x) l=log10(n[].x) b=-2*log2(n[].x) d=(n[].y)-(n[].x) m=-n[].y"
    (utterance,) = read_nbest(path, mapping=mapping)
    assert utterance.hypotheses[0].scores == pytest.approx(
        {"p": math.log(0.25), "l": 0.25 * math.log(10), "b": -0.5 * math.log(2), "d": 1.75, "m": -2.0}
    )


def test_a_rank_orders_the_rows(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("i,r,t\nu,2,second\nu,1,first\n")
    (utterance,) = read_nbest(path, mapping="id=i rank=r text=t")
    assert [hypothesis.text for hypothesis in utterance.hypotheses] == ["first", "second"]


def test_the_same_mapping_in_toml(tmp_path: Path) -> None:
    path, file = tmp_path / "list.json", tmp_path / "map.toml"
    path.write_text(json.dumps(RECORDS["objects"][0]))
    file.write_text(
        'id = "key"\nreference = "said"\ntext = "paths[].words.plain"\n[scores]\nacoustic = "-0.5*paths[].cost"\n'
    )
    assert list(read_nbest(path, mapping=str(file))) == [EXPECTED]
    assert list(read_nbest(path, mapping=(str(file),))) == [EXPECTED]


def test_what_was_taken_and_left_is_said_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text('{"key": "u", "n": [{"t": "a", "lm": -1}], "speaker": {"age": 3}}')
    reader = read_nbest(path, mapping="id=key text=n[].t")
    list(reader)
    assert list(reader.notices) == ["read as id=key text=n[].t; left unread: n[].lm, speaker"]


@pytest.mark.parametrize(
    "line",
    [
        "id=key reference=said text=paths[].words acoustic=-0.5*paths[].cost lm=log10(paths[].lm)",
        "utterances={} text=[][0] score=[][1]",
        'utterances=a.b[] rank=n[].r text=n{}."a name".t[0] d=(n[].x)-(n[].y)',
        "recording=r text=hyp*_text p=probability(hyp*_p)",
    ],
)
def test_a_mapping_is_printed_as_it_is_given(line: str) -> None:
    assert str(parse_mapping(line)) == line


@pytest.mark.parametrize("path", ["a", "a.b", "a[].b[0]", "[]", "[-1].a", "{}", '"a b"."c\\"d"', "hyp*", "a.hyp*x"])
def test_paths_are_written_as_they_are_read(path: str) -> None:
    assert written(parse_path(path)) == path


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("id=key", "where is the text"),
        ("text", "no assignment"),
        ("text=a text=b", "given twice"),
        ("text=a[", "no path"),
        ("text=a s=0*b", "no factor"),
        ("text=a s=-", "no score"),
    ],
)
def test_what_is_no_mapping_is_refused(line: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_mapping(line)
    assert caught.value.parameter == "mapping"


@pytest.mark.parametrize(
    ("record", "mapping", "message"),
    [
        ({"n": ["a", "b"], "s": [1]}, "text=n[] s=s[]", "1 .*2"),
        ({"n": ["a"]}, "text=n[] s=s[]", "missing"),
        ({"n": [{"t": "a", "s": "x"}]}, "text=n[].t s=n[].s", "finite score"),
        ({"n": ["a"], "ref": "a"}, "text=n[] reference=reff", "no utterance has it"),
        ({"n": [{"t": 5}]}, "text=n[].t", "text"),
        ({"n": [{"t": "a", "p": 0}]}, "text=n[].t p=probability(n[].p)", "probability"),
        ({"m": ["a"]}, "text=n[].t", "no hypotheses"),
    ],
)
def test_records_that_do_not_fit_are_refused(tmp_path: Path, record: Any, mapping: str, message: str) -> None:
    path = tmp_path / "list.json"
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match=message) as caught:
        list(read_nbest(path, mapping=mapping))
    assert caught.value.file == str(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'text = "a[]"\nlm = ' + b"9" * 60_000, "no TOML"),
        (b"text = " + b"[" * 60_000, "no TOML"),
        (b'text = "\xff"', "no TOML"),
        (b" " * 2**21, "more than 1,048,576 bytes"),
    ],
)
def test_a_file_that_is_no_mapping(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "map.toml").write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        parse_mapping(str(tmp_path / "map.toml"))
    assert caught.value.file == str(tmp_path / "map.toml")
