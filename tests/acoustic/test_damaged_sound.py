"""Damaged manifests, Kaldi folders and sound files are read or refused (a longer run: ``tests/campaigns``)."""

import random

import pytest
from campaigns.sound_readers import damaged, run


@pytest.fixture(scope="module")
def rows():
    return list(run(250, 1))


def test_everything_is_read_or_refused_with_a_reason(rows):
    assert {row["reader"] for row in rows} == {"manifests", "Kaldi folders", "sound files"}
    for row in rows:
        assert row["faults"] == []
        assert row["read"] + row["refused"] == row["inputs"] == 250


def test_the_damage_is_neither_too_little_nor_too_much(rows):
    for row in rows:
        assert min(row["read"], row["refused"]) > 0.02 * row["inputs"]


def test_damage_can_be_made_again():
    content = b'{"audio": "a.wav", "start": 0.5}\n'
    assert damaged(content, random.Random(3)) == damaged(content, random.Random(3))
    assert len({damaged(content, random.Random(seed)) for seed in range(50)}) > 40
