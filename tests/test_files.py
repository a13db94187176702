"""Files are read whatever their compression and are either written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import gzip
import io
import os
import resource
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from asr_lm.errors import InputError
from asr_lm.files import atomic_write, iterate_lines, iterate_text, open_binary, read_bytes, write_text
from asr_lm.partial_files import partial_folder, remove_unfinished

TEXT = "".join(f"line {number} – ü\n" for number in range(5000))


def packed(suffix: str, data: bytes) -> bytes:
    if suffix == ".gz":
        return gzip.compress(data)
    return zstandard.ZstdCompressor(write_checksum=True).compress(data) if suffix == ".zst" else data


def incompressible(size: int) -> bytes:
    return os.urandom(size).replace(b"\n", b" ") + b"\n"


def give_stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(data))))


def fail_while_writing(path: Path, failure: BaseException | type[BaseException]) -> None:
    with atomic_write(path) as stream:
        stream.write(b"new" * 100_000)
        raise failure


@contextlib.contextmanager
def most_bytes_of_a_file(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class TestReading:
    @pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a.txt.zst"])
    def test_lines_are_those_written(self, tmp_path: Path, name: str) -> None:
        write_text(tmp_path / name, TEXT)
        assert list(iterate_text(tmp_path / name)) == list(enumerate(TEXT.splitlines(), 1))
        assert read_bytes(tmp_path / name) == TEXT.encode()

    @pytest.mark.parametrize("suffix", [".gz", ".zst"])
    def test_content_and_not_the_name_says_what_is_compressed(self, tmp_path: Path, suffix: str) -> None:
        (tmp_path / "plain.txt").write_bytes(packed(suffix, b"a\nb\n"))
        (tmp_path / f"packed{suffix}").write_bytes(b"a\nb\n")
        assert read_bytes(tmp_path / "plain.txt") == read_bytes(tmp_path / f"packed{suffix}") == b"a\nb\n"

    @pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
    def test_standard_input(self, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
        give_stdin(monkeypatch, packed(suffix, b"a\nb"))
        assert list(iterate_text("-")) == [(1, "a"), (2, "b")]
        with pytest.raises(InputError, match=r"<stdin>: standard input is closed: it can be read only once"):
            list(iterate_text("-"))

    def test_several_packed_streams_in_a_row_are_one_text(self, tmp_path: Path) -> None:
        for suffix in (".gz", ".zst"):
            (tmp_path / "a").write_bytes(packed(suffix, b"a\nb") + packed(suffix, b"c\n"))
            assert list(iterate_text(tmp_path / "a")) == [(1, "a"), (2, "bc")]

    def test_line_ends_and_byte_order_mark_are_no_text(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes("\ufeffa\r\n\n b\u2028c \nlast".encode())
        assert list(iterate_text(tmp_path / "a")) == [(1, "a"), (2, ""), (3, " b\u2028c "), (4, "last")]

    def test_empty_file_has_no_lines(self, tmp_path: Path) -> None:
        for suffix in ("", ".gz", ".zst"):
            (tmp_path / "a").write_bytes(packed(suffix, b""))
            assert list(iterate_text(tmp_path / "a")) == []

    @given(st.binary(max_size=200), st.sampled_from(["", ".gz", ".zst"]))
    def test_bytes_come_back(self, tmp_path_factory: pytest.TempPathFactory, data: bytes, suffix: str) -> None:
        path = tmp_path_factory.getbasetemp() / f"bytes{suffix}"
        with atomic_write(path) as stream:
            stream.write(data)
        if data[:2] != b"\x1f\x8b" and data[:4] != b"\x28\xb5\x2f\xfd":
            assert read_bytes(path) == data

    @pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
    def test_reading_leaves_no_file_open(self, tmp_path: Path, suffix: str) -> None:
        (tmp_path / "a").write_bytes(packed(suffix, b"a\n" * 100))
        with warnings.catch_warnings():
            warnings.simplefilter("error", ResourceWarning)
            before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
            streams = [open_binary(tmp_path / "a") for _ in range(3)]
            for stream in streams:
                stream.read(5)
                stream.close()
            assert before in (0, len(os.listdir("/proc/self/fd")))


class TestBadInput:
    def test_missing_file_and_folder(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no such file") as error:
            open_binary(tmp_path / "none")
        assert error.value.file == str(tmp_path / "none")
        with pytest.raises(InputError, match="is a folder, a file was expected"):
            open_binary(tmp_path)

    @pytest.mark.parametrize("suffix", [".gz", ".zst"])
    @pytest.mark.parametrize("share", [0.3, 0.7, 0.999])
    def test_a_stream_cut_off_is_not_taken_for_the_whole(self, tmp_path: Path, suffix: str, share: float) -> None:
        data = packed(suffix, b"first\n" + incompressible(300_000))
        (tmp_path / "cut").write_bytes(data[: int(len(data) * share)])
        with pytest.raises(InputError, match="damaged or truncated file") as error:
            list(iterate_lines(tmp_path / "cut"))
        assert (error.value.file, error.value.line) == (str(tmp_path / "cut"), 2)
        with pytest.raises(InputError, match="damaged or truncated file"):
            read_bytes(tmp_path / "cut")

    @pytest.mark.parametrize("suffix", [".gz", ".zst"])
    def test_a_damaged_stream(self, tmp_path: Path, suffix: str) -> None:
        data = bytearray(packed(suffix, incompressible(5000)))
        data[40:60] = bytes(20)
        data[-9:] = bytes(9)
        (tmp_path / "damaged").write_bytes(data)
        with pytest.raises(InputError, match="damaged or truncated file"):
            read_bytes(tmp_path / "damaged")

    def test_other_encodings_are_refused_with_their_line(self, tmp_path: Path) -> None:
        (tmp_path / "latin").write_bytes("gut\nschön\n".encode("latin-1"))
        with pytest.raises(InputError, match="not UTF-8") as error:
            list(iterate_text(tmp_path / "latin"))
        assert (error.value.file, error.value.line) == (str(tmp_path / "latin"), 2)


BOMBS = {"blanks": b" ", "newlines": b"\n", "lines of blanks": b" " * 99 + b"\n", "zeros": b"\0", "one line": b"a"}
FEW = {"ASR_LM_MAX_LINE": "1000", "ASR_LM_MAX_BLANK": "1000"}
READ = """
import resource, sys
from asr_lm.errors import InputError
from asr_lm.files import iterate_lines
resource.setrlimit(resource.RLIMIT_AS, (2**29, 2**29))
try:
    for _ in iterate_lines(sys.argv[1]):
        pass
