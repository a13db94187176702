"""LibriSpeech's recipe on a LibriSpeech of four chapters: from the server, from what is there, and what it refuses."""

import errno
import json
import os
import re
import shlex
import shutil
import signal
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import pytest
from miniature import ROOT, call, lines, packed, published, readme_lines, sound, tree, write, zipped
from web_server import serving

from asr_lm.acoustic.finding import find_speech
from asr_lm.acoustic.speech import Speech
from asr_lm.corpora import download as downloads
from data import librispeech

PARTS = {
    "dev-clean": {"1-2": "1-2-0000 IT WAS SO\n1-2-0001 AND  IT ISN'T\n", "3-4": "3-4-0000 YES\n"},
    "test-clean": {"5-6": "5-6-0000 NO\n", "7-8": "7-8-0000 IT WAS SO\n"},
}
LM_TEXT = "IT WAS SO\nTHE CAT\n\nO'CLOCK\nIT WAS SO\n"


def corpus(parts=PARTS):
    """The files of LibriSpeech, by part."""
    made = {}
    for part, chapters in parts.items():
        files = {"LibriSpeech/README.TXT": "about"}
        for chapter, transcript in chapters.items():
            folder = f"LibriSpeech/{part}/{chapter.replace('-', '/')}"
            files[f"{folder}/{chapter}.trans.txt"] = transcript
            files |= {f"{folder}/{line.split()[0]}.flac": sound(kind="FLAC") for line in transcript.splitlines()}
        made[part] = files
    return made


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(downloads, "_PAUSE", 0.0)


def publish(monkeypatch, archives, text):
    """Let the recipe believe that these are the published files; where a server would have them."""
    remotes = {part: published(f"12/{part}.tar.gz", content) for part, content in archives.items()}
    monkeypatch.setattr(librispeech, "ARCHIVES", librispeech.ARCHIVES | remotes)
    monkeypatch.setattr(librispeech, "LM_TEXT", published("11/librispeech-lm-norm.txt.gz", text))
    monkeypatch.setattr(librispeech, "_LM_TEXT_SIZE", 1)
    return {f"/{remote.place}": archives[part] for part, remote in remotes.items()} | {
        "/11/librispeech-lm-norm.txt.gz": text
    }


@pytest.fixture
def web(monkeypatch):
    files = publish(monkeypatch, {part: packed(files) for part, files in corpus().items()}, zipped(LM_TEXT))
    with serving() as web:
        web.files = files
        yield web


def test_a_corpus_is_downloaded_once_and_written_for_decode(web, capsys):
    everything = ("--out", "out", "--mirror", web.address, "--lm-text")
    assert call("data.librispeech", *everything) == 0
    told = capsys.readouterr().out.splitlines()
    assert told == [
        "dev-clean: 3 utterances, 0.00 hours, 7 words in out/dev-clean.jsonl",
        "test-clean: 2 utterances, 0.00 hours, 4 words in out/test-clean.jsonl",
        "4 sentences in out/lm.txt.zst",
        "of the 3 distinct references of dev-clean, 1 are in it word for word",
        "of the 2 distinct references of test-clean, 1 are in it word for word",
    ]
    chapter = Path("out/LibriSpeech/dev-clean/1/2")
    assert find_speech([Path("out/dev-clean.jsonl")]) == [
        Speech("1-2-0000", chapter / "1-2-0000.flac", 0.0, 0.1, "it was so", "1-2"),
        Speech("1-2-0001", chapter / "1-2-0001.flac", 0.0, 0.1, "and it isn't", "1-2"),
        Speech("3-4-0000", Path("out/LibriSpeech/dev-clean/3/4/3-4-0000.flac"), 0.0, 0.1, "yes", "3-4"),
    ]
    assert lines(Path("out/test-clean.txt")) == ["no", "it was so"]
    assert lines(Path("out/lm.txt.zst")) == ["it was so", "the cat", "o'clock", "it was so"]
    before = tree(Path("out"))
    assert not [name for name in before if "unpacking" in name or name.endswith(".part")]
    asked = len(web.requests)
    assert asked == 3
    assert call("data.librispeech", *everything) == 0
    assert (len(web.requests), tree(Path("out"))) == (asked, before)
    # The corpus can be moved with its manifests.
    shutil.move("out", "moved")
    assert all(speech.path.exists() for speech in find_speech([Path("moved/dev-clean.jsonl")]))


def test_an_archive_is_deleted_when_that_is_wanted(web):
    assert call("data.librispeech", "--out", "out", "--mirror", web.address, "--delete-archives") == 0
    assert not [name for name in tree(Path("out")) if name.startswith("archives/")]
    assert Path("out/dev-clean.jsonl").exists()


