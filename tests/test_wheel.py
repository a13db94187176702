"""A wheel holds what a bare ``rescore`` needs."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_wheel_has_the_commands_and_the_packaged_model(tmp_path):
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    finished = subprocess.run(build, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    default = "asr_lm/rescoring/default/"
    assert {default + name for name in ("config.json", "model.safetensors", "tokens.model", "weights.json")} <= names
    assert {"asr_lm/py.typed", "pipelines/rescore.py", "asr_lm/rescoring/second_pass.py"} <= names
    assert not [name for name in names if name.startswith(("tests/", "data/"))]
    unpacked = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(unpacked)
    code = (
        "from asr_lm.lm import load; from asr_lm.rescoring.default_model import default_folder, read_default_weights;"
        "import asr_lm; print(asr_lm.__file__); read_default_weights(); m = load(default_folder());"
        "print(m.score(m.vocabulary.encode_batch(['it was so', 'so it was']))[0] < 0)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(unpacked)}, cwd=tmp_path, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    place, verdict = ran.stdout.split()
    assert Path(place).is_relative_to(unpacked)
    assert verdict == "True"