except InputError as error:
    print(error)
"""


class TestLimits:
    @pytest.mark.parametrize("suffix", [".zst", ".gz"])
    @pytest.mark.parametrize("kind", BOMBS)
    def test_a_bomb_is_refused_before_memory_is_asked_for(self, tmp_path: Path, suffix: str, kind: str) -> None:
        block = packed(suffix, BOMBS[kind] * (2**25 // len(BOMBS[kind])))
        (tmp_path / "bomb").write_bytes(block * 64)
        finished = subprocess.run([sys.executable, "-c", READ, tmp_path / "bomb"], capture_output=True, text=True)
        assert finished.stderr == ""
        assert "beyond" in finished.stdout
        assert "raise $ASR_LM_MAX" in finished.stdout

    @pytest.mark.parametrize("suffix", ["", ".zst", ".gz"])
    def test_each_can_be_raised(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
        files = {"ASR_LM_MAX_LINE": b"ok\n" + b"a" * 2000, "ASR_LM_MAX_BLANK": b"ok\n" + b" \n" * 600}
        for name, content in files.items():
            (tmp_path / "a").write_bytes(packed(suffix, content))
            expected = list(enumerate((line.rstrip() if line == b"\n" else line for line in content.splitlines()), 1))
            assert list(iterate_lines(tmp_path / "a")) == expected
            monkeypatch.setenv(name, FEW[name])
            with pytest.raises(InputError, match=rf"beyond 1,000 bytes; if it is meant so, raise \${name}") as error:
                list(iterate_lines(tmp_path / "a"))
            assert error.value.file == str(tmp_path / "a")
            monkeypatch.setenv(name, "100000")
            assert list(iterate_lines(tmp_path / "a")) == expected

    @pytest.mark.parametrize("suffix", ["", ".zst", ".gz"])
    def test_of_a_file_that_is_read_as_a_whole(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
    ) -> None:
        content = bytes(range(256)) * 20
        (tmp_path / "a").write_bytes(packed(suffix, content))
        monkeypatch.setenv("ASR_LM_MAX_FILE", "5000")
        assert read_bytes(tmp_path / "a", 5000) == content[:5000]
        assert read_bytes(tmp_path / "a", 0) == b""
        for limit in (-1, 5001):
            with pytest.raises(InputError, match=r"raise \$ASR_LM_MAX_FILE"):
                read_bytes(tmp_path / "a", limit)
        monkeypatch.setenv("ASR_LM_MAX_FILE", "5120")
        assert read_bytes(tmp_path / "a") == content

    @pytest.mark.parametrize("value", ["much", "0", "-1", "1e9", "9" * 30, "\u0661"])
    def test_a_limit_that_is_no_number(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
        (tmp_path / "a").write_bytes(b"a")
        monkeypatch.setenv("ASR_LM_MAX_LINE", value)
        with pytest.raises(InputError, match=r"\$ASR_LM_MAX_LINE: expected a number of bytes above 0"):
            list(iterate_lines(tmp_path / "a"))


WRITE_AND_STAY = """
import sys
from asr_lm.files import atomic_write
with atomic_write(sys.argv[1]) as stream:
    stream.write(b"half")
    print("written", flush=True)
    sys.stdin.read()
