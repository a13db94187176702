"""The commands under one name: ``asr-lm COMMAND``, the same as ``python -m pipelines.COMMAND``.

Without a command they are listed, and to be quick nothing else is imported for that.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from asr_lm import __version__

COMMANDS = {
    "rescore": "Rescore n-best lists with language models.",
    "train": "Train a language model on text, one sentence a line, into a folder.",
    "perplexity": "Perplexity of language models on a text, one sentence a line.",
    "generate": "Let language models write text, with the probability that they gave every word.",
    "compare": "Compare language models: each alone and all together, weights tuned on --dev, error rates on --test.",
    "decode": "Recognise speech, and keep what it may have been as n-best lists for rescore and compare.",
}
"""What each command does, as the first line of its own help says it."""

SHELLS = ("bash", "zsh")


def main() -> None:
    """Run the command that the first word of the command line names."""
    words = sys.argv[1:]
    if not words or words[0] in ("-h", "--help"):
        print(overview())
    elif words[0] == "--version":
        print(f"asr-lm {__version__}")
    else:
        from pipelines.command import run

        run(lambda: _dispatch(words))


def overview() -> str:
    """The commands and what each does, for a terminal."""
    width = max(map(len, COMMANDS))
    listed = "\n".join(f"  {name:{width}}  {about}" for name, about in COMMANDS.items())
    return (
        "usage: asr-lm COMMAND [OPTIONS]\n\nA second pass for speech recognition.\n\n"
        f"{listed}\n\n"
        "asr-lm COMMAND --help lists the options of a command, asr-lm --version says which asr_lm this is, and\n"
        f"asr-lm --completion {'|'.join(SHELLS)} prints what makes the shell complete commands and options."
    )


def _dispatch(words: Sequence[str]) -> None:
    """Run a command with the words after its name, or print a shell's completion."""
    from asr_lm.errors import InputError

    if words[0] == "--completion":
        from pipelines.completion import print_completion

        print_completion(words[1:])
    elif words[0] in COMMANDS:
        sys.argv[1:] = words[1:]
        import_module(f"pipelines.{words[0]}").main()
    else:
        raise InputError(f"no command is called {words[0]!r}; there are {', '.join(COMMANDS)}")


if __name__ == "__main__":
    main()
