"""What a rescored lattice says with the fewest expected errors.

The best path is the likeliest sentence. With posteriors of all paths at hand, a decision rule can take the words with
the fewest expected errors instead (:mod:`asr_lm.rescoring.rules`): minimum Bayes risk over the lattice, or the
likeliest word of every slot of its confusion network. The scale of the posteriors is found on development lattices.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from asr_lm.errors import InputError
from asr_lm.evaluation.word_errors import count_errors
from asr_lm.lattice.lattice import Lattice
from asr_lm.lattice.pruning import prune_by_beam
from asr_lm.rescoring.lattices import weighed
from asr_lm.rescoring.rules.registry import lattice_rules
from asr_lm.rescoring.rules.rule import Rule
from asr_lm.rescoring.settings import Measuring
from asr_lm.text.normalizer import get_normalizer

SCALES = tuple(2.0**power for power in range(-3, 3))
"""Multiples of the scale that fits the lists' posteriors: 1/8 to 4."""

_BEAM = 8.0
"""Arcs whose best path is less likely than the best of all by more than this factor (natural log) are left out."""

_TOTAL = "total"


def words_of(rule: Rule, lattice: Lattice, values: Mapping[str, float], scale: float) -> str:
    """The words of a lattice.

    Args:
        rule: one that reads lattices.
        lattice: rescored.
        values: weights of its scores by name.
        scale: the posterior of a path is proportional to ``exp(scale * total)``.
    """
    totals = lattice.with_scores({_TOTAL: scale * weighed(lattice, values)})
    pruned = prune_by_beam(totals, totals.scores[_TOTAL], _BEAM)
    return rule.words(pruned, pruned.scores[_TOTAL])


def tune_scales(
    lattices: Iterable[Lattice], values: Mapping[str, float], scale: float, measuring: Measuring | None = None
) -> dict[str, float]:
    """By rule, the scale at which it makes the fewest errors on development lattices; of equals the smaller.

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
    rules = lattice_rules()
    errors = {(rule.name, factor * scale): 0 for rule in rules for factor in SCALES}
    known = False
    for lattice in lattices:
        if lattice.reference is None:
            continue
        known = True
        texts = [normalize(words_of(rule, lattice, values, factor * scale)) for rule in rules for factor in SCALES]
        counts = count_errors([normalize(lattice.reference)] * len(texts), texts, measuring.unit)
        for key, wrong in zip(errors, counts[:, :3].sum(1).tolist(), strict=True):
            errors[key] += wrong
    if not known:
        raise InputError("no development lattice has a reference, so no scale of posteriors can be found")
    return {
        rule.name: min((count, tried) for (its, tried), count in errors.items() if its == rule.name)[1]
        for rule in rules
    }
