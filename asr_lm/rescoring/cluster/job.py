"""What there is to do with a list, as every worker is told it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from asr_lm.errors import InputError
from asr_lm.lm.precision import Precision
from asr_lm.rescoring.cluster.list_files import ListFiles
from asr_lm.rescoring.cluster.scanning import Law
from asr_lm.rescoring.framing import settle_framings
from asr_lm.rescoring.scoring.models import RescoringModel, open_models
from asr_lm.rescoring.scoring.scorer import ScoreCache
from asr_lm.rescoring.settings import Measuring, Scoring
from asr_lm.rescoring.tuned import Tuned
from asr_lm.storage import Storage

_VERSION = 1
"""Raised whenever the same part may come out otherwise than from an older release."""


@dataclass(frozen=True)
class ModelSettings:
    """How every worker opens the models, so that all score alike. It can be pickled.

    Attributes:
        specifications: paths that every worker sees, as the commands take them after ``--lm``.
        device, budget: see :func:`~asr_lm.rescoring.scoring.models.open_models`.
        unnormalised: names of models that score without the sum over the vocabulary.
        precisions: of the products of each model.
        recombined: last words that tell histories apart.
        fingerprints: of the models, which a worker checks.
        cache: folder of scores, on each worker's disk; None keeps none.
    """

    specifications: tuple[str, ...]
    device: str = "cpu"
    budget: int | None = None
    unnormalised: tuple[str, ...] = ()
    precisions: tuple[Precision, ...] = ()
    recombined: int = 0
    fingerprints: tuple[str, ...] = ()
    cache: Path | None = None

    def open(self, tuned: Tuned) -> list[RescoringModel]:
        """The models, as the weights want them.

        Raises:
            InputError: a model cannot be opened here, or is another one.
        """
        models = open_models(
            self.specifications,
            device=self.device,
            cache=ScoreCache(self.cache),
            budget=self.budget,
            unnormalised=self.unnormalised,
            precision=self.precisions,
            recombine=self.recombined,
        )
        settle_framings(models, tuned.weights.reading)
        for model, fingerprint in zip(models, self.fingerprints, strict=True):
            if model.model.fingerprint() != fingerprint:
                raise InputError(f"is not the same model on all machines: {model.name}", file=model.path)
        return models


@dataclass(frozen=True)
class Job:
    """All that a worker has to know. It can be pickled.

    Attributes:
        source: the list.
        law: what holds for all of it.
        models: how they are opened.
        tuned: weights.
        measuring, scoring: as for one process.
        parts: folder of the rescored parts.
        kept: folder of their figures.
        format: of the rescored parts: ``jsonl`` or ``parquet``.
    """

    source: ListFiles
    law: Law
    models: ModelSettings
    tuned: Tuned
    measuring: Measuring
    scoring: Scoring
    parts: Storage
    kept: Storage
    format: str

    @cached_property
    def identity(self) -> str:
        """Digest of what decides how a part comes out, besides its rows."""
        known: dict[str, Any] = {
            "version": _VERSION,
            "models": self.models.fingerprints,
            "specifications": [name.partition("?") for name in self.models.specifications],
            "unnormalised": self.models.unnormalised,
            "systems": [str(system) for system in self.tuned.systems.rows],
            "weights": {name: str(weights) for name, weights in self.tuned.by_system.items()},
            "kind": self.tuned.kind,
            "development": self.tuned.development and self.tuned.development.fingerprint,
            "measuring": str(self.measuring),
            "scoring": str(self.scoring),
            "law": [sorted(self.law.names), sorted(self.law.meaning.changes), self.law.meaning.rank_by],
            "format": self.format,
        }
        return hashlib.blake2b(msgspec.json.encode(known), digest_size=16).hexdigest()

    def shard(self, part: int) -> Storage:
        """The file of a part."""
        return self.parts / f"part-{part:06d}.{self.format}"

    def figures(self, part: int) -> Storage:
        """What is kept of a part until all are done."""
        return self.kept / f"part-{part:06d}.figures"
