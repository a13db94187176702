"""TED-LIUM 3's recipe on a TED-LIUM of four short talks in NIST sphere files."""

import re
import struct
from pathlib import Path

import numpy as np
import pytest
from miniature import call, lines, packed, published, tree, write, zipped

from asr_lm.acoustic.finding import find_speech
from asr_lm.acoustic.segments import read_segments
from asr_lm.acoustic.speech import Speech
from asr_lm.text.normalizer import librispeech
from data import tedlium

RATE = 16_000
STM = {
    "legacy/dev": {
        "Ann_2010": "Ann_2010 1 gap 0 0.2 <o,,> ignore_time_segment_in_scoring\n"
        "Ann_2010 1 Ann_2010 0.5 1 <o,f0,female> it 's {NOISE} here\n"
        "Ann_2010 1 Ann_2010 0.2 0.5 <o,f0,female> and <unk> 's boat\n"
    },
    "legacy/test": {"Bob_2011": "Bob_2011 1 Bob_2011 0.25 1.4 <o,f0,male> we don 't say 'cause\n"},
    "data": {
        "Cat_2012": "Cat_2012 1 Cat_2012 0 0.5 <NA> at five o 'clock\nCat_2012 1 Cat_2012 0.5 0.6 <NA> {BREATH}\n",
        "Dan_2013": "Dan_2013 1 Dan_2013 0 1 <NA> the <unk> is\n",
    },
}
LM = {"a.en.gz": "it 's here </s>\nthe <unk> here </s>\n", "b.en.gz": "We don 't say 'cause </s>\n"}


def sphere(seconds=1.0, order="<"):
    """A NIST sphere file as the corpus has them: a header of 1,024 bytes, then samples; here 0, 1, 2 and so on."""
    samples = range(int(seconds * RATE))
    fields = [
        f"sample_count -i {len(samples)}",
        "sample_n_bytes -i 2",
        "channel_count -i 1",
        f"sample_byte_format -s2 {'01' if order == '<' else '10'}",
        f"sample_rate -i {RATE}",
        "sample_coding -s3 pcm",
        "end_head",
    ]
    header = "\n".join(["NIST_1A", "   1024", *fields]).encode() + b"\n"
    return header.ljust(1024) + struct.pack(f"{order}{len(samples)}h", *samples)


def corpus():
    """What the archive holds."""
    files = {f"LM/{name}": zipped(text) for name, text in LM.items()} | {"README": "about"}
    for folder, talks in STM.items():
        for name, text in talks.items():
            files[f"{folder}/stm/{name}.stm"] = text
            files[f"{folder}/sph/{name}.sph"] = sphere(order="<" if folder == "data" else ">")
    return {f"TEDLIUM_release-3/{name}": content for name, content in files.items()}


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def unpacked():
    """The corpus as a folder."""
    return write(Path("given"), corpus()) / "TEDLIUM_release-3"


def test_stretches_of_talks_are_written_for_decode(unpacked, capsys):
    everything = ("--parts", "train", "dev", "test", "--lm-text")
    assert call("data.tedlium", "--out", "out", "--from", unpacked, *everything) == 0
    talk = (unpacked / "legacy/dev/sph/Ann_2010.sph").absolute()
    assert find_speech([Path("out/dev.jsonl")]) == [
        Speech("Ann_2010-00000200-00000500", talk, 0.2, 0.3, "and boat", "Ann_2010"),
        Speech("Ann_2010-00000500-00001000", talk, 0.5, 0.5, "it's here", "Ann_2010"),
    ]
    (shortened,) = find_speech([Path("out/test.jsonl")])
    assert (shortened.start, shortened.duration, shortened.reference) == (0.25, 0.75, "we don't say 'cause")
    assert [one.reference for one in find_speech([Path("out/train.jsonl")])] == ["at five o'clock", "the is"]
    # Sentences that lack a word are no text to learn from.
    assert [lines(Path(f"out/{part}.txt")) for part in ("dev", "train")] == [["it's here"], ["at five o'clock"]]
    assert lines(Path("out/lm.txt.zst")) == ["it's here", "we don't say 'cause"]
    told = capsys.readouterr().out
    for count in (
        "dev: 1 stretches are not to be scored and are left out",
        "train: 1 stretches without a word are left out",
        "dev: 1 references lack a word (<unk>)",
        "train: 1 references lack a word (<unk>)",
        "test: 1 utterance ends with its recording, and was said to end after it",
        "of the 1 distinct references of test, 1 are in it word for word",
    ):
        assert count in told


