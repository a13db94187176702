"""``rescore --lattice``: lattices that are searched for lists, and what is taken from them on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from asr_lm.counted import counted
from asr_lm.errors import InputError
from asr_lm.hypotheses.references import read_references
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.hypotheses.writing import write_nbest
from asr_lm.lattice.expansion import ExpansionOptions
from asr_lm.lattice.lattice import Lattice
from asr_lm.lattice.reading import read_lattices
from asr_lm.lattice.symbols import read_words
from asr_lm.lattice.writing import write_lattices
from asr_lm.rescoring.lattice_words import tune_scales, words_of
from asr_lm.rescoring.lattices import Listing, Searched, SearchWork, lattices_with_references, search_lattices
from asr_lm.rescoring.list_sources import LatticeLists
from asr_lm.rescoring.phrases.features import Phrases, with_fixed_weights
from asr_lm.rescoring.rules.registry import lattice_rules, rule
from asr_lm.rescoring.scoring.models import RescoringModel
from asr_lm.rescoring.second_pass import Rescored
from asr_lm.rescoring.tuned import Tuned
from asr_lm.rescoring.weights import Weights
from pipelines import lists
from pipelines.command import blaming
from pipelines.display import LeftOut, Terminal, say
from pipelines.options import LatticeOptions

if TYPE_CHECKING:
    from pipelines.rescore import Arguments

_MBR = "mbr"
"""The rule of ``--mbr-out``."""


def check(options: Arguments) -> None:
    """Refuse what cannot work before anything is read.

    Raises:
        InputError: options that do not go together.
    """
    if options.lattice is None:
        for name in ("dev_lattice", "lattice_out", "words", "mbr_out"):
            if getattr(options, name) is not None:
                raise InputError("is for lattices; give --lattice, too", parameter=name)
        return
    if options.nbest or options.dev:
        raise InputError("takes the place of --nbest, and --dev-lattice that of --dev", parameter="lattice")
    if options.emissions:
        raise InputError("is for n-best lists: lattices have acoustic scores of single paths", parameter="emissions")
    if not (options.dev_lattice or options.weights):
        raise InputError("weights are needed to search a lattice: give --dev-lattice or --weights", parameter="lattice")
    if options.dev_lattice and options.weights:
        raise InputError("give either --dev-lattice (tune here) or --weights (tuned before), not both")
    for name in ("lattice", "dev_lattice", "words", "references"):
        path: Path | None = getattr(options, name)
        if path is not None and not path.exists():
            raise InputError("no such file", file=path, parameter=name)
    if options.lattice_nbest < 1:
        raise InputError(f"expected a number above 0, not {options.lattice_nbest}", parameter="lattice_nbest")
    if options.lattice_out is not None and options.lattice_out.exists() and not options.lattice_out.is_dir():
        raise InputError("is a file, a folder was expected", file=options.lattice_out, parameter="lattice_out")
    if options.dev_lattice and options.lattice and options.dev_lattice.resolve() == options.lattice.resolve():
        message = "the lattices reported on cannot be those that weights are tuned on"
        raise InputError(message, file=options.dev_lattice, parameter="dev_lattice")


@dataclass
class LatticeSearch:
    """The lattices of a run, and what is taken from them as they are searched.

    Attributes:
        options: the command line.
        reported: the lattices that are rescored.
        development: those that weights are tuned on; without lattices where the weights are given.
        unreadable: lattices that could not be read.
        scales: of the posteriors of lattices, by rule; empty where no rule reads them.
        values: weights that the search was done with.
        work: what the search took.
        words: what each rule reads off the lattices, by rule, then by utterance.
        rescored: lattices as they are written.
    """

    options: Arguments
    reported: LatticeLists
    development: LatticeLists
    unreadable: int
    scales: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)
    work: SearchWork = field(default_factory=SearchWork)
    words: dict[str, dict[str, str]] = field(default_factory=dict)
    rescored: list[Lattice] = field(default_factory=list)

    @classmethod
    def open(
        cls, options: Arguments, models: Sequence[RescoringModel], terminal: Terminal, phrases: Phrases | None = None
    ) -> LatticeSearch:
        """Read all lattices; everything that can be refused is refused here, before the first search."""
        weights = Weights.load(options.weights) if options.weights else None
        if weights is not None and _reads_lattices(options):
            _check_scales(weights, options.weights)
        listing = _listing(options, phrases)
        assert options.lattice is not None
        lattices, bad = _read(options, options.lattice, terminal)
        known, worse = _read(options, options.dev_lattice, terminal) if options.dev_lattice else ([], 0)
        _refuse_same(known, lattices, options)
        found = cls(
            options, LatticeLists(lattices, models, listing), LatticeLists(known, models, listing, _round), bad + worse
        )
        found.reported = replace(found.reported, searched=found._take)
        for some, path in ((found.reported, options.lattice), (found.development, options.dev_lattice)):
            with blaming(str(path)):
                some.check(context=options.context)
        if weights is not None:
            found.scales = _scales_for(options, weights.lattice_scales)
            found.values = (with_fixed_weights(weights) if phrases else weights).values
        return found

    def tune_scales(self, tuned: Tuned) -> None:
        """Find the scales of posteriors on development lattices, searched as the others will be."""
        self.values = tuned.weights.values
        if not _reads_lattices(self.options):
            return
        known = [lattice for lattice in self.development.lattices if lattice.reference is not None]
        again = search_lattices(known, self.reported.models, self.values, self.reported.listing)
        found = (searched.lattice for searched in again)
        self.scales = tune_scales(found, self.values, tuned.weights.scale, lists.measuring(self.options))
        say("scale of posteriors: " + ", ".join(f"{name} {scale:.4g}" for name, scale in self.scales.items()))

    def _take(self, found: Searched) -> None:
        """What is wanted of a lattice that was searched."""
        self.work += found.work
        if self.options.lattice_out is not None:
            self.rescored.append(_as_weighed(found.lattice, self.values))
        for name, scale in self.scales.items():
            words = words_of(rule(name), found.lattice, self.values, scale)
            self.words.setdefault(name, {})[found.lattice.id] = words

    def with_rules(self, rescored: Rescored) -> Rescored:
        """A part of the result with a row for every rule that reads lattices."""
        outcome = rescored.outcome
        for name in self.words if self.options.rules else ():
            found = rule(name).lattice_title
            assert found is not None
            outcome = outcome.with_system(found, self.words[name])
        return replace(rescored, outcome=outcome)

    def write(self, tuned: Tuned | None) -> None:
        """Write the files that were asked for, and say what the search took."""
        expanded = (
            f"{counted(self.work.states, 'state')} expanded"
            if self.work.states
            else "no model has a weight to search with"
        )
        say(
            f"{counted(len(self.reported.lattices), 'lattice')}: "
            f"{counted(self.work.hypotheses, 'hypothesis', 'hypotheses')}, "
            f"{expanded}, {self.work.evaluations:,} model evaluations"
        )
        if (folder := self.options.lattice_out) is not None:
            write_lattices(self.rescored, folder, "slf")
            say(f"rescored lattices are in {folder}")
        if (path := self.options.mbr_out) is not None:
            write_nbest(path, (self._utterance(lattice) for lattice in self.reported.lattices))
            say(f"words with the fewest expected errors are in {path}")

    def _utterance(self, lattice: Lattice) -> Utterance:
        return Utterance(lattice.id, (Hypothesis(self.words[_MBR][lattice.id]),), lattice.reference)


def _round(number: int, hypotheses: int, new: int) -> None:
    say(f"round {number}: {hypotheses:,} development hypotheses, {new:,} new")


def _reads_lattices(options: Arguments) -> bool:
    """Whether a rule is to read words off lattices."""
    return bool(options.rules or options.mbr_out)


def _check_scales(weights: Weights, path: Path | None) -> None:
    if not all(found.name in weights.lattice_scales for found in lattice_rules()):
        message = "no scale of lattices' posteriors; tune it with --dev-lattice, --mbr and --save-weights"
        raise InputError(message, file=path, field="lattice_scales")


def _scales_for(options: Arguments, scales: Mapping[str, float]) -> Mapping[str, float]:
    return scales if _reads_lattices(options) else {}


def _refuse_same(development: Sequence[Lattice], lattices: Sequence[Lattice], options: LatticeOptions) -> None:
    """Weights are never reported on what they were tuned on; known here, before anything is searched."""
    said = {(lattice.id, lattice.reference) for lattice in development if lattice.reference is not None}
    same = sum((lattice.id, lattice.reference) in said for lattice in lattices)
    if same > 0.5 * len(lattices):
        raise InputError(
            f"{counted(same, 'lattice is a development lattice', 'lattices are development lattices')}, too: "
            "weights are never reported on what they were tuned on",
            file=options.lattice,
        )


def _unlike(lattice: Lattice, before: Mapping[str, Lattice]) -> InputError | None:
    """Why a lattice cannot stand in one list with those before it."""
    if lattice.id in before:
        return InputError("another lattice has this id", utterance=lattice.id)
    first = next(iter(before.values()), lattice)
    if set(first.scores) != set(lattice.scores):
        scores, others = (", ".join(sorted(names)) for names in (lattice.scores, first.scores))
        return InputError(f"has the scores {scores}, those before it {others}", utterance=lattice.id)
    return None


def _as_weighed(lattice: Lattice, values: Mapping[str, float]) -> Lattice:
    """The recogniser's acoustic score with its weight as scale, and all else weighed as lm."""
    kept = {name: column for name, column in lattice.scores.items() if name == "acoustic"}
    rest = lattice.weights({name: values.get(name, 0.0) for name in lattice.scores if name not in kept})
    bare = lattice.without_scores(*lattice.scores).with_scores({**kept, "lm": rest})
    return replace(bare, scales={name: values.get(name, 0.0) for name in kept})


