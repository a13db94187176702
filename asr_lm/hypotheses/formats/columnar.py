"""Parquet and Arrow files, and folders of Hugging Face ``datasets``: a list column, or a hypothesis a row."""

from __future__ import annotations

import itertools
from pathlib import Path

from asr_lm.hypotheses.beginning import Beginning
from asr_lm.hypotheses.format import Format, Notices, SideInputs
from asr_lm.hypotheses.inference import infer, infer_rows
from asr_lm.hypotheses.parquet import is_canonical, utterance_of
from asr_lm.hypotheses.records import columnar_files, columnar_rows
from asr_lm.hypotheses.taking import take
from asr_lm.hypotheses.validation import Located

_SAMPLE = 200


def _fits(beginning: Beginning) -> bool:
    """Whether it is a Parquet or Arrow file, or a folder of them."""
    return bool(columnar_files(beginning.path))


def _read(path: Path, sides: SideInputs, notices: Notices) -> Located:
    sample = [record.value for record in itertools.islice(columnar_rows(path), _SAMPLE)]
    if sample and all(map(is_canonical, sample)):
        return ((record.place, utterance_of(record.value, record.place)) for record in columnar_rows(path))
    return take("parquet", columnar_rows(path), infer(sample) or infer_rows(sample), path, notices)


FORMAT = Format(
    name="parquet",
    about="Parquet or Arrow files and folders of Hugging Face datasets: a list column, or a hypothesis a row",
    fits=_fits,
    read=_read,
    advice="write a row for each hypothesis, or a list of them",
)
