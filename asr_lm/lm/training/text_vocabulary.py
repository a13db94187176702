"""Which vocabulary a training text is cut into: one that is made from it, or one that is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from asr_lm.errors import InputError
from asr_lm.lm.training.options import VOCABULARY_KINDS
from asr_lm.text.vocabulary import SentencePieceVocabulary, Vocabulary, WordVocabulary

_BYTES_AND_SPECIALS = 256 + 3
_WORDS_A_PIECE = 10
"""Words of text for each piece: of fewer there is too little to learn what follows the piece."""

_TRIED = 10_000
"""Sentences that a given vocabulary is tried on."""

UNKNOWN_ERROR = 0.20
"""Share of unknown words above which a given vocabulary does not fit the text."""

_EXAMPLES = 5


def make_vocabulary(
    kind: str, sentences: Callable[[], Iterable[str]], *, size: int | None, most_pieces: int, min_count: int = 1
) -> Vocabulary:
    """The vocabulary of a text.

    Args:
        kind: ``words``, ``bpe``, ``unigram``, or the file of a SentencePiece model.
        sentences: gives the normalised text, as often as it is asked.
        size: number of tokens; None is every word, or as many pieces as the text is enough for.
        most_pieces: of the latter.
        min_count: words seen less often are unknown.

    Raises:
        InputError: the text is too small for ``size``; the file is damaged, or does not fit the text.
    """
    if kind == "words":
        return WordVocabulary.build(sentences(), min_count=min_count, max_size=size)
    if kind in VOCABULARY_KINDS:
        pieces = size or fitting_pieces(sentences(), most_pieces)
        return SentencePieceVocabulary.train(sentences(), pieces, model_type=kind, at_most=size is None)
    return _given(Path(kind), sentences(), size)


def fitting_pieces(sentences: Iterable[str], most: int) -> int:
    """How many pieces a text is enough for: all its characters, and one more for every ten words.

    Text is read until it is enough for ``most``.
    """
    words, characters, pieces = 0, {" "}, 0  # a piece begins with how SentencePiece writes a space
    for sentence in sentences:
        words += sentence.count(" ") + 1
        characters.update(sentence)
        pieces = _BYTES_AND_SPECIALS + len(characters) + words // _WORDS_A_PIECE
        if pieces >= most:
            return most
    return pieces or most


def _given(file: Path, sentences: Iterable[str], size: int | None) -> SentencePieceVocabulary:
    """A SentencePiece model of the user's own.

    Raises:
        InputError: it is none, or does not fit the text.
    """
    vocabulary = SentencePieceVocabulary.load(file)
    if size not in (None, vocabulary.size):
        raise InputError(f"has {vocabulary.size} tokens, not {size}", file=file)
    tried = list(islice(sentences, _TRIED))
    try:
        vocabulary.check_words(tried)
    except InputError as error:
        raise error.located(file=file) from error
    _check_known(vocabulary, tried, file)
    return vocabulary


def _check_known(vocabulary: SentencePieceVocabulary, sentences: list[str], file: Path) -> None:
    words = sum(sentence.count(" ") + 1 for sentence in sentences)
    unknown = sum(map(vocabulary.unknown_words, sentences))
    if unknown > UNKNOWN_ERROR * words:
        examples = ", ".join(map(repr, islice(dict.fromkeys(_unknown(vocabulary, sentences)), _EXAMPLES)))
        raise InputError(
            f"{100 * unknown / words:.1f} % of the text's words have pieces that are unknown to it, as {examples}; is "
            "it for text that is normalised otherwise?",
            file=file,
            parameter="normalizer",
        )


def _unknown(vocabulary: SentencePieceVocabulary, sentences: list[str]) -> Iterator[str]:
    return (word for sentence in sentences for word in sentence.split() if vocabulary.unknown_words(word))
