"""Damaged n-best lists of every format: each is read or refused, and no utterance comes or goes without a word.

How many utterances a damaged list holds is counted apart from its reader, where it can be: lines, entries, names.
"""

from __future__ import annotations

import csv
import io
import json
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from campaigns._fuzzing import FileReader, fuzz
from campaigns._seed_lists import MANIFEST, SEED_LISTS

from asr_lm.errors import InputError
from asr_lm.hypotheses.formats import FORMATS
from asr_lm.hypotheses.mapping import parse_mapping
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.references import read_references
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.hypotheses.writing import write_nbest

_MAPPED = (
    b'{"key": "u1", "said": "one", "paths": [{"w": "one", "cost": 1.5}, {"w": "two", "cost": "tensor(2)"}]}\n'
    b'{"key": "u2", "said": "", "paths": [{"w": "\xc3\xa9", "cost": -1}, {"w": "", "cost": 0}]}\n'
)
_MAPPING = "id=key reference=said text=paths[].w acoustic=-0.1*paths[].cost"
_TOML = b'id = "key"\ntext = "paths[].w"\n[scores]\nacoustic = "-0.1*paths[].cost"\nlm = "(a[])-(b[])"\n'
_REFERENCES = (
    *(b"u1 one two\nu2 \n", b"one two (u-1)\n(u-2)\n", b'{"u1": "one", "u2": "two"}', b"id,text\nu1,one\n"),
    *(b"r 1 spk 0.0 1.5 <o,f0> one two\nr 1 spk 2 3 three\n", b'{"id": "u1", "text": "one"}\n'),
)


