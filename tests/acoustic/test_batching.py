"""What an utterance's emissions are does not depend on the batch it was computed in."""

import json

import numpy as np
import pytest
import soundfile
import torch
import torchaudio
from hypothesis import given
from hypothesis import strategies as st
from test_recogniser_folders import BASE, LARGE, SAMPLE, SIZES, TOKENS

from asr_lm.acoustic.batching import batches_by_length, compute_emissions
from asr_lm.acoustic.model_folder import MelEncoder, WaveEncoder, load_recogniser
from asr_lm.acoustic.recogniser import CtcNetwork, CtcRecogniser
from asr_lm.acoustic.registry import recogniser_names
from asr_lm.acoustic.segments import Failure, Segment

SAMPLES = (1_600, 1_601, 4_000, 4_000, 2_777, 900)


@given(st.lists(st.integers(1, 50), max_size=20), st.integers(0, 120), st.booleans())
def test_batches_hold_everything_once_and_no_more_than_they_may(lengths, most, pads):
    found = batches_by_length(lengths, most, pads)
    assert sorted(number for batch in found for number in batch) == list(range(len(lengths)))
    for batch in found:
        longest = max(lengths[number] for number in batch)
        assert len(batch) == 1 or longest * len(batch) <= most
        assert pads or len({lengths[number] for number in batch}) == 1


def segments(lengths=SAMPLES):
    generator = np.random.default_rng(1)
    return [Segment(f"u{n}", 0.0, generator.normal(size=size).astype(np.float32)) for n, size in enumerate(lengths)]


def wave(kind, normalize):
    torch.manual_seed(1)
    return WaveEncoder(torchaudio.models.wav2vec2_model(**SIZES | kind), normalize)


def conformer(**arguments):
    torch.manual_seed(1)
    sizes = {"input_dim": 8, "num_heads": 2, "ffn_dim": 8, "num_layers": 2, "depthwise_conv_kernel_size": 5}
    config = {
        "sample_rate": 8_000, "front_end": {"n_fft": 128, "hop_length": 40, "n_mels": 8}, "floor": 1e-6, "stack": 2,
        "encoder": "Conformer", "encoder_arguments": sizes | arguments,
    }  # fmt: skip
    return MelEncoder(config, 4)


@pytest.mark.parametrize(
    ("network", "pads"),
    [
        (wave(BASE, False), False),
        (wave(LARGE, True), True),
        (wave(LARGE, False), True),
        (conformer(), True),
        (conformer(use_group_norm=True), False),
        (conformer(convolution_first=True), True),
    ],
)
def test_emissions_in_batches_are_those_one_by_one(network, pads):
    assert network.pads == pads
    recogniser = CtcRecogniser("toy", network.eval(), TOKENS, 8_000)
    expected = {segment.id: recogniser.emissions(segment.content) for segment in segments()}
    computed = []
    log_probabilities = network.log_probabilities
    network.log_probabilities = lambda signals: computed.append(len(signals)) or log_probabilities(signals)
    for seconds in (0, 0.6, 100):
        found = {segment.id: segment.content for segment in compute_emissions(iter(segments()), recogniser, seconds)}
        assert set(found) == set(expected)
        for name, emissions in expected.items():
            assert found[name].shape == emissions.shape
            assert (found[name] - emissions).abs().max() < 1e-4
    assert computed[:6] == [1] * 6
    assert computed[-1] == (6 if pads else 1)
    assert max(computed) == (6 if pads else 2)


def test_padding_does_matter_to_those_that_are_not_padded():
    """Else they could be."""
    signals = [torch.from_numpy(segment.content) for segment in segments()]
    for network in (wave(BASE, False).eval(), conformer(use_group_norm=True).eval()):
        with torch.inference_mode():
            together = network.log_probabilities(signals)
            alone = [network.log_probabilities([signal])[0] for signal in signals]
        assert max((a - b[: len(a)]).abs().max() for a, b in zip(together, alone, strict=True)) > 1e-3


@pytest.mark.parametrize("name", [name for name in recogniser_names() if "RNNT" not in name])
def test_which_of_torchaudio_s_recognisers_are_padded(name):
    kind = getattr(torchaudio.pipelines, name)._params["extractor_mode"]
    extractor = torchaudio.models.wav2vec2.components._get_feature_extractor(kind, [(8, 10, 5), (8, 3, 2)], False)
    network = WaveEncoder(torch.nn.ModuleDict({"feature_extractor": extractor}), False)
    assert network.pads == (name.startswith("HUBERT") or "LV60K" in name)


def test_the_packaged_recogniser_hears_the_same_in_batches():
    recogniser = load_recogniser(SAMPLE / "model")
    lines = map(json.loads, (SAMPLE / "audio" / "manifest.jsonl").read_text().splitlines()[:4])
    signals = [soundfile.read(SAMPLE / "audio" / line["audio"], dtype="float32")[0] for line in lines]
    together = recogniser.batch(signals)
    for signal, found in zip(signals, together, strict=True):
        assert (recogniser.emissions(signal) - found).abs().max() < 1e-4


def test_what_is_too_short_fails_and_the_rest_does_not():
    for network in (wave(LARGE, True), conformer()):
        recogniser = CtcRecogniser("toy", network.eval(), TOKENS, 8_000)
        found = list(compute_emissions(iter(segments((1_600, 3, 11, 2_000))), recogniser, 100))
        failed = {one.segment.id: one.error.message for one in found if isinstance(one, Failure)}
        assert {"u1"} <= set(failed) <= {"u1", "u2"}
        assert all("too few" in message for message in failed.values())
        assert {"u0", "u3"} <= {one.id for one in found if isinstance(one, Segment)}


class Small(CtcNetwork):
    """Runs out of memory with more than so many samples."""

    pads = True
    frame_samples = 1

    def __init__(self, most):
        super().__init__()
        self.most, self.weight = most, torch.nn.Parameter(torch.zeros(1))

    def log_probabilities(self, signals):
        if len(signals) * max(map(len, signals)) > self.most:
            raise torch.OutOfMemoryError
        return [torch.stack([signal, -signal], 1) for signal in signals]


def test_where_memory_runs_out_batches_are_halved():
    recogniser = CtcRecogniser("toy", Small(8_000), TOKENS, 8_000)
    found = {segment.id: segment.content for segment in compute_emissions(iter(segments()), recogniser, 100)}
    assert all(np.array_equal(found[segment.id][:, 0], segment.content) for segment in segments())
    with pytest.raises(torch.OutOfMemoryError):
        CtcRecogniser("toy", Small(3_000), TOKENS, 8_000).batch([segments()[2].content])


def test_few_signals_are_in_memory():
    alive, most = 0, 0

    def counted():
        nonlocal alive, most
        for segment in segments([1_600] * 100):
            alive += 1
            most = max(most, alive)
            yield segment

    recogniser = CtcRecogniser("toy", Small(10**9), TOKENS, 8_000)
    for _ in compute_emissions(counted(), recogniser, 0.4):
        alive -= 1
    assert (alive, most) == (0, 16)
    for _ in compute_emissions(counted(), recogniser, 0):
        alive -= 1
    assert (alive, most) == (0, 16)
