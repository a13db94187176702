"""Copies the first utterance of every test recording to ``OUT``, with a manifest of their references.

python data/sample/make/examples.py --work /tmp/sample --out data/sample/audio
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from asr_lm.files import write_text


def copy_examples(work: Path, out: Path) -> None:
    """Copy what ``WORK/test.jsonl``, which voices.py wrote, names first of each recording."""
    out.mkdir(exist_ok=True)
    first: dict[str, dict[str, Any]] = {}
    for line in map(json.loads, (work / "test.jsonl").read_text(encoding="utf-8").splitlines()):
        first.setdefault(line["recording"], line)
    lines = []
    for line in first.values():
        shutil.copyfile(work / line["audio"], out / f"{line['id']}.flac")
        lines.append(json.dumps(line | {"audio": f"{line['id']}.flac"}) + "\n")
    write_text(out / "manifest.jsonl", "".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder that voices.py wrote")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    copy_examples(arguments.work, arguments.out)


if __name__ == "__main__":
    main()
