"""Damaged texts, archives, n-gram models, vocabularies, word tables, weights and kept files: each is read or refused.

What the project keeps for itself (scores, checkpoints, journals, fingerprints) is damaged, too: a disk may do that.
"""

from __future__ import annotations

import io
import lzma
import struct
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from campaigns._fuzzing import FileReader, fuzz

from asr_lm.acoustic.journal import Journal, Recognised
from asr_lm.acoustic.lexicon import Lexicon
from asr_lm.acoustic.tokens import Tokens
from asr_lm.corpora.archive import unpack
from asr_lm.corpora.stm import read_stm
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.lattice.symbols import read_words
from asr_lm.lm.families.ngram import NgramModel
from asr_lm.lm.ngrams.kenlm_file import is_binary, read_with_kenlm
from asr_lm.lm.training.checkpoint import Checkpoint
from asr_lm.lm.training.corpus import read_sentences
from asr_lm.rescoring.scoring.scorer import ScoreCache, Scores
from asr_lm.rescoring.weights import Weights
from asr_lm.text.sentence_hashes import SentenceHashes
from asr_lm.text.vocabulary import SentencePieceVocabulary, WordVocabulary

_TEXT = "Good day to you.\nzwölf Boxkämpfer\n\n12 men\n我 用 python\n".encode()
_ARPA = (
    b"\\data\\\nngram 1=5\nngram 2=2\n\n\\1-grams:\n-1.5\t<unk>\n-99\t<s>\t-0.3\n-1\t</s>\n-0.7\ta\t-0.2\n-0.9\tb\t0\n"
    b"\n\\2-grams:\n-0.3\t<s> a\n-0.4\ta </s>\n\n\\end\\\n"
)
_KENLM = b"mmap lm http://kheafield.com/code format version 5\n\0".ljust(88, b"\0") + struct.pack(
    "<B3xfi?3xI", 2, 1.5, 0, True, 1
)


def _file(make: Callable[[Path], None], name: str = "file") -> Callable[[], Sequence[bytes]]:
    """What a function writes."""

    def made() -> list[bytes]:
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder, name))
            return [Path(folder, name).read_bytes()]

    return made


def _packed_texts() -> list[bytes]:
    import gzip

    import zstandard

    packed = zstandard.ZstdCompressor(write_checksum=True).compress(_TEXT)
    return [_TEXT, gzip.compress(_TEXT), packed, packed * 2, lzma.compress(_TEXT)]


def _archives() -> list[bytes]:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name in ("C/dev/a.txt", "C/dev/b.txt"):
            entry = tarfile.TarInfo(name)
            entry.size = len(_TEXT)
            tar.addfile(entry, io.BytesIO(_TEXT))
        link = tarfile.TarInfo("C/dev/link")
        link.type, link.linkname = tarfile.SYMTYPE, "a.txt"
        tar.addfile(link)
    import gzip

    # Stored, so that the damage meets the archive and not its compression.
    return [stream.getvalue(), gzip.compress(gzip.decompress(stream.getvalue()), 0)]


def _unpacked(path: Path) -> int:
    out = path.parent / "out"
    unpack(path, out, ["C/dev"])
    strange = [found for found in path.parent.rglob("*") if found != path and out not in (found, *found.parents)]
    assert not strange, f"written elsewhere: {strange}"
    return 1


def _pieces(path: Path) -> None:
    lines = ["good day to you", "a bad day for me", "day after day"] * 20
    SentencePieceVocabulary.train(lines, 300).save(path.parent)


def _kenlm(path: Path) -> int:
    read_with_kenlm(path) if is_binary(path) else NgramModel.load(path)
    return 1


def _ngram(path: Path) -> int:
    scores = NgramModel.load(path).log_prob(["a b", "b", ""])
    assert not np.isnan(scores).any(), f"scores {scores}"
    return 1


def _journal(path: Path) -> None:
    journal = Journal(path, {"job": 1})
    for number in range(3):
        heard = Utterance(f"u{number}", (Hypothesis("a", {"am": -1.0}),))
        journal.add(f"s{number}", 0, 1, Recognised(heard))
    journal.close(remove=False)


def _resumed(path: Path) -> int:
    journal = Journal(path, {"job": 1})
    try:
        return 1 + len(list(journal.read([f"s{number}" for number in range(3)])))
    finally:
        journal.close(remove=False)


def _scores() -> list[bytes]:
    scores = Scores(np.array([-1.0, -2.0]), np.array([3, 4]), np.array([0, 1]))
    return [scores.to_bytes()]


def _cached(path: Path) -> int:
    cache = ScoreCache(path.parent)
    return sum(get(path.stem) is not None for get in (cache.get, cache.get_texts, cache.get_speed))


def _checkpoint(path: Path) -> None:
    Checkpoint({"a": torch.ones(3), "b": torch.zeros(2, 2)}, {"step": 1, "curve": [1.0]}).write(path)


_TOKENS = b"-\n|\na\nb\nc\n"


def _tokens(path: Path) -> int:
    return len(Tokens.read(path).texts)


def _lexicon(path: Path) -> int:
    tokens = path.with_name("tokens.txt")
    tokens.write_bytes(_TOKENS)
    return len(Lexicon.read(path, Tokens.read(tokens)).spellings)


READERS = {
    "texts": FileReader(lambda path: 1 + sum(1 for _ in read_sentences([path], "librispeech")), _packed_texts),
    "texts, unicode": FileReader(lambda path: 1 + sum(1 for _ in read_sentences([path], "unicode")), _packed_texts),
    "STM": FileReader(
        lambda path: 1 + sum(1 for _ in read_stm(path)), lambda: [b"r 1 s 0.0 1.5 <o,f0> one two\nr 1 s 2 3 x\n"]
    ),
    "archives": FileReader(_unpacked, _archives, "c.tgz"),
    "ARPA": FileReader(_ngram, lambda: [_ARPA], "m.arpa"),
    "KenLM, binary": FileReader(_kenlm, lambda: [_KENLM + struct.pack("<2Q", 5, 2) + bytes(400)], "m.bin", share=0.02),
    "words of a vocabulary": FileReader(
        lambda path: WordVocabulary.load(path).size,
        _file(lambda path: WordVocabulary(["a", "b", "ü"]).save(path.parent), "words.txt"),
    ),
    "pieces": FileReader(lambda path: SentencePieceVocabulary.load(path).size, _file(_pieces, "tokens.model")),
    "table of words": FileReader(lambda path: len(read_words(path)), lambda: [b"<eps> 0\na 1\nb 2\nc 3\n"]),
    "tokens": FileReader(_tokens, lambda: [_TOKENS], "tokens.txt"),
    "lexicon": FileReader(_lexicon, lambda: [b"ab a b |\nc c |\nab\tb a |\n"], "lexicon.txt"),
    "weights of features": FileReader(
        lambda path: len(Weights.load(path).values),
        _file(lambda path: Weights(values={"acoustic": 1.0, "lm": 0.4}, fingerprints={"lm": "0a"}).save(path)),
    ),
    "fingerprint of sentences": FileReader(
        lambda path: len(SentenceHashes.load(path)), _file(SentenceHashes.from_sentences(["a b", "c", "d"]).save)
    ),
    "checkpoint": FileReader(lambda path: len(Checkpoint.read(path).tensors), _file(_checkpoint)),
    "journal of a decoding": FileReader(_resumed, _file(_journal)),
    "kept scores": FileReader(_cached, _scores, "key.scores"),
}


def run(inputs: int, seed: int) -> Iterator[dict[str, Any]]:
    """Give every reader so many damaged files; a row for each."""
    return fuzz(READERS, inputs, seed)
