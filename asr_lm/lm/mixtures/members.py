"""Models made of models: their members, and the folder that names them.

A mixture's folder holds ``config.json`` with the weights and, for every member, where it lies (:mod:`asr_lm.lm.places`)
and its fingerprint. A member that is not what it was when the weights were found is an error.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from asr_lm import __version__
from asr_lm.errors import InputError
from asr_lm.files import make_folder
from asr_lm.lm.folder import CONFIG_FILE, HUB, begin, write_config
from asr_lm.lm.places import find_place, places_of
from asr_lm.lm.precision import Precision, PrecisionChoice
from asr_lm.lm.protocol import LanguageModel, LogProbs, Ranker, language_model
from asr_lm.partial_files import partial_folder

FAMILY = "mixture"
MEMBERS_FOLDER = "members"


@dataclass(frozen=True)
class Member:
    """A model within another one.

    Attributes:
        name: what it is called.
        model: the model.
        path: where it lies; None for one that is only in memory, which is saved with the mixture.
    """

    name: str
    model: LanguageModel
    path: Path | None = None


class Mixture(LanguageModel):
    """A model made of weighted members.

    Attributes:
        members: the models.
        weights: of each ``[members]``.
        kind: how they are combined.
    """

    family = FAMILY
    kind: str
    members: tuple[Member, ...]
    weights: LogProbs

    @property
    def parameters(self) -> int:
        return sum(member.model.parameters for member in self.members)

    def compute_in(self, precision: PrecisionChoice) -> None:
        for member in self.members:
            member.model.compute_in(precision)

    @property
    def precision(self) -> Precision:
        return "bfloat16" if any(member.model.precision == "bfloat16" for member in self.members) else "float32"

    @property
    def recombines(self) -> bool:
        return any(member.model.recombines for member in self.members)

    def recombine(self, words: int) -> None:
        for member in self.members:
            member.model.recombine(words)

    @property
    def remarks(self) -> list[str]:
        return [f"{remark} (its member {member.name})" for member in self.members for remark in member.model.remarks]

    @property
    def shard_hypotheses(self) -> int | None:
        return min((most for member in self.members if (most := member.model.shard_hypotheses)), default=None)

    def fingerprint(self) -> str:
        weights = np.asarray(self.weights, dtype="<f8").tobytes().hex()
        parts = " ".join(member.model.fingerprint() for member in self.members)
        return hashlib.blake2b(f"{FAMILY} {self.kind} {weights} {parts}".encode(), digest_size=16).hexdigest()

    def save(self, folder: Path, *, copy: bool = False, training: dict[str, Any] | None = None) -> None:
        """Write the folder.

        Args:
            folder: made when missing.
            copy: copy the members into it instead of naming where they lie.
            training: facts of how the weights were found, to keep in ``config.json``.

        Raises:
            InputError: the folder, or a copy, cannot be written.
        """
        begin(folder)
        records = [_record(member, folder, copy) for member in self.members]
        config = {
            "family": FAMILY,
            "mixture": {"kind": self.kind, "weights": np.asarray(self.weights).tolist(), "members": records},
            "normalizer": self.normalizer,
            "parameters": self.parameters,
            "training": training or {},
            "versions": {"asr_lm": __version__, "python": platform.python_version()},
        }
        write_config(folder, config)


def same_normalizer(members: Sequence[Member]) -> str:
    """The normaliser of all members.

    ``spoken-english`` makes of the numbers in a text what ``librispeech`` leaves as words, so both go together.

    Raises:
        InputError: they have different ones, so they do not speak of the same words.
    """
    names = {member.model.normalizer: member.name for member in members}
    if set(names) == {"librispeech", "spoken-english"}:
        return "spoken-english"
    if len(names) > 1:
        described = ", ".join(f"{member.name} ({member.model.normalizer})" for member in members)
        raise InputError(f"models whose texts are normalised differently cannot be mixed: {described}")
    return next(iter(names))


def _record(member: Member, folder: Path, copy: bool) -> dict[str, Any]:
    places = [_copied(member, folder)] if member.path is None or copy else places_of(member.path, folder)
    return {"name": member.name, "places": places, "fingerprint": member.model.fingerprint()}


def _copied(member: Member, folder: Path) -> str:
    """Where the copy of a member lies, from the folder."""
    place = folder / MEMBERS_FOLDER / member.name
    make_folder(place.parent)
    try:
        if member.path is None or str(member.path).startswith(HUB):
            member.model.save(place)
        else:
            place = place if member.path.is_dir() else place.with_name(member.path.name)
            _copy(member.path, place)
    except OSError as error:
        raise InputError(f"the member {member.name!r} cannot be copied ({_reason(error)})", file=place) from None
    return str(place.relative_to(folder))


def _copy(source: Path, place: Path) -> None:
    """Copy a model's folder or file, which is there whole or not at all."""
    with partial_folder(place) as temporary:
        copy = temporary / "copy"
        if source.is_dir():
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns("folds", "corpus", "checkpoint.safetensors"))
        else:
            shutil.copyfile(source, copy)
        if place.is_dir():
            shutil.rmtree(place)
        copy.replace(place)


def _reason(error: OSError) -> str:
    """Why; a folder's failures come as a list, the first of which is enough."""
    if isinstance(error, shutil.Error) and error.args and isinstance(error.args[0], list):
        return str(error.args[0][0][-1])
    return error.strerror or str(error)


class _MemberRecord(msgspec.Struct):
    name: str
    places: list[str]
    fingerprint: str


class _Record(msgspec.Struct):
    kind: str
    weights: list[float]
    members: list[_MemberRecord]


@dataclass(frozen=True)
class MixtureRecord:
    """What a mixture's ``config.json`` says.

    Attributes:
        kind: how the members are combined.
        weights: of each member.
        members: the members, opened.
    """

    kind: str
    weights: list[float]
    members: list[Member]


def read_members(folder: Path, config: dict[str, Any], open_model: Callable[[Path], Ranker]) -> MixtureRecord:
    """The members of a mixture's folder.

    Args:
        folder: of the mixture.
        config: its ``config.json``.
        open_model: opens a member.

    Raises:
        InputError: a damaged folder; a member that is missing or has changed.
    """
    try:
        record = msgspec.convert(config.get("mixture"), _Record)
    except msgspec.ValidationError as error:
        raise InputError(f"damaged model folder: {error}", file=folder / CONFIG_FILE, field="mixture") from None
    return MixtureRecord(record.kind, record.weights, [_open(member, folder, open_model) for member in record.members])


def _open(record: _MemberRecord, folder: Path, open_model: Callable[[Path], Ranker]) -> Member:
    path = find_place(record.places, folder, f"the member {record.name!r} of the mixture")
    member = Member(record.name, language_model(open_model(path)), path)
    if member.model.fingerprint() != record.fingerprint:
        raise InputError(
            f"the member {record.name!r} of the mixture {folder} has changed since its weight was found; "
            "make the mixture again",
            file=path,
        )
    return member
