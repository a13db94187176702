"""What is said, told by tables: an utterance's id and its words on every line, parted by spaces or tabs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from asr_lm.errors import InputError
from asr_lm.files import display_name, iterate_text


def table_rows(path: Path) -> Iterator[tuple[int, str, str]]:
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


def read_references(path: Path) -> dict[str, str]:
    """The words of every utterance, a space between them.

    Raises:
        InputError: the file cannot be read, or an utterance is there twice.
    """
    return {name: " ".join(words.split()) for _, name, words in table_rows(path)}
