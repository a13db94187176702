"""The decoder of CTC emissions, whether a network computes them or they were saved."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from asr_lm.acoustic.batching import EmissionsModel, compute_emissions
from asr_lm.acoustic.beam_search import Reading, cuda_beam
from asr_lm.acoustic.decoder import Decoded, Lattices
from asr_lm.acoustic.first_pass import FirstPass, Found, as_hypotheses, lowered
from asr_lm.acoustic.lexicon import Lexicon
from asr_lm.acoustic.options import OF_SEQUENCES, DecodingOptions
from asr_lm.acoustic.saved_emissions import Shards
from asr_lm.acoustic.segments import Failure, Segment
from asr_lm.acoustic.tokens import Tokens
from asr_lm.acoustic.word_graph import word_graph
from asr_lm.counted import counted
from asr_lm.errors import InputError
from asr_lm.evaluation.word_errors import Unit
from asr_lm.lattice.lattice import Lattice
from asr_lm.lm.device import resolve_device

GPU_BATCH_SECONDS = 320.0
_EXAMPLES = 3


class CtcModel(EmissionsModel, Protocol):
    """A network that computes emissions, its name and where it computes."""

    @property
    def name(self) -> str: ...

    @property
    def device(self) -> str: ...


@dataclass(frozen=True)
class CtcDecoder:
    """A beam search over emissions.

    Attributes:
        nbest: hypotheses of a list, at most.
        options: how lists and lattices are made.
        first_pass: the search.
        frame_seconds: seconds from one frame to the next.
        model: what computes emissions; None where they are given.
        warnings: what the user should know.
    """

    nbest: int
    options: DecodingOptions
    first_pass: FirstPass
    frame_seconds: float
    model: CtcModel | None = None
    warnings: tuple[str, ...] = ()

    @property
    def unit(self) -> Unit:
        """Words, or characters where they are not separated."""
        return "character" if self.first_pass.tokens.words == "characters" else "word"

    @property
    def has_times(self) -> bool:
        """Whether times are wanted."""
        return self.options.times

    def prepare(self, segments: Iterable[Segment]) -> Iterator[Segment | Failure]:
        """Segments with their emissions."""
        if self.model is None:
            yield from segments
            return
        seconds = self.options.batch_seconds
        if seconds is None:
            seconds = GPU_BATCH_SECONDS if self.model.device.startswith("cuda") else 0.0
        yield from compute_emissions(segments, self.model, seconds)

    @property
    def together(self) -> int:
        """As many as the search takes."""
        return self.first_pass.together

    def decode(self, segment: Segment) -> Decoded:
        """The hypotheses of a segment's emissions; of a silent one that nothing was said."""
        (decoded,) = self.decode_group([segment])
        if isinstance(decoded, InputError):
            raise decoded
        return decoded

    def decode_group(self, segments: Sequence[Segment]) -> Iterator[Decoded | InputError]:
        """As :meth:`decode` of each segment."""
        heard = iter(self.first_pass.readings([each.content for each in segments if not each.silent]))
        for segment in segments:
            try:
                yield self._decoded(segment, [((), ())] if segment.silent else next(heard))
            except InputError as error:
                yield error

    def _decoded(self, segment: Segment, readings: Sequence[Reading]) -> Decoded:
        if segment.silent:
            found = self.first_pass.scored(segment.content, readings)
        else:
            found = self.first_pass.texts(segment.content, readings)
        seconds = self.frame_seconds if self.options.times else None
        listed = as_hypotheses(found[: self.nbest], segment.content, self.first_pass.tokens, seconds)
        return Decoded(
            lowered(listed) if self.options.lower else listed,
            self._lattices(segment, found) if self.options.lattices else None,
        )

    def emissions_folder(self, folder: Path) -> Shards:
        """A folder for emissions."""
        if self.model is None:
            raise InputError("these emissions are saved already", parameter="save_emissions")
        return Shards(folder, self.model.name, self.first_pass.tokens, self.frame_seconds)

    def _lattices(self, segment: Segment, found: list[Found]) -> Lattices:
        tokens = self.first_pass.tokens
        # A model of tokens says nothing of words.
        ngram = self.first_pass.ngram if self.first_pass.lexicon is not None else None
        readings = [(self._cased(one.words), one.spelt) for one in found]
        words = self._graph(segment, readings, ngram=ngram, lm_weight=self.options.lm_weight)
        if tokens.words != "characters":
            return Lattices(words, words)
        readings = [(self._cased(tuple(one.text)), tokens.units(one.spelt)) for one in found]
        return Lattices(words, self._graph(segment, readings))

    def _graph(self, segment: Segment, readings: list[Reading], **lm: Any) -> Lattice:
        return word_graph(segment.id, segment.content, readings, self.first_pass.tokens, self.frame_seconds, **lm)

    def _cased(self, words: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(str.lower, words)) if self.options.lower else words


