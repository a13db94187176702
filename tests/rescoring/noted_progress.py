"""Somebody who remembers what the library tells."""

from __future__ import annotations


class Noted:
    """Remembers counts by model, and warnings in order."""

    def __init__(self) -> None:
        self.counts: list[tuple[str, int]] = []
        self.warnings: list[str] = []

    def scored(self, model: str, hypotheses: int) -> None:
        self.counts.append((model, hypotheses))

    def warn(self, message: str) -> None:
        self.warnings.append(message)
