"""Small compressed files that unpack to gigabytes: each is refused, in little memory, by every reader of text.

Each reader runs in a process of its own, whose memory beyond that at its start is measured.
"""

from __future__ import annotations

import gzip
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import zstandard

from asr_lm.acoustic.finding import find_speech
from asr_lm.acoustic.lexicon import Lexicon
from asr_lm.acoustic.tokens import Tokens
from asr_lm.corpora.archive import unpack
from asr_lm.corpora.stm import read_stm
from asr_lm.errors import InputError
from asr_lm.hypotheses.mapping import parse_mapping
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.references import read_references
from asr_lm.lattice.reading import read_lattices
from asr_lm.lattice.symbols import read_words
from asr_lm.lm.families.ngram import NgramModel
from asr_lm.lm.training.corpus import read_sentences
from asr_lm.rescoring.phrases.phrase_list import PhraseList
from asr_lm.rescoring.weights import Weights
from asr_lm.text.sentence_hashes import SentenceHashes
from asr_lm.text.vocabulary import WordVocabulary

MOST_MEMORY = 1300
"""MiB: a file that is read as a whole may have a GiB."""

_BLOCK = 2**25
KINDS = {
    "blanks": b" ",
    "newlines": b"\n",
    "lines of blanks": b" " * 99 + b"\n",
    "zeros": b"\0",
    "one line": b"a",
    "one number": b"1",
    "one list": b"[",
    "one string": b'["' + b"a" * (_BLOCK - 2),
}


def _refused(found: Iterator[object]) -> None:
    for item in found:
        if isinstance(item, InputError):
            raise item


def _mapping(path: Path) -> None:
    named = path.with_suffix(".toml")  # what makes it a file and no mapping
    named.unlink(missing_ok=True)
    named.symlink_to(path)
    parse_mapping(str(named))


READERS: dict[str, Callable[[Path], object]] = {
    "n-best lists": lambda path: list(read_nbest(path)),
    "n-best lists, canonical": lambda path: list(read_nbest(path, "canonical")),
    "n-best lists, TRN": lambda path: list(read_nbest(path, "trn")),
    "n-best lists, a table": lambda path: list(read_nbest(path, "table")),
    "references": read_references,
    "manifests": lambda path: find_speech([path]),
    "lattices": lambda path: _refused(read_lattices(path)),
    "table of words": read_words,
    "tokens": Tokens.read,
    "lexicon": lambda path: Lexicon.read(path, Tokens(("-", "|", "a", "b"))),
    "mapping": _mapping,
    "phrases": PhraseList.read,
    "STM": lambda path: sum(1 for _ in read_stm(path)),
    "texts": lambda path: sum(1 for _ in read_sentences([path], "librispeech")),
    "ARPA": NgramModel.load,
    "words of a vocabulary": WordVocabulary.load,
    "weights of features": Weights.load,
    "fingerprint of sentences": SentenceHashes.load,
    "archives": lambda path: unpack(path, path.parent / "out", ["a"]),
}


def run(inputs: int, seed: int) -> Iterator[dict[str, Any]]:
    """Give every reader a bomb of each kind, packed with Zstandard and gzip; a row for each reader.

    Args:
        inputs: size of what is unpacked in MiB, 8192 at most.
        seed: not used.
    """
    size = min(inputs, 8192) << 20
    with tempfile.TemporaryDirectory() as folder:
        bombs = [path for kind in KINDS for path in made(kind, Path(folder), size)]
        for name in READERS:
            yield _row(name, bombs)


def made(kind: str, folder: Path, size: int) -> list[Path]:
    """Bombs of a kind, that unpack to so many bytes with Zstandard and to an eighth of them with gzip."""
    block = KINDS[kind] * (_BLOCK // len(KINDS[kind]))
    packed = {".zst": zstandard.ZstdCompressor(3).compress(block), ".gz": gzip.compress(block, 6)}
    paths = []
    for suffix, data in packed.items():
        paths.append(folder / f"{kind}, {suffix[1:]}.jsonl")
        # gzip is a thousandth, and takes ten times as long.
        paths[-1].write_bytes(data * max(size // (_BLOCK if suffix == ".zst" else 8 * _BLOCK), 1))
    return paths


def _row(name: str, bombs: list[Path]) -> dict[str, Any]:
    found = [(path.name, *_measured(name, path)) for path in bombs]
    faults = [f"{bomb}: {outcome}" for bomb, outcome, _, _ in found if outcome != "refused"]
    faults += [f"{bomb}: {memory} MiB" for bomb, _, memory, _ in found if memory > MOST_MEMORY]
    memory, seconds = max(item[2] for item in found), max(item[3] for item in found)
    largest = next(item[0] for item in found if item[2] == memory)
    row = {"reader": name, "bombs": len(found), "memory": f"{memory} MiB ({largest})", "slowest": f"{seconds:.1f} s"}
    return row | {"faults": faults}


def _measured(name: str, path: Path) -> tuple[str, int, float]:
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_child, args=(name, path, sender))
    process.start()
    sender.close()
    try:
        outcome: tuple[str, int, float] = receiver.recv()
    except EOFError:
        outcome = "the process ended", 0, 0.0
    process.join()
    return outcome


def _child(name: str, path: Path, sender: Connection) -> None:
    before, begin = _peak(), time.process_time()
    try:
        READERS[name](path)
        outcome = "read"
    except InputError:
        outcome = "refused"
    except BaseException as error:
        outcome = f"{type(error).__name__}: {str(error)[:200]}"
    sender.send((outcome, _peak() - before, time.process_time() - begin))


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