@pytest.mark.parametrize("order", ["<", ">"])
def test_sphere_files_are_read_where_the_stretch_is(unpacked, order):
    write(unpacked, {"legacy/dev/sph/Ann_2010.sph": sphere(order=order)})
    assert call("data.tedlium", "--out", "out", "--from", unpacked, "--parts", "dev") == 0
    _, speech = find_speech([Path("out/dev.jsonl")])
    (piece,) = read_segments(speech, RATE, 40.0)
    np.testing.assert_array_equal(np.round(piece.content * 2**15), np.arange(8_000, 16_000))


def test_only_what_is_asked_for_is_unpacked(monkeypatch):
    content = packed(corpus())
    remote = published("51/TEDLIUM_release-3.tgz", content)
    monkeypatch.setattr(tedlium, "LM_FOLDER", tedlium.ArchiveMember("TEDLIUM_release-3/LM", remote, 1))
    members_of = {part: tedlium.ArchiveMember(member.path, remote, 1) for part, member in tedlium.MEMBERS.items()}
    monkeypatch.setattr(tedlium, "MEMBERS", members_of)
    write(Path("given"), {"TEDLIUM_release-3.tgz": content})
    assert call("data.tedlium", "--out", "out", "--from", "given", "--parts", "dev") == 0
    dev = {f"TEDLIUM_release-3/legacy/dev/{name}" for name in ("stm/Ann_2010.stm", "sph/Ann_2010.sph")}
    assert tree(Path("out")) == dev | {"dev.jsonl", "dev.txt"}
    assert call("data.tedlium", "--out", "out", "--from", "given", "--parts", "dev", "--lm-text") == 0
    assert {"lm.txt.zst", "TEDLIUM_release-3/LM/a.en.gz"} <= tree(Path("out"))


def test_talks_without_sound_or_transcript_are_named(unpacked, capsys):
    (unpacked / "data/sph/Cat_2012.sph").unlink()
    (unpacked / "data/stm/Dan_2013.stm").rename(unpacked / "data/stm/Eve_2014.stm")
    options = ("--out", "out", "--from", unpacked, "--parts", "train")
    assert call("data.tedlium", *options) == 1
    told = capsys.readouterr()
    assert re.search(r"left out: Cat_2012-00000000-00000500: .*Cat_2012.sph: no such file", told.err)
    assert re.search(r"left out: Dan_2013: .*Dan_2013.sph: no transcript", told.err)
    assert "train: 1 utterance," in told.out
    assert call("data.tedlium", *options, "--strict") == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Ann_2010 1 Ann_2010 0.5", r"Ann_2010.stm:4: expected recording, channel, speaker"),
        ("Ann_2010 1 Ann_2010 1.5 1.0 <o,f0,female> so", r"Ann_2010.stm:4: ends at 1 s and begins at 1.5 s"),
        ("Ann_2010 1 Ann_2010 0.5 1 <o,f0,female> so", r"Ann_2010.stm, utterance 'Ann_2010-00000500-00001000': two"),
    ],
)
def test_a_malformed_transcript_is_refused(unpacked, capsys, line, message):
    path = unpacked / "legacy/dev/stm/Ann_2010.stm"
    path.write_text(path.read_text() + line + "\n")
    assert call("data.tedlium", "--out", "out", "--from", unpacked, "--parts", "dev") == 2
    assert re.search(message, capsys.readouterr().err)
    assert tree(Path("out")) == set()


def test_a_folder_that_is_something_else_is_refused(unpacked, capsys):
    for path in (unpacked / "legacy/dev/stm/Ann_2010.stm", *(unpacked / "LM").iterdir()):
        path.unlink()
    assert call("data.tedlium", "--out", "out", "--from", unpacked, "--parts", "dev") == 2
    assert "no stm/*.stm in this folder" in capsys.readouterr().err
    assert call("data.tedlium", "--out", "out", "--from", unpacked, "--parts", "test", "--lm-text") == 2
    assert "no *.en.gz in this folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words", "complete"),
    [
        ("it 's what we 'll do , isn 't it", "it's what we'll do isn't it", True),
        ("at five o 'clock 'cause they 'd 've", "at five o'clock 'cause they'd've", True),
        ("{NOISE} so [LAUGH] <sil> it(2) was (Talk-0-1) </s>", "so it was", True),
        ("the <unk> 's boat <UNK>", "the boat", False),
        ("ignore", "ignore", True),
        ("{NOISE}", "", True),
    ],
)
def test_references_have_words_alone(text, words, complete):
    found, whole = tedlium.words_of(text)
    assert (librispeech(found), whole) == (words, complete)
