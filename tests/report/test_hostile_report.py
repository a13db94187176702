"""The short form of the campaign of hostile reports: one page, opened in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browser import MISSING
from campaigns import hostile_reports

pytest.importorskip("selenium")


@pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
def test_nothing_of_a_text_runs_and_nothing_leaves() -> None:
    (row,) = hostile_reports.run(1, 20)
    assert row["faults"] == []
    assert row["opened"] == 1


@pytest.mark.parametrize(
    "piece", ["<img src=x onerror='window.ran=1'>", "<script>window.ran=1</script>", "<base href=x>"]
)
def test_markup_that_is_not_escaped_is_found(browser: Any, report_path: Path, tmp_path: Path, piece: str) -> None:
    page = report_path.read_text()
    assert page.count("</main>") == 1
    (tmp_path / "r.html").write_text(page.replace("</main>", f"{piece}</main>"))
    assert list(hostile_reports.opened(browser, report_path, ["a"])) == []
    assert list(hostile_reports.opened(browser, tmp_path / "r.html", ["a"])) != []
