"""The packaged sample keeps the rules its README states."""

from __future__ import annotations

import importlib
import itertools
import json
import math
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import jiwer
import msgspec
import pytest
from rapidfuzz.distance import Levenshtein

from asr_lm.hypotheses.utterance import Utterance

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
MEGABYTE = 1_000_000
LISTS = ("dev", "test")


def lines(split: str) -> list[str]:
    return (SAMPLE / f"{split}.txt").read_text(encoding="utf-8").splitlines()


def utterances(split: str) -> list[Utterance]:
    return msgspec.json.decode((SAMPLE / f"{split}.json").read_bytes(), type=list[Utterance])


def errors(reference: str, text: str) -> int:
    counts = jiwer.process_words(reference, text)
    return counts.substitutions + counts.deletions + counts.insertions


def manifest() -> list[dict[str, Any]]:
    text = (SAMPLE / "audio" / "manifest.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The recipe's module that trains the acoustic model."""
    monkeypatch.syspath_prepend(str(SAMPLE / "make"))
    return importlib.import_module("training")


@pytest.fixture(scope="module")
def heard() -> dict[str, Any]:
    """Emissions of the shipped audio by utterance id."""
    import soundfile

    from asr_lm.acoustic.model_folder import load_recogniser

    model = load_recogniser(SAMPLE / "model")
    signals = {line["id"]: soundfile.read(SAMPLE / "audio" / line["audio"], dtype="float32")[0] for line in manifest()}
    return {name: model.emissions(signal) for name, signal in signals.items()}


def test_the_sample_is_large_enough_and_small_enough() -> None:
    assert len(lines("train")) >= 1500
    assert min(len(lines(split)) for split in LISTS) >= 150
    sizes = [path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert max(sizes) <= 3 * MEGABYTE
    assert sum(sizes) <= 6 * MEGABYTE


def test_sentences_are_words_and_none_is_there_twice() -> None:
    sentences = [line for split in ("train", *LISTS) for line in lines(split)]
    assert set("".join(sentences)) <= set("abcdefghijklmnopqrstuvwxyz' ")
    assert all(line == " ".join(line.split()) and line for line in sentences)
    assert len(set(sentences)) == len(sentences)


def test_no_five_words_in_a_row_stand_in_more_than_one_sentence_of_a_hundred() -> None:
    sentences = [line.split() for split in ("train", *LISTS) for line in lines(split)]
    counts: Counter[tuple[str, ...]] = Counter()
    for words in sentences:
        counts.update({tuple(words[start : start + 5]) for start in range(len(words) - 4)})
    assert max(counts.values()) <= len(sentences) / 100


@pytest.mark.parametrize("split", LISTS)
def test_no_dev_or_test_sentence_is_a_train_sentence_reworded(split: str) -> None:
    train = [line.split() for line in lines("train")]
    for line in lines(split):
        nearest = min(Levenshtein.normalized_distance(line.split(), other) for other in train)
        assert nearest > 0.4, line


@pytest.mark.parametrize("split", LISTS)
def test_references_are_the_split_s_sentences(split: str) -> None:
    assert [utterance.reference for utterance in utterances(split)] == lines(split)


@pytest.mark.parametrize("split", LISTS)
def test_lists_are_distinct_texts_in_the_order_of_finite_scores(split: str) -> None:
    found = utterances(split)
    assert len({utterance.id for utterance in found}) == len(found)
    assert sum(len(utterance.hypotheses) for utterance in found) > 45 * len(found)
    for utterance in found:
        texts = [hypothesis.text for hypothesis in utterance.hypotheses]
        scores = [hypothesis.scores["acoustic"] for hypothesis in utterance.hypotheses]
        assert 1 <= len(texts) <= 50
        assert len(set(texts)) == len(texts)
        assert all(math.isfinite(score) and score < 0 for score in scores)
        assert scores == sorted(scores, reverse=True)
        assert all(set(hypothesis.scores) == {"acoustic"} for hypothesis in utterance.hypotheses)


@pytest.mark.parametrize("split", LISTS)
def test_utterances_of_a_recording_follow_one_another(split: str) -> None:
    recordings = [utterance.recording for utterance in utterances(split)]
    changes = sum(first != second for first, second in itertools.pairwise(recordings))
    assert changes == len(set(recordings)) - 1 >= 7


@pytest.mark.parametrize("split", LISTS)
def test_first_pass_has_room_that_the_list_can_fill(split: str) -> None:
    found = utterances(split)
    words = sum(len(str(utterance.reference).split()) for utterance in found)
    counts = [[errors(str(u.reference), h.text) for h in u.hypotheses] for u in found]
    first = 100 * sum(each[0] for each in counts) / words
    oracle = 100 * sum(min(each) for each in counts) / words
    assert 10 <= first <= 30
    assert oracle <= 0.6 * first


def test_audio_is_sixteen_kilohertz_mono_of_test_utterances() -> None:
    import soundfile

    references = {utterance.id: utterance.reference for utterance in utterances("test")}
    assert len(manifest()) == 10
    for line in manifest():
        sound = soundfile.info(SAMPLE / "audio" / line["audio"])
        assert (sound.samplerate, sound.channels, sound.format) == (16_000, 1, "FLAC")
        assert sound.duration == pytest.approx(line["duration"], abs=1e-3)
        assert line["reference"] == references[line["id"]]


def test_the_model_s_best_path_understands_the_audio(recipe: ModuleType, heard: dict[str, Any]) -> None:
    texts = [recipe.greedy_text(heard[line["id"]]) for line in manifest()]
    assert jiwer.wer([line["reference"] for line in manifest()], texts) < 0.4


def test_shipped_scores_are_the_model_s_exact_ctc_scores(recipe: ModuleType, heard: dict[str, Any]) -> None:
    from asr_lm.acoustic.ctc import forward_scores

    found = {utterance.id: utterance for utterance in utterances("test")}
    for name, emissions in heard.items():
        expected = [hypothesis.scores["acoustic"] for hypothesis in found[name].hypotheses]
        texts = [recipe.TOKENS.spelt(recipe.letters(hypothesis.text)) for hypothesis in found[name].hypotheses]
        assert forward_scores(emissions, texts, recipe.TOKENS) == pytest.approx(expected, abs=2e-2)


def test_the_shipped_model_is_what_the_recipe_trains(recipe: ModuleType, tmp_path: Path) -> None:
    from asr_lm.acoustic.model_folder import save_mel_encoder

    save_mel_encoder(tmp_path, recipe.starting_model(SAMPLE / "model"), recipe.TOKENS)
    for name in ("config.json", "tokens.txt", "model.safetensors"):
        assert (tmp_path / name).read_bytes() == (SAMPLE / "model" / name).read_bytes()
    untrained = recipe.starting_model(None)
    save_mel_encoder(tmp_path / "new", untrained, recipe.TOKENS)
    assert (tmp_path / "new" / "config.json").read_bytes() == (SAMPLE / "model" / "config.json").read_bytes()


def test_the_recipe_trains(recipe: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the shipped model, on shipped audio: it stays what it is, or becomes better at it."""
    import sys

    from asr_lm.acoustic.model_folder import load_recogniser

    lines = manifest()[:4]
    for split in ("train", "dev"):
        text = "".join(json.dumps(line | {"audio": f"audio/{line['audio']}"}) + "\n" for line in lines)
        (tmp_path / f"{split}.jsonl").write_text(text)
    (tmp_path / "audio").symlink_to(SAMPLE / "audio")
    start = ["--start", str(SAMPLE / "model"), "--epochs", "2", "--rate", "1e-4", "--threads", "1"]
    monkeypatch.setattr(sys, "argv", ["training", "--work", str(tmp_path), "--out", str(tmp_path / "out"), *start])
    monkeypatch.setattr(recipe.torch, "set_num_threads", lambda _: None)
    recipe.main()
    examples = recipe.read_examples(recipe.starting_model(None), tmp_path, "dev")
    rates = [
        recipe.error_rates(load_recogniser(folder).network, examples)[1]
        for folder in (SAMPLE / "model", tmp_path / "out")
    ]
    assert rates[1] <= rates[0] + 2
    assert load_recogniser(tmp_path / "out").tokens == recipe.TOKENS


def test_the_shipped_audio_is_the_first_of_each_recording(recipe: ModuleType, tmp_path: Path) -> None:
    import examples

    lines = [line | {"audio": f"audio/{line['audio']}"} for line in manifest()]
    later = [line | {"id": "later", "audio": "audio/none.flac"} for line in lines]
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines + later))
    (tmp_path / "audio").symlink_to(SAMPLE / "audio")
    examples.copy_examples(tmp_path, tmp_path / "out")
    for path in (SAMPLE / "audio").iterdir():
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()