def make_ctc_decoder(
    nbest: int,
    options: DecodingOptions,
    tokens: Tokens,
    frame_seconds: float,
    words: Path | None = None,
    model: CtcModel | None = None,
    device: str | None = None,
) -> CtcDecoder:
    """A decoder for the options of a job.

    Args:
        nbest: hypotheses of a list, at most.
        options: how lists and lattices are made.
        tokens: of the emissions.
        frame_seconds: seconds from one frame to the next.
        words: a file of the words that may be found, where the options name none.
        model: what computes emissions; None where they are given.
        device: where to search, if emissions are given; None for whichever there is.

    Raises:
        InputError: a file cannot be read, or the search that is asked for cannot be had.
    """
    options.refuse(OF_SEQUENCES, "a CTC recogniser")
    path = None if options.free else options.lexicon or words
    lexicon = Lexicon.read(path, tokens) if path else None
    warnings = []
    if lexicon and lexicon.unspelt:
        few = ", ".join(lexicon.unspelt[:_EXAMPLES])
        warnings.append(
            f"{path}: {counted(len(lexicon.unspelt), 'word has', 'words have')} letters that are no tokens, left out "
            f"({few})"
        )
    gpu = search_device(nbest, options, tokens, lexicon is not None, model.device if model else device)
    if gpu is not None and (most := cuda_beam(tokens, nbest)) < nbest:
        warnings.append(f"the search on a GPU finds at most {most} hypotheses with these {len(tokens):,} tokens")
    flashlight = options.engine == "flashlight"
    if flashlight and importlib.util.find_spec("flashlight") is None:
        raise InputError(
            "flashlight needs the package flashlight-text, which is not installed; cpu finds the same without it",
            parameter="engine",
        )
    first_pass = FirstPass(tokens, lexicon, options.lm, options.beam_options, gpu, flashlight)
    return CtcDecoder(nbest, options, first_pass, frame_seconds, model, tuple(warnings))


def search_device(
    nbest: int, options: DecodingOptions, tokens: Tokens, has_words: bool, device: str | None
) -> str | None:
    """The GPU to search on, if one is to.

    Args:
        nbest: hypotheses of a list, at most.
        options: which search is asked for.
        tokens: of the emissions.
        has_words: whether the search is over words.
        device: where emissions are computed; None for whichever there is.

    Raises:
        InputError: the search on a GPU is asked for and cannot be had.
    """
    if options.engine in ("cpu", "flashlight"):
        return None
    device = device or resolve_device("auto")
    can = not has_words and options.lm is None and tokens.blank_number == 0
    if options.engine == "auto":
        enough = cuda_beam(tokens, nbest) == nbest
        return device if can and enough and device.startswith("cuda") else None
    if not device.startswith("cuda"):
        raise InputError(f"there is no GPU to search on, the device is {device}", parameter="engine")
    if has_words or options.lm is not None:
        raise InputError("cuda takes no language model and no words, which free leaves out", parameter="engine")
    return device
