"""Collects the words the decoder may write: a general word list and the words of the train sentences.

The general list is Debian's ``wbritish-small`` (from SCOWL), lower-cased; genitives, abbreviations without a vowel and
words with other characters than letters are left out. Written: one word a line, gzipped.

    python data/sample/make/lexicon.py --words /usr/share/dict/british-english-small --text data/sample/train.txt \\
        --out data/sample/model/words.txt.gz
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from sentences import read_sentences

from asr_lm.files import write_text

WORD = re.compile(r"[a-z]*[aeiouy][a-z]*")
LONE_LETTERS = {"a", "i", "o"}


def general_words(path: Path) -> set[str]:
    """The plain words of a dictionary file, one a line; single letters but a, i and o are no words."""
    words = {line.strip().lower() for line in read_sentences(path)}
    return {word for word in words if WORD.fullmatch(word) and (len(word) > 1 or word in LONE_LETTERS)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=Path, nargs="+", required=True, help="general word lists, one word a line")
    parser.add_argument("--text", type=Path, required=True, help="train sentences, whose words are added")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    words = {word for line in read_sentences(arguments.text) for word in line.split()}
    words.update(*(general_words(path) for path in arguments.words))
    write_text(arguments.out, "".join(f"{word}\n" for word in sorted(words)))
    print(f"{len(words):,} words")


if __name__ == "__main__":
    main()
