"""Damaged model folders: each is opened and scores finite numbers, or is refused with a reason, and never takes long.

One file of a small whole folder is changed by chance: a JSON file gets a value of another kind, a huge size, half of a
surrogate pair or deep nesting somewhere, or its bytes are changed as those of any other file are. A score that is no
number is a fault, too.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchaudio
from campaigns._fuzzing import fuzz, mutated

from asr_lm.acoustic.model_folder import MelEncoder, WaveEncoder, save_mel_encoder, save_wave_encoder
from asr_lm.acoustic.registry import open_recogniser
from asr_lm.acoustic.tokens import Tokens
from asr_lm.lm.families.ngram import train_ngram
from asr_lm.lm.families.registry import FAMILIES
from asr_lm.lm.loading import load_model
from asr_lm.lm.mixtures.estimation import make_mixture
from asr_lm.lm.mixtures.members import Member, MixtureRecord
from asr_lm.lm.protocol import LanguageModel
from asr_lm.lm.training.corpus import TokenCorpus
from asr_lm.rescoring.weights import Weights
from asr_lm.text.gpt1_bpe import Gpt1BpeVocabulary
from asr_lm.text.vocabulary import SentencePieceVocabulary, Vocabulary, WordVocabulary

_SIZES = {
    "embedding": 4,
    "hidden": 4,
    "width": 4,
    "heads": 2,
    "layers": 2,
    "attention": 4,
    "maxout": 4,
    "positions": 16,
}
_INSTEAD: tuple[Callable[[Path], None], ...] = (
    lambda path: None,
    lambda path: path.mkdir(),
    lambda path: path.touch(),
    lambda path: path.symlink_to(path.name),
    lambda path: path.symlink_to("/dev/zero"),
    lambda path: path.symlink_to("/dev/null"),
    lambda path: path.symlink_to(".."),
    lambda path: os.mkfifo(path),
)
"""What may lie where a file of a folder should: nothing, a folder, an empty file, a link to itself, devices, a pipe."""

_VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 2, 1e-9, 10**9, 10**30, 0.5, float("nan"), float("inf"), "", "a", "\ud800", "\0", "x" * 5000),
    *([], {}, [1], [[]], {"a": 1}, "hf:nobody/nothing", "../..", "/", ["a", 1]),
)


def _words() -> WordVocabulary:
    return WordVocabulary(["a", "b", "c", "d"])


def _neural(family: str) -> Callable[[Path], None]:
    def make(folder: Path, vocabulary: Vocabulary | None = None) -> None:
        found, vocabulary = FAMILIES[family], vocabulary or _words()
        sizes = {field.name: _SIZES[field.name] for field in fields(found.sizes) if field.name in _SIZES}
        network = found.make_network(found.sizes(vocabulary_size=vocabulary.size, **sizes))
        found.model_class()(family, network, vocabulary, "as-is").save(folder, training={"options": {"context": "a"}})

    return make


def _pieces(folder: Path) -> None:
    lines = ["good day to you", "a bad day for me", "day after day"] * 20
    _neural("lstm")(folder, SentencePieceVocabulary.train(lines, 300))  # type: ignore[call-arg]


def _ngram(folder: Path) -> None:
    vocabulary = _words()
    corpus = TokenCorpus.from_sentences(["a b", "b c a", "d a b", "c"] * 5, vocabulary)
    train_ngram(corpus, vocabulary, "as-is", folder, order=2, binary=False)


def _mixture(folder: Path) -> None:
    members = []
    for family in ("lstm", "rnnlm"):
        _neural(family)(folder / "members" / family)
        path = folder / "members" / family
        model = load_model(path)
        assert isinstance(model, LanguageModel)
        members.append(Member(family, model, path))
    make_mixture(MixtureRecord("linear", [0.4, 0.6], members)).save(folder)


def _released(pickled: bool) -> Callable[[Path], None]:
    """As OpenAI's GPT-1 is handed out."""

    def make(folder: Path) -> None:
        pieces = ["a</w>", "b</w>", ".</w>", "a", "b", "ab</w>", "<unk>"]
        ids = {piece: number for number, piece in enumerate(pieces)}
        folder.mkdir(parents=True)
        (folder / "vocab.json").write_text(json.dumps(ids))
        (folder / "merges.txt").write_text("#version: 0.2\na b</w>\n")
        size = Gpt1BpeVocabulary.load(folder).size
        sizes = {"vocab_size": size, "n_layer": 1, "n_embd": 4, "n_head": 2, "n_positions": 16}
        (folder / "config.json").write_text(json.dumps({"model_type": "openai-gpt", "resid_pdrop": 0.1, **sizes}))
        _write_released(folder, size, pickled)

    return make


