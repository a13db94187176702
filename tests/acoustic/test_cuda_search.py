"""The search on a GPU, with a stand-in for torchaudio's decoder where there is no GPU: what it is given and gives."""

from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch
import torchaudio.models.decoder
from test_first_pass import TOKENS, emissions

from asr_lm.acoustic.beam_search import cuda_search
from asr_lm.acoustic.ctc_decoder import search_device
from asr_lm.acoustic.first_pass import FirstPass
from asr_lm.acoustic.lexicon import Lexicon
from asr_lm.acoustic.options import BeamOptions, DecodingOptions
from asr_lm.acoustic.tokens import Tokens
from asr_lm.errors import InputError

pytest.importorskip("flashlight", reason="the stand-in searches with flashlight-text")


class Decoder:
    """What ``CUCTCDecoder`` demands of its input, and of its output the form; the search is flashlight's."""

    made: ClassVar[list] = []

    def __init__(self, tokens, nbest, beam_size):
        assert nbest <= beam_size <= min(128, len(tokens))
        self.tokens, self.nbest = tokens, nbest
        self.made.append(self)

    def __call__(self, log_prob, lengths):
        assert (log_prob.dtype, lengths.dtype) == (torch.float32, torch.int32)
        assert log_prob.is_contiguous()
        assert log_prob.shape == (1, int(lengths[0]), len(self.tokens))
        decoder = torchaudio.models.decoder.ctc_decoder(
            lexicon=None, tokens=self.tokens, nbest=self.nbest, beam_size=50, log_add=True, sil_token=self.tokens[1],
            blank_token=self.tokens[0],
        )  # fmt: skip
        paths = [path.tokens[path.tokens < len(self.tokens)].int() for path in decoder(log_prob.cpu())[0]]
        return [[SimpleNamespace(tokens=path, words=[self.tokens[n] for n in path], score=0.0) for path in paths]]


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch):
    monkeypatch.setattr(torchaudio.models.decoder, "cuda_ctc_decoder", Decoder)
    monkeypatch.setattr(Decoder, "made", [])


def test_the_list_is_scored_as_any():
    found = FirstPass(TOKENS, search=BeamOptions(beam=4), gpu="cpu").texts(emissions())
    assert 1 < len(found) <= 4
    everything = {one.text: one for one in FirstPass(TOKENS, search=BeamOptions(beam=200)).texts(emissions())}
    assert all(everything[one.text].acoustic == pytest.approx(one.acoustic) for one in found)
    assert [one.total for one in found] == sorted((one.total for one in found), reverse=True)


def test_no_more_hypotheses_are_asked_for_than_it_can_hold():
    FirstPass(TOKENS, search=BeamOptions(beam=400), gpu="cpu")
    many = Tokens(("-", *map(chr, range(0x4E00, 0x4E00 + 500))), words="characters")
    FirstPass(many, search=BeamOptions(beam=400), gpu="cpu")
    assert [decoder.nbest for decoder in Decoder.made] == [5, 128]


def test_tokens_of_no_text_are_not_found():
    tokens = Tokens(("-", "<unk>", "北", "京", "好"), words="characters", unwritten=("<unk>",))
    said = emissions() + torch.tensor([0, 5.0, 0, 0, 0])
    before = said.clone()
    assert all("<unk>" not in one.text for one in FirstPass(tokens, gpu="cpu").texts(said.log_softmax(-1)))
    assert torch.equal(said, before)


def test_what_it_cannot_do_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"takes token 0 for the blank, and here the blank '-' is token 1"):
        cuda_search(Tokens(("|", "-", "a")), BeamOptions(), "cpu")
    with pytest.raises(InputError, match="neither a lexicon nor"):
        FirstPass(TOKENS, Lexicon({"a": [("a",)]}), gpu="cpu")


@pytest.mark.parametrize(
    ("options", "gpu"),
    [
        ({}, "cuda"),
        ({"nbest": 6}, None),
        ({"engine": "cpu"}, None),
        ({"engine": "cuda", "nbest": 6}, "cuda"),
        ({"lm": Path("x")}, None),
        ({"lexicon": Path("x")}, None),
        ({"device": "cpu"}, None),
    ],
)
def test_auto_is_the_gpu_where_it_can_give_the_list(options, gpu):
    chosen = DecodingOptions(**{name: value for name, value in options.items() if name not in ("nbest", "device")})
    nbest, device = options.get("nbest", 5), options.get("device", "cuda")
    assert search_device(nbest, chosen, TOKENS, chosen.lexicon is not None, device) == gpu


def test_a_search_that_cannot_be_says_why():
    with pytest.raises(InputError, match="no GPU to search on"):
        search_device(5, DecodingOptions(engine="cuda"), TOKENS, False, "cpu")
    with pytest.raises(InputError, match="takes no language model and no words"):
        search_device(5, DecodingOptions(engine="cuda"), TOKENS, True, "cuda")
    other = Tokens(("|", "-", "a"))
    assert search_device(2, DecodingOptions(engine="auto"), other, False, "cuda") is None
