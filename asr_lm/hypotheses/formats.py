"""Which format an n-best list has, told from its content.

A format is named only where the beginning of the file fits it and no other; where two fit, or none, the user is asked.
"""

from __future__ import annotations

import codecs
import contextlib
import itertools
import json
import operator
import re
from pathlib import Path
from typing import Any

from asr_lm.errors import InputError
from asr_lm.files import display_name, iterate_text, read_bytes
from asr_lm.hypotheses import kaldi, switchboard
from asr_lm.hypotheses.json_records import TOO_DEEP
from asr_lm.hypotheses.validation import decimal

CANONICAL = "canonical"
MLM_SCORING = "mlm-scoring"
HYPORADISE = "hyporadise"
NEMO = "nemo"
KALDI = "kaldi"
SWITCHBOARD = "switchboard-ws97"

FORMATS = (CANONICAL, MLM_SCORING, HYPORADISE, NEMO, KALDI, SWITCHBOARD)
"""Every name that ``--format`` takes."""

_MLM_SCORING_START = re.compile(r'\s*\{\s*"(?:[^"\\]|\\.)*"\s*:\s*\{\s*"hyp_\d+"\s*:')
_START = 65536
_LONGEST_TOKEN = 64


def recognise(path: Path) -> str:
    """Name of the format of a file or folder.

    Raises:
        InputError: it is empty or damaged, or no format fits, or more than one.
    """
    fitting = _fitting_folder(path) if path.is_dir() else _fitting_file(path)
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise InputError(f"could be {' or '.join(fitting)}: say which with --format", file=display_name(path))
    if path.is_dir() and not any(path.iterdir()):
        raise InputError("is an empty folder, an n-best list was expected", file=display_name(path))
    raise InputError(
        f"no n-best list of a known format, expected one of {', '.join(FORMATS)} (see --format)",
        file=display_name(path),
    )


def _fitting_folder(folder: Path) -> list[str]:
    fitting = [KALDI] if kaldi.has_hypotheses(folder) else []
    files = switchboard.utterance_files(folder)
    # Beside Kaldi's archives there may be binary files, which are no fault.
    with contextlib.suppress(InputError) if fitting else contextlib.nullcontext():
        if files and _is_switchboard([line for _, line in itertools.islice(iterate_text(files[0]), 2)]):
            fitting.append(SWITCHBOARD)
    return fitting


def _fitting_file(path: Path) -> list[str]:
    start, complete = _start(path, _START)
    if not start.strip():
        raise InputError("empty file, expected an n-best list", file=display_name(path))
    lines = start.split("\n") if complete else start.split("\n")[:-1]
    first = [line for line in lines if line.strip()][:2]
    fitting = [NEMO] if first and all(map(_is_beam, first)) else []
    if _is_switchboard(first):
        fitting.append(SWITCHBOARD)
    if fitting or start.lstrip()[:1] not in ("{", "["):
        return fitting
    if _MLM_SCORING_START.match(start):
        return [MLM_SCORING]
    return _fitting_record(_first_record(path))


def _start(path: Path, size: int) -> tuple[str, bool]:
    """The first ``size`` bytes as text, and whether that is all."""
    data = read_bytes(path, size)
    complete = len(data) < size
    try:
        return codecs.getincrementaldecoder("utf-8-sig")().decode(data, final=complete), complete
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"not UTF-8 ({error.reason})", file=display_name(path), line=line) from None


def _is_beam(line: str) -> bool:
    _, tab, score = line.rpartition("\t")
    return bool(tab) and decimal(score.strip()) is not None


def _is_switchboard(lines: list[str]) -> bool:
    return (
        len(lines) == 2
        and switchboard.REFERENCE_LINE.fullmatch(lines[0]) is not None
        and switchboard.is_hypothesis_line(lines[1])
    )


def _fitting_record(record: Any) -> list[str]:
    """Formats whose first record (for mlm-scoring: whose only one) this may be."""
    if not isinstance(record, dict):
        return []
    fitting = [CANONICAL] if "hypotheses" in record else []
    if isinstance(record.get("input"), list) or ("input" in record and not fitting):
        fitting.append(HYPORADISE)
    if not fitting and all(isinstance(entry, dict) for entry in record.values()):
        fitting.append(MLM_SCORING)
    return fitting


def _first_record(path: Path) -> Any:
    """The first JSON value of the file, or the first element if that is an array; no more is read than it takes.

    Raises:
        InputError: it is malformed, or the array is empty.
    """
    for size in itertools.accumulate(itertools.repeat(4), operator.mul, initial=_START):
        text, complete = _start(path, size)
        position = _record_start(text)
        if text[position : position + 1] == "]":
            raise InputError("empty list, expected at least one utterance", file=display_name(path))
        try:
            return json.JSONDecoder().raw_decode(text, position)[0]
        except json.JSONDecodeError as error:
            # A value whose end was not read fails at the end, or at the start of its last string.
            if complete or not (error.msg.startswith("Unterminated") or error.pos > len(text) - _LONGEST_TOKEN):
                message = f"malformed JSON ({error.msg} at column {error.colno})"
                raise InputError(message, file=display_name(path), line=error.lineno) from None
        except RecursionError:
            raise InputError(TOO_DEEP, file=display_name(path)) from None
        except ValueError as error:
            raise InputError(f"malformed JSON ({error})", file=display_name(path)) from None
    raise AssertionError("unreachable: the sizes never end")


def _record_start(text: str) -> int:
    return len(text) - len(text.lstrip().removeprefix("[").lstrip())
