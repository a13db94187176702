"""Text that language models write: ``python -m pipelines.generate --lm DIR --prompt "the cat"``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

from pipelines.command import OptionalInt, OptionalPath, OptionalText, parse, run

DESCRIPTION = """Let language models write text, with the probability that they gave every word.

Causal models write on from --prompt. Models that write given a list (birnn-attention) write what was said for the first
utterances of --nbest."""


@dataclass
class Arguments:
    """Options of ``generate``.

    Attributes:
        lm: Language model: a trained folder, an ARPA file, a folder of Hugging Face's transformers, hf:NAME of their
            hub, a GGUF file, one of these three with a LoRA adapter as BASE+ADAPTER, or "default" (the packaged one,
            taken where none is given). PATH?normalizer=NAME says what --prompt goes through before the model reads it.
            May be given several times.
        prompt: What the texts begin with.
        nbest: An n-best list, for models that write given what a recogniser heard.
        utterances: How many utterances of the list.
        number: How many texts.
        temperature: 1 draws from the model's distribution, less makes the probable more probable, 0 takes the most
            probable word every time.
        top_k: Draw among so many of the most probable tokens.
        longest: Break a text off after so many tokens.
        seed: Another one gives other texts, the same one the same.
        json: Write what is printed to this file, too.
        device: cpu, cuda, or auto.
    """

    lm: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    prompt: str = ""
    nbest: OptionalText = None
    utterances: int = 5
    number: int = 1
    temperature: float = 1.0
    top_k: OptionalInt = None
    longest: int = 100
    seed: int = 0
    json: OptionalPath = None
    device: str = "auto"


def main() -> None:
    """Run the command."""
    arguments = parse(Arguments, "generate", DESCRIPTION)
    from pipelines.generating import generate_texts

    generate_texts(arguments)


if __name__ == "__main__":
    run(main)
