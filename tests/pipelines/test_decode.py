"""From sound to a list: what decode writes, what it refuses, and how it goes on."""

import json
import os
import re
import shutil
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors import safe_open

from asr_lm.acoustic.first_pass import FirstPass
from asr_lm.acoustic.recogniser import CtcRecogniser
from asr_lm.errors import InputError
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.utterance import Utterance

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
MODEL = SAMPLE / "model"
NAMES = ("len-test-000", "grace-test-000", "walt-test-000")
FAST = ("--model", MODEL, "--free", "--beam", 20, "--nbest", 5, "--device", "cpu")


@pytest.fixture
def sounds():
    """Three packaged utterances with their manifest."""
    folder = Path("sounds")
    folder.mkdir()
    lines = (SAMPLE / "audio" / "manifest.jsonl").read_text().splitlines(keepends=True)
    (folder / "manifest.jsonl").write_text("".join(line for line in lines if json.loads(line)["id"] in NAMES))
    for name in NAMES:
        shutil.copyfile(SAMPLE / "audio" / f"{name}.flac", folder / f"{name}.flac")
    return folder


def read(path):
    return {utterance.id: utterance for utterance in read_nbest(path)}


def test_the_packaged_lists_are_what_decode_makes_of_the_packaged_sound(command, sounds):
    options = ("--audio", sounds, "--model", MODEL, "--nbest", 50, "--no-times")
    finished = command("decode", *options, "--out", "hyps.json")
    assert finished.code == 0, finished.err
    assert finished.written == {"hyps.json"}
    packaged = read(SAMPLE / "test.json")
    found = read("hyps.json")
    assert set(found) == set(NAMES)
    for name, utterance in found.items():
        expected = packaged[name]
        assert (utterance.reference, utterance.recording) == (expected.reference, expected.recording)
        assert [h.text for h in utterance.hypotheses] == [h.text for h in expected.hypotheses]
        scores, wanted = ([h.scores["acoustic"] for h in u.hypotheses] for u in (utterance, expected))
        assert scores == pytest.approx(wanted, abs=2e-3)


def test_saved_emissions_give_the_same_list(command, sounds):
    kept = ("--save-emissions", "kept", "--ctm", "words.ctm")
    assert command("decode", "--audio", sounds, *FAST, "--out", "a.jsonl", *kept).code == 0
    plain = ("--nbest", 5, "--beam", 20)
    assert command("decode", "--emissions", "kept", *plain, "--out", "b.jsonl", "--ctm", "b.ctm").code == 0
    assert Path("a.jsonl").read_bytes() == Path("b.jsonl").read_bytes()
    assert Path("words.ctm").read_bytes() == Path("b.ctm").read_bytes()
    with safe_open("kept/00000.safetensors", "pt") as file:
        assert set(file.keys()) == set(NAMES)
    best = read("a.jsonl")["len-test-000"].hypotheses[0]
    lines = [line.split() for line in Path("words.ctm").read_text().splitlines() if line.startswith("len-test ")]
    assert [fields[4] for fields in lines] == best.text.split()
    begins = [float(fields[2]) for fields in lines]
    assert begins == sorted(begins) == [start for start, _ in best.times]


def test_long_sound_is_cut_and_words_keep_their_time_in_the_recording(command):
    signals = [soundfile.read(SAMPLE / "audio" / f"{name}.flac", dtype="float32")[0] for name in NAMES]
    pause = np.zeros(16_000, np.float32)
    soundfile.write("long.wav", np.concatenate([part for signal in signals for part in (signal, pause)]), 16_000)
    options = ("--audio", "long.wav", *FAST, "--longest", 6, "--out", "a.jsonl", "--ctm", "a.ctm", "--lower")
    assert command("decode", *options).code == 0
    found = list(read_nbest("a.jsonl"))
    assert len(found) >= 3
    assert {utterance.recording for utterance in found} == {"long"}
    assert sum(len(u.hypotheses[0].text.split()) for u in found) == len(Path("a.ctm").read_text().splitlines())
    end = sum(map(len, signals)) / 16_000 + 2
    last = Path("a.ctm").read_text().splitlines()[-1].split()
    assert len(signals[0]) / 16_000 + len(signals[1]) / 16_000 + 2 < float(last[2]) < end


