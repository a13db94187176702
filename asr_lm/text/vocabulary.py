"""Vocabularies: text to token ids and back.

Two kinds: words (:class:`WordVocabulary`) and SentencePiece pieces (:class:`SentencePieceVocabulary`). In both id 0 is
``<unk>``, 1 is ``<s>`` and 2 is ``</s>``; :meth:`Vocabulary.encode` returns neither of the latter two, the language
models add them. Text is expected to be normalised already.
"""

from __future__ import annotations

import hashlib
import io
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError
from asr_lm.files import atomic_write, iterate_text, write_text

UNK, BOS, EOS = "<unk>", "<s>", "</s>"
SPECIALS = (UNK, BOS, EOS)
WORDS_FILE = "words.txt"
PIECES_FILE = "tokens.model"
_UNKNOWN_SURFACE = " \u2047 "  # what SentencePiece decodes <unk> to

Tokens = NDArray[np.int32]


class Vocabulary(ABC):
    """Maps normalised text to token ids ``[tokens]`` and back.

    Attributes:
        kind: ``words`` or ``sentencepiece``.
        tokens: the string of every id.
        unk_id, bos_id, eos_id: ids of ``<unk>``, ``<s>`` and ``</s>``.
    """

    kind: str
    unk_id = 0
    bos_id = 1
    eos_id = 2

    @property
    @abstractmethod
    def tokens(self) -> Sequence[str]:
        """The string of every id."""

    @property
    def size(self) -> int:
        """Number of ids, special tokens included."""
        return len(self.tokens)

    @abstractmethod
    def encode_batch(self, texts: Sequence[str]) -> list[Tokens]:
        """Token ids of each text."""

    def encode(self, text: str) -> Tokens:
        """Token ids of one text ``[tokens]``; empty for empty text."""
        return self.encode_batch([text])[0]

    @abstractmethod
    def decode(self, ids: Iterable[int]) -> str:
        """The text of token ids; unknown words come back as ``<unk>``."""

    @abstractmethod
    def unknown_words(self, text: str) -> int:
        """How many words of ``text`` contain a token that is not in the vocabulary."""

    @abstractmethod
    def word_lengths(self, text: str) -> list[int]:
        """How many tokens each word of ``text`` takes, in order; they sum to ``len(encode(text))``."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Hexadecimal digest that differs whenever an encoding could differ."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the vocabulary's file into ``folder``."""

    @property
    def is_open(self) -> bool:
        """Whether no word can be unknown (SentencePiece with byte fallback)."""
        return False


class WordVocabulary(Vocabulary):
    """White-space separated words; any other word is ``<unk>``. A literal ``<unk>`` in the text is ``<unk>`` too.

    File format: ``words.txt``, one word a line in order of ids, the first three being the special tokens.
    """

    kind = "words"

    def __init__(self, words: Iterable[str]) -> None:
        """Args: words: without the special tokens, each once, in order of ids from 3."""
        self._tokens = [*SPECIALS, *words]
        self._ids = {word: index for index, word in enumerate(self._tokens)}
        if len(self._ids) != len(self._tokens):
            repeated = next(word for word, count in Counter(self._tokens).items() if count > 1)
            raise InputError(f"word {repeated!r} stands twice in the vocabulary")

    @classmethod
    def build(cls, lines: Iterable[str], *, min_count: int = 1, max_size: int | None = None) -> WordVocabulary:
        """The words of normalised ``lines``, most frequent first (ties in alphabetical order).

        Args:
            lines: sentences.
            min_count: words seen less often are left out.
            max_size: keep at most so many ids, special tokens included.
        """
        counts: Counter[str] = Counter()
        for line in lines:
            counts.update(line.split())
        for special in SPECIALS:
            counts.pop(special, None)
        kept = sorted((word for word, count in counts.items() if count >= min_count), key=lambda w: (-counts[w], w))
        return cls(kept if max_size is None else kept[: max(max_size - len(SPECIALS), 0)])

    @classmethod
    def load(cls, path: Path) -> WordVocabulary:
        """Read ``words.txt``.

        Raises:
            InputError: missing, empty, repeated words, or the special tokens are not where they belong.
        """
        words = [line for _, line in iterate_text(path)]
        if tuple(words[:3]) != SPECIALS:
            raise InputError(f"damaged vocabulary: the first three lines must be {' '.join(SPECIALS)}", file=path)
        bad = next((number for number, word in enumerate(words, 1) if not word or word.split() != [word]), None)
        if bad is not None:
            raise InputError("damaged vocabulary: one word a line expected", file=path, line=bad)
        try:
            return cls(words[3:])
        except InputError as error:
            raise InputError(f"damaged vocabulary: {error.message}", file=path) from None

    @property
    def tokens(self) -> Sequence[str]:
        return self._tokens

    def __contains__(self, word: str) -> bool:
        return word in self._ids

    def encode_batch(self, texts: Sequence[str]) -> list[Tokens]:
        get, unk = self._ids.get, self.unk_id
        return [np.array([get(word, unk) for word in text.split()], dtype=np.int32) for text in texts]

    def decode(self, ids: Iterable[int]) -> str:
        return " ".join(self._tokens[index] for index in ids)

    def unknown_words(self, text: str) -> int:
        return sum(self._ids.get(word, 0) == 0 for word in text.split())

    def word_lengths(self, text: str) -> list[int]:
        return [1] * len(text.split())

    def fingerprint(self) -> str:
        return hashlib.blake2b("\n".join(self._tokens).encode(), digest_size=16).hexdigest()

    def save(self, folder: Path) -> None:
        write_text(folder / WORDS_FILE, "".join(f"{word}\n" for word in self._tokens))


