"""The vocabulary in a model's folder, whichever kind it is."""

from __future__ import annotations

from pathlib import Path

from asr_lm.errors import InputError
from asr_lm.text.gpt1_bpe import Gpt1BpeVocabulary
from asr_lm.text.vocabulary import (
    MERGES_FILE,
    PIECES_FILE,
    WORDS_FILE,
    SentencePieceVocabulary,
    Vocabulary,
    WordVocabulary,
)


def load_vocabulary(folder: Path) -> Vocabulary:
    """The vocabulary of a model folder, whichever kind it holds.

    Raises:
        InputError: the folder holds none, or a damaged one.
    """
    if (folder / WORDS_FILE).exists():
        return WordVocabulary.load(folder / WORDS_FILE)
    if (folder / PIECES_FILE).exists():
        return SentencePieceVocabulary.load(folder / PIECES_FILE)
    if (folder / MERGES_FILE).exists():
        return Gpt1BpeVocabulary.load(folder)
    raise InputError(f"no vocabulary: expected {WORDS_FILE} or {PIECES_FILE}", file=folder)
