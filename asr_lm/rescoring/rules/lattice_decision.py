"""What a rescored lattice says with the fewest expected errors.

The best path is the likeliest sentence; with posteriors of all paths at hand, the words with the fewest expected word
errors can be taken instead (:mod:`asr_lm.lattice.minimum_bayes_risk`), or the likeliest word of every slot of a
confusion network (:mod:`asr_lm.lattice.confusion_network`). How sure the posteriors are is a scale, which is found on
development lattices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from asr_lm.errors import InputError
from asr_lm.evaluation.word_errors import count_errors
from asr_lm.lattice.confusion_network import confusion_network
from asr_lm.lattice.lattice import Floats, Lattice
from asr_lm.lattice.minimum_bayes_risk import mbr_hypothesis
from asr_lm.lattice.pruning import prune_by_beam
from asr_lm.rescoring.lattices import weighed
from asr_lm.rescoring.second_pass import LEAST_RISK, Measuring
from asr_lm.text.normalizer import get_normalizer

SCALES = tuple(2.0**power for power in range(-3, 3))
"""Multiples of the scale that fits the lists' posteriors: 1/8 to 4."""

LATTICE_RISK = f"lattice, {LEAST_RISK}"
LATTICE_NETWORK = "lattice, confusion network"

_BEAM = 8.0
"""Arcs whose best path is less likely than the best of all by more than this factor (natural log) are left out."""

_LEAST_POSTERIOR = 0.01
_TOTAL = "total"


def _least_risk(lattice: Lattice, weights: Floats) -> str:
    return mbr_hypothesis(lattice, weights).text(lattice)


def _network(lattice: Lattice, weights: Floats) -> str:
    return confusion_network(lattice, weights, _LEAST_POSTERIOR).text()


RULES: Mapping[str, Callable[[Lattice, Floats], str]] = {LATTICE_RISK: _least_risk, LATTICE_NETWORK: _network}
"""Ways to decide, by name of the system they make."""


def decide(rule: str, lattice: Lattice, values: Mapping[str, float], scale: float) -> str:
    """The words of a lattice.

    Args:
        rule: one of :data:`RULES`.
        lattice: rescored.
        values: weights of its scores by name.
        scale: the posterior of a path is proportional to ``exp(scale * total)``.
    """
    totals = lattice.with_scores({_TOTAL: scale * weighed(lattice, values)})
    pruned = prune_by_beam(totals, totals.scores[_TOTAL], _BEAM)
    return RULES[rule](pruned, pruned.scores[_TOTAL])


def tune_scales(
    lattices: Iterable[Lattice], values: Mapping[str, float], scale: float, measuring: Measuring | None = None
) -> dict[str, float]:
    """The scale at which each rule makes the fewest errors on development lattices; of equals the smaller.

    Args:
        lattices: rescored, with references.
        values: weights of their scores by name.
        scale: that fits the posteriors of the lists.
        measuring: how errors are counted.

    Raises:
        InputError: no lattice has a reference.
    """
    measuring = measuring or Measuring()
    normalize = get_normalizer(measuring.normalizer)
    errors = {(rule, factor * scale): 0 for rule in RULES for factor in SCALES}
    known = False
    for lattice in lattices:
        if lattice.reference is None:
            continue
        known = True
        texts = [normalize(decide(rule, lattice, values, tried)) for rule, tried in errors]
        counts = count_errors([normalize(lattice.reference)] * len(texts), texts, measuring.unit)
        for key, wrong in zip(errors, counts[:, :3].sum(1).tolist(), strict=True):
            errors[key] += wrong
    if not known:
        raise InputError("no development lattice has a reference, so no scale of posteriors can be found")
    return {rule: min((count, tried) for (its, tried), count in errors.items() if its == rule)[1] for rule in RULES}
