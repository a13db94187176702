"""From sound to n-best lists: values in, values out; nothing is printed or written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

from numpy.typing import NDArray

from asr_lm.acoustic.audio import SampleArray
from asr_lm.acoustic.decoder import Decoded, Decoder, GroupDecoder, Lattices, Recogniser
from asr_lm.acoustic.finding import find_speech
from asr_lm.acoustic.options import DecodingOptions, require_least
from asr_lm.acoustic.registry import DEFAULT, open_recogniser
from asr_lm.acoustic.segments import Failure, Segment, SegmentSource, cut_segments, read_segments
from asr_lm.acoustic.speech import Speech
from asr_lm.batched import batched
from asr_lm.errors import InputError
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.lm.device import resolve_device

Audio: TypeAlias = str | PathLike[str] | Sequence[str | PathLike[str]] | NDArray[Any]

LONGEST = 40.0
"""Seconds of sound that are decoded at a time."""

ARRAY_ID = "audio"
"""Id of the utterance of an array of samples."""


@dataclass(frozen=True)
class DecodedSegment:
    """A decoded segment.

    Attributes:
        segment: without its samples or emissions.
        utterance: its list.
        lattices: where they were asked for.
    """

    segment: Segment
    utterance: Utterance
    lattices: Lattices | None


def decode(
    audio: Audio,
    model: str | PathLike[str] | Recogniser | None = None,
    *,
    nbest: int = 100,
    sample_rate: int | None = None,
    channel: int | None = None,
    longest: float = LONGEST,
    device: str = "auto",
    options: DecodingOptions | None = None,
    skipped: Callable[[InputError], None] | None = None,
    noted: Callable[[str], None] | None = None,
    **search: Any,
) -> Iterator[Utterance]:
    """Recognise speech, and yield what it may have been: an utterance with its hypotheses, best first, at a time.

    Args:
        audio: a sound file, a folder or a list of utterances (see :mod:`asr_lm.acoustic.finding`), several of these, or
            an array of samples ``[samples]`` or ``[samples, channels]``.
        model: a folder, a name of ``torchaudio.pipelines`` (whose weights are downloaded once) or a loaded recogniser;
            None is ``WAV2VEC2_ASR_BASE_960H``.
        nbest: hypotheses of an utterance, at most.
        sample_rate: samples a second of an array; files say theirs.
        channel: the one to take, from 1, where a manifest chooses none; None is the mean of all.
        longest: seconds decoded at a time; longer sound is cut where it is quietest.
        device: where the recogniser computes: ``cpu``, ``cuda`` or ``auto``.
        options: how lists are made.
        skipped: told of sound that cannot be read or decoded, and the rest goes on; None raises the error.
        noted: told of sound that is silent, or whose channels cancel each other out.
        search: fields of :class:`DecodingOptions` that replace those of ``options`` (``beam=50``).

    Raises:
        InputError: nothing is there, a file is damaged, or an option does not fit the recogniser.

    >>> from asr_lm.acoustic.decoding import decode
    >>> found = list(decode("data/sample/audio/len-test-000.flac", "data/sample/model", nbest=3, beam=50))
    >>> found[0].id, len(found[0].hypotheses)
    ('len-test-000', 3)
    """
    require_least("nbest", nbest, 1)
    require_least("longest", longest, 1.0)
    require_least("channel", 1 if channel is None else channel, 1)
    is_array = not isinstance(audio, str | PathLike) and hasattr(audio, "dtype")
    if is_array and sample_rate is None:
        raise InputError("an array of samples does not say its sample rate", parameter="sample_rate")
    if not is_array and sample_rate is not None:
        raise InputError("is for an array of samples; files say theirs", parameter="sample_rate")
    speeches = [] if is_array else find_speech(_paths(audio))
    recogniser = _recogniser(model, device)
    if is_array:
        sound = SampleArray.of(audio, int(sample_rate or 0), channel)  # type: ignore[arg-type]
        whole = Speech(ARRAY_ID, Path(ARRAY_ID), recording=ARRAY_ID)
        sources = [SegmentSource(ARRAY_ID, partial(cut_segments, sound, whole, recogniser.sample_rate, longest))]
    else:
        sources = sound_sources(speeches, recogniser.sample_rate, longest, channel)
    decoder = recogniser.decoder(nbest, replace(options or DecodingOptions(), **search))
    return _utterances(sources, decoder, skipped, noted)


def sound_sources(
    speeches: Iterable[Speech], sample_rate: int, longest: float, channel: int | None = None
) -> list[SegmentSource]:
    """Sources of the segments of stretches of sound files; of those that choose no channel, of this one."""
    speeches = [replace(speech, channel=speech.channel or channel) for speech in speeches]
    return [SegmentSource(speech.id, partial(read_segments, speech, sample_rate, longest)) for speech in speeches]


def load_segments(
    sources: Iterable[SegmentSource],
    failed: Callable[[str, InputError], None],
    noted: Callable[[str], None] | None = None,
) -> Iterator[Segment]:
    """The segments of sources, read when they are wanted; a source that cannot be read is told, the rest goes on."""
    for source in sources:
        try:
            for segment in source.load():
                if noted is not None:
                    for remark in segment.remarks:
                        noted(f"{segment.id}: {remark}")
                yield segment
        except InputError as error:
            failed(source.id, error)


def decode_prepared(
    segments: Iterable[Segment | Failure],
    decoder: Decoder,
    references: Mapping[str, str] | None = None,
    lower: bool = False,
) -> Iterator[DecodedSegment | Failure]:
    """Decode what :meth:`Decoder.prepare` gives; no emissions but those decoded together are in memory.

    Args:
        segments: prepared, or failed before.
        decoder: of the recogniser.
        references: what is said, by utterance, where segments do not know it.
        lower: write references in lower case.
    """
    for group in batched(segments, decoder.together if isinstance(decoder, GroupDecoder) else 1):
        found = _decoded([segment for segment in group if isinstance(segment, Segment)], decoder)
        for segment in group:
            if isinstance(segment, Failure):
                yield segment
                continue
            decoded = next(found)
            if isinstance(decoded, InputError):
                yield Failure(segment, decoded)
                continue
            reference = segment.reference if segment.reference is not None else (references or {}).get(segment.id)
            if reference is not None and lower:
                reference = reference.lower()
            utterance = Utterance(segment.id, tuple(decoded.hypotheses), reference, segment.recording)
            yield DecodedSegment(segment.with_content(None), utterance, decoded.lattices)


def _decoded(segments: Sequence[Segment], decoder: Decoder) -> Iterator[Decoded | InputError]:
    if isinstance(decoder, GroupDecoder):
        yield from decoder.decode_group(segments)
        return
    for segment in segments:
        try:
            yield decoder.decode(segment)
        except InputError as error:
            yield error


def _utterances(
    sources: Iterable[SegmentSource],
    decoder: Decoder,
    skipped: Callable[[InputError], None] | None,
    noted: Callable[[str], None] | None,
) -> Iterator[Utterance]:
    def failed(_: str, error: InputError) -> None:
        if skipped is None:
            raise error
        skipped(error)

    for one in decode_prepared(decoder.prepare(load_segments(sources, failed, noted)), decoder):
        if isinstance(one, Failure):
            failed(one.segment.source, one.located)
        else:
            yield one.utterance


def _paths(audio: Any) -> list[Path]:
    return [Path(audio)] if isinstance(audio, str | PathLike) else [Path(path) for path in audio]


def _recogniser(model: str | PathLike[str] | Recogniser | None, device: str) -> Recogniser:
    if model is None or isinstance(model, str | PathLike):
        return open_recogniser(str(model or DEFAULT), resolve_device(device))
    return model
