"""Systems: which models work together, and how one hypothesis is chosen under their weights."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from asr_lm.errors import InputError
from asr_lm.evaluation.roles import CORRECTED, FIRST_PASS, RESCORED, RETUNED
from asr_lm.rescoring.features.table import TIMES_LENGTH, WORDS, FeatureTable
from asr_lm.rescoring.rules.registry import BEST, rule


@dataclass(frozen=True)
class System:
    """One row of a result: a set of models with weights of their own.

    Attributes:
        name: in tables and files.
        models: names of its models; none for the first pass with its own scores re-tuned.
        rule: name of the decision rule.
        corrected: whether it may choose what correctors wrote.
        weights_of: name of the system whose weights it takes, for a row that only decides by another rule; None for
            weights of its own.
        strength: how strongly its weights are held near the first pass
            (:func:`asr_lm.rescoring.tuning.shrink.shrunk_weights`); None for the fewest errors.
        words: whether the number of words is weighted beside that of the characters.
        timed: whether the recogniser's score is an average that is taken times the length.
    """

    name: str
    models: tuple[str, ...] = ()
    rule: str = BEST
    corrected: bool = False
    weights_of: str | None = None
    strength: float | None = None
    words: bool = True
    timed: bool = False

    def shrunk(self, strength: float, words: bool) -> System:
        """The same models with weights near the first pass, as a row of its own."""
        return replace(self, name=f"{self.name}, shrunk", strength=strength, words=words)

    def times_length(self) -> System:
        """The same with the recogniser's average score times the length, as a row of its own."""
        return replace(self, name=f"{self.name}, score times length", timed=True)

    def under(self, name: str) -> System:
        """The same weights under another decision rule, as a row of its own."""
        return replace(self, name=f"{self.name}, {rule(name).title}", rule=name, weights_of=self.name)

    def contains(self, other: System) -> bool:
        """Whether the other system has none but models of this one."""
        return set(other.models) <= set(self.models) and other.corrected <= self.corrected

    def features(self, table: FeatureTable) -> tuple[str, ...]:
        """The features of the table that its models and the first pass have."""
        columns = table.kinds(table.default_features())
        return tuple(
            column.name + TIMES_LENGTH if self.timed and column.kind == "first-pass" else column.name
            for column in columns
            if (self.corrected if column.kind == "corrected" else column.model is None or column.model in self.models)
            and (self.words or column.name != WORDS)
        )


@dataclass(frozen=True)
class Systems:
    """The systems of a result.

    Attributes:
        rows: in the order of the table; a system stands after those whose weights it takes.
        final: name of the one that decides the output; :data:`~asr_lm.evaluation.roles.FIRST_PASS`, which is no row,
            keeps the recogniser's order.
    """

    rows: tuple[System, ...]
    final: str

    def __getitem__(self, name: str) -> System:
        if name == FIRST_PASS:
            return System(FIRST_PASS)
        return next(system for system in self.rows if system.name == name)

    @property
    def own_weights(self) -> tuple[System, ...]:
        """The systems that have weights of their own."""
        return tuple(row for row in self.rows if row.weights_of is None)

    def candidates(self, left_out: Collection[str] = ()) -> tuple[System, ...]:
        """What may decide, the simplest first: the re-tuned first pass, each model alone, and the final system.

        Args:
            left_out: models that are no system of their own.
        """
        final = self[self.final]
        alone = [System(name, (name,), final.rule) for name in final.models if name not in left_out]
        smaller = [row for row in self.own_weights if row.models == final.models]
        found = [*(row for row in self.rows if not row.models), *alone, *smaller, final]
        return tuple({(row.models, row.corrected): row for row in found}.values())

    def choosing(self, system: System | None) -> Systems:
        """The same, and this one decides, as a further row where it is none yet; None: the first pass."""
        if system is None:
            return replace(self, final=FIRST_PASS)
        rows = self.rows if any(row.name == system.name for row in self.rows) else (*self.rows, system)
        return replace(self, rows=rows, final=system.name)

    def deciding_by(self, name: str) -> Systems:
        """The same systems, all of which choose by another rule."""
        return replace(self, rows=tuple(replace(system, rule=name) for system in self.rows))

    def with_rules(self, names: Sequence[str]) -> Systems:
        """The final system once more under each of these rules; its own is left out."""
        final = self[self.final]
        return replace(self, rows=(*self.rows, *(final.under(name) for name in names if name != final.rule)))


def systems_for_rescore(models: Sequence[str], correct: bool = False) -> Systems:
    """The systems of ``rescore``: the re-tuned first pass, all models together, and these with corrections."""
    rows = (System(RETUNED), System(RESCORED, tuple(models)))
    if correct:
        return Systems((*rows, System(CORRECTED, tuple(models), corrected=True)), CORRECTED)
    return Systems(rows, RESCORED)


def systems_for_comparison(
    models: Sequence[str],
    combinations: Sequence[str] = (),
    subtracted: Collection[str] = (),
    correct: bool = False,
) -> Systems:
    """The systems of ``compare``: the re-tuned first pass, each model alone, combinations, all together, corrections.

    A model that is subtracted is no system of its own: every system of the others is there without it, and once more
    with it (the low-order density ratio of Zheng et al. 2022, where it is a bigram of the recogniser's own
    transcripts).

    Args:
        models: names of all models.
        combinations: names of models with ``+`` between them.
        subtracted: names of models, or of first-pass scores, whose weight may only be negative.
        correct: whether all models together stand there once more with corrections.

    Raises:
        InputError: a combination of fewer than two models, or of one that is not there.

    >>> [system.name for system in systems_for_comparison(["a", "b"], subtracted=["b"]).rows]
    ['retuned', 'a', 'a - b']
    """
    added = tuple(name for name in models if name not in subtracted)
    taken = tuple(name for name in models if name in subtracted)
    found = {RETUNED: System(RETUNED)}
    for members in [*((name,) for name in added), *(_members(one, models) for one in combinations), added]:
        for chosen in [members, (*members, *taken)] if members else [taken]:
            name = _name(chosen, subtracted)
            if chosen:
                found.setdefault(name, System(name, tuple(dict.fromkeys(chosen))))
    if correct:
        found[CORRECTED] = replace(found[name], name=CORRECTED, corrected=True)
    return Systems(tuple(found.values()), CORRECTED if correct else name)


def _name(members: Sequence[str], subtracted: Collection[str]) -> str:
    """What a system of these models is called, as ``A + B - C``."""
    added = " + ".join(name for name in members if name not in subtracted)
    taken = "".join(f" - {name}" for name in dict.fromkeys(members) if name in subtracted)
    return (added or "first pass") + taken


def _members(combination: str, names: Sequence[str]) -> tuple[str, ...]:
    """The models of a combination, in the order of ``names``."""
    wanted = [part.strip() for part in combination.split("+")]
    if stray := [name for name in wanted if name not in names]:
        raise InputError(f"no model is called {stray[0]!r}; there are {', '.join(names)}", parameter="combinations")
    members = tuple(name for name in names if name in wanted)
    if len(members) < 2:
        raise InputError(f"{combination!r} names one model, expected two or more as A+B", parameter="combinations")
    return members
