"""Invented reports, and one browser for all tests that need it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import MISSING, chromium
from toy_report import contents, utterances

from asr_lm.hypotheses.utterance import Utterance
from asr_lm.report.contents import ReportContents
from asr_lm.report.page import write_page


@pytest.fixture(scope="session")
def report() -> ReportContents:
    """Two test lists, the second with an utterance nobody has transcribed."""
    second = utterances(9, 4, 3)
    second[2] = Utterance(second[2].id, second[2].hypotheses)
    return contents([utterances(60, 12, 2), second], utterances(60, 12, 1))


@pytest.fixture(scope="session")
def report_path(report: ReportContents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_page(report, path)
    return path


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if MISSING:
        pytest.skip(MISSING)
    pytest.importorskip("selenium")
    with chromium() as driver:
        yield driver
