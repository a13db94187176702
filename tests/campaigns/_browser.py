"""The browser of ``tests/report`` and the server of ``tests``, wherever a campaign is started."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "report"))

from browser import chromium, show
from web_server import Web, serving

__all__ = ["Web", "chromium", "serving", "show"]
