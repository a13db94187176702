"""The report of 3,000 lists of 100 hypotheses in a headless Chromium: how soon it opens, how soon a slider answers."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median

RUNS = 5
SECONDS_OPEN = 3.0
MILLISECONDS_STEP = 50.0

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))


def run() -> list[dict[str, object]]:
    """How many times faster than promised; nothing where there is no Chromium."""
    from browser import MISSING, chromium, milliseconds, show

    if MISSING:
        print(f"report: left out, {MISSING}")
        return []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        rows = _write(path)
        size = path.stat().st_size / 1e6
        opened, steps = [], []
        with chromium() as driver:
            for _ in range(RUNS):
                show(driver, path)
                # From the navigation on, so that parsing the file counts.
                script = "const e = performance.getEntriesByName('open')[0]; return e.startTime + e.duration"
                opened.append(driver.execute_script(script) / 1000)
                for step in range(10):
                    script = (
                        "const s = document.querySelector('input[type=range][data-feature=harbour]');"
                        "s.value = arguments[0]; s.dispatchEvent(new Event('input'))"
                    )
                    driver.execute_script(script, 0.1 * step)
                steps += milliseconds(driver, "step")
    what = f"3,000 lists, {rows:,} hypotheses, {size:.1f} MB"
    return [
        _line(f"report opens ({what})", SECONDS_OPEN, median(opened), "s"),
        _line(f"slider step ({what})", MILLISECONDS_STEP, median(steps), "ms"),
    ]


def _line(name: str, allowed: float, measured: float, unit: str) -> dict[str, object]:
    ratio = round(allowed / measured, 2)
    notes = f"({measured:.3g} {unit})"
    return {"name": name, "ratio": ratio, "against": f"the {allowed:g} {unit} allowed", "limit": 1.0, "notes": notes}


def _write(path: Path) -> int:
    from toy_report import WORDS, contents, utterances

    from asr_lm.report.page import write_page

    words = [word + ending for word in WORDS for ending in ("", "s", "ly", "ness")]
    # More than 100 are drawn, as equal texts are one hypothesis.
    report = contents([utterances(3000, 145, 1, words)], utterances(100, 20, 0), strips=False)
    write_page(report, path)
    return len(report.lists[0].choices.table.texts)
