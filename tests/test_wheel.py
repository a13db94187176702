"""A wheel holds what a bare ``rescore`` needs, and says what else there is to install."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

from asr_lm import __version__

ROOT = Path(__file__).parents[1]
COMMANDS = ("rescore", "train", "perplexity", "compare", "decode")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    finished = subprocess.run(build, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(wheel.read(name).decode())


@pytest.fixture(scope="module")
def site(wheel: zipfile.ZipFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the wheel is unpacked, and nothing else of the project is."""
    folder = tmp_path_factory.mktemp("site")
    wheel.extractall(folder)
    return folder


def python(site: Path, code: str) -> str:
    """What the code prints when only the wheel's files are there."""
    ran = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(site)}, cwd=site, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


class TestFiles:
    def test_it_has_the_commands_and_the_packaged_model(self, wheel: zipfile.ZipFile) -> None:
        names = set(wheel.namelist())
        default = "asr_lm/rescoring/default/"
        assert {
            default + name for name in ("config.json", "model.safetensors", "tokens.model", "weights.json")
        } <= names
        assert {f"pipelines/{name}.py" for name in (*COMMANDS, "__main__")} <= names
        assert {"asr_lm/py.typed", "asr_lm/rescoring/second_pass.py"} <= names

    def test_it_has_code_and_that_model_and_nothing_else(self, wheel: zipfile.ZipFile) -> None:
        names = wheel.namelist()
        tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
        assert tops == {"asr_lm", "pipelines"}
        others = [name for name in names if not name.endswith(".py") and ".dist-info/" not in name]
        templates, model = "asr_lm/report/templates/", "asr_lm/rescoring/default/"
        assert not [name for name in others if not name.startswith((templates, model)) and name != "asr_lm/py.typed"]
        assert sum(entry.file_size for entry in wheel.infolist()) < 16_000_000

    def test_the_packaged_model_scores(self, site: Path) -> None:
        code = (
            "from asr_lm.lm.loading import load_model; from asr_lm.rescoring.default_model import default_folder, "
            "read_default_weights; import asr_lm; print(asr_lm.__file__); read_default_weights(); "
            "m = load_model(default_folder());"
            "print(m.log_prob(['it was so', 'so it was'])[0] < 0)"
        )
        place, verdict = python(site, code).split()
        assert Path(place).is_relative_to(site)
        assert verdict == "True"

    def test_its_command_lists_the_commands(self, site: Path, wheel: zipfile.ZipFile) -> None:
        (entries,) = (name for name in wheel.namelist() if name.endswith(".dist-info/entry_points.txt"))
        assert wheel.read(entries).decode().split("\n")[:2] == ["[console_scripts]", "asr-lm = pipelines.__main__:main"]
        shown = python(site, "from pipelines.__main__ import main; main()")
        assert all(name in shown for name in COMMANDS)


class TestMetadata:
    """What an index shows of it."""

    def test_it_says_what_it_is_and_leaves_addresses_out(self, metadata: Message) -> None:
        assert metadata["Requires-Python"] == "<3.15,>=3.11"
        assert metadata["License-Expression"] == "MIT"
        assert not metadata.get_all("Project-URL")
        assert not metadata["Home-page"]
        classifiers = metadata.get_all("Classifier") or []
        for version in ("3.11", "3.12", "3.13", "3.14"):
            assert f"Programming Language :: Python :: {version}" in classifiers
        assert not [line for line in classifiers if line.startswith("License ::")]  # the expression says it

    def test_its_version_is_that_of_the_package_the_changes_and_the_citation(self, metadata: Message) -> None:
        assert metadata["Version"] == __version__
        changes = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
        assert changes is not None
        assert changes.group(1) == __version__
        assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text()

    def test_every_classifier_is_a_known_one(self, metadata: Message) -> None:
        known = pytest.importorskip("trove_classifiers").classifiers
        assert set(metadata.get_all("Classifier") or []) <= known

    def test_all_is_every_extra_but_the_developers(self, metadata: Message) -> None:
        extras = set(metadata.get_all("Provides-Extra") or [])
        assert {"audio", "hf", "kenlm", "all", "dev"} <= extras
        (everything,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["all"]
        assert set(everything.removeprefix("asr_lm[").removesuffix("]").split(",")) == extras - {"all", "dev", "ray"}

    def test_text_alone_needs_nothing_of_sound_and_nothing_compiled(self, metadata: Message) -> None:
        needed = [line for line in metadata.get_all("Requires-Dist") or [] if "extra ==" not in line]
        names = {line.split(">")[0].split("<")[0].split(";")[0].strip() for line in needed}
        assert "torch" in names
        assert not names & {"torchaudio", "soundfile", "soxr", "flashlight-text", "kenlm", "kenlm-ex", "transformers"}

    def test_torch_has_no_upper_end(self, metadata: Message) -> None:
        assert "torch>=2.11" in (metadata.get_all("Requires-Dist") or [])
