"""The second pass inside a program: an utterance in, the same utterance rescored."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload

import msgspec

from asr_lm.errors import InputError
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.lm.protocol import Ranker
from asr_lm.rescoring.decisions import apply
from asr_lm.rescoring.default_model import FIRST_PASS_TOTAL, ScoreKind, first_pass_total
from asr_lm.rescoring.features.table import Column
from asr_lm.rescoring.framing import settle_framings
from asr_lm.rescoring.recombination import settle_recombination
from asr_lm.rescoring.scoring.context import Context
from asr_lm.rescoring.scoring.models import RescoringModel, as_models, feature_table
from asr_lm.rescoring.scoring.vocabulary_fit import VocabularyFit
from asr_lm.rescoring.second_pass import reordered
from asr_lm.rescoring.tuned import Tuned
from asr_lm.rescoring.weights import Weights


class Rescorer:
    """Rescores utterances as they come; reads and writes no files, prints nothing, and may be called from any thread.

    Args:
        models: the models.
        weights: what :func:`asr_lm.tune` found (``tuned.weights``), or a file of weights; None takes the packaged
            default weights, which need to know the kind of score.
        score_kind: what the recogniser's score is: ``sum`` (log-probability of the utterance), ``mean`` (average a
            token) or ``rank`` (there is none). One utterance is too little to tell it, so it is stated once.

    Raises:
        InputError: neither weights nor a kind of score.

    >>> import asr_lm
    >>> rescorer = asr_lm.Rescorer("default", score_kind="sum")
    >>> heard = [asr_lm.Hypothesis(text, {"acoustic": -9.0}) for text in ("the fairy is lathe", "the ferry is late")]
    >>> rescorer(asr_lm.Utterance("u1", tuple(heard))).hypotheses[0].text
    'the ferry is late'
    """

    def __init__(
        self,
        models: str | Path | Ranker | RescoringModel | Sequence[str | Path | Ranker | RescoringModel],
        weights: Weights | Tuned | str | Path | None = None,
        score_kind: ScoreKind | None = None,
    ) -> None:
        self._models = as_models(models)
        self._kind: ScoreKind | None = None
        if isinstance(weights, Tuned):
            self._weights, self._kind = weights.weights, weights.kind
        elif isinstance(weights, str | os.PathLike):
            self._weights = Weights.load(weights)
        elif weights is not None:
            self._weights = weights
        elif score_kind is None:
            raise InputError("give weights, or say what the scores are: sum, mean or rank", parameter="score_kind")
        else:
            self._weights = Tuned.default([], self._models, score_kind).weights
        settle_framings(self._models, self._weights.reading)
        settle_recombination(self._models, None if weights is None else self._weights)
        if FIRST_PASS_TOTAL in self._weights.values:
            self._kind = score_kind or self._kind
            if self._kind is None:
                raise InputError("default weights need the kind of score: sum, mean or rank", parameter="score_kind")

    @overload
    def __call__(self, utterances: Utterance, contexts: Context | None = None) -> Utterance: ...

    @overload
    def __call__(
        self, utterances: Iterable[Utterance], contexts: Sequence[Context] | None = None
    ) -> list[Utterance]: ...

    def __call__(
        self,
        utterances: Utterance | Iterable[Utterance],
        contexts: Context | Sequence[Context] | None = None,
    ) -> Utterance | list[Utterance]:
        """Rescore an utterance, or several at once, which share one prefix tree.

        Args:
            utterances: one or several; references are kept and not looked at.
            contexts: what was said before it, the oldest first, for models that read that; of several utterances one
                for each.

        Returns:
            The hypotheses reordered, with the models' scores and ``total``.

        Raises:
            InputError: no hypotheses, scores that are missing or not finite, or other scores than the weights know.
        """
        if isinstance(utterances, Utterance):
            before = None if contexts is None else [tuple(map(str, contexts))]
            return self._rescored([utterances], before)[0]
        return self._rescored(list(utterances), contexts)  # type: ignore[arg-type]

    def _rescored(self, utterances: list[Utterance], contexts: Sequence[Context] | None) -> list[Utterance]:
        if not utterances:
            return []
        unlabelled = [msgspec.structs.replace(utterance, reference=None) for utterance in utterances]
        fit = VocabularyFit(refuse=False)
        table = feature_table(unlabelled, self._models, fit=fit, contexts=contexts)
        if self._kind is not None:
            total = first_pass_total(table, self._kind)
            table = table.with_columns([(Column(FIRST_PASS_TOTAL, "first-pass"), total)])
        return list(reordered(utterances, table, apply(self._weights, table)))
