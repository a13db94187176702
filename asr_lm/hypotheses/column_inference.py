"""What the columns of a table without header hold, by what is in them."""

from __future__ import annotations

import itertools

from asr_lm.hypotheses.mapped import number_in
from asr_lm.hypotheses.mapping import Mapping, Score, Step


def infer_columns(rows: list[list[str]]) -> Mapping | None:
    """The mapping of rows without names: numbers are a score, what comes again in rows one after another is the id."""
    width = len(rows[0])
    if len(rows) < 2 or any(len(row) != width for row in rows):
        return None
    numbers = [column for column in range(width) if all(number_in(row[column]) is not None for row in rows)]
    texts = [column for column in range(width) if column not in numbers]
    ids = [column for column in texts if _is_id_column([row[column] for row in rows])]
    if len(texts) == 1 and len(numbers) > 1:  # numbers as ids
        ids = [column for column in numbers if _is_id_column([row[column] for row in rows])][:1]
        numbers = [column for column in numbers if column not in ids]
        texts = texts + ids
    if len(ids) != 1 or len(texts) != 2 or len(numbers) > 1:
        return None
    text = next(column for column in texts if column != ids[0])
    return Mapping(
        text=(Step("index", str(text)),),
        id=(Step("index", str(ids[0])),),
        scores=tuple(Score("score", (Step("index", str(column)),)) for column in numbers),
    )


def _is_id_column(cells: list[str]) -> bool:
    """Whether cells come in runs: some again, none again once another came, and no spaces in them."""
    changes = 1 + sum(one != other for one, other in itertools.pairwise(cells))
    return changes == len(set(cells)) < len(cells) and not any(" " in cell.strip() for cell in cells)
