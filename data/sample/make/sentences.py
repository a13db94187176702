"""Splits the sentences written for the sample into train, dev and test, and checks the rules they keep.

The rules: lower-case letters and apostrophes only, words parted by single spaces, no sentence twice, and no five
words in a row in more than one sentence of a hundred (the text is written, not filled into templates).

    python data/sample/make/sentences.py split DRAFT.txt ... --out data/sample
    python data/sample/make/sentences.py check data/sample
"""

from __future__ import annotations

import argparse
import random
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

SPLITS = {"dev": 200, "test": 200}
SEED = 20
NGRAM = 5
LARGEST_SHARE = 0.01
SENTENCE = re.compile(r"[a-z']+( [a-z']+)*")


def read_sentences(path: Path) -> list[str]:
    """The sentences of a file, one a line, as they stand."""
    return path.read_text(encoding="utf-8").splitlines()


def most_frequent_ngram(sentences: Sequence[str], order: int = NGRAM) -> tuple[str, int]:
    """The ``order`` words in a row that most sentences hold, and the number of those sentences."""
    counts: Counter[str] = Counter()
    for sentence in sentences:
        words = sentence.split()
        counts.update({" ".join(words[start : start + order]) for start in range(len(words) - order + 1)})
    return counts.most_common(1)[0] if counts else ("", 0)


def broken_rules(sentences: Sequence[str]) -> list[str]:
    """What breaks the rules in the module's docstring, one line each; empty when all is well."""
    found = [f"not letters and apostrophes: {line!r}" for line in sentences if not SENTENCE.fullmatch(line)]
    found += [f"{number} times: {line!r}" for line, number in Counter(sentences).items() if number > 1]
    ngram, number = most_frequent_ngram(sentences)
    if number > LARGEST_SHARE * len(sentences):
        found.append(f"in {number} of {len(sentences)} sentences: {ngram!r}")
    return found


def split(drafts: Sequence[Path], out: Path) -> None:
    """Merge the drafts, drop repeated sentences, shuffle with a fixed seed and write the three files."""
    sentences = sorted({line for draft in drafts for line in read_sentences(draft)})
    random.Random(SEED).shuffle(sentences)
    for name, number in SPLITS.items():
        part, sentences = sentences[:number], sentences[number:]
        (out / f"{name}.txt").write_text("\n".join(part) + "\n", encoding="utf-8")
    (out / "train.txt").write_text("\n".join(sentences) + "\n", encoding="utf-8")


def check(folder: Path) -> None:
    """Print the sizes of the three files; exit with their faults if the rules are broken."""
    parts = {name: read_sentences(folder / f"{name}.txt") for name in ("train", *SPLITS)}
    sentences = [line for part in parts.values() for line in part]
    if found := broken_rules(sentences):
        raise SystemExit("\n".join(found))
    sizes = ", ".join(f"{name} {len(part)}" for name, part in parts.items())
    ngram, number = most_frequent_ngram(sentences)
    print(f"{sizes} sentences; most frequent {NGRAM}-gram {ngram!r} in {number}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    splitting = commands.add_parser("split", help="make train.txt, dev.txt and test.txt from drafts")
    splitting.add_argument("drafts", type=Path, nargs="+")
    splitting.add_argument("--out", type=Path, required=True)
    checking = commands.add_parser("check", help="check the three files of a folder")
    checking.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "split":
        split(arguments.drafts, arguments.out)
        check(arguments.out)
    else:
        check(arguments.folder)


if __name__ == "__main__":
    main()
