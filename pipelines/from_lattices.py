"""``rescore --lattice``: lists made from lattices, guided by the models that rescore them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines import lists
from pipelines.command import OptionalFloat, OptionalPath, blaming, check_outputs, console, option_name

if TYPE_CHECKING:
    from asr_lm.errors import InputError
    from asr_lm.hypotheses.utterance import Utterance
    from asr_lm.lattice.lattice import Lattice
    from asr_lm.rescoring.lattices import Listing, Searched
    from asr_lm.rescoring.scoring.models import RescoringModel
    from asr_lm.rescoring.second_pass import Development
    from asr_lm.rescoring.weights import Weights


@dataclass(kw_only=True)
class LatticeOptions:
    """Options of ``rescore`` for lattices.

    Attributes:
        lattice: Lattices to rescore instead of --nbest: a file, an archive or a folder of them (HTK, Kaldi, OpenFst,
            k2).
        dev_lattice: Development lattices, on which weights are tuned.
        words: Table of words (words.txt), where the labels of lattices are numbers.
        references: What was said in lattices: an utterance's id and its words on every line.
        frame_shift: Seconds from one frame to the next, where lattices count frames.
        acoustic_scale: What the recogniser multiplied acoustic scores by; by default what the file says, else 1, or 0.1
            for Kaldi's.
        lattice_nbest: Hypotheses taken from a lattice.
        lattice_beam: Width of the search: a path is given up once it promises so much less than the best, in units of
            the natural logarithm. Wider is slower and loses fewer good paths.
        lattice_history: Paths that end in the same so many words are taken for one, which a model of long memory then
            reads on from the better of them; 0 merges only what the model cannot tell apart.
        lattice_states: The search of a lattice ends after so many states, so that no lattice takes for ever.
        lattice_out: Write the rescored lattices here, too (HTK): lm is then the weighted sum of all that is not
            acoustic.
        mbr_out: Write the words with the fewest expected errors of every rescored lattice here (minimum Bayes
            risk; .json, .jsonl, .trn).
        trust: Read a k2 file even where torch cannot read it without running what is in it.
        strict: Stop at a lattice that cannot be read, instead of naming it and going on.
    """

    lattice: OptionalPath = None
    dev_lattice: OptionalPath = None
    words: OptionalPath = None
    references: OptionalPath = None
    frame_shift: float = 0.01
    acoustic_scale: OptionalFloat = None
    lattice_nbest: int = 100
    lattice_beam: float = 12.0
    lattice_history: int = 3
    lattice_states: int = 20_000
    lattice_out: OptionalPath = None
    mbr_out: OptionalPath = None
    trust: bool = False
    strict: bool = False


@dataclass(frozen=True)
class Listed:
    """What lattices gave besides lists.

    Attributes:
        unreadable: lattices that could not be read.
        decided: what the lattices say with the fewest expected errors: by rule, then by utterance.
        scales: of the posteriors for that, by rule.
    """

    unreadable: int = 0
    decided: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    scales: Mapping[str, float] = field(default_factory=dict)


def check(arguments: Any) -> None:
    """Refuse what cannot work before anything is read.

    Raises:
        InputError: options that do not go together.
    """
    from asr_lm.errors import InputError

    if arguments.lattice is None:
        for name in ("dev_lattice", "references", "lattice_out", "words", "mbr_out"):
            if getattr(arguments, name) is not None:
                raise InputError("is for lattices; give --lattice, too", field=option_name(name))
        return
    if arguments.nbest or arguments.dev:
        raise InputError("takes the place of --nbest, and --dev-lattice that of --dev", field="--lattice")
    if not (arguments.dev_lattice or arguments.weights):
        raise InputError("weights are needed to search a lattice: give --dev-lattice or --weights", field="--lattice")
    if arguments.dev_lattice and arguments.weights:
        raise InputError("give either --dev-lattice (tune here) or --weights (tuned before), not both")
    for name in ("lattice", "dev_lattice", "words", "references"):
        path = getattr(arguments, name)
        if path is not None and not path.exists():
            raise InputError("no such file", file=path, field=option_name(name))
    if arguments.lattice_nbest < 1:
        raise InputError(f"expected a number above 0, not {arguments.lattice_nbest}", field="--lattice-nbest")
    if arguments.lattice_out is not None and arguments.lattice_out.exists() and not arguments.lattice_out.is_dir():
        raise InputError("is a file, a folder was expected", file=arguments.lattice_out, field="--lattice-out")


def as_lists(arguments: Any) -> Any:
    """The options of rescoring the lists that the lattices will become."""
    places = {name: str(path) for name, path in _places(arguments).items()}
    out = arguments.out or f"{_stem(arguments.lattice)}.rescored.json"
    return replace(arguments, nbest=(places["nbest"],), dev=(places["dev"],) if "dev" in places else (), out=out)


def list_hypotheses(arguments: Any, models: Sequence[RescoringModel]) -> Listed:
    """Make the lists, write them, and let ``--nbest`` and ``--dev`` name them."""
    from asr_lm.hypotheses.writing import write_nbest
    from asr_lm.rescoring.lattices import Work, search

    listing = _listing(arguments)
    places = _places(arguments)
    check_outputs([*places.values(), arguments.mbr_out])
    tuned = _tuned(arguments, models, listing, places)
    lattices, unreadable = _read(arguments, arguments.lattice)
    work = Work()
    passed_on = _PassedOn(arguments, tuned)
    with blaming(str(arguments.lattice)):
        found = search(lattices, models, tuned.values, listing, work)
        write_nbest(places["nbest"], passed_on.utterances(found))
    _say(
        f"{len(lattices):,} lattices: {work.hypotheses:,} hypotheses, {work.states:,} states expanded, "
        f"{work.evaluations:,} model evaluations; the list is {places['nbest']}"
    )
    passed_on.write()
    lists_made = as_lists(arguments)
    arguments.nbest, arguments.dev, arguments.out = lists_made.nbest, lists_made.dev, lists_made.out
    return Listed(tuned.unreadable + unreadable, passed_on.decided, tuned.scales)


def _places(arguments: Any) -> dict[str, Path]:
    """Where lists go."""
    folder = Path(arguments.out) if arguments.out and Path(arguments.out).is_dir() else Path()
    return {
        name: folder / f"{_stem(path)}.{name}.jsonl"
        for name, path in (("nbest", arguments.lattice), ("dev", arguments.dev_lattice))
        if path is not None
    }


@dataclass(frozen=True)
class _Tuned:
    """Weights to search with, and scales of posteriors by rule, given or found on development lattices."""

    values: Mapping[str, float]
    scales: Mapping[str, float]
    unreadable: int = 0


def _tuned(arguments: Any, models: Sequence[RescoringModel], listing: Listing, places: Mapping[str, Path]) -> _Tuned:
    from asr_lm.errors import InputError
    from asr_lm.hypotheses.writing import write_nbest
    from asr_lm.rescoring.lattices import develop_lattices
    from asr_lm.rescoring.rules.lattice_decision import RULES
    from asr_lm.rescoring.second_pass import deciding
    from asr_lm.rescoring.weights import Weights

    if arguments.weights:
        weights = Weights.load(arguments.weights)
        if _decides(arguments) and not all(rule in weights.lattice_scales for rule in RULES):
            message = "no scale of lattices' posteriors; tune it with --dev-lattice, --mbr and --save-weights"
            raise InputError(message, file=arguments.weights, field="lattice_scales")
        return _Tuned(weights.values, weights.lattice_scales)
    lattices, unreadable = _read(arguments, arguments.dev_lattice)

    def report(number: int, hypotheses: int, new: int) -> None:
        _say(f"round {number}: {hypotheses:,} development hypotheses, {new:,} new")

    with blaming(str(arguments.dev_lattice)):
        utterances, development = develop_lattices(lattices, models, _develop(arguments, models), listing, report)
        write_nbest(places["dev"], utterances)
        weights = development.weights[deciding(development.weights)]
        scales = _scales(arguments, models, lattices, weights, listing) if _decides(arguments) else {}
    return _Tuned(weights.values, scales, unreadable)


def _develop(arguments: Any, models: Sequence[RescoringModel]) -> Callable[[Sequence[Utterance]], Development]:
    from asr_lm.rescoring import second_pass

    def develop(utterances: Sequence[Utterance]) -> Development:
        return second_pass.develop(
            utterances,
            models,
            second_pass.systems_for_rescore(models),
            measuring=lists.measuring(arguments),
            signs=lists.signs(arguments),
            warn=lists.warn,
        )

    return develop


def _scales(
    arguments: Any,
    models: Sequence[RescoringModel],
    lattices: Sequence[Lattice],
    weights: Weights,
    listing: Listing,
) -> dict[str, float]:
    """Scales of the posteriors of development lattices, searched as the others will be."""
    from asr_lm.rescoring.lattices import Work, search
    from asr_lm.rescoring.rules.lattice_decision import tune_scales

    known = [lattice for lattice in lattices if lattice.reference is not None]
    found = (searched.lattice for searched in search(known, models, weights.values, listing, Work()))
    scales = tune_scales(found, weights.values, weights.scale, lists.measuring(arguments))
    _say("scale of posteriors: " + ", ".join(f"{rule} {scale:.4g}" for rule, scale in scales.items()))
    return scales


def _decides(arguments: Any) -> bool:
    """Whether lattices are to say what has the fewest expected errors."""
    return bool(arguments.mbr or arguments.mbr_out)


class _PassedOn:
    """What is taken from searched lattices on their way.

    Attributes:
        decided: see :class:`Listed`.
    """

    def __init__(self, arguments: Any, tuned: _Tuned) -> None:
        self._arguments, self._tuned = arguments, tuned
        self._rescored: list[Lattice] = []
        self._references: dict[str, str | None] = {}
        self.decided: dict[str, dict[str, str]] = {}

    def utterances(self, found: Iterator[Searched]) -> Iterator[Utterance]:
        """The lists."""
        from asr_lm.rescoring.rules.lattice_decision import decide

        for searched in found:
            lattice = searched.lattice
            if self._arguments.lattice_out is not None:
                self._rescored.append(_as_weighed(lattice, self._tuned.values))
            if _decides(self._arguments):
                self._references[lattice.id] = lattice.reference
                for rule, scale in self._tuned.scales.items():
                    words = decide(rule, lattice, self._tuned.values, scale)
                    self.decided.setdefault(rule, {})[lattice.id] = words
            yield searched.utterance

    def write(self) -> None:
        """Write the files that were asked for."""
        from asr_lm.hypotheses.utterance import Hypothesis, Utterance
        from asr_lm.hypotheses.writing import write_nbest
        from asr_lm.lattice.writing import write_lattices
        from asr_lm.rescoring.rules.lattice_decision import LATTICE_RISK

        if (folder := self._arguments.lattice_out) is not None:
            write_lattices(self._rescored, folder, "slf")
            _say(f"rescored lattices are in {folder}")
        if (path := self._arguments.mbr_out) is not None:
            texts = self.decided[LATTICE_RISK].items()
            write_nbest(path, (Utterance(id, (Hypothesis(text, {}),), self._references[id]) for id, text in texts))
            _say(f"words with the fewest expected errors are in {path}")


def _unlike(lattice: Lattice, before: Mapping[str, Lattice]) -> InputError | None:
    """Why a lattice cannot stand in one list with those before it."""
    from asr_lm.errors import InputError

    if lattice.id in before:
        return InputError("another lattice has this id", utterance=lattice.id)
    for first in before.values():
        if set(first.scores) != set(lattice.scores):
            scores, others = (", ".join(sorted(names)) for names in (lattice.scores, first.scores))
            return InputError(f"has the scores {scores}, those before it {others}", utterance=lattice.id)
        break
    return None


def _as_weighed(lattice: Lattice, values: Mapping[str, float]) -> Lattice:
    """The recogniser's acoustic score with its weight as scale, and all else weighed as lm."""
    kept = {name: column for name, column in lattice.scores.items() if name == "acoustic"}
    rest = lattice.weights({name: values.get(name, 0.0) for name in lattice.scores if name not in kept})
    bare = lattice.without_scores(*lattice.scores).with_scores({**kept, "lm": rest})
    return replace(bare, scales={name: values.get(name, 0.0) for name in kept})


