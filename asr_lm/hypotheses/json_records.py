"""Records of a JSON Lines file or of a JSON array, and errors that name the field.

A record is decoded once, by msgspec, straight into its class. Only when that fails is it read again, slowly, to find
out what to tell the user.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from asr_lm.errors import InputError
from asr_lm.files import display_name, iterate_lines, read_bytes
from asr_lm.hypotheses.validation import Location

T = TypeVar("T")

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
NOT_FINITE = "not a finite number, expected a finite score"
SURROGATE = "half of a surrogate pair, expected Unicode text"
TOO_DEEP = "JSON nested too deeply"

_DECODING_FAILED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_START = 65536
_BLANK = re.compile(r"\s*")
_BETWEEN = re.compile(rb"[\s,]*")
_MISSING = re.compile(r"Object missing required field `(.*)`")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")


def json_records(path: Path) -> Iterator[tuple[Location, bytes]]:
    """Each record of the file with its place: the elements of an array, else the lines that are not blank.

    Where the first line is the beginning of a longer value, the file holds values of several lines (indented JSON), one
    after another. Lines are streamed; an array and longer values are read whole.

    Raises:
        InputError: the file is damaged or not UTF-8, an array is malformed or empty.
    """
    kind = _array_records if _is_array(path) else _document_records if _is_document(path) else _line_records
    yield from kind(path)


def decode_record(decoder: msgspec.json.Decoder[T], raw: bytes, place: Location) -> T:
    """The record as the decoder's type.

    Raises:
        InputError: malformed JSON, a missing field, a wrong type or a number that is not finite.
    """
    try:
        return decoder.decode(raw)
    except _DECODING_FAILED as error:
        raise _explained(raw, error, place) from None


def parse_document(data: bytes, place: Location, **options: Any) -> Any:
    """JSON as Python values, by the standard library: slower than msgspec, but NaN, Infinity and 1e999 come through.

    Raises:
        InputError: not UTF-8, malformed, or nested too deeply; the line counts from the place's.
    """
    try:
        return json.loads(data.decode("utf-8"), **options)
    except UnicodeDecodeError as error:
        line = (place.line or 1) + data.count(b"\n", 0, error.start)
        raise place._replace(line=line).error(f"not UTF-8 ({error.reason})") from None
    except RecursionError:
        raise place.error(TOO_DEEP) from None
    except json.JSONDecodeError as error:
        line = (place.line or 1) + error.lineno - 1
        raise place._replace(line=line).error(f"malformed JSON ({error.msg} at column {error.colno})") from None
    except ValueError as error:
        raise place.error(f"malformed JSON ({error})") from None


def _is_array(path: Path) -> bool:
    start = read_bytes(path, _START)
    return start.removeprefix(BYTE_ORDER_MARK).lstrip().startswith(b"[")


def _is_document(path: Path) -> bool:
    """Whether the first line is malformed JSON only because it ends too early."""
    lines = read_bytes(path, _START).removeprefix(BYTE_ORDER_MARK).lstrip().split(b"\n", 1)
    if len(lines) == 1:
        return False
    line = lines[0].decode("utf-8", "replace").rstrip()
    try:
        json.loads(line)
    except json.JSONDecodeError as error:
        return error.pos >= len(line)
    except (RecursionError, ValueError):
        return False
    return False


def _document_records(path: Path) -> Iterator[tuple[Location, bytes]]:
    file, data = display_name(path), read_bytes(path).removeprefix(BYTE_ORDER_MARK)
    text = _text(data, file)
    position, line = 0, 1
    while (start := cast(re.Match[str], _BLANK.match(text, position)).end()) < len(text):
        line += text.count("\n", position, start)
        position = _value_end(text, start, Location(file, line))
        yield Location(file, line), text[start:position].encode()
        line += text.count("\n", start, position)


def _check_utf8(data: bytes, file: str, line: int = 1) -> None:
    # msgspec does not look into fields that a record's class has not.
    if not data.isascii():
        _text(data, file, line)


def _text(data: bytes, file: str, line: int = 1) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line += data.count(b"\n", 0, error.start)
        raise InputError(f"not UTF-8 ({error.reason})", file=file, line=line) from None


def _value_end(text: str, start: int, place: Location) -> int:
    try:
        return json.JSONDecoder().raw_decode(text, start)[1]
    except json.JSONDecodeError as error:
        message = f"malformed JSON ({error.msg} at column {error.colno})"
        raise place._replace(line=error.lineno).error(message) from None
    except RecursionError:
        raise place.error(TOO_DEEP) from None
    except ValueError as error:
        raise place.error(f"malformed JSON ({error})") from None


def _line_records(path: Path) -> Iterator[tuple[Location, bytes]]:
    file = display_name(path)
    for number, line in iterate_lines(path):
        if number == 1:
            line = line.removeprefix(BYTE_ORDER_MARK)
        if line and not line.isspace():
            _check_utf8(line, file, number)
            yield Location(file, number), line


def _array_records(path: Path) -> Iterator[tuple[Location, bytes]]:
    file = display_name(path)
    data = read_bytes(path).removeprefix(BYTE_ORDER_MARK)
    _check_utf8(data, file)
    try:
        elements = msgspec.json.decode(data, type=list[msgspec.Raw])
    except _DECODING_FAILED as error:
        raise _explained(data, error, Location(file)) from None
    if not elements:
        raise InputError("empty list, expected at least one utterance", file=file)
    line, end = 1, data.index(b"[") + 1
    line += data.count(b"\n", 0, end)
    for index, element in enumerate(elements):
        raw = bytes(element)
        start = cast(re.Match[bytes], _BETWEEN.match(data, end)).end()
        line += data.count(b"\n", end, start)
        yield Location(file, line, index), raw
        line += raw.count(b"\n")
        end = start + len(raw)


def _explained(raw: bytes, error: Exception, place: Location) -> InputError:
    """What is wrong with a record (or a whole array) that msgspec refused."""
    try:
        value = parse_document(raw, place)
    except InputError as malformed:
        return malformed
    utterance = _utterance_id(value)
    if isinstance(error, msgspec.ValidationError):
        message, field = _translated(str(error), value)
        return place.error(message, utterance, field)
    field = _first_not_finite(value)
    if field is not None:
        if isinstance(value, list):
            utterance = _utterance_id(value[int(field[1:].split("]")[0])])
        return place.error(NOT_FINITE, utterance, field)
    if isinstance(error, RecursionError):
        return place.error(TOO_DEEP, utterance)
    if _SURROGATE.search(raw):
        return place.error(SURROGATE, utterance)
    return place.error(f"malformed JSON ({error})", utterance)


def _utterance_id(value: Any) -> str | None:
    found = value.get("id") if isinstance(value, dict) else None
    return found if isinstance(found, str) else None


def _translated(complaint: str, value: Any) -> tuple[str, str | None]:
    """Message and field of msgspec's complaint, ``Expected `str`, got `int` - at `$.hypotheses[0].text```."""
    message, _, path = complaint.partition(" - at `$")
    field = path.removesuffix("`").removeprefix(".")
    if field.endswith("[...]"):
        field = _first_not_numeric(field.removesuffix("[...]"), value)
    if missing := _MISSING.fullmatch(message):
        return "missing", f"{field}.{missing[1]}" if field else missing[1]
    if message == "Number out of range":
        return NOT_FINITE, field or None
    return message[0].lower() + message[1:], field or None


def _first_not_numeric(field: str, value: Any) -> str:
    """msgspec does not say which entry of a dictionary is wrong: the first that is no finite number."""
    # A key given twice hides its first value, and then there is nothing to walk to.
    with contextlib.suppress(KeyError, IndexError, TypeError):
        for name, index in _STEP.findall(f".{field}"):
            value = value[name] if name else value[int(index)]
        for name in value:
            if type(value[name]) not in (int, float) or not abs(value[name]) <= sys.float_info.max:
                return f"{field}.{name}"
    return field


def _first_not_finite(value: Any) -> str | None:
    """Field of the first NaN or infinity in reading order, walking without recursion."""
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        field, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [(f"{field}.{name}" if field else name, entry) for name, entry in reversed(value.items())]
        elif isinstance(value, list):
            waiting += [(f"{field}[{index}]", value[index]) for index in reversed(range(len(value)))]
        elif isinstance(value, float) and not math.isfinite(value):
            return field
    return None
