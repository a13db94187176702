"""Training text as token ids on disk.

Text is read once, sentence by sentence, and its token ids are kept in flat files that are memory-mapped: the memory
needed does not grow with the text. ``tokens.bin`` holds the ids of all sentences one after another (without ``<s>``
and ``</s>``), ``offsets.bin`` where each sentence begins, ``corpus.json`` what they were made from.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError
from asr_lm.files import atomic_write, display_name, iterate_text, make_folder, write_text
from asr_lm.lm.training.options import Fold
from asr_lm.text.lost_letters import LostLetters
from asr_lm.text.normalizer import get_normalizer
from asr_lm.text.sentence_hashes import fold_of
from asr_lm.text.vocabulary import Tokens, Vocabulary

TOKENS_FILE = "tokens.bin"
OFFSETS_FILE = "offsets.bin"
DESCRIPTION_FILE = "corpus.json"

_BLOCK = 20_000
"""Sentences encoded at once."""

_BLOCK_CHARACTERS = 1 << 26
"""With fewer sentences where they are long."""


_JSON = re.compile(r'\s*(\[\s*$|\[?\s*\{\s*("|$))')
"""How the first line of a file of JSON begins."""


def read_lines(path: str | Path) -> Iterator[str]:
    """Lines of a text file, one sentence each, as they are.

    Raises:
        InputError: it cannot be read, is not UTF-8, or is JSON, as an n-best list.
    """
    for number, line in iterate_text(path):
        if number == 1 and _JSON.match(line):
            raise InputError("is JSON; expected text, one sentence a line", file=display_name(path), line=1)
        yield line


def read_sentences(paths: Sequence[str | Path], normalizer: str, fold: Fold | None = None) -> Iterator[str]:
    """Normalised sentences of text files, one a line; lines that are empty after normalisation are left out.

    Args:
        paths: files, ``.gz`` and ``.zst`` included.
        normalizer: name of the normaliser.
        fold: leave out the sentences of fold ``i`` of ``K``.

    Raises:
        InputError: as :func:`read_lines`; there is no such fold; once all is read, the normaliser has lost most of it.
    """
    normalize, lost = get_normalizer(normalizer), LostLetters(normalizer)
    if fold is not None and not 0 <= fold[0] < fold[1]:
        raise InputError(f"no fold {fold[0]} of {fold[1]}; expected one from 0 to {fold[1] - 1}", field="fold")
    for path in paths:
        sentences = (sentence for line in lost.watched(read_lines(path)) if (sentence := normalize(line)))
        yield from sentences if fold is None else _without_fold(sentences, fold)
    try:
        lost.check("normalizer")
    except InputError as error:
        raise error.located(file=", ".join(map(display_name, paths))) from error


def lost_letters(paths: Sequence[str | Path], normalizer: str) -> LostLetters:
    """How much of text files a normaliser loses.

    Raises:
        InputError: as :func:`read_lines`.
    """
    lost = LostLetters(normalizer)
    for path in paths:
        for line in read_lines(path):
            lost.add(line)
    return lost


def _without_fold(sentences: Iterable[str], fold: Fold) -> Iterator[str]:
    for block in _blocks(sentences):
        for sentence, number in zip(block, fold_of(block, fold[1]).tolist(), strict=True):
            if number != fold[0]:
                yield sentence


@dataclass(frozen=True)
class TokenCorpus:
    """Sentences as token ids.

    Attributes:
        tokens: ids of all sentences ``[tokens]``, memory-mapped when they lie on disk, without ``<s>`` and ``</s>``.
        offsets: sentence ``i`` is ``tokens[offsets[i]:offsets[i + 1]]``, ``[sentences + 1]``.
        words: number of words.
        unknown_words: how many of them are unknown to the vocabulary.
        digest: hexadecimal digest of the encoded text.
    """

    tokens: NDArray[np.integer]
    offsets: NDArray[np.int64]
    words: int
    unknown_words: int
    digest: str

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> Tokens:
        return self.tokens[self.offsets[index] : self.offsets[index + 1]].astype(np.int32)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of every sentence ``[sentences]``, without ``</s>``."""
        return np.diff(self.offsets)

    @property
    def tokens_per_word(self) -> float:
        """Tokens over words, ``</s>`` one of each: the loss of a token times this is that of a word."""
        return (len(self.tokens) + len(self)) / max(self.words + len(self), 1)

    def counts(self, vocabulary: Vocabulary) -> NDArray[np.int64]:
        """How often each token occurs, ``</s>`` at the end of every sentence included ``[vocabulary]``."""
        counts = np.bincount(self.tokens, minlength=vocabulary.size).astype(np.int64)
        counts[vocabulary.eos_id] += len(self)
        return counts

    @classmethod
    def from_sentences(cls, sentences: Iterable[str], vocabulary: Vocabulary) -> TokenCorpus:
        """Encode normalised sentences in memory (validation texts, tests)."""
        builder = _Builder(vocabulary)
        blocks = [builder.encode(block) for block in _blocks(sentences)]
        tokens = np.concatenate([block for block, _ in blocks]) if blocks else np.zeros(0, builder.dtype)
        lengths = [0, *(length for _, block_lengths in blocks for length in block_lengths)]
        offsets = np.cumsum(lengths, dtype=np.int64)
        return cls(tokens, offsets, builder.words, builder.unknown_words, builder.digest())

    @classmethod
    def build(
        cls,
        paths: Sequence[str | Path],
        vocabulary: Vocabulary,
        normalizer: str,
        folder: Path,
        fold: Fold | None = None,
    ) -> TokenCorpus:
        """Encode text files into ``folder``; what lies there already is used when it was made from the same.

        Raises:
            InputError: a text cannot be read, or holds no sentence; the folder cannot be written.
        """
        origin = _origin(paths, vocabulary, normalizer, fold)
        if (existing := cls._open(folder, origin)) is not None:
            return existing
        _prepare(folder)
        builder = _Builder(vocabulary)
        sentences = read_sentences(paths, normalizer, fold)
        with atomic_write(folder / TOKENS_FILE) as tokens, atomic_write(folder / OFFSETS_FILE) as offsets:
            if not _encode_into(tokens, offsets, builder, sentences):
                raise InputError("no sentence in the text", file=", ".join(map(str, paths)))
        description = {
            "origin": origin,
            "dtype": np.dtype(builder.dtype).name,
            "words": builder.words,
            "unknown_words": builder.unknown_words,
            "digest": builder.digest(),
        }
        write_text(folder / DESCRIPTION_FILE, json.dumps(description))
        opened = cls._open(folder, origin)
        assert opened is not None
        return opened

    @classmethod
    def _open(cls, folder: Path, origin: object) -> TokenCorpus | None:
        """The corpus of ``folder``; None where it is not whole or was made from something else."""
        try:
            description = json.loads((folder / DESCRIPTION_FILE).read_text())
            if description["origin"] != origin:
                return None
            tokens = _mapped(folder / TOKENS_FILE, np.dtype(description["dtype"]))
            offsets = _mapped(folder / OFFSETS_FILE, np.dtype(np.int64))
            if offsets[-1] != len(tokens):
                return None
            return cls(tokens, offsets, description["words"], description["unknown_words"], description["digest"])
        except (OSError, ValueError, LookupError, TypeError):
            return None


