"""Formats that are a mapping: what a service or library writes, told by the keys in its first records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from asr_lm.hypotheses.beginning import Beginning
from asr_lm.hypotheses.format import Format, Notices, SideInputs
from asr_lm.hypotheses.mapping import parse_mapping
from asr_lm.hypotheses.records import json_values
from asr_lm.hypotheses.taking import take
from asr_lm.hypotheses.validation import Located


def preset(
    name: str,
    about: str,
    mapping: str,
    fits: Callable[[Any], bool],
    *,
    left: tuple[str, ...] = (),
    advice: str | None = None,
    known: bool = False,
) -> Format:
    """A format of JSON records that a mapping reads.

    Args:
        name: what ``--format`` calls it.
        about: what it is, in one line.
        mapping: where the fields lie (:mod:`~asr_lm.hypotheses.mapping`).
        fits: whether a first record is of this format.
        left: paths that are left knowingly, although they look like scores.
        advice: how to get n-best lists where every list has one hypothesis.
        known: the mapping says what the scores mean.
    """
    parsed = replace(parse_mapping(mapping), left=left)

    def read(path: Path, sides: SideInputs, notices: Notices) -> Located:
        return take(name, json_values(path), parsed, path, notices)

    def recognised(beginning: Beginning) -> bool:
        return beginning.is_json and beginning.malformed is None and fits(beginning.first)

    return Format(name, about, recognised, read, scores_known=known, advice=advice)
