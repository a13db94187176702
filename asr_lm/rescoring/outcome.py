"""What the evaluation needs of a rescored list: references, and the text that each system chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress, pairwise
from typing import TypeVar

from asr_lm.evaluation.comparison import Comparison, compare
from asr_lm.evaluation.compositional_oracle import compositional_oracle
from asr_lm.evaluation.roles import BOUNDS, COMPOSITIONAL_ORACLE, CORRECTED, ORACLE, RESCORED
from asr_lm.evaluation.spacing import SpacingErrors, spacing_errors
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.rescoring.choices import Choices
from asr_lm.rescoring.decisions import choosable
from asr_lm.rescoring.scoring.models import RescoringModel
from asr_lm.rescoring.settings import Measuring
from asr_lm.rescoring.tuned import Said, Tuned

T = TypeVar("T")


@dataclass(frozen=True)
class CorrectionReport:
    """What correction did to a list.

    Attributes:
        written: utterances for which a corrector wrote a text that the list did not have.
        taken: those of them whose output is such a text.
        changed: utterances whose output differs from the one without correction; None where that was not asked for.
        spacing: errors of each system, those of word boundaries apart; empty without references.
    """

    written: int
    taken: int
    changed: int | None
    spacing: dict[str, SpacingErrors]

    def __add__(self, other: CorrectionReport) -> CorrectionReport:
        names = self.spacing | other.spacing
        return CorrectionReport(
            self.written + other.written,
            self.taken + other.taken,
            None if self.changed is None or other.changed is None else self.changed + other.changed,
            {name: _sum(self.spacing.get(name), other.spacing.get(name)) for name in names},
        )


@dataclass(frozen=True)
class Outcome:
    """A rescored list without its hypotheses. Parts of a list add up to the whole.

    Attributes:
        ids: of the utterances ``[utterances]``.
        references: what was said ``[utterances]``; None where it is not known.
        recordings: of each utterance ``[utterances]``; None where it is not known.
        chosen: texts by system, first pass and oracle among them ``[utterances]``.
        written: texts that correctors added to each list ``[utterances]``.
    """

    ids: tuple[str, ...]
    references: tuple[str | None, ...]
    recordings: tuple[str | None, ...]
    chosen: Mapping[str, tuple[str, ...]]
    written: tuple[frozenset[str], ...]

    @classmethod
    def of(cls, utterances: Sequence[Utterance], choices: Choices, measuring: Measuring) -> Outcome:
        """What systems chose of utterances."""
        chosen = {name: tuple(choices.said(name)) for name in choices.rows}
        return cls(
            tuple(utterance.id for utterance in utterances),
            tuple(utterance.reference for utterance in utterances),
            tuple(utterance.recording for utterance in utterances),
            {**chosen, COMPOSITIONAL_ORACLE: _composed(choices, measuring)},
            tuple(
                frozenset(found.text for found in utterance.hypotheses if found.corrected) for utterance in utterances
            ),
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Outcome]) -> Outcome:
        """The utterances of several parts of one list, in order."""
        if not parts:
            return cls((), (), (), {}, ())
        return cls(
            tuple(name for part in parts for name in part.ids),
            tuple(reference for part in parts for reference in part.references),
            tuple(recording for part in parts for recording in part.recordings),
            {system: tuple(text for part in parts for text in part.chosen[system]) for system in parts[0].chosen},
            tuple(texts for part in parts for texts in part.written),
        )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def with_reference(self) -> int:
        """Utterances that have a reference."""
        return sum(reference is not None for reference in self.references)

    @property
    def said(self) -> list[Said]:
        """Id and reference of every utterance that has one."""
        return [(name, said) for name, said in zip(self.ids, self.references, strict=True) if said is not None]

    def without(self, left_out: Sequence[bool]) -> Outcome:
        """The outcome of the other utterances; a mask ``[utterances]``."""
        kept = [number for number, out in enumerate(left_out) if not out]

        chosen = {name: _taken(texts, kept) for name, texts in self.chosen.items()}
        ids, references, recordings = (_taken(part, kept) for part in (self.ids, self.references, self.recordings))
        return Outcome(ids, references, recordings, chosen, _taken(self.written, kept))  # type: ignore[arg-type]

    def with_system(self, name: str, texts: Mapping[str, str]) -> Outcome:
        """The outcome with one more system, before the bounds; ``texts`` by the utterance's id."""
        chosen = {system: said for system, said in self.chosen.items() if system not in BOUNDS}
        chosen[name] = tuple(texts[utterance] for utterance in self.ids)
        return replace(self, chosen=chosen | {system: self.chosen[system] for system in BOUNDS})

    def comparison(self, measuring: Measuring) -> Comparison:
        """Error rates of all systems.

        Raises:
            InputError: no utterance has a reference.
        """
        return compare(
            self.references,
            self.chosen,
            baseline=measuring.baseline,
            recordings=self.recordings,
            unit=measuring.unit,
            resample=measuring.resample,
            normalizer=measuring.normalizer,
        )

    def correction_report(self) -> CorrectionReport:
        """What correction did; only for an outcome that has the corrected system."""
        final = self.chosen[CORRECTED]
        return CorrectionReport(
            sum(map(bool, self.written)),
            sum(text in texts for text, texts in zip(final, self.written, strict=True)),
            sum(map(str.__ne__, final, self.chosen[RESCORED])) if RESCORED in self.chosen else None,
            spacing_errors(self.references, self.chosen),
        )

    def overlaps(self, models: Sequence[RescoringModel], tuned: Tuned) -> dict[str, list[bool]]:
        """Which references occur in each model's training text and in the development list, by name of either."""
        references = [reference or "" for reference in self.references]
        sources = {f"training text of {model.name}": model.seen for model in models}
        sources["development list"] = tuned.development.references if tuned.development else None
        return {name: hashes.contains(references).tolist() for name, hashes in sources.items() if hashes is not None}


def _composed(choices: Choices, measuring: Measuring) -> tuple[str, ...]:
    """The best text that the recogniser's words can be put together to ``[utterances]``."""
    table, heard = choices.table, choosable(choices.table, ())
    ends = pairwise(table.offsets.tolist())
    lists = (list(compress(table.texts[start:end], heard[start:end])) for start, end in ends)
    return tuple(
        oracle if reference is None else compositional_oracle(texts, reference, measuring.unit, measuring.normalizer)
        for texts, reference, oracle in zip(lists, choices.references, choices.said(ORACLE), strict=True)
    )


def _sum(first: SpacingErrors | None, second: SpacingErrors | None) -> SpacingErrors:
    nothing = SpacingErrors(0, 0, 0)
    return (first or nothing) + (second or nothing)


def _taken(values: Sequence[T], numbers: Sequence[int]) -> tuple[T, ...]:
    return tuple(values[number] for number in numbers)
