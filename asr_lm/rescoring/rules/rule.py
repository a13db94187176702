"""What a decision rule is: a way to choose one text of every list, and perhaps the words of a lattice."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from asr_lm.lattice.lattice import Floats, Lattice
    from asr_lm.rescoring.features.lists import Rows
    from asr_lm.rescoring.features.table import FeatureTable
    from asr_lm.rescoring.weights import Weights


@dataclass(frozen=True, eq=False)
class Choice:
    """What a rule chose.

    Attributes:
        rows: the chosen hypothesis of every list, or the likeliest one where the rule writes a text of its own
            ``[utterances]``.
        texts: what is said where that need not be a hypothesis of the list ``[utterances]``; None where it always is.
    """

    rows: Rows
    texts: tuple[str, ...] | None = None


class Rule(ABC):
    """A way to choose, given the posterior of every hypothesis of a list.

    Attributes:
        name: in commands and in weights files.
        title: in tables.
        about: what it takes, in one sentence.
        lattice_title: of the row for lattices, in tables; None for a rule that only reads lists.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    about: ClassVar[str]
    lattice_title: ClassVar[str | None] = None

    @abstractmethod
    def tune(self, weights: Weights, table: FeatureTable) -> Weights:
        """The same weights with what this rule needs besides, found on a development list.

        Args:
            weights: as :func:`asr_lm.rescoring.tuning.tune.tune_weights` gives them, with a fitted scale.
            table: the development list.

        Raises:
            InputError: no utterance has a reference, or the table lacks a weighted feature.
        """

    @abstractmethod
    def choose(self, table: FeatureTable, weights: Weights) -> Choice:
        """What is chosen of each list.

        Raises:
            InputError: the table lacks a weighted feature.
        """

    def words(self, lattice: Lattice, totals: Floats) -> str:
        """The words of a lattice under the log-weights of its arcs; only for rules with a ``lattice_title``."""
        raise NotImplementedError(f"the rule {self.name!r} reads lists only")
