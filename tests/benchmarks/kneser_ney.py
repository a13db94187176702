"""Estimating an n-gram model and writing its ARPA file, against KenLM's lmplz on the same text."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from asr_lm.files import iterate_lines
from asr_lm.lm.families.ngram import train_ngram
from asr_lm.lm.training.corpus import TokenCorpus, read_sentences
from asr_lm.text.vocabulary import WordVocabulary

BOOKS = Path(__file__).parents[2] / "../shared/data/text/books.train.txt.zst"
WORDS = 1_000_000
ORDER = 4
RUNS = 5


def run() -> list[dict[str, object]]:
    """How many times faster than lmplz from text to ARPA file; empty where lmplz or the book text is missing."""
    if shutil.which("lmplz") is None or not BOOKS.exists():
        return []
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder, "text")
        text.write_bytes(_beginning(WORDS))
        ratios = [_seconds(_lmplz, text) / _seconds(_ours, text) for _ in range(RUNS)]
    name = f"Kneser-Ney {ORDER}-gram of {WORDS:,} words, text to ARPA file"
    return [{"name": name, "ratio": round(median(ratios), 2), "against": "lmplz (C++, two threads)", "limit": 0.1}]


def _beginning(words: int) -> bytes:
    lines = []
    for _, line in iterate_lines(BOOKS):
        if words <= 0:
            break
        lines.append(line + b"\n")
        words -= len(line.split())
    return b"".join(lines)


def _seconds(work: Callable[[Path], None], text: Path) -> float:
    start = time.perf_counter()
    work(text)
    return time.perf_counter() - start


def _lmplz(text: Path) -> None:
    folder = str(text.parent)
    command = ["lmplz", "-o", str(ORDER), "-S", "2G", "-T", folder, "--text", str(text), "--arpa", f"{folder}/arpa"]
    subprocess.run(command, check=True, capture_output=True)


def _ours(text: Path) -> None:
    vocabulary = WordVocabulary.build(read_sentences([text], "as-is"))
    corpus = TokenCorpus.from_sentences(read_sentences([text], "as-is"), vocabulary)
    train_ngram(corpus, vocabulary, "as-is", text.parent / "model", order=ORDER, binary=False)