def _lines(data: bytes) -> int:
    return sum(bool(line.strip()) for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n"))


def _values(data: bytes) -> list[Any]:
    """JSON values one after another."""
    text, place, found = data.decode("utf-8-sig"), 0, []
    while text[place:].strip():
        place += len(text[place:]) - len(text[place:].lstrip())
        value, place = json.JSONDecoder().raw_decode(text, place)
        found.append(value)
    return found


def _records(data: bytes) -> int:
    """Entries of a JSON array, or JSON values one after another."""
    found = _values(data)
    return len(found[0]) if isinstance(found[0], list) else len(found)


def _matching(pattern: bytes) -> Callable[[bytes], int]:
    return lambda data: len(re.findall(pattern, data, re.MULTILINE))


def _first_fields(data: bytes) -> int:
    """Different beginnings of lines, up to a bar."""
    lines = data.decode("utf-8-sig").split("\n")
    return len({line.partition("|")[0].strip() for line in lines if line.strip()})


def _before_number(keys: Iterable[str]) -> int:
    """Different keys without their last ``-N``."""
    return len({key.rpartition("-")[0] for key in keys})


def _filled(data: bytes) -> list[str]:
    return [line for line in data.decode("utf-8-sig").split("\n") if line.strip()]


def _of_trn(data: bytes) -> int:
    lines = [line.strip() for line in _filled(data) if not line.startswith(";;")]
    texts, keys = zip(*(line[:-1].rsplit("(", 1) for line in lines), strict=True)
    return len(keys) if any("{" in text for text in texts) else _before_number(keys)


def _of_results(data: bytes) -> int:
    """Lists of alternatives in all JSON values."""
    return sum(map(_lists_in, _values(data)))


def _lists_in(value: Any) -> int:
    if isinstance(value, dict):
        return sum(len(found) > 0 if name == "alternatives" else _lists_in(found) for name, found in value.items())
    return sum(map(_lists_in, value)) if isinstance(value, list) else 0


def _of_table(data: bytes) -> int:
    with io.StringIO(data.decode("utf-8-sig"), newline="") as text:
        rows = csv.DictReader(text, strict=True)
        return len({row[(rows.fieldnames or ["utt_id"])[0]] for row in rows})


_COUNTS: dict[str, Callable[[bytes], int]] = {
    "canonical": _records,
    "hyporadise": _records,
    "json": _records,
    "pyctcdecode": _records,
    "speechbrain": _records,
    "mlm-scoring": lambda data: len(json.loads(data)),
    "espnet1": lambda data: len(json.loads(data)["utts"]),
    "google": _of_results,
    "aws": _of_results,
    "nemo": lambda data: _lines(MANIFEST),
    "switchboard-ws97": lambda data: 1,
    "srilm": lambda data: 1,
    "kaldi-text": lambda data: _before_number(line.split()[0] for line in _filled(data)),
    "kaldi-ctm": lambda data: _before_number(line.split()[0] for line in _filled(data)),
    "trn": _of_trn,
    "julius": _matching(rb"^\s*sentence1:"),
    "wenet": _matching(rb"^\s*wav\s"),
    "flashlight": _first_fields,
    "htk-mlf": _matching(rb'^\s*"'),
    "table": _of_table,
}


def _reader(format: str) -> FileReader:
    def read(path: Path) -> int:
        manifest = None
        if format == "nemo":
            manifest = path.with_name("manifest.json")
            manifest.write_bytes(MANIFEST)
        with_name = _read(path, format, manifest)
        if with_name and format in _COUNTS:
            expected = _COUNTS[format](path.read_bytes())
            assert len(with_name) == expected, f"{len(with_name)} utterances where there are {expected}"
        return len(_read(path, None, manifest)) + len(with_name)

    return FileReader(read, lambda: [SEED_LISTS[format]], "u")


def _read(path: Path, format: str | None, manifest: Path | None = None, **how: Any) -> list[Utterance]:
    """The utterances of a list, which are valid; none where it is refused with its name."""
    refusal, found = None, []
    try:
        found = list(read_nbest(path, format, manifest=manifest, **how))
    except InputError as error:
        refusal = str(error)
    if refusal is not None:
        assert any(str(file) in refusal for file in (path, manifest)), f"no file is named: {refusal}"
        return []
    assert found, "no utterance and no reason"
    assert len({utterance.id for utterance in found}) == len(found), "an id twice"
    assert all(utterance.hypotheses for utterance in found), "an utterance without hypotheses"
    write_nbest(path.with_name("copy.jsonl"), found)
    assert len(list(read_nbest(path.with_name("copy.jsonl"), as_given=True))) == len(found), "not the same again"
    return found


def _mapping(path: Path) -> int:
    parse_mapping(str(path))
    return 1


def _parquet() -> list[bytes]:
    """The canonical fields as Parquet and as Arrow; nothing where the package is not installed."""
    try:
        import pyarrow
        import pyarrow.feather
        import pyarrow.parquet
    except ImportError:
        return []
    table = pyarrow.table(
        {"id": ["u1", "u2"], "nbest": [["one", "two"], ["x", ""]], "am": [[-1.0, -2.0], [-3.0, -4.0]]}
    )
    with tempfile.TemporaryDirectory() as folder:
        pyarrow.parquet.write_table(table, f"{folder}/a.parquet")
        pyarrow.feather.write_feather(table, f"{folder}/a.arrow", compression="uncompressed")
        return [Path(folder, name).read_bytes() for name in ("a.parquet", "a.arrow")]


def _written() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        utterances = [
            Utterance(f"u{n}", (Hypothesis("a", {"am": -1.0}), Hypothesis("b", {"am": -2.0}))) for n in (1, 2)
        ]
        for name in ("a.jsonl.gz", "a.jsonl.zst"):
            write_nbest(Path(folder, name), utterances)
        return [path.read_bytes() for path in sorted(Path(folder).iterdir())]


READERS = {
    **{name: _reader(name) for name in FORMATS if name in SEED_LISTS},
    "compressed": FileReader(lambda path: len(_read(path, None)), _written),
    "mapped by the user": FileReader(lambda path: len(_read(path, None, mapping=_MAPPING)), lambda: [_MAPPED]),
    "mapping": FileReader(_mapping, lambda: [_TOML], "m.toml"),
    "reference files": FileReader(lambda path: len(read_references(path)), lambda: _REFERENCES),
}


def run(inputs: int, seed: int) -> Iterator[dict[str, Any]]:
    """Read so many damaged lists of every format; a row for each."""
    found = _parquet()
    extra = {"parquet": FileReader(lambda path: len(_read(path, "parquet")), lambda: found)} if found else {}
    return fuzz({**READERS, **extra}, inputs, seed)
