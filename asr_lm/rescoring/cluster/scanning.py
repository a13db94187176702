"""Looking through a list before it is rescored: where its rows stand, how many hypotheses they have, which are bad."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Set
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError
from asr_lm.hypotheses.format import Notices
from asr_lm.hypotheses.interpretation import SAMPLE, Interpretation, interpretation
from asr_lm.hypotheses.known_ids import digest_of
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.hypotheses.validation import Consistency, Location
from asr_lm.rescoring.cluster.list_files import ListFiles, ListRow, RowReader, RowSpan


class BadRow(NamedTuple):
    """Why a row is left out.

    Attributes:
        line: number of the line or the row in its file, from 1.
        utterance: the id, where it is known.
        reason: what is wrong with it, and where.
    """

    line: int
    utterance: str | None
    reason: str


@dataclass(frozen=True)
class Law:
    """What the beginning of a list says of all of it. It can be pickled.

    Attributes:
        names: of the recogniser's scores.
        meaning: what scores mean.
    """

    names: Set[str]
    meaning: Interpretation

    @classmethod
    def of(cls, source: ListFiles, notices: Notices, costs: tuple[str, ...] = (), as_given: bool = False) -> Law:
        """Read the beginning of a list.

        Raises:
            InputError: it has no utterance, or scores of which nobody knows the meaning.
        """
        found, first_error = [], None
        for row, place in islice(_first_rows(source), SAMPLE):
            try:
                found.append((place, source.utterance(row, place)))
            except InputError as error:
                first_error = first_error or error
        names = _usual_names([utterance for _, utterance in found])
        law, good = Consistency(unique=True, names=names), []
        for place, utterance in found:
            try:
                law.check(utterance, place)
                good.append((place, utterance))
            except InputError as error:
                first_error = first_error or error
        if not good:
            raise first_error or InputError("empty list, expected at least one utterance", file=source.files[0].name)
        return cls(names, interpretation(good, notices, costs, as_given))


def _first_rows(source: ListFiles) -> Iterator[tuple[ListRow, Location]]:
    reader = RowReader(source)
    for span in source.stretches():
        for row in reader.rows(reader.whole_rows(span)):
            yield row, source.place(span.file, row.line)


def _usual_names(utterances: list[Utterance]) -> frozenset[str]:
    """The names of scores that most hypotheses have."""
    own = (each for utterance in utterances for each in utterance.hypotheses if not each.corrected)
    counts = Counter(frozenset(each.scores) for each in own)
    return counts.most_common(1)[0][0] if counts else frozenset()


@dataclass
class Scanned:
    """What a stretch of a file holds.

    Attributes:
        span: its rows.
        lines: how many there are, blank ones among them.
        positions: of each row ``[rows]``.
        numbers: of the line of each row, from 1 at the beginning of the stretch ``[rows]``.
        hypotheses: of each row, 0 of a bad one ``[rows]``.
        digests: of the ids ``[rows]``; empty of a bad row.
        bad: by the row's number in the stretch; its line is counted from the beginning of the stretch.
    """

    span: RowSpan
    lines: int
    positions: NDArray[np.int64]
    numbers: NDArray[np.int32]
    hypotheses: NDArray[np.int32]
    digests: list[bytes]
    bad: dict[int, BadRow]


class Scan:
    """Looks through stretches of a list. It can be pickled.

    Args:
        source: the list.
        law: what holds for all of it.
    """

    def __init__(self, source: ListFiles, law: Law) -> None:
        self._source, self._law = source, law

    def __call__(self, stretch: RowSpan) -> Scanned:
        """What a stretch holds.

        Raises:
            InputError: the file cannot be read.
        """
        reader, consistency = RowReader(self._source), Consistency(unique=True, names=self._law.names)
        span, lines = reader.whole_rows(stretch), 0
        rows: list[tuple[int, int, int]] = []
        digests: list[bytes] = []
        bad: dict[int, BadRow] = {}
        for row in reader.lines(span):
            lines = row.line
            if not row.content:
                continue
            try:
                utterance = self._law_abiding(row, consistency, span.file)
                found = len(utterance.hypotheses), digest_of(utterance.id)
            except InputError as error:
                field = f"field {error.field}: " if error.field else ""
                bad[len(rows)] = BadRow(row.line, error.utterance, field + error.message)
                found = 0, b""
            rows.append((row.position, row.line, found[0]))
            digests.append(found[1])
        columns = np.array(rows, dtype=np.int64).reshape(-1, 3)
        numbers, hypotheses = columns[:, 1].astype(np.int32), columns[:, 2].astype(np.int32)
        return Scanned(span, lines, columns[:, 0].copy(), numbers, hypotheses, digests, bad)

    def _law_abiding(self, row: ListRow, consistency: Consistency, file: int) -> Utterance:
        place = self._source.place(file, row.line)
        utterance = self._source.utterance(row, place)
        consistency.check(utterance, place)
        return self._law.meaning.apply(utterance, place)
