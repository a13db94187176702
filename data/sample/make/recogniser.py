"""The sample's acoustic model: what :class:`asr_lm.acoustic.model_folder.MelEncoder` is made with here."""

from __future__ import annotations

from typing import Any

from asr_lm.acoustic.tokens import BLANK, WORD_END, Tokens

TOKENS = Tokens((BLANK, WORD_END, "'", *"abcdefghijklmnopqrstuvwxyz"))

CONFIG: dict[str, Any] = {
    "sample_rate": 16_000,
    "front_end": {"n_fft": 512, "win_length": 400, "hop_length": 160, "n_mels": 64},
    "floor": 1e-6,
    "stack": 3,
    "encoder": "Conformer",
    "encoder_arguments": {
        "input_dim": 144,
        "num_heads": 4,
        "ffn_dim": 288,
        "num_layers": 4,
        "depthwise_conv_kernel_size": 15,
    },
}


def letters(text: str) -> list[int]:
    """The tokens of a text: the letters of each word, and a word end after it."""
    return TOKENS.sequence(tuple(tuple(TOKENS.numbers[letter] for letter in word) for word in text.split()))
