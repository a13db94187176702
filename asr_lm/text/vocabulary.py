"""Vocabularies: text to token ids and back.

Two kinds are trained: words (:class:`WordVocabulary`) and SentencePiece pieces (:class:`SentencePieceVocabulary`). In
both id 0 is ``<unk>``, 1 is ``<s>`` and 2 is ``</s>``; :meth:`Vocabulary.encode` returns neither of the latter two,
even where a text spells them: the language models add them. A third kind comes with OpenAI's GPT-1
(:mod:`asr_lm.text.gpt1_bpe`). Text is expected to be normalised already.
"""

from __future__ import annotations

import hashlib
import io
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError
from asr_lm.files import atomic_write, iterate_text, read_bytes, write_text

UNK, BOS, EOS = "<unk>", "<s>", "</s>"
SPECIALS = (UNK, BOS, EOS)
WORDS_FILE = "words.txt"
PIECES_FILE = "tokens.model"
GPT1_PIECES_FILE = "vocab.json"
MERGES_FILE = "merges.txt"
VOCABULARY_FILES = (WORDS_FILE, PIECES_FILE, GPT1_PIECES_FILE, MERGES_FILE)
"""Whatever a vocabulary may lie in."""

SPACE = "\u2581"  # how SentencePiece writes a space within a piece

_LONGEST_LINE = 1 << 24  # bytes; SentencePiece leaves longer lines out of the training, and at 4 kB by default
_SAMPLING_SEED = 1
_FEW_TEXTS = 100

Tokens = NDArray[np.int32]
"""Token ids of one sentence ``[tokens]``, without ``<s>`` and ``</s>``."""


def token_ids(sentence: Sequence[int] | Tokens) -> Tokens:
    """The token ids of a sentence ``[tokens]``.

    Raises:
        InputError: they are no whole numbers; text, for one, which methods without ``token`` in their name take.
    """
    ids = np.asarray(sentence)
    if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
        found = "text" if ids.dtype.kind in "US" else f"{ids.dtype} of shape {list(ids.shape)}"
        raise InputError(f"expected the token ids of each sentence, not {found} (log_prob takes text)")
    return ids.astype(np.int32, copy=False)


