"""Of an archive the wanted part is unpacked, or nothing."""

import gzip
import io
import shutil
import tarfile
import time
import tracemalloc

import pytest

from asr_lm.corpora.archive import unpack
from asr_lm.errors import InputError

FILES = {
    "C/dev/a.txt": b"a",
    "C/dev/deep/b.txt": b"b" * 4_000,
    "C/test/c.txt": b"c",
    "C/README": b"read",
    "D/dev/d": b"",
}


def packed(files, links=()):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        for name, target in links:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
    return buffer.getvalue()


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "corpus.tgz"
    path.write_bytes(packed(FILES))
    return path


def there(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_only_what_is_wanted_is_unpacked(archive, tmp_path):
    told = []
    unpack(archive, tmp_path / "out", ["C/dev", "C/README"], lambda *progress: told.append(progress))
    assert there(tmp_path / "out") == {name: FILES[name] for name in ("C/dev/a.txt", "C/dev/deep/b.txt", "C/README")}
    assert told == sorted(told)
    assert told[-1] == (archive.stat().st_size,) * 2


def test_what_was_there_is_replaced(archive, tmp_path):
    (tmp_path / "out" / "C" / "dev").mkdir(parents=True)
    (tmp_path / "out" / "C" / "dev" / "old.txt").write_text("old")
    # What a killed run left behind.
    (tmp_path / "out" / ".corpus.tgz.unpacking" / "C" / "dev").mkdir(parents=True)
    (tmp_path / "out" / ".corpus.tgz.unpacking" / "C" / "dev" / "half.txt").write_text("ha")
    unpack(archive, tmp_path / "out", ["C/dev"])
    assert set(there(tmp_path / "out")) == {"C/dev/a.txt", "C/dev/deep/b.txt"}


def test_archives_within_are_unpacked_where_they_lie(tmp_path):
    inner = {f"S{n}": packed({f"./train/S{n}/x.wav": b"x", f"dev/S{n}/y.wav": b"y"}) for n in (1, 2)}
    outer = {f"c/wav/{name}.tar.gz": content for name, content in inner.items()} | {"c/transcript/t.txt": b"t"}
    (tmp_path / "c.tgz").write_bytes(packed(outer))
    unpack(tmp_path / "c.tgz", tmp_path / "out", ["c/wav/train", "c/transcript/t.txt"])
    expected = {"c/wav/train/S1/x.wav": b"x", "c/wav/train/S2/x.wav": b"x", "c/transcript/t.txt": b"t"}
    assert there(tmp_path / "out") == expected


def test_a_truncated_archive_leaves_nothing_wherever_it_ends(archive, tmp_path):
    whole = archive.read_bytes()
    for length in (0, 5, 30, len(whole) // 2, len(whole) - 9, len(whole) - 8, len(whole) - 1):
        archive.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"corpus.tgz: damaged or truncated archive"):
            unpack(archive, tmp_path / "out", ["C/dev"])
        assert list((tmp_path / "out").iterdir()) == []


def test_a_truncated_archive_within_an_archive_is_refused(tmp_path):
    inner = packed({"train/S1/x.wav": b"x" * 3_000})
    (tmp_path / "c.tgz").write_bytes(packed({"c/wav/S1.tar.gz": inner[:-4]}))
    with pytest.raises(InputError, match="damaged or truncated"):
        unpack(tmp_path / "c.tgz", tmp_path / "out", ["c/wav/train"])
    assert list((tmp_path / "out").iterdir()) == []


def test_a_flipped_bit_is_found_by_the_checksum(tmp_path):
    plain = bytearray(gzip.decompress(packed({"C/dev/a.txt": b"a" * 100})))
    content = bytearray(gzip.compress(bytes(plain), compresslevel=0))
    content[content.index(b"aaaa")] ^= 1
    (tmp_path / "c.tgz").write_bytes(content)
    with pytest.raises(InputError, match="CRC check failed"):
        unpack(tmp_path / "c.tgz", tmp_path / "out", ["C/dev"])
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("target", ["/etc", "../../../elsewhere"])
def test_links_out_of_the_folder_are_refused(tmp_path, target):
    (tmp_path / "c.tgz").write_bytes(packed({}, [("C/dev/link", target)]))
    with pytest.raises(InputError, match="is not safe to unpack"):
        unpack(tmp_path / "c.tgz", tmp_path / "out", ["C/dev"])
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("name", ["../evil", "C/dev/../../../evil", "/tmp/evil"])
def test_nothing_is_written_outside(tmp_path, name):
    inner = packed({name: b"x", "C/dev/fine": b"f"})
    (tmp_path / "c.tgz").write_bytes(packed({name: b"x", "C/dev/fine": b"f", "../inner.tgz": inner}))
    unpack(tmp_path / "c.tgz", tmp_path / "out" / "deep", ["C/dev"])
    assert there(tmp_path / "out") == {"deep/C/dev/fine": b"f"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.tgz", "out"]


def test_something_that_is_lacking_is_named(archive, tmp_path):
    with pytest.raises(InputError, match=r"corpus.tgz: holds no C/train"):
        unpack(archive, tmp_path / "out", ["C/dev", "C/train"])
    assert list((tmp_path / "out").iterdir()) == []


def test_an_interrupted_unpacking_leaves_nothing(archive, tmp_path):
    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unpack(archive, tmp_path / "out", ["C/dev"], interrupt)
    assert list((tmp_path / "out").iterdir()) == []


def test_archives_that_never_end_within_each_other_are_refused(tmp_path):
    content = packed({"C/dev/a": b"a"})
    for _ in range(6):
        content = packed({"C/dev/inner.tgz": content})
    (tmp_path / "c.tgz").write_bytes(content)
    with pytest.raises(InputError, match=r"c.tgz: archives within each other more than 4 times"):
        unpack(tmp_path / "c.tgz", tmp_path / "out", ["C/dev"])
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_a_name_of_gigabytes_is_refused_before_it_is_read(tmp_path, kind):
    entry = tarfile.TarInfo("C/dev/a")
    entry.type, entry.size = kind, 2**33
    with gzip.open(tmp_path / "c.tgz", "wb") as stream:
        stream.write(entry.tobuf(tarfile.GNU_FORMAT) + bytes(2**25))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"c.tgz: an entry with 8,589,934,592 bytes of facts about it"):
            unpack(tmp_path / "c.tgz", tmp_path / "out", ["C/dev"])
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()


def test_a_large_file_has_a_limit_and_needs_space(tmp_path, archive, monkeypatch):
    monkeypatch.setenv("ASR_LM_MAX_MEMBER", "3999")
    with pytest.raises(InputError, match=r"b.txt: a file in the archive beyond 3,999 bytes.*raise \$ASR_LM_MAX_MEMBER"):
        unpack(archive, tmp_path / "out", ["C/dev"])
    monkeypatch.setenv("ASR_LM_MAX_MEMBER", "4000")
    unpack(archive, tmp_path / "out", ["C/dev"])
    free = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr("asr_lm.corpora.archive.shutil.disk_usage", lambda folder: free)
    with pytest.raises(InputError, match=r"C/dev/deep/b.txt takes 4,000 bytes, and 10 are free"):
        unpack(archive, tmp_path / "out", ["C/dev"])
    assert there(tmp_path / "out") == {name: FILES[name] for name in ("C/dev/a.txt", "C/dev/deep/b.txt")}


def entries(*given):
    """A gzipped archive of entries as they are given, each with its content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for entry, content in given:
            tar.fileobj.write(entry.tobuf(tarfile.PAX_FORMAT))
            tar.fileobj.write(content + bytes(-len(content) % 512))
    return gzip.compress(buffer.getvalue())


def entry_of(name="C/dev/a", size=0, kind=tarfile.REGTYPE, facts=()):
    entry = tarfile.TarInfo(name)
    entry.size, entry.type, entry.pax_headers = size, kind, dict(facts)
    return entry


def refused_quickly(tmp_path, content, message):
    (tmp_path / "c.tgz").write_bytes(content)
    begin = time.process_time()
    with pytest.raises(InputError, match=message):
        unpack(tmp_path / "c.tgz", tmp_path / "out", ["C/dev"])
    assert time.process_time() - begin < 2
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("facts", [{"GNU.sparse.map": "0,1,a"}, {"size": "-1"}, {"mtime": "1e400"}, {"mtime": "nan"}])
def test_facts_about_an_entry_that_are_nonsense(tmp_path, facts):
    refused_quickly(tmp_path, entries((entry_of(facts=facts), b"")), "c.tgz: damaged or truncated archive")


@pytest.mark.parametrize("size", [2**33 - 1, 2**36, 10**15])
@pytest.mark.parametrize("name", ["C/dev/a", "C/test/a", "C/dev/a.tgz"])
def test_a_size_that_is_only_claimed_is_not_read_for_ever(tmp_path, size, name):
    message = "damaged or truncated|beyond 8,589,934,592 bytes|are free"
    refused_quickly(tmp_path, entries((entry_of(name, size), b"a")), message)


@pytest.mark.parametrize("facts", [b"9" * 60_000, b"9 hdrcharset=a" * 4_000, b"9" * 500_000])
def test_facts_that_python_takes_hours_to_look_through_are_refused(tmp_path, facts):
    given = [(entry_of(size=len(facts), kind=tarfile.XHDTYPE), facts)] * 3
    refused_quickly(tmp_path, entries(*given, (entry_of(), b"")), "facts about it")


def test_facts_about_facts_without_end_are_refused(tmp_path):
    facts = b"11 size=00\n"
    given = [(entry_of(size=len(facts), kind=tarfile.XHDTYPE), facts)] * 3_000
    refused_quickly(tmp_path, entries(*given, (entry_of(), b"")), "damaged or truncated")


def test_what_an_archive_unpacks_to_has_a_limit(tmp_path, monkeypatch):
    """Each archive within an archive may be a thousandth of what is in it."""
    bomb = bytes(2**27)
    for content in (packed({"C/test/a": bomb}), packed({"C/test/b.tgz": packed({"a": bomb}), "C/dev/a": b"a"})):
        refused_quickly(tmp_path, content, r"unpacks to more than 67,108,864 bytes.*raise \$ASR_LM_MAX_UNPACKED")
    monkeypatch.setenv("ASR_LM_MAX_UNPACKED", str(2**28))
    (tmp_path / "c.tgz").write_bytes(content)
    unpack(tmp_path / "c.tgz", tmp_path / "out", ["C/dev"])
    assert there(tmp_path / "out") == {"C/dev/a": b"a"}
