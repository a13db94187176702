"""Recognisers of transformers: what a list says is what the model gives, text by text."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from tiny_recognisers import (
    LONG,
    SIGNAL,
    save_ctc,
    save_encoder_decoder,
    save_moonshine,
    save_speech2text,
    save_whisper,
    transformers,
)

from asr_lm.acoustic.decoding import decode
from asr_lm.acoustic.options import DecodingOptions
from asr_lm.acoustic.registry import open_recogniser
from asr_lm.acoustic.sequences import huggingface_model
from asr_lm.errors import InputError
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.rescoring.default_model import first_pass_total, score_kind
from asr_lm.rescoring.features.table import FeatureTable

SAVED = {
    "whisper": save_whisper,
    "moonshine": save_moonshine,
    "speech_to_text": save_speech2text,
    "speech-encoder-decoder": save_encoder_decoder,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {kind: save(tmp_path_factory.mktemp(kind)) for kind, save in SAVED.items()}


@pytest.fixture(scope="module")
def multilingual(tmp_path_factory):
    return save_whisper(tmp_path_factory.mktemp("multilingual"), multilingual=True)


def opened(folder, **options):
    recogniser = open_recogniser(f"hf:{folder}")
    encoded = recogniser.model.encoded(SIGNAL)
    return recogniser.model, encoded, recogniser.model.prompt(encoded, DecodingOptions(**options))


@torch.inference_mode()
def forced(model, prompt, tokens):
    """log p of tokens and the end, one step after the other, with the encoder each time and without a cache."""
    given = model.extractor(SIGNAL, sampling_rate=16_000, return_tensors="pt")
    total, before = 0.0, list(prompt)
    for token in [*tokens, model.generation.eos_token_id]:
        logits = model.network(**given, decoder_input_ids=torch.tensor([before]), use_cache=False).logits
        total += float(logits[0, -1].double().log_softmax(-1)[token])
        before.append(token)
    return total


@pytest.mark.parametrize("kind", SAVED)
def test_acoustic_is_the_log_probability_of_the_tokens_and_the_end(folders, kind):
    model, encoded, prompt = opened(folders[kind])
    texts = model.search(encoded, prompt, 6, 6)
    assert len(texts) == 6
    found = model.log_probs(encoded, prompt, texts)
    assert found == pytest.approx([forced(model, prompt, tokens) for tokens in texts], abs=1e-4)
    transcripts = model.transcripts(encoded, prompt, 6, 6)
    assert [one.tokens for one in transcripts] == [len(tokens) for tokens in texts]
    assert [one.log_prob for one in transcripts] == found


def test_it_is_what_the_search_of_the_library_divided_by_the_length(folders):
    """Texts that ended within the limit: the library's score times the length, to which the end counts."""
    model, encoded, prompt = opened(folders["whisper"])
    found = transformers.GenerationMixin.generate(
        model.network, num_beams=6, num_return_sequences=6, max_length=20, return_dict_in_generate=True,
        output_scores=True, decoder_input_ids=torch.tensor([prompt]), **encoded.repeated(1),
    )  # fmt: skip
    for row, score in zip(found.sequences.tolist(), found.sequences_scores.tolist(), strict=True):
        tokens = row[len(prompt) :]
        length = tokens.index(model.generation.eos_token_id)
        log_prob = model.log_probs(encoded, prompt, [tokens[:length]])[0]
        assert score * (length + 1) == pytest.approx(log_prob, abs=1e-4)


def test_the_number_of_texts_scored_together_changes_nothing(folders, monkeypatch):
    model, encoded, prompt = opened(folders["whisper"])
    texts = [*model.search(encoded, prompt, 7, 7), []]
    together = model.log_probs(encoded, prompt, texts)
    monkeypatch.setattr(huggingface_model, "_LOGITS", 1)
    assert model.log_probs(encoded, prompt, texts) == pytest.approx(together, abs=1e-5)


