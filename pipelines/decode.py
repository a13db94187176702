"""Recognise speech: ``python -m pipelines.decode --audio PATH --nbest 100 --out hyps.json``."""

from __future__ import annotations

import sys

from pipelines.command import parse, run
from pipelines.decoding_options import Arguments

DESCRIPTION = """Recognise speech, and keep what it may have been as n-best lists for rescore and compare.

A sound file that cannot be read is named, and the rest is recognised; the exit code is then 1. A decoding that was
killed goes on where it was when it is started again."""


def main() -> None:
    """Run the command."""
    arguments = parse(Arguments, "decode", DESCRIPTION)
    try:
        from pipelines.decoding import check, decode_to_list
    except (RuntimeError, AttributeError) as error:  # what torchaudio raises when it finds another build of torch
        raise ImportError(str(error)) from error
    check(arguments)
    if decode_to_list(arguments):
        sys.exit(1)


if __name__ == "__main__":
    run(main)