@pytest.mark.parametrize("inside", ["", "LibriSpeech"])
def test_a_corpus_that_is_there_is_used_where_it_lies(inside, monkeypatch):
    publish(monkeypatch, {}, zipped(LM_TEXT))
    write(Path("given"), {name: text for files in corpus().values() for name, text in files.items()})
    write(Path("given") / inside, {"librispeech-lm-norm.txt.gz": zipped(LM_TEXT)})
    before = tree(Path("given"))
    assert call("data.librispeech", "--out", "out", "--from", Path("given") / inside, "--lm-text") == 0
    assert tree(Path("given")) == before
    assert tree(Path("out")) == {
        "dev-clean.jsonl", "dev-clean.txt", "test-clean.jsonl", "test-clean.txt", "lm.txt.zst"
    }  # fmt: skip
    found = find_speech([Path("out/dev-clean.jsonl")])
    assert found[0].path == Path("given/LibriSpeech/dev-clean/1/2/1-2-0000.flac").absolute()


def test_archives_that_are_there_are_unpacked_and_kept(web):
    write(Path("given"), {place.rpartition("/")[2]: content for place, content in web.files.items()})
    before = tree(Path("given"))
    options = ("--from", "given", "--lm-text", "--delete-archives", "--parts", "test-clean")
    assert call("data.librispeech", "--out", "out", *options) == 0
    assert tree(Path("given")) == before
    assert web.requests == []
    assert lines(Path("out/test-clean.txt")) == ["no", "it was so"]
    assert {speech.recording for speech in find_speech([Path("out/test-clean.jsonl")])} == {"5-6", "7-8"}


def refused(capsys, *arguments):
    """The one line in which a recipe refuses."""
    before = tree(Path.cwd())
    assert call("data.librispeech", "--out", "out", *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert tree(Path.cwd()) == before
    return error.removeprefix("error: ").strip()


def test_without_a_network_one_line_says_what_to_do(capsys):
    message = refused(capsys, "--mirror", "http://127.0.0.1:9/resources", "--parts", "dev-clean")
    assert message.startswith("dev-clean.tar.gz: could not be downloaded (http://127.0.0.1:9/resources: ")
    assert message.endswith("try again where there is a network, or give what you have with --from FOLDER")


@pytest.mark.parametrize("spoil", [lambda archive: archive[:-20], lambda archive: archive[:-1] + b"x"])
def test_a_damaged_archive_is_refused_and_kept(web, capsys, spoil):
    name = "dev-clean.tar.gz"
    write(Path("given"), {name: spoil(web.files[f"/12/{name}"])})
    message = refused(capsys, "--from", "given", "--parts", "dev-clean")
    assert re.match(r"given/dev-clean.tar.gz: (has [\d,]+ bytes|not the published file)", message)


def test_a_download_with_a_wrong_checksum_is_refused(web, capsys):
    right = web.files["/12/dev-clean.tar.gz"]
    web.files["/12/dev-clean.tar.gz"] = right[:-1] + b"x"
    message = refused(capsys, "--mirror", web.address, "--parts", "dev-clean")
    assert "out/archives/dev-clean.tar.gz.part: not the published file: its SHA256 is " in message
    web.files["/12/dev-clean.tar.gz"] = right
    assert call("data.librispeech", "--out", "out", "--mirror", web.address, "--parts", "dev-clean") == 0


def test_wrong_options_are_refused(capsys, monkeypatch):
    assert "holds neither dev-clean.tar.gz nor LibriSpeech/dev-clean" in refused(capsys, "--from", ".")
    write(Path("given"), corpus()["dev-clean"])
    only = ("--from", "given", "--parts", "dev-clean", "--lm-text")
    assert refused(capsys, *only) == "given: holds no librispeech-lm-norm.txt.gz"
    assert refused(capsys, "--from", "nowhere") == "nowhere: no such folder"
    assert "--lm-share" in refused(capsys, "--lm-share", "1.5")
    assert "either --from or --mirror" in refused(capsys, "--from", ".", "--mirror", "http://127.0.0.1:9")
    assert "python -m data.librispeech --help" in refused(capsys, "--parts", "train")
    disk = type("Disk", (), {"free": 10**9})
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda _: disk)
    assert "out: 46.1 GB are needed and 1.0 GB are free" in refused(capsys, "--parts", "train-clean-360")


def test_utterances_without_sound_or_words_are_named(capsys):
    files = corpus({"dev-clean": {"1-2": "1-2-0000 SO\n1-2-0001 IT\n1-2-0002 IS\n"}})["dev-clean"]
    files["LibriSpeech/dev-clean/1/2/1-2-0000.flac"] = b"fLaC and nothing"
    del files["LibriSpeech/dev-clean/1/2/1-2-0001.flac"]
    files["LibriSpeech/dev-clean/1/2/1-2-0009.flac"] = sound(kind="FLAC")
    write(Path("given"), files)
    options = ("--out", "out", "--from", "given", "--parts", "dev-clean")
    assert call("data.librispeech", *options) == 1
    told = capsys.readouterr()
    for identity, reason in (("0000", "no sound file"), ("0001", "no such file"), ("0009", "no transcript")):
        assert re.search(f"left out: 1-2-{identity}: .*1-2-{identity}.flac: {reason}", told.err)
    assert "dev-clean: 1 utterance," in told.out
    assert [speech.id for speech in find_speech([Path("out/dev-clean.jsonl")])] == ["1-2-0002"]
    assert "no transcript" in refused(capsys, *options[2:], "--strict")


