"""What is said: references in files of their own, by the ids of the utterances."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from asr_lm.corpora.stm import read_stm
from asr_lm.errors import InputError
from asr_lm.files import display_name, iterate_text
from asr_lm.hypotheses import field_names as names
from asr_lm.hypotheses.beginning import Beginning
from asr_lm.hypotheses.format import Notices
from asr_lm.hypotheses.formats.trn import lines_of as trn_lines
from asr_lm.hypotheses.one_best import is_trn
from asr_lm.hypotheses.records import Record, json_values, table_of, table_rows
from asr_lm.hypotheses.sclite import COMMENT, unescaped
from asr_lm.hypotheses.validation import Located, Location, decimal

_SOUND = re.compile(r"\.(wav|flac|mp3|ogg|opus|m4a|sph|webm|json)$", re.IGNORECASE)


def keyed_rows(path: Path) -> Iterator[tuple[int, str, str]]:
    """Line number, first field and the rest of every line that is not blank.

    Raises:
        InputError: the file cannot be read, or two lines have the same first field.
    """
    lines: dict[str, int] = {}
    for number, line in iterate_text(path):
        if not line.strip():
            continue
        name, *rest = line.split(maxsplit=1)
        if name in lines:
            raise InputError(
                f"two utterances of this id, the first in line {lines[name]}",
                file=display_name(path),
                line=number,
                utterance=name,
            )
        lines[name] = number
        yield number, name, rest[0].strip() if rest else ""


def read_keyed_texts(path: Path) -> dict[str, str]:
    """The words of every utterance of a table, a space between them.

    Raises:
        InputError: the file cannot be read, or an utterance is there twice.
    """
    return {name: " ".join(words.split()) for _, name, words in keyed_rows(path)}


def read_references(path: Path) -> dict[str, str]:
    """The words of every utterance, whatever the file is: it is told from its beginning.

    Read are lines of an id and its words, NIST's TRN (words, id in parentheses) and STM (segments of one recording are
    joined in the order of time), CSV and TSV with a header, and JSON: manifests with an id and a reference under a
    usual name on each line, and dictionaries of texts by id.

    Raises:
        InputError: the file cannot be read or has no references, or an utterance is there twice.
    """
    beginning = Beginning(path)
    if beginning.is_json:
        return _collected(_of_records(json_values(path)), path)
    if _is_stm(beginning):
        return _of_stm(path)
    if is_trn(beginning):
        return _collected(((place, key, unescaped(text)) for place, key, text in trn_lines(path)), path)
    table = table_of(beginning, _is_header)
    if table is not None and table.header is not None:
        return _collected(_of_records(table_rows(path, table)), path)
    return read_keyed_texts(path)


_Found = tuple[Location, str, str]


def _collected(found: Iterable[_Found], path: Path) -> dict[str, str]:
    references: dict[str, str] = {}
    for place, identity, text in found:
        if identity in references:
            raise place.error("a second reference of this utterance, expected one", identity)
        references[identity] = " ".join(text.split())
    if not references:
        raise InputError("no references in it", file=path)
    return references


def _is_header(cells: list[str]) -> bool:
    return names.first_of(names.IDS, cells) is not None and len(set(cells)) == len(cells)


def _of_records(records: Iterable[Record]) -> Iterator[_Found]:
    for place, record, _, _ in records:
        for value in record if isinstance(record, list) else [record]:
            if not isinstance(value, dict):
                raise place.error("expected an object with an id and a reference")
            yield from _of_object(place, value)


def _of_object(place: Location, value: dict[str, Any]) -> Iterator[_Found]:
    identity = names.first_of(names.IDS, [key for key, entry in value.items() if isinstance(entry, (str, int))])
    texts = [key for key, entry in value.items() if key != identity and isinstance(entry, str)]
    reference = names.first_of(names.REFERENCES, texts)
    if identity is not None and reference is not None:
        yield place, str(value[identity]), value[reference]
    elif value and len(texts) + (identity is not None) == len(value):
        yield from ((place, key, text) for key, text in value.items() if isinstance(text, str))
    else:
        wanted = "an id such as utt_id" if identity is None else "a reference such as ref"
        raise place.error(f"no field that is called like {wanted}, only {', '.join(value)[:100] or 'none'}")


def _is_stm(beginning: Beginning) -> bool:
    rows = [line.split() for line in beginning.lines[:20] if not line.startswith(COMMENT)]
    return bool(rows) and all(len(row) >= 5 and None not in map(decimal, row[3:5]) for row in rows)


def _of_stm(path: Path) -> dict[str, str]:
    """The words of each recording."""
    marks: dict[str, list[tuple[float, str]]] = {}
    for mark in read_stm(path):
        if mark.scored:
            marks.setdefault(mark.recording, []).append((mark.start, mark.text))
    return {
        name: " ".join(text for _, text in sorted(found, key=lambda pair: pair[0])) for name, found in marks.items()
    }


def with_references(located: Located, path: Path, notices: Notices) -> Located:
    """The utterances, each with its reference from a file; those that have none there keep what they have.

    Utterances and references belong together by their ids, else by the names of the files in them
    (``wavs/u1.wav`` and ``u1``).

    Raises:
        InputError: no utterance has a reference, in the file or of its own.
    """
    references = read_references(path)
    by_name = _by_file_name(references)
    found = number = 0
    first: tuple[Location, str] | None = None
    own = False
    for place, utterance in located:
        reference = references.get(utterance.id, by_name.get(_file_name(utterance.id)))
        first, number, found = first or (place, utterance.id), number + 1, found + (reference is not None)
        own = own or utterance.reference is not None
        yield place, utterance if reference is None else msgspec.structs.replace(utterance, reference=reference)
    if first is not None and not found and not own:
        message = (
            f"no reference in {display_name(path)} for this utterance nor any other, there are {_some(references)}"
        )
        raise InputError(message, file=first[0].file, utterance=first[1], parameter="references")
    notices.say(f"references of {found:,} of {number:,} utterances in {display_name(path)}")


def _file_name(identity: str) -> str:
    return _SOUND.sub("", identity.rpartition("/")[2])


def _by_file_name(references: dict[str, str]) -> dict[str, str]:
    """References by the file names in their ids, where no two are the same."""
    counts = Counter(map(_file_name, references))
    return {name: text for key, text in references.items() if counts[name := _file_name(key)] == 1}


def _some(references: dict[str, str]) -> str:
    return ", ".join(list(references)[:3])
