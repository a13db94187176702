"""Numbers of words looked up by their hashes: what a dictionary says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_lm.lm.ngrams import word_numbers
from asr_lm.lm.ngrams.arpa_lines import Lines
from asr_lm.lm.ngrams.word_numbers import WordNumbers

WORDS = st.lists(
    st.binary(min_size=1, max_size=90).map(lambda text: text.translate(None, b" \t\r\n\0")).filter(bool),
    unique=True,
    max_size=40,
)


def numbers(table: WordNumbers, asked: list[bytes]) -> list[int]:
    lines = Lines.cut(b" ".join(asked) + b"\n")
    return table.of(lines, np.arange(len(asked), dtype=np.int32)).tolist()


@given(words=WORDS, others=WORDS)
def test_numbers_are_those_of_a_dictionary(words: list[bytes], others: list[bytes]) -> None:
    table, known = WordNumbers(words), {word: number for number, word in enumerate(words)}
    asked = [*words, *others, *(word + b"x" for word in words), *(word[:8] for word in words)]
    assert numbers(table, asked) == [known.get(word, -1) for word in asked]


def test_words_of_many_lengths_and_more_than_one_slot_fits() -> None:
    words = [str(number).encode() * (1 + number % 7) for number in range(20_000)]
    assert numbers(WordNumbers(words), [*words, b"none"]) == [*range(20_000), -1]


def test_words_of_one_hash_are_told_apart_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    of, asked = word_numbers.word_hashes, []

    def colliding(lines: Lines, fields: np.ndarray, seed: int) -> np.ndarray:
        asked.append(seed)
        hashes = of(lines, fields, seed)
        return hashes if seed else np.zeros_like(hashes)

    monkeypatch.setattr(word_numbers, "word_hashes", colliding)
    assert numbers(WordNumbers([b"one", b"other"]), [b"other", b"one", b"none"]) == [1, 0, -1]
    assert asked == [0, 1, 1]
