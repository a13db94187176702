"""Every line of the recipes' README is a command with options that exist, and each reads what the one before wrote."""

import importlib
import shlex
from pathlib import Path

import pytest
import tyro
from miniature import readme_lines

from pipelines import compare, decode
from pipelines.train_options import read_command_line


def parsed(line):
    """The module of a line, and its options."""
    python, flag, module, *words = shlex.split(line)
    assert (python, flag) == ("python", "-m")
    if module == "pipelines.train":
        return module, read_command_line(words, "")[1]
    forms = {"pipelines.decode": decode.Arguments, "pipelines.compare": compare.Arguments}
    form = forms[module] if module in forms else importlib.import_module(module).Options
    return module, tyro.cli(form, args=words)


@pytest.mark.parametrize(
    ("section", "name"), [("LibriSpeech", "librispeech"), ("TED-LIUM 3", "tedlium"), ("AISHELL-1", "aishell")]
)
def test_the_lines_fit_together(section, name):
    (recipe, options), *decodings, (trainer, training), (comparer, comparison) = map(parsed, readme_lines(section))
    assert (recipe, trainer, comparer) == (f"data.{name}", "pipelines.train", "pipelines.compare")
    assert options.lm_text
    manifests, outputs = [], []
    for module, decoding in decodings:
        assert module == "pipelines.decode"
        manifests += decoding.audio
        outputs.append(str(decoding.out))
    assert len(manifests) == 2
    assert all(path.parent == options.out and path.stem in options.parts for path in manifests)
    assert [Path(path) for path in training.text] == [options.out / "lm.txt.zst"]
    assert [str(path) for path in (*comparison.dev, *comparison.test)] == outputs
    assert [str(path) for path in comparison.lm] == [str(training.out)]
    assert training.normalizer == options.normalizer
