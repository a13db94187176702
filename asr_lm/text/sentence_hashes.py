"""A compact fingerprint of a set of sentences, to see whether a text overlaps what a model was trained on.

Each sentence is reduced to its letters and digits, case-folded, so that punctuation, capitals, accents written in
another Unicode form and word segmentation do not hide a repetition, and hashed to 32 bits. A sentence that is in the
set is always found; one that is not is found by chance with probability n / 2^32 for n sentences (2.4 million: 0.06 %).

File: ``asrlm-sh``, then one Zstandard frame with checksum that holds the number of hashes as a 64-bit and the
differences of the sorted hashes as 32-bit little-endian integers, all lowest bytes first, then all second bytes, and
so on. That takes about 1.6 bytes a sentence for millions of sentences.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import zstandard
from numpy.typing import NDArray

from asr_lm.batched import batched
from asr_lm.errors import InputError
from asr_lm.files import atomic_write, display_name, read_bytes
from asr_lm.limits import WHOLE

MAGIC = b"asrlm-sh"
BATCH = 1 << 16

OVERLAP_WARNING = 0.01
"""Share of sentences in a training text above which a command warns."""

_NOT_LETTERS = re.compile(r"[\W_]+")
_NOT_ASCII_LETTERS = bytes(byte for byte in range(128) if not chr(byte).isalnum())

Hashes = NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class SentenceHashes:
    """The sentences of a text, as far as telling whether one of them is met again goes.

    Attributes:
        hashes: sorted, each once ``[distinct sentences]``. Sentences without a letter or digit are left out.
    """

    hashes: Hashes

    @classmethod
    def from_sentences(cls, sentences: Iterable[str]) -> SentenceHashes:
        """Fingerprint of a text, one sentence at a time: memory is 4 bytes a sentence."""
        found = [np.zeros(0, dtype=np.uint32)]
        for batch in batches(sentences):
            hashes, empty = _hash(batch)
            found.append(np.unique(hashes[~empty]))
        return cls(np.unique(np.concatenate(found)))

    def __len__(self) -> int:
        return len(self.hashes)

    def __or__(self, other: SentenceHashes) -> SentenceHashes:
        """The sentences of both texts."""
        return SentenceHashes(np.union1d(self.hashes, other.hashes))

    def contains(self, sentences: Iterable[str]) -> NDArray[np.bool_]:
        """Whether each sentence is in the set ``[sentences]``; one without a letter or digit never is."""
        hashes, empty = _hash(list(sentences))
        if not len(self.hashes):
            return np.zeros(len(hashes), dtype=bool)
        places = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        return (self.hashes[places] == hashes) & ~empty

    def overlap(self, sentences: Iterable[str]) -> float:
        """Share of the sentences that are in the set, from 0 to 1; a sentence that occurs twice counts twice."""
        found = self.contains(sentences)
        return float(found.mean()) if len(found) else 0.0

    @property
    def false_positive_rate(self) -> float:
        """Probability that a sentence that is not in the set is found all the same."""
        return len(self.hashes) / 2**32

    def save(self, path: str | Path) -> None:
        """Write the fingerprint; raises InputError where the file cannot be written."""
        steps = np.diff(self.hashes, prepend=np.uint32(0)).astype("<u4")
        planes = np.ascontiguousarray(steps.view(np.uint8).reshape(-1, 4).T)
        payload = len(self.hashes).to_bytes(8, "little") + planes.tobytes()
        with atomic_write(path) as stream:
            stream.write(MAGIC + zstandard.ZstdCompressor(level=9, write_checksum=True).compress(payload))

    @classmethod
    def load(cls, path: str | Path) -> SentenceHashes:
        """Read a fingerprint back.

        Raises:
            InputError: the file cannot be read, is damaged or no fingerprint, or larger than
                :data:`asr_lm.limits.WHOLE` when it is unpacked.
        """
        data = read_bytes(path)
        if not data.startswith(MAGIC):
            raise InputError(
                f"no fingerprint of sentences: {MAGIC.decode()!r} was expected first", file=display_name(path)
            )
        try:
            frame = data[len(MAGIC) :]
            # One that does not say how long it is was not written by us, and is not unpacked.
            if zstandard.frame_content_size(frame) > WHOLE.bytes():
                raise WHOLE.exceeded(display_name(path))
            payload = zstandard.ZstdDecompressor().decompress(frame, max_output_size=1)
            planes = np.frombuffer(payload, dtype=np.uint8, offset=8).reshape(4, int.from_bytes(payload[:8], "little"))
        except (zstandard.ZstdError, ValueError) as error:
            raise InputError(f"damaged fingerprint of sentences ({error})", file=display_name(path)) from None
        steps = np.ascontiguousarray(planes.T).view("<u4").ravel()
        return cls(np.cumsum(steps, dtype=np.uint32))


def batches(sentences: Iterable[str]) -> Iterator[list[str]]:
    """Sentences in lists of as many as are hashed at once."""
    return batched(sentences, BATCH)


def fold_of(sentences: Sequence[str], folds: int) -> NDArray[np.int64]:
    """Fold of each sentence, from 0, by its hash ``[sentences]``.

    Repetitions of a sentence always fall into one fold, wherever they stand and however they are punctuated, and so do
    sentences whose hashes collide: what fold ``k`` holds out is never found in the fingerprint of the rest.
    """
    return (_hash(sentences)[0] % np.uint32(folds)).astype(np.int64)


def _hash(sentences: Sequence[str]) -> tuple[Hashes, NDArray[np.bool_]]:
    """Hash of each sentence, and whether nothing of it was left to hash ``[sentences]``."""
    forms = list(_forms(sentences))
    digests = b"".join([blake2b(form, digest_size=4).digest() for form in forms])
    return np.frombuffer(digests, dtype="<u4").astype(np.uint32), np.array([not form for form in forms], dtype=bool)


def _forms(sentences: Sequence[str]) -> Iterator[bytes]:
    """Letters and digits of each sentence, case-folded, as UTF-8."""
    for sentence in sentences:
        if sentence.isascii():
            yield sentence.lower().encode().translate(None, _NOT_ASCII_LETTERS)
        else:
            yield _NOT_LETTERS.sub("", unicodedata.normalize("NFKC", sentence).casefold()).encode()
