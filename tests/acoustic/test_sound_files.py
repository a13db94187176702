"""Sound files give their samples, at any rate, whatever their kind, and say what is wrong with them."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_lm.acoustic.audio import Sound
from asr_lm.errors import InputError


def tone(rate, seconds=0.5, pitch=440.0):
    return np.sin(2 * np.pi * pitch * np.arange(int(rate * seconds)) / rate).astype(np.float32) * 0.5


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000])
def test_a_tone_stays_a_tone_at_another_rate(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", tone(rate), rate)
    sound = Sound.open(tmp_path / "a.wav")
    signal = sound.signal(*sound.span(0, None), 16_000)
    assert abs(len(signal) - 8_000) <= 1
    inner = slice(500, 7_500)
    assert np.abs(signal[:8_000][inner] - tone(16_000)[: len(signal)][inner]).max() < 0.01


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3"])
def test_every_kind_of_file_is_read(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    soundfile.write(path, tone(16_000), 16_000)
    sound = Sound.open(path)
    signal = sound.signal(*sound.span(0, None), 16_000)
    strongest = np.abs(np.fft.rfft(signal * np.hanning(len(signal)))).argmax() * 16_000 / len(signal)
    assert strongest == pytest.approx(440, abs=4)


def test_channels_are_averaged(tmp_path):
    both = np.stack([np.full(100, 0.5), np.full(100, -0.25)], 1)
    soundfile.write(tmp_path / "a.wav", both, 16_000, subtype="FLOAT")
    assert np.allclose(Sound.open(tmp_path / "a.wav").signal(0, 100, 16_000), 0.125)


def test_blocks_join_to_the_stretch(tmp_path, monkeypatch):
    monkeypatch.setattr("asr_lm.acoustic.audio._BLOCK", 7)
    soundfile.write(tmp_path / "a.wav", np.arange(500, dtype=np.float32) / 128, 5_000, subtype="FLOAT")
    sound = Sound.open(tmp_path / "a.wav")
    first, count = sound.span(0.002, 0.01)
    assert (first, count) == (10, 50)
    assert np.array_equal(np.concatenate(list(sound.blocks(first, count))) * 128, np.arange(10, 60))
    assert max(map(len, sound.blocks(first, count))) == 7


def test_a_stretch_may_end_a_hundredth_late_and_no_later(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(16_000), 16_000)
    sound = Sound.open(tmp_path / "a.wav")
    assert sound.span(0.25, 0.2504) == (4_000, 4_000)
    with pytest.raises(InputError, match=r"it lasts 0\.500 s"):
        sound.span(0.25, 0.3)
    with pytest.raises(InputError, match="no stretch from"):
        sound.span(0.6, None)


def bad_file(path: Path, kind: str) -> None:
    if kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("no sound at all\n" * 40)
    elif kind == "no samples":
        soundfile.write(path, np.zeros(0, np.float32), 16_000)
    elif kind == "cut":
        soundfile.write(path.with_suffix(".flac"), np.random.default_rng(1).normal(0, 0.1, 160_000), 16_000)
        path.write_bytes(path.with_suffix(".flac").read_bytes()[:40_000])
    elif kind == "nan":
        soundfile.write(path, np.array([0.0, np.nan] * 50, np.float32), 16_000, subtype="FLOAT")


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("seconds", [2, 20])
def test_a_file_that_was_cut_off_is_no_shorter_file(tmp_path, kind, seconds):
    whole, cut = tmp_path / f"whole.{kind}", tmp_path / f"cut.{kind}"
    soundfile.write(whole, tone(16_000, seconds), 16_000)
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    sound = Sound.open(whole)
    assert len(sound.signal(0, sound.samples, 16_000)) >= seconds * 16_000

    def read():
        sound = Sound.open(cut)
        return list(sound.signals(0, [sound.samples // 2, sound.samples - sound.samples // 2], 16_000))

    with pytest.raises(InputError, match="damaged") as caught:
        read()
    assert caught.value.file == str(cut)


def test_sound_from_a_pipe_does_not_know_its_length(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(16_000), 16_000)
    content = bytearray(path.read_bytes())
    for place in (4, content.index(b"data") + 4):
        content[place : place + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert Sound.open(path).samples == 8_000


def test_stretches_in_one_pass_are_those_read_one_by_one(tmp_path):
    for kind in ("wav", "flac", "ogg", "mp3"):
        path = tmp_path / f"a.{kind}"
        soundfile.write(path, tone(22_050, 4), 22_050)
        sound = Sound.open(path)
        sizes = (20_000, 1, 33_333)
        together = list(sound.signals(1_000, sizes, 16_000))
        for first, size, signal in zip((1_000, 21_000, 21_001), sizes, together, strict=True):
            assert np.allclose(sound.signal(first, size, 16_000), signal, atol=1e-4)


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "no samples", "cut", "nan"])
def test_a_bad_file_is_named(tmp_path, kind):
    path = tmp_path / "bad.wav"
    bad_file(path, kind)

    def read():
        sound = Sound.open(path)
        sound.signal(0, sound.samples, 8_000)

    with pytest.raises(InputError) as caught:
        read()
    assert caught.value.file == str(path)


def test_samples_beyond_any_scale_are_damage_and_not_loud(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.array([[0.0, 1e30]] * 50, np.float32), 16_000, subtype="FLOAT")
    with pytest.raises(InputError, match="a sample is no number"):
        Sound.open(path).signal(0, 50, 16_000)


def test_long_silence_fits_into_few_bytes(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, np.zeros(16_000 * 600, np.int16), 16_000)
    assert Sound.open(path).seconds == 600