def _listing(arguments: Any) -> Listing:
    from asr_lm.lattice.expansion import ExpansionOptions
    from asr_lm.rescoring.lattices import Listing

    search = ExpansionOptions(arguments.lattice_history or None, arguments.lattice_beam, arguments.lattice_states)
    return Listing(arguments.lattice_nbest, search)


def _read(arguments: Any, path: Path) -> tuple[list[Lattice], int]:
    """The lattices of a place with their references; those that cannot be read are named."""
    from asr_lm.errors import InputError
    from asr_lm.files import iterate_text
    from asr_lm.lattice.lattice import Lattice
    from asr_lm.lattice.reading import read_lattices
    from asr_lm.lattice.symbols import read_words
    from asr_lm.rescoring.lattices import with_references

    words = read_words(arguments.words) if arguments.words else None
    lattices: dict[str, Lattice] = {}
    bad = 0
    for found in read_lattices(path, words=words, frame_shift=arguments.frame_shift, trust=arguments.trust):
        if error := found if isinstance(found, InputError) else _unlike(found, lattices):
            if arguments.strict:
                raise error
            lists.warn(f"left out: {error}")
            bad += 1
        elif isinstance(found, Lattice):
            scale = {} if arguments.acoustic_scale is None else {"acoustic": arguments.acoustic_scale}
            lattices[found.id] = replace(found, scales={**found.scales, **scale})
    if not lattices:
        raise InputError("no lattice could be read", file=path)
    if arguments.references is None:
        return list(lattices.values()), bad
    rows = [line.split(maxsplit=1) for _, line in iterate_text(arguments.references) if line.strip()]
    return with_references(list(lattices.values()), {row[0]: row[1] if len(row) > 1 else "" for row in rows}), bad


def _stem(path: Path) -> str:
    name = path.resolve().name
    for suffix in (".gz", ".zst", ".ark", ".slf", ".lat", ".txt"):
        name = name.removesuffix(suffix)
    return name


def _say(message: str) -> None:
    console().print(message, markup=False, soft_wrap=True)
