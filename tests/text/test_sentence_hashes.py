from __future__ import annotations

import tracemalloc
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from asr_lm.errors import InputError
from asr_lm.text.sentence_hashes import BATCH, MAGIC, SentenceHashes, fold_of


@given(st.lists(st.text(max_size=8), max_size=30))
def test_every_sentence_with_a_letter_is_found(sentences: list[str]) -> None:
    hashes = SentenceHashes.from_sentences(sentences)
    for sentence, found in zip(sentences, hashes.contains(sentences), strict=True):
        assert found or not any(character.isalnum() for character in sentence)


@given(st.lists(st.text(max_size=8), max_size=30))
def test_order_and_repetition_do_not_matter(sentences: list[str]) -> None:
    once = SentenceHashes.from_sentences(sentences).hashes
    again = SentenceHashes.from_sentences([*reversed(sentences), *sentences]).hashes
    np.testing.assert_array_equal(once, again)
    assert (np.diff(once.astype(np.int64)) > 0).all()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Hello, world!", "hello  world"),
        ("don't", "DONT"),
        ("café", "cafe\u0301"),
        ("Straße", "STRASSE"),
        ("今天 天气 好", "今天天气好。"),
        ("ｆｕｌｌ width", "full width"),
    ],
)
def test_writing_does_not_hide_a_repetition(one: str, other: str) -> None:
    assert SentenceHashes.from_sentences([one]).contains([other]).all()


def test_others_are_not_found() -> None:
    hashes = SentenceHashes.from_sentences(f"sentence {number}" for number in range(20_000))
    assert len(hashes) == 20_000
    assert hashes.overlap(f"other {number}" for number in range(20_000)) < 1e-3
    assert hashes.false_positive_rate == pytest.approx(20_000 / 2**32)


def test_hashes_are_those_of_blake2b() -> None:
    # Fixed for ever: fingerprints on disk were made with it.
    digest = blake2b(b"itsatest", digest_size=4).digest()
    assert SentenceHashes.from_sentences(["It's a test."]).hashes.tolist() == [int.from_bytes(digest, "little")]
    assert digest.hex() == "10314cd4"


def test_overlap_counts_every_occurrence() -> None:
    hashes = SentenceHashes.from_sentences(["a", "b", "..."])
    assert hashes.overlap(["a", "a", "x", "..."]) == 0.5
    assert hashes.overlap([]) == 0
    assert SentenceHashes.from_sentences([]).overlap(["a"]) == 0


def test_batches_are_one_set(monkeypatch: pytest.MonkeyPatch) -> None:
    sentences = [f"sentence {number % 50}" for number in range(200)]
    whole = SentenceHashes.from_sentences(sentences)
    monkeypatch.setattr("asr_lm.text.sentence_hashes.BATCH", 7)
    assert BATCH > 7
    np.testing.assert_array_equal(SentenceHashes.from_sentences(iter(sentences)).hashes, whole.hashes)


@pytest.mark.parametrize("name", ["sentences.bin", "sentences.bin.zst"])
@pytest.mark.parametrize("count", [0, 1, 3000])
def test_saved_and_loaded(count: int, name: str, tmp_path: Path) -> None:
    hashes = SentenceHashes.from_sentences(f"sentence {number}" for number in range(count))
    hashes.save(tmp_path / name)
    np.testing.assert_array_equal(SentenceHashes.load(tmp_path / name).hashes, hashes.hashes)


def test_half_a_million_take_less_than_two_bytes_each(tmp_path: Path) -> None:
    hashes = SentenceHashes(np.unique(np.random.default_rng(0).integers(0, 2**32, 500_000, dtype=np.uint32)))
    hashes.save(tmp_path / "sentences.bin")
    assert (tmp_path / "sentences.bin").stat().st_size < 1.9 * len(hashes)
    np.testing.assert_array_equal(SentenceHashes.load(tmp_path / "sentences.bin").hashes, hashes.hashes)


@pytest.mark.parametrize("cut", [0, 3, 8, 20, -1])
def test_damaged_files_are_refused(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "sentences.bin"
    SentenceHashes.from_sentences(["a", "b", "c"]).save(path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"sentences.bin: (no|damaged) fingerprint"):
        SentenceHashes.load(path)


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "sentences.bin"
    SentenceHashes.from_sentences(f"sentence {number}" for number in range(100)).save(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="damaged fingerprint"):
        SentenceHashes.load(path)


@pytest.mark.parametrize("is_told", [True, False])
def test_a_bomb_is_refused_before_memory_is_asked_for(is_told: bool, tmp_path: Path) -> None:
    size = 2**31
    compressor = zstandard.ZstdCompressor().compressobj(size=size if is_told else -1)
    blocks = [compressor.compress(bytes(2**24)) for _ in range(size // 2**24)]
    (tmp_path / "sentences.bin").write_bytes(MAGIC + b"".join([*blocks, compressor.flush()]))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"raise \$ASR_LM_MAX_FILE" if is_told else "damaged fingerprint"):
            SentenceHashes.load(tmp_path / "sentences.bin")
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


def test_repetitions_share_a_fold_and_folds_are_even() -> None:
    sentences = [f"Sentence {number}!" for number in range(4000)]
    folds = fold_of(sentences, 5)
    np.testing.assert_array_equal(folds, fold_of([sentence.lower().rstrip("!") for sentence in sentences], 5))
    assert np.bincount(folds, minlength=5).min() > 700
