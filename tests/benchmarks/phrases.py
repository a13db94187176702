"""Listed phrases: errors of listed words and of all others, with and without the list.

Lists are made as in :mod:`tests.benchmarks._expected_words`. Weights are tuned on the development list, with lists of
its own. ``python -m tests.benchmarks phrases``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from asr_lm.evaluation.biased_errors import BiasedErrors
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.rescoring.acoustics import Acoustics
from asr_lm.rescoring.development import tune
from asr_lm.rescoring.phrases.features import Phrases
from asr_lm.rescoring.scoring.models import RescoringModel, open_models
from asr_lm.rescoring.scoring.scorer import ScoreCache, default_cache_folder
from asr_lm.rescoring.second_pass import Rescored, rescore
from asr_lm.rescoring.settings import Scoring
from asr_lm.rescoring.systems import System, Systems
from tests.benchmarks._expected_words import DISTRACTORS, ExpectedWords, errors, rate, told

ON_REQUEST = True  # it takes long

DATA = Path(__file__).parents[3] / "shared" / "data"
SAMPLE = Path(__file__).parents[2] / "data" / "sample"
LEAST_GAIN, MOST_COST = 0.15, 0.1
WITH_LISTS = Scoring(phrases=Phrases())
DRAWS = 5
"""Draws of distractors whose mean is told: one of them is as good as another, and ten errors more or less."""


def run() -> list[dict[str, object]]:
    """B-WER with and without the list, and what distractors alone cost.

    Without a language model, with the packaged one, and with the sound at hand, which tells what was said.
    """
    packaged = open_models(["default"], cache=ScoreCache(default_cache_folder()))
    found = []
    for name, phrases in (("sample", Phrases()), ("sample, --trust-phrases", Phrases(trusted=True))):
        files = SAMPLE / "dev.json", SAMPLE / "test.json", SAMPLE / "train.txt"
        found += _lines(name, *files, packaged, scoring=Scoring(phrases=phrases))
    if DATA.exists():
        lists, text = DATA / "nbest" / "librispeech-ctc", DATA / "text" / "books.train.txt.zst"
        for models in ([], packaged):
            found += _lines("LibriSpeech CTC", lists / "dev.jsonl.zst", lists / "test.jsonl.zst", text, models)
        found += _mean_of_draws(lists / "dev.jsonl.zst", lists / "test.jsonl.zst", ExpectedWords.of(text))
        name = "LibriSpeech CTC with emissions"
        scoring = Scoring(phrases=Phrases(), acoustics=_emissions())
        for models in ([], packaged):
            found += _lines(name, lists / "dev.jsonl.zst", lists / "test.jsonl.zst", text, models, scoring)
    return found


def _emissions() -> Acoustics:
    folder = DATA / "emissions"
    first_pass = folder / "first-pass"
    files = [folder / f"{name}.safetensors" for name in ("dev", "test")]
    return Acoustics(files, lexicon=first_pass / "lexicon.txt.zst", lm=first_pass / "3gram.bin")


def _lines(
    name: str,
    dev: Path,
    test: Path,
    text: Path,
    models: Sequence[RescoringModel],
    scoring: Scoring = WITH_LISTS,
) -> Iterator[dict[str, object]]:
    words = ExpectedWords.of(text)
    known, unknown = list(read_nbest(dev)), list(read_nbest(test))
    (plain,) = _rescored(known, [unknown], models, Scoring(acoustics=scoring.acoustics))
    test_listed, biased, alone = _with_lists(known, unknown, words, models, scoring)
    by = f"{name}, {len(models) or 'no'} language model{'s' * (len(models) > 1)}"
    lists = [utterance.phrases or () for utterance in test_listed]
    yield from lines(by, plain, biased, alone, lists)


def _mean_of_draws(dev: Path, test: Path, words: ExpectedWords) -> Iterator[dict[str, object]]:
    """The same without a language model, the mean over several draws of distractors, of both lists."""
    known, unknown = list(read_nbest(dev)), list(read_nbest(test))
    (plain,) = _rescored(known, [unknown], [], Scoring())
    kept, costs, ends = [], [], []
    for draw in range(DRAWS):
        listed, biased, alone = _with_lists(known, unknown, words, [], WITH_LISTS, draw)
        lists = [utterance.phrases or () for utterance in listed]
        before, after = (sum(errors(one, lists), BiasedErrors()) for one in (plain, biased))
        kept.append((after.listed_rate or 0.0) / (before.listed_rate or 1.0))
        costs.append(rate(alone) - rate(plain))
        ends.append(
            f"{rate(biased):.2f} ({100 * kept[-1] - 100:+.1f} %, {after.other_rate or 0.0:.2f}), {costs[-1]:+.2f}"
        )
    by = f"LibriSpeech CTC, no language model, mean of {DRAWS} draws"
    notes = f"(WER {rate(plain):.2f}; with lists (B-WER, U-WER), and what distractors cost: {'; '.join(ends)})"
    ratio, limit = len(kept) / sum(kept), round(1 / (1 - LEAST_GAIN), 3)
    yield _line(f"phrases, B-WER ({by})", round(ratio, 3), "without the list", limit, notes)
    cost = max(sum(costs) / DRAWS, 1e-3)
    yield _line(f"phrases, distractors alone ({by})", round(MOST_COST / cost, 2), _ALLOWED, 1.0, f"({cost:+.3f})")


_ALLOWED = f"the {MOST_COST} points allowed"


def _line(name: str, ratio: float, against: str, limit: float, notes: str) -> dict[str, object]:
    return {"name": name, "ratio": ratio, "against": against, "limit": limit, "notes": notes}


def lines(
    by: str, plain: Rescored, biased: Rescored, alone: Rescored, lists: Sequence[Sequence[str]]
) -> Iterator[dict[str, object]]:
    """What a benchmark of listed phrases says.

    Args:
        by: of what, in words.
        plain: rescored without lists.
        biased: with them.
        alone: with distractors alone.
        lists: of the utterances.
    """
    each = errors(plain, lists), errors(biased, lists)
    before, after = (sum(some, BiasedErrors()) for some in each)
    ratio, limit = (before.listed_rate or 0.0) / max(after.listed_rate or 0.0, 1e-9), round(1 / (1 - LEAST_GAIN), 3)
    notes = f"({told(*each)}; WER {rate(plain):.2f} to {rate(biased):.2f})"
    name = f"phrases, B-WER ({by}, {DISTRACTORS} distractors)"
    yield _line(name, round(ratio, 3), "without the list", limit, notes)
    cost = max(rate(alone) - rate(plain), 1e-3)
    notes = f"(WER {rate(plain):.2f} to {rate(alone):.2f})"
    yield _line(f"phrases, distractors alone ({by})", round(MOST_COST / cost, 2), _ALLOWED, 1.0, notes)


def _with_lists(
    known: Sequence[Utterance],
    unknown: Sequence[Utterance],
    words: ExpectedWords,
    models: Sequence[RescoringModel],
    scoring: Scoring,
    draw: int = 0,
) -> tuple[list[Utterance], Rescored, Rescored]:
    """The test list with its phrases; rescored with them, and with distractors alone."""
    listed, distracted = _listed(unknown, words, draw), _listed(unknown, words, draw, with_said=False)
    biased, alone = _rescored(_listed(known, words, draw), [listed, distracted], models, scoring)
    return listed, biased, alone


def _listed(
    utterances: Sequence[Utterance], words: ExpectedWords, draw: int = 0, *, with_said: bool = True
) -> list[Utterance]:
    return [
        msgspec.structs.replace(one, phrases=words.listed(one.id, one.reference, with_said=with_said, draw=draw))
        for one in utterances
    ]


def _rescored(
    dev: Sequence[Utterance],
    tests: Sequence[Sequence[Utterance]],
    models: Sequence[RescoringModel],
    scoring: Scoring,
) -> list[Rescored]:
    """Lists rescored with the weights of one development list."""
    systems = Systems((System("rescored", tuple(model.name for model in models)),), "rescored")
    tuned = tune(dev, models, systems, scoring=scoring, force=True)
    return [Rescored.concatenate(list(rescore(test, models, tuned, scoring=scoring))) for test in tests]
