"""Lists that are read by a mapping of the user's: JSON, tables, Parquet, Arrow and data set folders alike."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from asr_lm.errors import InputError
from asr_lm.hypotheses.beginning import Beginning
from asr_lm.hypotheses.format import Format, Notices, SideInputs
from asr_lm.hypotheses.formats.table import rows
from asr_lm.hypotheses.mapped import read_mapped
from asr_lm.hypotheses.mapping import Mapping, parse_mapping, written
from asr_lm.hypotheses.records import Record, columnar_files, columnar_rows, json_values, table_of
from asr_lm.hypotheses.refusal import refused
from asr_lm.hypotheses.taking import and_left
from asr_lm.hypotheses.validation import Located, Location

NAME = "map"


def mapped_format(lines: tuple[str, ...]) -> Format:
    """The format that a mapping makes of any records.

    Raises:
        InputError: the lines are no mapping.
    """
    mapping = parse_mapping(*lines)

    def read(path: Path, sides: SideInputs, notices: Notices) -> Located:
        left: dict[str, None] = {}

        def unread(path: str, found: Any, place: Location, utterance: str) -> None:
            left.setdefault(path)

        yield from _found(read_mapped(_records(path, mapping), mapping, unread), mapping)
        notices.say(f"read as {mapping}{and_left(list(left))}")

    return Format(NAME, "records read by a mapping of the user's", lambda beginning: True, read, scores_known=True)


def _found(located: Located, mapping: Mapping) -> Located:
    """The utterances, refused where a path leads to nothing, which is a path that was written wrongly."""
    last, has_reference = Location(""), mapping.reference is None
    for place, utterance in located:
        for score in mapping.scores:
            if utterance.hypotheses and score.name not in utterance.hypotheses[0].scores:
                raise place.error("missing, expected a score of every hypothesis", utterance.id, written(score.path))
        last, has_reference = place, has_reference or utterance.reference is not None
        yield place, utterance
    if not has_reference:
        raise InputError("no utterance has it", file=last.file or None, field=written(mapping.reference or ()))


def _records(path: Path, mapping: Mapping) -> Iterable[Record]:
    beginning = Beginning(path)
    if columnar_files(path):
        return columnar_rows(path)
    if beginning.is_json:
        return json_values(path)
    by_number = all(steps and steps[0].kind == "index" for steps in mapping.paths())
    table = table_of(beginning, lambda cells: not by_number)
    if table is None:
        raise refused(beginning, ["JSON", "CSV", "TSV", "Parquet", "Arrow"])
    return rows(path, table)