def _transformers(folder: Path) -> None:
    """A GPT-2 as Hugging Face's library writes it."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel({"<unk>": 0, "<s>": 1, "</s>": 2, "a": 3, "b": 4}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    tokenizer.save_pretrained(folder)
    GPT2LMHeadModel(GPT2Config(vocab_size=5, n_layer=1, n_embd=4, n_head=2, n_positions=16)).save_pretrained(folder)


def _write_released(folder: Path, size: int, pickled: bool) -> None:
    from safetensors.torch import save_file
    from transformers import OpenAIGPTConfig, OpenAIGPTModel

    config = OpenAIGPTConfig(vocab_size=size, n_layer=1, n_embd=4, n_head=2, n_positions=16)
    tensors = {name: value.contiguous() for name, value in OpenAIGPTModel(config).state_dict().items()}
    if pickled:
        torch.save(tensors, folder / "pytorch_model.bin")
    else:
        save_file(tensors, folder / "model.safetensors")


def _weights(folder: Path) -> None:
    folder.mkdir(parents=True)
    Weights(values={"acoustic": 1.0, "lm": 0.4}, fingerprints={"lm": "0a"}, dev={"wer": 5.0}).save(folder / "w.json")


def _open_model(folder: Path) -> None:
    model = load_model(folder)
    if isinstance(model, LanguageModel):
        scores = model.log_prob(["a b", "b"])
        if np.isnan(scores).any():
            raise AssertionError(f"scores {scores}")


def _open_weights(folder: Path) -> None:
    Weights.load(folder / "w.json")


def _recogniser(folder: Path) -> None:
    """A small one of the kind that the sample brings."""
    torch.manual_seed(0)
    arguments = {"input_dim": 8, "num_heads": 2, "ffn_dim": 8, "num_layers": 1, "depthwise_conv_kernel_size": 3}
    front_end = {"n_fft": 512, "win_length": 400, "hop_length": 160, "n_mels": 8}
    config = {"sample_rate": 16000, "front_end": front_end, "floor": 1e-6, "stack": 3, "encoder": "Conformer"}
    tokens = Tokens(("-", "|", "a", "b"))
    save_mel_encoder(folder, MelEncoder({**config, "encoder_arguments": arguments}, len(tokens)), tokens)


def _wave_recogniser(folder: Path) -> None:
    """The smallest wav2vec 2.0."""
    torch.manual_seed(0)
    layers = [(8, 10, 5), (8, 8, 4), (8, 4, 4)]
    sizes = {"embed_dim": 8, "pos_conv_kernel": 3, "pos_conv_groups": 2, "num_layers": 1, "num_heads": 2}
    dropouts = ("projection_dropout", "attention_dropout", "ff_interm_dropout", "dropout", "layer_drop")
    arguments: dict[str, Any] = {
        "extractor_mode": "layer_norm",
        "extractor_conv_layer_config": layers,
        "aux_num_out": 4,
    }
    arguments |= {"extractor_conv_bias": False, "encoder_ff_interm_features": 8, "encoder_layer_norm_first": False}
    arguments |= {f"encoder_{name}": value for name, value in {**sizes, **dict.fromkeys(dropouts, 0.0)}.items()}
    model = torchaudio.models.wav2vec2_model(**arguments)
    save_wave_encoder(folder, WaveEncoder(model, True), arguments, Tokens(("-", "|", "a", "b")))


def _open_recogniser(folder: Path) -> None:
    recogniser = open_recogniser(str(folder))
    with torch.inference_mode():
        (found,) = recogniser.network.log_probabilities([torch.ones(8000)])
    if found.isnan().any():
        raise AssertionError("not a number")


FOLDERS: dict[str, tuple[Callable[[Path], None], Callable[[Path], None]]] = {
    **{family: (_neural(family), _open_model) for family in FAMILIES},
    "ngram": (_ngram, _open_model),
    "pieces": (_pieces, _open_model),
    "mixture": (_mixture, _open_model),
    "released GPT-1": (_released(pickled=False), _open_model),
    "released GPT-1, pickled": (_released(pickled=True), _open_model),
    "GPT-2 of transformers": (_transformers, _open_model),
    "recogniser over mel frames": (_recogniser, _open_recogniser),
    "recogniser over samples": (_wave_recogniser, _open_recogniser),
    "weights of features": (_weights, _open_weights),
}
"""What makes a whole folder, and what opens it."""


def _damage(folder: Path, chance: random.Random) -> None:
    """Change one file of a folder, or put something else in its place."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    path = chance.choice(paths)
    if chance.random() < 0.05:
        path.unlink()
        # A single file is named by the user: a pipe is waited for, as that of `<(command)` has to be.
        chance.choice(_INSTEAD if len(paths) > 1 else _INSTEAD[:-1])(path)
    elif path.suffix == ".json" and chance.random() < 0.7:
        path.write_text(_changed(json.loads(path.read_text(encoding="utf-8")), chance), encoding="utf-8")
    else:
        path.write_bytes(mutated(path.read_bytes(), chance))


def _changed(content: Any, chance: random.Random) -> str:
    """JSON with another value in one place."""
    places = list(_places(content))
    container, key = chance.choice(places)
    if chance.random() < 0.1:
        container[key] = "HERE"
        depth = chance.choice((50, 70, 900, 100_000))
        return json.dumps(content).replace('"HERE"', "[" * depth + "]" * depth)
    container[key] = chance.choice(_VALUES)
    return json.dumps(content)


def _places(value: Any) -> Any:
    if isinstance(value, dict | list):
        for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
            yield value, key
            yield from _places(inner)


@dataclass(frozen=True)
class FolderReader:
    """What makes a whole folder, and what opens it."""

    make: Callable[[Path], None]
    open: Callable[[Path], None]
    share: float = 1.0

    def prepare(self, folder: Path) -> Callable[[random.Random], Path]:
        torch.manual_seed(0)
        self.make(folder / "whole")
        self.open(folder / "whole")

        def damage(chance: random.Random) -> Path:
            shutil.rmtree(folder / "damaged", ignore_errors=True)
            shutil.copytree(folder / "whole", folder / "damaged")
            _damage(folder / "damaged", chance)
            return folder / "damaged"

        return damage

    def read(self, path: Path) -> int:
        self.open(path)
        return 1


def run(inputs: int, seed: int) -> Iterator[dict[str, Any]]:
    """Open so many damaged folders of every kind; a row for each."""
    return fuzz({name: FolderReader(*found) for name, found in FOLDERS.items()}, inputs, seed)
