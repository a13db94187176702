"""What a worker does: a part of a list in, the same part rescored in a file, and its figures."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec
import zstandard

from asr_lm.evaluation.biased_errors import BiasedErrors
from asr_lm.evaluation.confidence import Judged, JudgedWords
from asr_lm.hypotheses.writing import encoded
from asr_lm.progress import Logged
from asr_lm.rescoring.cluster.cutting import Part
from asr_lm.rescoring.cluster.job import Job
from asr_lm.rescoring.cluster.list_files import ListRow, RowReader
from asr_lm.rescoring.evaluation import Evaluation
from asr_lm.rescoring.outcome import Outcome
from asr_lm.rescoring.scoring.models import RescoringModel
from asr_lm.rescoring.scoring.vocabulary_fit import Misfit, VocabularyFit
from asr_lm.rescoring.second_pass import Rescored, rescore_shard
from asr_lm.rescoring.tuned import DevelopmentCheck

_ALL = 1 << 62


class BadLine(msgspec.Struct, frozen=True):
    """A row that was left out, as the file of such rows has it.

    Attributes:
        file, line: where it stands.
        id: of the utterance, where it is known.
        reason: what is wrong with it.
        row: what it is.
    """

    file: str
    line: int
    id: str | None
    reason: str
    row: str


class Kept(msgspec.Struct, frozen=True):
    """What is kept of a part.

    Attributes:
        key: digest of the job and of the rows.
        outcome: what each system chose; None where no row is good.
        judged: confidences, where there are any.
        biased: errors of listed phrases' words.
        misfits: how the models know the words, by name.
        warnings: what was warned of.
        bad: rows that were left out.
    """

    key: str
    outcome: Outcome | None
    judged: list[Judged] | None
    biased: dict[str, BiasedErrors] | None
    misfits: dict[str, Misfit]
    warnings: list[str]
    bad: list[BadLine]


@dataclass
class Figures:
    """What a part adds to those of the list. It can be pickled.

    Attributes:
        part: its number.
        utterances, hypotheses: how many were rescored.
        found: the part was there from an earlier run.
        bad: rows that were left out.
        evaluation: None where no row is good.
        check, misfits, warnings: as in one process.
    """

    part: int
    utterances: int = 0
    hypotheses: int = 0
    found: bool = False
    bad: list[BadLine] = field(default_factory=list)
    evaluation: Evaluation | None = None
    check: DevelopmentCheck = field(default_factory=DevelopmentCheck)
    misfits: Mapping[str, Misfit] = field(default_factory=dict)
    warnings: Sequence[str] = ()


class RescoreParts:
    """Rescores parts of a list. It can be pickled; the models are opened when the first part comes.

    The file of a part is written first and its figures after that, each as a whole: a part with figures is done. Their
    key is a digest of the job and of the rows, ids and all: a part is taken up only where both are the same.

    Args:
        job: what there is to do.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._reader = RowReader(job.source)

    def __getstate__(self) -> dict[str, Any]:
        return {"_job": self._job}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["_job"])  # type: ignore[misc]

    @cached_property
    def _models(self) -> list[RescoringModel]:
        return self._job.models.open(self._job.tuned)

    def __call__(self, part: Part) -> Figures:
        """Rescore a part, unless it is there, and give its figures.

        Raises:
            InputError: as rescoring in one process raises it; a file cannot be read or written.
        """
        rows = part.rows(self._reader)
        key = self._key(rows)
        kept = self._kept(part, key)
        found = kept is not None
        if kept is None:
            kept = self._rescored(part, rows, key)
            self._job.figures(part.number).write(zstandard.compress(msgspec.json.encode(kept)))
        figures = Figures(part.number, part.utterances, part.hypotheses, found, kept.bad, warnings=kept.warnings)
        figures.misfits = kept.misfits
        if kept.outcome is not None:
            figures.evaluation = self._evaluation(kept, kept.outcome)
            figures.check.add(kept.outcome.said, self._job.tuned)
        return figures

    def _key(self, rows: Sequence[tuple[int, ListRow]]) -> str:
        digest = hashlib.blake2b(self._job.identity.encode(), digest_size=16)
        for _, row in rows:
            raw = row.raw
            digest.update(len(raw).to_bytes(8, "little") + raw)
        return digest.hexdigest()

    def _kept(self, part: Part, key: str) -> Kept | None:
        """What an earlier run has kept of the same part; None where there is nothing, or something damaged."""
        place = self._job.figures(part.number)
        if place.kind != "file" or (part.utterances and self._job.shard(part.number).kind != "file"):
            return None
        try:
            kept = msgspec.json.decode(zstandard.decompress(place.read()), type=Kept)
        except (zstandard.ZstdError, msgspec.MsgspecError):
            return None
        return kept if kept.key == key else None

    def _rescored(self, part: Part, rows: Sequence[tuple[int, ListRow]], key: str) -> Kept:
        """Rescore and write a part."""
        files = self._job.source.files
        bad = [
            BadLine(files[file].name, why.line, why.utterance, why.reason, row.raw.decode(errors="replace"))
            for file, row in rows
            if (why := part.bad.get((file, row.position)))
        ]
        shard = list(part.good(rows, self._job.source, self._job.law))
        if not shard:
            return Kept(key, None, None, None, {}, [], bad)
        job, told, fit = self._job, _Told(), _Counted()
        found = rescore_shard(shard, self._models, job.tuned, job.measuring, job.scoring, fit, told)
        job.shard(part.number).write(b"".join(encoded(found.utterances, job.format)))
        judged = found.judged() if found.confidences is not None else None
        biased = None if found.biased is None else dict(found.biased)
        return Kept(key, found.outcome, judged, biased, fit.found, told.warnings, bad)

    def _evaluation(self, kept: Kept, outcome: Outcome) -> Evaluation:
        job, evaluation = self._job, Evaluation(sampled=_ALL)
        tuned = job.tuned if job.scoring.phrases is None else job.tuned.with_fixed_phrases()
        evaluation.add(
            Rescored((), outcome, None, tuned, tuple(self._models), job.measuring, None, kept.biased),
            JudgedWords(kept.judged) if kept.judged is not None else None,
        )
        return evaluation


class _Told(Logged):
    """Keeps what is warned of."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        """See :class:`asr_lm.progress.Progress`."""
        if message not in self.warnings:
            self.warnings.append(message)


class _Counted(VocabularyFit):
    """Counts the words of one shard; whoever has all of them judges."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, Misfit] = {}

    def merge(self, name: str, shard: Misfit) -> None:
        """See :class:`VocabularyFit`."""
        self.found[name] = shard
