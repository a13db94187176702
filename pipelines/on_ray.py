"""``rescore --engine ray``: the list is rescored in parts by the workers of a Ray cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import msgspec

from asr_lm.counted import counted
from asr_lm.errors import InputError
from asr_lm.files import atomic_write
from asr_lm.hypotheses.format import Notices
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.hypotheses.writing import format_of, write_nbest
from asr_lm.lm.training.distributed import is_shared_run
from asr_lm.rescoring.cluster.cutting import Part
from asr_lm.rescoring.cluster.engine import Ray
from asr_lm.rescoring.cluster.job import Job, ModelSettings
from asr_lm.rescoring.cluster.list_files import ListFiles
from asr_lm.rescoring.cluster.rescoring import BadLine
from asr_lm.rescoring.cluster.run import Added, cut_list, first_shard, rescore_parts, settled
from asr_lm.rescoring.cluster.scanning import Law
from asr_lm.rescoring.default_model import DEFAULT
from asr_lm.rescoring.scoring.models import RescoringModel
from asr_lm.rescoring.settings import Measuring, Scoring
from asr_lm.rescoring.tuned import Tuned
from asr_lm.storage import Storage, is_remote
from pipelines import reporting
from pipelines.display import Terminal
from pipelines.list_options import ListOptions

if TYPE_CHECKING:
    from pipelines.rescore import Arguments

_OF_ONE_PROCESS = ("context", "emissions", "features", "lattice", "plot_attention", "recording_words", "together")
_READ_ELSEWHERE = ("manifest", "beam_size", "map", "acoustic_scale", "references")
_FORMATS = (None, "canonical", "parquet")
_SHARD = re.compile(r"part-\d{6}\.(jsonl|parquet)")


def check(options: Arguments) -> None:
    """Refuse what the workers of a cluster cannot do.

    Raises:
        InputError: there is something.
    """
    if options.engine != "ray":
        if options.address or options.workers:
            raise InputError("is for the workers of Ray: give --engine ray", parameter="engine")
        return
    if is_shared_run():
        raise InputError("starts its processes itself; start it without torchrun", parameter="engine")
    for name in _OF_ONE_PROCESS:
        if getattr(options, name):
            raise InputError("is done by one process; leave out --engine ray", parameter=name)
    if reporting.is_wanted(options):
        raise InputError("shows all features, which one process holds; leave out --engine ray", parameter="report")
    defaults = {field.name: field.default for field in fields(ListOptions)}
    for name in (*_READ_ELSEWHERE, *(["format"] if options.format not in _FORMATS else [])):
        if getattr(options, name) != defaults[name]:
            message = "the workers of Ray read JSON Lines and Parquet in the canonical form; write the list so first"
            raise InputError(message, parameter=name)
    if "-" in options.nbest or options.out == "-":
        raise InputError("many processes cannot share standard input or output; give files", parameter="nbest")


@dataclass(frozen=True)
class Places:
    """Where things go.

    Attributes:
        out: file, or folder of the rescored parts.
        is_folder: which of the two.
    """

    out: str
    is_folder: bool

    @property
    def unfinished(self) -> Storage:
        """Folder of what is kept until all is done."""
        return Storage(self.out.rstrip("/") + ".unfinished")

    @property
    def bad(self) -> Storage:
        """File of the rows that were left out."""
        return Storage(self.out.rstrip("/") + ".bad.jsonl")

    def shards(self, is_parquet: bool) -> tuple[Storage, str]:
        """Folder of the rescored parts, and their format."""
        if self.is_folder:
            return Storage(self.out), "parquet" if is_parquet else "jsonl"
        return self.unfinished, "jsonl"

    def check(self) -> None:
        """Refuse a folder in which other things lie, and a single file in an object store.

        Raises:
            InputError: it is one of them.
        """
        if not self.is_folder:
            if is_remote(self.out):
                message = "an object store gets a folder of the rescored parts: let its name end with /"
                raise InputError(message, file=self.out, parameter="out")
            format_of(self.out)
            return
        storage = Storage(self.out)
        others = [file.base for file in _files(storage) if not _SHARD.fullmatch(file.base)]
        if others:
            message = f"expected a folder that is new, empty, or holds parts of an earlier run; there is {others[0]}"
            raise InputError(message, file=self.out, parameter="out")


def rescored(
    options: Arguments,
    path: str,
    places: Places,
    models: Sequence[RescoringModel],
    tuned: Tuned | None,
    measuring: Measuring,
    scoring: Scoring,
    terminal: Terminal,
) -> Added:
    """Rescore one list on a cluster and write it; what is said of it follows from the result.

    Raises:
        InputError: as for one process; there is no cluster.
    """
    engine = Ray.connected(options.address, options.workers, gpus=int(options.device == "cuda"))
    notices = Notices()
    source = ListFiles.of(path)
    law = Law.of(source, notices, options.costs, options.as_given)
    for notice in notices:
        terminal.notice(notice)
    parts = cut_list(source, law, engine)
    for model in models:  # what was measured here holds everywhere
        model.model.compute_in(model.model.precision)
    tuned = settled(models, tuned, first_shard(source, law, parts), options.score_kind, scoring, terminal)
    shards, format = places.shards(source.is_parquet)
    settings = _settings(options, models)
    job = Job(source, law, settings, tuned, measuring, scoring, shards, places.unfinished, format)
    terminal.expect(sum(part.hypotheses for part in parts))
    added = rescore_parts(job, parts, models, engine, terminal)
    _finish(job, parts, places)
    _tell(added, parts, places, terminal)
    return added


def _settings(options: Arguments, models: Sequence[RescoringModel]) -> ModelSettings:
    return ModelSettings(
        tuple(options.lm or (DEFAULT,)),
        "cpu" if options.device == "auto" else options.device,
        options.budget,
        tuple(options.unnormalised),
        tuple(model.model.precision for model in models),
        max((model.recombined for model in models), default=0),
        tuple(model.model.fingerprint() for model in models),
        models[0].cache.folder,
    )


def _finish(job: Job, parts: Sequence[Part], places: Places) -> None:
    """Put the parts together where one file is wanted, and clear away what was kept."""
    good = [part.number for part in parts if part.utterances]
    if places.is_folder:
        names = {job.shard(number).base for number in good}
        for file in _files(job.parts):
            if file.base not in names:
                file.delete()
        job.parts.delete_partial()
    elif format_of(places.out) == "jsonl":
        with atomic_write(places.out) as stream:
            for number in good:
                stream.write(job.shard(number).read())
    else:
        write_nbest(places.out, _utterances(job, good), unique=True)
    places.unfinished.delete()


def _files(folder: Storage) -> list[Storage]:
    return folder.files() if folder.kind == "folder" else []


def _utterances(job: Job, parts: Sequence[int]) -> Iterator[Utterance]:
    decode = msgspec.json.Decoder(Utterance).decode
    for number in parts:
        yield from map(decode, job.shard(number).read().splitlines())


def _tell(added: Added, parts: Sequence[Part], places: Places, terminal: Terminal) -> None:
    if added.found:
        terminal.notice(f"{added.found:,} of {counted(len(parts), 'part')} were there from an earlier run")
    if not added.bad:
        places.bad.delete()
        return
    places.bad.write(b"".join(map(_line, added.bad)))
    first = added.bad[0]
    terminal.warn(
        f"{counted(len(added.bad), 'row')} left out, written to {places.bad.name} with what is wrong; the first one: "
        f"{first.file}:{first.line}: {first.reason}"
    )


def _line(row: BadLine) -> bytes:
    return msgspec.json.encode(row) + b"\n"