class Vocabulary(ABC):
    """Maps normalised text to token ids ``[tokens]`` and back.

    Attributes:
        kind: ``words``, ``sentencepiece`` or ``gpt1-bpe``.
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

    def frame(self, sentence: Tokens) -> tuple[Tokens, Tokens]:
        """What a model reads and what it predicts: ``<s> w1 … wn`` and ``w1 … wn </s>``, each ``[tokens + 1]``.

        Raises:
            InputError: text instead of token ids.
        """
        ids = token_ids(sentence)
        framed = np.empty(len(ids) + 2, dtype=np.int32)
        framed[0], framed[1:-1], framed[-1] = self.bos_id, ids, self.eos_id
        return framed[:-1], framed[1:]

    def targets(self, sentences: Iterable[Tokens]) -> list[Tokens]:
        """What is predicted in each sentence, ``w1 … wn </s>``; see :meth:`frame`."""
        return [self.frame(sentence)[1] for sentence in sentences]

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

    def ranks(self) -> dict[str, float] | None:
        """How late byte pair encoding joins each piece, 0 for the first; None for a vocabulary of another kind."""
        return None

    @cached_property
    def begins_word(self) -> NDArray[np.bool_]:
        """Whether each token begins a word, as far as its name tells ``[size]``: pieces say so by a space (``▁``, or
        ``Ġ`` where bytes have letters); where none does, and of special tokens, every token counts as a word."""
        marked = np.array([token.startswith((SPACE, "Ġ")) for token in self.tokens])
        if not marked.any():
            return np.ones(self.size, dtype=bool)
        marked[[self.bos_id, self.eos_id]] = True
        return marked


class WordVocabulary(Vocabulary):
    """White-space separated words; any other word is ``<unk>``, literal ``<unk>``, ``<s>`` and ``</s>`` included.

    File format: ``words.txt``, one word a line in order of ids, the first three being the special tokens.
    """

    kind = "words"

    def __init__(self, words: Iterable[str]) -> None:
        """Args: words: without the special tokens, each once, in order of ids from 3.

        Raises:
            InputError: a word stands twice, is empty or holds white space.
        """
        self._tokens = [*SPECIALS, *words]
        self._ids = {word: index for index, word in enumerate(self._tokens)}
        if len(self._ids) != len(self._tokens):
            repeated = next(word for word, count in Counter(self._tokens).items() if count > 1)
            raise InputError(f"word {repeated!r} stands twice in the vocabulary")
        if (bad := next((word for word in self._tokens if word.split() != [word] or "\0" in word), None)) is not None:
            raise InputError(f"{bad!r} is no word: none may be empty or hold white space or NUL")
        self._ids |= dict.fromkeys(SPECIALS, self.unk_id)

    @classmethod
    def build(cls, lines: Iterable[str], *, min_count: int = 1, max_size: int | None = None) -> WordVocabulary:
        """The words of normalised ``lines``, most frequent first (ties in alphabetical order).

        Args:
            lines: sentences.
            min_count: words seen less often are left out.
            max_size: keep at most so many ids, special tokens included.

        Raises:
            InputError: no word is left.
        """
        counts: Counter[str] = Counter()
        for line in lines:
            counts.update(line.split())
        for special in SPECIALS:
            counts.pop(special, None)
        kept = sorted((word for word, count in counts.items() if count >= min_count), key=lambda w: (-counts[w], w))
        if max_size is not None:
            kept = kept[: max(max_size - len(SPECIALS), 0)]
        if not kept:
            size = "" if max_size is None else f" of {max_size} tokens, {len(SPECIALS)} of them special,"
            raise InputError(f"no word is left for a vocabulary{size} of words seen {min_count} times or more")
        return cls(kept)

    @classmethod
    def load(cls, path: Path) -> WordVocabulary:
        """Read ``words.txt``.

        Raises:
            InputError: missing, empty, repeated words, or the special tokens are not where they belong.
        """
        words: dict[str, None] = {}
        for number, word in iterate_text(path):
            if number <= len(SPECIALS) and word != SPECIALS[number - 1]:
                break
            if word.split() != [word]:
                raise InputError("damaged vocabulary: one word a line expected", file=path, line=number)
            if word in words:
                raise InputError(f"damaged vocabulary: word {word!r} stands twice in it", file=path)
            words[word] = None
        if tuple(words)[: len(SPECIALS)] != SPECIALS:
            raise InputError(f"damaged vocabulary: the first three lines must be {' '.join(SPECIALS)}", file=path)
        try:
            return cls(tuple(words)[len(SPECIALS) :])
        except InputError as error:
            raise InputError(f"damaged vocabulary: {error.message}", file=path) from None

    @property
    def tokens(self) -> Sequence[str]:
        return self._tokens

    def __contains__(self, word: str) -> bool:
        return self._ids.get(word, self.unk_id) != self.unk_id

    def encode_batch(self, texts: Sequence[str]) -> list[Tokens]:
        get, unk = self._ids.get, self.unk_id
        return [np.array([get(word, unk) for word in text.split()], dtype=np.int32) for text in texts]

    def decode(self, ids: Iterable[int]) -> str:
        return " ".join(self._tokens[index] for index in ids)

    def unknown_words(self, text: str) -> int:
        return sum(word not in self for word in text.split())

    def word_lengths(self, text: str) -> list[int]:
        return [1] * len(text.split())

    def fingerprint(self) -> str:
        return hashlib.blake2b("\n".join(self._tokens).encode(), digest_size=16).hexdigest()

    def save(self, folder: Path) -> None:
        write_text(folder / WORDS_FILE, "".join(f"{word}\n" for word in self._tokens))


class SentencePieceVocabulary(Vocabulary):
    """Pieces of a SentencePiece model (Kudo and Richardson 2018), BPE or unigram.

    SentencePiece writes a space as U+2581, so that character in a text counts as a space.

    File format: ``tokens.model`` as SentencePiece writes it.
    """

    kind = "sentencepiece"

    def __init__(self, model: bytes) -> None:
        """Args: model: the serialised SentencePiece model; it must have ``<unk> <s> </s>`` as ids 0, 1, 2.

        Raises:
            InputError: not such a model.
        """
        from sentencepiece import SentencePieceProcessor

        if not model:
            raise InputError("empty, a SentencePiece model was expected")
        self._model = model
        try:
            self._processor: Any = SentencePieceProcessor(model_proto=model)
            count = self._processor.get_piece_size()
            self._tokens: list[str] = [self._processor.id_to_piece(index) for index in range(count)]
        except RuntimeError:
            raise InputError("not a SentencePiece model") from None
        except UnicodeDecodeError as error:
            raise InputError(f"a piece of the SentencePiece model is not UTF-8 ({error.reason})") from None
        if tuple(self._tokens[:3]) != SPECIALS:
            found = " ".join(self._tokens[:3])
            raise InputError(
                f"ids 0, 1, 2 of the SentencePiece model must be {' '.join(SPECIALS)}, as spm_train makes them by "
                f"default, not {found}"
            )
        self._has_bytes = any(map(self._processor.is_byte, range(count)))

    @classmethod
    def train(
        cls,
        lines: Iterable[str],
        size: int,
        *,
        model_type: str = "bpe",
        byte_fallback: bool = True,
        max_sentences: int = 1_000_000,
        at_most: bool = False,
    ) -> SentencePieceVocabulary:
        """Train pieces on normalised ``lines``.

        Args:
            lines: sentences; of more than ``max_sentences`` a random sample is used.
            size: number of ids, special tokens (and 256 bytes under ``byte_fallback``) included.
            model_type: ``bpe`` or ``unigram``.
            byte_fallback: spell unknown characters as bytes, so that nothing is unknown.
            max_sentences: see above.
            at_most: fewer pieces will do where the text has not so many.

        Raises:
            InputError: the text is too small for ``size`` pieces, or ``size`` for the characters of the text; whatever
                ``lines`` raises is passed on.
        """
        from sentencepiece import SentencePieceTrainer, set_random_generator_seed

        set_random_generator_seed(_SAMPLING_SEED)
        writer, reader = io.BytesIO(), _Reader(lines)
        try:
            SentencePieceTrainer.train(
                sentence_iterator=iter(reader),
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
                max_sentence_length=_LONGEST_LINE,
                hard_vocab_limit=not at_most,
                num_threads=2,
                minloglevel=2,
            )
        except (RuntimeError, OSError) as error:
            if reader.failure is not None:
                raise reader.failure from None
            reason = str(error).rpartition("] ")[2].strip() or "the text is too small"
            if needed := re.search(r"required_chars\D*\d+ vs (\d+)", reason):
                reason = f"its characters alone need {needed[1]}"
            raise InputError(f"cannot train {size} SentencePiece pieces on this text: {reason}") from None
        return cls(writer.getvalue())

    @classmethod
    def load(cls, path: Path) -> SentencePieceVocabulary:
        """Read ``tokens.model``.

        Raises:
            InputError: missing or damaged.
        """
        model = read_bytes(path)
        try:
            return cls(model)
        except InputError as error:
            raise InputError(f"damaged vocabulary: {error.message}", file=path) from None

    def check_words(self, sentences: Iterable[str]) -> None:
        """Refuse pieces that run across words, whose probabilities would be those of no word.

        Args:
            sentences: normalised, to try it on.

        Raises:
            InputError: they do.
        """
        for sentence in sentences:
            if sum(self.word_lengths(sentence)) != len(self.encode(sentence)):
                raise InputError(
                    f"its pieces run across words, as in {sentence[:40]!r}; train it as spm_train does by default, "
                    "with split_by_whitespace and add_dummy_prefix"
                )

    @property
    def tokens(self) -> Sequence[str]:
        return self._tokens

    @property
    def is_open(self) -> bool:
        return self._has_bytes

    def encode_batch(self, texts: Sequence[str]) -> list[Tokens]:
        return [np.array(ids, dtype=np.int32) for ids in self._encode_all(texts)]

    def _encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        # For a list SentencePiece starts threads, at the price of encoding a hundred words.
        if len(texts) < _FEW_TEXTS:
            return [self._processor.encode(text, out_type=int) for text in texts]
        encoded: list[list[int]] = self._processor.encode(list(texts), out_type=int)
        return encoded

    def decode(self, ids: Iterable[int]) -> str:
        spelled = b"".join(self._surface(int(index)) for index in ids)
        return spelled.decode(errors="replace").removeprefix(" ")

    def _surface(self, index: int) -> bytes:
        piece = self._tokens[index]
        if self._processor.is_byte(index):
            return bytes([int(piece[1:-1], 16)])
        return b"" if self._processor.is_control(index) else piece.replace(SPACE, " ").encode()

    def ranks(self) -> dict[str, float] | None:
        # The scores of byte pair encoding are 0, -1, -2 and so on; those of a unigram model are log-probabilities.
        kinds = (self._processor.is_control, self._processor.is_unknown, self._processor.is_byte)
        normal = [index for index in range(self.size) if not any(kind(index) for kind in kinds)]
        ranks = {self._tokens[index]: -float(self._processor.get_score(index)) for index in normal}
        return ranks if all(rank.is_integer() for rank in ranks.values()) else None

    def unknown_words(self, text: str) -> int:
        if self._has_bytes or self.unk_id not in self._processor.encode(text, out_type=int):
            return 0
        return sum(self.unk_id in ids for ids in self._encode_all(text.split()))

    def word_lengths(self, text: str) -> list[int]:
        return [len(ids) for ids in self._encode_all(text.split())]

    def fingerprint(self) -> str:
        return hashlib.blake2b(self._model, digest_size=16).hexdigest()

    def save(self, folder: Path) -> None:
        with atomic_write(folder / PIECES_FILE) as stream:
            stream.write(self._model)


class _Reader:
    """Iterates over lines and keeps the error that ended them: SentencePiece makes a RuntimeError of it."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = lines
        self.failure: BaseException | None = None

    def __iter__(self) -> Iterator[str]:
        try:
            yield from self._lines
        except (Exception, KeyboardInterrupt) as error:
            self.failure = error
            raise
