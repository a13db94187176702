"""AISHELL-1's recipe on an AISHELL of four speakers."""

import re
from pathlib import Path

import pytest
from miniature import call, lines, packed, published, sound, tree, write

from asr_lm.acoustic.finding import find_speech
from asr_lm.acoustic.speech import Speech
from data import aishell

TRANSCRIPT = """BAC009S0002W0122 而 对 楼市 成交
BAC009S0002W0123 ２０一五 年 的 ｋ 线

BAC009S0724W0121 广州市 房地产
BAC009S0764W0121 而 对 楼市 成交
"""
SPEAKERS = {
    "S0002": ("train", ["W0122", "W0123", "W0199"]),
    "S0724": ("dev", ["W0121"]),
    "S0764": ("test", ["W0121", "W0200"]),
}
CHARACTERS = ["而 对 楼 市 成 交", "20 一 五 年 的 k 线"]


def corpus():
    """What the archive holds: an archive a speaker, and the transcripts."""
    files = {"data_aishell/transcript/aishell_transcript_v0.8.txt": TRANSCRIPT}
    for speaker, (part, numbers) in SPEAKERS.items():
        wavs = {f"{part}/{speaker}/BAC009{speaker}{number}.wav": sound() for number in numbers}
        files[f"data_aishell/wav/{speaker}.tar.gz"] = packed(wavs)
    return files


@pytest.fixture(autouse=True)
def given(tmp_path, monkeypatch):
    """A folder with the archive as it was published."""
    monkeypatch.chdir(tmp_path)
    content = packed(corpus())
    monkeypatch.setattr(aishell, "ARCHIVE", published("33/data_aishell.tgz", content, "md5"))
    monkeypatch.setattr(aishell, "_SIZES", dict.fromkeys(("train", "dev", "test"), 1))
    return write(Path("given"), {"data_aishell.tgz": content})


def test_characters_are_words_and_recordings_without_transcript_are_counted(capsys):
    assert call("data.aishell", "--out", "out", "--from", "given", "--lm-text") == 0
    told = capsys.readouterr().out
    assert "train: 1 recordings have no transcript and are left out (BAC009S0002W0199)" in told
    assert "test: 1 recordings have no transcript and are left out (BAC009S0764W0200)" in told
    assert "dev: 1 recordings" not in told
    assert "of the 1 distinct references of test, 1 are in it word for word" in told
    assert "references of train" not in told
    wav = Path("out/data_aishell/wav/train/S0002/BAC009S0002W0122.wav")
    assert find_speech([Path("out/train.jsonl")])[0] == Speech(
        "BAC009S0002W0122", wav, 0.0, 0.1, CHARACTERS[0], "S0002"
    )
    assert lines(Path("out/train.txt")) == lines(Path("out/lm.txt.zst")) == CHARACTERS
    assert lines(Path("out/test.txt")) == CHARACTERS[:1]
    # The speakers' archives are not left behind, and the unpacked folder is a corpus of its own.
    assert not [name for name in tree(Path("out")) if "tar" in name or "tgz" in name]
    words = ("--normalizer", "as-is", "--parts", "dev")
    for folder in ("out", "out/data_aishell"):
        assert call("data.aishell", "--out", "words", "--from", folder, *words) == 0
        assert lines(Path("words/dev.txt")) == ["广州市 房地产"]
    assert not list(Path("words").rglob("*.wav"))


def test_only_the_parts_asked_for_are_unpacked():
    assert call("data.aishell", "--out", "out", "--from", "given", "--parts", "dev", "test") == 0
    assert {name for name in tree(Path("out")) if name.endswith(".wav")} == {
        "data_aishell/wav/dev/S0724/BAC009S0724W0121.wav",
        "data_aishell/wav/test/S0764/BAC009S0764W0121.wav",
        "data_aishell/wav/test/S0764/BAC009S0764W0200.wav",
    }


@pytest.mark.parametrize(
    ("transcript", "message"),
    [
        ("BAC009S0724W0121 广州\nBAC009S0724W0122\n", r"v0.8.txt:2: no transcript, expected an id and words"),
        ("A 广\n\nA 州\n", r"v0.8.txt:3, utterance 'A': two transcripts of this id"),
        ("A 广\n".encode("gb18030"), r"v0.8.txt:1: not UTF-8"),
        ("A 广\n", r"no utterance of dev could be written \(there are none\)"),
    ],
)
def test_bad_transcripts_are_refused(transcript, message, capsys):
    files = {
        "data_aishell/transcript/aishell_transcript_v0.8.txt": transcript,
        "data_aishell/wav/dev/S0724/BAC009S0724W0121.wav": sound(),
    }
    write(Path("unpacked"), files)
    assert call("data.aishell", "--out", "out", "--from", "unpacked", "--parts", "dev") == 2
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert "Traceback" not in error
    assert tree(Path("out")) == set()


def test_text_for_language_models_needs_the_part_it_is_of(capsys):
    assert call("data.aishell", "--out", "out", "--from", "given", "--parts", "dev", "--lm-text") == 2
    assert "--lm-text: is the transcripts of the part train" in capsys.readouterr().err
