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


@pytest.fixture(autouse=True, scope="session")
def _one_thread_and_a_cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASR_LM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