def test_probabilities_of_all_short_texts_and_their_continuations_sum_to_one(folders):
    """The end at once, or each first token with whatever follows: what may follow one token sums to its probability."""
    model, encoded, prompt = opened(folders["whisper"])
    size = model.network.config.vocab_size
    with torch.inference_mode():
        first = model._logits(encoded, torch.tensor([prompt]))[0, -1].log_softmax(-1)
    ended = model.log_probs(encoded, prompt, [[token] for token in range(size)])
    assert math.exp(model.nothing(encoded, prompt).log_prob) < 1
    assert all(found <= float(first[token]) + 1e-5 for token, found in enumerate(ended))
    assert float(first.exp().sum()) == pytest.approx(1, abs=1e-5)
    assert model.nothing(encoded, prompt).log_prob == pytest.approx(
        float(first[model.generation.eos_token_id]), abs=1e-5
    )


@pytest.mark.parametrize("kind", SAVED)
def test_lists_are_distinct_ranked_by_the_search_and_short_enough(folders, kind):
    for count in (1, 4):
        (utterance,) = decode(SIGNAL, f"hf:{folders[kind]}", nbest=count, sample_rate=16_000)
        texts = [one.text for one in utterance.hypotheses]
        assert 1 <= len(texts) <= count
        assert len(set(texts)) == len(texts)
        for one in utterance.hypotheses:
            assert set(one.scores) == {"acoustic", "tokens"}
            assert one.scores["acoustic"] < 0
            assert one.scores["tokens"] == int(one.scores["tokens"]) >= 0


def test_a_folder_alone_is_known_by_its_configuration(folders):
    alone = open_recogniser(str(folders["whisper"]))
    assert alone.model.about == "a Whisper model"


def test_long_sound_is_joined_from_windows(folders):
    recogniser = open_recogniser(f"hf:{folders['whisper']}")
    (utterance,) = decode(LONG, recogniser, nbest=5, sample_rate=16_000)
    from asr_lm.acoustic.sequences.recogniser import cut
    from asr_lm.acoustic.sequences.transcript import distinct, joined_windows

    windows = cut(LONG, 16_000, 2.0)
    assert len(windows) > 2
    encoded = [recogniser.model.encoded(one) for one in windows]
    prompt = recogniser.model.prompt(encoded[0], DecodingOptions())
    lists = [distinct(recogniser.model.transcripts(one, prompt, 5, 5)) for one in encoded]
    assert list(utterance.hypotheses) == [one.hypothesis for one in joined_windows(lists, 5)]


def test_nothing_is_said_in_silence(folders):
    (utterance,) = decode(np.zeros(16_000), f"hf:{folders['whisper']}", nbest=5, sample_rate=16_000)
    (only,) = utterance.hypotheses
    assert only.text == ""
    assert only.scores["tokens"] == 0
    assert only.scores["acoustic"] < 0


def test_sound_that_is_too_short_is_named(folders):
    with pytest.raises(InputError, match="40 samples are too few"):
        list(decode(SIGNAL[:40], f"hf:{folders['speech-encoder-decoder']}", sample_rate=16_000, nbest=2))


def test_whisper_is_asked_for_a_language_and_a_task(multilingual):
    model, encoded, told = opened(multilingual)
    number = model.tokenizer.convert_tokens_to_ids
    names = model.tokenizer.convert_ids_to_tokens(told)
    assert names[0] == "<|startoftranscript|>"
    assert names[2:] == ["<|transcribe|>", "<|notimestamps|>"]
    logits = model._logits(encoded, torch.tensor([[number("<|startoftranscript|>")]]))[0, -1]
    best = max(("<|en|>", "<|de|>", "<|haw|>"), key=lambda token: float(logits[number(token)]))
    assert names[1] == best
    asked = model.prompt(encoded, DecodingOptions(language="de", task="translate"))
    assert model.tokenizer.convert_ids_to_tokens(asked)[1:3] == ["<|de|>", "<|translate|>"]
    lists = [
        next(decode(SIGNAL, f"hf:{multilingual}", nbest=3, sample_rate=16_000, language=language)).hypotheses
        for language in ("de", "en")
    ]
    assert lists[0] != lists[1]


def test_whisper_of_one_language_has_a_shorter_prompt(folders):
    model, _, prompt = opened(folders["whisper"], language="en")
    assert model.tokenizer.convert_ids_to_tokens(prompt) == ["<|startoftranscript|>", "<|notimestamps|>"]


