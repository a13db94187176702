"""What a comparison of systems needs of a list, added part by part; no text is kept.

The list may be as long as it likes: errors are kept as numbers (:class:`~asr_lm.evaluation.bootstrap.ErrorTable`),
segments as counts of their differences, words as counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from asr_lm.counted import counted
from asr_lm.errors import InputError
from asr_lm.evaluation.bootstrap import ErrorTable
from asr_lm.evaluation.matched_pairs import MatchedPairs, error_positions, matched_pairs, segment_differences
from asr_lm.evaluation.normalized_rate import MOST, NormalizedRate, normalized_rate
from asr_lm.evaluation.roles import BOUNDS, FIRST_PASS, RETUNED
from asr_lm.evaluation.spread_sample import SpreadSample
from asr_lm.evaluation.word_changes import WordCounts
from asr_lm.evaluation.word_errors import ErrorCounts, Unit, check_pairs, count_errors
from asr_lm.text.lost_letters import LostLetters
from asr_lm.text.normalizer import get_normalizer

Resampled = Literal["utterance", "recording"]


class Tally:
    """The errors of several systems on the utterances that were added so far.

    Args:
        systems: their names, in the order of the table. ``first_pass`` must be there; ``oracle`` is a bound.
        baseline: the system the others are tested against; by default ``retuned``, or else ``first_pass``.
        unit: what is counted.
        resample: draw utterances or whole recordings for the intervals.
        normalizer: name of the normaliser all texts go through before they are compared.
        sampled: most texts of the first pass that are kept, for what another normaliser would say of it.

    Attributes:
        utterances: how many were added.
        with_reference: those of them that have a reference, over which all is counted.
        lost: what the normaliser loses of the references.
        words: what became of the references' words from the baseline to the last system that is no bound.

    Raises:
        InputError: a system that is asked for is missing, or a name is unknown.
    """

    def __init__(
        self,
        systems: Sequence[str],
        *,
        baseline: str | None = None,
        unit: Unit = "word",
        resample: Resampled = "utterance",
        normalizer: str = "as-is",
        sampled: int = MOST,
    ) -> None:
        self.systems = tuple(systems)
        self.baseline = baseline or (RETUNED if RETUNED in systems else FIRST_PASS)
        self.unit, self.resample, self.normalizer = unit, resample, normalizer
        self._check()
        self.utterances = self.with_reference = 0
        self.lost = LostLetters(normalizer)
        self.words = WordCounts()
        self.errors_table = ErrorTable(resample == "recording")
        self.tested = [name for name in systems if name not in BOUNDS]
        self._errors = dict.fromkeys(systems, ErrorCounts())
        self._differences: dict[tuple[str, str], Counter[int]] = {pair: Counter() for pair in self._pairs()}
        self._sample: SpreadSample[tuple[str, str]] = SpreadSample(sampled)

    def _check(self) -> None:
        for needed in (FIRST_PASS, self.baseline):
            if needed not in self.systems:
                listed = ", ".join(self.systems) or "none"
                raise InputError(f"no system {needed!r} to compare with; there are {listed}")
        if self.baseline in BOUNDS:
            raise InputError(f"{self.baseline!r} is chosen with the reference and cannot be the baseline")
        check_pairs([], [], self.unit)
        if self.resample not in get_args(Resampled):
            raise InputError(f"cannot resample by {self.resample!r}, expected one of {', '.join(get_args(Resampled))}")

    def _pairs(self) -> set[tuple[str, str]]:
        """Which systems are tested against which."""
        above = set(zip(self.tested, self.tested[1:], strict=False))
        others = {(against, name) for against in (self.baseline, FIRST_PASS) for name in self.tested}
        # Where there is one system, its words are compared with themselves.
        return {(against, name) for against, name in above | others if against != name}

    def add(
        self,
        references: Sequence[str | None],
        systems: Mapping[str, Sequence[str]],
        recordings: Sequence[str | None] | None = None,
    ) -> None:
        """Count more utterances.

        Args:
            references: what was said ``[utterances]``; None where it is not known, and then the utterance is left out.
            systems: chosen texts by system ``[utterances]``.
            recordings: recording of each utterance ``[utterances]``, for ``resample="recording"``.

        Raises:
            InputError: the lengths differ, or a recording is missing where they are drawn.
        """
        self._check_lengths(references, systems, recordings)
        known = [number for number, reference in enumerate(references) if reference is not None]
        drawn = self._recordings(recordings, known)
        plain = [references[number] or "" for number in known]
        self.utterances += len(references)
        self.with_reference += len(known)
        self._sample.extend(zip(plain, (systems[FIRST_PASS][number] for number in known), strict=True))
        normalize = get_normalizer(self.normalizer)
        for reference in plain:
            self.lost.add(reference)
        said = [normalize(reference) for reference in plain]
        self._add_texts(
            said, {name: [normalize(systems[name][number]) for number in known] for name in self.systems}, drawn
        )

    def merge(self, other: Tally) -> None:
        """Count the utterances of another tally of the same systems, as those that follow.

        It is as if they had been added here where the other one has sampled all of its texts.
        """
        self.utterances += other.utterances
        self.with_reference += other.with_reference
        self.lost.merge(other.lost)
        self.words.merge(other.words)
        self.errors_table.merge(other.errors_table)
        for name in self.systems:
            self._errors[name] += other._errors[name]
        for pair, differences in other._differences.items():
            self._differences[pair].update(differences)
        self._sample.extend(other._sample.items)

    def _add_texts(self, said: list[str], chosen: Mapping[str, list[str]], recordings: Sequence[str] | None) -> None:
        # Systems agree on most utterances, so all are given at once: equal pairs are aligned once.
        references = said * len(chosen)
        texts = [text for system in chosen.values() for text in system]
        counts, found = count_errors(references, texts, self.unit), error_positions(references, texts, self.unit)
        parts = {name: slice(place * len(said), (place + 1) * len(said)) for place, name in enumerate(chosen)}
        for name, part in parts.items():
            self._errors[name] += ErrorCounts.from_counts(counts[part])
        self.errors_table.add([counts[part] for part in parts.values()], recordings)
        positions = {name: found[part] for name, part in parts.items()}
        for (against, name), differences in self._differences.items():
            differences.update(segment_differences(positions[against], positions[name]))
        self.words.add(said, positions[self.baseline], positions[self.tested[-1]], self.unit)

    def _check_lengths(
        self,
        references: Sequence[str | None],
        systems: Mapping[str, Sequence[str]],
        recordings: Sequence[str | None] | None,
    ) -> None:
        if recordings is not None and len(recordings) != len(references):
            raise InputError(
                f"{counted(len(recordings), 'recording')}, expected one for each of {len(references):,} utterances"
            )
        for name in self.systems:
            if len(systems[name]) != len(references):
                found = counted(len(systems[name]), "text")
                raise InputError(f"system {name!r} has {found}, expected one for each of {len(references)}")

    def _recordings(self, recordings: Sequence[str | None] | None, known: Sequence[int]) -> list[str] | None:
        if self.resample == "utterance":
            return None
        units = [recordings[number] for number in known] if recordings else []
        named = [recording for recording in units if recording is not None]
        if len(named) != len(known):
            raise InputError(
                f"resampling by recording needs every recording; {len(known) - len(named)} of {len(known)} "
                "utterances with a reference have none"
            )
        return named

    def errors(self, system: str) -> ErrorCounts:
        """Errors of a system."""
        return self._errors[system]

    def matched_pairs(self, against: str, system: str) -> MatchedPairs:
        """The matched-pairs test of two systems: of each against the baseline, the first pass and the one above."""
        return matched_pairs(self._differences[against, system])

    def normalized(self) -> NormalizedRate | None:
        """What another normaliser would say of the first pass, of a sample."""
        said, heard = zip(*self._sample.items, strict=True) if self._sample.items else ((), ())
        return normalized_rate(said, heard, self.unit, self.normalizer)
