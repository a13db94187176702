"""Laws of the training text on disk: the same as in memory, made once, made anew when anything changed."""

from __future__ import annotations

import errno
import json
import os
import tracemalloc
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asr_lm.errors import InputError
from asr_lm.files import write_text
from asr_lm.lm.training import corpus as corpus_module
from asr_lm.lm.training.corpus import TokenCorpus, read_sentences
from asr_lm.text.vocabulary import SentencePieceVocabulary, WordVocabulary

SENTENCES = ["a b c", "b", "c c a b", "b", "zebra a", "a b c"]
VOCABULARY = WordVocabulary(["a", "b", "c"])


@pytest.fixture
def text(tmp_path: Path) -> Path:
    return written(tmp_path / "text.txt", SENTENCES)


def written(path: Path, sentences: list[str]) -> Path:
    write_text(path, "".join(f"{sentence}\n" for sentence in sentences))
    return path


def decoded(corpus: TokenCorpus) -> list[str]:
    return [VOCABULARY.decode(corpus[index]) for index in range(len(corpus))]


def same(first: TokenCorpus, second: TokenCorpus) -> bool:
    facts = [(corpus.words, corpus.unknown_words, corpus.digest, len(corpus)) for corpus in (first, second)]
    arrays = np.array_equal(first.tokens, second.tokens) and np.array_equal(first.offsets, second.offsets)
    return arrays and facts[0] == facts[1] and first.tokens.dtype == second.tokens.dtype


def built(text: Path, folder: Path) -> TokenCorpus:
    return TokenCorpus.build([text], VOCABULARY, "as-is", folder)


class TestSentences:
    def test_lines_are_normalised_and_empty_ones_left_out(self, tmp_path: Path) -> None:
        first = written(tmp_path / "one.txt.gz", ["Don’t  STOP", "", " … ", "\tnow\u00a0then\r"])
        second = written(tmp_path / "two.txt.zst", ["<s> again </s>"])
        assert list(read_sentences([first, second], "librispeech")) == ["don't stop", "now then", "s again s"]
        assert list(read_sentences([second, first], "as-is")) == ["<s> again </s>", "Don’t STOP", "…", "now then"]

    @settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        sentences=st.lists(st.sampled_from([f"w{number}" for number in range(40)]), min_size=1, max_size=80),
        folds=st.integers(2, 5),
    )
    def test_each_sentence_is_left_out_by_exactly_one_fold(
        self, tmp_path: Path, sentences: list[str], folds: int
    ) -> None:
        path = written(tmp_path / "folds.txt", sentences)
        kept = [Counter(read_sentences([path], "as-is", (fold, folds))) for fold in range(folds)]
        for sentence, count in Counter(sentences).items():
            assert sorted(fold[sentence] for fold in kept) == [0] + [count] * (folds - 1)

    def test_folds_keep_the_order_and_share_the_text_about_evenly(self, tmp_path: Path) -> None:
        sentences = [f"sentence {number}" for number in range(3000)]
        path = written(tmp_path / "folds.txt", sentences)
        for fold in range(3):
            kept = list(read_sentences([path], "as-is", (fold, 3)))
            assert kept == sorted(kept, key=lambda sentence: int(sentence.split()[1]))
            assert 1900 < len(kept) < 2100

    @pytest.mark.parametrize("fold", [(3, 3), (-1, 3), (0, 0)])
    def test_a_fold_that_does_not_exist(self, text: Path, fold: tuple[int, int]) -> None:
        with pytest.raises(InputError, match=f"no fold {fold[0]} of {fold[1]}"):
            list(read_sentences([text], "as-is", fold))


