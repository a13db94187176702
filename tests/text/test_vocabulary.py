"""Laws of vocabularies: nothing gets lost between text and token ids, and nothing changes unnoticed."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_lm.errors import InputError
from asr_lm.text.normalizer import as_is, librispeech
from asr_lm.text.vocabulary import (
    PIECES_FILE,
    WORDS_FILE,
    SentencePieceVocabulary,
    Vocabulary,
    WordVocabulary,
)
from asr_lm.text.vocabulary_folder import load_vocabulary

LINES = [
    "the old ferry left the harbour before the storm came in",
    "nobody on the ferry had seen the harbour lights go out",
    "it's the captain's habit to count the lights twice",
    "she'd rather count the gulls than wait for the captain",
    "the gulls had left before anybody else saw the storm",
    "before it rains the old captain closes every window",
]

WORDS = WordVocabulary(["the", "cat", "sat", "é", "it's"])


@cache
def pieces(model_type: str = "bpe", byte_fallback: bool = True) -> SentencePieceVocabulary:
    size = {("bpe", True): 330, ("unigram", True): 310, ("bpe", False): 70, ("unigram", False): 45}
    return SentencePieceVocabulary.train(
        LINES * 5, size[model_type, byte_fallback], model_type=model_type, byte_fallback=byte_fallback
    )


KINDS: list[Callable[[], Vocabulary]] = [
    lambda: WORDS,
    lambda: pieces("bpe"),
    lambda: pieces("unigram"),
    lambda: pieces("bpe", False),
    lambda: pieces("unigram", False),
]
every_kind = pytest.mark.parametrize("make", KINDS, ids=["words", "bpe", "unigram", "bpe-closed", "unigram-closed"])

few = settings(max_examples=30)

# Whatever a transcript may hold; U+2581 alone is SentencePiece's own space.
any_text = st.text(
    alphabet=st.one_of(
        st.sampled_from("thecaptain's  <>/unk⁇\x00\u2585é中😀\u0301\u200d"),
        st.characters(codec="utf-8", exclude_characters="\u2581"),
    ),
    max_size=30,
).map(as_is)


class TestEveryKind:
    @every_kind
    def test_the_first_ids_are_special_and_never_encoded(self, make: Callable[[], Vocabulary]) -> None:
        vocabulary = make()
        assert list(vocabulary.tokens[:3]) == ["<unk>", "<s>", "</s>"]
        assert (vocabulary.unk_id, vocabulary.bos_id, vocabulary.eos_id) == (0, 1, 2)
        ids = vocabulary.encode("<s> the <s> cat </s> <unk> </s>")
        assert not np.isin(ids, [vocabulary.bos_id, vocabulary.eos_id]).any()

    @every_kind
    @few
    @given(texts=st.lists(any_text, max_size=4))
    def test_texts_are_encoded_one_by_one(self, make: Callable[[], Vocabulary], texts: list[str]) -> None:
        vocabulary = make()
        batch = vocabulary.encode_batch(texts)
        assert len(batch) == len(texts)
        for ids, text in zip(batch, texts, strict=True):
            assert ids.dtype == np.int32
            assert ids.shape == (len(ids),)
            assert ids.tolist() == vocabulary.encode(text).tolist()
            assert ((ids >= 0) & (ids < vocabulary.size)).all()
            assert (len(ids) == 0) == (text == "")

    @every_kind
    def test_many_texts_are_encoded_as_few_are(self, make: Callable[[], Vocabulary]) -> None:
        texts = [f"{line} {number}" for number, line in enumerate(LINES * 40)]
        for ids, text in zip(make().encode_batch(texts), texts, strict=True):
            assert ids.tolist() == make().encode(text).tolist()

    @every_kind
    @few
    @given(text=any_text)
    def test_the_tokens_of_the_words_make_up_those_of_the_text(self, make: Callable[[], Vocabulary], text: str) -> None:
        vocabulary = make()
        lengths = vocabulary.word_lengths(text)
        assert len(lengths) == len(text.split())
        assert sum(lengths) == len(vocabulary.encode(text))
        by_word = [vocabulary.encode(word) for word in text.split()]
        assert lengths == [len(ids) for ids in by_word]
        assert [int(i) for ids in by_word for i in ids] == vocabulary.encode(text).tolist()

    @every_kind
    @few
    @given(text=any_text)
    def test_unknown_words_are_those_that_hold_an_unknown_token(
        self, make: Callable[[], Vocabulary], text: str
    ) -> None:
        vocabulary = make()
        expected = sum(vocabulary.unk_id in vocabulary.encode(word) for word in text.split())
        assert vocabulary.unknown_words(text) == expected
        assert not (vocabulary.is_open and expected)

    @every_kind
    def test_saving_and_loading_changes_nothing(self, make: Callable[[], Vocabulary], tmp_path: Path) -> None:
        vocabulary = make()
        vocabulary.save(tmp_path)
        loaded = load_vocabulary(tmp_path)
        assert type(loaded) is type(vocabulary)
        assert list(loaded.tokens) == list(vocabulary.tokens)
        assert loaded.fingerprint() == vocabulary.fingerprint()
        text = "the captain sat <unk> 中 é"
        assert loaded.encode(text).tolist() == vocabulary.encode(text).tolist()

    def test_no_two_vocabularies_have_the_same_fingerprint(self) -> None:
        vocabularies = [make() for make in KINDS]
        vocabularies += [WordVocabulary(words.split()) for words in ("a b", "b a", "a", "a b c", "ab", "a B")]
        vocabularies.append(SentencePieceVocabulary.train([*LINES, "zoo zoo"] * 5, 330))
        assert len({vocabulary.fingerprint() for vocabulary in vocabularies}) == len(vocabularies)


class TestWords:
    @few
    @given(st.lists(st.sampled_from(["the", "cat", "sat", "é", "it's"]), max_size=8).map(" ".join))
    def test_known_words_come_back(self, text: str) -> None:
        assert WORDS.decode(WORDS.encode(text)) == text
        assert WORDS.unknown_words(text) == 0

    def test_everything_else_is_unknown(self) -> None:
        text = "the dog <unk> <s> sat </s> The"
        assert WORDS.encode(text).tolist() == [3, 0, 0, 0, 5, 0, 0]
        assert WORDS.decode(WORDS.encode(text)) == "the <unk> <unk> <unk> sat <unk> <unk>"
        assert WORDS.unknown_words(text) == 5
        assert [word in WORDS for word in ("the", "dog", "<unk>", "<s>", "</s>")] == [True, *[False] * 4]

    def test_words_are_kept_by_frequency_then_alphabet(self) -> None:
        lines = ["b a c", "b <unk> </s>", "c b a", "d <s>"]
        assert WordVocabulary.build(lines).tokens[3:] == ["b", "a", "c", "d"]
        assert WordVocabulary.build(lines, min_count=2).tokens[3:] == ["b", "a", "c"]
        assert WordVocabulary.build(lines, max_size=5).tokens == ["<unk>", "<s>", "</s>", "b", "a"]

    @pytest.mark.parametrize(
        ("lines", "options"),
        [([], {}), (["<unk> <s>"], {}), (["a b"], {"min_count": 2}), (["a b"], {"max_size": 3})],
    )
    def test_a_vocabulary_without_words_is_refused(self, lines: list[str], options: dict[str, int]) -> None:
        with pytest.raises(InputError, match="no word is left"):
            WordVocabulary.build(lines, **options)

    @pytest.mark.parametrize(
        ("words", "complaint"),
        [
            (["a", "b", "a"], "'a' stands twice"),
            (["<unk>"], "'<unk>' stands twice"),
            (["a b"], "white space"),
            ([""], "empty"),
        ],
    )
    def test_only_distinct_single_words_make_a_vocabulary(self, words: list[str], complaint: str) -> None:
        with pytest.raises(InputError, match=complaint):
            WordVocabulary(words)

    @pytest.mark.parametrize(
        ("content", "complaint", "line"),
        [
            ("", "the first three lines must be <unk> <s> </s>", None),
            ("the\ncat\nsat\n", "the first three lines must be <unk> <s> </s>", None),
            ("<unk>\n</s>\n<s>\na\n", "the first three lines must be <unk> <s> </s>", None),
            ("<unk>\n<s>\n</s>\na\n\nb\n", "one word a line expected", 5),
            ("<unk>\n<s>\n</s>\na\nb 7\n", "one word a line expected", 5),
            ("<unk>\n<s>\n</s>\na\nb\na\n", "'a' stands twice", None),
            (b"<unk>\n<s>\n</s>\n\xff\n", "not UTF-8", 4),
        ],
    )
    def test_damaged_files(self, tmp_path: Path, content: str | bytes, complaint: str, line: int | None) -> None:
        path = tmp_path / WORDS_FILE
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(InputError, match=complaint) as error:
            load_vocabulary(tmp_path)
        assert (error.value.file, error.value.line) == (str(path), line)


class TestSentencePiece:
    @pytest.mark.parametrize("model_type", ["bpe", "unigram"])
    @few
    @given(text=any_text)
    def test_with_byte_fallback_any_text_comes_back(self, model_type: str, text: str) -> None:
        vocabulary = pieces(model_type)
        ids = vocabulary.encode(text)
        assert vocabulary.decode(ids) == text
        assert vocabulary.unk_id not in ids
        assert vocabulary.unknown_words(text) == 0
        assert vocabulary.is_open

    @pytest.mark.parametrize("model_type", ["bpe", "unigram"])
    @few
    @given(text=st.text(alphabet="".join(sorted(set("".join(LINES)))), max_size=40).map(librispeech))
    def test_without_it_the_characters_of_the_training_text_come_back(self, model_type: str, text: str) -> None:
        vocabulary = pieces(model_type, False)
        assert vocabulary.decode(vocabulary.encode(text)) == text
        assert not vocabulary.is_open

    @pytest.mark.parametrize("model_type", ["bpe", "unigram"])
    def test_without_it_other_characters_are_unknown(self, model_type: str) -> None:
        vocabulary = pieces(model_type, False)
        text = "the cap中tain 中文 saw"
        assert vocabulary.decode(vocabulary.encode(text)) == "the cap<unk>tain <unk> saw"
        assert vocabulary.unknown_words(text) == 2

    def test_unknown_and_special_ids_decode_to_what_they_stand_for(self) -> None:
        vocabulary = pieces("bpe")
        the = vocabulary.encode("the").tolist()
        assert vocabulary.decode([1, *the, 0, *the, 2]) == "the<unk> the"
        assert vocabulary.decode([]) == ""

    def test_half_a_character_is_shown_as_damaged(self) -> None:
        vocabulary = pieces("bpe")
        assert vocabulary.decode(vocabulary.encode("中")[:-1]) == "\ufffd"

    def test_training_has_the_size_asked_for_and_is_repeatable(self) -> None:
        sampled = [SentencePieceVocabulary.train(LINES * 40, 320, max_sentences=101) for _ in range(2)]
        assert sampled[0].size == 320
        assert sampled[0].fingerprint() == sampled[1].fingerprint()

    def test_a_long_line_counts_as_much_as_several(self) -> None:
        assert SentencePieceVocabulary.train([" ".join(LINES * 30)], 330).size == 330

    @pytest.mark.parametrize("model_type", ["bpe", "unigram"])
    @pytest.mark.parametrize(
        ("lines", "size", "complaint"),
        [
            (LINES, 4000, "cannot train 4000 SentencePiece pieces on this text: Vocabulary size too high"),
            (LINES, 20, "cannot train 20 SentencePiece pieces on this text: its characters alone need"),
            ([], 300, "cannot train 300 SentencePiece pieces on this text: the text is too small"),
        ],
    )
    def test_text_and_size_that_do_not_fit(self, model_type: str, lines: list[str], size: int, complaint: str) -> None:
        with pytest.raises(InputError, match=complaint):
            SentencePieceVocabulary.train(lines, size, model_type=model_type)

    @pytest.mark.parametrize("failure", [InputError("not UTF-8", file="text", line=3), KeyboardInterrupt(), OSError()])
    def test_a_failure_of_the_text_is_not_taken_for_its_end(self, failure: BaseException) -> None:
        def lines() -> Iterator[str]:
            yield from LINES * 50
            raise failure

        with pytest.raises(type(failure)) as error:
            SentencePieceVocabulary.train(lines(), 330)
        assert error.value is failure

    @pytest.mark.parametrize("content", [b"", b"not a model", bytes(100)])
    def test_damaged_files(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / PIECES_FILE).write_bytes(content)
        with pytest.raises(InputError, match=r"damaged vocabulary: .*SentencePiece model") as error:
            load_vocabulary(tmp_path)
        assert error.value.file == str(tmp_path / PIECES_FILE)

    def test_a_model_with_other_special_tokens(self, tmp_path: Path) -> None:
        from sentencepiece import SentencePieceTrainer

        with open(tmp_path / PIECES_FILE, "wb") as stream:
            SentencePieceTrainer.train(
                sentence_iterator=iter(LINES), model_writer=stream, vocab_size=50, unk_id=1, bos_id=0
            )
        with pytest.raises(InputError, match="ids 0, 1, 2 of the SentencePiece model must be <unk> <s> </s>") as error:
            load_vocabulary(tmp_path)
        assert error.value.file == str(tmp_path / PIECES_FILE)


def test_a_word_that_is_repeated_without_end_is_refused_at_once(tmp_path: Path) -> None:
    for content in ("<unk>\n<s>\n</s>\n" + "a\n" * 10**6, "a\n" * 10**6):
        (tmp_path / WORDS_FILE).write_text(content)
        tracemalloc.start()
        try:
            with pytest.raises(InputError, match="damaged vocabulary"):
                load_vocabulary(tmp_path)
            assert tracemalloc.get_traced_memory()[1] < 2**20
        finally:
            tracemalloc.stop()


def test_a_folder_without_a_vocabulary(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no vocabulary: expected words.txt or tokens.model") as error:
        load_vocabulary(tmp_path)
    assert error.value.file == str(tmp_path)


@pytest.mark.parametrize("kind", [WordVocabulary, SentencePieceVocabulary])
def test_a_missing_file(tmp_path: Path, kind: type[WordVocabulary] | type[SentencePieceVocabulary]) -> None:
    with pytest.raises(InputError, match="no such file"):
        kind.load(tmp_path / "none")
