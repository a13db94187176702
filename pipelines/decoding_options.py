"""The options of ``decode`` in groups: each part of the work takes the group that it needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from asr_lm.acoustic.options import DecodingOptions
from asr_lm.text.normalizer import NormalizerName
from pipelines.command import OptionalFloat, OptionalInt, OptionalPath, OptionalText


@dataclass(kw_only=True)
class Sound:
    """What is decoded.

    Attributes:
        audio: What to recognise: a sound file (what libsndfile reads: wav, flac, mp3, ogg, opus, aiff, au, sph, …), a
            folder of them at any depth, a LibriSpeech folder (its *.trans.txt are the references), a manifest (JSON
            Lines: audio, and id, start, duration, reference, recording) or a Kaldi folder (wav.scp, segments, text);
            may be given several times.
        channel: The channel to take, from 1, where a manifest chooses none; by default the mean of all, or the first
            one where they cancel each other out.
        emissions: Saved emissions to decode instead of sound: a safetensors file, or a folder of them.
        model: The recogniser: a folder, or a name of torchaudio.pipelines (WAV2VEC2_ASR_*, HUBERT_ASR_*,
            VOXPOPULI_ASR_*, EMFORMER_RNNT_*), whose weights are downloaded once; by default WAV2VEC2_ASR_BASE_960H. Of
            Hugging Face, hf:NAME or hf:FOLDER: Whisper, Speech2Text, Moonshine, a CTC model; ct2:FOLDER is a Whisper
            model of CTranslate2 (faster-whisper).
        tokens: The tokens that saved emissions are of, one a line, written as tokens in config.json beside them says;
            by default tokens.txt beside the emissions.
    """

    audio: Annotated[tuple[Path, ...], tyro.conf.UseAppendAction] = ()
    channel: OptionalInt = None
    emissions: Annotated[tuple[Path, ...], tyro.conf.UseAppendAction] = ()
    model: OptionalText = None
    tokens: OptionalPath = None


@dataclass(kw_only=True)
class Lists:
    """What is written.

    Attributes:
        nbest: Hypotheses in a list, at most.
        out: Where the list goes (.json, .jsonl, .trn, .ctm; .gz, .zst).
        lattice: Write into this folder a lattice of every utterance, too (HTK: ID.slf), of all that the search found;
            for rescore --lattice. Its acoustic scores are of single alignments.
        ctm: Write the words of the first hypotheses here, too, with their times in the recording.
    """

    nbest: int = 100
    out: Path
    lattice: OptionalPath = None
    ctm: OptionalPath = None


@dataclass(kw_only=True)
class Search:
    """How what was said is searched.

    Attributes:
        lexicon: Words that may be found, one a line, alone or with their tokens; by default what the model brings.
        free: Find any spelling, even if the model brings words.
        lm: n-gram model for the search (ARPA or KenLM): of words with a lexicon, else of tokens.
        lm_weight: Weight of its score.
        word_score: Added for every word.
        beam: Hypotheses kept from frame to frame; by default 400; of an RNN-T recogniser --nbest, at
            least 10; of an encoder-decoder --nbest, at least 5.
        threshold: How much worse than the best one they may be, natural logarithm.
        merging: Whether the search adds up alignments of the same hypothesis, or takes the best.
        order: The order of a list: by the exact scores, or as the search, which leaves alignments out, found the
            hypotheses.
        times: Write when each word was said, in seconds from the beginning of its utterance.
        language: What is spoken, to a Whisper of several languages: en, de, …; by default it is told from the sound.
        task: Whether Whisper writes what it hears, or translates it into English.
        lower: Write hypotheses and references in lower case.
        references: What is said: an utterance's id and its words on every line.
        wer_normalizer: Normalise references and hypotheses before their errors are counted, as rescore does; the list
            keeps what the recogniser wrote.
        batch_seconds: Seconds of sound that a CTC recogniser computes together, padding counted; the result is the
            same. By default 320 on a GPU, and 0, which is one utterance at a time, on a processor. Some recognisers,
            WAV2VEC2_ASR_BASE_* and VOXPOPULI_ASR_* among them, only take utterances of one length together.
        search: What searches: cpu is our own search on the processor, flashlight torchaudio's ctc_decoder (the package
            flashlight-text), which finds the same, and cuda torchaudio's cuda_ctc_decoder on a GPU, which takes
            neither lexicon nor --lm, wants the blank to be token 0, and finds at most 128 hypotheses and no more than
            there are tokens; auto takes the latter where it can give --nbest hypotheses, else cpu.
    """

    lexicon: OptionalPath = None
    free: bool = False
    lm: OptionalPath = None
    lm_weight: float = DecodingOptions.lm_weight
    word_score: float = DecodingOptions.word_score
    beam: OptionalInt = None
    threshold: float = DecodingOptions.threshold
    merging: Literal["sum", "max"] = DecodingOptions.merging
    order: Literal["exact", "search"] = DecodingOptions.order
    times: bool = True
    language: OptionalText = None
    task: Literal["transcribe", "translate"] = "transcribe"
    lower: bool = False
    references: OptionalPath = None
    wer_normalizer: NormalizerName = "as-is"
    batch_seconds: OptionalFloat = None
    search: Literal["auto", "cpu", "flashlight", "cuda"] = "auto"


@dataclass(kw_only=True)
class Handling:
    """How sound is taken and kept.

    Attributes:
        longest: Seconds of sound recognised at a time; longer recordings are cut where they are quietest.
        frame_seconds: Seconds from one frame of saved emissions to the next; by default what they say, else 0.02.
        save_emissions: Keep the emissions in this folder (safetensors, float16).
        strict: Stop at sound that cannot be read, instead of naming it and going on.
        device: Where the recogniser computes: cpu, cuda, or auto.
    """

    longest: float = 40.0
    frame_seconds: OptionalFloat = None
    save_emissions: OptionalPath = None
    strict: bool = False
    device: str = "auto"


@dataclass(kw_only=True)
class Arguments(Handling, Search, Lists, Sound):
    """Options of ``decode``."""
