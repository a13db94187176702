"""The work of ``perplexity``: models measured on a text, and the tables that say so."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from asr_lm.counted import counted
from asr_lm.errors import InputError
from asr_lm.evaluation.perplexity import Perplexity, measure
from asr_lm.evaluation.spread_sample import SpreadSample
from asr_lm.files import write_text
from asr_lm.lm.folder import trained_sentences
from asr_lm.lm.protocol import LanguageModel, Ranker
from asr_lm.lm.scoring.learning import Learning
from asr_lm.lm.training.corpus import read_lines
from asr_lm.report.training_curves import read_curve, save_training_pictures
from asr_lm.rescoring.scoring.models import open_model
from asr_lm.rescoring.scoring.specification import name_and_path, reading_options
from asr_lm.text.sentence_hashes import OVERLAP_WARNING, batches
from pipelines.command import blaming, check_outputs, console
from pipelines.display import say, warn
from pipelines.perplexity import Arguments

_SCALED_BY = 1000
"""Sentences whose gradients scale those of dynamic evaluation."""


@dataclass(frozen=True)
class Measured:
    """A model and its figures.

    Attributes:
        name: short, as ``compare`` calls it.
        label: what it was given as.
        model: the model.
        result: its perplexities.
        overlap: share of the sentences that are in its training text, from 0 to 1; None: it is not known.
        path: where it lies.
        dynamic: its perplexities while it learns from what it reads, if it was to.
    """

    name: str
    label: str
    model: Ranker
    result: Perplexity
    overlap: float | None
    path: Path
    dynamic: Perplexity | None


def measure_perplexity(arguments: Arguments) -> None:
    """Measure, print and write.

    Raises:
        InputError: no model or no text, or one that cannot be used.
    """
    if not arguments.lm:
        raise InputError("expected at least one model", parameter="lm")
    if not arguments.text:
        raise InputError("expected at least one file", parameter="text")
    check_outputs([arguments.json], arguments.text)
    rows = _measured(arguments)
    for row in rows:
        if row.overlap is not None and row.overlap > OVERLAP_WARNING:
            seen = f"{100 * row.overlap:.1f} % of the sentences are in the training text of {row.label}"
            warn(f"{seen}, so its figure may be too low")
    if arguments.dynamic is not None:
        scaled = (
            f", scaled by {arguments.dynamic_text}, decay {arguments.dynamic_decay:g}" if arguments.dynamic_text else ""
        )
        console(stderr=False).print(f"dynamic evaluation, learning rate {arguments.dynamic:g}{scaled}", soft_wrap=True)
    for table in _tables(rows):
        console(stderr=False).print(table)
    if arguments.plots:
        _draw(arguments.plots, rows)
    if arguments.json:
        _write(arguments.json, rows, arguments)


def _measured(arguments: Arguments) -> list[Measured]:
    learning = _learning(arguments)
    named = [name_and_path(specification) for specification in arguments.lm]
    options = map(reading_options, arguments.lm)
    models = [open_model(path, arguments.device, own) for (_, path), own in zip(named, options, strict=True)]
    overlaps = Overlaps([path for _, path in named])
    lines = overlaps.watched(line for path in arguments.text for line in read_lines(path))
    with blaming(*map(str, arguments.text)):
        learners = _learners(models) if learning else []
        dynamic = [None] * len(models) + [learning] * len(learners)
        carried = arguments.context == "stream"
        results = measure([*models, *learners], lines, carry_state=carried, dynamic=dynamic, warn=warn)
    of_learner = dict(zip(map(id, learners), results[len(models) :], strict=True))
    learnt = [of_learner.get(id(model)) for model in models]
    given = zip(named, arguments.lm, strict=True)
    labels = [name if specification.startswith(f"{name}=") else specification for (name, _), specification in given]
    short = [name for name, _ in named]
    # Folders of the same name are told apart by the whole of what was given.
    names = [name if short.count(name) == 1 else label for name, label in zip(short, labels, strict=True)]
    paths = [path for _, path in named]
    return list(map(Measured, names, labels, models, results, overlaps.shares, paths, learnt))


def _learners(models: Sequence[Ranker]) -> list[Ranker]:
    """Those that learn from what they read, or all, of which the first is then refused."""
    return [model for model in models if isinstance(model, LanguageModel) and model.learns] or [*models]


def _learning(arguments: Arguments) -> Learning | None:
    """How the models learn from what they read."""
    if arguments.dynamic is None:
        if arguments.dynamic_text or arguments.dynamic_decay:
            raise InputError("expected with the text or the decay of a dynamic evaluation", parameter="dynamic")
        return None
    sample = SpreadSample[str](_SCALED_BY)
    if arguments.dynamic_text is not None:
        sample.extend(read_lines(arguments.dynamic_text))
    return Learning(arguments.dynamic, sample.items, arguments.dynamic_decay)


def _write(path: Path, rows: Sequence[Measured], arguments: Arguments) -> None:
    how = {"learning_rate": arguments.dynamic, "decay": arguments.dynamic_decay, "scaled": bool(arguments.dynamic_text)}
    records = []
    for row in rows:
        overlap = {} if row.overlap is None else {"training_overlap": 100 * row.overlap}
        dynamic = {} if row.dynamic is None else {"dynamic": {**how, **row.dynamic.to_json()}}
        records.append({"lm": row.label, **row.result.to_json(), **overlap, **dynamic})
    write_text(path, json.dumps(records, indent=2) + "\n")


def _draw(folder: Path, rows: Sequence[Measured]) -> None:
    """The curves of the models that have one."""
    curves = {row.name: read_curve(row.path) for row in rows}
    written = save_training_pictures(curves, folder)
    drawn = (
        f"{counted(len(written), 'picture')} of trainings written to {folder}"
        if written
        else "no model has a training to draw"
    )
    say(drawn)


class Overlaps:
    """Counts the sentences of a text that models were trained on while the text is read.

    Args:
        models: their paths.
    """

    def __init__(self, models: Sequence[Path]) -> None:
        self._seen = [trained_sentences(path) for path in models]
        self._counts = [0] * len(models)
        self._sentences = 0

    def watched(self, lines: Iterable[str]) -> Iterator[str]:
        """The lines as they are."""
        for batch in batches(lines):
            sentences = [line for line in batch if line.strip()]
            self._sentences += len(sentences)
            for number, hashes in enumerate(self._seen):
                if hashes is not None:
                    self._counts[number] += int(hashes.contains(sentences).sum())
            yield from batch

    @property
    def shares(self) -> list[float | None]:
        """Share of the sentences so far that are in each model's training text, from 0 to 1; None: it is not known."""
        pairs = zip(self._seen, self._counts, strict=True)
        return [None if hashes is None else count / max(self._sentences, 1) for hashes, count in pairs]


