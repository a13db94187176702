"""Listed phrases: errors of listed words and of all others, with and without the list.

Lists are made as Le et al. (Interspeech 2021) make theirs: the rare words of the reference, those beyond the 5,000 most
common ones of a training text, and distractors drawn from other rare words. Weights are tuned on the development list,
with lists of its own. ``python -m tests.benchmarks phrases``.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from asr_lm.evaluation.biased_errors import BiasedErrors, biased_errors
from asr_lm.files import iterate_text
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

ON_REQUEST = True  # it takes long

DATA = Path(__file__).parents[3] / "shared" / "data"
SAMPLE = Path(__file__).parents[2] / "data" / "sample"
COMMON, DISTRACTORS, TEXT_WORDS = 5000, 1000, 3_000_000
LEAST_GAIN, MOST_COST = 0.15, 0.1


def run() -> list[dict[str, object]]:
    """B-WER with and without the list, and what distractors alone cost.

    Without a language model, with the packaged one, and with the sound at hand, which tells what was said.
    """
    packaged = open_models(["default"], cache=ScoreCache(default_cache_folder()))
    found = list(_lines("sample", SAMPLE / "dev.json", SAMPLE / "test.json", SAMPLE / "train.txt", packaged))
    if DATA.exists():
        lists, text = DATA / "nbest" / "librispeech-ctc", DATA / "text" / "books.train.txt.zst"
        for models in ([], packaged):
            found += _lines("LibriSpeech CTC", lists / "dev.jsonl.zst", lists / "test.jsonl.zst", text, models)
        name = "LibriSpeech CTC with emissions"
        found += _lines(name, lists / "dev.jsonl.zst", lists / "test.jsonl.zst", text, [], _emissions())
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
    acoustics: Acoustics | None = None,
) -> Iterator[dict[str, object]]:
    common, rare = _common_and_rare(text)
    known, unknown = list(read_nbest(dev)), list(read_nbest(test))
    dev_listed, test_listed, distracted = (
        [_listed(utterance, common, rare, said) for utterance in some]
        for some, said in ((known, True), (unknown, True), (unknown, False))
    )
    listed = Scoring(phrases=Phrases(), acoustics=acoustics)
    plain = _rescored(known, unknown, models, Scoring(acoustics=acoustics))
    biased = _rescored(dev_listed, test_listed, models, listed)
    alone = _rescored(dev_listed, distracted, models, listed)
    before, after = _errors(plain, test_listed), _errors(biased, test_listed)
    by = f"{name}, {len(models) or 'no'} language model{'s' * (len(models) > 1)}"
    yield {
        "name": f"phrases, B-WER ({by}, {DISTRACTORS} distractors)",
        "ratio": round((before.listed_rate or 0.0) / max(after.listed_rate or 0.0, 1e-9), 3),
        "against": "without the list",
        "limit": round(1 / (1 - LEAST_GAIN), 3),
        "notes": f"(B-WER {before.listed_rate:.2f} to {after.listed_rate:.2f}, U-WER {before.other_rate:.2f} to "
        f"{after.other_rate:.2f}, WER {_rate(plain):.2f} to {_rate(biased):.2f})",
    }
    cost = _rate(alone) - _rate(plain)
    yield {
        "name": f"phrases, distractors alone ({by})",
        "ratio": round(MOST_COST / max(cost, 1e-3), 2),
        "against": f"the {MOST_COST} points allowed",
        "limit": 1.0,
        "notes": f"(WER {_rate(plain):.2f} to {_rate(alone):.2f})",
    }


def _common_and_rare(text: Path) -> tuple[set[str], list[str]]:
    counts: Counter[str] = Counter()
    words = 0
    for _, line in iterate_text(text):
        counts.update(said := line.split())
        words += len(said)
        if words > TEXT_WORDS:
            break
    # Half of a small vocabulary at most, so that there are rare words in a small text, too.
    common = {word for word, _ in counts.most_common(min(COMMON, len(counts) // 2))}
    return common, sorted(counts.keys() - common)


def _listed(utterance: Utterance, common: set[str], rare: Sequence[str], with_said: bool) -> Utterance:
    said = set((utterance.reference or "").split())
    generator = random.Random(utterance.id)
    drawn = [word for word in generator.sample(rare, min(DISTRACTORS, len(rare))) if word not in said]
    wanted = sorted(said - common) if with_said else []
    return msgspec.structs.replace(utterance, phrases=(*wanted, *drawn))


def _rescored(
    dev: Sequence[Utterance], test: Sequence[Utterance], models: Sequence[RescoringModel], scoring: Scoring
) -> Rescored:
    systems = Systems((System("rescored", tuple(model.name for model in models)),), "rescored")
    tuned = tune(dev, models, systems, scoring=scoring, force=True)
    return Rescored.concatenate(list(rescore(test, models, tuned, scoring=scoring)))


def _errors(rescored: Rescored, listed: Sequence[Utterance]) -> BiasedErrors:
    texts = rescored.outcome.chosen["rescored"]
    parts = (
        biased_errors((utterance.reference or "").split(), text.split(), frozenset(utterance.phrases or ()))
        for utterance, text in zip(listed, texts, strict=True)
    )
    return sum(parts, BiasedErrors())


def _rate(rescored: Rescored) -> float:
    return float(rescored.comparison()["rescored"].counts.rate or 0.0)
