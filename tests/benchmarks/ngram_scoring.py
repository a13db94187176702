"""Loading and scoring an ARPA model in our arrays, against KenLM's module on the same file and hypotheses.

KenLM is asked in two ways: for whole sentences (``Model.score``), and node by node of a prefix tree
(``Model.BaseScore``), where a prefix that hypotheses share is read once, too.
"""

from __future__ import annotations

import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asr_lm.files import iterate_lines
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.lm.families.ngram import ARPA_FILE, NgramModel, train_ngram
from asr_lm.lm.ngrams.array_file import arrays_path
from asr_lm.lm.ngrams.kenlm_file import KenlmScorer
from asr_lm.lm.training.corpus import TokenCorpus, read_sentences
from asr_lm.text.vocabulary import WordVocabulary

DATA = Path(__file__).parents[2] / "../shared/data"
BOOKS = DATA / "text/books.train.txt.zst"
LISTS = DATA / "nbest/librispeech-ctc/test.jsonl.zst"
PTB = DATA / "text/ptb"
WORDS, ORDER, RUNS = 5_000_000, 4, 5

_LOAD = """
import json, sys, time
from pathlib import Path
def peak():
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024
path = Path(sys.argv[2])
if sys.argv[1] == "ours":
    import numpy, pyarrow.compute
    from asr_lm.lm.families.ngram import NgramModel
    load = lambda: NgramModel.load(path)
else:
    import kenlm
    config = kenlm.Config()
    config.show_progress = False
    load = lambda: kenlm.Model(str(path), config)
before, begin, worked = peak(), time.perf_counter(), time.process_time()
model = load()
seconds = {"seconds": time.perf_counter() - begin, "processor": time.process_time() - worked}
print(json.dumps({**seconds, "MiB": peak() - before}))
"""


def run() -> list[dict[str, Any]]:
    """How many times faster; nothing where KenLM, the lists or the books are missing."""
    if importlib.util.find_spec("kenlm") is None or not (BOOKS.exists() and LISTS.exists()):
        return []
    with tempfile.TemporaryDirectory() as folder:
        arpa = _trained(_beginning(BOOKS, WORDS), Path(folder, "books"), ORDER)
        return [*_loading(arpa), _scoring(arpa), *_penn_treebank(Path(folder))]


def _beginning(path: Path, words: int) -> list[str]:
    lines = []
    for _, line in iterate_lines(path):
        if words <= 0:
            break
        lines.append(line.decode())
        words -= len(line.split())
    return lines


def _trained(lines: Sequence[str], folder: Path, order: int) -> Path:
    """The ARPA file of a model of some lines."""
    text = folder.with_suffix(".txt")
    text.write_text("".join(f"{line}\n" for line in lines))
    vocabulary = WordVocabulary.build(read_sentences([text], "as-is"))
    corpus = TokenCorpus.from_sentences(read_sentences([text], "as-is"), vocabulary)
    train_ngram(corpus, vocabulary, "as-is", folder, order=order, binary=False)
    return folder / ARPA_FILE


def _loading(arpa: Path) -> list[dict[str, Any]]:
    """Seconds and memory of a process that loads the file: from its text, again, and with KenLM."""
    runs: dict[str, list[dict[str, float]]] = {"text": [], "arrays": [], "kenlm": []}
    for _ in range(3):
        arrays_path(arpa).unlink(missing_ok=True)
        for name in runs:
            runs[name].append(_loaded("kenlm" if name == "kenlm" else "ours", arpa))
    best = {
        name: {measure: min(one[measure] for one in each) for measure in ("seconds", "processor", "MiB")}
        for name, each in runs.items()
    }
    shown = ", ".join(
        f"{name} {one['seconds']:.2f} s, processor {one['processor']:.2f} s, {one['MiB']:.0f} MiB"
        for name, one in best.items()
    )
    notes = f"[{arpa.stat().st_size / 1e6:.0f} MB: {shown}]"
    size = f"{ORDER}-gram of {WORDS:,} words"
    ratios = [
        (f"Loading the ARPA file of a {size}", best["kenlm"]["seconds"] / best["text"]["seconds"], 0.8),
        (f"Memory of loading the {size}", best["kenlm"]["MiB"] / best["text"]["MiB"], 0.8),
        (f"Loading the {size} again", best["kenlm"]["seconds"] / best["arrays"]["seconds"], 2.0),
    ]
    return [
        {"name": name, "ratio": ratio, "against": "KenLM on the ARPA file", "limit": limit, "notes": notes}
        for name, ratio, limit in ratios
    ]


