"""Systems that mean something: their names, and what a reader calls them.

A name stands in files and as a key of the JSON output; a title stands in tables and on the page. Every other name is
one that the user gave, and is its own title.
"""

from __future__ import annotations

FIRST_PASS = "first_pass"
RETUNED = "retuned"
RESCORED = "rescored"
ORACLE = "oracle"

COMPOSITIONAL_ORACLE = "compositional_oracle"
"""The best text that the words of a list can be put together to: see :mod:`asr_lm.evaluation.compositional_oracle`."""

CORRECTED = "corrected"
"""The system that may choose what a corrector wrote, and the column of the feature table that only this system has:
1 for texts that a corrector wrote and the recogniser did not, else 0."""

TITLES = {
    FIRST_PASS: "first pass",
    RETUNED: "re-tuned first pass",
    RESCORED: "rescored",
    CORRECTED: "rescored and corrected",
    ORACLE: "oracle",
    COMPOSITIONAL_ORACLE: "compositional oracle",
}

ROLES = tuple(TITLES)
"""All names that have a meaning."""

BOUNDS = (ORACLE, COMPOSITIONAL_ORACLE)
"""Chosen with the reference in hand: they bound what a list can give, and are tested against nothing."""


def title(name: str) -> str:
    """What a reader calls the system.

    >>> title("retuned"), title("retuned, shrunk")
    ('re-tuned first pass', 're-tuned first pass, shrunk')
    """
    role, comma, variant = name.partition(", ")
    return TITLES.get(role, role) + comma + variant
