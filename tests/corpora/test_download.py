"""However a download is broken off, what lies under a file's name is the published file."""

import fcntl
import hashlib
import random
from types import SimpleNamespace

import pytest
from web_server import serving

from asr_lm.corpora import download as downloads
from asr_lm.corpora.download import Remote, download, missing_bytes, verify
from asr_lm.errors import InputError

CONTENT = random.Random(1).randbytes(50_000)
REMOTE = Remote("7/speech.tar.gz", len(CONTENT), f"sha256:{hashlib.sha256(CONTENT).hexdigest()}")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(downloads, "_PAUSE", 0.0)


@pytest.fixture
def web():
    with serving() as web:
        web.files["/7/speech.tar.gz"] = CONTENT
        yield web


def part(folder, content):
    folder.mkdir(exist_ok=True)
    (folder / "speech.tar.gz.part").write_bytes(content)
    return folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_a_file_comes_whole_and_once(web, tmp_path, algorithm):
    told = []
    checksum = f"{algorithm}:{hashlib.new(algorithm, CONTENT).hexdigest()}"
    remote = Remote(REMOTE.place, REMOTE.size, checksum)
    for _ in range(2):
        path = download(remote, tmp_path / "a", [web.address + "/"], lambda *progress: told.append(progress))
        assert path.read_bytes() == CONTENT
    assert names(tmp_path / "a") == ["speech.tar.gz"]
    assert web.requests == [("/7/speech.tar.gz", None)]
    assert told == sorted(told)
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert missing_bytes(remote, tmp_path / "a") == 0


@pytest.mark.parametrize("begun", [1, 17_000, len(CONTENT) - 1])
def test_only_the_rest_of_a_begun_file_is_asked_for(web, tmp_path, begun):
    folder = part(tmp_path, CONTENT[:begun])
    assert missing_bytes(REMOTE, folder) == len(CONTENT) - begun
    assert download(REMOTE, folder, [web.address]).read_bytes() == CONTENT
    assert web.requests == [("/7/speech.tar.gz", f"bytes={begun}-")]
    assert names(folder) == ["speech.tar.gz"]


def test_a_file_that_was_whole_already_is_only_checked(tmp_path):
    assert download(REMOTE, part(tmp_path, CONTENT), ["http://127.0.0.1:9"]).read_bytes() == CONTENT


@pytest.mark.parametrize("resumes", [True, False])
def test_a_connection_that_breaks_off_is_taken_up_again(web, tmp_path, resumes):
    web.breaks, web.resumes = (7_000 if resumes else None), resumes
    folder = part(tmp_path, CONTENT[:100])
    assert download(REMOTE, folder, [web.address]).read_bytes() == CONTENT
    begins = [100 + 7_000 * number for number in range(8)] if resumes else [100]
    assert [asked for _, asked in web.requests] == [f"bytes={begin}-" for begin in begins]


def test_a_server_that_sends_nothing_is_given_up(web, tmp_path):
    web.breaks = 0
    with pytest.raises(InputError, match=r"breaks off.*; 9 of 50,000 bytes are kept in "):
        download(REMOTE, part(tmp_path, CONTENT[:9]), [web.address])
    assert (tmp_path / "speech.tar.gz.part").read_bytes() == CONTENT[:9]


def test_an_answer_that_is_not_the_rest_is_refused(web, tmp_path):
    web.shift = 3
    with pytest.raises(InputError, match=r"from byte 1,003 on, asked for byte 1,000"):
        download(REMOTE, part(tmp_path, CONTENT[:1000]), [web.address])
    assert (tmp_path / "speech.tar.gz.part").read_bytes() == CONTENT[:1000]


@pytest.mark.parametrize(
    ("content", "extra", "message"),
    [
        (b"<html>log in first</html>", b"", "has a file of 25 bytes, and the published one has 50,000"),
        (CONTENT, b"more", "sends more than the 50,000 bytes"),
    ],
)
def test_another_file_is_refused_before_it_is_taken(web, tmp_path, content, extra, message):
    web.files["/7/speech.tar.gz"], web.extra = content, extra
    with pytest.raises(InputError, match=message):
        download(REMOTE, tmp_path / "a", [web.address])
    assert names(tmp_path / "a") == []


