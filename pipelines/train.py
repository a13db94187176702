"""Train a language model: ``python -m pipelines.train MODEL --text train.txt --valid valid.txt --out DIR``."""

from __future__ import annotations

import sys

from pipelines.command import run
from pipelines.train_options import read_command_line

DESCRIPTION = """Train a language model on text, one sentence a line, into a folder.

A run that was killed goes on where it stopped when the same command is given again."""


def main() -> None:
    """Run the command."""
    model, options = read_command_line(sys.argv[1:], DESCRIPTION)
    from pipelines.training import train

    train(model, options)


if __name__ == "__main__":
    run(main)
