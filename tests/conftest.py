"""Every test runs on one thread, away from the user's caches, and never fails for being slow."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

# Before torch is imported anywhere, subprocesses included.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
from hypothesis import settings

# The same inputs every time, so that a run tells of the change and not of chance. `HYPOTHESIS_PROFILE=random make test`
# draws others, and tests/campaigns draws by the hundred thousand.
settings.register_profile("asr_lm", deadline=None, derandomize=True)
settings.register_profile("random", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "asr_lm"))


LONG = ("test_readme.py", "test_damaged_files.py", "test_rescore_lattices.py", "test_commands.py", "test_ended_runs.py",
        "test_interface.py", "test_examples.py", "test_torchrun.py", "test_real_lattices.py", "test_reports.py",
        "test_report_browser.py", "test_hostile_report.py", "test_damaged_sound.py")  # fmt: skip
"""Files of tests that take longest. They come first, so that no processor waits for one of them at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, then the rest as they were."""
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


@pytest.fixture(autouse=True, scope="session")
def _one_thread_and_a_cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The processes of one run share a cache, so that the packaged model scores the packaged lists once."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    base = tmp_path_factory.getbasetemp()
    run = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASR_LM_CACHE", str(run / "cache"))
        yield