def _listing(options: LatticeOptions, phrases: Phrases | None) -> Listing:
    search = ExpansionOptions(options.lattice_history or None, options.lattice_beam, options.lattice_states)
    return Listing(options.lattice_nbest, search, phrases)


def _read(options: Arguments, path: Path, terminal: Terminal) -> tuple[list[Lattice], int]:
    """The lattices of a place with their references; those that cannot be read are named."""
    words = read_words(options.words) if options.words else None
    lattices: dict[str, Lattice] = {}
    bad, left_out = 0, LeftOut(terminal.warn)
    found_all = read_lattices(
        path, words=words, frame_shift=options.frame_shift, trust=options.trust, max_arcs=options.max_arcs
    )
    for found in found_all:
        if error := found if isinstance(found, InputError) else _unlike(found, lattices):
            if options.strict:
                raise error
            left_out.add(error)
            bad += 1
        elif isinstance(found, Lattice):
            scale = {} if options.acoustic_scale is None else {"acoustic": options.acoustic_scale}
            lattices[found.id] = replace(found, scales={**found.scales, **scale})
    left_out.finish()
    if not lattices:
        raise InputError("no lattice could be read", file=path)
    if options.references is None:
        return list(lattices.values()), bad
    return lattices_with_references(list(lattices.values()), read_references(options.references)), bad
