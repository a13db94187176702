"""Whatever bytes the readers are given, they answer with utterances or with an InputError; what is valid comes back.

Each property says how many inputs it draws; malformed ones are 3,000 in all.
"""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from campaigns._seed_lists import MANIFEST, SEED_LISTS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asr_lm.errors import InputError
from asr_lm.hypotheses.formats import FORMATS
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.hypotheses.writing import write_nbest

FOLDERS = ("kaldi", "espnet", "parquet")
FILE_FORMATS = [name for name in FORMATS if name not in FOLDERS]
KALDI: dict[str, bytes] = {
    "words_text": b"u-1-1 one two\nu-1-2 one\nv-1 \nv-2 nan\n",
    "acwt": b"u-1-1 1\nu-1-2 2\nv-1 -3.5\nv-2 1e2\n",
    "ref": b"u-1 one\n",
}

ORDINARY = settings(deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("malformed")
    (folder / "manifest.json").write_bytes(MANIFEST)
    return folder


def assert_read_or_refused(path: Path, format: str | None = None, manifest: Path | None = None) -> bool:
    """Read a list that may be anything; True where it is a list, which is then checked to be a valid one."""
    refusal: InputError | None = None
    utterances: list[Utterance] = []
    try:
        utterances = list(read_nbest(path, format, manifest=manifest))
    except InputError as error:
        refusal = error
    if refusal is not None:
        assert any(str(file) in str(refusal) for file in (path, manifest))
        return False
    assert_valid(utterances)
    return True


def assert_valid(utterances: list[Utterance]) -> None:
    assert utterances
    assert len({utterance.id for utterance in utterances}) == len(utterances)
    names = utterances[0].hypotheses[0].scores.keys()
    for utterance in utterances:
        assert msgspec.json.decode(msgspec.json.encode(utterance), type=Utterance) == utterance
        assert utterance.id.strip()
        assert utterance.hypotheses
        for hypothesis in utterance.hypotheses:
            assert hypothesis.scores.keys() == names
            assert all(map(math.isfinite, hypothesis.scores.values()))


def try_every_way(folder: Path, content: bytes, format: str) -> None:
    path = folder / "list"
    path.write_bytes(content)
    manifest = folder / "manifest.json" if format == "nemo" else None
    assert_read_or_refused(path, manifest=manifest)
    assert_read_or_refused(path, format, manifest)


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """The content with bytes changed, removed, doubled, inserted or cut off."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        kind = draw(st.sampled_from(["change", "remove", "double", "insert", "cut"]))
        piece = draw(
            st.binary(max_size=6) | st.sampled_from([b"NaN", b"1e999", b"\\ud800", b"\n", b"\t", b'"', b"{", b"\0"])
        )
        if kind == "change":
            data[start:end] = piece
        elif kind == "remove":
            del data[start:end]
        elif kind == "double":
            data[start:start] = data[start:end] * 2
        elif kind == "insert":
            data[start:start] = piece
        else:
            del data[start:]
    return bytes(data)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([10**400, "nan", "hyp_1", "", math.nan, math.inf]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "text", "scores", "hypotheses", "reference", "input", "output", "score", "hyp_1", "ref"]
            )
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def fields_of(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a JSON value."""
    entries = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    found = [(value, key) for key, _ in entries]
    return found + [pair for _, entry in entries if isinstance(entry, (dict, list)) for pair in fields_of(entry)]


@st.composite
def retyped(draw: st.DrawFn, format: str) -> bytes:
    """The seed list with fields dropped, renamed, or replaced by any JSON value."""
    content = SEED_LISTS[format]
    records = [json.loads(line) for line in content.splitlines()] if format == "canonical" else json.loads(content)
    for _ in range(draw(st.integers(1, 3))):
        places = fields_of(records)
        if not places:
            break
        container, key = draw(st.sampled_from(places))
        kind = draw(st.sampled_from(["drop", "rename", "retype"]))
        if kind == "retype":
            container[key] = draw(JSON_VALUES)
        elif kind == "drop":
            del container[key]
        elif isinstance(container, dict):
            container[draw(st.sampled_from(["ID", "", "hyp_1", "hyp_x", "id"]))] = container.pop(key)
    if format == "canonical" and draw(st.booleans()):
        return b"".join(json.dumps(record).encode() + b"\n" for record in records)
    return json.dumps(records, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass")


@pytest.mark.parametrize("format", FILE_FORMATS)
def test_the_seed_lists_are_valid(folder: Path, format: str) -> None:
    path = folder / "seed"
    path.write_bytes(SEED_LISTS[format])
    assert assert_read_or_refused(path, manifest=folder / "manifest.json" if format == "nemo" else None)


@pytest.mark.parametrize("format", FILE_FORMATS)
@settings(ORDINARY, max_examples=100)
@given(data=st.data())
def test_damaged_bytes(folder: Path, format: str, data: st.DataObject) -> None:
    try_every_way(folder, data.draw(damaged(SEED_LISTS[format])), format)


@pytest.mark.parametrize("format", ["canonical", "mlm-scoring", "hyporadise"])
@settings(ORDINARY, max_examples=300)
@given(data=st.data())
def test_dropped_renamed_and_retyped_fields(folder: Path, format: str, data: st.DataObject) -> None:
    try_every_way(folder, data.draw(retyped(format)), format)


@settings(ORDINARY, max_examples=300)
@given(value=JSON_VALUES, format=st.sampled_from(FILE_FORMATS))
def test_any_json(folder: Path, value: Any, format: str) -> None:
    try_every_way(folder, json.dumps(value).encode(), format)


@settings(ORDINARY, max_examples=300)
@given(
    content=st.text(max_size=60).map(lambda text: text.encode(errors="surrogatepass")) | st.binary(max_size=60),
    format=st.sampled_from(FILE_FORMATS),
)
def test_any_text_and_any_bytes(folder: Path, content: bytes, format: str) -> None:
    try_every_way(folder, content, format)


@settings(ORDINARY, max_examples=250)
@given(content=damaged(MANIFEST))
def test_damaged_manifests(folder: Path, content: bytes) -> None:
    path, manifest = folder / "beams", folder / "damaged.json"
    path.write_bytes(SEED_LISTS["nemo"])
    manifest.write_bytes(content)
    assert_read_or_refused(path, manifest=manifest)


@settings(ORDINARY, max_examples=250)
@given(data=st.data(), name=st.sampled_from(sorted(KALDI)))
def test_damaged_archives(folder: Path, data: st.DataObject, name: str) -> None:
    archives = folder / "archives"
    archives.mkdir(exist_ok=True)
    for other, content in KALDI.items():
        (archives / other).write_bytes(data.draw(damaged(content)) if other == name else content)
    assert_read_or_refused(archives)


def test_cut_off_anywhere(folder: Path) -> None:
    for format, content in SEED_LISTS.items():
        for end in random.Random(0).sample(range(len(content)), min(len(content), 60)):
            try_every_way(folder, content[:end], format)


TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
SCORES = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def valid_lists(draw: st.DrawFn) -> list[Utterance]:
    names = draw(st.lists(TEXTS, max_size=3, unique=True))
    hypotheses = st.builds(
        Hypothesis, text=TEXTS, scores=st.fixed_dictionaries(dict.fromkeys(names, SCORES)), total=st.none() | SCORES
    )
    utterances = st.builds(
        Utterance,
        id=TEXTS.filter(str.strip),
        hypotheses=st.lists(hypotheses, min_size=1, max_size=4).map(tuple),
        reference=st.none() | TEXTS,
        recording=st.none() | TEXTS,
    )
    return draw(st.lists(utterances, min_size=1, max_size=4, unique_by=lambda utterance: utterance.id))


@settings(ORDINARY, max_examples=100)
@given(utterances=valid_lists(), suffix=st.sampled_from(["jsonl", "json", "jsonl.gz", "json.zst"]))
def test_what_is_written_is_read_back(folder: Path, utterances: list[Utterance], suffix: str) -> None:
    path = folder / f"valid.{suffix}"
    assert write_nbest(path, utterances) == len(utterances)
    assert list(read_nbest(path, as_given=True)) == utterances
    assert list(read_nbest(path, "canonical", as_given=True)) == utterances
