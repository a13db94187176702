"""``asr-lm COMMAND`` is ``python -m pipelines.COMMAND`` under a shorter name."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from toy_language import Command, Finished, finish

from asr_lm import __version__
from pipelines.__main__ import COMMANDS, main

ROOT = Path(__file__).parents[2]
AsrLm = Callable[..., Finished]


@pytest.fixture
def asr_lm() -> AsrLm:
    """Run ``asr-lm WORDS`` in this process."""
    return lambda *words: finish(main, ["/somewhere/bin/asr-lm", *words])


class TestOverview:
    """Without a command they are listed, at once."""

    def test_it_names_every_command(self, asr_lm: AsrLm) -> None:
        shown = asr_lm()
        assert shown.code == 0
        assert shown.out == asr_lm("--help").out
        for name, about in COMMANDS.items():
            assert f"{name} " in shown.out
            assert about in shown.out
        assert max(map(len, shown.out.splitlines())) <= 120

    @pytest.mark.parametrize("name", COMMANDS)
    def test_it_says_what_the_help_of_a_command_says(self, name: str) -> None:
        assert import_module(f"pipelines.{name}").DESCRIPTION.splitlines()[0] == COMMANDS[name]

    def test_it_takes_less_than_a_fifth_of_a_second_and_loads_no_torch(self) -> None:
        spent = []
        for _ in range(3):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            code = "import sys; from pipelines.__main__ import main; main(); print(sorted(sys.modules))"
            shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
            assert "rescore" in shown.stdout
            assert "'torch'" not in shown.stdout
        assert min(spent) < 0.2

    def test_the_version_is_that_of_the_package(self, asr_lm: AsrLm) -> None:
        assert asr_lm("--version").out == f"asr-lm {__version__}\n"


class TestCommands:
    """They do what they do under their other name, and call themselves as they were called."""

    @pytest.mark.parametrize("name", COMMANDS)
    def test_the_help_is_the_same_but_for_the_name(self, asr_lm: AsrLm, command: Command, name: str) -> None:
        ours, other = asr_lm(name, "--help"), command(name, "--help")
        assert ours.code == other.code == 0
        assert f"usage: asr-lm {name} " in ours.out
        # Only what stands on the lines of the usage moves with the length of the name.
        body = other.out[other.out.index("\n\n") :]
        assert ours.out.endswith(body)

    def test_python_runs_the_package_too(self) -> None:
        line = [sys.executable, "-m", "pipelines", "rescore", "--help"]
        shown = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
        assert "usage: python -m pipelines rescore " in shown.stdout

    @pytest.mark.parametrize(
        ("line", "fragments"),
        [
            ("rescore --nbset x", ["--nbset", "perhaps you meant --nbest", "(see asr-lm rescore --help)"]),
            ("train ngram", ["asr-lm train ngram: --text", "(see asr-lm train ngram --help)"]),
            ("rescroe --nbest x", ["no command is called 'rescroe'; there are rescore, train,"]),
            ("rescore --nbest missing.json", ["missing.json: no such file"]),
            ("--completion fish", ["--completion: expected one of bash, zsh, not 'fish'"]),
            ("--completion", ["--completion: expected one of bash, zsh"]),
        ],
    )
    def test_what_is_wrong_is_said_in_one_line(self, asr_lm: AsrLm, line: str, fragments: list[str]) -> None:
        complaint = asr_lm(*line.split()).complaint
        for fragment in fragments:
            assert fragment in complaint


class TestCompletion:
    """The shell completes commands, the models that train knows, options and their values."""

    @pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
    def test_bash_completes_words(self, asr_lm: AsrLm, tmp_path: Path) -> None:
        script = tmp_path / "completion.bash"
        script.write_text(asr_lm("--completion", "bash").out)
        lines = ["asr-lm r", "asr-lm train ls", "asr-lm train lstm --te", "asr-lm rescore --nb"]
        ask = "\n".join(
            f"COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMPREPLY=(); "
            '"$(complete -p asr-lm | sed "s/.*-F \\([^ ]*\\).*/\\1/")"; echo "${COMPREPLY[*]}"'
            for line in lines
        )
        told = subprocess.run(
            ["bash", "--norc", "-c", f"source {script}\n{ask}"], capture_output=True, text=True, check=True
        )
        assert told.stdout.splitlines() == ["rescore", "lstm", "--text", "--nbest"]

    def test_zsh_is_given_its_own_form(self, asr_lm: AsrLm) -> None:
        assert asr_lm("--completion", "zsh").out.startswith("#compdef asr-lm\n")