def test_a_transcript_without_words_is_named_with_its_line(capsys):
    files = corpus()["dev-clean"] | {"LibriSpeech/dev-clean/1/2/1-2.trans.txt": "1-2-0000 SO\n1-2-0001\n"}
    write(Path("given"), files)
    message = refused(capsys, "--from", "given", "--parts", "dev-clean")
    assert re.search(r"1-2.trans.txt:2: no transcript", message)


def test_a_folder_without_transcripts_is_no_part(capsys):
    write(Path("given"), {"dev-clean/1/2/1-2-0000.flac": sound(kind="FLAC")})
    assert "no *.trans.txt" in refused(capsys, "--from", "given", "--parts", "dev-clean")


def test_ctrl_c_keeps_what_has_come_and_nothing_else(web, monkeypatch):
    web.breaks = 300
    monkeypatch.setattr(downloads, "_PAUSE", 60.0)

    def child():
        sys.stderr = open("err.txt", "w")  # noqa: SIM115
        sys.stdout = open("out.txt", "w")  # noqa: SIM115
        code = call("data.librispeech", "--out", "out", "--mirror", web.address, "--parts", "dev-clean")
        sys.stderr.flush()
        sys.stdout.flush()
        os._exit(code)

    process = get_context("fork").Process(target=child)
    process.start()
    part = Path("out/archives/dev-clean.tar.gz.part")
    deadline = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size == 300):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    process.join(30)
    assert process.exitcode == 130
    assert "interrupted" in Path("err.txt").read_text()
    assert f"what has come is kept in {part}" in Path("out.txt").read_text()
    assert tree(Path("out")) == {"archives/dev-clean.tar.gz.part"}
    web.breaks = None
    assert call("data.librispeech", "--out", "out", "--mirror", web.address, "--parts", "dev-clean") == 0
    assert web.requests[-1][1] == "bytes=300-"


def test_a_disk_that_fills_up_leaves_nothing_half(web, capsys, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tarfile.TarFile.extract", full)
    assert call("data.librispeech", "--out", "out", "--mirror", web.address, "--parts", "dev-clean") == 2
    assert "dev-clean.tar.gz: cannot be unpacked (No space left on device)" in capsys.readouterr().err
    assert tree(Path("out")) == {"archives/dev-clean.tar.gz"}


def run_line(line, *further):
    """Run a line of the README with further options; where the line has one of them, its value is replaced."""
    python, flag, module, *arguments = shlex.split(line)
    assert (python, flag) == ("python", "-m")
    for option in (word for word in further if str(word).startswith("--") and word in arguments):
        place = arguments.index(option)
        del arguments[place : place + 2]
    return call(module, *arguments, *further)


def sample_corpus():
    """The packaged sample in LibriSpeech's shape: parts by chapters, and text."""
    manifest = (json.loads(line) for line in (ROOT / "data/sample/audio/manifest.jsonl").read_text().splitlines())
    wanted = {f"{name}-test-000" for name in ("len", "grace", "walt", "slt")}
    parts = {"dev-clean": {}, "test-clean": {}}
    for number, one in enumerate(one for one in manifest if one["id"] in wanted):
        part, chapter = ("dev-clean", "test-clean")[number % 2], f"{number}-1"
        place = f"LibriSpeech/{part}/{number}/1/{chapter}"
        parts[part][f"{place}-0000.flac"] = (ROOT / "data/sample/audio" / one["audio"]).read_bytes()
        parts[part][f"{place}.trans.txt"] = f"{chapter}-0000 {one['reference'].upper()}\n"
    return parts


def test_the_four_lines_lead_from_recipe_to_comparison(monkeypatch, capsys):
    archives = {part: packed(files) for part, files in sample_corpus().items()}
    text = (ROOT / "data/sample/train.txt").read_text().upper()
    files = publish(monkeypatch, archives, zipped(text))
    recipe, *decodings, training, comparison = readme_lines("LibriSpeech")
    Path("runs").mkdir()
    with serving() as web:
        web.files = files
        assert run_line(recipe, "--mirror", web.address, "--lm-share", 0.5) == 0
    Path("words.txt").write_text("\n".join(dict.fromkeys(text.lower().split())))
    model = ("--model", ROOT / "data/sample/model", "--lexicon", "words.txt", "--device", "cpu")
    quick = (*model, "--beam", 20, "--nbest", 5)
    assert [run_line(line, *quick) for line in decodings] == [0, 0]
    assert [run_line(training), run_line(comparison)] == [0, 0]
    told = capsys.readouterr().out
    assert "2 utterances" in told
    assert re.search(r"^first pass .*\d", told, re.MULTILINE)
    assert re.search(r"^librispeech .*\d", told, re.MULTILINE)
