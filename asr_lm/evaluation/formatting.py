"""Figures as text: the same in every table, on the page, and in Markdown."""

from __future__ import annotations

from asr_lm.evaluation.bootstrap import Interval

DASH = "–"
"""Stands for a figure that cannot be computed."""


def number(value: float | None, places: int = 2, sign: str = "") -> str:
    """A figure; with ``sign="+"`` a positive one shows its sign."""
    return DASH if value is None else f"{value:{sign},.{places}f}"


def span(interval: Interval | None, sign: str = "") -> str:
    """An interval, as ``2.10 to 3.20``."""
    return DASH if interval is None else f"{interval.low:{sign}.2f} to {interval.high:{sign}.2f}"


def p_text(p_value: float | None) -> str:
    """A p-value; a dash where there was not enough data."""
    if p_value is None:
        return DASH
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}"


def percent(share: float | None) -> str:
    """A share as whole percent."""
    return DASH if share is None else f"{100 * share:.0f} %"
