"""Files with one hypothesis for each utterance: nothing to rescore, but how to get more is known.

Each entry tells such a file from its beginning and says how its recogniser gives n-best lists.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from asr_lm.hypotheses.beginning import Beginning
from asr_lm.hypotheses.sclite import COMMENT, TRN_LINE


class OneBest(NamedTuple):
    """A kind of file with one hypothesis an utterance: what it is, how it is told, how to get n-best lists."""

    what: str
    fits: Callable[[Beginning], bool]
    advice: str
    sure: bool = True


_WHISPER = (
    "Whisper's decoders throw their beams away: decode the sound with model hf:NAME, or ct2:FOLDER for faster-whisper; "
    "or with transformers call generate(num_beams=10, num_return_sequences=10, return_dict_in_generate=True, "
    "output_scores=True) and write text and sequences_scores"
)
_RESULT_LINE = re.compile(r"\S+:\s+(?:ref|hyp)=\[")
_PLAIN_LINE = re.compile(r"\S+[ \t]\S.*")


def _keys(*wanted: str) -> Callable[[Beginning], bool]:
    def fits(beginning: Beginning) -> bool:
        return isinstance(beginning.first, dict) and set(wanted) <= beginning.first.keys()

    return fits


def _is_transcript_array(beginning: Beginning) -> bool:
    return _texts(beginning, allowed=("text", "chunks", "timestamp", "language"))


def _texts(beginning: Beginning, allowed: tuple[str, ...]) -> bool:
    sample = beginning.sample
    return bool(sample) and all(
        isinstance(value, dict) and isinstance(value.get("text"), str) and set(value) <= set(allowed)
        for value in sample
    )


def _is_segments(beginning: Beginning) -> bool:
    first = beginning.first
    segments = first.get("segments") if isinstance(first, dict) else None
    return isinstance(segments, list) and bool(segments) and isinstance(segments[0], dict) and "text" in segments[0]


def _starts(*beginnings: str) -> Callable[[Beginning], bool]:
    return lambda beginning: bool(beginning.lines) and beginning.lines[0].startswith(beginnings)


def _is_recogs(beginning: Beginning) -> bool:
    return bool(beginning.lines) and _RESULT_LINE.match(beginning.lines[0]) is not None


def _has_files(*names: str) -> Callable[[Beginning], bool]:
    return lambda beginning: set(names) <= {file.name for file in beginning.files}


def is_trn(beginning: Beginning) -> bool:
    """Whether every line ends in an id in parentheses."""
    lines = [line for line in beginning.lines if not line.startswith(COMMENT)]
    return not beginning.is_json and bool(lines) and all(TRN_LINE.fullmatch(line.strip()) for line in lines)


def _is_keyed_text(beginning: Beginning) -> bool:
    """``utt the words`` with an id of its own on every line, which is like none of the words beside it."""
    lines = beginning.lines[:200]
    if beginning.is_json or len(lines) < 2 or not all(map(_PLAIN_LINE.fullmatch, lines)):
        return False
    keys = [line.split(None, 1)[0] for line in lines]
    return len(set(keys)) == len(keys) and all(any(c.isdigit() for c in key) for key in keys)


def _is_single_record(beginning: Beginning) -> bool:
    """JSON whose first records have a text and nothing that could be a list of hypotheses."""
    return bool(beginning.sample) and all(
        isinstance(value, dict) and any(isinstance(value.get(name), str) for name in _TEXTS)
        for value in beginning.sample
    )


_TEXTS = ("text", "pred_text", "transcript", "transcription", "hypothesis", "hyp", "prediction", "DisplayText")

ONE_BEST: tuple[OneBest, ...] = (
    OneBest("openai-whisper's transcript", _is_segments, _WHISPER),
    OneBest("a segment of faster-whisper on each line", _keys("seek", "avg_logprob", "text"), _WHISPER),
    OneBest("whisper.cpp's transcript", _keys("transcription", "systeminfo"), _WHISPER),
    OneBest(
        "a NeMo manifest with pred_text",
        lambda beginning: _keys("audio_filepath", "pred_text")(beginning) and "beams" not in beginning.first,
        "run transcribe_speech.py with a beam strategy and return_best_hypothesis=false, which writes beams",
    ),
    OneBest(
        "sherpa-onnx's results",
        _keys("text", "timestamps", "tokens", "lang"),
        "sherpa-onnx gives only the best path; decode with icefall's nbest methods, or with decode of this package",
    ),
    OneBest("AssemblyAI's transcript", _keys("status", "text", "words"), "AssemblyAI gives one transcript only"),
    OneBest(
        "icefall's recogs file",
        _is_recogs,
        "icefall's nbest decoding methods hold the paths in memory: write texts and scores of k2.Nbest to a list, or "
        "rescore the lattices themselves (rescore --lattice)",
    ),
    OneBest("icefall's error statistics", _starts("%WER ="), "give the decoding's lists or lattices"),
    OneBest("SpeechBrain's word error file", _starts("%WER "), "write the searcher's hypotheses with topk=10"),
    OneBest(
        "ESPnet's 1-best folder",
        _has_files("text", "token"),
        "run asr_inference with --nbest 20 and give the folder that holds 1best_recog, 2best_recog, …",
    ),
    OneBest(
        "Azure's simple result",
        lambda beginning: _keys("RecognitionStatus", "DisplayText")(beginning) and "NBest" not in beginning.first,
        "ask for format=detailed, which has NBest",
    ),
    OneBest(
        "a NeMo manifest without hypotheses",
        _keys("audio_filepath", "duration"),
        "give the beams, and this with `manifest=`",
        False,
    ),
    OneBest(
        "the transformers pipeline's result",
        _is_transcript_array,
        _WHISPER,
        False,
    ),
    OneBest("a TRN file", is_trn, "give ids utterance-1, utterance-2, … to the hypotheses of an utterance", False),
    OneBest(
        "a folder with one text an utterance",
        lambda beginning: any(file.name == "text" for file in beginning.files),
        "WeNet: recognize.py keeps one path, run decoder_main with --nbest 10; Kaldi: lattice-to-nbest and "
        "nbest-to-linear, or rescore the lattices themselves (rescore --lattice)",
        False,
    ),
    OneBest(
        "a text with one transcript an utterance",
        _is_keyed_text,
        "WeNet: run decoder_main with --nbest 10; Kaldi: lattice-to-nbest and nbest-to-linear, or rescore the "
        "lattices themselves (rescore --lattice); ESPnet: asr_inference with --nbest 20",
        False,
    ),
    OneBest("JSON with one transcript a record", _is_single_record, _WHISPER, False),
)
"""Kinds of files with one hypothesis; those that are not sure are looked at only where no format fits."""


def one_best(beginning: Beginning, sure: bool) -> OneBest | None:
    """The kind of file with one hypothesis an utterance that this is."""
    return next((kind for kind in ONE_BEST if kind.sure == sure and kind.fits(beginning)), None)


def described(value: Any) -> str:
    """What a JSON value is, in words."""
    if isinstance(value, dict):
        names = ", ".join(list(value)[:8]) + (", …" if len(value) > 8 else "")
        return f"a JSON object with the keys {names}" if value else "an empty JSON object"
    if isinstance(value, list):
        return f"a JSON array of {described(value[0]).removeprefix('a JSON ')}s" if value else "an empty JSON array"
    return {str: "a text", bool: "true or false", type(None): "null"}.get(type(value), "a number")
