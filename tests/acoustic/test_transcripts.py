"""Lists of encoder-decoder models: texts written alike add up, and windows are joined as an enumeration does it."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest

from asr_lm.acoustic.sequences.byte_pieces import byte_letters, text_of
from asr_lm.acoustic.sequences.recogniser import cut
from asr_lm.acoustic.sequences.transcript import Transcript, distinct, joined_windows


def window(random_numbers: random.Random, size: int, name: str) -> list[Transcript]:
    found = []
    for number in range(size):
        tokens, log_prob = random_numbers.randint(1, 9), -20 * random_numbers.random()
        found.append(Transcript(f"{name}{number}", log_prob, tokens, log_prob / tokens))
    return sorted(found, key=lambda one: -one.score)


@pytest.mark.parametrize("seed", range(20))
def test_joined_windows_are_the_best_of_all_combinations(seed):
    numbers = random.Random(seed)
    windows = [window(numbers, numbers.randint(1, 6), name) for name in "abc"[: 2 + seed % 2]]
    every = {}
    for parts in itertools.product(*windows):
        score = sum(part.score * each[0].tokens for part, each in zip(parts, windows, strict=True))
        every[" ".join(part.text for part in parts)] = (score, parts)
    expected = sorted(every, key=lambda text: -every[text][0])[:8]
    found = joined_windows(windows, 8)
    assert [one.text for one in found] == expected
    for one in found:
        parts = every[one.text][1]
        assert one.log_prob == pytest.approx(sum(part.log_prob for part in parts))
        assert one.tokens == sum(part.tokens for part in parts)


def test_the_best_of_each_window_are_the_best_together():
    windows = [window(random.Random(seed), 5, "x") for seed in range(3)]
    assert joined_windows(windows, 4)[0].text == " ".join(each[0].text for each in windows)


def test_a_window_is_its_own_list_and_an_empty_text_leaves_no_space():
    (only,) = [window(random.Random(1), 5, "x")]
    assert joined_windows([only], 3) == only[:3]
    nothing = [Transcript("", -1.0, 0, -1.0)]
    assert [one.text for one in joined_windows([nothing, only], 9)] == [one.text for one in only]


def test_the_same_text_adds_up_and_keeps_its_best_place():
    found = distinct([Transcript("b", -3.0, 1, -3.0), Transcript("a", -4.0, 2, -2.0), Transcript("a", -5.0, 9, -9.0)])
    assert [one.text for one in found] == ["a", "b"]
    assert found[0].log_prob == pytest.approx(math.log(math.exp(-4) + math.exp(-5)))
    assert (found[0].tokens, found[0].score) == (2, -2.0)


def test_windows_are_cut_where_it_is_quiet_and_lose_nothing():
    signal = np.random.default_rng(0).normal(size=16_000 * 7).astype(np.float32)
    signal[16_000 * 3 : 16_000 * 3 + 8_000] *= 1e-3
    found = cut(signal, 16_000, 4.0)
    assert np.array_equal(np.concatenate(found), signal)
    assert max(map(len, found)) <= 4 * 16_000
    assert 3 * 16_000 <= len(found[0]) <= 3.5 * 16_000
    assert [len(one) for one in cut(signal[:64_000], 16_000, 4.0)] == [64_000]


@pytest.mark.parametrize("text", ["the café", "渡し船 が", "a\x00b", "İ ﬁ 😀"])
def test_byte_pieces_are_read_back(text):
    letters = {byte: letter for letter, byte in byte_letters().items()}
    pieces = ["".join(letters[byte] for byte in character.encode()) for character in text]
    assert text_of([*pieces, "<|endoftext|>"]) == text
    assert len(letters) == 256
