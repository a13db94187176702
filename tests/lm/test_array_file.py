"""The arrays kept beside an ARPA file: what they say is what the text says, or they are made again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_lm.lm.families.ngram import NgramModel
from asr_lm.lm.ngrams import array_file
from asr_lm.lm.ngrams.array_file import arrays_path

ARPA = """\\data\\
ngram 1=5
ngram 2=3
ngram 3=1

\\1-grams:
-1.5\t<unk>
-99\t<s>\t-0.25
-0.5\t</s>
-0.75\tday\t-0.125
-1.25\tnuit-é\t-0.5

\\2-grams:
-0.125\t<s> day\t-0.0625
-0.375\tday nuit-é
-0.25\tday </s>

\\3-grams:
-0.03125\t<s> day nuit-é

\\end\\
"""
TEXTS = ["day nuit-é", "nuit-é gnu day", ""]


@pytest.fixture
def arpa(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An ARPA file with its arrays beside it."""
    monkeypatch.setattr(array_file, "WORTH_WRITING", 1)
    path = tmp_path / "model.arpa"
    path.write_text(ARPA)
    NgramModel.load(path)
    assert arrays_path(path).exists()
    return path


def said(path: Path) -> list[float]:
    model = NgramModel.load(path)
    return [float(score) for score in model.score_tokens(model.vocabulary.encode_batch(TEXTS))]


def refuse_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise AssertionError(f"the text of {path} was read")

    monkeypatch.setattr(array_file, "read_arrays", refuse)


def test_the_text_is_read_once(arpa: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays_path(arpa).unlink()
    first = said(arpa)
    refuse_text(monkeypatch)
    assert said(arpa) == first
    model = NgramModel.load(arpa)
    assert (model.order, model.ngrams, model.knows("nuit-é"), model.knows("<unk>")) == (3, (5, 3, 1), True, False)


def test_a_small_model_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "model.arpa"
    path.write_text(ARPA)
    NgramModel.load(path)
    assert list(tmp_path.iterdir()) == [path]


def test_another_text_under_the_same_name_is_read(arpa: Path) -> None:
    before = said(arpa)
    arpa.write_text(ARPA.replace("-0.75\tday", "-0.25\tday"))
    after = said(arpa)
    assert after != before
    assert said(arpa) == after


def test_arrays_of_another_version_are_made_again(arpa: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = arrays_path(arpa).read_bytes()
    expected = said(arpa)
    with monkeypatch.context() as patch:
        patch.setattr(array_file, "_FORMAT", {"format": "asr_lm n-gram arrays", "version": "0"})
        assert said(arpa) == expected
        assert arrays_path(arpa).read_bytes() != before
    assert said(arpa) == expected
    assert arrays_path(arpa).read_bytes() == before


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_arrays_are_made_again(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("damaged") / "model.arpa"
    path.write_text(ARPA)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(array_file, "WORTH_WRITING", 1)
        expected = said(path)
        whole = arrays_path(path).read_bytes()
        damaged = bytearray(whole[: data.draw(st.integers(0, len(whole)))] if data.draw(st.booleans()) else whole)
        for place in data.draw(st.lists(st.integers(0, max(len(damaged) - 1, 0)), max_size=4)) if damaged else []:
            damaged[place] ^= data.draw(st.integers(1, 255))
        arrays_path(path).write_bytes(bytes(damaged))
        assert said(path) == expected
        assert arrays_path(path).read_bytes() == whole


def test_a_folder_that_cannot_be_written_is_no_error(arpa: Path) -> None:
    expected = said(arpa)
    arrays_path(arpa).unlink()
    arrays_path(arpa).mkdir()
    assert said(arpa) == expected


def test_other_programs_read_the_arrays(arpa: Path) -> None:
    """The file is in the safetensors format."""
    tensors = pytest.importorskip("safetensors.numpy").load_file(arrays_path(arpa))
    np.testing.assert_allclose(tensors["log10_prob.3"], [-0.03125])
    assert bytes(tensors["words"]).decode().split("\n") == ["<unk>", "<s>", "</s>", "day", "nuit-é"]
    content = arrays_path(arpa).read_bytes()
    metadata = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
    assert metadata["source_bytes"] == str(arpa.stat().st_size)
