"""Find the packaged default weights on the packaged development list.

    python data/default_model/weights.py

A bare ``rescore`` meets lists of any recogniser, most of them better than the sample's, so the weights are cautious:

* the model's log-probability is counted from its average a character on the references (the weight of ``characters``
  makes up for it), so that a hypothesis wins nothing by being shorter or longer;
* of all weights of the model that break no utterance which the first pass had right, the one with the lowest word
  error rate on the development list is taken (the smallest of equal ones);
* of that, a quarter is kept for the kinds ``mean`` and ``rank``: such lists come from encoder-decoder recognisers,
  which have learnt a language model of their own, as the sample's CTC recogniser has not. (The quarter was chosen with
  the WSJ, LibriSpeech-clean and CHiME-4 lists of HyPoradise in view, where the whole does harm and the quarter none.)

The list has sums of log-probabilities; the lists of the kinds ``mean`` and ``rank`` are made of it, by dividing by the
number of letters and by forgetting the scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from asr_lm.files import write_text
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.rescoring.decisions import apply
from asr_lm.rescoring.default_model import (
    DEFAULT,
    FIRST_PASS_TOTAL,
    DefaultWeights,
    ScoreKind,
    default_folder,
    first_pass_total,
)
from asr_lm.rescoring.features.table import CHARACTERS, Column, FeatureTable
from asr_lm.rescoring.scoring.models import RescoringModel, feature_table, open_models
from asr_lm.rescoring.weights import Weights

SAMPLE = Path(__file__).parents[1] / "sample"
KINDS: tuple[ScoreKind, ...] = ("sum", "mean", "rank")
CAUTION: dict[ScoreKind, float] = {"sum": 1.0, "mean": 0.25, "rank": 0.25}
"""Share of the weight found that is kept."""

MODEL_WEIGHTS = np.round(np.geomspace(0.005, 2.0, 80), 4).tolist()


def as_kind(utterances: Sequence[Utterance], kind: ScoreKind) -> list[Utterance]:
    """The list as a recogniser would have written it that tells only so much."""
    return [
        Utterance(u.id, _ranked([_as_kind(h, kind) for h in u.hypotheses], kind), u.reference, u.recording)
        for u in utterances
    ]


def _as_kind(hypothesis: Hypothesis, kind: ScoreKind) -> Hypothesis:
    total = sum(hypothesis.scores.values())
    letters = len(hypothesis.text) + 1
    scores = {"sum": hypothesis.scores, "mean": {"score": total / letters}, "rank": {}}[kind]
    return Hypothesis(hypothesis.text, scores)


def _ranked(hypotheses: list[Hypothesis], kind: ScoreKind) -> tuple[Hypothesis, ...]:
    if kind == "mean":
        hypotheses = sorted(hypotheses, key=lambda hypothesis: -hypothesis.scores["score"])
    return tuple(hypotheses)


def cautious_weights(table: FeatureTable, model: str, nats_per_character: float) -> tuple[float, float, float]:
    """Weight of the model, and the word error rates (percent) before and after."""
    right = table.errors[table.lists.starts].sum(1) == 0
    best = (table.word_errors(table.lists.starts).rate or 0.0, 0.0)
    first = best[0]
    for weight in MODEL_WEIGHTS:
        values = {FIRST_PASS_TOTAL: 1.0, CHARACTERS: weight * nats_per_character, model: weight}
        rows = apply(Weights(values=values), table).rows
        if (table.errors[rows[right]].sum(1) > 0).any():
            continue
        best = min(best, (table.word_errors(rows).rate or 0.0, weight))
    return best[1], first, best[0]


def nats_per_character(model: RescoringModel, utterances: Sequence[Utterance]) -> float:
    """What the model charges a character of what was really said, on average."""
    references = [utterance.reference or "" for utterance in utterances]
    characters = sum(len("".join(reference.split())) for reference in references)
    return -float(model.scorer.score(references).log_prob.sum()) / characters


def main() -> None:
    """Tune each kind and write the packaged ``weights.json``."""
    utterances = list(read_nbest(SAMPLE / "dev.json"))
    model = open_models([DEFAULT])[0]
    charge = nats_per_character(model, utterances)
    found: dict[str, DefaultWeights] = {}
    for kind in KINDS:
        table = feature_table(as_kind(utterances, kind), [model])
        table = table.with_columns([(Column(FIRST_PASS_TOTAL, "first-pass"), first_pass_total(table, kind))])
        weight, before, after = cautious_weights(table, model.name, charge)
        note = (
            f"data/sample/dev.json: WER {before:.2f} before, {after:.2f} with model weight {weight}, of which "
            f"{CAUTION[kind]:.2f} is kept; {charge:.3f} nats a character"
        )
        weight = round(weight * CAUTION[kind], 5)
        print(f"{kind}: model {weight}, {note}")
        found[kind] = DefaultWeights(
            model=weight, words=0.0, characters=round(weight * charge, 5), first_pass=1.0, note=note
        )
    text = msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
    write_text(default_folder() / "weights.json", text + "\n")


if __name__ == "__main__":
    main()
