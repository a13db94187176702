"""Where the lists of a second pass come from: files that hold them, or lattices that are searched.

Lists in files are what they are. Those of lattices depend on the weights: a lattice is searched with the weights that
will decide, so that the list holds what the models like. Weights need lists and lists need weights, so
:class:`LatticeLists` begins with the recogniser's own best, and searches again with every new set of weights until no
hypothesis is new (Och 2003, section 5, keeps its n-best lists so).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from asr_lm.errors import InputError
from asr_lm.hypotheses.utterance import Utterance, hypothesis_count
from asr_lm.lattice.lattice import Lattice
from asr_lm.rescoring.lattices import Listing, Searched, first_list, merged, search_lattices
from asr_lm.rescoring.scoring.models import RescoringModel
from asr_lm.rescoring.tuned import Tuned

ROUNDS = 4
"""How often the lists of development lattices are made anew with better weights, at most."""

Tune = Callable[[Sequence[Utterance]], Tuned]
"""Tunes all systems on a development list."""

Told = Callable[[int, int, int], None]
"""Told after every round of its number, of the hypotheses so far and of how many of them are new."""


class ListSource(Protocol):
    """Something that gives n-best lists."""

    def tuned(self, tune: Tune) -> Tuned:
        """Weights tuned on these lists.

        Raises:
            InputError: as reading and tuning raise it.
        """

    def utterances(self, tuned: Tuned | None) -> Iterator[Utterance]:
        """The lists that weights are to be applied to; None where the weights depend on the lists."""


@dataclass(frozen=True)
class FileLists:
    """Lists that are there.

    Attributes:
        read: reads them from the beginning.
    """

    read: Callable[[], Iterable[Utterance]]

    def tuned(self, tune: Tune) -> Tuned:
        """See :class:`ListSource`."""
        return tune(list(self.read()))

    def utterances(self, tuned: Tuned | None) -> Iterator[Utterance]:
        """See :class:`ListSource`."""
        return iter(self.read())


@dataclass(frozen=True)
class LatticeLists:
    """Lists that are searched in lattices.

    Attributes:
        lattices: at least one; their scores have the same names.
        models: those that guide the search.
        listing: how lists are made.
        round_done: told of every round of tuning.
        searched: told of every lattice that was searched with the final weights.
    """

    lattices: Sequence[Lattice]
    models: Sequence[RescoringModel]
    listing: Listing
    round_done: Told = lambda number, hypotheses, new: None
    searched: Callable[[Searched], None] = lambda found: None

    def check(self, *, context: int = 0) -> None:
        """Refuse before any search what would be refused after it.

        Args:
            context: utterances of the recording that models are to read.

        Raises:
            InputError: context is asked for, and a lattice does not say which recording it is of.
        """
        for lattice in self.lattices if context else ():
            if lattice.recording is None:
                raise InputError(
                    "no recording, so what was said before is not known: lattices say no recordings in this format; "
                    "leave out the context, or rescore n-best lists that name them",
                    utterance=lattice.id,
                    parameter="context",
                )

    def tuned(self, tune: Tune) -> Tuned:
        """See :class:`ListSource`; lattices without a reference are of no use."""
        lists = [first_list(lattice, self.listing.count, self.listing.phrases) for lattice in self.lattices]
        tuned = tune(lists)
        for number in range(1, ROUNDS + 1):
            found = search_lattices(self.lattices, self.models, tuned.weights.values, self.listing)
            longer = [
                merged(lattice, known, searched.utterance)
                for lattice, known, searched in zip(self.lattices, lists, found, strict=True)
            ]
            new = sum(
                len(after.hypotheses) - len(before.hypotheses) for before, after in zip(lists, longer, strict=True)
            )
            self.round_done(number, hypothesis_count(longer), new)
            if not new:
                break
            lists = longer
            tuned = tune(lists)
        return tuned

    def utterances(self, tuned: Tuned | None) -> Iterator[Utterance]:
        """See :class:`ListSource`.

        Raises:
            InputError: no weights to search with.
        """
        if tuned is None:
            raise InputError("weights are needed to search a lattice: tune them on development lattices, or give them")
        values = (tuned.with_fixed_phrases() if self.listing.phrases else tuned).weights.values
        for found in search_lattices(self.lattices, self.models, values, self.listing):
            self.searched(found)
            yield found.utterance
