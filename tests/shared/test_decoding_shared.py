"""Decoding saved emissions gives the lists that were made of them."""

import json
from pathlib import Path

import pytest
import zstandard

from asr_lm.acoustic.first_pass import FirstPass
from asr_lm.acoustic.lexicon import Lexicon
from asr_lm.acoustic.options import BeamOptions
from asr_lm.acoustic.saved_emissions import saved_sources
from asr_lm.acoustic.tokens import Tokens

DATA = Path(__file__).parents[2] / "../shared/data"
EMISSIONS = DATA / "emissions"
IDS = ("118-47824-0015", "118-47824-0034", "118-47824-0064")

pytestmark = pytest.mark.skipif(not EMISSIONS.exists(), reason="the emissions are not here")


def test_lists_are_made_again_but_for_the_rounding_of_the_emissions():
    with zstandard.open(DATA / "nbest/librispeech-ctc/test.jsonl.zst", "rt") as stream:
        lists = {record["id"]: record["hypotheses"] for record in map(json.loads, stream) if record["id"] in IDS}
    tokens = Tokens.read(EMISSIONS / "tokens.txt")
    lexicon = Lexicon.read(EMISSIONS / "first-pass" / "lexicon.txt.zst", tokens)
    search = BeamOptions(merging="max", order="search")
    first_pass = FirstPass(tokens, lexicon, EMISSIONS / "first-pass" / "3gram.bin", search)
    sources = {source.id: source for source in saved_sources([EMISSIONS / "test.safetensors"], tokens)}
    for name, hypotheses in lists.items():
        found = {one.text: one for one in first_pass.texts(next(iter(sources[name].load())).content)}
        assert len(found) <= len(hypotheses) + 5
        for hypothesis in hypotheses:
            one = found[hypothesis["text"]]
            # The emissions were rounded to float16 after the lists were made.
            assert one.acoustic == pytest.approx(hypothesis["scores"]["acoustic"], abs=0.01)
            assert one.lm == pytest.approx(hypothesis["scores"]["lm"], abs=1e-3)