class TestContent:
    def test_sentences_come_back(self, text: Path, tmp_path: Path) -> None:
        corpus = built(text, tmp_path / "corpus")
        assert len(corpus) == 6
        assert decoded(corpus) == ["a b c", "b", "c c a b", "b", "<unk> a", "a b c"]
        assert corpus.lengths.tolist() == [3, 1, 4, 1, 2, 3]
        assert (corpus.words, corpus.unknown_words) == (14, 1)
        assert corpus[0].dtype == np.int32

    def test_on_disk_and_in_memory_are_equal(self, text: Path, tmp_path: Path) -> None:
        corpus = built(text, tmp_path / "corpus")
        assert same(corpus, TokenCorpus.from_sentences(SENTENCES, VOCABULARY))
        assert isinstance(corpus.tokens.base, np.memmap)

    def test_blocks_leave_no_trace_but_in_the_digest(
        self, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = built(text, tmp_path / "whole")
        for name, value in (("_BLOCK", 2), ("_BLOCK_CHARACTERS", 4)):
            monkeypatch.setattr(corpus_module, name, value)
            blocks = built(text, tmp_path / name)
            assert decoded(blocks) == decoded(whole)
            assert np.array_equal(blocks.offsets, whole.offsets)
            assert (blocks.words, blocks.unknown_words) == (whole.words, whole.unknown_words)
            assert same(blocks, TokenCorpus.from_sentences(SENTENCES, VOCABULARY))

    def test_special_tokens_in_the_text_are_no_special_tokens(self) -> None:
        corpus = TokenCorpus.from_sentences(["<s> a </s>", "</s>"], VOCABULARY)
        assert corpus.tokens.tolist() == [0, 3, 0, 0]
        assert corpus.unknown_words == 3

    def test_a_word_of_several_unknown_pieces_is_one_unknown_word(self) -> None:
        pieces = SentencePieceVocabulary.train(["abc bca cab"] * 5, 12, byte_fallback=False)
        corpus = TokenCorpus.from_sentences(["abc xaxbx cab", "abc", "x x"], pieces)
        assert corpus.unknown_words == 3
        assert (corpus.tokens == pieces.unk_id).sum() == 5

    def test_small_vocabularies_take_two_bytes_a_token_and_large_ones_four(self, tmp_path: Path) -> None:
        words = [f"w{number}" for number in range(70_000)]
        text = written(tmp_path / "text.txt", ["w0 w69999", "w65530"])
        for size, dtype, last in ((65_533, np.uint16, 0), (70_000, np.int32, 70_002)):
            corpus = TokenCorpus.build([text], WordVocabulary(words[:size]), "as-is", tmp_path / str(size))
            assert corpus.tokens.dtype == dtype
            assert corpus.tokens.tolist() == [3, last, 65_533]
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                corpus[0][0] = 7  # a copy: the file does not change
            assert corpus[0].tolist() == [3, last]

    def test_the_digest_tells_texts_apart(self) -> None:
        texts = [["a b", "c"], ["a", "b c"], ["a b c"], ["c b a"], ["a b", "c", "c"], []]
        digests = {TokenCorpus.from_sentences(text, VOCABULARY).digest for text in texts}
        assert len(digests) == len(texts)

    def test_no_sentences_in_memory(self) -> None:
        corpus = TokenCorpus.from_sentences([], VOCABULARY)
        assert (len(corpus), corpus.words, corpus.tokens.tolist()) == (0, 0, [])

    def test_sentences_without_a_single_token(self, tmp_path: Path) -> None:
        pieces = SentencePieceVocabulary.train(["abc bca cab"] * 5, 12, byte_fallback=False)
        text = written(tmp_path / "text.txt", ["\u2581", "\u2581"])  # to SentencePiece nothing but a space
        corpus = TokenCorpus.build([text], pieces, "as-is", tmp_path / "corpus")
        assert (len(corpus), len(corpus.tokens)) == (2, 0)
        assert corpus[1].tolist() == []


class TestReuse:
    @pytest.fixture
    def encoded(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        calls: list[int] = []
        encode = corpus_module._Builder.encode

        def counted(self: corpus_module._Builder, sentences: list[str]) -> object:
            calls.append(len(sentences))
            return encode(self, sentences)

        monkeypatch.setattr(corpus_module._Builder, "encode", counted)
        return calls

    def test_what_lies_there_is_used(self, text: Path, tmp_path: Path, encoded: list[int]) -> None:
        first = built(text, tmp_path / "corpus")
        second = built(text, tmp_path / "corpus")
        assert encoded == [6]
        assert same(first, second)

    @pytest.mark.parametrize("change", ["text", "time", "vocabulary", "normalizer", "fold", "more text"])
    def test_any_change_makes_it_anew(self, text: Path, tmp_path: Path, encoded: list[int], change: str) -> None:
        def build(texts: list[Path], vocabulary: WordVocabulary, normalizer: str, fold: tuple[int, int] | None) -> None:
            folder = tmp_path / "corpus"
            corpus = TokenCorpus.build(texts, vocabulary, normalizer, folder, fold)
            expected = TokenCorpus.from_sentences(read_sentences(texts, normalizer, fold), vocabulary)
            assert same(corpus, expected)

        build([text], VOCABULARY, "as-is", None)
        encoded.clear()
        if change == "text":
            written(text, [*SENTENCES, "a"])
        if change == "time":
            os.utime(text, ns=(1, 1))
        vocabulary = WordVocabulary(["c", "b", "a"]) if change == "vocabulary" else VOCABULARY
        normalizer = "unicode" if change == "normalizer" else "as-is"
        fold = (1, 3) if change == "fold" else None
        build([text, text] if change == "more text" else [text], vocabulary, normalizer, fold)
        assert len(encoded) == 2  # for the folder and for the comparison

    @pytest.mark.parametrize(
        "damage", ["no tokens", "short tokens", "odd tokens", "short offsets", "empty offsets", "json", "list", "field"]
    )
    def test_a_damaged_folder_is_made_anew(self, text: Path, tmp_path: Path, encoded: list[int], damage: str) -> None:
        folder = tmp_path / "corpus"
        whole = built(text, folder)
        tokens, offsets, description = folder / "tokens.bin", folder / "offsets.bin", folder / "corpus.json"
        if damage == "no tokens":
            tokens.unlink()
        elif damage == "field":
            facts = json.loads(description.read_text())
            del facts["words"]
            description.write_text(json.dumps(facts))
        else:
            file = {"short tokens": tokens, "odd tokens": tokens, "short offsets": offsets, "empty offsets": offsets}
            content = {
                "short tokens": tokens.read_bytes()[:-2],
                "odd tokens": tokens.read_bytes()[:-1],
                "short offsets": offsets.read_bytes()[:-8],
                "empty offsets": b"",
                "json": b"{",
                "list": b"[]",
            }
            path = file.get(damage, description)
            path.unlink()
            path.write_bytes(content[damage])
        assert same(built(text, folder), whole)
        assert encoded == [6, 6]

    def test_a_build_cut_short_is_never_taken_for_an_older_whole(
        self, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / "corpus"
        whole = built(text, folder)
        expected = decoded(whole)
        monkeypatch.setattr(corpus_module, "_BLOCK", 2)
        other = written(tmp_path / "other.txt", ["b", "b", "b"])
        with open(other, "ab") as stream:
            stream.write(b"\xff\n")
        with pytest.raises(InputError, match="not UTF-8") as error:
            built(other, folder)
        assert error.value.line == 4
        monkeypatch.undo()
        assert decoded(built(text, folder)) == expected
        assert sorted(os.listdir(folder)) == ["corpus.json", "offsets.bin", "tokens.bin"]


class TestBadInput:
    def test_missing_text(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no such file") as error:
            built(tmp_path / "none.txt", tmp_path / "corpus")
        assert error.value.file == str(tmp_path / "none.txt")

    def test_text_without_a_sentence(self, tmp_path: Path) -> None:
        text = written(tmp_path / "text.txt", ["", " \t"])
        with pytest.raises(InputError, match="no sentence in the text") as error:
            built(text, tmp_path / "corpus")
        assert error.value.file == str(text)
        assert os.listdir(tmp_path / "corpus") == []

    def test_a_full_disk(self, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(descriptor: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(InputError, match=r"cannot be written \(No space left on device\)"):
            built(text, tmp_path / "corpus")
        assert os.listdir(tmp_path / "corpus") == []

    def test_a_file_where_the_folder_should_be(self, text: Path, tmp_path: Path) -> None:
        (tmp_path / "corpus").write_text("")
        with pytest.raises(InputError) as error:
            built(text, tmp_path / "corpus")
        assert error.value.file == str(tmp_path / "corpus")


def test_memory_does_not_grow_with_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_module, "_BLOCK", 500)

    def peak(sentences: int) -> int:
        text = written(tmp_path / f"{sentences}.txt", ["a b c a b c a b"] * sentences)
        tracemalloc.start()
        corpus = built(text, tmp_path / f"corpus-{sentences}")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(corpus) == sentences
        return most

    peak(1000)  # imports and caches
    assert peak(16_000) < 1.2 * peak(2000)
