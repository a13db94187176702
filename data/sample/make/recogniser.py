"""The sample's acoustic model: a torchaudio Conformer over log-mel frames with a CTC output over letters.

A model is a folder that needs no code of this script to be understood:

* ``config.json``: ``sample_rate``; ``front_end``, the arguments of ``torchaudio.transforms.MelSpectrogram``; ``floor``,
  added before the logarithm; ``stack``, how many successive frames make one input vector; ``encoder``, name and
  arguments of the class in ``torchaudio.models``;
* ``tokens.txt``: one token a line, blank ``-`` first, then the word end ``|``, the apostrophe and the letters;
* ``model.safetensors``: float16 weights ``input.*`` (linear, stacked frames to encoder), ``encoder.*`` (torchaudio's
  own names) and ``output.*`` (linear, encoder to tokens).

Every mel channel is brought to mean 0 and variance 1 over the utterance, so the level of a recording does not matter.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
import torchaudio
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

BLANK = "-"
WORD_END = "|"
TOKENS = (BLANK, WORD_END, "'", *"abcdefghijklmnopqrstuvwxyz")


@dataclass(frozen=True)
class Config:
    """What ``config.json`` holds; see the module's docstring."""

    sample_rate: int = 16_000
    front_end: dict[str, int] = field(
        default_factory=lambda: {"n_fft": 512, "win_length": 400, "hop_length": 160, "n_mels": 64}
    )
    floor: float = 1e-6
    stack: int = 3
    encoder: str = "Conformer"
    encoder_arguments: dict[str, float] = field(
        default_factory=lambda: {
            "input_dim": 144,
            "num_heads": 4,
            "ffn_dim": 288,
            "num_layers": 4,
            "depthwise_conv_kernel_size": 15,
        }
    )


def letters(text: str) -> list[int]:
    """Token ids of a text: the letters of each word, then the word end; a final word end and no first one.

    This is the convention of every CTC score in the sample.
    """
    return [TOKENS.index(character) for word in text.split() for character in word + WORD_END]


class Recogniser(nn.Module):
    """Front end, torchaudio encoder and linear CTC output."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.front_end = torchaudio.transforms.MelSpectrogram(config.sample_rate, **config.front_end)
        arguments = config.encoder_arguments
        dimension = int(arguments["input_dim"])
        self.input = nn.Linear(config.front_end["n_mels"] * config.stack, dimension)
        self.encoder = getattr(torchaudio.models, config.encoder)(**arguments)
        self.output = nn.Linear(dimension, len(TOKENS))

    @torch.no_grad()
    def features(self, signal: Tensor) -> Tensor:
        """Normalised log-mel frames ``[frames, mels]`` of a signal ``[samples]`` at the model's sample rate."""
        mels = torch.log(self.front_end(signal).T + self.config.floor)
        return (mels - mels.mean(0)) / (mels.std(0) + 1e-3)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the tokens.

        Args:
            features: ``[batch, frames, mels]``.
            lengths: frames of each utterance ``[batch]``.

        Returns:
            ``[batch, frames // stack, tokens]`` and the lengths ``[batch]`` that count.
        """
        stack = self.config.stack
        batch, frames, mels = features.shape
        stacked = features[:, : frames // stack * stack].reshape(batch, frames // stack, stack * mels)
        encoded, lengths = self.encoder(self.input(stacked), lengths // stack)
        return self.output(encoded).log_softmax(-1), lengths

    @torch.inference_mode()
    def emissions(self, signal: Tensor) -> Tensor:
        """Log-probabilities ``[frames, tokens]`` of one signal ``[samples]``, computed without padding."""
        features = self.features(signal)
        return self(features[None], torch.tensor([len(features)]))[0][0]

    def save(self, folder: Path) -> None:
        """Write the model as the folder the module's docstring describes."""
        folder.mkdir(parents=True, exist_ok=True)
        weights = {
            name: value.half() if value.is_floating_point() else value
            for name, value in self.state_dict().items()
            if not name.startswith("front_end.")
        }
        save_file(weights, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(asdict(self.config), indent=2) + "\n", encoding="utf-8")
        (folder / "tokens.txt").write_text("".join(f"{token}\n" for token in TOKENS), encoding="utf-8")


def load(folder: Path) -> Recogniser:
    """The model of a folder, float32, in evaluation mode."""
    config = Config(**json.loads((folder / "config.json").read_text(encoding="utf-8")))
    model = Recogniser(config)
    missing, unexpected = model.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    wrong = [name for name in missing if not name.startswith("front_end.")] + unexpected
    if wrong:
        raise ValueError(f"{folder}: weights do not fit the configuration: {wrong}")
    return model.eval()


def greedy_text(emissions: Tensor) -> str:
    """The text of the best token of every frame, repeats joined and blanks dropped; emissions ``[frames, tokens]``."""
    best = torch.unique_consecutive(emissions.argmax(-1)).tolist()
    characters = "".join(TOKENS[token] for token in best if TOKENS[token] != BLANK)
    return " ".join(characters.replace(WORD_END, " ").split())


def ctc_scores(emissions: Tensor, texts: list[str]) -> list[float]:
    """Exact CTC log-probability of each text: all alignments summed, one batched ``ctc_loss`` in float64.

    Args:
        emissions: log-probabilities ``[frames, tokens]``.
        texts: at least one text; a text that needs more frames than there are scores minus infinity.
    """
    targets = [torch.tensor(letters(text), dtype=torch.long) for text in texts]
    losses = nn.functional.ctc_loss(
        emissions.double().log_softmax(-1)[:, None].expand(-1, len(texts), -1),
        nn.utils.rnn.pad_sequence(targets, batch_first=True),
        torch.full((len(texts),), len(emissions)),
        torch.tensor([len(target) for target in targets]),
        reduction="none",
    )
    return [-loss for loss in losses.tolist()]
