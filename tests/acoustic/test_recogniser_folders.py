"""Recognisers come back from their folders as they were, and a folder that is none says why."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import torchaudio

from asr_lm.acoustic.model_folder import WaveEncoder, folder_words, load_recogniser, save_wave_encoder
from asr_lm.acoustic.tokens import Tokens
from asr_lm.errors import InputError

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
TOKENS = Tokens(("-", "|", "A", "B"))
SIZES = {
    "extractor_conv_layer_config": [(8, 10, 5), (8, 3, 2)],
    "extractor_conv_bias": False,
    "encoder_embed_dim": 8,
    "encoder_projection_dropout": 0.0,
    "encoder_pos_conv_kernel": 4,
    "encoder_pos_conv_groups": 2,
    "encoder_num_layers": 1,
    "encoder_num_heads": 2,
    "encoder_attention_dropout": 0.0,
    "encoder_ff_interm_features": 8,
    "encoder_ff_interm_dropout": 0.0,
    "encoder_dropout": 0.0,
    "encoder_layer_drop": 0.0,
    "aux_num_out": 4,
}
BASE = {"extractor_mode": "group_norm", "encoder_layer_norm_first": False}
LARGE = {"extractor_mode": "layer_norm", "encoder_layer_norm_first": True}


@pytest.mark.parametrize(("kind", "normalize"), [(BASE, False), (LARGE, True)])
def test_wav2vec2_and_hubert_survive_their_folder(tmp_path, kind, normalize):
    torch.manual_seed(1)
    arguments = SIZES | kind
    network = WaveEncoder(torchaudio.models.wav2vec2_model(**arguments).eval(), normalize)
    save_wave_encoder(tmp_path / "m", network, arguments, TOKENS, 8_000)
    recogniser = load_recogniser(tmp_path / "m")
    signal = np.random.default_rng(0).normal(size=1_000).astype(np.float32)
    found = recogniser.emissions(signal)
    with torch.inference_mode():
        given = (
            torch.nn.functional.layer_norm(torch.from_numpy(signal), (1_000,))
            if normalize
            else torch.from_numpy(signal)
        )
        expected = network.model(given[None])[0].log_softmax(-1)[0]
    assert torch.allclose(found, expected)
    assert torch.allclose(found.exp().sum(-1), torch.ones(len(found)))
    assert recogniser.frame_seconds == pytest.approx(10 / 8_000)
    assert recogniser.tokens == TOKENS
    with pytest.raises(InputError, match="too few"):
        recogniser.emissions(signal[:11])


def test_the_packaged_recogniser_hears_words():
    recogniser = load_recogniser(SAMPLE / "model")
    signal, _ = soundfile.read(SAMPLE / "audio" / "len-test-000.flac", dtype="float32")
    found = recogniser.emissions(signal)
    assert abs(len(found) * recogniser.frame_seconds - len(signal) / 16_000) < 0.1
    assert torch.allclose(found.exp().sum(-1), torch.ones(len(found)), atol=1e-5)
    best = torch.unique_consecutive(found.argmax(-1)).tolist()
    assert "fish at the back near the ice" in recogniser.tokens.written(recogniser.tokens.spelt(best))
    louder = recogniser.emissions(signal * 2)
    assert (louder - found).abs().max() < 0.5
    assert folder_words(SAMPLE / "model") == SAMPLE / "model" / "words.txt.gz"


@pytest.mark.parametrize("trouble", ["no config", "no encoder", "no weights", "cut", "tokens", "arguments", "blank"])
def test_a_folder_that_is_no_recogniser_says_why(tmp_path, trouble):
    folder = tmp_path / "m"
    shutil.copytree(SAMPLE / "model", folder)
    config = json.loads((folder / "config.json").read_text())
    weights = (folder / "model.safetensors").read_bytes()
    tokens = (folder / "tokens.txt").read_text()
    if trouble == "no config":
        (folder / "config.json").unlink()
    elif trouble == "no encoder":
        (folder / "config.json").write_text('{"sample_rate": 16000}')
    elif trouble == "arguments":
        (folder / "config.json").write_text(json.dumps(config | {"encoder_arguments": {"input_dim": 144}}))
    elif trouble == "no weights":
        (folder / "model.safetensors").unlink()
    elif trouble == "cut":
        (folder / "model.safetensors").write_bytes(weights[:1000])
    elif trouble == "tokens":
        (folder / "tokens.txt").write_text(tokens + "é\n")
    else:
        (folder / "tokens.txt").write_text(tokens.replace("-", "_"))
    with pytest.raises(InputError) as caught:
        load_recogniser(folder)
    assert str(folder) in str(caught.value.file)
