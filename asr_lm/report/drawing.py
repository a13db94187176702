"""What a figure is: a drawing of matplotlib in the report's colours, as SVG for the page and as files for papers."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

INK, SOFT, GRID, PAPER = "#1c2430", "#5a6675", "#dde2e8", "#ffffff"
SERIES = ("#0063a6", "#b8470b", "#00795c", "#9b3a7d", "#7a6200", "#3f6fd9", "#b02a37", "#4d5b6a")
"""Told apart by colour-blind readers too (after Okabe and Ito, darkened until text of the colour is legible)."""

MARKERS = "osD^vPX*"

DOTS = 220
"""Dots an inch of a PNG file; the SVG file is sharp at any size."""

_WIDTH, _HEIGHT = 4.0, 2.8


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        name: what files are called after, unique.
        heading: what a reader sees above it.
        description: what it shows, for those who do not see it.
        drawing: matplotlib's figure.
    """

    name: str
    heading: str
    description: str
    drawing: Drawing

    def svg(self) -> str:
        """A standalone SVG file."""
        return _saved(self.drawing, "svg", self.name).decode()

    def png(self) -> bytes:
        """A PNG file of :data:`DOTS` dots an inch."""
        return _saved(self.drawing, "png", self.name)

    def inline_svg(self) -> str:
        """SVG to stand within a page: colours are the page's variables, ids are the figure's own."""
        text = self.svg()
        text = text[text.index("<svg") :]
        text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
        text = re.sub(r'\bid="', f'id="{self.name}-', text)
        text = re.sub(r'(url\(#|href="#)', rf"\1{self.name}-", text)
        for variable, colour in {"ink": INK, "soft": SOFT, "grid": GRID, "paper": PAPER}.items():
            text = text.replace(colour, f"var(--{variable})")
        for number, colour in enumerate(SERIES):
            text = text.replace(colour, f"var(--series-{number})")
        text = re.sub(r"font: ([\d.]+)px '[^;\"]*", r"font: \1px var(--font)", text)
        return re.sub(r'<svg ([^>]*?)width="[\d.]+pt" height="[\d.]+pt"', r"<svg \1", text, count=1)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps what matplotlib warns of (fonts, caches, layouts) off the terminal: a reader can do nothing about it."""
    logger = logging.getLogger("matplotlib")
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            logger.setLevel(level)


def _saved(drawing: Drawing, form: str, salt: str) -> bytes:
    with quiet():
        return _drawn(drawing, form, salt)


def _drawn(drawing: Drawing, form: str, salt: str) -> bytes:
    import matplotlib

    stream = io.BytesIO()
    metadata: dict[str, Any] = {"Date": None, "Creator": None} if form == "svg" else {}
    # Text stays text, and equal figures are equal files.
    with matplotlib.rc_context({**STYLE, "svg.fonttype": "none", "svg.hashsalt": salt}):
        # Arranging takes longest, and once is enough.
        drawing.draw_without_rendering()
        drawing.set_layout_engine("none")
        drawing.savefig(stream, format=form, metadata=metadata, dpi=DOTS, facecolor=PAPER)
    return stream.getvalue()


def new_axes(x: str, y: str, height: float = _HEIGHT) -> tuple[Drawing, Axes]:
    """An empty drawing with the names of its axes."""
    from matplotlib.figure import Figure as Drawing

    drawing = Drawing(figsize=(_WIDTH, height), layout="constrained")
    axes = drawing.add_subplot()
    axes.set(xlabel=x, ylabel=y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", linewidth=0.8)
    axes.set_axisbelow(True)
    return drawing, axes


# Any: matplotlib's annotation lists every key there is.
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "grid.color": GRID,
    "legend.frameon": False,
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "text.parse_math": False,
}
