"""Two language models compared, with what a review asks for: intervals, paired differences, p-values.

python tests/examples/compare_two_models.py
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import asr_lm

with tempfile.TemporaryDirectory() as folder:
    harbour = str(Path(folder, "harbour"))
    train = ("ngram", "--text", "data/sample/train.txt", "--out", harbour, "--order", "3")
    subprocess.run([sys.executable, "-m", "pipelines.train", *train], check=True, capture_output=True)
    dev, test = (asr_lm.read_nbest(f"data/sample/{name}.json")[:50] for name in ("dev", "test"))
    comparison = asr_lm.compare(dev, test, [asr_lm.load("default"), asr_lm.load(harbour)])

for system in comparison.systems:
    difference = system.against_first_pass
    p = "" if difference is None else f", p {difference.test.p_value:.3g} against the first pass"
    print(f"{system.name}: {system.counts.rate:.2f} % WER{p}")
