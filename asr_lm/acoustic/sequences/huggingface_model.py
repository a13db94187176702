"""Encoder-decoder models of ``transformers`` that write what they hear.

The search is the library's beam search; every text that it finds is then scored by the model itself, all of a list in
one pass, its end included. So ``acoustic`` is log p(tokens, end | sound, prompt) whatever the search ranks by: neither
a length penalty nor the tokens that a model is told never to say change it.

* Whisper (Radford et al. 2022), with a prompt of language and task;
* Speech2Text (Wang et al. 2020), Moonshine (Jeffries et al. 2024), and a speech encoder with a text decoder
  (``SpeechEncoderDecoderModel``), with the token that texts begin with.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from asr_lm.acoustic.audio import Signal
from asr_lm.acoustic.options import OF_SEQUENCES, DecodingOptions
from asr_lm.acoustic.sequences.recogniser import WINDOW
from asr_lm.acoustic.sequences.transcript import Transcript
from asr_lm.acoustic.sequences.whisper_prompt import MOST_OF_ENGLISH, START, WhisperPrompt
from asr_lm.counted import counted
from asr_lm.errors import InputError

TYPES = ("moonshine", "speech-encoder-decoder", "speech_to_text", "whisper")
"""Models that need no more than a prompt, as ``model_type`` in their configuration calls them."""

_LOGITS = 25_000_000
"""Logits in memory at once."""

_LONGEST = 448
"""Tokens of a text where the model sets no limit; Whisper's."""


class Encoded(NamedTuple):
    """A window of sound.

    Attributes:
        outputs: the encoder's, among them the states ``[1, frames, size]`` that the decoder attends to.
        mask: where its input is no padding; None where nothing is.
    """

    outputs: Any
    mask: Tensor | None

    def repeated(self, rows: int) -> dict[str, Any]:
        """What a decoder takes of it, for so many texts; the library changes what it is given."""
        given = {
            name: value.expand(rows, *value.shape[1:])
            for name, value in self.outputs.items()
            if isinstance(value, Tensor)
        }
        mask = {} if self.mask is None else {"attention_mask": self.mask.expand(rows, -1)}
        return {"encoder_outputs": type(self.outputs)(**given), **mask}