"""


class TestKilledRuns:
    @pytest.fixture
    def writer(self, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
        """A process that has half written ``out``."""
        line = [sys.executable, "-c", WRITE_AND_STAY, tmp_path / "out"]
        with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout
            assert process.stdout.readline() == b"written\n"
            yield process
            process.kill()

    def test_what_they_leave_goes_with_the_next(self, tmp_path: Path, writer: subprocess.Popen[bytes]) -> None:
        writer.kill()
        writer.wait()
        (tmp_path / ".output.x.partial").touch()
        assert len(os.listdir(tmp_path)) == 2
        write_text(tmp_path / "out", "whole")
        assert sorted(os.listdir(tmp_path)) == [".output.x.partial", "out"]

    def test_what_another_is_writing_stays(self, tmp_path: Path, writer: subprocess.Popen[bytes]) -> None:
        write_text(tmp_path / "out", "whole")
        assert len(os.listdir(tmp_path)) == 2
        writer.communicate()
        assert writer.returncode == 0
        assert os.listdir(tmp_path) == ["out"]
        assert (tmp_path / "out").read_text() == "half"


FOLDER_AND_STAY = """
import sys
from pathlib import Path
from asr_lm.partial_files import partial_folder
with partial_folder(Path(sys.argv[1])) as folder:
    (folder / "half").touch()
    print("written", flush=True)
    sys.stdin.read()