def test_a_wrong_checksum_removes_what_came(web, tmp_path):
    web.files["/7/speech.tar.gz"] = bytes(len(CONTENT))
    with pytest.raises(InputError, match=r"speech.tar.gz.part: not the published file: its SHA256 is .* start again"):
        download(REMOTE, tmp_path, [web.address])
    assert names(tmp_path) == []


def test_a_begun_file_that_was_another_one_is_found_out(web, tmp_path):
    with pytest.raises(InputError, match="not the published file"):
        download(REMOTE, part(tmp_path, b"x" + CONTENT[1:20]), [web.address])
    assert download(REMOTE, tmp_path, [web.address]).read_bytes() == CONTENT


def test_the_next_mirror_goes_on_where_the_last_one_failed(web, tmp_path):
    with serving() as poor:
        # It sends a few bytes, then another file.
        poor.files["/7/speech.tar.gz"], poor.breaks, poor.shift = CONTENT, 4_000, 1
        mirrors = ["http://127.0.0.1:9", poor.address, web.address]
        assert download(REMOTE, tmp_path, mirrors).read_bytes() == CONTENT
    assert [asked for _, asked in poor.requests + web.requests] == [None, "bytes=4000-", "bytes=4000-"]


def test_a_file_that_moved_is_followed_with_what_is_still_missing(web, tmp_path):
    with serving() as old:
        old.moved["/7/speech.tar.gz"] = f"{web.address}/7/speech.tar.gz"
        assert download(REMOTE, part(tmp_path, CONTENT[:123]), [old.address]).read_bytes() == CONTENT
    assert web.requests == [("/7/speech.tar.gz", "bytes=123-")]


def test_where_no_mirror_answers_each_is_named(web, tmp_path):
    web.files = {}
    with pytest.raises(InputError) as refusal:
        download(REMOTE, tmp_path, ["http://127.0.0.1:9/pub", web.address, "nonsense"])
    message = str(refusal.value)
    assert message.startswith("speech.tar.gz: could not be downloaded (http://127.0.0.1:9/pub: ")
    assert "refused" in message
    assert f"{web.address}: answers 404" in message
    assert "nonsense: " in message
    assert "\n" not in message
    assert names(tmp_path) == []


def test_a_disk_that_is_too_small_is_seen_before_the_first_byte(web, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda _: SimpleNamespace(free=49_000))
    with pytest.raises(InputError, match=r"GB are needed and 0\.0 GB are free"):
        download(REMOTE, tmp_path / "a", [web.address])
    assert web.requests == []
    # What is there already needs no room.
    assert download(REMOTE, part(tmp_path / "a", CONTENT[:2_000]), [web.address]).exists()


def test_two_processes_do_not_write_one_file(web, tmp_path):
    part(tmp_path, b"")
    with open(tmp_path / "speech.tar.gz.part", "ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="by another process"):
            download(REMOTE, tmp_path, [web.address])
    assert web.requests == []


def test_an_interrupted_download_is_kept(web, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "_BLOCK", 1_000)

    def interrupt(done, _):
        if done > 5_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(REMOTE, tmp_path, [web.address], interrupt)
    assert names(tmp_path) == ["speech.tar.gz.part"]
    kept = (tmp_path / "speech.tar.gz.part").read_bytes()
    assert kept
    assert CONTENT.startswith(kept)
    assert download(REMOTE, tmp_path, [web.address]).read_bytes() == CONTENT
    assert web.requests[-1][1] == f"bytes={len(kept)}-"


def test_verify_says_what_differs(tmp_path):
    path = tmp_path / "speech.tar.gz"
    path.write_bytes(CONTENT)
    verify(path, REMOTE)
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(InputError, match=r"49,999 bytes, and the published file has 50,000"):
        verify(path, REMOTE)
    path.write_bytes(CONTENT[:-1] + b"\0")
    with pytest.raises(InputError, match=f"expected {REMOTE.checksum.partition(':')[2]}"):
        verify(path, REMOTE)
