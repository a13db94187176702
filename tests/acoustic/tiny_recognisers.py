"""Little recognisers of transformers with random weights, saved as the library saves them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

transformers = pytest.importorskip("transformers")

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: E402

LINES = ["the ferry leaves late again", "a letter for the harbour master", "late in the evening", "the last ferry"] * 3
SECONDS = 2
END = 3.0

PUBLISHED, PUBLISHED_PIECES = 51_865, 50_257
"""Tokens of Whisper for several languages, and those of them that are text."""
SIGNAL = (np.random.default_rng(0).normal(size=16_000) * 0.1).astype(np.float32)
LONG = (np.random.default_rng(1).normal(size=5 * 16_000) * 0.1).astype(np.float32)

SPECIAL = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|de|>", "<|haw|>", "<|translate|>", "<|transcribe|>",
           "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]  # fmt: skip


def _pieces() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """A byte-level vocabulary and its merges."""
    built = Tokenizer(models.BPE())
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    built.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    built.train_from_iterator(
        LINES, trainers.BpeTrainer(vocab_size=290, initial_alphabet=alphabet, show_progress=False)
    )
    merges = [tuple(pair) for pair in json.loads(built.to_str())["model"]["merges"]]
    return built.get_vocab(), merges


def save_whisper(
    folder: Path, *, multilingual: bool = False, seconds: int = SECONDS, outputs: int = 320, suppress: bool = True
) -> Path:
    """A Whisper; its vocabulary is filled up with tokens of times."""
    vocabulary, merges = _pieces()
    if outputs >= PUBLISHED:
        vocabulary |= {f"<{number}>": number for number in range(len(vocabulary), PUBLISHED_PIECES)}
    tokenizer = transformers.WhisperTokenizer(vocabulary, merges)
    tokenizer.add_tokens([transformers.AddedToken(token, special=True) for token in SPECIAL], special_tokens=True)
    number = tokenizer.convert_tokens_to_ids
    torch.manual_seed(4)
    config = transformers.WhisperConfig(
        vocab_size=outputs, d_model=16, encoder_layers=1, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_source_positions=50 * seconds,
        max_target_positions=20, pad_token_id=number(SPECIAL[0]), bos_token_id=number(SPECIAL[0]),
        eos_token_id=number(SPECIAL[0]), decoder_start_token_id=number(SPECIAL[1]), begin_suppress_tokens=None,
        suppress_tokens=None, init_std=0.4,
    )  # fmt: skip
    network = transformers.WhisperForConditionalGeneration(config)
    # So that texts end: the end is padding, too, whose embedding the library sets to 0.
    end = torch.randn(16) * 0.4
    network.model.decoder.embed_tokens.weight.data[number(SPECIAL[0])] = end
    network.model.decoder.layer_norm.bias.data = END * end
    said = network.generation_config
    said._from_model_config = False  # else the library makes another one when it loads the model
    said.is_multilingual, said.no_timestamps_token_id = multilingual, number(SPECIAL[-1])
    said.lang_to_id = {token: number(token) for token in SPECIAL[2:5]}
    said.suppress_tokens = list(range(number(SPECIAL[1]), outputs)) if suppress else None
    return _saved(folder, network, tokenizer, transformers.WhisperFeatureExtractor(chunk_length=seconds))


def save_moonshine(folder: Path) -> Path:
    """A Moonshine, which takes a waveform."""
    tokenizer = _plain_tokenizer()
    config = transformers.MoonshineConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, encoder_num_hidden_layers=1,
        decoder_num_hidden_layers=1, encoder_num_attention_heads=2, decoder_num_attention_heads=2,
        max_position_embeddings=20, bos_token_id=0, eos_token_id=1, pad_token_id=1, decoder_start_token_id=0,
        initializer_range=0.4,
    )  # fmt: skip
    torch.manual_seed(4)
    network = transformers.MoonshineForConditionalGeneration(config)
    return _saved(folder, network, tokenizer, transformers.Wav2Vec2FeatureExtractor(do_normalize=False))


def save_speech2text(folder: Path) -> Path:
    """A Speech2Text; its tokeniser is another one, which the library finds by its class."""
    tokenizer = _plain_tokenizer()
    config = transformers.Speech2TextConfig(
        vocab_size=len(tokenizer), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_target_positions=20,
        max_source_positions=1000, conv_channels=16, bos_token_id=0, eos_token_id=1, pad_token_id=1,
        decoder_start_token_id=1, init_std=0.4,
    )  # fmt: skip
    torch.manual_seed(4)
    network = transformers.Speech2TextForConditionalGeneration(config)
    return _saved(folder, network, tokenizer, transformers.Speech2TextFeatureExtractor())


WAVES = {
    "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16,
    "conv_dim": (8, 8, 8), "conv_stride": (10, 8, 4), "conv_kernel": (10, 8, 4), "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2, "num_feat_extract_layers": 3,
}  # fmt: skip


def save_encoder_decoder(folder: Path) -> Path:
    """A wav2vec 2.0 with a BART decoder."""
    tokenizer = _plain_tokenizer()
    encoder = transformers.Wav2Vec2Config(**WAVES)
    decoder = transformers.BartConfig(
        vocab_size=len(tokenizer), d_model=16, decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=16,
        max_position_embeddings=20, is_decoder=True, add_cross_attention=True, bos_token_id=0, eos_token_id=1,
        pad_token_id=1, decoder_start_token_id=0, init_std=0.4, forced_eos_token_id=None,
    )  # fmt: skip
    config = transformers.SpeechEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    config.decoder_start_token_id, config.pad_token_id, config.eos_token_id = 0, 1, 1
    torch.manual_seed(4)
    network = transformers.SpeechEncoderDecoderModel(config)
    return _saved(folder, network, tokenizer, transformers.Wav2Vec2FeatureExtractor())


def save_ctc(folder: Path, kind: str = "wav2vec2") -> Path:
    """A CTC model over letters."""
    letters = ["<pad>", "<s>", "</s>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz'"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({letter: number for number, letter in enumerate(letters)}))
    tokenizer = transformers.Wav2Vec2CTCTokenizer(str(folder / "vocab.json"))
    config_class, network_class = {
        "wav2vec2": (transformers.Wav2Vec2Config, transformers.Wav2Vec2ForCTC),
        "hubert": (transformers.HubertConfig, transformers.HubertForCTC),
        "wavlm": (transformers.WavLMConfig, transformers.WavLMForCTC),
    }[kind]
    torch.manual_seed(4)
    network = network_class(config_class(**WAVES, vocab_size=len(letters), pad_token_id=0))
    torch.nn.init.normal_(network.lm_head.weight)
    return _saved(folder, network, tokenizer, transformers.Wav2Vec2FeatureExtractor())


def _plain_tokenizer() -> Any:
    vocabulary, _ = _pieces()
    built = Tokenizer(
        models.BPE({"<s>": 0, "</s>": 1, **{token: 2 + n for n, token in enumerate(sorted(vocabulary))}}, [])
    )
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    built.decoder = decoders.ByteLevel()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=built, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )


def _saved(folder: Path, *parts: Any) -> Path:
    for part in parts:
        part.save_pretrained(folder)
    return folder
