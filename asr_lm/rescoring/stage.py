"""The second pass as a stage of a data pipeline: a batch of columns in, the same batch rescored.

A batch is an Arrow table, a row an utterance, as Parquet holds the canonical form: ``id``, ``hypotheses`` (a list of
``text`` and ``scores``), and where known ``reference`` and ``recording``. With Ray Data::

    data = ray.data.read_parquet("s3://bucket/lists")
    data = data.map_batches(
        ScoreBatches, fn_constructor_kwargs={"models": ["default"], "score_kind": "sum"}, batch_format="pyarrow",
        batch_size=2_000, concurrency=(1, 64),
    )
    data.write_parquet("s3://bucket/rescored")
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from asr_lm.errors import InputError
from asr_lm.hypotheses.parquet import without_null
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.hypotheses.validation import Consistency, Location
from asr_lm.lm.precision import PrecisionChoice
from asr_lm.rescoring.default_model import ScoreKind
from asr_lm.rescoring.rescorer import Rescorer
from asr_lm.rescoring.scoring.models import open_models
from asr_lm.rescoring.weights import Weights

if TYPE_CHECKING:
    import pyarrow

ERROR = "error"
"""Column that says why a row could not be rescored; null where it was."""

_KEPT = ("times", "corrected", "confidences")


class ScoreBatches:
    """Rescores batches of utterances. It can be pickled: the models are opened by the process that first calls it.

    Every row comes out, with its ``id`` and all other columns as they were; its hypotheses are reordered, their
    ``scores`` extended by one a model and a ``total`` added. A row that cannot be rescored (damaged, without
    hypotheses, with other scores than the weights know) has null for hypotheses and says why in the column ``error``;
    it spoils no other. n-grams give the same result however rows are put into batches. Neural models compute the
    common prefixes of a batch together, so the last digits of their scores depend on what is in it.

    Args:
        models: paths, as the commands take them after ``--lm``.
        weights: what :func:`asr_lm.tune` found, or a file of weights that every process sees; None takes the packaged
            default weights.
        score_kind: what the recogniser's score is, for the default weights: ``sum``, ``mean`` or ``rank``.
        device, budget, precision, recombine: see :func:`~asr_lm.rescoring.scoring.models.open_models`.
    """

    def __init__(
        self,
        models: Sequence[str] = ("default",),
        weights: Weights | str | Path | None = None,
        score_kind: ScoreKind | None = None,
        *,
        device: str = "cpu",
        budget: int | None = None,
        precision: PrecisionChoice = "float32",
        recombine: int = 0,
    ) -> None:
        self._models, self._weights, self._kind = tuple(models), weights, score_kind
        self._how: dict[str, Any] = {
            "device": device, "budget": budget, "precision": precision, "recombine": recombine,
        }  # fmt: skip

    @cached_property
    def _rescorer(self) -> Rescorer:
        return Rescorer(open_models(self._models, **self._how), self._weights, self._kind)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_rescorer"}

    def __call__(self, batch: pyarrow.Table | Mapping[str, Any]) -> pyarrow.Table:
        """The batch, rescored, with the column ``error``.

        Args:
            batch: an Arrow table, or columns by name.

        Raises:
            InputError: there is no column ``id`` or ``hypotheses``; a model or the weights cannot be read.
        """
        import pyarrow

        table = batch if isinstance(batch, pyarrow.Table) else pyarrow.table({n: list(c) for n, c in batch.items()})
        for name in ("id", "hypotheses"):
            if name not in table.column_names:
                raise InputError(f"no such column, the batch has {', '.join(table.column_names) or 'none'}", field=name)
        found = list(self._rows(table.to_pylist()))
        return _with_results(table, found)

    def _rows(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[Utterance | InputError]:
        """What became of each row."""
        read = [_utterance(row) for row in rows]
        good = [row for row in read if isinstance(row, Utterance)]
        rescored = iter(self._rescored(good))
        yield from (next(rescored) if isinstance(row, Utterance) else row for row in read)

    def _rescored(self, utterances: list[Utterance]) -> list[Utterance | InputError]:
        """All together; where something is wrong with them, halves, down to the one that it is wrong with."""
        rescorer = self._rescorer
        try:
            return list(rescorer(utterances))
        except InputError as error:
            if len(utterances) == 1:
                return [error]
        half = len(utterances) // 2
        return [*self._rescored(utterances[:half]), *self._rescored(utterances[half:])]


def _utterance(row: Mapping[str, Any]) -> Utterance | InputError:
    """A row as an utterance that a list may hold, or what is wrong with it."""
    known = {name: row.get(name) for name in Utterance.__struct_fields__}
    try:
        utterance = msgspec.convert(without_null(known), Utterance)
        Consistency(unique=True).check(utterance, Location("batch"))
    except msgspec.ValidationError as error:
        return InputError(str(error), utterance=str(row.get("id")))
    except InputError as error:
        return error
    return utterance


def _with_results(table: pyarrow.Table, found: Sequence[Utterance | InputError]) -> pyarrow.Table:
    import pyarrow

    rows = [msgspec.to_builtins(row.hypotheses) if isinstance(row, Utterance) else None for row in found]
    reasons = [None if isinstance(row, Utterance) else str(row) for row in found]
    place = table.column_names.index("hypotheses")
    column = pyarrow.array(rows, _type(table.schema.field("hypotheses").type, rows))
    table = table.set_column(place, "hypotheses", column)
    return table.append_column(ERROR, pyarrow.array(reasons, pyarrow.string()))


def _type(given: pyarrow.DataType, rows: Sequence[Any]) -> pyarrow.DataType:
    """Type of rescored hypotheses: text, scores by name, total, and what else they had."""
    import pyarrow

    first: Mapping[str, Any] = next((row[0] for row in rows if row), {})
    scores = pyarrow.struct([(name, pyarrow.float64()) for name in first.get("scores", {})])
    fields = [("text", pyarrow.string()), ("scores", scores), ("total", pyarrow.float64())]
    struct = given.value_type if pyarrow.types.is_list(given) or pyarrow.types.is_large_list(given) else None
    if struct is not None and pyarrow.types.is_struct(struct):
        fields += [(field.name, field.type) for field in struct if field.name in _KEPT]
    return pyarrow.list_(pyarrow.struct(fields))