@pytest.mark.parametrize(
    ("kind", "options", "parameter", "message"),
    [
        ("whisper", {"language": "de"}, "language", "knows English only"),
        ("whisper", {"task": "translate"}, "task", "one language"),
        ("moonshine", {"language": "en"}, "language", "neither language nor task"),
        ("whisper", {"lexicon": Path("words.txt")}, "lexicon", "is for CTC recognisers, and this is a Whisper model"),
        ("whisper", {"lattices": True}, "lattices", "is for CTC recognisers"),
        ("whisper", {"free": True}, "free", "is for CTC recognisers"),
    ],
)
def test_what_it_cannot_do_is_refused_before_anything_is_heard(folders, kind, options, parameter, message):
    recogniser = open_recogniser(f"hf:{folders[kind]}")
    with pytest.raises(InputError, match=message) as caught:
        recogniser.decoder(5, DecodingOptions(**options))
    assert caught.value.parameter == parameter


def test_a_language_that_it_does_not_know_is_refused(multilingual):
    with pytest.raises(InputError, match="knows no 'xx'; expected one of de, en, haw"):
        open_recogniser(f"hf:{multilingual}").decoder(5, DecodingOptions(language="xx"))


# What rescore makes of the list.


def test_the_list_is_read_as_sums_with_a_number_of_tokens(folders, tmp_path, monkeypatch):
    from pipelines import decode as command

    soundfile.write(tmp_path / "a.wav", SIGNAL, 16_000)
    soundfile.write(tmp_path / "b.wav", LONG[:24_000], 16_000)
    monkeypatch.chdir(tmp_path)
    command_line = ["decode", "--audio", ".", "--model", f"hf:{folders['whisper']}", "--nbest", "5", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", [*command_line, "--out", "list.jsonl"])
    command.main()
    utterances = list(read_nbest("list.jsonl"))
    assert [utterance.id for utterance in utterances] == ["a", "b"]
    expected = [next(decode(tmp_path / "a.wav", f"hf:{folders['whisper']}", nbest=5))]
    assert utterances[:1] == expected
    assert score_kind(utterances) == "sum"
    table = FeatureTable.from_utterances(utterances)
    assert {column.name: column.kind for column in table.columns}["tokens"] == "length"
    assert "tokens" in table.default_features()
    assert "rank" not in table.default_features()
    assert np.array_equal(first_pass_total(table, "sum"), table.column("acoustic"))


# What comes with a folder.


def copied(folder: Path, to: Path) -> Path:
    import shutil

    return Path(shutil.copytree(folder, to / "model"))


HOSTILE = """
import pathlib
pathlib.Path({marker!r}).write_text("this ran")
"""

ENTRIES = {
    "config.json": [
        {"auto_map": {"AutoConfig": "evil.EvilConfig", "AutoModelForSpeechSeq2Seq": "evil.EvilModel"}},
        {"attn_implementation": "someone/kernel"},
        {"something_new": "evil.py"},
    ],
    "preprocessor_config.json": [
        {"auto_map": {"AutoFeatureExtractor": "evil.EvilExtractor"}},
        {"feature_extractor_type": "evil.EvilExtractor"},
    ],
    "tokenizer_config.json": [{"auto_map": {"AutoTokenizer": ["evil.EvilTokenizer", None]}}],
    "generation_config.json": [{"custom_generate": "evil.py"}],
}


@pytest.mark.parametrize(("file", "entry"), [(file, entry) for file, entries in ENTRIES.items() for entry in entries])
def test_a_folder_that_names_code_is_refused_and_nothing_of_it_runs(folders, tmp_path, file, entry):
    folder = copied(folders["whisper"], tmp_path)
    for name in ("evil.py", "__init__.py", "modeling_whisper.py"):
        (folder / name).write_text(HOSTILE.format(marker=str(tmp_path / "ran")))
    (folder / file).write_text(json.dumps(json.loads((folder / file).read_text()) | entry))
    with pytest.raises(InputError, match="code that comes with a model is never run"):
        open_recogniser(f"hf:{folder}")
    assert not (tmp_path / "ran").exists()


def test_weights_that_are_a_program_are_not_run(folders, tmp_path):
    import pickle

    folder = copied(folders["whisper"], tmp_path)
    (folder / "model.safetensors").unlink()

    class Program:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    for write in (pickle.dump, torch.save):
        with (folder / "pytorch_model.bin").open("wb") as stream:
            write({"proj_out.weight": Program()}, stream)
        with pytest.raises(InputError, match="transformers cannot read it"):
            open_recogniser(f"hf:{folder}")
    assert not (tmp_path / "ran").exists()


def damage(folder: Path, how: str) -> None:
    from safetensors.torch import load_file, save_file

    weights = folder / "model.safetensors"
    if how == "cut":
        weights.write_bytes(weights.read_bytes()[:5_000])
    elif how in ("lacking", "nan"):
        tensors = load_file(weights)
        if how == "lacking":
            tensors.pop("model.decoder.layers.0.fc1.weight")
        else:
            tensors["model.decoder.layers.0.fc1.weight"][0, 0] = float("nan")
        save_file(tensors, weights, metadata={"format": "pt"})
    elif how == "no-tokenizer":
        for name in ("tokenizer.json", "tokenizer_config.json"):
            (folder / name).unlink()
    elif how == "no-extractor":
        (folder / "preprocessor_config.json").unlink()
    elif how == "not-json":
        (folder / "config.json").write_text("{")
    else:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | json.loads(how)))


@pytest.mark.parametrize(
    "how",
    [
        "cut", "lacking", "nan", "no-tokenizer", "no-extractor", "not-json", '{"model_type": "canary"}',
        '{"model_type": "gpt2"}', '{"d_model": 7}', '{"vocab_size": 5}', '{"max_target_positions": 0}',
    ],
)  # fmt: skip
def test_a_damaged_folder_is_an_error_of_the_user(folders, tmp_path, how):
    folder = copied(folders["whisper"], tmp_path)
    damage(folder, how)
    with pytest.raises(InputError) as caught:
        open_recogniser(f"hf:{folder}")
    assert str(folder) in str(caught.value)


def test_without_the_library_it_says_what_to_install(monkeypatch, folders):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"pip install 'asr_lm\[hf\]'") as caught:
        open_recogniser(f"hf:{folders['whisper']}")
    assert caught.value.parameter == "model"


# CTC models.


@pytest.mark.parametrize("kind", ["wav2vec2", "hubert", "wavlm"])
def test_a_ctc_model_gives_its_emissions(tmp_path, kind):
    folder = save_ctc(tmp_path / kind, kind)
    recogniser = open_recogniser(f"hf:{folder}")
    network = transformers.AutoModelForCTC.from_pretrained(folder).eval()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    with torch.inference_mode():
        expected = network(**extractor(SIGNAL, sampling_rate=16_000, return_tensors="pt")).logits[0].log_softmax(-1)
    assert torch.allclose(recogniser.emissions(SIGNAL), expected, atol=1e-5)
    assert recogniser.network.frame_samples == 320
    assert recogniser.tokens.blank_number == 0
    assert recogniser.tokens.unwritten == ("</s>", "<s>", "<unk>")


def test_ctc_batches_change_nothing(tmp_path):
    recogniser = open_recogniser(f"hf:{save_ctc(tmp_path)}")
    signals = [SIGNAL, SIGNAL[::-1].copy()]
    for alone, together in zip(map(recogniser.emissions, signals), recogniser.batch(signals), strict=True):
        assert torch.allclose(alone, together, atol=1e-5)


def test_a_ctc_model_is_searched_as_any_other(tmp_path):
    (utterance,) = decode(SIGNAL, f"hf:{save_ctc(tmp_path)}", nbest=6, sample_rate=16_000, beam=20)
    assert len(utterance.hypotheses) == 6
    assert set(utterance.hypotheses[0].scores) == {"acoustic"}
    assert not set("".join(one.text for one in utterance.hypotheses)) - set("abcdefghijklmnopqrstuvwxyz' ")
    with pytest.raises(InputError, match="is for encoder-decoder recognisers, and this is a CTC recogniser"):
        decode(SIGNAL, f"hf:{tmp_path}", sample_rate=16_000, language="en")


def test_the_frame_of_a_model_over_frames_is_counted(tmp_path):
    from asr_lm.acoustic.sequences.huggingface_ctc import HuggingFaceCtc

    recogniser = open_recogniser(f"hf:{save_ctc(tmp_path)}")
    assert recogniser.network._counted_frame_samples() == 320
    assert isinstance(recogniser.network, HuggingFaceCtc)