@pytest.mark.parametrize("rate", [8_000, 48_000])
def test_any_rate_is_heard(command, rate):
    from torch import from_numpy
    from torchaudio.functional import resample

    signal = soundfile.read(SAMPLE / "audio" / "len-test-000.flac", dtype="float32")[0]
    soundfile.write("x.wav", np.stack([resample(from_numpy(signal), 16_000, rate).numpy()] * 2, 1), rate)
    assert command("decode", "--audio", "x.wav", *FAST, "--out", "a.jsonl").code == 0
    text = read("a.jsonl")["x"].hypotheses[0].text
    assert ("fish" if rate == 8_000 else "fish at the back") in text


def test_a_bad_file_is_named_and_the_rest_goes_on(command, sounds):
    (sounds / "manifest.jsonl").unlink()
    (sounds / "grace-test-000.flac").write_bytes(b"")
    soundfile.write(sounds / "short.wav", np.linspace(-0.1, 0.1, 10), 16_000)
    finished = command("decode", "--audio", sounds, *FAST, "--out", "a.jsonl")
    assert finished.code == 1
    assert [line.split(":")[1] for line in finished.err.splitlines() if line.startswith("warning")] == [" left out"] * 2
    assert "grace-test-000.flac" in finished.err
    assert "short.wav" in finished.err
    assert set(read("a.jsonl")) == {"len-test-000", "walt-test-000"}
    assert finished.written == {"a.jsonl"}
    strict = command("decode", "--audio", sounds, *FAST, "--out", "b.jsonl", "--strict")
    assert strict.code == 2
    assert "grace-test-000.flac" in strict.err.splitlines()[-1]
    assert not Path("b.jsonl").exists()


def test_nothing_that_can_be_read_is_an_error(command, sounds):
    for path in sounds.glob("*.flac"):
        path.write_bytes(b"x")
    finished = command("decode", "--audio", sounds, *FAST, "--out", "a.jsonl")
    assert (finished.code, finished.err.splitlines()[-1]) == (2, "error: nothing could be read")
    assert not list(Path().glob("a.jsonl*"))


