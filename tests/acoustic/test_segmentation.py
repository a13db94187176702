"""Pieces cover a recording, none is too long, and cuts fall where it is quiet."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from asr_lm.acoustic.segmentation import energies, spans


@given(st.integers(1, 40_000), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_pieces_cover_everything_and_none_is_too_long(count, longest, seed):
    signal = np.random.default_rng(seed).normal(size=count).astype(np.float32)
    energy = energies([signal], 1_000)
    found = spans(energy, 1_000, count, longest)
    assert found[0].first == 0
    assert sum(span.length for span in found) == count
    assert all(before.first + before.length == after.first for before, after in itertools.pairwise(found))
    assert all(0 < span.length <= longest * 1_000 for span in found)
    assert len(found) == 1 or min(span.length for span in found) >= longest * 1_000 // 4 - 10


@given(st.lists(st.integers(1, 500), min_size=1, max_size=8), st.integers(0, 2**32 - 1))
def test_energies_do_not_depend_on_the_blocks(sizes, seed):
    generator = np.random.default_rng(seed)
    blocks = [generator.normal(size=size).astype(np.float32) for size in sizes]
    assert np.allclose(energies(blocks, 1_600), energies([np.concatenate(blocks)], 1_600))


def test_cuts_are_in_the_pauses():
    energy = np.ones(3_000)
    for pause in (700, 1_500, 2_200):
        energy[pause : pause + 60] = 0.001
    cuts = [span.first / 10 for span in spans(energy, 1_000, 30_000, 10.0)[1:]]
    assert all(any(pause <= cut <= pause + 60 for pause in (700, 1_500, 2_200)) for cut in cuts)
    assert len(cuts) == 3


def test_eighty_minutes_are_cut_with_little_in_memory():
    block = np.zeros(480_000, np.float32)
    energy = energies((block for _ in range(480)), 48_000)
    assert len(energy) == 480_000
    found = spans(energy, 48_000, 480 * 480_000, 40.0)
    assert max(span.length for span in found) <= 40 * 48_000
