"""What every command owes its user: quick help, one line for an error, nothing half written, no traceback."""

from __future__ import annotations

import errno
import io
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from toy_language import Command, Toy

from asr_lm.errors import InputError
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.hypotheses.writing import write_nbest
from pipelines.command import check_outputs, run

ROOT = Path(__file__).parents[2]
COMMANDS = ("rescore", "train", "perplexity", "generate", "compare")
HELP_COST = 3.5
"""Computing of ``--help``, in times of what importing the library of its options takes."""


def python(*arguments: object, stdin: bytes = b"", stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[bytes]:
    """A command in a Python of its own, in the current folder."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    line = [sys.executable, *map(str, arguments)]
    return subprocess.run(line, input=stdin, stdout=stdout, stderr=subprocess.PIPE, env=environment, check=False)


def computing(*arguments: object) -> tuple[float, subprocess.CompletedProcess[bytes]]:
    """Seconds of processor time that a command took, and the command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    finished = python(*arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, finished


class TestHelp:
    """``--help`` answers at once."""

    def test_it_computes_little_more_than_its_library(self) -> None:
        library, ours = [], []
        for _ in range(3):
            library.append(computing("-c", "import tyro")[0])
            seconds, finished = computing("-m", "pipelines.rescore", "--help")
            ours.append(seconds)
            assert finished.returncode == 0
            assert b"--nbest" in finished.stdout
        assert min(ours) < HELP_COST * min(library)

    def test_it_imports_nothing_heavy(self) -> None:
        finished = python("-X", "importtime", "-m", "pipelines.rescore", "--help")
        imported = {line.rpartition(b"|")[2].strip().split(b".")[0] for line in finished.stderr.splitlines()}
        assert b"tyro" in imported
        assert not imported & {b"torch", b"numpy", b"scipy", b"pyarrow", b"kenlm", b"sentencepiece", b"jiwer", b"rich"}

    @pytest.mark.parametrize("name", COMMANDS)
    def test_every_command_has_it(self, command: Command, name: str) -> None:
        finished = command(name, "--help")
        assert finished.code == 0
        assert f"python -m pipelines.{name}" in finished.out
        assert not finished.err

    @pytest.mark.parametrize("model", ["ngram", "lstm"])
    def test_every_model_has_it(self, command: Command, model: str) -> None:
        finished = command("train", model, "--help")
        assert finished.code == 0
        assert "--text" in finished.out


class TestCommandLine:
    """What is wrong with a command line is said in one line."""

    @pytest.mark.parametrize(
        ("line", "fragments"),
        [
            ("rescore", ["--nbest", "expected at least one list"]),
            ("rescore --nbest", ["--nbest", "rescore --help"]),
            ("rescore --nbset x", ["--nbset", "perhaps you meant --nbest", "rescore --help"]),
            ("rescore b --nbest a", ["Unrecognized options: b"]),
            ("rescore --nbest a --out b c", ["Unrecognized options: c"]),
            ("rescore --nbest a --out b --out c", ["--out", "given twice"]),
            ("train lstm --text a --valid b --valid c --out d", ["--valid", "given twice"]),
            ("train lstm --preset a --preset b --text a --valid b --out d", ["--preset", "given twice"]),
            ("rescore --nbest a --decision worst", ["'worst'", "--decision", "best, mbr, rover"]),
            ("rescore --nbest a --budget many", ["--budget", "many"]),
            ("train", ["{ngram, nnlm, rnnlm, gru, lstm, bilstm, ", "train --help"]),
            ("train trigram", ["no model is called 'trigram'; there are ngram, nnlm"]),
            ("train ngram", ["--text", "--out", "train ngram --help"]),
            ("train ngram --text a --out b --order three", ["--order", "three"]),
            ("train lstm --text a --out b", ["--valid", "train lstm --help"]),
            ("perplexity --lm a", ["--text", "perplexity --help"]),
            ("perplexity --lm a --text", ["--text", "at least one file"]),
            ("perplexity --text a", ["--lm", "at least one model"]),
            ("compare --dev a --test", ["--test", "compare --help"]),
        ],
    )
    def test_it_is_named(self, command: Command, line: str, fragments: list[str]) -> None:
        name, *arguments = line.split()
        complaint = command(name, *arguments).complaint
        for fragment in fragments:
            assert fragment in complaint
        assert not set(complaint) & set("╭╮╰╯│─")


class TestOutputs:
    """Where results may go is known before work begins."""

    @pytest.mark.parametrize(
        ("paths", "message"),
        [
            (["missing/r.json"], r"missing/r\.json: cannot be written: there is no folder missing"),
            (["."], "is a folder, a file was expected"),
            (["file/r.json"], "there is no folder file"),
            (["a.json", "b.json", "./a.json"], "two outputs would go to this file"),
        ],
    )
    def test_what_cannot_be_written_is_refused(self, paths: list[str], message: str) -> None:
        Path("file").touch()
        with pytest.raises(InputError, match=message):
            check_outputs(paths)

    @pytest.mark.parametrize("path", ["list.json", "./list.json", "link.json"])
    def test_inputs_are_not_replaced(self, path: str) -> None:
        Path("list.json").touch()
        Path("link.json").symlink_to("list.json")
        with pytest.raises(InputError, match="is an input, too"):
            check_outputs(["new.json", path], [None, Path("list.json"), "-"])

    def test_lists_of_one_name_do_not_replace_each_other(self, command: Command, toy: Toy, ngram: Path) -> None:
        Path("dev.json").write_bytes(toy.test.read_bytes())
        finished = command("rescore", "--nbest", toy.dev, "--nbest", "dev.json", "--lm", ngram)
        assert "dev.rescored.json: two outputs would go to this file" in finished.complaint

    def test_what_can_be_written_is_not_refused(self) -> None:
        Path("old.json").touch()
        check_outputs([None, "-", "-", "new.json", Path("old.json"), "/dev/null", "/dev/null"])
        assert not Path("new.json").exists()

    def test_permission_is_needed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Path("closed").mkdir()
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != Path("closed"))
        check_outputs(["open.json"])
        with pytest.raises(InputError, match=r"closed/r\.json: cannot be written: no permission"):
            check_outputs(["closed/r.json"])


class TestFullDisk:
    """A disk that is full spoils nothing that was there."""

    @pytest.fixture
    def full_disk(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
        """Let the disk be full for files of one name."""

        def fill(name: str) -> None:
            replace = os.replace

            def refuse(source: str, target: object) -> None:
                if Path(str(target)).name == name:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), source)
                replace(source, str(target))

            monkeypatch.setattr(os, "replace", refuse)

        return fill

    @pytest.mark.parametrize("name", ["out.json", "report.json", "weights.json"])
    def test_what_rescore_writes(
        self, command: Command, toy: Toy, ngram: Path, full_disk: Callable[[str], None], name: str
    ) -> None:
        for path in ("out.json", "report.json", "weights.json"):
            Path(path).write_text("old")
        full_disk(name)
        outputs = ("--out", "out.json", "--json", "report.json", "--save-weights", "weights.json")
        finished = command("rescore", "--nbest", toy.test, "--dev", toy.dev, "--lm", ngram, *outputs)
        assert finished.complaint == f"error: {name}: cannot be written (No space left on device)"
        assert Path(name).read_text() == "old"

    def test_a_model(self, command: Command, toy: Toy, full_disk: Callable[[str], None]) -> None:
        full_disk("model.arpa")
        finished = command("train", "ngram", "--text", toy.train, "--out", "m", "--order", 2)
        assert finished.code == 2
        assert finished.err.splitlines()[-1] == "error: m/model.arpa: cannot be written (No space left on device)"
        assert not Path("m/config.json").exists()
        assert not [name for name in finished.written if "partial" in name or "arpa" in name]

    def test_the_cache(self, command: Command, toy: Toy, ngram: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fsync, cache = os.fsync, Path(os.environ["ASR_LM_CACHE"])

        def refuse(descriptor: int) -> None:
            if Path(os.readlink(f"/proc/self/fd/{descriptor}")).parent == cache:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", refuse)
        finished = command("rescore", "--nbest", toy.test, "--lm", ngram)
        assert finished.code == 0, finished.err
        assert f"warning: {cache}: scores cannot be kept here" in finished.err
        assert not any(cache.iterdir())
        without = command("rescore", "--nbest", toy.test, "--lm", ngram, "--no-cache", "--out", "without.json")
        assert "scores cannot be kept" not in without.err
        assert Path("without.json").read_bytes() == Path("test.rescored.json").read_bytes()

    @pytest.mark.parametrize("count", [1, 40])
    def test_standard_output(self, toy: Toy, ngram: Path, count: int) -> None:
        write_nbest("list.json", toy.utterances("test")[:count])
        line = ("-m", "pipelines.rescore", "--nbest", "-", "--lm", ngram)
        with open("/dev/full", "wb") as full:
            finished = python(*line, stdin=Path("list.json").read_bytes(), stdout=full.fileno())
        assert finished.returncode == 2
        assert b"Exception ignored" not in finished.stderr
        assert finished.stderr.splitlines()[-1] == b"error: the output: No space left on device"


class TestInterruption:
    """Ctrl-C ends with 130 and leaves nothing half written."""

    @pytest.mark.parametrize("where", ["scoring", "writing", "models"])
    def test_of_rescore(
        self, command: Command, toy: Toy, ngram: Path, monkeypatch: pytest.MonkeyPatch, where: str
    ) -> None:
        def interrupt(*arguments: object, **options: object) -> None:
            raise KeyboardInterrupt

        place = {
            "scoring": "asr_lm.rescoring.scoring.scorer.score_texts",
            "writing": "asr_lm.files.os.fsync",
            "models": "asr_lm.rescoring.scoring.models.load_model",
        }[where]
        monkeypatch.setattr(place, interrupt)
        Path("out.json").write_text("old")
        finished = command("rescore", "--nbest", toy.test, "--lm", ngram, "--out", "out.json")
        assert finished.code == 130
        assert "interrupted" in finished.err
        assert "Traceback" not in finished.err
        assert not finished.written
        assert Path("out.json").read_text() == "old"

    def test_sigterm_does_the_same(
        self, command: Command, toy: Toy, ngram: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            "asr_lm.rescoring.scoring.scorer.score_texts", lambda *_, **__: signal.raise_signal(signal.SIGTERM)
        )
        finished = command("rescore", "--nbest", toy.test, "--lm", ngram, "--out", "out.json")
        assert (finished.code, finished.written) == (143, frozenset())
        assert finished.err.splitlines()[-1] == "terminated; nothing half written is left behind"
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL

    def test_sigterm_is_heard_where_ctrl_c_is_not(
        self, command: Command, toy: Toy, ngram: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("asr_lm.files.os.fsync", lambda _: signal.raise_signal(signal.SIGTERM))
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            assert command("rescore", "--nbest", toy.test, "--lm", ngram, "--no-cache").code == 143
        finally:
            signal.signal(signal.SIGINT, before)

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_a_signal_is_not_lost_in_a_destructor(self, number: int, code: int) -> None:
        finished = python("-c", INTERRUPTED_DESTRUCTOR, number)
        assert (finished.returncode, finished.stdout) == (code, b"")
        assert b"Traceback" not in finished.stderr


INTERRUPTED_DESTRUCTOR = """
import signal, sys, time
from pipelines.command import run

signal.signal(signal.SIGINT, signal.default_int_handler)

class Sound:
    def __del__(self):
        signal.raise_signal(int(sys.argv[1]))

def main():
    Sound()
    time.sleep(30)
    print("went on to the end")

run(main)
"""


class TestStreams:
    """Standard output and error as they are met in the wild."""

    def test_nothing_but_the_list_goes_to_standard_output(self, toy: Toy, ngram: Path) -> None:
        line = ("-m", "pipelines.rescore", "--nbest", "-", "--dev", toy.dev, "--lm", ngram)
        finished = python(*line, stdin=toy.test.read_bytes())
        assert finished.returncode == 0, finished.stderr
        Path("list.jsonl").write_bytes(finished.stdout)
        assert [utterance.id for utterance in read_nbest("list.jsonl")] == [f"test{n}" for n in range(40)]
        assert b"rescored" in finished.stderr

    def test_a_reader_that_leaves_early_is_no_error(self, toy: Toy, ngram: Path) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        try:
            line = ("-m", "pipelines.perplexity", "--lm", ngram, "--text", toy.valid, "--json", "p.json")
            finished = python(*line, stdout=writing)
        finally:
            os.close(writing)
        assert finished.returncode == 0
        assert finished.stderr == b""
        assert Path("p.json").exists()

    def test_nor_is_one_who_wants_no_list(self, toy: Toy, ngram: Path) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        try:
            finished = python(
                "-m", "pipelines.rescore", "--nbest", toy.test, "--lm", ngram, "--out", "-", stdout=writing
            )
        finally:
            os.close(writing)
        assert finished.returncode == 0
        assert b"Exception" not in finished.stderr

    @pytest.mark.parametrize("closed", ["0", "1", "2", "012"])
    def test_closed_ones_do_no_harm(self, toy: Toy, ngram: Path, closed: str) -> None:
        line = (sys.executable, "-m", "pipelines.rescore", "--nbest", toy.test, "--lm", ngram)
        shell = ["sh", "-c", '"$@" ' + " ".join(f"{descriptor}>&-" for descriptor in closed), "sh", *map(str, line)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        finished = subprocess.run(shell, capture_output=True, env=environment, check=False)
        assert finished.returncode == 0, finished.stderr
        assert b"Traceback" not in finished.stderr
        assert [utterance.id for utterance in read_nbest("test.rescored.json")] == [f"test{n}" for n in range(40)]

    def test_results_for_a_closed_one_are_refused(self, toy: Toy, ngram: Path) -> None:
        line = (sys.executable, "-m", "pipelines.rescore", "--nbest", toy.test, "--lm", ngram, "--out", "-")
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        shell = ["sh", "-c", '"$@" >&-', "sh", *map(str, line)]
        finished = subprocess.run(shell, capture_output=True, env=environment, check=False)
        assert finished.returncode == 2
        assert finished.stderr == b"error: --out: standard output is closed; name a file\n"

    def test_a_terminal_that_lacks_letters(self, toy: Toy, ngram: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        strange = [Utterance("ü", (Hypothesis("the cat sees naïve 東京 –", {"s": -9.0}),), "the cat sees naïve 東京 –")]
        write_nbest(
            "東京.json",
            [
                *strange,
                *(
                    Utterance(u.id, tuple(Hypothesis(h.text, {"s": -9.0}) for h in u.hypotheses), u.reference)
                    for u in toy.utterances("test")
                ),
            ],
        )
        monkeypatch.setenv("PYTHONIOENCODING", "ascii")
        finished = python("-m", "pipelines.rescore", "--nbest", "東京.json", "--lm", ngram)
        assert finished.returncode == 0, finished.stderr
        assert Path("東京.rescored.json").exists()
        finished.stdout.decode("ascii")

    def test_long_paths_are_not_broken(self, command: Command, toy: Toy, ngram: Path) -> None:
        folder = Path("a" * 100, "b" * 100)
        folder.mkdir(parents=True)
        finished = command("rescore", "--nbest", toy.test, "--lm", ngram, "--out", folder / "c.json")
        assert f"written to {folder}/c.json" in finished.out


class TestTrouble:
    """What comes from outside of the package is one line, too."""

    @pytest.mark.parametrize(
        ("error", "fragments"),
        [
            (OSError("libc10_cuda.so: cannot open shared object file"), ["libc10_cuda.so", "torchaudio==2.11.1"]),
            (ImportError("torchaudio was built for another torch"), ["make install"]),
            (ModuleNotFoundError("No module named 'kenlm'"), ["No module named 'kenlm'", "install asr_lm again"]),
            (OSError(errno.EACCES, "Permission denied", "there.json"), ["there.json: Permission denied"]),
            (InputError("two\nlines", file="a.json", line=3), ["a.json:3: two lines"]),
        ],
    )
    def test_it_is_explained(self, capsys: pytest.CaptureFixture[str], error: Exception, fragments: list[str]) -> None:
        def fail() -> None:
            raise error

        with pytest.raises(SystemExit) as end:
            run(fail)
        assert end.value.code == 2
        message = capsys.readouterr().err
        assert message.startswith("error: ")
        assert message.count("\n") == 1
        for fragment in fragments:
            assert fragment in message

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    @pytest.mark.parametrize("error", [ValueError("no shape"), InputError("damaged weights"), OSError("no file")])
    def test_what_a_library_makes_of_an_interrupt_is_one(
        self, number: signal.Signals, code: int, error: Exception, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def interrupted() -> None:
            try:
                os.kill(os.getpid(), number)
                time.sleep(5)
            except KeyboardInterrupt:
                raise error from None

        before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        with pytest.raises(SystemExit) as end:
            run(interrupted)
        assert end.value.code == code
        assert "nothing half written is left behind" in capsys.readouterr().err
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before

    def test_a_fault_of_the_program_is_not_hidden(self) -> None:
        def fail() -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            run(fail)

    def test_closed_streams_do_no_harm(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdout", io.StringIO())
        run(lambda: print("fine"))
