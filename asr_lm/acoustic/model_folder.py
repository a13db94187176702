"""A recogniser as a folder, which needs no code of ours to be understood.

* ``tokens.txt``: one token a line, among them the blank ``-`` and the word end ``|``; where they are others, or
  SentencePiece pieces or Chinese characters, ``config.json`` has ``tokens``, which :mod:`asr_lm.acoustic.tokens` tells;
* ``model.safetensors``: the weights;
* ``config.json``: with ``encoder``, a torchaudio encoder over log-mel frames (:class:`MelEncoder`); with
  ``wav2vec2_model``, the arguments of ``torchaudio.models.wav2vec2_model`` (wav 2 vec 2.0, HuBERT, VoxPopuli:
  :class:`WaveEncoder`), weights under torchaudio's own names, and ``normalize_waveform``;
* ``words.txt.gz``, where there is one: the words that the search may find, one a line.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torchaudio
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from asr_lm.acoustic.decoder import RecogniserKind
from asr_lm.acoustic.network_checks import check_recogniser_sizes, try_network
from asr_lm.acoustic.recogniser import CtcNetwork, CtcRecogniser
from asr_lm.acoustic.tokens import CONFIG_FILE, TOKENS_FILE, Tokens
from asr_lm.errors import InputError
from asr_lm.files import atomic_write, make_folder, write_text
from asr_lm.json_files import read_json
from asr_lm.lm.device import without_memory
from asr_lm.lm.weights_file import refuse_not_finite

MODEL_FILE = "model.safetensors"
WORDS_FILES = ("words.txt.gz", "words.txt", "lexicon.txt.gz", "lexicon.txt")
"""Names under which a folder may bring the words of the search, in this order."""

_FASTEST = 768_000
"""Samples a second, at most."""

_MEL_FIELDS = ("sample_rate", "front_end", "floor", "stack", "encoder", "encoder_arguments")


class MelEncoder(CtcNetwork):
    """Stacked log-mel frames, a linear layer, a torchaudio encoder and a linear output.

    Every mel channel is brought to mean 0 and variance 1 over the utterance, so the level of a recording does not
    matter. The configuration: ``sample_rate``; ``front_end``, arguments of ``torchaudio.transforms.MelSpectrogram``;
    ``floor``, added before the logarithm; ``stack``, successive frames in one input vector; ``encoder`` and
    ``encoder_arguments``, a class of ``torchaudio.models`` that takes ``[batch, frames, input_dim]`` and lengths.
    Weights: ``input.*``, ``encoder.*`` (torchaudio's names), ``output.*``.
    """

    def __init__(self, config: Mapping[str, Any], tokens: int) -> None:
        super().__init__()
        self.config = {name: config[name] for name in _MEL_FIELDS}
        front_end, arguments = config["front_end"], config["encoder_arguments"]
        self.floor, self.stack = float(config["floor"]), int(config["stack"])
        with torch.device("cpu"):  # it looks at its own values, also where the rest has shapes alone
            self.front_end = torchaudio.transforms.MelSpectrogram(config["sample_rate"], **front_end)
        self.input = nn.Linear(front_end["n_mels"] * self.stack, arguments["input_dim"])
        self.encoder = getattr(torchaudio.models, config["encoder"])(**arguments)
        self.output = nn.Linear(arguments["input_dim"], tokens)
        self._inside: Tensor | None = None
        if self.pads:
            for module in self.encoder.modules():
                if isinstance(module, nn.Conv1d) and module.kernel_size[0] > 1:
                    module.register_forward_pre_hook(self._without_padding)

    def _without_padding(self, _: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor] | None:
        """Let a convolution ``[batch, channels, frames]`` see beyond the end of an utterance what it sees alone."""
        return None if self._inside is None else (inputs[0] * self._inside[:, None],)

    @property
    def frame_samples(self) -> int:
        return int(self.front_end.hop_length) * self.stack

    @property
    def pads(self) -> bool:
        """A Conformer attends to what is within a length; a normalisation over time (group norm) knows none."""
        return isinstance(self.encoder, torchaudio.models.Conformer) and not _has_group_norm(self.encoder)

    def log_probabilities(self, signals: Sequence[Tensor]) -> list[Tensor]:
        features = [self.features(signal) for signal in signals]
        lengths = torch.tensor(list(map(len, features)), device=signals[0].device)
        found, frames = self(nn.utils.rnn.pad_sequence(features, batch_first=True), lengths)
        return [each[:size] for each, size in zip(found, frames.tolist(), strict=True)]

    def features(self, signal: Tensor) -> Tensor:
        """Normalised log-mel frames ``[frames, mels]`` of a signal ``[samples]``."""
        mels = torch.log(self.front_end(signal).T + self.floor)
        return (mels - mels.mean(0)) / (mels.std(0) + 1e-3)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the tokens.

        Args:
            features: ``[batch, frames, mels]``.
            lengths: frames of each utterance ``[batch]``.

        Returns:
            ``[batch, frames // stack, tokens]``, and how many frames of each count ``[batch]``.
        """
        batch, frames, mels = features.shape
        size = frames // self.stack
        lengths = lengths // self.stack
        stacked = features[:, : size * self.stack].reshape(batch, size, self.stack * mels)
        self._inside = (torch.arange(size, device=features.device) < lengths[:, None]).to(features.dtype)
        try:
            encoded = self.encoder(self.input(stacked), lengths)[0]
        finally:
            self._inside = None
        return self.output(encoded).log_softmax(-1), lengths


class WaveEncoder(CtcNetwork):
    """A torchaudio ``Wav2Vec2Model`` with an output over tokens (wav2vec 2.0, HuBERT, VoxPopuli).

    Baevski et al. 2020, Hsu et al. 2021, Wang et al. 2021.
    """

    def __init__(self, model: nn.Module, normalize_waveform: bool) -> None:
        super().__init__()
        self.model = model
        self.normalize_waveform = normalize_waveform

    @property
    def frame_samples(self) -> int:
        layers: Any = self.model.get_submodule("feature_extractor.conv_layers")
        return math.prod(int(layer.stride) for layer in layers)

    @property
    def pads(self) -> bool:
        """Not where the feature extractor normalises over time (``group_norm``, as in wav2vec 2.0's base)."""
        return not _has_group_norm(self.model.get_submodule("feature_extractor"))

    def log_probabilities(self, signals: Sequence[Tensor]) -> list[Tensor]:
        if self.normalize_waveform:
            signals = [nn.functional.layer_norm(signal, signal.shape) for signal in signals]
        if len({len(signal) for signal in signals}) == 1:
            return [*self.model(torch.stack(list(signals)))[0].log_softmax(-1)]
        lengths = torch.tensor([len(signal) for signal in signals], device=signals[0].device)
        found, frames = self.model(nn.utils.rnn.pad_sequence(list(signals), batch_first=True), lengths)
        return [each[:size] for each, size in zip(found.log_softmax(-1), frames.tolist(), strict=True)]


def _has_group_norm(network: nn.Module) -> bool:
    return any(isinstance(module, nn.GroupNorm) for module in network.modules())


def load_recogniser(folder: Path, device: str = "cpu") -> CtcRecogniser:
    """The recogniser in a folder, float32, in evaluation mode.

    Raises:
        InputError: a file is missing or damaged, the weights do not fit the configuration, or it cannot recognise.
    """
    config = _config(folder / CONFIG_FILE)
    tokens = Tokens.read(folder / TOKENS_FILE)
    weights = _read_weights(folder / MODEL_FILE)
    try:
        check_recogniser_sizes(config, len(weights))
        with without_memory():
            planned = _network(config, len(tokens))
        _load_weights(*planned, weights, assign=True)
        network, missing_is_well = _network(config, len(tokens))
        _load_weights(network, missing_is_well, weights)
        try_network(network.eval(), config["sample_rate"], len(tokens))
    except InputError as error:
        raise error.located(file=folder / CONFIG_FILE) from None
    except Exception as error:  # a damaged configuration leads torchaudio to whatever error comes first
        message = f"no recogniser can be made of this ({type(error).__name__}: {error})"
        raise InputError(message, file=folder / CONFIG_FILE) from None
    return CtcRecogniser(str(folder), network.to(device), tokens, config["sample_rate"], folder_words(folder))


def save_mel_encoder(folder: Path, network: MelEncoder, tokens: Tokens) -> None:
    """Write a folder that :func:`load_recogniser` reads; weights are rounded to float16."""
    kept = {name: value for name, value in network.state_dict().items() if not name.startswith("front_end.")}
    weights = {name: value.half() if value.is_floating_point() else value for name, value in kept.items()}
    _write(folder, dict(network.config), weights, tokens)


def save_wave_encoder(
    folder: Path, network: WaveEncoder, arguments: Mapping[str, Any], tokens: Tokens, sample_rate: int = 16_000
) -> None:
    """Write a folder that :func:`load_recogniser` reads.

    Args:
        folder: made when missing.
        network: its weights are kept as they are.
        arguments: of ``torchaudio.models.wav2vec2_model``, with which the network was made.
        tokens: what its outputs mean.
        sample_rate: of its signals.
    """
    config = {
        "sample_rate": sample_rate,
        "normalize_waveform": network.normalize_waveform,
        "wav2vec2_model": dict(arguments),
    }
    _write(folder, config, network.model.state_dict(), tokens)


def _write(folder: Path, config: dict[str, Any], weights: Mapping[str, Tensor], tokens: Tokens) -> None:
    make_folder(folder)
    if described := tokens.description():
        config["tokens"] = described
    write_text(folder / CONFIG_FILE, json.dumps(config, indent=2, ensure_ascii=False) + "\n")
    tokens.write(folder)
    with atomic_write(folder / MODEL_FILE) as stream:
        stream.write(save({name: value.contiguous() for name, value in weights.items()}))


def folder_words(folder: Path) -> Path | None:
    """The words for the search that a folder brings."""
    return next((folder / name for name in WORDS_FILES if (folder / name).exists()), None)


def _config(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise InputError(f"no recogniser: expected {CONFIG_FILE}, {MODEL_FILE}, {TOKENS_FILE}", file=path)
    config = read_json(path)
    if not isinstance(config, dict) or not ({"encoder", "wav2vec2_model"} & config.keys()):
        raise InputError("no recogniser: expected an object with encoder or wav2vec2_model", file=path)
    rate = config.get("sample_rate")
    if type(rate) is not int or not 0 < rate <= _FASTEST:
        raise InputError(f"expected samples a second, {_FASTEST:,} at most", file=path, field="sample_rate")
    return config


def _network(config: Mapping[str, Any], tokens: int) -> tuple[CtcNetwork, str]:
    """The network without its weights, and the beginning of names that no file has to have."""
    if "encoder" in config:
        return MelEncoder(config, tokens), "front_end."
    arguments = {"aux_num_out": tokens, **config["wav2vec2_model"]}
    if arguments["aux_num_out"] != tokens:
        raise ValueError(f"{arguments['aux_num_out']} outputs for {tokens} tokens")
    model = torchaudio.models.wav2vec2_model(**arguments)
    return WaveEncoder(model, bool(config.get("normalize_waveform", False))), "\0"


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        weights = load_file(path)
    except FileNotFoundError:
        raise InputError("no such file", file=path) from None
    except (SafetensorError, OSError) as error:
        raise InputError(f"damaged weights ({error})", file=path) from None
    refuse_not_finite(weights, path)
    return weights


def _load_weights(network: CtcNetwork, missing_is_well: str, weights: dict[str, Tensor], assign: bool = False) -> None:
    target = network.model if isinstance(network, WaveEncoder) else network
    try:
        missing, unexpected = target.load_state_dict(weights, strict=False, assign=assign)
    except RuntimeError as error:
        raise InputError(f"the weights do not fit the configuration ({error})") from None
    wrong = [name for name in missing if not name.startswith(missing_is_well)] + unexpected
    if wrong:
        raise InputError(f"the weights do not fit the configuration: {wrong[0]!r}")


KIND = RecogniserKind(
    "a folder with config.json, model.safetensors and tokens.txt",
    list,
    lambda name: Path(name).is_dir(),
    lambda name, device: load_recogniser(Path(name), device),
)
