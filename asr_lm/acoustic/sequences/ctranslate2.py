"""Whisper models of CTranslate2, as faster-whisper takes them: ``ct2:FOLDER``, or a folder alone.

A folder has ``model.bin`` and ``vocabulary.json`` or ``vocabulary.txt``; ``ct2-transformers-converter`` writes it. The
score that the library gives is the log-probability, the end included, over the number of tokens without the end; it is
multiplied by that number again. Tokens that a model is told never to say have no share in the probability, and a text
that reached the greatest length has no end.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asr_lm.acoustic.audio import Signal
from asr_lm.acoustic.decoder import RecogniserKind
from asr_lm.acoustic.options import DecodingOptions
from asr_lm.acoustic.sequences.byte_pieces import text_of
from asr_lm.acoustic.sequences.log_mel import SAMPLE_RATE, SECONDS, log_mel
from asr_lm.acoustic.sequences.recogniser import SequenceRecogniser
from asr_lm.acoustic.sequences.transcript import Transcript
from asr_lm.acoustic.sequences.whisper_prompt import END, MOST_OF_ENGLISH, START, WhisperPrompt
from asr_lm.errors import InputError
from asr_lm.files import read_bytes
from asr_lm.json_files import read_json
from asr_lm.lm.pretrained.extras import import_extra

PREFIX = "ct2:"

_WEIGHTS = "model.bin"
_VOCABULARIES = ("vocabulary.json", "vocabulary.txt")


class CTranslate2Whisper:
    """A Whisper model of CTranslate2 with its vocabulary.

    Attributes:
        library: the module ``ctranslate2``.
        network: its ``Whisper``.
        vocabulary: text of every token.
    """

    about = "a Whisper model"
    sample_rate = SAMPLE_RATE
    window = float(SECONDS)

    def __init__(self, library: Any, network: Any, vocabulary: Sequence[str]) -> None:
        self.library, self.network, self.vocabulary = library, network, vocabulary

    @cached_property
    def whisper(self) -> WhisperPrompt:
        """The prompt."""
        special = {token: number for number, token in enumerate(self.vocabulary) if token.startswith("<|")}
        return WhisperPrompt(special, len(self.vocabulary) > MOST_OF_ENGLISH)

    def check(self, options: DecodingOptions) -> None:
        """Refuse a language or a task that it does not know; raises InputError."""
        self.whisper.check(options)

    def encoded(self, signal: Signal) -> Any:
        """What the encoder makes of a window ``[samples]``, a view of the library's own."""
        features = log_mel(torch.from_numpy(signal), int(self.network.n_mels))[None].contiguous().numpy()
        return self.network.encode(self.library.StorageView.from_array(features))

    def prompt(self, encoded: Any, options: DecodingOptions) -> list[int]:
        """The tokens before the text; a language that is not given is the likeliest one."""
        known = self.whisper.languages
        if not known:
            return self.whisper.tokens(None, options)
        if options.language is not None:
            return self.whisper.tokens(known[options.language], options)
        values = self._next_token(encoded, [self.whisper.numbers[START]])
        return self.whisper.tokens(max(known.values(), key=lambda number: float(values[number])), options)

    def transcripts(self, encoded: Any, prompt: Sequence[int], beam: int, count: int) -> list[Transcript]:
        """What a beam search finds; its score is the log-probability over the number of tokens."""
        (found,) = self.network.generate(
            encoded, [list(prompt)], beam_size=beam, num_hypotheses=count, return_scores=True, length_penalty=1.0
        )
        return [
            Transcript(text_of(pieces), score * max(1, len(pieces)), len(pieces), score)
            for pieces, score in zip(found.sequences, found.scores, strict=True)
        ]

    def nothing(self, encoded: Any, prompt: Sequence[int]) -> Transcript:
        """The empty text: the end at once, of all tokens."""
        log_prob = float(self._next_token(encoded, prompt)[self.whisper.numbers[END]])
        return Transcript("", log_prob, 0, log_prob)

    def _next_token(self, encoded: Any, prompt: Sequence[int]) -> torch.Tensor:
        """Natural-log probability of every token after a prompt ``[tokens]``."""
        (found,) = self.network.generate(
            encoded,
            [list(prompt)],
            beam_size=1,
            max_length=len(prompt) + 1,
            return_logits_vocab=True,
            suppress_blank=False,
            suppress_tokens=[],
        )
        logits = found.logits[0][0].to(self.library.DataType.float32).to_device(self.library.Device.cpu)
        return torch.from_numpy(np.array(logits).reshape(-1)).log_softmax(-1)


def open_ctranslate2(name: str, device: str) -> SequenceRecogniser:
    """The recogniser in a folder of CTranslate2, after it has listened to a second of silence.

    Raises:
        InputError: the library is not installed, a file is missing or damaged, or it is no Whisper model.
    """
    library = import_extra("ctranslate2", "models of CTranslate2", "ct2", "model")
    library.set_log_level(logging.ERROR)
    folder = Path(name.removeprefix(PREFIX))
    if not (folder / _WEIGHTS).is_file():
        message = f"no model of CTranslate2: expected a folder with {_WEIGHTS} and {_VOCABULARIES[0]}"
        raise InputError(message, file=folder)
    model = CTranslate2Whisper(library, _network(library, folder, device), _vocabulary(folder))
    try:
        encoded = model.encoded(np.zeros(SAMPLE_RATE, np.float32))
        model.nothing(encoded, model.prompt(encoded, DecodingOptions()))
    except InputError as error:
        raise error.located(file=folder) from error
    except (RuntimeError, ValueError, IndexError, KeyError) as error:
        raise InputError(f"the model cannot recognise ({_reason(error)})", file=folder) from None
    return SequenceRecogniser(name, model)


def _network(library: Any, folder: Path, device: str) -> Any:
    kind, _, number = device.partition(":")
    try:
        return library.models.Whisper(
            str(folder), device=kind, device_index=int(number or 0), intra_threads=torch.get_num_threads()
        )
    except (RuntimeError, ValueError, MemoryError, OSError) as error:
        raise InputError(f"CTranslate2 cannot read it as a Whisper model ({_reason(error)})", file=folder) from None


def _reason(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _vocabulary(folder: Path) -> list[str]:
    """The text of every token.

    Raises:
        InputError: there is none, or it is damaged.
    """
    path = next((folder / name for name in _VOCABULARIES if (folder / name).is_file()), None)
    if path is None:
        raise InputError(f"no vocabulary: expected {' or '.join(_VOCABULARIES)}", file=folder)
    found = read_json(path) if path.suffix == ".json" else _lines(path)
    if not isinstance(found, list) or not all(isinstance(token, str) for token in found):
        raise InputError("expected a list of tokens", file=path)
    return found


def _lines(path: Path) -> list[str]:
    try:
        return read_bytes(path).decode("utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 ({error.reason})", file=path) from None


def is_ctranslate2(name: str) -> bool:
    """Whether a name says so, or a folder has the files."""
    if name.startswith(PREFIX):
        return True
    folder = Path(name)
    return (folder / _WEIGHTS).is_file() and any((folder / each).is_file() for each in _VOCABULARIES)


KIND = RecogniserKind("ct2:FOLDER, a Whisper model of CTranslate2", list, is_ctranslate2, open_ctranslate2)