class SpeechSequenceModel:
    """A model with what it takes and what its tokens mean.

    Attributes:
        network: from ``AutoModelForSpeechSeq2Seq``, in evaluation mode.
        extractor: its feature extractor.
        tokenizer: its tokeniser.
        most_tokens: of prompt, text and end together.
    """

    def __init__(self, network: Any, extractor: Any, tokenizer: Any) -> None:
        self.network, self.extractor, self.tokenizer = network.eval(), extractor, tokenizer
        self.generation = _searching(network)
        self.most_tokens = _most_tokens(network)
        ends = self.generation.eos_token_id
        if ends is None:
            raise InputError("the model names no token that ends a text (eos_token_id)")
        self._ends: list[int] = ends if isinstance(ends, list) else [ends]

    @property
    def about(self) -> str:
        """What it is, for messages."""
        return "a Whisper model" if self.whisper else f"a model of type {self.network.config.model_type!r}"

    @property
    def sample_rate(self) -> int:
        """Of the signals it takes."""
        return int(self.extractor.sampling_rate)

    @property
    def window(self) -> float:
        """Seconds of sound that it takes at once."""
        return min(WINDOW, float(getattr(self.extractor, "chunk_length", WINDOW)))

    @cached_property
    def whisper(self) -> WhisperPrompt | None:
        """The prompt of a Whisper model; None of another."""
        if self.network.config.model_type != "whisper":
            return None
        special = {token: number for token, number in self.tokenizer.get_vocab().items() if token.startswith("<|")}
        multilingual = getattr(self.generation, "is_multilingual", None)
        if multilingual is None:
            multilingual = self.network.config.vocab_size > MOST_OF_ENGLISH
        return WhisperPrompt(special, bool(multilingual))

    def check(self, options: DecodingOptions) -> None:
        """Refuse a language or a task that it does not know; raises InputError."""
        if self.whisper is None:
            options.refuse(OF_SEQUENCES, f"{self.about}, which takes neither language nor task")
        else:
            self.whisper.check(options)

    @torch.inference_mode()
    def encoded(self, signal: Signal) -> Encoded:
        """What the encoder makes of a window ``[samples]``.

        Raises:
            InputError: it is too short.
        """
        device = self.network.device
        try:
            given = self.extractor(signal, sampling_rate=self.sample_rate, return_tensors="pt").to(device)
            mask = given.pop("attention_mask", None)
            if mask is not None and bool(mask.all()):
                mask = None
            outputs = self.network.get_encoder()(**given, **({} if mask is None else {"attention_mask": mask}))
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError) as error:
            if len(signal) < self.sample_rate // 10:
                raise InputError(
                    f"{counted(len(signal), 'sample is', 'samples are')} too few for the recogniser"
                ) from error
            raise
        if not torch.isfinite(outputs.last_hidden_state).all():
            raise InputError("what the encoder makes of it is not finite")
        return Encoded(outputs, mask)

    def prompt(self, encoded: Encoded, options: DecodingOptions) -> list[int]:
        """The tokens before the text; a language that is not given is the likeliest one."""
        if self.whisper is not None:
            known = self.whisper.languages
            language = known[options.language] if known and options.language else None
            if known and language is None:
                language = self._likeliest(encoded, list(known.values()))
            return self.whisper.tokens(language, options)
        forced = self.network.generation_config.forced_bos_token_id
        return [_start(self.network), *([] if forced is None else [forced])]

    def _likeliest(self, encoded: Encoded, languages: list[int]) -> int:
        assert self.whisper is not None
        logits = self._logits(encoded, torch.tensor([[self.whisper.numbers[START]]]))[0, -1]
        return languages[int(logits[torch.tensor(languages, device=logits.device)].argmax())]

    def transcripts(self, encoded: Encoded, prompt: Sequence[int], beam: int, count: int) -> list[Transcript]:
        """What a beam search finds; its score is the log-probability over a power of the length, as the library's is.

        Args:
            encoded: the sound.
            prompt: what the text follows.
            beam: token sequences kept from token to token.
            count: token sequences found, at most the beam.
        """
        found = self.search(encoded, prompt, beam, count)
        log_probs = self.log_probs(encoded, prompt, found)
        power = 1.0 if self.generation.length_penalty is None else self.generation.length_penalty
        return [
            Transcript(self._text(tokens), log_prob, len(tokens), log_prob / (len(tokens) + 1) ** power)
            for tokens, log_prob in zip(found, log_probs, strict=True)
        ]

    def nothing(self, encoded: Encoded, prompt: Sequence[int]) -> Transcript:
        """The empty text."""
        (log_prob,) = self.log_probs(encoded, prompt, [[]])
        return Transcript("", log_prob, 0, log_prob)

    @torch.inference_mode()
    def search(self, encoded: Encoded, prompt: Sequence[int], beam: int, count: int) -> list[list[int]]:
        """Distinct token sequences without prompt and end."""
        from transformers import GenerationMixin

        settings = copy.deepcopy(self.generation)
        settings.update(num_beams=beam, num_return_sequences=count, max_length=self.most_tokens)
        # Whisper's own generate() takes texts apart into stretches of time; what is wanted is the search alone.
        generate: Any = GenerationMixin.generate
        sequences: Tensor = generate(
            self.network,
            generation_config=settings,
            decoder_input_ids=torch.tensor([list(prompt)], device=self.network.device),
            **encoded.repeated(1),
        )
        found = dict.fromkeys(tuple(self._inner(row[len(prompt) :])) for row in sequences.tolist())
        return [list(tokens) for tokens in found]

    def _inner(self, tokens: list[int]) -> list[int]:
        ends = [place for place, token in enumerate(tokens) if token in self._ends]
        return tokens[: ends[0]] if ends else tokens

    def log_probs(self, encoded: Encoded, prompt: Sequence[int], texts: Sequence[Sequence[int]]) -> list[float]:
        """Natural-log probability of each text, without the prompt, with its end.

        Args:
            encoded: the sound.
            prompt: what the texts follow.
            texts: tokens of each.
        """
        longest = max(map(len, texts)) + len(prompt)
        rows = max(1, _LOGITS // (longest * len(self.tokenizer)))
        found: list[float] = []
        for first in range(0, len(texts), rows):
            found += self._batch_log_probs(encoded, prompt, texts[first : first + rows])
        return found

    def _batch_log_probs(self, encoded: Encoded, prompt: Sequence[int], texts: Sequence[Sequence[int]]) -> list[float]:
        end = self._ends[0]
        inputs = [torch.tensor([*prompt, *text]) for text in texts]
        logits = self._logits(encoded, torch.nn.utils.rnn.pad_sequence(inputs, batch_first=True, padding_value=end))
        values = logits[:, len(prompt) - 1 :].float().log_softmax(-1)
        wanted = [torch.tensor([*text, end], device=values.device) for text in texts]
        return [
            float(row[: len(tokens)].gather(1, tokens[:, None]).double().sum())
            for row, tokens in zip(values, wanted, strict=True)
        ]

    @torch.inference_mode()
    def _logits(self, encoded: Encoded, inputs: Tensor) -> Tensor:
        """Logits ``[rows, time, vocabulary]`` after decoder inputs ``[rows, time]``."""
        # Padding is on the right, where no token of the text sees it.
        logits: Tensor = self.network(
            decoder_input_ids=inputs.to(self.network.device), use_cache=False, **encoded.repeated(len(inputs))
        ).logits
        return logits

    def _text(self, tokens: Sequence[int]) -> str:
        text = self.tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return " ".join(text.split())


def _searching(network: Any) -> Any:
    """How a text is searched: as the model says, but by beams and without tokens that are forced."""
    settings = copy.deepcopy(network.generation_config)
    settings.update(do_sample=False, max_new_tokens=None, return_dict_in_generate=False)
    for name in ("forced_bos_token_id", "forced_eos_token_id", "forced_decoder_ids"):
        setattr(settings, name, None)
    return settings


def _most_tokens(network: Any) -> int:
    """The most tokens of a text that the decoder has places for, or that the model wants."""
    config = network.config
    places = [
        getattr(part, name, None)
        for part in (config, getattr(config, "decoder", None))
        for name in ("max_target_positions", "max_position_embeddings", "n_positions")
    ]
    known = [int(place) for place in (*places, network.generation_config.max_length) if place]
    return min(known, default=_LONGEST)


def _start(network: Any) -> int:
    """The token that texts begin with.

    Raises:
        InputError: the model names none.
    """
    for settings in (network.generation_config, network.config, getattr(network.config, "decoder", None)):
        for name in ("decoder_start_token_id", "bos_token_id"):
            if (token := getattr(settings, name, None)) is not None:
                return int(token)
    raise InputError("the model names no token that a text begins with (decoder_start_token_id)")
