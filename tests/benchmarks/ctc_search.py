"""The beam search over CTC emissions against flashlight's (torchaudio's ``ctc_decoder``), with the same settings.

Both search the same utterances in turn on one thread: ours as many together as `decode` does, and one at a time, too.
Whole lists are made of what they find and compared: the texts of the ten best, and the exact scores.
"""

from __future__ import annotations

import importlib.util
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from asr_lm.acoustic.beam_search import Reading
from asr_lm.acoustic.first_pass import FirstPass, Found
from asr_lm.acoustic.lexicon import Lexicon
from asr_lm.acoustic.options import BeamOptions
from asr_lm.acoustic.tokens import Tokens

DATA = Path(__file__).parents[2] / "../shared/data/emissions"
WAYS = {"words and 3-gram": ("first-pass/lexicon.txt.zst", "first-pass/3gram.bin"),
        "words": ("first-pass/lexicon.txt.zst", None), "any spelling": (None, None)}  # fmt: skip
BEAMS = {400: 1.0, 50: 1.0}
"""Beams, and the least ratio of speeds that is promised where `decode` searches a folder."""
ALONE = {400: 1.0, 50: 0.25}
"""The same, for one utterance at a time."""
UTTERANCES = {400: 2, 50: 16}
"""As many as are searched together, of the test list."""
RUNS = 2
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
        for beam, count in UTTERANCES.items()
        for result in compared(name, beam, said[:: len(said) // count][:count])
    ]


def compared(name: str, beam: int, said: Sequence[Tensor], runs: int = RUNS) -> list[dict[str, Any]]:
    """Speed of our search, of several utterances and of one at a time, and agreement, in one way with one beam."""
    ours, theirs = _first_passes(name, beam)
    alone = {} if ours.together == 1 else {"alone": (ours, 1)}
    searches = {"ours": (ours, ours.together), **alone, "theirs": (theirs, 1)}
    seconds: dict[str, float] = dict.fromkeys(searches, math.inf)
    readings: dict[str, list[list[Reading]]] = {}
    for _ in range(runs):
        for who, (first_pass, together) in searches.items():
            begin = time.process_time()
            groups = [said[first : first + together] for first in range(0, len(said), together)]
            readings[who] = [each for group in groups for each in first_pass.readings(group)]
            seconds[who] = min(seconds[who], time.process_time() - begin)
    found = [
        (ours.texts(each, one), theirs.texts(each, other))
        for each, one, other in zip(said, readings["ours"], readings["theirs"], strict=True)
    ]
    return [*_speeds(name, beam, sum(map(len, said)), ours.together, seconds), _agreement(name, beam, found)]


def _speeds(name: str, beam: int, frames: int, together: int, seconds: dict[str, float]) -> list[dict[str, Any]]:
    microseconds = {who: 1e6 * each / frames for who, each in seconds.items()}
    return [
        {
            "name": f"CTC beam search, {name}, beam {beam}, {count} at a time",
            "ratio": microseconds["theirs"] / microseconds[who],
            "against": "flashlight on one thread",
            "limit": limits[beam],
            "notes": f"[{microseconds[who]:.0f} and {microseconds['theirs']:.0f} us of processor time a frame]",
        }
        for who, count, limits in (("ours", together, BEAMS), ("alone", 1, ALONE))
        if who in microseconds
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
