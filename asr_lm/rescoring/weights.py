"""Weights of features: what tuning finds and rescoring applies."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from asr_lm.errors import InputError
from asr_lm.files import display_name, write_text
from asr_lm.json_files import small_file
from asr_lm.rescoring.confidence.calibration import Calibration
from asr_lm.rescoring.features.lists import Values
from asr_lm.rescoring.features.table import FeatureTable
from asr_lm.rescoring.rules.registry import BEST, RULES

VERSION = 1


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """How the features of a hypothesis add up to its total score, and how one hypothesis is chosen.

    Attributes:
        values: weight by feature name.
        scale: inverse temperature: the posterior of a hypothesis is ``softmax(scale * total)`` over its list.
        decision: name of the rule that chooses (:mod:`asr_lm.rescoring.rules.registry`).
        mass: with ``mbr``, only the most probable hypotheses with this much posterior together are considered.
        fingerprints: of the models behind the features and of the development list, by name.
        recombined: last words that told histories apart when the models scored; 0 is all of them.
        reading: how foreign models read texts, by name, where the development list chose it
            (:class:`~asr_lm.rescoring.scoring.specification.ReadingOptions`).
        lattice_scales: scale of the posteriors of a lattice's paths, by the rule that decides there.
        calibration: of the confidences of words; None where it was not asked for.
        dev: figures on the development list, by name; word error rates in percent.
        format: what the file is.
        version: of the file's form.

    >>> Weights(values={"acoustic": 1.0, "harbour": 0.4}).features
    ('acoustic', 'harbour')
    """

    values: dict[str, float]
    scale: float = 1.0
    decision: str = BEST
    mass: float = 1.0
    fingerprints: dict[str, str] = {}
    recombined: int = 0
    reading: dict[str, str] = {}
    lattice_scales: dict[str, float] = {}
    dev: dict[str, float] = {}
    calibration: Calibration | None = None
    format: Literal["asr_lm weights"] = "asr_lm weights"
    version: int = VERSION

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the weighted features."""
        return tuple(self.values)

    def totals(self, table: FeatureTable) -> Values:
        """Total score of each hypothesis ``[rows]``.

        Hypotheses with equal features get equal totals, to the last bit.

        Raises:
            InputError: the table lacks a weighted feature.
        """
        self.check(table)
        totals = np.zeros(len(table.texts))
        # Not a matrix product: BLAS may round equal rows differently, and then the first would not win a tie.
        for name, weight in self.values.items():
            totals += weight * table.column(name)
        return totals

    def check(self, table: FeatureTable) -> None:
        """Raise InputError unless every weighted feature is in the table."""
        if missing := [name for name in self.values if not table.has(name)]:
            raise InputError(
                f"the weights need {', '.join(map(repr, missing))}, which the list lacks: they are for"
                f" {', '.join(self.values)}; the list has {', '.join(table.names)}"
            )

    def replaced(self, **fields: Any) -> Weights:
        """The same weights with some attributes changed."""
        return msgspec.structs.replace(self, **fields)

    def save(self, path: str | Path) -> None:
        """Write the weights as JSON; raises InputError where the file cannot be written."""
        write_text(path, msgspec.json.format(msgspec.json.encode(self), indent=2).decode() + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Weights:
        """Read weights back.

        Raises:
            InputError: the file cannot be read, is damaged, no weights file or of another version.
        """
        data = small_file(path)
        name = display_name(path)
        try:
            if (found := msgspec.json.decode(data, type=_Header).version) != VERSION:
                raise InputError(f"weights of version {found}, this release reads version {VERSION}", file=name)
            weights = msgspec.json.decode(data, type=cls)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InputError(f"no file of tuned weights, or a damaged one ({error})", file=name) from None
        weights._refuse_impossible(name)
        return weights

    def _refuse_impossible(self, file: str) -> None:
        for feature, value in self.values.items():
            # JSON has no infinity, but 1e999 reads as one.
            if not math.isfinite(value):
                raise InputError(f"weight {value}, a finite number was expected", file=file, field=f"values.{feature}")
        if self.decision not in RULES:
            expected = ", ".join(RULES)
            raise InputError(f"{self.decision!r}, expected one of {expected}", file=file, field="decision")
        if not self.values:
            raise InputError("no weights, at least one was expected", file=file, field="values")
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise InputError(f"{self.scale}, a positive number was expected", file=file, field="scale")
        for rule, scale in self.lattice_scales.items():
            if not (math.isfinite(scale) and scale > 0):
                raise InputError(f"{scale}, a positive number was expected", file=file, field=f"lattice_scales.{rule}")
        if self.recombined < 0:
            raise InputError(f"{self.recombined}, 0 or more words were expected", file=file, field="recombined")
        if self.calibration is not None:
            self.calibration.check(file)
        if not 0 < self.mass <= 1:
            raise InputError(f"{self.mass}, a number above 0 and up to 1 was expected", file=file, field="mass")


class _Header(msgspec.Struct):
    format: Literal["asr_lm weights"]
    version: int
