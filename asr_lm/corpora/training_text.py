"""Text for language models, a normalised sentence a line, and how much of it is what will be tested."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Set
from pathlib import Path

from asr_lm.corpora.download import Report, no_report
from asr_lm.errors import InputError
from asr_lm.files import atomic_write

_REPORTED = 100_000
_HASHES = 1 << 32


def write_training_text(
    path: Path,
    sentences: Iterable[str],
    references: Mapping[str, Set[str]],
    *,
    share: float = 1.0,
    report: Report = no_report,
) -> tuple[int, dict[str, int]]:
    """Write sentences; empty ones are left out.

    Args:
        references: of parts of the corpus that are to be recognised, by the part's name.
        share: how much of the text is written. A sentence's CRC-32 decides, so the choice is the same every time, and
            repetitions stay together.

    Returns:
        How many sentences there are, and of how many distinct references of each part the text has the very words.

    Raises:
        InputError: there is no sentence, or the file cannot be written.
    """
    known: set[str] = set().union(*references.values())
    count, met = 0, set()
    with atomic_write(path) as stream:
        for sentence in sentences:
            line = f"{sentence}\n".encode()
            if not sentence or zlib.crc32(line) >= share * _HASHES:
                continue
            count += 1
            if sentence in known:
                met.add(sentence)
            stream.write(line)
            if count % _REPORTED == 0:
                report(count, 0)
        if not count:
            raise InputError("no sentence to be written", file=path)
    return count, {part: len(met & said) for part, said in references.items()}
