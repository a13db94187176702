"""Trains the sample's acoustic model on the speech of the train sentences.

The dev sentences only show the progress (letter error of the best path after each epoch); nothing is chosen by them,
and the model of the last epoch is the one that counts. ``--start`` goes on from a trained model with a schedule of
its own.

    python data/sample/make/training.py --work /tmp/sample --out /tmp/sample/model
    python data/sample/make/training.py --work /tmp/sample --start /tmp/sample/model --rate 1.5e-3 --seed 8 \\
        --out data/sample/model
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import jiwer
import soundfile
import torch
import torchaudio
from recogniser import CONFIG, TOKENS, letters
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from asr_lm.acoustic.model_folder import MelEncoder, load_recogniser, save_mel_encoder

BATCH_FRAMES = 8_000  # padded 10 ms frames in a batch: about 24 utterances
WARM_UP = 0.15
CLIP = 2.0


@dataclass(frozen=True)
class Example:
    """One utterance: normalised log-mel frames ``[frames, mels]`` float16, and its text."""

    features: Tensor
    text: str


def read_examples(model: MelEncoder, work: Path, split: str) -> list[Example]:
    """The utterances of ``WORK/SPLIT.jsonl``, their features computed on the first call and kept in the work folder."""
    lines = [json.loads(line) for line in (work / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()]
    cache = work / f"{split}.features.safetensors"
    if not cache.exists():
        with torch.inference_mode():
            found = {line["id"]: model.features(read_signal(work / line["audio"])).half() for line in lines}
        save_file(found, cache)
    features = load_file(cache)
    return [Example(features[line["id"]], line["reference"]) for line in lines]


def read_signal(path: Path) -> Tensor:
    """The samples of a sound file ``[samples]``."""
    return torch.from_numpy(soundfile.read(path, dtype="float32")[0])


def batches(examples: Sequence[Example], generator: random.Random) -> list[list[Example]]:
    """The examples in batches of like length, at most ``BATCH_FRAMES`` padded frames each, in random order."""
    ordered = sorted(examples, key=lambda example: len(example.features) + generator.uniform(-10, 10))
    found: list[list[Example]] = [[]]
    for example in ordered:
        longest = max((len(other.features) for other in found[-1]), default=0)
        if max(longest, len(example.features)) * (len(found[-1]) + 1) > BATCH_FRAMES:
            found.append([])
        found[-1].append(example)
    generator.shuffle(found)
    return found


def masked(features: Tensor) -> Tensor:
    """SpecAugment, lightly (Park et al. 2019): two bands of channels and two spans of time set to the mean.

    Features are ``[batch, frames, mels]``.
    """
    image = features.transpose(1, 2)[:, None]
    for mask in (torchaudio.transforms.FrequencyMasking(10, True), torchaudio.transforms.TimeMasking(15, True)):
        image = mask(mask(image))
    return image[:, 0].transpose(1, 2)


def loss_of(model: MelEncoder, batch: Sequence[Example]) -> Tensor:
    """Mean CTC loss a letter of a batch."""
    features = nn.utils.rnn.pad_sequence([example.features.float() for example in batch], batch_first=True)
    targets = [torch.tensor(letters(example.text)) for example in batch]
    lengths = torch.tensor([len(example.features) for example in batch])
    log_probs, frames = model(masked(features), lengths)
    sizes = torch.tensor([len(target) for target in targets])
    return nn.functional.ctc_loss(log_probs.transpose(0, 1), torch.cat(targets), frames, sizes, zero_infinity=True)


@torch.inference_mode()
def error_rates(model: MelEncoder, examples: Sequence[Example]) -> tuple[float, float]:
    """Word and letter error rate of the best paths, in percent."""
    model.eval()
    heard = []
    for example in examples:
        log_probs, _ = model(example.features.float()[None], torch.tensor([len(example.features)]))
        heard.append(greedy_text(log_probs[0]))
    references = [example.text for example in examples]
    return 100 * jiwer.wer(references, heard), 100 * jiwer.cer(references, heard)


class Trainer:
    """AdamW on a one-cycle schedule over a plan of batches ``[epochs][batches][examples]``, known from the start."""

    def __init__(self, model: MelEncoder, plan: Sequence[Sequence[Sequence[Example]]], rate: float) -> None:
        self.model = model
        self.plan = plan
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0.01)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, rate, total_steps=sum(map(len, plan)), pct_start=WARM_UP
        )

    def step(self, batch: Sequence[Example]) -> float:
        """One update; the loss before it."""
        loss = loss_of(self.model, batch)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.optimizer.step()
        self.schedule.step()
        return loss.item()

    def epochs(self) -> Iterator[float]:
        """Train; after every epoch its mean loss."""
        for epoch_batches in self.plan:
            self.model.train()
            losses: list[float] = []
            for batch in epoch_batches:
                losses.append(self.step(batch))
                if len(losses) % 50 == 0:
                    mean = sum(losses) / len(losses)
                    print(f"  {len(losses)}/{len(epoch_batches)} loss {mean:.3f}", flush=True)
            yield sum(losses) / len(losses)


def greedy_text(log_probs: Tensor) -> str:
    """The text of the best token of every frame, repeats joined; ``[frames, tokens]``."""
    return TOKENS.written(TOKENS.spelt(torch.unique_consecutive(log_probs.argmax(-1)).tolist()))


def starting_model(folder: Path | None) -> MelEncoder:
    """The model of a folder, or one without training."""
    if folder is None:
        return MelEncoder(CONFIG, len(TOKENS))
    network = load_recogniser(folder).network
    if not isinstance(network, MelEncoder):
        raise TypeError(f"{folder} holds a {type(network).__name__}")
    return network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder that voices.py wrote")
    parser.add_argument("--out", type=Path, required=True, help="model folder, written after every epoch")
    parser.add_argument("--start", type=Path, help="model folder to go on from")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rate", type=float, default=2e-3, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    model = starting_model(arguments.start)
    examples, dev = (read_examples(model, arguments.work, split) for split in ("train", "dev"))
    generator = random.Random(arguments.seed)
    plan = [batches(examples, generator) for _ in range(arguments.epochs)]
    begin = time.monotonic()
    for epoch, loss in enumerate(Trainer(model, plan, arguments.rate).epochs(), 1):
        save_mel_encoder(arguments.out, model, TOKENS)
        words, characters = error_rates(model, dev)
        seconds = time.monotonic() - begin
        print(f"epoch {epoch}: loss {loss:.3f}, dev WER {words:.1f} CER {characters:.1f}, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
