"""What the leaderboard measures: one list, all models, on the texts as they are and on normalised texts."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from asr_lm.evaluation.comparison import Comparison, compare
from asr_lm.evaluation.roles import BOUNDS, CORRECTED, FIRST_PASS
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.lm.scoring.conditional import ConditionalModel
from asr_lm.progress import Progress
from asr_lm.rescoring.correction import Correction
from asr_lm.rescoring.development import tune
from asr_lm.rescoring.scoring.models import RescoringModel
from asr_lm.rescoring.scoring.scorer import ScoreCache
from asr_lm.rescoring.second_pass import Rescored, rescore
from asr_lm.rescoring.settings import Measuring, Scoring
from asr_lm.rescoring.systems import System, Systems, systems_for_comparison
from data.leaderboard_lists import BoardList

PACKAGED = "default"
UNTUNED = "packaged model, untuned"
CHOSEN = "chosen by held-out utterances"
NORMALIZER = "english"


@dataclass(frozen=True)
class Board:
    """What was measured on one list.

    Attributes:
        listed: the list.
        raw: error rates on the texts as they are.
        normalized: the same on normalised texts, with weights tuned on these.
        speeds: hypotheses a second by model, as last measured; None where that was never.
    """

    listed: BoardList
    raw: Comparison
    normalized: Comparison
    speeds: Mapping[str, float | None]

    def to_json(self) -> dict[str, Any]:
        """All figures."""
        found = {"raw": self.raw.to_json(), "normalized": self.normalized.to_json()}
        return {"name": self.listed.name, **found, "hypotheses_per_second": dict(self.speeds)}


def measure(listed: BoardList, data: Path, models: Path, cache: ScoreCache, progress: Progress) -> Board:
    """Rescore a list with all models that are there.

    Args:
        listed: the list.
        data: folder of the lists.
        models: folder of the models; those that are missing are named.
        cache: of scores.
        progress: is told.

    Raises:
        InputError: as reading, scoring and tuning raise it.
    """
    opened = [RescoringModel.open(PACKAGED, cache=cache), *_models(listed, models, cache, progress)]
    lists = [list(read_nbest(str(data / path))) for path in listed.paths]
    pairs = [(lists[0], lists[1])] if len(lists) == 2 else _crossed(lists[0])
    raw, normalized = (
        _comparison(pairs, opened, Measuring(normalizer=name), progress) for name in ("as-is", NORMALIZER)
    )
    return Board(listed, raw, normalized, {model.name: model.scorer.speed for model in opened})


def _models(listed: BoardList, folder: Path, cache: ScoreCache, progress: Progress) -> Iterator[RescoringModel]:
    for entry in (*listed.models, *listed.correctors):
        name, _, path = entry.partition("=")
        if (folder / path).exists():
            yield RescoringModel.open(f"{name}={folder / path}", cache=cache)
        else:
            progress.warn(f"{listed.name}: no model {folder / path}; its rows are left out")


def _crossed(utterances: Sequence[Utterance]) -> list[tuple[list[Utterance], list[Utterance]]]:
    """Two halves of a list, each to be rescored with weights that were tuned on the other.

    A recording lies in one half, and the hash of a name says in which.
    """
    halves: tuple[list[Utterance], list[Utterance]] = ([], [])
    for utterance in utterances:
        halves[zlib.crc32((utterance.recording or utterance.id).encode("utf-8", "surrogatepass")) % 2].append(utterance)
    return [halves, halves[::-1]]


def _comparison(
    pairs: Sequence[tuple[list[Utterance], list[Utterance]]],
    models: Sequence[RescoringModel],
    measuring: Measuring,
    progress: Progress,
) -> Comparison:
    """Error rates of all systems over all utterances that are reported on."""
    said: dict[str, list[str]] = {}
    references: list[str | None] = []
    for dev, test in pairs:
        references += [utterance.reference for utterance in test]
        for name, texts in _said(dev, test, models, measuring, progress).items():
            said.setdefault(name, []).extend(texts)
    ordered = {name: said[name] for name in (*(name for name in said if name not in BOUNDS), *BOUNDS)}
    return compare(references, ordered, normalizer=measuring.normalizer, baseline=FIRST_PASS)


def _said(
    dev: list[Utterance],
    test: list[Utterance],
    models: Sequence[RescoringModel],
    measuring: Measuring,
    progress: Progress,
) -> dict[str, list[str]]:
    """What every system says of a list, by its row in the table ``[utterances]``."""
    systems, scoring = _systems(models)
    bare = Rescored.concatenate(list(rescore(test, models[:1], measuring=measuring, progress=progress)))
    tuned = tune(dev, models, systems, measuring=measuring, scoring=scoring, progress=progress)
    rescored = Rescored.concatenate(
        [*rescore(test, models, tuned, measuring=measuring, scoring=scoring, progress=progress)]
    )
    chosen = rescored.outcome.chosen
    rows = {FIRST_PASS: chosen[FIRST_PASS], UNTUNED: bare.outcome.chosen[bare.tuned.systems.final]}
    rows |= {row.name: chosen[row.name] for row in systems.rows}
    rows |= {CHOSEN: chosen[tuned.systems.final]} | {name: chosen[name] for name in BOUNDS}
    return {name: list(texts) for name, texts in rows.items()}


def _systems(models: Sequence[RescoringModel]) -> tuple[Systems, Scoring]:
    """The re-tuned first pass, each model, all together, and these with corrections where a model can write."""
    names = tuple(model.name for model in models)
    systems = systems_for_comparison(names)
    if not any(isinstance(model.model, ConditionalModel) for model in models):
        return systems, Scoring()
    corrected = System(CORRECTED, names, corrected=True)
    return replace(systems, rows=(*systems.rows, corrected), final=CORRECTED), Scoring(correction=Correction())
