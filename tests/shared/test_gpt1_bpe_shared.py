"""The byte-pair encoding of OpenAI's GPT-1 on real text: the ids that ``transformers`` gives."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest

from asr_lm.files import iterate_text
from asr_lm.hypotheses.reading import read_nbest

sys.path.insert(0, str(Path(__file__).parents[1] / "text"))
from gpt1_pieces import small_pieces, small_vocabulary

DATA = Path(__file__).parents[2] / "../shared/data"

pytestmark = pytest.mark.skipif(not DATA.exists(), reason="the shared data are not here")


@pytest.mark.parametrize("name", ["ptb/ptb.test.txt", "wikitext2", "chinese", "atis.train.txt"])
def test_the_ids_are_those_of_transformers(name: str) -> None:
    transformers = pytest.importorskip("transformers")
    path = DATA / "text" / name
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    lines = [line for file in files[:2] for _, line in itertools.islice(iterate_text(file), 500)]
    assert len(lines) >= 500
    reference = transformers.OpenAIGPTTokenizer(*small_pieces())
    expected = reference(lines, add_special_tokens=False)["input_ids"]
    for line, ids, wanted in zip(lines, small_vocabulary().encode_batch(lines), expected, strict=True):
        assert ids.tolist() == wanted, line


def test_hypotheses_of_recognisers() -> None:
    transformers = pytest.importorskip("transformers")
    utterances = itertools.islice(read_nbest(DATA / "nbest/hyporadise/swbd.json"), 200)
    lines = [hypothesis.text for utterance in utterances for hypothesis in utterance.hypotheses]
    reference = transformers.OpenAIGPTTokenizer(*small_pieces())
    expected = reference(lines, add_special_tokens=False)["input_ids"]
    assert [ids.tolist() for ids in small_vocabulary().encode_batch(lines)] == expected
