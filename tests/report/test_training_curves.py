"""Pictures of trainings show what the curves say."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from asr_lm.errors import InputError
from asr_lm.report.training_curves import (
    read_curve,
    save_training_pictures,
    write_training_picture,
)

PNG = b"\x89PNG"


def point(epoch: float, train: float, valid: float, tokens_per_word: float = 1.5, **more: Any) -> dict[str, Any]:
    word = math.exp(valid * tokens_per_word)
    return {"epoch": epoch, "train_loss": train, "valid_loss": valid, "valid_word_perplexity": word, **more}


CURVE = [point(1, 4.0, 3.5), point(2, 3.0, 3.0), point(3, 2.0, 3.2)]


def write(folder: Path, points: list[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "training.jsonl").write_text("".join(json.dumps(some) + "\n" for some in points))
    return folder


def test_the_best_validation_is_named_in_words(tmp_path: Path) -> None:
    write_training_picture(write(tmp_path / "m", CURVE))
    picture = (tmp_path / "m" / "training.svg").read_text()
    assert picture.startswith("<?xml")
    for text in (f"{math.exp(4.5):,.2f}", "perplexity a word", "passes over the text", "training", "validation"):
        assert f">{text}<" in picture


def test_equal_curves_are_equal_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_training_picture(write(tmp_path / name, CURVE))
    assert (tmp_path / "a/training.svg").read_bytes() == (tmp_path / "b/training.svg").read_bytes()


def test_without_words_the_loss_is_drawn(tmp_path: Path) -> None:
    losses = [{"epoch": n, "train_loss": 2.0 / n, "valid_loss": 3.0 / n} for n in (1, 2)]
    write_training_picture(write(tmp_path, losses))
    picture = (tmp_path / "training.svg").read_text()
    assert ">loss (nats)<" in picture
    assert ">1.50<" in picture


def test_one_validation_is_a_picture_too(tmp_path: Path) -> None:
    write_training_picture(write(tmp_path, CURVE[:1]))
    assert (tmp_path / "training.svg").exists()


def test_without_a_curve_there_is_no_picture(tmp_path: Path) -> None:
    write_training_picture(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_several_runs_are_in_one_picture_and_kinds_in_one_each(tmp_path: Path) -> None:
    pseudo = [{name.replace("word_", "word_pseudo_"): value for name, value in some.items()} for some in CURVE]
    old = [{"epoch": 1, "train_loss": 2.0, "valid_loss": 3.0}]
    runs = {"lstm [a]": CURVE, "gru $b$": CURVE[:2], "sides": pseudo, "old": old, "ngram": []}
    written = save_training_pictures(runs, tmp_path / "plots")
    names = ["training.svg", "training.png", "training-pseudo.svg", "training-pseudo.png"]
    assert [path.name for path in written] == names
    together, apart = ((tmp_path / "plots" / name).read_text() for name in (names[0], names[2]))
    assert all(f">{name}<" in together for name in ("lstm [a]", "gru $b$"))
    assert not re.search(">(sides|old|ngram)<", together)
    assert ">sides<" in apart
    assert ">validation pseudo-perplexity a word<" in apart
    assert (tmp_path / "plots" / names[1]).read_bytes().startswith(PNG)
    assert save_training_pictures({"old": old, "ngram": []}, tmp_path / "none") == []


@pytest.mark.parametrize(
    "line", ["{", "[]", "1", '{"epoch": 1}', '{"epoch": "a", "train_loss": 1, "valid_loss": 1}', "[" * 100_000, "NaN"]
)
def test_what_is_no_curve(tmp_path: Path, line: str) -> None:
    write(tmp_path, CURVE[:1])
    with (tmp_path / "training.jsonl").open("a") as stream:
        stream.write(line + "\n")
    with pytest.raises(InputError, match="epoch, train_loss and valid_loss") as caught:
        read_curve(tmp_path)
    assert caught.value.line == 2
