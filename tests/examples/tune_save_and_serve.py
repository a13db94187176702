"""Weights tuned once and saved, then a service that rescores utterances as they come, from several threads.

python tests/examples/tune_save_and_serve.py
"""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asr_lm

with tempfile.TemporaryDirectory() as folder:
    weights = Path(folder, "weights.json")
    # Once, where the development list is.
    asr_lm.tune(asr_lm.read_nbest("data/sample/dev.json")[:60], "default").save(weights)
    # In the service.
    rescorer = asr_lm.Rescorer("default", weights)

incoming = asr_lm.read_nbest("data/sample/test.json")[:20]
with ThreadPoolExecutor(4) as pool:
    for before, after in zip(incoming, pool.map(rescorer, incoming), strict=True):
        if before.hypotheses[0].text != after.hypotheses[0].text:
            print(f"{before.id}: {before.hypotheses[0].text!r} -> {after.hypotheses[0].text!r}")