def _tables(rows: Sequence[Measured]) -> Iterator[Table]:
    """One table of perplexities, and one of pseudo-perplexities, each if there are any."""
    first = rows[0].result
    size = f"{counted(first.sentences, 'sentence')}, {counted(first.words, 'word')} with </s>"
    if proper := [row for row in rows if not row.result.pseudo]:
        headings = ("ppl/word", "ppl/word compared", "ppl/token")
        yield _table(proper, headings, f"{size}; {_compared(proper[0].result)}")
    if pseudo := [row for row in rows if row.result.pseudo]:
        caption = f"{size}; every token is predicted from both sides of it: these figures compare with each other only"
        yield _table(pseudo, ("pseudo-ppl/word", "pseudo-ppl/token"), caption)


def _compared(result: Perplexity) -> str:
    """How far the perplexities of a word compare."""
    if result.compared == result.words:
        return "all of them known to every model: both perplexities of a word are the same and compare"
    share = f"{100 * (1 - result.compared / result.words):.2f} %"
    return (
        f"ppl/word does not compare between models that know different words: {share} are unknown to some model here, "
        "and cost what it gives all unknown words together; ppl/word compared leaves them out for all models"
    )


def _table(rows: Sequence[Measured], headings: Sequence[str], caption: str) -> Table:
    table = Table("model", "family", caption=caption, caption_justify="left")
    learnt = ["dynamic ppl/word"] if any(row.dynamic for row in rows) else []
    for heading in (*headings, *learnt, "OOV %", "parameters"):
        table.add_column(heading, justify="right")
    for row in rows:
        result = row.result
        compared = [] if result.pseudo else [result.per_compared_word]
        dynamic = [None if row.dynamic is None else row.dynamic.per_word for _ in learnt]
        figures = [result.per_word, *compared, result.per_token, *dynamic, result.oov_rate]
        shown = ["" if figure is None else f"{figure:,.2f}" for figure in figures]
        table.add_row(escape(row.name), row.model.family, *shown, f"{row.model.parameters:,}")
    return table
