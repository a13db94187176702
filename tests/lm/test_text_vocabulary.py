"""A vocabulary fits the text that it is for, whoever made it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import sentencepiece

from asr_lm.errors import InputError
from asr_lm.lm.loading import load_model
from asr_lm.lm.training.options import MOST_PIECES, TextOptions
from asr_lm.lm.training.recipe import train_ngram_model
from asr_lm.lm.training.text_vocabulary import fitting_pieces, make_vocabulary
from asr_lm.text.vocabulary import SentencePieceVocabulary, WordVocabulary

WHO, DOES, WHAT = ("cat", "dog", "old sailor"), ("sees", "paints"), ("boat", "harbour", "lighthouse")
SENTENCES = [f"the {who} {does} the {what}" for who in WHO for does in DOES for what in WHAT]


def own(path: Path, sentences: list[str] = SENTENCES, **options: Any) -> Path:
    """A SentencePiece model as a user trains it."""
    writer = io.BytesIO()
    options = {"vocab_size": 60, "model_type": "unigram", "hard_vocab_limit": False, "minloglevel": 2} | options
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(sentences * 5), model_writer=writer, **options)
    path.write_bytes(writer.getvalue())
    return path


def made(kind: str, sentences: list[str] = SENTENCES, size: int | None = None) -> Any:
    return make_vocabulary(kind, lambda: sentences, size=size, most_pieces=MOST_PIECES)


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
@pytest.mark.parametrize("sentences", [SENTENCES[:1], SENTENCES, ["今天天气很好"] * 20, ["a"]])
def test_a_small_text_gets_as_many_pieces_as_it_is_enough_for(kind: str, sentences: list[str]) -> None:
    vocabulary = made(kind, sentences)
    words = sum(len(sentence.split()) for sentence in sentences)
    assert 259 < vocabulary.size <= 260 + len(set("".join(sentences))) + words // 10 + 1
    assert all(vocabulary.decode(vocabulary.encode(sentence)) == sentence for sentence in sentences)
    with pytest.raises(InputError, match="cannot train 4000 SentencePiece pieces"):
        made(kind, sentences, size=4000)


def test_a_large_text_is_read_until_it_is_enough() -> None:
    read: list[int] = []
    large = (read.append(number) or "w w w w w w w w w w" for number in range(10**9))
    assert fitting_pieces(large, 4000) == 4000
    assert len(read) < 4000
    assert fitting_pieces([], 4000) == 4000


def test_words_are_every_word() -> None:
    assert isinstance(made("words"), WordVocabulary)


class TestOwn:
    """A SentencePiece model of the user's own."""

    def test_it_is_taken_as_it_is(self, tmp_path: Path) -> None:
        file = own(tmp_path / "own.model")
        vocabulary = made(str(file))
        assert isinstance(vocabulary, SentencePieceVocabulary)
        assert vocabulary.fingerprint() == SentencePieceVocabulary.load(file).fingerprint()
        with pytest.raises(InputError, match=r"own.model: has \d+ tokens, not 7"):
            made(str(file), size=7)

    def test_a_model_is_trained_with_it_and_keeps_it(self, tmp_path: Path) -> None:
        file = own(tmp_path / "own.model")
        text = tmp_path / "text.txt"
        text.write_text("\n".join(SENTENCES))
        train_ngram_model(TextOptions((text,), None, vocabulary=str(file)), tmp_path / "m", order=2)
        file.unlink()
        model = load_model(tmp_path / "m")
        assert model.vocabulary.kind == "sentencepiece"
        assert model.encode(SENTENCES[:1])[0].tolist() == model.vocabulary.encode(SENTENCES[0]).tolist()

    def test_another_file_is_refused_with_what_is_wrong(self, tmp_path: Path) -> None:
        (tmp_path / "empty").write_bytes(b"")
        (tmp_path / "text").write_bytes(b"words")
        for file, complaint in {
            own(tmp_path / "padded", pad_id=0, unk_id=1, bos_id=2, eos_id=3): "must be <unk> <s> </s>, as spm_train",
            own(tmp_path / "across", split_by_whitespace=False, model_type="bpe"): "run across words, as in 'the cat",
            own(tmp_path / "capitals", [text.upper() for text in SENTENCES]): "words have pieces that are unknown",
            tmp_path / "empty": "empty",
            tmp_path / "text": "not a SentencePiece model",
        }.items():
            with pytest.raises(InputError, match=complaint) as caught:
                made(str(file))
            assert caught.value.file == str(file)

    def test_what_is_neither_a_kind_nor_a_file_is_refused(self, tmp_path: Path) -> None:
        for name in ("syllables", str(tmp_path)):
            with pytest.raises(InputError, match=r"vocabulary: expected words, bpe, unigram, or the file of a Sent"):
                TextOptions((), None, vocabulary=name)
