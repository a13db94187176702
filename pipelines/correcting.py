"""``rescore --correct`` and ``--plot-attention``: what is said of corrections, and pictures of alignments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from asr_lm.counted import counted
from asr_lm.errors import InputError
from asr_lm.evaluation.metrics.registry import metric
from asr_lm.evaluation.roles import title
from asr_lm.evaluation.table import plain_table
from asr_lm.files import make_folder
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.lm.scoring.conditional import AttentiveModel
from asr_lm.rescoring.attention_plots import picture_name, word_alignment, write_picture
from asr_lm.rescoring.evaluation import Evaluation
from asr_lm.rescoring.outcome import CorrectionReport
from asr_lm.rescoring.scoring.models import RescoringModel

MOST_PICTURES = 12
"""Pictures that are drawn where no utterances are named."""


def report(output: Console, evaluation: Evaluation, found: CorrectionReport) -> dict[str, Any]:
    """Print what correction did, and give the same as JSON."""
    output.print()
    output.print(
        f"correction: a new text for {found.written:,} of {counted(evaluation.utterances, 'utterance')}, "
        f"taken for {found.taken:,}"
        + (
            ""
            if found.changed is None
            else f"; {counted(found.changed, 'output differs', 'outputs differ')} from those without correction"
        ),
        markup=False,
        soft_wrap=True,
    )
    record = _json(found)
    if found.spacing:
        output.print(_table(found))
    left = evaluation.correction_report_without_overlaps()
    if left is not None:
        output.print("\nwithout overlapping utterances:")
        output.print(_table(left))
        record["without_overlaps"] = _json(left)
    return record


def _table(found: CorrectionReport) -> Table:
    table = plain_table("", "errors", "of them word boundaries alone", f"{metric('word').short} % without these")
    for name, errors in found.spacing.items():
        rate = errors.rate_of_others
        table.add_row(title(name), f"{errors.errors:,}", f"{errors.spacing:,}", "–" if rate is None else f"{rate:.2f}")
    return table


def _json(found: CorrectionReport) -> dict[str, Any]:
    return {
        "written": found.written,
        "taken": found.taken,
        "changed": found.changed,
        "systems": {name: errors.to_json() for name, errors in found.spacing.items()},
    }


class Pictures:
    """Draws alignments of utterances as they are rescored.

    Args:
        models: the first that has attention is drawn.
        folder: where the pictures go; made when missing.
        ids: utterances to draw; none takes the first whose output is not the recogniser's first hypothesis.
        kind: of the pictures.

    Raises:
        InputError: no model has attention, or the folder cannot be made.
    """

    def __init__(
        self, models: Sequence[RescoringModel], folder: Path, ids: Sequence[str], kind: Literal["svg", "png"]
    ) -> None:

        attentive = [model.model for model in models if isinstance(model.model, AttentiveModel)]
        if not attentive:
            raise InputError("no --lm has attention; give one of family birnn-attention", parameter="plot_attention")
        make_folder(folder)
        self._model, self._folder, self._ids, self._kind = attentive[0], folder, set(ids), kind
        self._waiting: dict[str, Utterance] = {}
        self.drawn = 0

    def read(self, utterances: Iterable[Utterance]) -> Iterator[Utterance]:
        """Pass utterances on, and remember those that may be drawn as the recogniser gave them."""
        for utterance in utterances:
            if utterance.id in self._ids or not self._ids:
                self._waiting[utterance.id] = utterance
            yield utterance

    def draw(self, rescored: Iterable[Utterance]) -> Iterator[Utterance]:
        """Pass rescored utterances on and draw what was asked for."""
        for utterance in rescored:
            original = self._waiting.pop(utterance.id, None)
            if original is not None and self._is_wanted(original, utterance.hypotheses[0].text):
                self._draw(original, utterance.hypotheses[0].text)
            yield utterance

    def _is_wanted(self, original: Utterance, text: str) -> bool:
        return bool(self._ids) or (self.drawn < MOST_PICTURES and text != original.hypotheses[0].text)

    def _draw(self, original: Utterance, text: str) -> None:

        path = self._folder / picture_name(original.id, self._kind)
        write_picture(word_alignment(self._model, original, text), original.id, path)
        self.drawn += 1

    def check_all_drawn(self) -> None:
        """Refuse names of utterances that were not met.

        Raises:
            InputError: there is one.
        """

        if self._ids and self.drawn < len(self._ids):
            raise InputError(
                f"{len(self._ids) - self.drawn} of the utterances to draw are not in the list",
                parameter="plot_utterances",
            )