"""


class TestPartialFolders:
    def test_they_go_at_the_end_and_those_of_killed_runs_with_the_next(self, tmp_path: Path) -> None:
        line = [sys.executable, "-c", FOLDER_AND_STAY, tmp_path / "out"]
        with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout
            assert process.stdout.readline() == b"written\n"
            with partial_folder(tmp_path / "out") as folder:
                assert len(os.listdir(tmp_path)) == 2
                assert os.listdir(folder) == []
            assert len(os.listdir(tmp_path)) == 1
            process.kill()
        assert len(os.listdir(tmp_path)) == 1
        with partial_folder(tmp_path / "out") as folder:
            assert os.listdir(tmp_path) == [folder.name]
        assert os.listdir(tmp_path) == []


def interrupted(work: Callable[[], None], step: int) -> bool:
    """Ctrl-C before so many bytecodes of what makes files; False where the work has fewer."""
    left = step

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        if Path(frame.f_code.co_filename).name not in ("files.py", "partial_files.py", "contextlib.py"):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            left -= 1
            if left == 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def a_folder_and_a_file_in_it(place: Path) -> None:
    with partial_folder(place) as folder:
        write_text(folder / "in it", "half")


class TestInterrupts:
    """Whenever Ctrl-C comes, what a command does at its end leaves nothing half written."""

    @pytest.mark.parametrize("work", [lambda place: write_text(place, "new"), a_folder_and_a_file_in_it])
    def test_between_any_two_steps(self, tmp_path: Path, work: Callable[[Path], None]) -> None:
        place = tmp_path / "out"
        step, left_by_itself = 1, 0
        while interrupted(lambda: work(place), step):
            left_by_itself += any(name != "out" for name in os.listdir(tmp_path))
            remove_unfinished()
            assert [name for name in os.listdir(tmp_path) if name != "out"] == []
            step += 3
        assert step > 200
        assert left_by_itself > 0  # else there would be no need of it


class TestWriting:
    @pytest.mark.parametrize("suffix", [".gz", ".zst"])
    def test_suffix_chooses_the_compression(self, tmp_path: Path, suffix: str) -> None:
        write_text(tmp_path / f"a{suffix}", "x" * 10_000)
        data = (tmp_path / f"a{suffix}").read_bytes()
        assert len(data) < 200
        unpacked = (
            gzip.decompress(data) if suffix == ".gz" else zstandard.ZstdDecompressor().decompressobj().decompress(data)
        )
        assert unpacked == b"x" * 10_000

    def test_the_same_text_gives_the_same_bytes(self, tmp_path: Path) -> None:
        for suffix in (".gz", ".zst"):
            for folder in ("a", "b"):
                (tmp_path / folder).mkdir(exist_ok=True)
                write_text(tmp_path / folder / f"x{suffix}", TEXT)
            assert (tmp_path / "a" / f"x{suffix}").read_bytes() == (tmp_path / "b" / f"x{suffix}").read_bytes()

    @pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit, InputError("no"), GeneratorExit])
    @pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
    def test_any_failure_leaves_the_old_file_and_nothing_else(
        self, tmp_path: Path, suffix: str, failure: BaseException | type[BaseException]
    ) -> None:
        path = tmp_path / f"a{suffix}"
        write_text(path, "old")
        before = path.read_bytes()
        with pytest.raises(failure if isinstance(failure, type) else type(failure)):
            fail_while_writing(path, failure)
        assert path.read_bytes() == before
        assert os.listdir(tmp_path) == [path.name]

    @pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
    def test_a_file_the_system_does_not_let_grow(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"a{suffix}"
        write_text(path, "old")
        before = path.read_bytes()
        data = incompressible(3_000_000)
        refused = pytest.raises(InputError, match=r"cannot be written \(File too large\)")
        with most_bytes_of_a_file(1_000_000), refused, atomic_write(path) as stream:
            stream.write(data)
        assert path.read_bytes() == before
        assert os.listdir(tmp_path) == [path.name]

    @pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
    def test_a_full_disk_is_told_and_leaves_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
    ) -> None:
        def full(descriptor: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        path = tmp_path / f"a{suffix}"
        with pytest.raises(InputError, match=r"cannot be written \(No space left on device\)") as error:
            write_text(path, "new")
        assert error.value.file == str(path)
        assert os.listdir(tmp_path) == []

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
    @pytest.mark.parametrize("size", [10, 1_000_000])
    def test_a_device_that_is_full(self, size: int) -> None:
        with pytest.raises(InputError, match=r"/dev/full: cannot be written \(No space left on device\)"):
            write_text("/dev/full", "x" * size)

    def test_missing_folder_and_folder_in_the_way(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="cannot be written") as error:
            write_text(tmp_path / "none" / "a", "x")
        assert error.value.file == str(tmp_path / "none" / "a")
        (tmp_path / "folder").mkdir()
        with pytest.raises(InputError, match="cannot be written"):
            write_text(tmp_path / "folder", "x")
        assert os.listdir(tmp_path) == ["folder"]
        assert os.listdir(tmp_path / "folder") == []

    def test_another_files_failure_is_not_blamed_on_the_written_one(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a"):
            (tmp_path / "none").read_bytes()
        assert os.listdir(tmp_path) == []

    def test_a_link_stays_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "target").write_text("old")
        (tmp_path / "link").symlink_to(tmp_path / "target")
        write_text(tmp_path / "link", "new")
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "target").read_text() == "new"

    def test_a_pipe_is_written_and_not_replaced(self, tmp_path: Path) -> None:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
            write_text(pipe, "through")
            assert reader.communicate()[0] == b"through"
        assert pipe.is_fifo()

    def test_permissions_are_those_of_any_new_file(self, tmp_path: Path) -> None:
        (tmp_path / "plain").write_text("x")
        write_text(tmp_path / "atomic", "x")
        assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode
