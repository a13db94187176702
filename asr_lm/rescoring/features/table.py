"""The feature table: one row a hypothesis, one column a score, and how wrong each hypothesis is.

Scoring fills the table once; tuning, decisions, oracle and statistics are array arithmetic on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import compress
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError
from asr_lm.evaluation.word_errors import Counts, ErrorCounts, Unit, count_errors
from asr_lm.hypotheses.field_names import is_count
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.rescoring.features.lists import Lists, Rows, Values

Kind = Literal[
    "first-pass", "rank", "model", "length", "unknown", "corrected", "phrases", "near miss", "unsaid", "recording"
]
"""What a column measures: a score of the recogniser, the recogniser's ranking, a language model, a length, a count
of words unknown to a language model, whether the text is a corrector's, listed phrases, what was risked for one, those
of the phrases that were not said (never a feature), or the words of the rest of the recording."""

RANK, WORDS, CHARACTERS = "rank", "words", "characters"

CORRECTED_TEXT = "corrected"
"""The column that is 1 for texts that a corrector wrote and the recogniser did not, else 0."""

RECORDING = "recording"
"""The score that :mod:`asr_lm.rescoring.recording_words` adds: no opinion of the recogniser's."""

PHRASES, PHRASE_LETTERS, PHRASE_AGREEMENT = "phrases", "phrases: letters", "phrases: agreement"
PHRASES_UNSAID = "phrases: unsaid"
"""Columns of listed phrases: see :mod:`asr_lm.rescoring.phrases.features`."""

FIXED_PHRASES = {PHRASES: 3.0, PHRASE_LETTERS: -4.0, PHRASE_AGREEMENT: -6.0}
"""Weights of these columns where none can be tuned, in nats of the posterior."""

MOST_OF_PHRASES = 4.0
"""Largest weight of :data:`PHRASES`, in nats of the posterior."""

TIMES_LENGTH = " times length"
"""Suffix of a column that no table stores: a score of the recogniser times the characters of the hypothesis (and one
for its end), the sum of which that score may be the average."""

UNKNOWN = "unknown:"
"""Prefix of the column that counts the words unknown to a model; the model's name follows."""

NO_REFERENCE = -1


