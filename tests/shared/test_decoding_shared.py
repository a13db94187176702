"""Decoding saved emissions gives the lists that were made of them."""

import json
from pathlib import Path

import pytest
import torch
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


def score(said, sequence, blank):
    sizes = torch.tensor([len(said)]), torch.tensor([len(sequence)])
    normal = said.double().log_softmax(-1)[:, None]
    return -torch.nn.functional.ctc_loss(normal, torch.tensor([sequence]), *sizes, blank, "sum").item()


def test_lists_are_made_again_but_for_the_rounding_of_the_emissions():
    with zstandard.open(DATA / "nbest/librispeech-ctc/test.jsonl.zst", "rt") as stream:
        lists = {record["id"]: record["hypotheses"] for record in map(json.loads, stream) if record["id"] in IDS}
    tokens = Tokens.read(EMISSIONS / "tokens.txt")
    lexicon = Lexicon.read(EMISSIONS / "first-pass" / "lexicon.txt.zst", tokens)
    search = BeamOptions(merging="max", order="search")
    first_pass = FirstPass(tokens, lexicon, EMISSIONS / "first-pass" / "3gram.bin", search)
    sources = {source.id: source for source in saved_sources([EMISSIONS / "test.safetensors"], tokens)}
    for name, hypotheses in lists.items():
        said = next(iter(sources[name].load())).content
        found = {one.text: one for one in first_pass.texts(said)}
        assert len(found) <= len(hypotheses) + 5
        for hypothesis in hypotheses:
            one = found[hypothesis["text"]]
            # The lists have the score of one spelling, with a last word end and no first one, and the emissions were
            # rounded to float16 after that.
            spelling = score(said, tokens.sequence(one.spelt), tokens.blank_number)
            assert spelling == pytest.approx(hypothesis["scores"]["acoustic"], abs=0.01)
            assert one.acoustic >= spelling - 1e-6
            assert one.lm == pytest.approx(hypothesis["scores"]["lm"], abs=1e-3)
