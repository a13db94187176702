"""The byte-pair encoding of OpenAI's GPT-1 (Radford et al. 2018, section 4.1; Sennrich et al. 2016).

Text is cut into words as BERT's basic tokenizer does (the way that needs neither spaCy nor ftfy): lower-cased, accents
removed, punctuation and Chinese characters words of their own. Each word is spelled in characters, the last of them
with ``</w>``, and neighbours are merged in the order in which the merges were learnt. A character that the vocabulary
lacks is ``<unk>``.

There is neither ``<s>`` nor ``</s>``: the piece for "." stands for both, since a sentence of the books that the model
was trained on mostly follows a full stop and ends with one.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from asr_lm.errors import InputError
from asr_lm.files import iterate_text, write_text
from asr_lm.json_files import read_json
from asr_lm.text.vocabulary import GPT1_PIECES_FILE, MERGES_FILE, UNK, Tokens, Vocabulary

_WORD_END = "</w>"
_FULL_STOP = "." + _WORD_END
_VERSION_LINE = "#version"
_CACHED_WORDS = 1 << 16

# Unified ideographs with extensions A to E and the compatibility ideographs, as in BERT's tokenizer.
_IDEOGRAPH = (
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002a6df\U0002a700-\U0002b73f\U0002b740-\U0002b81f"
    "\U0002b820-\U0002ceaf\U0002f800-\U0002fa1f"
)
_ALONE = re.compile(f"([{_IDEOGRAPH}])")


class Gpt1BpeVocabulary(Vocabulary):
    """Pieces of OpenAI's GPT-1.

    File format: ``vocab.json`` (piece to id) and ``merges.txt`` (two pieces a line, the merge learnt first on top).
    """

    kind = "gpt1-bpe"

    def __init__(self, ids: Mapping[str, int], merges: Sequence[tuple[str, str]]) -> None:
        """Args: ids: of the pieces, from 0 without gaps; merges: pairs of pieces, the one learnt first first.

        Raises:
            InputError: the ids have gaps, there is no ``<unk>`` or no ".", or a merge makes no piece.
        """
        self._ids = dict(ids)
        self._tokens = sorted(self._ids, key=self._ids.__getitem__)
        if not self._ids or [self._ids[token] for token in self._tokens] != list(range(len(self._tokens))):
            raise InputError("expected the ids 0, 1, 2 and so on, each once", file=GPT1_PIECES_FILE)
        for needed in (UNK, _FULL_STOP):
            if needed not in self._ids:
                raise InputError(f"expected a piece {needed!r}", file=GPT1_PIECES_FILE)
        for pair in merges:
            if not {*pair, "".join(pair)} <= self._ids.keys():
                raise InputError(f"the merge {' '.join(pair)!r} makes no piece of {GPT1_PIECES_FILE}", file=MERGES_FILE)
        self._merges = list(merges)
        self._ranks = {pair: rank for rank, pair in enumerate(merges)}
        self.unk_id = self._ids[UNK]
        self.bos_id = self.eos_id = self._ids[_FULL_STOP]
        self._word_ids = lru_cache(_CACHED_WORDS)(self._encode_word)

    @classmethod
    def load(cls, folder: Path) -> Gpt1BpeVocabulary:
        """Read ``vocab.json`` and ``merges.txt`` of a folder.

        Raises:
            InputError: missing or damaged.
        """
        ids = _read_ids(folder / GPT1_PIECES_FILE)
        merges = _read_merges(folder / MERGES_FILE)
        try:
            return cls(ids, merges)
        except InputError as error:
            raise InputError(f"damaged vocabulary: {error.message}", file=folder / str(error.file)) from None

    @property
    def tokens(self) -> Sequence[str]:
        return self._tokens

    def encode_batch(self, texts: Sequence[str]) -> list[Tokens]:
        words = (_cleaned(text).split() for text in texts)
        return [np.array([index for word in some for index in self._word_ids(word)], dtype=np.int32) for some in words]

    def decode(self, ids: Iterable[int]) -> str:
        return "".join(self._tokens[index] for index in ids).replace(_WORD_END, " ").removesuffix(" ")

    def unknown_words(self, text: str) -> int:
        encoded = (self.encode(word) for word in text.split())
        return sum(self.unk_id in ids or not len(ids) for ids in encoded)

    def word_lengths(self, text: str) -> list[int]:
        return [len(self.encode(word)) for word in text.split()]

    def fingerprint(self) -> str:
        content = json.dumps([self._tokens, self._merges])
        return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()

    def save(self, folder: Path) -> None:
        lines = [f"{_VERSION_LINE}: 0.2", *(" ".join(pair) for pair in self._merges)]
        write_text(folder / MERGES_FILE, "".join(f"{line}\n" for line in lines))
        write_text(folder / GPT1_PIECES_FILE, json.dumps(self._ids, ensure_ascii=False))

    def _encode_word(self, word: str) -> tuple[int, ...]:
        """Ids of what stands between two spaces; a literal ``<unk>`` is the unknown word."""
        ids: list[int] = []
        for part in re.split(f"({UNK})", word):
            if part == UNK:
                ids.append(self.unk_id)
            else:
                ids += [index for token in _basic_tokens(part) for index in self._pieces(token)]
        return tuple(ids)

    def _pieces(self, token: str) -> list[int]:
        """Ids of one word: its characters, merged pair by pair."""
        pieces = [*token[:-1], token[-1] + _WORD_END]
        pieces = [piece if piece in self._ids else UNK for piece in pieces]
        while len(pieces) > 1:
            pair = min(pairwise(pieces), key=lambda pair: self._ranks.get(pair, len(self._ranks)))
            if pair not in self._ranks:
                break
            pieces = _merged(pieces, pair)
        return [self._ids[piece] for piece in pieces]


def _merged(pieces: Sequence[str], pair: tuple[str, str]) -> list[str]:
    """The pieces with every occurrence of ``pair``, from left to right, made one."""
    merged: list[str] = []
    index = 0
    while index < len(pieces):
        if tuple(pieces[index : index + 2]) == pair:
            merged.append("".join(pair))
            index += 2
        else:
            merged.append(pieces[index])
            index += 1
    return merged


def _cleaned(text: str) -> str:
    """The text without control characters."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(character for character in text if character in "\t\n\r" or not _is_control(character))


def _is_control(character: str) -> bool:
    return character == "\ufffd" or unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs")


def _basic_tokens(word: str) -> list[str]:
    """What a word without spaces is cut into before it is spelled: letters and digits, single other characters."""
    spaced = _ALONE.sub(r" \1 ", word)
    letters = (character for character in unicodedata.normalize("NFD", spaced) if not _is_accent(character))
    # Letter by letter, as the reference does: a Greek sigma at the end of a word is lower-cased as any other.
    lower = "".join(character.lower() for character in letters)
    return "".join(f" {character} " if _is_punctuation(character) else character for character in lower).split()


def _is_accent(character: str) -> bool:
    return unicodedata.category(character) == "Mn"


def _is_punctuation(character: str) -> bool:
    is_ascii_symbol = "!" <= character <= "~" and not character.isalnum()
    return is_ascii_symbol or unicodedata.category(character).startswith("P")


def _read_ids(path: Path) -> dict[str, int]:
    if not path.exists():
        raise InputError("no such file", file=path)
    try:
        ids = read_json(path)
    except InputError as error:
        raise InputError(f"damaged vocabulary: {error.message}", file=path, line=error.line) from None
    if not isinstance(ids, dict) or not all(type(index) is int for index in ids.values()):
        raise InputError("damaged vocabulary: an object of pieces and their ids was expected", file=path)
    return ids


def _read_merges(path: Path) -> list[tuple[str, str]]:
    merges = []
    for number, line in iterate_text(path):
        if not line or (number == 1 and line.startswith(_VERSION_LINE)):
            continue
        left, _, right = line.partition(" ")
        if not left or not right or " " in right:
            raise InputError("damaged vocabulary: two pieces expected", file=path, line=number)
        merges.append((left, right))
    return merges
