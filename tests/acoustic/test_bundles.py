"""torchaudio's recognisers by name; random weights of little models stand in for what would be downloaded."""

import math
import urllib.error
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
import torchaudio
from test_recogniser_folders import BASE, LARGE, SIZES

from asr_lm.acoustic.registry import open_recogniser, recogniser_names
from asr_lm.acoustic.rnnt import RnntRecogniser
from asr_lm.errors import InputError
from asr_lm.hypotheses.reading import read_nbest

SIGNAL = np.random.default_rng(0).normal(size=8_000).astype(np.float32)
CTC = [name for name in recogniser_names() if "RNNT" not in name]


def test_every_recogniser_of_torchaudio_has_its_name():
    assert {"WAV2VEC2_ASR_BASE_960H", "HUBERT_ASR_XLARGE", "VOXPOPULI_ASR_BASE_10K_FR"} <= set(CTC)
    assert "EMFORMER_RNNT_BASE_LIBRISPEECH" in recogniser_names()
    assert not {"MMS_FA", "WAV2VEC2_BASE", "WAVLM_LARGE"} & set(recogniser_names())
    with pytest.raises(InputError, match="WAV2VEC2_ASR_BASE_960H"):
        open_recogniser("WAV2VEC2_BASE")


@pytest.mark.parametrize("name", CTC)
def test_a_ctc_bundle_is_computed_as_torchaudio_does(monkeypatch, name):
    bundle = getattr(torchaudio.pipelines, name)
    labels = bundle.get_labels()
    kind = LARGE if bundle._normalize_waveform else BASE
    torch.manual_seed(3)
    arguments = SIZES | kind | {"aux_num_out": len(labels)}
    weights = torchaudio.models.wav2vec2_model(**arguments).state_dict()
    monkeypatch.setattr(bundle, "_params", arguments)
    monkeypatch.setattr(type(bundle), "_get_state_dict", lambda self, _: weights)
    recogniser = open_recogniser(name)
    with torch.inference_mode():
        expected = bundle.get_model()(torch.from_numpy(SIGNAL)[None])[0].log_softmax(-1)[0]
    assert torch.allclose(recogniser.emissions(SIGNAL), expected)
    assert recogniser.tokens.texts == labels
    assert recogniser.sample_rate == 16_000


class Search(torch.nn.Module):
    """A beam search of known outcome."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, features, length, beam):
        found = [([9, 1, 2], -3.0), ([9, 3], -2.5), ([9, 1, 1, 0], -4.0), ([9], -6.0)]
        return [(tokens, None, None, score) for tokens, score in found][:beam]


def rnnt():
    pieces = {0: "b", 1: "a", 2: "ab", 3: " c "}
    return RnntRecogniser(
        "toy",
        16_000,
        lambda signal: (signal[:, None], torch.tensor([len(signal)])),
        Search(),
        lambda tokens: "".join(pieces[token] for token in tokens[1:]),
    )


def test_rnnt_keeps_the_order_of_the_search_and_the_whole_log_probability():
    found = rnnt().hypotheses(SIGNAL, 10, 4)
    assert [one.text for one in found] == ["aab", "c", ""]
    expected = [math.log(math.exp(-3) + math.exp(-4)), -2.5, -6.0]
    assert [one.scores["acoustic"] for one in found] == pytest.approx(expected, abs=1e-3)
    assert [one.text for one in rnnt().hypotheses(SIGNAL, 2, 4)] == ["aab", "c"]


def little_rnnt(monkeypatch):
    """The Emformer bundle with a model of random weights and no files."""
    torch.manual_seed(5)
    bundle = torchaudio.pipelines.EMFORMER_RNNT_BASE_LIBRISPEECH
    model = torchaudio.models.emformer_rnnt_model(
        input_dim=80, encoding_dim=8, num_symbols=33, segment_length=4, right_context_length=1,
        time_reduction_input_dim=8, time_reduction_stride=4, transformer_num_heads=2, transformer_ffn_dim=8,
        transformer_num_layers=1, transformer_dropout=0.0, transformer_activation="gelu",
        transformer_left_context_length=4, transformer_max_memory_size=0,
        transformer_weight_init_scale_strategy="depthwise", transformer_tanh_on_mem=True, symbol_embedding_dim=8,
        num_lstm_layers=1, lstm_layer_norm=True, lstm_layer_norm_epsilon=1e-3, lstm_dropout=0.0,
    ).eval()  # fmt: skip
    decoder = torchaudio.models.RNNTBeamSearch(model, 32, step_max_tokens=2)

    def features(signal):
        mels = torchaudio.transforms.MelSpectrogram(16_000, n_fft=400, n_mels=80, hop_length=160)(signal).T
        mels = torch.nn.functional.pad(torch.log(mels + 1e-6), (0, 0, 0, 4))
        return mels, torch.tensor([len(mels)])

    letters = "abcdefghijklmnopqrstuvwxyz      "
    parts = SimpleNamespace(
        get_decoder=lambda: decoder,
        get_feature_extractor=lambda: features,
        get_token_processor=lambda: lambda tokens: "".join(letters[token] for token in tokens[1:]),
    )
    for name, part in vars(parts).items():
        monkeypatch.setattr(type(bundle), name, lambda self, part=part: part())
    return decoder


def test_an_emformer_is_searched(monkeypatch):
    decoder = little_rnnt(monkeypatch)
    recogniser = open_recogniser("EMFORMER_RNNT_BASE_LIBRISPEECH")
    found = recogniser.hypotheses(SIGNAL, 5, 6)
    assert 1 < len(found) <= 5
    assert len({one.text for one in found}) == len(found)
    with torch.inference_mode():
        expected = decoder(*recogniser.features(torch.from_numpy(SIGNAL)), 6)
    assert found[0].text == " ".join(recogniser.text(expected[0][0]).split())
    assert all(one.scores["acoustic"] < 0 for one in found)


def test_decode_takes_an_rnnt_and_refuses_what_is_for_ctc(monkeypatch, tmp_path):
    import sys

    from pipelines import decode

    little_rnnt(monkeypatch)
    monkeypatch.chdir(tmp_path)
    soundfile.write("a.wav", SIGNAL * 0.1, 16_000)
    command = ["decode", "--audio", "a.wav", "--model", "EMFORMER_RNNT_BASE_LIBRISPEECH", "--nbest", "4"]
    monkeypatch.setattr(sys, "argv", [*command, "--out", "a.jsonl", "--device", "cpu"])
    decode.main()
    (utterance,) = read_nbest("a.jsonl")
    assert 1 <= len(utterance.hypotheses) <= 4
    monkeypatch.setattr(sys, "argv", [*command, "--out", "b.jsonl", "--save-emissions", "kept"])
    with pytest.raises(InputError, match="this is an RNN-T"):
        decode.main()


@pytest.mark.parametrize("name", ["HUBERT_ASR_LARGE", "EMFORMER_RNNT_BASE_LIBRISPEECH"])
def test_without_a_network_it_says_so(monkeypatch, tmp_path, name):
    def no_network(*_, **__):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", no_network)
    # The big model need not be made to find out that its weights cannot be had.
    monkeypatch.setattr("torchaudio.pipelines._wav2vec2.utils._get_model", lambda *_: torch.nn.Identity())
    with pytest.raises(
        InputError, match=r"could not be downloaded to .* \(no route to host\).* or give a folder as model"
    ):
        open_recogniser(name)
