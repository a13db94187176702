"""Compare language models on n-best lists: ``python -m pipelines.compare --dev DEV --test TEST --lm A --lm B``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

from pipelines.command import OptionalPath, OptionalText, parse, run
from pipelines.options import Common, rows_of

DESCRIPTION = """Compare language models: each alone and all together, weights tuned on --dev, error rates on --test."""


@dataclass(kw_only=True)
class _Main:
    """The options that stand first in the help.

    Attributes:
        dev: Development list with references; may be given several times.
        test: List with references that is reported on; may be given several times.
    """

    dev: Annotated[tuple[str, ...], tyro.conf.UseAppendAction]
    test: Annotated[tuple[str, ...], tyro.conf.UseAppendAction]


@dataclass(kw_only=True)
class Arguments(Common, _Main):
    """Options of ``compare``.

    Attributes:
        combine: Names of models with + between them, as A+B: a row of their own, besides each alone and all together.
            May be given several times.
        baseline: Row that the others are tested against, by its name; by default the re-tuned first pass. All rows are
            tested against the first pass and the row above, too.
        mbr: Add a row for the last system choosing by minimum Bayes risk.
        also: Add a row for the last system choosing by this decision rule, too: mbr or rover.
        save_weights: Write the weights of every system into this folder, one file each, for rescore --weights.
    """

    combine: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    baseline: OptionalText = None
    mbr: bool = True
    also: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    save_weights: OptionalPath = None

    @property
    def rules(self) -> tuple[str, ...]:
        """Decision rules that get a row of their own."""
        return rows_of(self.mbr, self.also)


def main() -> None:
    """Run the command."""
    arguments = parse(Arguments, "compare", DESCRIPTION)
    from pipelines.comparing import compare

    compare(arguments)


if __name__ == "__main__":
    run(main)