def _prepare(folder: Path) -> None:
    """Make the folder; until :data:`DESCRIPTION_FILE` is written again its files describe nothing."""
    make_folder(folder)
    try:
        (folder / DESCRIPTION_FILE).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", file=folder) from None


def _encode_into(tokens: BinaryIO, offsets: BinaryIO, builder: _Builder, sentences: Iterable[str]) -> int:
    """Encode sentences block by block into two files; the number of sentences."""
    count, end = 0, np.zeros(1, dtype=np.int64)
    offsets.write(end.tobytes())
    for block in _blocks(sentences):
        ids, lengths = builder.encode(block)
        ends = end + np.cumsum(lengths, dtype=np.int64)
        tokens.write(ids.tobytes())
        offsets.write(ends.tobytes())
        count, end = count + len(block), ends[-1:]
    return count


def _mapped(path: Path, dtype: np.dtype[Any]) -> NDArray[Any]:
    """A flat file as an array, memory-mapped; an empty file cannot be."""
    if path.stat().st_size == 0:
        return np.zeros(0, dtype)
    return np.asarray(np.memmap(path, dtype, mode="r"))


class _Builder:
    """Encodes blocks of sentences and counts what passes."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._hash = hashlib.blake2b(digest_size=16)
        self.dtype: type[np.integer] = np.uint16 if vocabulary.size <= 1 << 16 else np.int32
        self.words = 0
        self.unknown_words = 0

    def encode(self, sentences: Sequence[str]) -> tuple[NDArray[np.integer], list[int]]:
        """Token ids of all sentences one after another, and how many each has."""
        encoded = self._vocabulary.encode_batch(sentences)
        tokens = np.concatenate(encoded).astype(self.dtype)
        lengths = [len(ids) for ids in encoded]
        self.words += sum(sentence.count(" ") + 1 for sentence in sentences if sentence)
        if not self._vocabulary.is_open:
            self.unknown_words += self._count_unknown_words(sentences, tokens, lengths)
        self._hash.update(tokens.tobytes())
        self._hash.update(np.array(lengths).tobytes())
        return tokens, lengths

    def _count_unknown_words(
        self, sentences: Sequence[str], tokens: NDArray[np.integer], lengths: Sequence[int]
    ) -> int:
        unknown = np.flatnonzero(tokens == self._vocabulary.unk_id)
        rows = np.unique(np.searchsorted(np.cumsum(lengths), unknown, side="right"))
        return sum(self._vocabulary.unknown_words(sentences[row]) for row in rows)

    def digest(self) -> str:
        return self._hash.hexdigest()


def _blocks(sentences: Iterable[str]) -> Iterator[list[str]]:
    block: list[str] = []
    characters = 0
    for sentence in sentences:
        block.append(sentence)
        characters += len(sentence)
        if len(block) == _BLOCK or characters > _BLOCK_CHARACTERS:
            yield block
            block, characters = [], 0
    if block:
        yield block


def text_identity(path: str | Path) -> list[object]:
    """Path, size and time of change of a text file: enough to see that it is not the one read before.

    Raises:
        InputError: there is no such file.
    """
    try:
        status = Path(path).stat()
    except OSError:
        raise InputError("no such file", file=path) from None
    return [str(Path(path).resolve()), status.st_size, status.st_mtime_ns]


def _origin(
    paths: Sequence[str | Path], vocabulary: Vocabulary, normalizer: str, fold: Fold | None
) -> dict[str, object]:
    files = [text_identity(path) for path in paths]
    left_out = None if fold is None else list(fold)
    return {"files": files, "vocabulary": vocabulary.fingerprint(), "normalizer": normalizer, "fold": left_out}
