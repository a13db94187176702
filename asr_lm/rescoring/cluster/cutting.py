"""Cutting a list into parts as one process does: the cut depends on the list alone, not on who rescores it.

Neural models compute the common prefixes of a part together, so the last digits of their scores depend on what is in
it. A part is what :func:`asr_lm.rescoring.scoring.scorer.shards` gives of the rows that are not bad.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from asr_lm.hypotheses.known_ids import KnownIds
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.rescoring.cluster.list_files import ListFiles, ListRow, RowReader, RowSpan
from asr_lm.rescoring.cluster.scanning import BadRow, Law, Scanned
from asr_lm.rescoring.scoring import scorer

Place = tuple[int, int]
"""File and position of a row."""


@dataclass(frozen=True)
class Part:
    """Rows that are rescored together.

    Attributes:
        number: of the part, from 0.
        spans: where its rows stand.
        utterances: how many are good.
        hypotheses: how many these have.
        bad: rows that are left out, by their place.
    """

    number: int
    spans: tuple[RowSpan, ...]
    utterances: int
    hypotheses: int
    bad: Mapping[Place, BadRow]

    def rows(self, reader: RowReader) -> list[tuple[int, ListRow]]:
        """All rows, bad ones among them, each with the number of its file.

        Raises:
            InputError: a file cannot be read.
        """
        return [(span.file, row) for span in self.spans for row in reader.rows(span)]

    def good(self, rows: Iterable[tuple[int, ListRow]], source: ListFiles, law: Law) -> Iterator[Utterance]:
        """The utterances of rows that are not bad."""
        for file, row in rows:
            if (file, row.position) not in self.bad:
                place = source.place(file)
                yield law.meaning.apply(source.utterance(row, place), place)


@dataclass
class _Open:
    """The part that is not full yet."""

    spans: list[RowSpan] = field(default_factory=list)
    utterances: int = 0
    hypotheses: int = 0
    bad: dict[Place, BadRow] = field(default_factory=dict)

    def add(self, scanned: Scanned, first: int, last: int, bad: Mapping[int, BadRow]) -> None:
        """Rows of a stretch, the last one left out."""
        if first == last:
            return
        file, positions = scanned.span.file, scanned.positions
        begin = int(positions[first])
        end = int(positions[last]) if last < len(positions) else scanned.span.end
        if self.spans and self.spans[-1].file == file and self.spans[-1].end >= begin:
            begin = self.spans.pop().begin
        self.spans.append(RowSpan(file, begin, end))
        counts = scanned.hypotheses[first:last]
        self.utterances += int((counts > 0).sum())
        self.hypotheses += int(counts.sum())
        self.bad |= {(file, int(positions[row])): found for row, found in bad.items() if first <= row < last}

    def close(self, number: int) -> Part:
        """What was added as a part."""
        return Part(number, tuple(self.spans), self.utterances, self.hypotheses, self.bad)


def parts_of(stretches: Iterable[Scanned], most: int | None = None) -> Iterator[Part]:
    """The parts of a list; a row whose id was used before joins the bad ones.

    Args:
        stretches: all of the list, in order.
        most: hypotheses that close a part; None stands for :data:`~asr_lm.rescoring.scoring.scorer.SHARD_HYPOTHESES`.
    """
    most = most or scorer.SHARD_HYPOTHESES
    known, part, number = KnownIds(), _Open(), 0
    file, lines = -1, 0
    for scanned in stretches:
        lines = lines if scanned.span.file == file else 0
        file = scanned.span.file
        bad = _with_lines(scanned, lines) | _used_before(scanned, known, lines)
        lines += scanned.lines
        ends, first = np.cumsum(scanned.hypotheses, dtype=np.int64), 0
        while True:
            before = int(ends[first - 1]) if first else 0
            last = int(np.searchsorted(ends, before + most - part.hypotheses)) + 1
            part.add(scanned, first, min(last, len(ends)), bad)
            if last > len(ends):
                break
            yield part.close(number)
            part, number, first = _Open(), number + 1, last
    if part.spans:
        yield part.close(number)


def _with_lines(scanned: Scanned, before: int) -> dict[int, BadRow]:
    """The bad rows, with lines counted from the beginning of the file."""
    return {row: found._replace(line=before + found.line) for row, found in scanned.bad.items()}


def _used_before(scanned: Scanned, known: KnownIds, before: int) -> dict[int, BadRow]:
    """Rows whose id was used before; they lose their hypotheses."""
    bad = {}
    for row, digest in enumerate(scanned.digests):
        if not digest:
            continue
        line = before + int(scanned.numbers[row])
        # In a folder the line says nothing without its file, which is not kept.
        first = known.add_digest(digest, line if scanned.span.file == 0 else None)
        if first is not None:
            where = f" in line {first}" if first and scanned.span.file == 0 else ""
            bad[row] = BadRow(line, None, f"field id: this id was used before{where}, expected unique ids")
            scanned.hypotheses[row] = 0
    return bad