def interrupt_at_the_third(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Ctrl-C at the third piece; the frames of every piece that is searched."""
    heard: list[int] = []
    texts = FirstPass.texts

    def interrupted(self, emissions, readings):
        heard.append(len(emissions))
        if len(heard) == 3:
            raise KeyboardInterrupt
        return texts(self, emissions, readings)

    monkeypatch.setattr(FirstPass, "texts", interrupted)
    return heard


def test_an_interrupted_decoding_goes_on(command, sounds, monkeypatch):
    assert command("decode", "--audio", sounds, *FAST, "--out", "whole.jsonl").code == 0
    heard = interrupt_at_the_third(monkeypatch)
    assert command("decode", "--audio", sounds, *FAST, "--out", "a.jsonl").code == 130
    assert not Path("a.jsonl").exists()
    finished = command("decode", "--audio", sounds, *FAST, "--out", "a.jsonl")
    assert finished.code == 0
    assert "going on: 2 are finished" in finished.err
    assert len(heard) == 4
    assert Path("a.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()
    assert not list(Path().glob("*.unfinished"))


def test_a_lexicon_and_references_from_files(command, sounds):
    Path("words.txt").write_text("we\nkeep\nthe\ndearest\nfish\nat\nback\nnear\nice\n")
    Path("refs").write_text("len-test-000 SO\n")
    (sounds / "manifest.jsonl").unlink()
    options = ("--model", MODEL, "--beam", 20, "--lexicon", "words.txt", "--references", "refs", "--lower")
    assert command("decode", "--audio", sounds / "len-test-000.flac", *options, "--out", "a.jsonl").code == 0
    (utterance,) = read_nbest("a.jsonl")
    assert isinstance(utterance, Utterance)
    assert utterance.hypotheses[0].text == "we keep the dearest fish at the back near the ice"
    assert utterance.reference == "so"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "give either --audio or --emissions"),
        (("--audio", "sounds", "--model", "nowhere"), "neither a folder nor a recogniser of torchaudio"),
        (("--audio", "sounds", "--emissions", "e"), "give either --audio or --emissions"),
        (("--audio", "sounds", "--model", MODEL, "--tokens", "t"), "--tokens: is for saved emissions"),
        (("--audio", "nowhere", "--model", MODEL), "no such file or folder"),
        (("--audio", "sounds", "--model", "sounds"), "no recogniser"),
        (("--audio", "sounds", "--model", MODEL, "--nbest", 0), "expected 1 or more"),
        (("--audio", "sounds", *FAST, "--ctm", "x", "--no-times"), "--ctm: needs the times"),
        (("--audio", "sounds", *FAST, "--lm", "sounds/manifest.jsonl"), "manifest.jsonl"),
        (("--emissions", "sounds"), "no such file"),
    ],
)
def test_what_cannot_work_is_refused(command, sounds, options, message):
    before = set(Path().iterdir())
    finished = command("decode", *options, "--out", "a.jsonl")
    assert message in finished.complaint
    assert set(Path().iterdir()) == before


def test_lattices_hold_the_lists(command, sounds):
    from asr_lm.lattice.nbest import nbest
    from asr_lm.lattice.reading import read_lattices

    options = ("--audio", sounds, *FAST, "--out", "a.jsonl", "--lattice", "lattices")
    assert command("decode", *options).code == 0
    lattices = {lattice.id: lattice for lattice in read_lattices(Path("lattices"))}
    listed = read("a.jsonl")
    assert set(lattices) == set(listed)
    for name, lattice in lattices.items():
        paths = nbest(lattice, lattice.weights({"acoustic": 1.0}), 200)
        texts = [" ".join(lattice.symbols[word] for word in lattice.word[path.arcs] if word) for path in paths]
        assert {hypothesis.text for hypothesis in listed[name].hypotheses} <= set(texts)
        assert paths[0].score <= max(h.scores["acoustic"] for h in listed[name].hypotheses)


def test_error_rates_are_said_where_references_are(command, sounds):
    from asr_lm.evaluation.word_errors import ErrorCounts, count_errors
    from asr_lm.lattice.oracle import oracle_path
    from asr_lm.lattice.reading import read_lattices

    options = ("--audio", sounds, *FAST, "--out", "a.jsonl")
    first = command("decode", *options, "--lattice", "lattices").err
    said = re.search(
        r"first pass (.*) % WER, oracle (.*) % of the lists, (.*) % of the lattices \(3 utterances with a ref", first
    )
    assert said, first
    listed = read("a.jsonl")
    references = [utterance.reference for utterance in listed.values()]
    best = [utterance.hypotheses[0].text for utterance in listed.values()]
    assert float(said[1]) == pytest.approx(ErrorCounts.from_counts(count_errors(references, best)).rate, abs=0.01)
    errors = sum(oracle_path(x, listed[x.id].reference.split()).errors for x in read_lattices(Path("lattices")))
    words = sum(len(reference.split()) for reference in references)
    assert float(said[3]) == pytest.approx(100 * errors / words, abs=0.01)
    assert float(said[3]) <= float(said[2]) <= float(said[1])
    assert "lattices" not in command("decode", *options).err
    (sounds / "manifest.jsonl").unlink()
    assert "first pass" not in command("decode", *options).err


@pytest.fixture
def chinese():
    """A recogniser of characters, with random weights, and the words it may find."""
    import torch
    from torchaudio.models import wav2vec2_model

    from asr_lm.acoustic.model_folder import WaveEncoder, save_wave_encoder
    from asr_lm.acoustic.tokens import Tokens

    sizes = {
        "extractor_mode": "layer_norm", "extractor_conv_layer_config": [(8, 400, 160), (8, 8, 4)],
        "extractor_conv_bias": False, "encoder_embed_dim": 8, "encoder_projection_dropout": 0.0,
        "encoder_pos_conv_kernel": 4, "encoder_pos_conv_groups": 2, "encoder_num_layers": 1, "encoder_num_heads": 2,
        "encoder_attention_dropout": 0.0, "encoder_ff_interm_features": 8, "encoder_ff_interm_dropout": 0.0,
        "encoder_dropout": 0.0, "encoder_layer_norm_first": True, "encoder_layer_drop": 0.0, "aux_num_out": 5,
    }  # fmt: skip
    torch.manual_seed(2)
    tokens = Tokens(("<blk>", "<unk>", "我", "们", "好"), "<blk>", words="characters", unwritten=("<unk>",))
    save_wave_encoder(Path("chinese"), WaveEncoder(wav2vec2_model(**sizes), True), sizes, tokens)
    Path("chinese/words.txt").write_text("我们\n好\n我\n们\n")
    return Path("chinese")


@pytest.mark.parametrize("words", [("--free",), ()])
def test_chinese_is_written_without_spaces_and_timed_by_characters(command, sounds, chinese, words):
    options = ("--audio", sounds, "--model", chinese, "--beam", 10, "--nbest", 4, "--device", "cpu", *words)
    also = ("--ctm", "a.ctm", "--lattice", "lattices", "--save-emissions", "kept")
    lines = [
        json.loads(line) | {"reference": "好 我们"} for line in (sounds / "manifest.jsonl").read_text().splitlines()
    ]
    (sounds / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    finished = command("decode", *options, "--out", "a.jsonl", *also)
    assert finished.code == 0, finished.err
    said = re.search(r"first pass (.*) % CER, oracle (.*) % of the lists, (.*) % of the lattices", finished.err)
    assert float(said[1]) >= float(said[2]) >= float(said[3])
    found = read("a.jsonl")
    assert set(found) == set(NAMES)
    for utterance in found.values():
        assert all(" " not in hypothesis.text for hypothesis in utterance.hypotheses)
        assert all(len(hypothesis.times) == len(hypothesis.text) for hypothesis in utterance.hypotheses)
        assert set(utterance.hypotheses[0].text) <= set("我们好")
    lines = [line.split() for line in Path("a.ctm").read_text().splitlines()]
    spoken = "".join(found[name].hypotheses[0].text for name in sorted(NAMES, key=lambda name: found[name].recording))
    assert "".join(fields[4] for fields in lines) == spoken
    again = ("--emissions", "kept", "--beam", 10, "--nbest", 4, "--out", "b.jsonl")
    if not words:
        again = (*again, "--lexicon", chinese / "words.txt")
    assert command("decode", *again).code == 0
    assert Path("a.jsonl").read_bytes() == Path("b.jsonl").read_bytes()


def test_batches_change_nothing(command, sounds):
    assert command("decode", "--audio", sounds, *FAST, "--out", "a.jsonl").code == 0
    for seconds in (9, 100):
        options = ("--batch-seconds", seconds, "--out", "b.jsonl", "--save-emissions", f"kept-{seconds}")
        assert command("decode", "--audio", sounds, *FAST, *options).code == 0
        one, other = read("a.jsonl"), read("b.jsonl")
        assert list(one) == list(other)
        for name in NAMES:
            assert [h.text for h in one[name].hypotheses[:2]] == [h.text for h in other[name].hypotheses[:2]]
            scores = [[h.scores["acoustic"] for h in each[name].hypotheses[:2]] for each in (one, other)]
            # Saved emissions are rounded.
            assert scores[0] == pytest.approx(scores[1], abs=0.05)
    assert command("decode", "--emissions", "kept-9", "--batch-seconds", 9, "--out", "c.jsonl").code == 2


def test_a_piece_that_fails_leaves_out_its_recording_and_the_rest_goes_on(command, sounds, monkeypatch):
    """And when the decoding goes on, what was recognised of the others is not recognised again."""
    (sounds / "manifest.jsonl").unlink()
    heard: list[int] = []
    batch = CtcRecogniser.batch

    def failing(self, signals):
        heard.extend(map(len, signals))
        return [InputError("no") if len(heard) == 2 else found for found in batch(self, signals)]

    monkeypatch.setattr(CtcRecogniser, "batch", failing)
    options = ("--audio", sounds, *FAST, "--longest", 2, "--out", "a.jsonl")
    finished = command("decode", *options)
    assert finished.code == 1
    found = {utterance.recording for utterance in read_nbest("a.jsonl")}
    assert found == set(NAMES) - {"grace-test-000"}
    assert "grace-test-000.flac" in finished.err


def test_a_long_recording_goes_on_within(command, monkeypatch):
    signal = np.concatenate([soundfile.read(SAMPLE / "audio" / f"{name}.flac", dtype="float32")[0] for name in NAMES])
    soundfile.write("long.wav", signal, 16_000)
    options = ("--audio", "long.wav", *FAST, "--longest", 2, "--save-emissions", "kept")
    assert command("decode", *options, "--out", "whole.jsonl").code == 0
    shutil.rmtree("kept")
    heard = interrupt_at_the_third(monkeypatch)
    assert command("decode", *options, "--out", "a.jsonl").code == 130
    assert command("decode", *options, "--out", "a.jsonl").code == 0
    assert len(heard) == len(list(read_nbest("whole.jsonl"))) + 1
    assert Path("a.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()
    assert command("decode", "--emissions", "kept", "--nbest", 5, "--beam", 20, "--out", "b.jsonl").code == 0
    assert Path("b.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()


def test_of_a_long_recording_one_piece_is_in_memory(command, monkeypatch):
    signal = np.concatenate([soundfile.read(SAMPLE / "audio" / f"{name}.flac", dtype="float32")[0] for name in NAMES])
    soundfile.write("long.wav", signal, 16_000)
    seen: list[weakref.ref] = []
    alive: list[int] = []
    texts = FirstPass.texts

    def watched(self, emissions, readings):
        seen.append(weakref.ref(emissions))
        alive.append(sum(each() is not None for each in seen))
        return texts(self, emissions, readings)

    monkeypatch.setattr(FirstPass, "texts", watched)
    usual = ("--model", MODEL, "--nbest", 5, "--device", "cpu")
    assert command("decode", "--audio", "long.wav", *usual, "--longest", 2, "--out", "a.jsonl").code == 0
    assert len(alive) > 5
    assert max(alive) == 1


@pytest.mark.parametrize(
    "trouble",
    [
        "ModuleNotFoundError(\"No module named 'torchaudio'\")",
        "OSError('libtorchaudio.so: undefined symbol: _ZNK5torch')",
        "RuntimeError('Detected that PyTorch and TorchAudio were compiled with different CUDA versions.')",
    ],
)
def test_where_torchaudio_is_missing_or_broken_the_pair_to_install_is_named(tmp_path, trouble):
    (tmp_path / "torchaudio").mkdir()
    (tmp_path / "torchaudio" / "__init__.py").write_text(f"raise {trouble}\n")
    root = Path(__file__).parents[2]
    paths = os.pathsep.join(map(str, (tmp_path, root)))
    command = [sys.executable, "-m", "pipelines.decode", "--audio", "a.wav", "--out", "o.json"]
    finished = subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True)
    assert finished.returncode == 2
    assert len(finished.stderr.splitlines()) == 1
    assert "pip install torch==2.11.0 torchaudio==2.11.0" in finished.stderr
    assert "torch==2.14.1 torchaudio==2.11.1" in finished.stderr


def test_errors_are_counted_as_rescore_counts_them(command, sounds):
    """Casing alone is said to be casing; with a normaliser it is no error, and the list keeps what was written."""
    Path("refs").write_text("len-test-000 We KEEP the dearest, fish at the back near the ice!\n")
    (sounds / "manifest.jsonl").unlink()
    options = ("--audio", sounds / "len-test-000.flac", *FAST, "--references", "refs")
    plain = command("decode", *options, "--out", "a.jsonl")
    assert plain.code == 0
    assert "with --wer-normalizer unicode" in plain.err
    normalised = command("decode", *options, "--out", "b.jsonl", "--wer-normalizer", "unicode")
    assert "warning" not in normalised.err
    rates = [float(one.err.split("first pass ")[1].split(" %")[0]) for one in (plain, normalised)]
    assert rates[1] < rates[0] - 20
    assert Path("a.jsonl").read_bytes() == Path("b.jsonl").read_bytes()
