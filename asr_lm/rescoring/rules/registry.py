"""The decision rules by name: a new rule is a module beside this one and a line here."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from asr_lm.errors import InputError
from asr_lm.rescoring.rules.rule import Rule

BEST = "best"
"""The rule that is taken unless another is asked for."""

_PLACES = {
    BEST: "best.Best",
    "mbr": "mbr.MinimumBayesRisk",
    "rover": "rover.Rover",
}

RULES = tuple(_PLACES)
"""Names of all rules, as commands and weights files spell them."""


@cache
def rule(name: str) -> Rule:
    """The rule of this name.

    Raises:
        InputError: there is none.
    """
    if name not in _PLACES:
        raise InputError(f"no decision rule is called {name!r}; there are {', '.join(RULES)}", parameter="decision")
    module, _, member = _PLACES[name].partition(".")
    found: Rule = getattr(import_module(f"asr_lm.rescoring.rules.{module}"), member)()
    return found


def lattice_rules() -> list[Rule]:
    """The rules that can also read the words off a lattice's posteriors."""
    return [found for found in map(rule, RULES) if found.lattice_title is not None]
