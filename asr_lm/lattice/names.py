"""Ids of utterances, from the names of files."""

from __future__ import annotations

from pathlib import Path

_LATTICES = frozenset([".gz", ".zst", ".slf", ".lat", ".lattice", ".txt", ".fst", ".ark", ".k2", ".pt"])
_FEATURES = _LATTICES | frozenset(
    [".mfc", ".mfcc", ".plp", ".fbk", ".fbank", ".htk", ".fea", ".feat", ".wav", ".sph", ".flac", ".raw", ".wv1"]
)


def utterance_of_file(path: str | Path) -> str:
    """The name of a lattice's file without its known endings.

    >>> utterance_of_file("test/u1.a.slf.gz")
    'u1.a'
    """
    return _without(Path(path).name, _LATTICES)


def utterance_of_features(name: str) -> str:
    """The id in what HTK calls an utterance: an alias, or the file of its features without folder and known ending.

    >>> utterance_of_features("/data/u1.mfc"), utterance_of_features("u2.mfc=/data/long.wav[100,200]")
    ('u1', 'u2')
    """
    return _without(name.partition("=")[0].rstrip("/").rpartition("/")[2], _FEATURES)


def _without(name: str, endings: frozenset[str]) -> str:
    while len(stem := Path(name).stem) and Path(name).suffix.lower() in endings:
        name = stem
    return name
