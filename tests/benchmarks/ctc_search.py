"""The beam search over CTC emissions against flashlight's (torchaudio's ``ctc_decoder``), with the same settings.

Both search the same utterances in turn on one thread, and make whole lists of what they find. Lists are compared, too:
the texts of the ten best, and the exact scores.
"""

from __future__ import annotations

import importlib.util
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from asr_lm.acoustic.first_pass import FirstPass, Found
from asr_lm.acoustic.lexicon import Lexicon
from asr_lm.acoustic.options import BeamOptions
from asr_lm.acoustic.tokens import Tokens

DATA = Path(__file__).parents[2] / "../shared/data/emissions"
WAYS = {"words and 3-gram": ("first-pass/lexicon.txt.zst", "first-pass/3gram.bin"),
        "words": ("first-pass/lexicon.txt.zst", None), "any spelling": (None, None)}  # fmt: skip
BEAMS = {400: 1.0, 50: 0.5}
"""Beams, and the least ratio of speeds that is promised."""
UTTERANCES, RUNS = 8, 3
EQUAL = 0.99
"""Share of utterances whose ten best texts are to be the same."""


def run() -> list[dict[str, Any]]:
    """How many times faster, and how many lists are the same; nothing without flashlight or the emissions."""
    if importlib.util.find_spec("flashlight") is None or not DATA.exists():
        print("ctc_search: left out, flashlight-text or the emissions are not there")
        return []
    torch.set_num_threads(1)
    said = [each.float() for _, each in sorted(load_file(DATA / "test.safetensors").items())]
    return [
        result
        for name in WAYS
        for beam in BEAMS
        for result in compared(name, beam, said[:: max(1, len(said) // UTTERANCES)][:UTTERANCES])
    ]


def compared(name: str, beam: int, said: Sequence[Tensor], runs: int = RUNS) -> list[dict[str, Any]]:
    """Speed and agreement of both searches in one way with one beam."""
    ours, theirs = _first_passes(name, beam)
    seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(runs):
        for who, first_pass in (("ours", ours), ("theirs", theirs)):
            begin = time.process_time()
            for first in range(0, len(said), first_pass.together):
                first_pass.readings(said[first : first + first_pass.together])
            seconds[who].append(time.process_time() - begin)
    frames = sum(map(len, said))
    rates = {who: frames / statistics.median(each) for who, each in seconds.items()}
    return [
        {
            "name": f"CTC beam search, {name}, beam {beam}",
            "ratio": rates["ours"] / rates["theirs"],
            "against": "flashlight on one thread",
            "limit": BEAMS[beam],
            "notes": f"[{rates['ours']:,.0f} and {rates['theirs']:,.0f} frames/s, {len(said)} utterances]",
        },
        _agreement(name, beam, [(ours.texts(each), theirs.texts(each)) for each in said]),
    ]


def _first_passes(name: str, beam: int) -> tuple[FirstPass, FirstPass]:
    tokens = Tokens.read(DATA / "tokens.txt")
    words, lm = (None if part is None else DATA / part for part in WAYS[name])
    lexicon = None if words is None else Lexicon.read(words, tokens)
    ours, theirs = (FirstPass(tokens, lexicon, lm, BeamOptions(beam=beam), flashlight=other) for other in (False, True))
    return ours, theirs


def _agreement(name: str, beam: int, lists: Sequence[tuple[list[Found], list[Found]]]) -> dict[str, Any]:
    same = sum([one.text for one in ours[:10]] == [one.text for one in theirs[:10]] for ours, theirs in lists)
    whole = sum({one.text for one in ours} == {one.text for one in theirs} for ours, theirs in lists)
    difference = max(_difference(ours, theirs) for ours, theirs in lists)
    assert difference < 1e-4, difference
    return {
        "name": f"CTC beam search, {name}, beam {beam}: ten best texts the same",
        "ratio": same / len(lists) / EQUAL,
        "against": f"{EQUAL:.0%} of utterances",
        "limit": 1.0,
        "notes": f"[{same} of {len(lists)}; whole lists {whole}; scores differ by {difference:.1e} at most]",
    }


def _difference(ours: Sequence[Found], theirs: Sequence[Found]) -> float:
    scores = {one.text: one.total for one in theirs}
    return max((abs(one.total - scores[one.text]) for one in ours if one.text in scores), default=0.0)
