"""Perplexity of language models on a text: ``python -m pipelines.perplexity --lm DIR --text test.txt``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from pipelines.command import OptionalFloat, OptionalPath, blaming, check_outputs, console, parse, run
from pipelines.display import warn

DESCRIPTION = """Perplexity of language models on a text, one sentence a line.

Printed a token (of the model's own vocabulary), a word (</s> counted), and, to compare models of different
vocabularies, a word over the positions that are unknown to none of them. A model that predicts words from both
sides has a pseudo-perplexity, which compares with no perplexity and stands in a table of its own."""


@dataclass
class Arguments:
    """Options of ``perplexity``.

    Attributes:
        lm: Language model: a trained folder, an ARPA or KenLM file, a folder of Hugging Face's transformers, hf:NAME of
            their hub, a GGUF file, one of these three with a LoRA adapter as BASE+ADAPTER, or "default" (the packaged
            one); NAME=PATH names its row. May be given several times.
        text: Text files, one sentence a line (.gz, .zst, - for standard input).
        context: Read each sentence from a fresh state, or all in order with the recurrent state carried over.
        dynamic: Dynamic evaluation (Mikolov et al. 2010): read the text in order, once, and learn from every sentence
            with this learning rate after it was scored. The models on disk stay as they are.
        json: Write what is printed to this file, too.
        device: cpu, cuda, or auto.
    """

    lm: Annotated[tuple[str, ...], tyro.conf.UseAppendAction]
    text: tuple[Path, ...]
    context: Literal["sentence", "stream"] = "sentence"
    dynamic: OptionalFloat = None
    json: OptionalPath = None
    device: str = "auto"


def main() -> None:
    """Run the command."""
    arguments = parse(Arguments, "perplexity", DESCRIPTION)
    from asr_lm.errors import InputError
    from asr_lm.evaluation.perplexity import measure
    from asr_lm.files import write_text
    from asr_lm.lm.loading import load_model
    from asr_lm.lm.training.corpus import read_lines
    from asr_lm.rescoring.scoring.models import name_and_path
    from asr_lm.text.sentence_hashes import OVERLAP_WARNING

    if not arguments.lm:
        raise InputError("expected at least one model", field="--lm")
    if not arguments.text:
        raise InputError("expected at least one file", field="--text")
    check_outputs([arguments.json], arguments.text)
    named = [name_and_path(specification) for specification in arguments.lm]
    models = [load_model(path, arguments.device) for _, path in named]
    given = zip(named, arguments.lm, strict=True)
    labels = [name if specification.startswith(f"{name}=") else specification for (name, _), specification in given]
    overlaps = Overlaps([path for _, path in named])
    lines = overlaps.watched(line for path in arguments.text for line in read_lines(path))
    with blaming(*map(str, arguments.text)):
        results = measure(models, lines, carry_state=arguments.context == "stream", dynamic=arguments.dynamic)
    for name, share in zip(labels, overlaps.shares, strict=True):
        if share is not None and share > OVERLAP_WARNING:
            seen = f"{100 * share:.1f} % of the sentences are in the training text of {name}"
            warn(f"{seen}, so its figure may be too low")
    if arguments.dynamic is not None:
        console(stderr=False).print(f"dynamic evaluation, learning rate {arguments.dynamic:g}")
    for table in _tables(labels, models, results):
        console(stderr=False).print(table)
    if arguments.json:
        how = {} if arguments.dynamic is None else {"dynamic": arguments.dynamic}
        known = [{} if share is None else {"training_overlap": 100 * share} for share in overlaps.shares]
        rows = zip(labels, results, known, strict=True)
        records = [{"lm": name, **how, **result.to_json(), **overlap} for name, result, overlap in rows]
        write_text(arguments.json, json.dumps(records, indent=2) + "\n")


class Overlaps:
    """Counts the sentences of a text that models were trained on while the text is read.

    Args:
        models: their paths.
    """

    def __init__(self, models: Sequence[Path]) -> None:
        from asr_lm.lm.folder import trained_sentences

        self._seen = [trained_sentences(path) for path in models]
        self._counts = [0] * len(models)
        self._sentences = 0

    def watched(self, lines: Iterable[str]) -> Iterator[str]:
        """The lines as they are."""
        from asr_lm.text.sentence_hashes import batches

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


def _tables(names: list[str], models: list[Any], results: list[Any]) -> Iterator[Any]:
    """One table of perplexities, and one of pseudo-perplexities, each if there are any."""
    rows = list(zip(names, models, results, strict=True))
    first = results[0]
    size = f"{first.sentences:,} sentences, {first.words:,} words with </s>"
    if proper := [row for row in rows if not row[2].pseudo]:
        compared = proper[0][2].compared
        caption = (
            f"{size}; compared over {100 * compared / first.words:.2f} % of them, those unknown to none of the models"
        )
        yield _table(proper, ("ppl/token", "ppl/word", "ppl/word compared"), caption)
    if pseudo := [row for row in rows if row[2].pseudo]:
        caption = f"{size}; every token is predicted from both sides of it: these figures compare with each other only"
        yield _table(pseudo, ("pseudo-ppl/token", "pseudo-ppl/word"), caption)


def _table(rows: list[Any], headings: tuple[str, ...], caption: str) -> Any:
    from rich.markup import escape
    from rich.table import Table

    table = Table("model", "family", caption=caption, caption_justify="left")
    for heading in ("parameters", *headings, "OOV %"):
        table.add_column(heading, justify="right")
    for name, model, result in rows:
        figures = [result.per_token, result.per_word, *([] if result.pseudo else [result.per_compared_word])]
        shown = [f"{figure:,.2f}" for figure in (*figures, result.oov_rate)]
        table.add_row(escape(name), model.family, f"{model.parameters:,}", *shown)
    return table


if __name__ == "__main__":
    run(main)