def _loaded(how: str, path: Path) -> dict[str, float]:
    done = subprocess.run([sys.executable, "-c", _LOAD, how, str(path)], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _scoring(arpa: Path) -> dict[str, Any]:
    texts = list(dict.fromkeys(h.text for utterance in read_nbest(LISTS) for h in utterance.hypotheses))
    ours, model = NgramModel.load(arpa), _kenlm(arpa)
    theirs = NgramModel.load(arpa)
    theirs._scorer = KenlmScorer(model, theirs.vocabulary)
    ways: dict[str, Callable[[], Any]] = {
        "arrays": lambda: ours.score_tokens(ours.vocabulary.encode_batch(texts)),
        "KenLM by node": lambda: theirs.score_tokens(theirs.vocabulary.encode_batch(texts)),
        "KenLM by sentence": lambda: np.array([model.score(text) for text in texts]) * np.log(10),
    }
    scores = {name: way() for name, way in ways.items()}
    difference = max(float(np.abs(scores["arrays"] - other).max()) for other in scores.values())
    assert difference < 1e-3, difference
    # In turn, so that what else the machine does is shared.
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(RUNS):
        for name, way in ways.items():
            seconds[name].append(_seconds(way))
    rates = {name: len(texts) / statistics.median(each) for name, each in seconds.items()}
    shown = ", ".join(f"{name} {rate:,.0f}/s" for name, rate in rates.items())
    return {
        "name": f"Scoring {len(texts)} hypotheses of CTC 100-best lists, {ORDER}-gram",
        "ratio": rates["arrays"] / rates["KenLM by node"],
        "against": "KenLM's Python calls, node by node",
        "limit": 1.0,
        "notes": f"[{shown}; largest difference {difference:.1e} nats a hypothesis]",
    }


def _penn_treebank(folder: Path) -> list[dict[str, Any]]:
    """The largest difference of a token from KenLM, as a share of what is promised."""
    texts = {part: next(iter(sorted(PTB.glob(f"*{part}*"))), None) for part in ("train", "test")}
    if not all(texts.values()):
        return []
    lines = {part: _beginning(path, 10**9) for part, path in texts.items() if path}
    arpa = _trained([" ".join(line.split()) for line in lines["train"]], folder / "ptb", 5)
    ours, theirs = NgramModel.load(arpa), NgramModel.load(arpa)
    theirs._scorer = KenlmScorer(_kenlm(arpa), theirs.vocabulary)
    test = [" ".join(line.split()) for line in lines["test"]]
    found = [model.token_log_probs(model.vocabulary.encode_batch(test)) for model in (ours, theirs)]
    pairs = zip(*found, strict=True)
    difference = max(float(np.abs(one - other).max()) for one, other in pairs)
    return [
        {
            "name": "Penn Treebank 5-gram, agreement on the test text",
            "ratio": 1e-5 / max(difference, 1e-12),
            "against": "a difference of 1e-5 nats a token from KenLM",
            "limit": 1.0,
            "notes": f"[{difference:.1e}; {sum(map(len, found[0]))} tokens]",
        }
    ]


def _kenlm(arpa: Path) -> Any:
    import kenlm

    config = kenlm.Config()
    config.show_progress = False
    return kenlm.Model(str(arpa), config)


def _seconds(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin
