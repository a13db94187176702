"""OpenAI's byte-pair encoding: a worked example, and the ids that ``transformers`` gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gpt1_pieces import generated_lines, small_pieces, small_vocabulary

from asr_lm.errors import InputError
from asr_lm.lm.scoring.words import word_log_probs
from asr_lm.text.gpt1_bpe import Gpt1BpeVocabulary
from asr_lm.text.normalizer import as_is
from asr_lm.text.vocabulary_folder import load_vocabulary

TINY = ["<unk>", ".</w>", "a", "b", "c", "a</w>", "b</w>", "c</w>", "ab", "bc</w>", "abc</w>", "ab</w>"]
TINY_IDS = {piece: index for index, piece in enumerate(TINY)}
MERGES = [("b", "c</w>"), ("a", "b"), ("ab", "c</w>"), ("a", "b</w>")]


@pytest.fixture(scope="module")
def vocabulary() -> Gpt1BpeVocabulary:
    return small_vocabulary()


@pytest.fixture(scope="module")
def reference() -> Any:
    """The tokeniser of ``transformers`` with the same pieces."""
    transformers = pytest.importorskip("transformers")
    return transformers.OpenAIGPTTokenizer(*small_pieces())


class TestWorkedExample:
    @pytest.mark.parametrize(
        ("text", "pieces"),
        [
            ("abc", ["a", "bc</w>"]),  # "b c" was learnt before "a b"
            ("ab", ["ab</w>"]),
            ("abab", ["ab", "ab</w>"]),
            ("ABC", ["a", "bc</w>"]),
            ("á", ["a</w>"]),
            ("a.b", ["a</w>", ".</w>", "b</w>"]),
            ("abq", ["ab", "<unk>"]),
            ("qa", ["<unk>", "a</w>"]),
            ("中a", ["<unk>", "a</w>"]),
            ("a <unk>", ["a</w>", "<unk>"]),
            ("", []),
        ],
    )
    def test_merges_are_made_in_the_order_they_were_learnt(self, text: str, pieces: list[str]) -> None:
        assert [TINY[index] for index in Gpt1BpeVocabulary(TINY_IDS, MERGES).encode(text)] == pieces

    def test_a_full_stop_stands_for_both_ends_of_a_sentence(self) -> None:
        tiny = Gpt1BpeVocabulary(TINY_IDS, MERGES)
        assert (tiny.unk_id, tiny.bos_id, tiny.eos_id, tiny.size) == (0, 1, 1, 12)
        assert not tiny.is_open

    def test_unknown_words_are_those_with_an_unknown_character_or_with_nothing_left(self) -> None:
        tiny = Gpt1BpeVocabulary(TINY_IDS, MERGES)
        assert [tiny.unknown_words(text) for text in ("ab c", "ab q", "qq q.", "\u200b a", "")] == [0, 1, 2, 1, 0]


class TestReference:
    def test_the_ids_are_those_of_transformers(self, vocabulary: Gpt1BpeVocabulary, reference: Any) -> None:
        lines = list(generated_lines(1000))
        found = vocabulary.encode_batch(lines)
        expected = reference(lines, add_special_tokens=False)["input_ids"]
        for line, ids, wanted in zip(lines, found, expected, strict=True):
            assert ids.tolist() == wanted, line
        assert sum(map(len, expected)) > 20_000
        assert 0.01 < sum(ids.tolist().count(0) for ids in found) / sum(map(len, found)) < 0.5

    def test_characters_of_all_of_unicode(self, vocabulary: Gpt1BpeVocabulary, reference: Any) -> None:
        # Not those that came with the newest versions of Unicode: Python's tables and the reference's differ in age.
        lines = ["".join(map(chr, range(begin, begin + 16))) for begin in range(0, 0x600, 16)]
        for line, ids in zip(lines, vocabulary.encode_batch(lines), strict=True):
            assert ids.tolist() == reference.encode(line, add_special_tokens=False), ascii(line)

    def test_decoding_gives_lower_case_words(self, vocabulary: Gpt1BpeVocabulary, reference: Any) -> None:
        ids = vocabulary.encode("Baked Ship, 'the' harbour.")
        assert vocabulary.decode(ids) == "baked ship , ' the ' harbour ."
        assert vocabulary.decode([]) == ""


class TestWords:
    def test_lengths_of_words_sum_to_the_length_of_the_text(self, vocabulary: Gpt1BpeVocabulary) -> None:
        for line in map(as_is, generated_lines(500, seed=4)):
            lengths = vocabulary.word_lengths(line)
            assert len(lengths) == len(line.split())
            assert sum(lengths) == len(vocabulary.encode(line)), line

    def test_a_word_of_which_nothing_is_left_takes_no_word_s_probability(self) -> None:
        tiny = Gpt1BpeVocabulary(TINY_IDS, MERGES)
        text = "abc \u200b c"
        assert tiny.word_lengths(text) == [2, 0, 1]
        assert word_log_probs(tiny, text, np.array([-1.0, -2.0, -4.0, -8.0])).tolist() == [-3.0, 0.0, -4.0, -8.0]


class TestFiles:
    def test_saving_and_loading_changes_nothing(self, vocabulary: Gpt1BpeVocabulary, tmp_path: Path) -> None:
        vocabulary.save(tmp_path)
        loaded = load_vocabulary(tmp_path)
        assert isinstance(loaded, Gpt1BpeVocabulary)
        assert loaded.fingerprint() == vocabulary.fingerprint()
        assert list(loaded.tokens) == list(vocabulary.tokens)
        lines = list(generated_lines(50))
        assert [ids.tolist() for ids in loaded.encode_batch(lines)] == [
            ids.tolist() for ids in vocabulary.encode_batch(lines)
        ]

    def test_the_fingerprint_tells_pieces_and_merges_apart(self) -> None:
        tiny = Gpt1BpeVocabulary(TINY_IDS, MERGES)
        other = {**TINY_IDS, "d</w>": 12}
        assert len({v.fingerprint() for v in (tiny, Gpt1BpeVocabulary(TINY_IDS, MERGES[::-1]))}) == 2
        assert Gpt1BpeVocabulary(other, MERGES).fingerprint() != tiny.fingerprint()

    @pytest.mark.parametrize(
        ("file", "content", "complaint"),
        [
            ("vocab.json", "{", "vocab.json: damaged vocabulary: not readable as JSON"),
            ("vocab.json", "[]", "vocab.json: damaged vocabulary: an object of pieces"),
            ("vocab.json", '{"<unk>": 0, ".</w>": 2}', "vocab.json: damaged vocabulary: expected the ids 0, 1, 2"),
            ("vocab.json", '{"<unk>": 0}', "vocab.json: damaged vocabulary: expected a piece '.</w>'"),
            ("vocab.json", '{".</w>": 0}', "vocab.json: damaged vocabulary: expected a piece '<unk>'"),
            ("merges.txt", "#version: 0.2\na b\nabc\n", "merges.txt:3: damaged vocabulary: two pieces expected"),
            ("merges.txt", "a c</w>\n", "merges.txt: damaged vocabulary: the merge 'a c</w>' makes no piece"),
        ],
    )
    def test_damage_is_told(self, tmp_path: Path, file: str, content: str, complaint: str) -> None:
        Gpt1BpeVocabulary(TINY_IDS, MERGES).save(tmp_path)
        (tmp_path / file).write_text(content)
        with pytest.raises(InputError) as error:
            load_vocabulary(tmp_path)
        assert complaint in str(error.value)

    def test_a_missing_file_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "merges.txt").write_text(json.dumps("a b"))
        with pytest.raises(InputError, match=r"vocab.json: no such file"):
            load_vocabulary(tmp_path)