class SentencePieceVocabulary(Vocabulary):
    """Pieces of a SentencePiece model (Kudo and Richardson 2018), BPE or unigram.

    File format: ``tokens.model`` as SentencePiece writes it.
    """

    kind = "sentencepiece"

    def __init__(self, model: bytes) -> None:
        """Args: model: the serialised SentencePiece model; it must have ``<unk> <s> </s>`` as ids 0, 1, 2.

        Raises:
            InputError: not such a model.
        """
        from sentencepiece import SentencePieceProcessor

        self._model = model
        try:
            self._processor: Any = SentencePieceProcessor(model_proto=model)
        except RuntimeError:
            raise InputError("not a SentencePiece model") from None
        count = self._processor.get_piece_size()
        self._tokens: list[str] = [self._processor.id_to_piece(index) for index in range(count)]
        if tuple(self._tokens[:3]) != SPECIALS:
            raise InputError(f"ids 0, 1, 2 of the SentencePiece model must be {' '.join(SPECIALS)}")
        self._has_bytes = any(self._processor.is_byte(index) for index in range(min(count, 300)))

    @classmethod
    def train(
        cls,
        lines: Iterable[str],
        size: int,
        *,
        model_type: str = "bpe",
        byte_fallback: bool = True,
        max_sentences: int = 1_000_000,
    ) -> SentencePieceVocabulary:
        """Train pieces on normalised ``lines``.

        Args:
            lines: sentences; of more than ``max_sentences`` a random sample is used.
            size: number of ids, special tokens (and 256 bytes under ``byte_fallback``) included.
            model_type: ``bpe`` or ``unigram``.
            byte_fallback: spell unknown characters as bytes, so that nothing is unknown.

        Raises:
            InputError: the text is too small for ``size`` pieces.
        """
        from sentencepiece import SentencePieceTrainer

        writer = io.BytesIO()
        try:
            SentencePieceTrainer.train(
                sentence_iterator=iter(lines),
                model_writer=writer,
                vocab_size=size,
                model_type=model_type,
                byte_fallback=byte_fallback,
                character_coverage=1.0 if not byte_fallback else 0.9999,
                normalization_rule_name="identity",
                unk_id=cls.unk_id,
                bos_id=cls.bos_id,
                eos_id=cls.eos_id,
                pad_id=-1,
                input_sentence_size=max_sentences,
                shuffle_input_sentence=True,
                num_threads=2,
                minloglevel=2,
            )
        except (RuntimeError, OSError) as error:
            reason = str(error).rpartition("] ")[2].strip() or "the text is too small"
            raise InputError(f"cannot train {size} SentencePiece pieces on this text: {reason}") from None
        return cls(writer.getvalue())

    @classmethod
    def load(cls, path: Path) -> SentencePieceVocabulary:
        """Read ``tokens.model``.

        Raises:
            InputError: missing or damaged.
        """
        try:
            return cls(path.read_bytes())
        except FileNotFoundError:
            raise InputError("no such file", file=path) from None
        except InputError as error:
            raise InputError(error.message, file=path) from None

    @property
    def tokens(self) -> Sequence[str]:
        return self._tokens

    @property
    def is_open(self) -> bool:
        return self._has_bytes

    def encode_batch(self, texts: Sequence[str]) -> list[Tokens]:
        return [np.array(ids, dtype=np.int32) for ids in self._processor.encode(list(texts), out_type=int)]

    def decode(self, ids: Iterable[int]) -> str:
        return str(self._processor.decode([int(index) for index in ids])).replace(_UNKNOWN_SURFACE, UNK)

    def unknown_words(self, text: str) -> int:
        if self._has_bytes:
            return 0
        return sum(self.unk_id in ids for ids in self._processor.encode(text.split(), out_type=int))

    def word_lengths(self, text: str) -> list[int]:
        return [len(ids) for ids in self._processor.encode(text.split(), out_type=int)]

    def fingerprint(self) -> str:
        return hashlib.blake2b(self._model, digest_size=16).hexdigest()

    def save(self, folder: Path) -> None:
        with atomic_write(folder / PIECES_FILE) as stream:
            stream.write(self._model)


def load_vocabulary(folder: Path) -> Vocabulary:
    """The vocabulary of a model folder, whichever kind it holds.

    Raises:
        InputError: the folder holds none, or a damaged one.
    """
    if (folder / WORDS_FILE).exists():
        return WordVocabulary.load(folder / WORDS_FILE)
    if (folder / PIECES_FILE).exists():
        return SentencePieceVocabulary.load(folder / PIECES_FILE)
    raise InputError(f"no vocabulary: expected {WORDS_FILE} or {PIECES_FILE}", file=folder)
