"""Somebody who remembers what the library tells."""

from __future__ import annotations


class Noted:
    """Remembers counts by model, whether they were kept, sizes of lists, and warnings, in order."""

    def __init__(self) -> None:
        self.counts: list[tuple[str, int]] = []
        self.kept: list[bool] = []
        self.sizes: list[tuple[int, int]] = []
        self.warnings: list[str] = []

    def scored(self, model: str, hypotheses: int, *, kept: bool = False) -> None:
        self.counts.append((model, hypotheses))
        self.kept.append(kept)

    def joined(self, given: int, hypotheses: int) -> None:
        self.sizes.append((given, hypotheses))

    def warn(self, message: str) -> None:
        self.warnings.append(message)
