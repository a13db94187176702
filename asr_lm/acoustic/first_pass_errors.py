"""How good a first pass is where references are known: its error rate, and the least in its lists and lattices."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from asr_lm.acoustic.journal import Recognised
from asr_lm.counted import counted
from asr_lm.evaluation.metrics.registry import metric
from asr_lm.evaluation.word_errors import Unit, count_errors
from asr_lm.text.normalizer import Normalizer


@dataclass(frozen=True)
class FirstPassErrors:
    """Errors of a first pass.

    Attributes:
        utterances: that have a reference.
        length: units of the references.
        first: errors of the first hypotheses.
        lists: of the best hypothesis of each list.
        lattices: of the best path of each lattice; None without lattices.
        unit: what is counted.
    """

    utterances: int
    length: int
    first: int
    lists: int
    lattices: int | None
    unit: Unit

    @classmethod
    def of(cls, recognised: Iterable[Recognised], unit: Unit, normalize: Normalizer | None = None) -> FirstPassErrors:
        """Count errors of utterances; those without a reference are left out.

        Args:
            recognised: the utterances.
            unit: what is counted.
            normalize: of references and hypotheses; lattices, whose errors are counted without it, are then left out.
        """
        utterances = length = first = lists = 0
        lattices: int | None = 0
        for one in recognised:
            if (reference := one.utterance.reference) is None:
                continue
            texts = [hypothesis.text for hypothesis in one.utterance.hypotheses]
            if normalize is not None:
                reference, texts = normalize(reference), list(map(normalize, texts))
            counts = count_errors([reference] * len(texts), texts, unit)
            errors = counts[:, :3].sum(1)
            utterances, length = utterances + 1, length + int(counts[0, 3])
            first, lists = first + int(errors[0]), lists + int(errors.min())
            known = lattices is not None and one.lattice_errors is not None and normalize is None
            lattices = (lattices or 0) + (one.lattice_errors or 0) if known else None
        return cls(utterances, length, first, lists, lattices, unit)

    def __str__(self) -> str:
        name = metric(self.unit).short
        first, lists = (f"{100 * errors / self.length:.2f} %" for errors in (self.first, self.lists))
        also = (
            "" if self.lattices is None else f" of the lists, {100 * self.lattices / self.length:.2f} % of the lattices"
        )
        over = f"{counted(self.utterances, 'utterance')} with a reference"
        return f"first pass {first} {name}, oracle {lists}{also} ({over})"
