"""Perplexity of language models on a text: ``python -m pipelines.perplexity --lm DIR --text test.txt``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from pipelines.command import OptionalFloat, OptionalPath, parse, run

DESCRIPTION = """Perplexity of language models on a text, one sentence a line.

Printed a word (</s> counted), to compare models of different vocabularies a word over the positions that are unknown
to none of them, and a token (of the model's own vocabulary). A model that predicts words from both
sides has a pseudo-perplexity, which compares with no perplexity and stands in a table of its own."""


@dataclass
class Arguments:
    """Options of ``perplexity``.

    Attributes:
        lm: Language model: a trained folder, an ARPA or KenLM file, a folder of Hugging Face's transformers, hf:NAME of
            their hub, a GGUF file, one of these three with a LoRA adapter as BASE+ADAPTER, or "default" (the packaged
            one); NAME=PATH names its row. PATH?normalizer=NAME says what texts go through before the model reads them,
            such as upper or librispeech-upper for an ARPA file in capitals. May be given several times.
        text: Text files, one sentence a line (.gz, .zst, - for standard input).
        context: Read each sentence from a fresh state, or all in order with the recurrent state carried over, by the
            models that have one.
        dynamic: Dynamic evaluation (Mikolov et al. 2010), in a column of its own: read the text in order, once, and
            learn from every sentence with this learning rate after it was scored, as networks and mixtures with one
            can. The models on disk stay as they are.
        dynamic_text: Training text, of which at most 1,000 sentences are read, evenly spread: every weight's step is
            divided by the root mean square of its gradients there (Krause et al. 2018). A rate of 0.001 is then a
            good one to begin with.
        dynamic_decay: With --dynamic-text, how far every sentence draws the weights back to where they began, from 0
            to 1.
        json: Write what is printed to this file, too.
        plots: Draw how the networks among the models learnt into this folder, all in one picture (SVG and PNG).
        device: cpu, cuda, or auto.
    """

    lm: Annotated[tuple[str, ...], tyro.conf.UseAppendAction]
    text: tuple[Path, ...]
    context: Literal["sentence", "stream"] = "sentence"
    dynamic: OptionalFloat = None
    dynamic_text: OptionalPath = None
    dynamic_decay: float = 0.0
    json: OptionalPath = None
    plots: OptionalPath = None
    device: str = "auto"


def main() -> None:
    """Run the command."""
    arguments = parse(Arguments, "perplexity", DESCRIPTION)
    from pipelines.measuring_perplexity import measure_perplexity

    measure_perplexity(arguments)


if __name__ == "__main__":
    run(main)
