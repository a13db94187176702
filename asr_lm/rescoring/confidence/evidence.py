"""What is known of each word of the output: the features that confidences are computed from.

The list gives posteriors at several temperatures and how far the next best hypothesis without the word is; but where
all hypotheses agree, only the language models, the first pass's scores and, where its emissions are at hand, the sound
tell a good word from a bad one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError
from asr_lm.rescoring.confidence.agreement import Agreement
from asr_lm.rescoring.features.lists import Rows, Values
from asr_lm.rescoring.features.table import FeatureTable

TEMPERATURES = (1 / 16, 1 / 4, 1.0)
"""Multiples of the scale of the posteriors at which a word's posterior is taken."""

POSTERIOR = "posterior x 1"
"""The posterior of a word at the fitted scale, as log-odds."""

LEAST = 1e-4
"""Posteriors are kept so far from 0 and 1 where their log-odds are taken."""

WIDEST = 10.0
"""Differences of totals beyond this count as this, natural log."""

_NEAR, _AROUND = 2, 5


@dataclass(frozen=True, eq=False)
class Evidence:
    """Features of the words of many texts.

    Attributes:
        names: of the features.
        values: ``[words, features]``; NaN where something is not known.
        text: which text a word is of ``[words]``.
        texts: number of texts.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    text: NDArray[np.int64]
    texts: int

    def select(self, names: Sequence[str]) -> NDArray[np.float64]:
        """The named features ``[words, names]``.

        Raises:
            InputError: there is none of a name.
        """
        places = {name: place for place, name in enumerate(self.names)}
        if missing := [name for name in names if name not in places]:
            raise InputError(
                f"the confidences were calibrated with {missing[0]!r}, which is not known of this list; known are "
                + ", ".join(self.names)
            )
        return self.values[:, [places[name] for name in names]]


@dataclass(frozen=True, eq=False)
class Chosen:
    """A list and what was chosen of it.

    Attributes:
        table: features of all hypotheses.
        scaled: totals times the scale of the posteriors; minus infinity for what cannot be chosen ``[rows]``.
        rows: chosen row of each utterance, or the likeliest where the text is no hypothesis ``[utterances]``.
        texts: words of the chosen texts ``[utterances]``.
        hypotheses: words of all hypotheses ``[rows]``.
        log_probs: by model, log-probability of each word of each text and of its end ``[utterances][words + 1]``;
            None where the model has none for the words.
        sound: what the emissions say of each word of each text ``[utterances][words, features]``
            (:mod:`asr_lm.acoustic.word_evidence`); None where there are none.
    """

    table: FeatureTable
    scaled: Values
    rows: Rows
    texts: Sequence[Sequence[str]]
    hypotheses: Sequence[Sequence[str]]
    log_probs: Mapping[str, Sequence[Values | None]]
    sound: Sequence[Values] | None = None

    def evidence(self) -> Evidence:
        """All features of all words."""
        parts = [self._of(place, begin, end) for place, (begin, end) in enumerate(pairwise(self.table.offsets))]
        names = tuple(parts[0])
        stacked = [np.column_stack([np.broadcast_to(part[name], len(words)) for name in names])
                   for part, words in zip(parts, self.texts, strict=True)]  # fmt: skip
        lengths = [len(words) for words in self.texts]
        return Evidence(names, np.concatenate(stacked), np.repeat(np.arange(len(lengths)), lengths), len(lengths))

    def _of(self, place: int, begin: int, end: int) -> dict[str, Values]:
        words, scaled = self.texts[place], self.scaled[begin:end]
        possible = np.isfinite(scaled)
        hypotheses = [self.hypotheses[row] for row in (begin + np.flatnonzero(possible)).tolist()]
        agreement, scaled = Agreement.of(words, hypotheses), scaled[possible]
        letters = np.array([len(word) for word in words], dtype=np.float64)
        return {
            **_posteriors(agreement, scaled),
            **_disagreement(agreement),
            "letters": np.log(np.maximum(letters, 1.0)),
            **_shape(scaled, len(words)),
            **self._first_pass(place, len(words), letters.sum()),
            **{
                f"{model}: {name}": value
                for model, scores in self.log_probs.items()
                for name, value in _language(scores[place], len(words)).items()
            },
            **({} if self.sound is None else _of_sound(self.sound[place])),
        }

    def _first_pass(self, place: int, words: int, letters: float) -> dict[str, Values]:
        """Scores of the recogniser, as they are and a letter."""
        row = self.rows[place]
        scores = {c.name: self.table.column(c.name)[row] for c in self.table.columns if c.kind == "first-pass"}
        ranked = {"rank": self.table.column("rank")[row]}
        each = {f"{name} a letter": value / max(letters, 1.0) for name, value in scores.items()}
        return {name: np.full(words, value) for name, value in {**ranked, **scores, **each}.items()}


def _posteriors(agreement: Agreement, scaled: Values) -> dict[str, Values]:
    found = {}
    for factor in TEMPERATURES:
        weights = np.exp(factor * (scaled - scaled.max()))
        found[f"posterior x {factor:g}"] = log_odds(agreement.posteriors(weights))
    found["share of hypotheses"] = log_odds(agreement.posteriors(np.ones(len(scaled))))
    without = np.where(agreement.same, -np.inf, scaled[:, None]).max(0, initial=-np.inf)
    found["margin"] = np.clip(scaled.max() - without, 0.0, WIDEST)
    found["mean posterior"] = np.full(len(without), found[POSTERIOR].mean() if len(without) else 0.0)
    return found


def _disagreement(agreement: Agreement) -> dict[str, Values]:
    contested = (agreement.alternatives > 0).astype(np.float64)
    return {
        "contested": contested,
        "alternatives": np.log1p(agreement.alternatives),
        "first hypothesis agrees": agreement.same[0].astype(np.float64),
        "contested before": _shifted(contested, 1),
        "contested after": _shifted(contested, -1),
        "contested around": window_mean(contested, _AROUND),
    }


def _shape(scaled: Values, words: int) -> dict[str, Values]:
    """How far apart the hypotheses of a list are."""
    ordered = np.sort(scaled)[::-1]
    gaps = {f"gap to number {place}": ordered[0] - ordered[min(place, len(ordered)) - 1] for place in (2, 10)}
    shape = {
        **gaps,
        "span": ordered[0] - ordered[-1],
        "hypotheses": np.log(len(ordered)),
        "words": np.log(max(words, 1)),
    }
    return {name: np.full(words, value) for name, value in shape.items()}


def _language(scores: Values | None, words: int) -> dict[str, Values]:
    """What a language model says of each word, of the next one, and of those around."""
    if scores is None:
        scores = np.full(words + 1, np.nan)
    return {
        "word": scores[:-1],
        "next word": scores[1:],
        "near": window_mean(scores[:-1], _NEAR),
        "mean": np.full(words, scores.mean()),
    }


def _of_sound(values: Values) -> dict[str, Values]:
    from asr_lm.acoustic.word_evidence import FEATURES

    return {f"sound: {name}": column for name, column in zip(FEATURES, values.T, strict=True)}


def log_odds(probability: Values) -> Values:
    """Log-odds of probabilities, kept :data:`LEAST` away from 0 and 1."""
    kept = np.clip(probability, LEAST, 1 - LEAST)
    return np.log(kept) - np.log1p(-kept)


def _shifted(values: Values, by: int) -> Values:
    found = np.zeros_like(values)
    if by > 0:
        found[by:] = values[:-by]
    else:
        found[:by] = values[-by:]
    return found


def window_mean(values: Values, reach: int) -> Values:
    """Mean of each value and of those up to ``reach`` places before and after it ``[words]``."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(len(values))
    begin, end = np.maximum(places - reach, 0), np.minimum(places + reach + 1, len(values))
    return (sums[end] - sums[begin]) / np.maximum(end - begin, 1)
