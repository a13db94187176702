"""``rescore --lattice``: lists made from lattices, guided by the models that rescore them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines import lists
from pipelines.command import blaming, check_outputs, console

if TYPE_CHECKING:
    from asr_lm.lattice.lattice import Lattice
    from asr_lm.rescoring.lattices import Listing
    from asr_lm.rescoring.models import RescoringModel
    from asr_lm.rescoring.second_pass import Development


@dataclass(kw_only=True)
class LatticeOptions:
    """Options of ``rescore`` for lattices."""

    lattice: Path | None = None
    """Lattices to rescore instead of --nbest: a file, an archive or a folder of them (HTK, Kaldi, OpenFst, k2)."""
    dev_lattice: Path | None = None
    """Development lattices, on which weights are tuned."""
    words: Path | None = None
    """Table of words (words.txt), where the labels of lattices are numbers."""
    references: Path | None = None
    """What was said in lattices: an utterance's id and its words on every line."""
    frame_shift: float = 0.01
    """Seconds from one frame to the next, where lattices count frames."""
    acoustic_scale: float | None = None
    """What the recogniser multiplied acoustic scores by; by default what the file says, else 1, or 0.1 for Kaldi's."""
    lattice_nbest: int = 100
    """Hypotheses taken from a lattice."""
    lattice_beam: float = 12.0
    """How much less than the best a path may promise to be followed, in natural-log units of the score with the
    largest weight."""
    lattice_history: int = 3
    """Words after which two histories are taken for one; 0 tells all apart that the model tells apart."""
    lattice_states: int = 20_000
    """States of a lattice that are expanded at most."""
    lattice_out: Path | None = None
    """Write the rescored lattices here, too (HTK): lm is then the weighted sum of all that is not acoustic."""
    trust: bool = False
    """Read a k2 file even where torch cannot read it without running what is in it."""
    strict: bool = False
    """Stop at a lattice that cannot be read, instead of naming it and going on."""


def check(arguments: Any) -> None:
    """Refuse what cannot work before anything is read.

    Raises:
        InputError: options that do not go together.
    """
    from asr_lm.errors import InputError

    if arguments.lattice is None:
        for name in ("dev_lattice", "references", "lattice_out", "words"):
            if getattr(arguments, name) is not None:
                raise InputError("is for lattices; give --lattice, too", field="--" + name.replace("_", "-"))
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
            raise InputError("no such file", file=path, field="--" + name.replace("_", "-"))
    if arguments.lattice_nbest < 1:
        raise InputError(f"expected a number above 0, not {arguments.lattice_nbest}", field="--lattice-nbest")
    if arguments.lattice_out is not None and arguments.lattice_out.exists() and not arguments.lattice_out.is_dir():
        raise InputError("is a file, a folder was expected", file=arguments.lattice_out, field="--lattice-out")


def list_hypotheses(arguments: Any, models: Sequence[RescoringModel]) -> int:
    """Make the lists, write them, and let ``--nbest`` and ``--dev`` name them.

    Returns:
        Lattices that could not be read.
    """
    from asr_lm.hypotheses.writing import write_nbest
    from asr_lm.rescoring.lattices import Work, guided_list

    listing = _listing(arguments)
    folder = Path(arguments.out) if arguments.out and Path(arguments.out).is_dir() else Path()
    places = {
        name: folder / f"{_stem(path)}.{name}.jsonl"
        for name, path in (("nbest", arguments.lattice), ("dev", arguments.dev_lattice))
        if path is not None
    }
    check_outputs(places.values())
    values, bad = _values(arguments, models, listing, places)
    lattices, more = _read(arguments, arguments.lattice)
    work = Work()
    with blaming(str(arguments.lattice)):
        write_nbest(places["nbest"], (guided_list(lattice, models, values, listing, work) for lattice in lattices))
    _say(
        f"{len(lattices):,} lattices: {work.hypotheses:,} hypotheses, {work.states:,} states expanded, "
        f"{work.evaluations:,} model evaluations; the list is {places['nbest']}"
    )
    if arguments.lattice_out is not None:
        _write(arguments, models, values, lattices, listing)
    arguments.nbest = (str(places["nbest"]),)
    if arguments.out is None:
        arguments.out = f"{_stem(arguments.lattice)}.rescored.json"
    return bad + more


