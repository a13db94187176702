"""Training text as token ids on disk.

Text is read once, sentence by sentence, and its token ids are kept in flat files that are memory-mapped: the memory
needed does not grow with the text. ``tokens.bin`` holds the ids of all sentences one after another (without ``<s>``
and ``</s>``), ``offsets.bin`` where each sentence begins, ``corpus.json`` what they were made from.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError
from asr_lm.files import iterate_text, write_text
from asr_lm.lm.options import Fold
from asr_lm.text.normalizer import get_normalizer
from asr_lm.text.sentence_hashes import fold_of
from asr_lm.text.vocabulary import Tokens, Vocabulary

_BLOCK = 20_000


def read_sentences(paths: Sequence[str | Path], normalizer: str, fold: Fold | None = None) -> Iterator[str]:
    """Normalised sentences of text files, one a line; lines that are empty after normalisation are left out.

    Args:
        paths: files, ``.gz`` and ``.zst`` included.
        normalizer: name of the normaliser.
        fold: leave out the sentences of fold ``i`` of ``K``.

    Raises:
        InputError: a file cannot be read or is not UTF-8.
    """
    normalize = get_normalizer(normalizer)
    for path in paths:
        sentences = (sentence for _, line in iterate_text(path) if (sentence := normalize(line)))
        yield from sentences if fold is None else _without_fold(sentences, fold)


def _without_fold(sentences: Iterable[str], fold: Fold) -> Iterator[str]:
    for block in _blocks(sentences):
        for sentence, number in zip(block, fold_of(block, fold[1]).tolist(), strict=True):
            if number != fold[0]:
                yield sentence


@dataclass(frozen=True)
class TokenCorpus:
    """Sentences as token ids.

    Attributes:
        tokens: ids of all sentences ``[tokens]``, memory-mapped, without ``<s>`` and ``</s>``.
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
        return np.asarray(self.tokens[self.offsets[index] : self.offsets[index + 1]], dtype=np.int32)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of every sentence ``[sentences]``, without ``</s>``."""
        return np.diff(self.offsets)

    @classmethod
    def from_sentences(cls, sentences: Iterable[str], vocabulary: Vocabulary) -> TokenCorpus:
        """Encode normalised sentences in memory (validation texts, tests)."""
        builder = _Builder(vocabulary)
        blocks = [builder.encode(block) for block in _blocks(sentences)]
        tokens = np.concatenate([block for block, _ in blocks]) if blocks else np.zeros(0, builder.dtype)
        lengths = [length for _, block_lengths in blocks for length in block_lengths]
        return cls(tokens, _offsets(lengths), builder.words, builder.unknown, builder.digest())

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
            InputError: a text cannot be read, or holds no sentence.
        """
        origin = _origin(paths, vocabulary, normalizer, fold)
        if (existing := cls._open(folder, origin)) is not None:
            return existing
        folder.mkdir(parents=True, exist_ok=True)
        builder, lengths = _Builder(vocabulary), []
        with open(folder / "tokens.bin", "wb") as stream:
            for block in _blocks(read_sentences(paths, normalizer, fold)):
                tokens, block_lengths = builder.encode(block)
                tokens.tofile(stream)
                lengths.append(np.array(block_lengths, dtype=np.int64))
        if not lengths:
            raise InputError("no sentence in the text", file=", ".join(map(str, paths)))
        _offsets(np.concatenate(lengths)).tofile(folder / "offsets.bin")
        description = {
            "origin": origin,
            "dtype": np.dtype(builder.dtype).name,
            "words": builder.words,
            "unknown_words": builder.unknown,
            "digest": builder.digest(),
        }
        write_text(folder / "corpus.json", json.dumps(description))
        opened = cls._open(folder, origin)
        assert opened is not None
        return opened

    @classmethod
    def _open(cls, folder: Path, origin: object) -> TokenCorpus | None:
        try:
            description = json.loads((folder / "corpus.json").read_text())
            if description["origin"] != origin:
                return None
            tokens = np.memmap(folder / "tokens.bin", dtype=description["dtype"], mode="r")
            offsets = np.fromfile(folder / "offsets.bin", dtype=np.int64)
        except (OSError, ValueError, KeyError):
            return None
        return cls(tokens, offsets, description["words"], description["unknown_words"], description["digest"])


class _Builder:
    """Encodes blocks of sentences and counts what passes."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._hash = hashlib.blake2b(digest_size=16)
        self.dtype: type[np.integer] = np.uint16 if vocabulary.size <= 1 << 16 else np.int32
        self.words = 0
        self.unknown = 0

    def encode(self, sentences: Sequence[str]) -> tuple[NDArray[np.integer], list[int]]:
        encoded = self._vocabulary.encode_batch(sentences)
        tokens = np.concatenate(encoded).astype(self.dtype)
        self.words += sum(sentence.count(" ") + 1 for sentence in sentences)
        if not self._vocabulary.is_open:
            self.unknown += int((tokens == self._vocabulary.unk_id).sum())
        lengths = [len(ids) for ids in encoded]
        self._hash.update(tokens.tobytes())
        self._hash.update(np.array(lengths).tobytes())
        return tokens, lengths

    def digest(self) -> str:
        return self._hash.hexdigest()


def _blocks(sentences: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(sentences)
    while block := list(itertools.islice(iterator, _BLOCK)):
        yield block


def _offsets(lengths: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)


def text_identity(path: str | Path) -> list[object]:
    """Path, size and time of change of a text file: enough to see that it is not the one read before."""
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
