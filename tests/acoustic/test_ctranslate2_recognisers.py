"""Whisper models of CTranslate2: what transformers computes with the same weights, window by window."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_recognisers import LONG, PUBLISHED, SIGNAL, save_whisper, transformers

from asr_lm.acoustic.decoding import decode
from asr_lm.acoustic.options import DecodingOptions
from asr_lm.acoustic.registry import open_recogniser
from asr_lm.acoustic.sequences.log_mel import log_mel
from asr_lm.acoustic.sequences.whisper_prompt import END
from asr_lm.errors import InputError
from asr_lm.rescoring.default_model import score_kind

ctranslate2 = pytest.importorskip("ctranslate2")


def converted(folder: Path, **options) -> tuple[Path, Path]:
    """A Whisper of transformers, and what the library's converter makes of it."""
    original = save_whisper(folder / "original", seconds=30, suppress=False, **options)
    converter = ctranslate2.converters.TransformersConverter(str(original))
    return original, Path(converter.convert(str(folder / "converted")))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return converted(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def multilingual(tmp_path_factory):
    return converted(tmp_path_factory.mktemp("multilingual"), multilingual=True, outputs=PUBLISHED)


@pytest.mark.parametrize("mels", [80, 128])
@pytest.mark.parametrize("seconds", [0.01, 1, 30])
def test_frames_are_those_of_transformers(mels, seconds):
    signal = (np.random.default_rng(3).normal(size=int(16_000 * seconds)) * 0.1).astype(np.float32)
    extractor = transformers.WhisperFeatureExtractor(feature_size=mels)
    expected = extractor(signal, sampling_rate=16_000, return_tensors="pt")["input_features"][0]
    assert torch.allclose(log_mel(torch.from_numpy(signal), mels), expected, atol=1e-4)


def lists(folder, kind, signal, **options):
    (found,) = decode(signal, f"{kind}:{folder}", nbest=5, sample_rate=16_000, **options)
    return {one.text: one.scores for one in found.hypotheses}


def both(original, folder, prompt_options=None):
    """The same window under both libraries, and the texts as token numbers."""
    options = prompt_options or DecodingOptions()
    models = open_recogniser(f"hf:{original}").model, open_recogniser(f"ct2:{folder}").model
    encoded = [model.encoded(SIGNAL) for model in models]
    prompts = [model.prompt(one, options) for model, one in zip(models, encoded, strict=True)]
    assert prompts[0] == prompts[1]
    return models, encoded, prompts[0]


def test_acoustic_is_the_log_probability_of_the_tokens_and_the_end(folders):
    """Of texts that ended, as transformers gives it for the same tokens, forced."""
    (forced, model), encoded, prompt = both(*folders)
    found = model.transcripts(encoded[1], prompt, 6, 6)
    (raw,) = model.network.generate(encoded[1], [prompt], beam_size=6, num_hypotheses=6)
    tokens = [[*numbers] for numbers in raw.sequences_ids]
    assert [one.tokens for one in found] == list(map(len, tokens))
    ended = [number for number, each in enumerate(tokens) if len(each) + len(prompt) < 20]
    assert len(ended) >= 4
    expected = forced.log_probs(encoded[0], prompt, tokens)
    for number in ended:
        assert found[number].log_prob == pytest.approx(expected[number], abs=1e-3)
    assert model.nothing(encoded[1], prompt).log_prob == pytest.approx(
        forced.nothing(encoded[0], prompt).log_prob, abs=1e-3
    )


def test_the_language_is_told_as_transformers_tells_it(multilingual):
    both(*multilingual)
    for language in ("de", "en"):
        models, _, prompt = both(*multilingual, DecodingOptions(language=language, task="translate"))
        assert [models[1].vocabulary[number] for number in prompt] == [
            "<|startoftranscript|>", f"<|{language}|>", "<|translate|>", "<|notimestamps|>"
        ]  # fmt: skip
    with pytest.raises(InputError, match="knows no 'xx'") as caught:
        decode(SIGNAL, f"ct2:{multilingual[1]}", sample_rate=16_000, language="xx")
    assert caught.value.parameter == "language"


def test_a_list_is_distinct_and_knows_its_tokens(folders):
    (found,) = decode(SIGNAL, str(folders[1]), nbest=5, sample_rate=16_000)
    texts = [one.text for one in found.hypotheses]
    assert 1 < len(set(texts)) == len(texts) <= 5
    assert all(set(one.scores) == {"acoustic", "tokens"} for one in found.hypotheses)
    assert score_kind([found]) == "sum"


def test_long_sound_and_silence(folders):
    (long,) = decode(np.tile(LONG, 7), f"ct2:{folders[1]}", nbest=4, sample_rate=16_000)
    assert 1 <= len(long.hypotheses) <= 4
    (silent,) = decode(np.zeros(16_000), f"ct2:{folders[1]}", nbest=4, sample_rate=16_000)
    assert [one.text for one in silent.hypotheses] == [""]


def damage(folder: Path, how: str) -> None:
    if how.startswith("cut"):
        weights = folder / "model.bin"
        weights.write_bytes(weights.read_bytes()[: int(how.removeprefix("cut"))])
    elif how == "nothing":
        (folder / "model.bin").unlink()
    elif how == "noise":
        (folder / "model.bin").write_bytes(np.random.default_rng(0).bytes(5_000))
    elif how == "no-vocabulary":
        (folder / "vocabulary.json").unlink()
    else:
        (folder / "vocabulary.json").write_text(how)


@pytest.mark.parametrize("how", ["cut0", "cut40", "cut9000", "nothing", "noise", "no-vocabulary", "{", "[1]", '["a"]'])
def test_a_damaged_folder_is_an_error_of_the_user(folders, tmp_path, how):
    folder = Path(shutil.copytree(folders[1], tmp_path / "model"))
    damage(folder, how)
    with pytest.raises(InputError) as caught:
        open_recogniser(f"ct2:{folder}")
    assert str(folder) in str(caught.value)


def test_without_the_library_it_says_what_to_install(monkeypatch, folders):
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(InputError, match=r"pip install 'asr_lm\[ct2\]'") as caught:
        open_recogniser(f"ct2:{folders[1]}")
    assert caught.value.parameter == "model"


def test_the_vocabulary_may_be_lines(folders, tmp_path):
    import json

    folder = Path(shutil.copytree(folders[1], tmp_path / "model"))
    vocabulary = json.loads((folder / "vocabulary.json").read_text())
    (folder / "vocabulary.json").unlink()
    (folder / "vocabulary.txt").write_text("".join(f"{token}\n" for token in vocabulary))
    model = open_recogniser(f"ct2:{folder}").model
    assert list(model.vocabulary) == vocabulary
    assert END in model.vocabulary