def _values(
    arguments: Any, models: Sequence[RescoringModel], listing: Listing, places: Mapping[str, Path]
) -> tuple[Mapping[str, float], int]:
    """The weights to search with: given, or found on development lattices."""
    from asr_lm.hypotheses.writing import write_nbest
    from asr_lm.rescoring import second_pass
    from asr_lm.rescoring.lattices import develop_lattices
    from asr_lm.rescoring.weights import Weights

    if arguments.weights:
        return Weights.load(arguments.weights).values, 0
    lattices, bad = _read(arguments, arguments.dev_lattice)

    def develop(utterances: Any) -> Development:
        return second_pass.develop(
            utterances,
            models,
            second_pass.systems_for_rescore(models),
            measuring=lists.measuring(arguments),
            signs=lists.signs(arguments),
            warn=lists.warn,
        )

    def report(number: int, hypotheses: int, new: int) -> None:
        _say(f"round {number}: {hypotheses:,} development hypotheses, {new:,} new")

    with blaming(str(arguments.dev_lattice)):
        utterances, development = develop_lattices(lattices, models, develop, listing, report)
    write_nbest(places["dev"], utterances)
    arguments.dev = (str(places["dev"]),)
    return list(development.weights.values())[-1].values, bad


def _listing(arguments: Any) -> Listing:
    from asr_lm.lattice.expansion import Search
    from asr_lm.rescoring.lattices import Listing

    search = Search(arguments.lattice_history or None, arguments.lattice_beam, arguments.lattice_states)
    return Listing(arguments.lattice_nbest, search)


def _read(arguments: Any, path: Path) -> tuple[list[Lattice], int]:
    """The lattices of a place with their references; those that cannot be read are named."""
    from asr_lm.errors import InputError
    from asr_lm.files import iterate_text
    from asr_lm.lattice.reading import read_lattices
    from asr_lm.lattice.symbols import read_words
    from asr_lm.rescoring.lattices import with_references

    words = read_words(arguments.words) if arguments.words else None
    lattices: list[Lattice] = []
    bad = 0
    for found in read_lattices(path, words=words, frame_shift=arguments.frame_shift, trust=arguments.trust):
        if isinstance(found, InputError):
            if arguments.strict:
                raise found
            lists.warn(f"left out: {found}")
            bad += 1
        else:
            scale = {} if arguments.acoustic_scale is None else {"acoustic": arguments.acoustic_scale}
            lattices.append(replace(found, scales={**found.scales, **scale}))
    if not lattices:
        raise InputError("no lattice could be read", file=path)
    if arguments.references is None:
        return lattices, bad
    rows = [line.split(maxsplit=1) for _, line in iterate_text(arguments.references) if line.strip()]
    return with_references(lattices, {row[0]: row[1] if len(row) > 1 else "" for row in rows}), bad


def _write(
    arguments: Any,
    models: Sequence[RescoringModel],
    values: Mapping[str, float],
    lattices: Sequence[Lattice],
    listing: Listing,
) -> None:
    """Rescored lattices: the recogniser's acoustic score with its weight as scale, and all else weighed as lm."""
    from asr_lm.lattice.writing import write_lattices
    from asr_lm.rescoring.lattices import Work, rescored

    written = []
    for lattice in lattices:
        scored = rescored(lattice, models, values, listing.search, Work())
        kept = {name: column for name, column in scored.scores.items() if name == "acoustic"}
        weighed = scored.weights({name: values.get(name, 0.0) for name in scored.scores if name not in kept})
        scored = scored.without_scores(*scored.scores).with_scores({**kept, "lm": weighed})
        written.append(replace(scored, scales={name: values.get(name, 0.0) for name in kept}))
    write_lattices(written, arguments.lattice_out, "slf")
    _say(f"rescored lattices are in {arguments.lattice_out}")


def _stem(path: Path) -> str:
    name = path.resolve().name
    for suffix in (".gz", ".zst", ".ark", ".slf", ".lat", ".txt"):
        name = name.removesuffix(suffix)
    return name


def _say(message: str) -> None:
    console().print(message, markup=False, soft_wrap=True)
