from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.lm.families.birnn_attention import BirnnAttentionConfig
from asr_lm.lm.families.birnn_attention.network import BirnnAttentionModel, BirnnAttentionNetwork
from asr_lm.rescoring.attention_plots import WordAlignment, picture_name, word_alignment, write_picture
from asr_lm.text.vocabulary import SentencePieceVocabulary

TEXT = ["fly to rome", "flies to rome", "u s air flies to boston", "the u s air"] * 5
LISTED = Utterance("a/b", (Hypothesis("Flies to rome"), Hypothesis("fly to boston"), Hypothesis("flies to rome")))


def model(heard: str) -> BirnnAttentionModel:
    vocabulary = SentencePieceVocabulary.train(TEXT, 285)
    torch.manual_seed(0)
    config = BirnnAttentionConfig(vocabulary.size, 8, 8, 8, 8, heard=heard)  # type: ignore[arg-type]
    return BirnnAttentionModel("birnn-attention", BirnnAttentionNetwork(config), vocabulary, "librispeech")


def test_pieces_become_words_and_rows_sum_to_one() -> None:
    attentive = model("list")
    found = word_alignment(attentive, LISTED, "Fly to Rome")
    assert found.source == ("flies", "to", "rome", "/", "fly", "to", "boston", "</s>")
    assert found.output == ("fly", "to", "rome", "</s>")
    np.testing.assert_allclose(found.weights.sum(1), 1, atol=1e-6)
    (source,) = attentive.sources([["flies to rome", "fly to boston"]])
    pieces = attentive.alignments(source, attentive.vocabulary.encode("fly to rome"))
    lengths = attentive.vocabulary.word_lengths("fly to rome")
    first = attentive.vocabulary.word_lengths("flies to rome")
    assert found.weights[0, 0] == np.mean(pieces[: lengths[0], : first[0]].sum(1))
    assert found.weights[3, 3] == pieces[-1, sum(first)]


def test_the_source_may_be_one_hypothesis_and_the_output_empty() -> None:
    found = word_alignment(model("first"), LISTED, "")
    assert found.source == ("flies", "to", "rome", "</s>")
    assert found.output == ("</s>",)


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_the_same_alignment_is_the_same_file(tmp_path: Path, suffix: str) -> None:
    alignment = WordAlignment(("a", "</s>"), ("a", "</s>"), np.eye(2))
    pictures = []
    for _ in range(2):
        write_picture(alignment, "u1", tmp_path / f"u1.{suffix}")
        pictures.append((tmp_path / f"u1.{suffix}").read_bytes())
    assert pictures[0] == pictures[1]


def test_pictures_are_drawn_whatever_the_words(tmp_path: Path) -> None:
    alignment = WordAlignment(("$two", "a_b", "<unk>"), ("$x^2$", "</s>"), np.array([[0.2, 0.3, 0.5], [1, 0, 0]]))
    for name in ("a.svg", "c.png"):
        write_picture(alignment, "u$1", tmp_path / name)
    assert "<svg" in (tmp_path / "a.svg").read_text()
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    assert picture_name("a/b c", "svg") == "a_b_c.svg"
