"""Everything that joins a list before it is scored: what correctors write, and near misses of listed phrases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from asr_lm.hypotheses.utterance import Utterance, hypothesis_count
from asr_lm.progress import Progress
from asr_lm.rescoring.correction import add_corrections
from asr_lm.rescoring.phrases.features import Phrased
from asr_lm.rescoring.scoring.models import RescoringModel
from asr_lm.rescoring.settings import Scoring


def with_further_hypotheses(
    utterances: Sequence[Utterance],
    models: Sequence[RescoringModel],
    scoring: Scoring,
    *,
    development: bool = False,
    progress: Progress | None = None,
) -> tuple[list[Utterance], Phrased | None]:
    """Utterances with all their hypotheses and what the recogniser says of them, and what there is to phrases.

    Args:
        utterances: as the recogniser gave them.
        models: all models.
        scoring: what is asked for.
        development: as in :func:`asr_lm.rescoring.correction.add_corrections`.
        progress: is told how many hypotheses joined.

    Raises:
        InputError: no model can write, or emissions do not belong to the lists.
    """
    found = list(utterances)
    if scoring.correction:
        found = add_corrections(found, models, scoring.correction, development=development)
    phrased = Phrased.of(found, scoring.phrases) if scoring.phrases else None
    found = found if phrased is None else phrased.utterances
    if scoring.acoustics:
        found = scoring.acoustics.scored(found)
        phrased = None if phrased is None else _with_scores(phrased, found)
    if progress:
        progress.joined(hypothesis_count(utterances), hypothesis_count(found))
    return found, phrased


def _with_scores(phrased: Phrased, scored: list[Utterance]) -> Phrased:
    """The same phrases of utterances that were scored, which may have lost hypotheses."""
    rewritten = []
    for utterance, added in zip(scored, phrased.rewritten, strict=True):
        left = {hypothesis.text for hypothesis in utterance.hypotheses}
        rewritten.append([one for one in added if one.text in left])
    return replace(phrased, utterances=scored, rewritten=rewritten)