@dataclass(frozen=True)
class Column:
    """Name and meaning of a feature."""

    name: str
    kind: Kind

    @property
    def model(self) -> str | None:
        """The language model this column speaks of, if any; corrections count as one."""
        if self.kind == "unknown":
            return self.name.removeprefix(UNKNOWN)
        return self.name if self.kind in ("model", "corrected") else None


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Features and errors of the hypotheses of many utterances.

    Attributes:
        utterances: ids ``[utterances]``.
        recordings: the recording of each utterance, or None ``[utterances]``.
        offsets: rows of utterance ``i`` are ``offsets[i]:offsets[i + 1]``, in the recogniser's order
            ``[utterances + 1]``; no list is empty.
        columns: name and kind of each feature ``[features]``.
        values: features, natural-log scores and counts ``[rows, features]``; stored column by column.
        errors: substitutions, deletions and insertions of each hypothesis ``[rows, 3]``; -1 without a reference.
        reference_words: words of each reference ``[utterances]``; -1 without a reference. (Where the table was made
            for character errors, characters.)
        texts: hypotheses as the recogniser wrote them ``[rows]``.
    """

    utterances: tuple[str, ...]
    recordings: tuple[str | None, ...]
    offsets: NDArray[np.int64]
    columns: tuple[Column, ...]
    values: NDArray[np.float64]
    errors: NDArray[np.int32]
    reference_words: NDArray[np.int64]
    texts: tuple[str, ...]

    def __post_init__(self) -> None:
        utterances, rows = len(self.utterances), len(self.texts)
        shapes = {
            "recordings": (len(self.recordings), utterances),
            "offsets": (self.offsets.shape, (utterances + 1,)),
            "values": (self.values.shape, (rows, len(self.columns))),
            "errors": (self.errors.shape, (rows, 3)),
            "reference_words": (self.reference_words.shape, (utterances,)),
        }
        for field, (shape, expected) in shapes.items():
            if shape != expected:
                raise ValueError(f"{field} has shape {shape}, expected {expected}")
        if self.offsets[0] != 0 or self.offsets[-1] != rows or not (np.diff(self.offsets) > 0).all():
            raise ValueError("offsets must rise strictly from 0 to the number of rows")
        _refuse_double_names([column.name for column in self.columns])

    @classmethod
    def from_utterances(
        cls,
        utterances: Sequence[Utterance],
        models: Mapping[str, NDArray[np.generic]] | None = None,
        unknown: Mapping[str, NDArray[np.generic]] | None = None,
        *,
        unit: Unit = "word",
        wer_normalizer: Callable[[str], str] | None = None,
        length_normalizer: Callable[[str], str] | None = None,
    ) -> FeatureTable:
        """Table of a list.

        The columns are the first-pass scores under their own names, those that count tokens or the like as lengths;
        ``rank``; ``words`` and ``characters`` (white
        space apart); each model under its name; and ``unknown:NAME`` for each entry of ``unknown``. ``rank`` is
        ``-log(1 + rank)``, so that larger is better and the step from first to second is the largest: on seven lists
        of real recognisers, tuned with a language model on 150 utterances and on half of each list, it left fewer
        errors than ``-rank`` (99.2 % of the first pass's against 99.4 %), and both together were no better.

        A corrected hypothesis has no first-pass scores and no rank. It takes those of the hypothesis of the recogniser
        that is closest to it by letters (insertions, deletions and substitutions, white space apart; of several the
        first): the recogniser's opinion of about the same sound. What that is worth, :data:`CORRECTED_TEXT` weighs.
        A score that it has of its own (:class:`asr_lm.rescoring.acoustics.Acoustics`) stays.

        Args:
            utterances: the list; either all hypotheses have the same score names or none has scores.
            models: log-probability of each hypothesis under each model ``[rows]``.
            unknown: for each model with a closed vocabulary, unknown words of each hypothesis ``[rows]``.
            unit: what an error is counted in.
            wer_normalizer: applied to references and hypotheses before errors are counted.
            length_normalizer: applied to hypotheses before words and characters are counted: a length that counts
                against what a model charges has to be that of the text which the model read.

        Raises:
            InputError: an utterance has no hypotheses, scores are missing, not finite or named differently, or a model
                is named like another column.
        """
        offsets = _offsets(utterances)
        texts = tuple(hypothesis.text for utterance in utterances for hypothesis in utterance.hypotheses)
        columns, values = _first_pass(utterances, Lists(offsets))
        columns += [Column(WORDS, "length"), Column(CHARACTERS, "length")]
        measured = texts if length_normalizer is None else tuple(map(length_normalizer, texts))
        values += [_word_counts(measured), _character_counts(measured)]
        errors, reference_words = _errors(utterances, offsets, unit, wer_normalizer)
        table = cls(
            tuple(utterance.id for utterance in utterances),
            tuple(utterance.recording for utterance in utterances),
            offsets,
            tuple(columns),
            np.asfortranarray(np.column_stack(values)),
            errors,
            reference_words,
            texts,
        )
        added = [(Column(name, "model"), column) for name, column in (models or {}).items()]
        added += [(Column(UNKNOWN + name, "unknown"), column) for name, column in (unknown or {}).items()]
        return table.with_columns(added)

    @cached_property
    def lists(self) -> Lists:
        """The lists as stretches of rows."""
        return Lists(self.offsets)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the columns ``[features]``."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def _places(self) -> dict[str, int]:
        """Number of each column by its name."""
        return {name: number for number, name in enumerate(self.names)}

    @property
    def referenced(self) -> NDArray[np.bool_]:
        """Which utterances have a reference ``[utterances]``."""
        return self.reference_words != NO_REFERENCE

    @property
    def scored(self) -> bool:
        """Whether the recogniser gave scores."""
        return any(column.kind == "first-pass" for column in self.columns)

    def has(self, name: str) -> bool:
        """Whether there is a feature of this name, stored or made from a stored one (:data:`TIMES_LENGTH`)."""
        return name in self.names or self._average(name) is not None

    def features(self, names: Sequence[str]) -> NDArray[np.float64]:
        """The named columns ``[rows, names]``.

        Raises:
            InputError: a name is not in the table.
        """
        return self.values[:, self._indices(names)]

    def column(self, name: str) -> Values:
        """One column ``[rows]``; raises InputError when there is none of this name."""
        if name not in self.names and (average := self._average(name)) is not None:
            total: Values = self.column(average.name) * (1.0 + self.column(CHARACTERS))
            return total
        return self.values[:, self._indices([name])[0]]

    def _average(self, name: str) -> Column | None:
        """The stored score that is times the length in the column of this name."""
        base = name.removesuffix(TIMES_LENGTH)
        found = (column for column in self.columns if column.name == base and column.kind == "first-pass")
        return next(found, None) if base != name else None

    def _indices(self, names: Sequence[str]) -> list[int]:
        index = self._places
        if missing := [name for name in names if name not in index]:
            raise InputError(
                f"no feature {', '.join(map(repr, missing))} in the table, which has {', '.join(map(repr, self.names))}"
            )
        return [index[name] for name in names]

    def kinds(self, names: Sequence[str]) -> list[Column]:
        """Name and kind of the named columns; raises InputError when there is none of a name."""
        return [replace(self._average(name) or self.columns[self._indices([name])[0]], name=name) for name in names]

    def default_features(self, *, models: bool = True) -> tuple[str, ...]:
        """What is tuned unless something else is asked for.

        That is every column, but ``rank`` only where the recogniser gave no scores, and nothing that only a reference
        tells.

        Args:
            models: False leaves out the language models: the re-tuned first pass.
        """
        left_out = {"unsaid"} | ({"rank"} if self.scored else set())
        left_out |= set() if models else {"model", "unknown", "corrected"}
        return tuple(column.name for column in self.columns if column.kind not in left_out)

    def with_columns(self, columns: Iterable[tuple[Column, NDArray[np.generic]]]) -> FeatureTable:
        """The table with further features ``[rows]``.

        Raises:
            InputError: a name is taken, or a value is not finite.
        """
        added = list(columns)
        if not added:
            return self
        values = [np.asarray(value, dtype=np.float64) for _, value in added]
        for (column, _), value in zip(added, values, strict=True):
            self._refuse_not_finite(column.name, value)
        return replace(
            self,
            columns=self.columns + tuple(column for column, _ in added),
            values=np.asfortranarray(np.column_stack([self.values, *values])),
        )

    def _refuse_not_finite(self, name: str, value: Values) -> None:
        bad = np.flatnonzero(~np.isfinite(value))
        if len(bad):
            raise InputError(
                f"{name!r} is {value[bad[0]]} for the hypothesis of rank {self.lists.rank[bad[0]]}, a finite number"
                " was expected",
                utterance=self.utterances[self.lists.list_of_row[bad[0]]],
            )

    def select_columns(self, names: Sequence[str]) -> FeatureTable:
        """The table with the named features only, in the order named; raises InputError for an unknown name."""
        indices = self._indices(names)
        return replace(
            self, columns=tuple(self.columns[i] for i in indices), values=np.asfortranarray(self.values[:, indices])
        )

    def select_utterances(self, chosen: NDArray[np.generic] | Sequence[int]) -> FeatureTable:
        """The table of some utterances: numbers in any order, or a mask ``[utterances]``."""
        chosen = np.asarray(chosen)
        numbers = np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(np.int64)
        rows = self.lists.rows_of(numbers)
        return replace(
            self,
            utterances=tuple(map(self.utterances.__getitem__, numbers.tolist())),
            recordings=tuple(map(self.recordings.__getitem__, numbers.tolist())),
            offsets=np.concatenate([[0], np.cumsum(self.lists.lengths[numbers])]).astype(np.int64),
            values=np.asfortranarray(self.values[rows]),
            errors=self.errors[rows],
            reference_words=self.reference_words[numbers],
            texts=tuple(map(self.texts.__getitem__, rows.tolist())),
        )

    def select_rows(self, kept: NDArray[np.bool_]) -> FeatureTable:
        """The table of some hypotheses, of each utterance at least one: a mask ``[rows]``."""
        lengths = np.bincount(self.lists.list_of_row[kept], minlength=len(self.utterances))
        return replace(
            self,
            offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            values=np.asfortranarray(self.values[kept]),
            errors=self.errors[kept],
            texts=tuple(compress(self.texts, kept.tolist())),
        )

    @classmethod
    def concatenate(cls, tables: Sequence[FeatureTable]) -> FeatureTable:
        """The utterances of several tables, one table after another.

        Raises:
            InputError: the tables have different columns, or an utterance is in two of them.
        """
        first = tables[0]
        for table in tables[1:]:
            if table.columns != first.columns:
                raise InputError(
                    f"tables with different features: {', '.join(first.names)} and {', '.join(table.names)}"
                )
        utterances = tuple(name for table in tables for name in table.utterances)
        _refuse_double_utterances(utterances)
        lengths = np.concatenate([table.lists.lengths for table in tables])
        return cls(
            utterances,
            tuple(recording for table in tables for recording in table.recordings),
            np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            first.columns,
            np.asfortranarray(np.concatenate([table.values for table in tables])),
            np.concatenate([table.errors for table in tables]),
            np.concatenate([table.reference_words for table in tables]),
            tuple(text for table in tables for text in table.texts),
        )

    def counts(self, rows: Rows) -> Counts:
        """Errors of one chosen hypothesis for each utterance that has a reference ``[referenced utterances, 4]``.

        Args:
            rows: the chosen row of every utterance ``[utterances]``.
        """
        known = self.referenced
        return np.column_stack([self.errors[rows[known]], self.reference_words[known]]).astype(np.int32)

    def word_errors(self, rows: Rows) -> ErrorCounts:
        """Errors of the chosen hypotheses over the utterances that have a reference; ``rows`` as in :meth:`counts`."""
        return ErrorCounts.from_counts(self.counts(rows))


def _refuse_double_names(names: Sequence[str]) -> None:
    if double := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"two features are named {double[0]!r}; give one of them another name")


def _refuse_double_utterances(utterances: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in utterances:
        if name in seen:
            raise InputError("two utterances of this id", utterance=name)
        seen.add(name)


def _offsets(utterances: Sequence[Utterance]) -> NDArray[np.int64]:
    for utterance in utterances:
        if not utterance.hypotheses:
            raise InputError("no hypotheses, at least one was expected", utterance=utterance.id)
    _refuse_double_utterances([utterance.id for utterance in utterances])
    lengths = [len(utterance.hypotheses) for utterance in utterances]
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _first_pass(utterances: Sequence[Utterance], lists: Lists) -> tuple[list[Column], list[Values]]:
    """Columns of the recogniser's own scores and of its ranking."""
    names = score_names(utterances)
    wanted = set(names)
    records: list[list[float | None]] = []
    for utterance in utterances:
        for number, hypothesis in enumerate(utterance.hypotheses):
            if not hypothesis.corrected and hypothesis.scores.keys() != wanted:
                found, expected = (", ".join(sorted(keys)) or "none" for keys in (hypothesis.scores, names))
                raise InputError(
                    f"scores {found}, but the first hypothesis of the list has {expected}",
                    utterance=utterance.id,
                    field=f"hypotheses[{number}].scores",
                )
            records.append([hypothesis.scores.get(name) for name in names])
    closest = _closest_of_recogniser(utterances)
    own = [
        [closest_value if value is None else value for value, closest_value in zip(record, records[row], strict=True)]
        for record, row in zip(records, closest.tolist(), strict=True)
    ]
    values = np.array(own, dtype=np.float64).reshape(len(own), len(names))
    _refuse_infinite_scores(utterances, lists, names, values)
    columns = [Column(name, _kind(name)) for name in names]
    return [*columns, Column(RANK, "rank")], [*values.T, -np.log1p(lists.rank[closest])]


def _kind(name: str) -> Kind:
    """What a score that came with the list measures."""
    if name == RECORDING:
        return "recording"
    return "length" if is_count(name) else "first-pass"


def score_names(utterances: Sequence[Utterance]) -> tuple[str, ...]:
    """Names of the first-pass scores: those of the recogniser's first hypothesis."""
    hypotheses = utterances[0].hypotheses if utterances else ()
    return next((tuple(hypothesis.scores) for hypothesis in hypotheses if not hypothesis.corrected), ())


def _closest_of_recogniser(utterances: Sequence[Utterance]) -> Rows:
    """For each row itself, or for a corrected hypothesis the row of the recogniser's closest one ``[rows]``."""
    rows: list[int] = []
    begin = 0
    for utterance in utterances:
        for number, hypothesis in enumerate(utterance.hypotheses):
            rows.append(begin + (closest_hypothesis(utterance, hypothesis.text) if hypothesis.corrected else number))
        begin += len(utterance.hypotheses)
    return np.array(rows, dtype=np.int64)


def closest_hypothesis(utterance: Utterance, text: str) -> int:
    """Number of the recogniser's hypothesis that is closest to a text by letters; of several the first."""
    from rapidfuzz.distance import Levenshtein

    letters = "".join(text.split())
    own = [number for number, hypothesis in enumerate(utterance.hypotheses) if not hypothesis.corrected]
    return min(
        own, key=lambda number: Levenshtein.distance(letters, "".join(utterance.hypotheses[number].text.split()))
    )


def _refuse_infinite_scores(
    utterances: Sequence[Utterance], lists: Lists, names: Sequence[str], values: NDArray[np.float64]
) -> None:
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, column = bad[0].tolist()
        raise InputError(
            f"{values[row, column]}, a finite number was expected",
            utterance=utterances[lists.list_of_row[row]].id,
            field=f"hypotheses[{lists.rank[row]}].scores.{names[column]}",
        )


def _word_counts(texts: Sequence[str]) -> Values:
    return np.array([len(text.split()) for text in texts], dtype=np.float64)


def _character_counts(texts: Sequence[str]) -> Values:
    return np.array([sum(map(len, text.split())) for text in texts], dtype=np.float64)


def _errors(
    utterances: Sequence[Utterance],
    offsets: NDArray[np.int64],
    unit: Unit,
    normalizer: Callable[[str], str] | None,
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Errors of each hypothesis ``[rows, 3]`` and length of each reference ``[utterances]``."""
    normalize = normalizer or str
    errors = np.full((int(offsets[-1]), 3), NO_REFERENCE, dtype=np.int32)
    reference_words = np.full(len(utterances), NO_REFERENCE, dtype=np.int64)
    known = [number for number, utterance in enumerate(utterances) if utterance.reference is not None]
    references: list[str] = []
    hypotheses: list[str] = []
    for number in known:
        utterance = utterances[number]
        references += [normalize(utterance.reference or "")] * len(utterance.hypotheses)
        hypotheses += [normalize(hypothesis.text) for hypothesis in utterance.hypotheses]
    if known:
        lists, numbers = Lists(offsets), np.array(known)
        counts = count_errors(references, hypotheses, unit)
        errors[lists.rows_of(numbers)] = counts[:, :3]
        lengths = lists.lengths[numbers]
        reference_words[numbers] = counts[np.cumsum(lengths) - lengths, 3]
    return errors, reference_words
