"""decode gives lists from files, lists of files and samples, and says what it cannot do."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_lm.acoustic.decoder import RecogniserKind
from asr_lm.acoustic.decoding import ARRAY_ID, decode
from asr_lm.acoustic.model_folder import load_recogniser
from asr_lm.acoustic.options import DecodingOptions
from asr_lm.errors import InputError

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
SOUND = SAMPLE / "audio" / "len-test-000.flac"
OTHER = SAMPLE / "audio" / "walt-test-000.flac"
FAST = DecodingOptions(free=True, beam=20)


@pytest.fixture(scope="module")
def recogniser():
    return load_recogniser(SAMPLE / "model")


def texts(found):
    return [[hypothesis.text for hypothesis in utterance.hypotheses] for utterance in found]


def test_a_path_paths_and_samples_give_the_same_lists(recogniser, capsys):
    samples, rate = soundfile.read(SOUND, dtype="int16")
    one = list(decode(SOUND, recogniser, nbest=4, options=FAST))
    assert [utterance.id for utterance in one] == ["len-test-000"]
    assert len(one[0].hypotheses) == 4
    both = list(decode([SOUND, str(OTHER)], recogniser, nbest=4, options=FAST))
    assert [utterance.id for utterance in both] == ["len-test-000", "walt-test-000"]
    assert texts(both)[:1] == texts(one)
    arrays = [samples, np.stack([samples, samples], 1), samples / 32768]
    for array in arrays:
        (found,) = decode(array, recogniser, nbest=4, sample_rate=rate, options=FAST)
        assert found.id == ARRAY_ID
        assert texts([found]) == texts(one)
    assert capsys.readouterr() == ("", "")


def test_long_samples_are_cut(recogniser):
    samples = np.concatenate([soundfile.read(path, dtype="float32")[0] for path in (SOUND, OTHER)])
    found = list(decode(samples, recogniser, nbest=1, sample_rate=16_000, longest=4, options=FAST))
    assert len(found) > 1
    assert all(utterance.id.startswith(f"{ARRAY_ID}-") for utterance in found)


def test_what_cannot_be_read_is_told_or_raised(recogniser, tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"nothing")
    told = []
    found = list(decode([tmp_path / "bad.wav", SOUND], recogniser, nbest=1, options=FAST, skipped=told.append))
    assert [utterance.id for utterance in found] == ["len-test-000"]
    assert [(error.file, error.utterance) for error in told] == [(str(tmp_path / "bad.wav"), "bad")]
    with pytest.raises(InputError, match=r"bad\.wav"):
        list(decode(tmp_path / "bad.wav", recogniser, options=FAST))


@pytest.mark.parametrize(
    ("audio", "options", "parameter"),
    [
        (np.zeros(16_000), {}, "sample_rate"),
        (SOUND, {"sample_rate": 16_000}, "sample_rate"),
        (SOUND, {"nbest": 0}, "nbest"),
        (SOUND, {"longest": 0.5}, "longest"),
        (SOUND, {"model": "nowhere"}, "model"),
    ],
)
def test_wrong_parameters_are_named(recogniser, audio, options, parameter):
    """Before anything is decoded, and as parameters: the library knows no options."""
    with pytest.raises(InputError) as caught:
        decode(audio, options.pop("model", recogniser), **options)
    assert caught.value.parameter == parameter


@pytest.mark.parametrize("values", [{"beam": 0}, {"threshold": 0.0}, {"batch_seconds": -1.0}])
def test_wrong_options_are_named(values):
    with pytest.raises(InputError) as caught:
        DecodingOptions(**values)
    assert [caught.value.parameter] == list(values)


def test_a_new_kind_of_recogniser_is_a_line_in_the_registry(monkeypatch):
    """What is neither CTC nor RNN-T decodes without any change elsewhere."""
    from asr_lm.acoustic import registry
    from asr_lm.acoustic.decoder import Decoded
    from asr_lm.hypotheses.utterance import Hypothesis

    class Lengths:
        sample_rate, unit, has_times, warnings = 8_000, "word", False, ()

        def decoder(self, nbest, options):
            return self

        def prepare(self, segments):
            return iter(segments)

        def decode(self, segment):
            return Decoded([Hypothesis(str(len(segment.content)), {"acoustic": 0.0})])

    kind = RecogniserKind("lengths", lambda: ["LENGTHS"], lambda name: name == "LENGTHS", lambda *_: Lengths())
    monkeypatch.setattr(registry, "KINDS", (*registry.KINDS, kind))
    (found,) = decode(np.zeros(16_000), "LENGTHS", sample_rate=16_000)
    assert found.hypotheses[0].text == "8000"
    assert "LENGTHS" in registry.recogniser_names()


def heard(recogniser, samples, **options):
    notes = []
    found = list(decode(samples, recogniser, nbest=4, sample_rate=16_000, options=FAST, noted=notes.append, **options))
    return found, notes


@pytest.mark.parametrize("level", [0, 1, 3])
@pytest.mark.parametrize("constant", [0, 500])
def test_silence_is_the_empty_text_and_is_said(recogniser, level, constant):
    dither = np.random.default_rng(0).integers(-level, level + 1, 4 * 16_000).astype(np.int16)
    found, notes = heard(recogniser, dither + np.int16(constant))
    assert texts(found) == [[""]]
    assert notes == [f"{ARRAY_ID}: is silent: nothing in it is louder than -80 dB of full scale"]


def test_long_silence_is_silence_piece_by_piece(recogniser):
    found, notes = heard(recogniser, np.zeros(9 * 16_000), longest=4)
    assert len(found) == len(notes) > 2
    assert all(each == [""] for each in texts(found))


def test_channels_in_opposite_phase_are_noticed_and_one_is_taken(recogniser):
    samples, _ = soundfile.read(SOUND, dtype="float32")
    expected, notes = heard(recogniser, samples)
    assert notes == []
    found, notes = heard(recogniser, np.stack([samples, -samples], 1))
    assert texts(found) == texts(expected)
    assert len(notes) == 1
    assert "cancel each other out" in notes[0]
    silent = np.stack([np.zeros_like(samples), samples], 1)
    assert texts(heard(recogniser, silent, channel=2)[0]) == texts(expected)
    assert texts(heard(recogniser, silent, channel=1)[0]) == [[""]]
    with pytest.raises(InputError, match="has no channel 3: there are 2"):
        heard(recogniser, silent, channel=3)
