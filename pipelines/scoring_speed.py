"""How fast hypotheses are scored, and how long the others will take."""

from __future__ import annotations

import time


class ScoringSpeed:
    """How many hypotheses are scored, and how fast. What an earlier run had scored is no merit of this one.

    Attributes:
        done: hypotheses whose scores are there, by model.
        listed: hypotheses of the lists; None where nobody counted them.
        given, with_joined: hypotheses of the lists looked at so far, without and with those that joined them.
    """

    def __init__(self) -> None:
        self.done: dict[str, int] = {}
        self.listed: int | None = None
        self.given = self.with_joined = 0
        self._told_at = time.monotonic()
        self._computed: dict[str, int] = {}
        self._seconds: dict[str, float] = {}

    def add(self, model: str, hypotheses: int, kept: bool) -> None:
        """So many more."""
        begin, self._told_at = self._told_at, time.monotonic()
        self.done[model] = self.done.get(model, 0) + hypotheses
        if hypotheses and not kept:
            self._computed[model] = self._computed.get(model, 0) + hypotheses
            self._seconds[model] = self._seconds.get(model, 0.0) + max(self._told_at - begin, 1e-9)

    def expected(self, model: str) -> int | None:
        """How many there will be in all, if as many join the others as joined those looked at; None: nobody knows."""
        if self.listed is None:
            return None
        total = round(self.listed * self.with_joined / self.given) if self.given else self.listed
        # More than all: a model scores the lists again, with other histories.
        return total if self.done[model] <= total else None

    def text(self, model: str) -> str:
        """Of the model, and the time left of those that have begun: how fast the others will be is not known."""
        speed = "scored before"
        if computed := self._computed.get(model):
            speed = f"{computed / self._seconds[model]:,.0f}/s"
        begun = [(name, total) for name in self._seconds if (total := self.expected(name)) is not None]
        left = sum((total - self.done[name]) * self._seconds[name] / self._computed[name] for name, total in begun)
        return f"hypotheses with {model}, {speed}" + (f", {clock(left)} left" if begun else "")


def clock(seconds: float) -> str:
    """Hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest:02}"
