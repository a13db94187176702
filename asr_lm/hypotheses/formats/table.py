"""Tables with a hypothesis on each line, or with the hypotheses of an utterance beside one another: CSV and TSV.

With a header: an id (``utt_id``, ``id``, …), the hypothesis (``hyp``, ``text``, …), numbers that are called like
scores, a reference, a rank. ``hyp1``, ``hyp2``, … beside one another are a list, and so is a cell that holds a list in
Python's spelling (the CSV files of HyPoradise). Without a header the columns are told from what is in them: the
id comes in runs, the score is a number.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from asr_lm.hypotheses import field_names as names
from asr_lm.hypotheses.beginning import Beginning
from asr_lm.hypotheses.column_inference import infer_columns
from asr_lm.hypotheses.format import Format, Notices, SideInputs
from asr_lm.hypotheses.inference import infer, infer_rows
from asr_lm.hypotheses.mapping import Mapping
from asr_lm.hypotheses.records import Record, Table, table_of, table_rows, with_lists
from asr_lm.hypotheses.taking import take
from asr_lm.hypotheses.validation import Located

_KNOWN = frozenset((*names.IDS, *names.REFERENCES, *names.LISTS, *names.TEXTS))
_SAMPLE = 200


def is_header(cells: list[str]) -> bool:
    """Whether the cells of a first line are names: one of them at least is a usual one."""
    return any(names.squashed(cell.rstrip("0123456789")) in _KNOWN for cell in cells)


def rows(path: Path, table: Table) -> Iterator[Record]:
    """The rows, lists in cells read as such."""
    return (record._replace(value=with_lists(record.value)) for record in table_rows(path, table))


def found(beginning: Beginning) -> tuple[Table, Mapping] | None:
    """How the file is a table of hypotheses; None where it is none."""
    if beginning.is_folder or beginning.binary:
        return None
    table = table_of(beginning, is_header)
    if table is None:
        return None
    sample = [record.value for record, _ in zip(rows(beginning.path, table), range(_SAMPLE), strict=False)]
    mapping = infer_rows(sample) or infer(sample) if table.header else infer_columns(sample)
    return None if mapping is None else (table, mapping)


def _fits(beginning: Beginning) -> bool:
    """Whether the first lines are a table of hypotheses."""
    return found(beginning) is not None


def _read(path: Path, sides: SideInputs, notices: Notices) -> Located:
    what = found(Beginning(path))
    return take("table", rows(path, what[0]) if what else iter(()), what[1] if what else None, path, notices)


FORMAT = Format(
    name="table",
    about="CSV or TSV, with or without header: a hypothesis a row, or hyp1, hyp2, … or a list in a cell",
    fits=_fits,
    read=_read,
    advice="write a row for each hypothesis, or a list of them",
)
