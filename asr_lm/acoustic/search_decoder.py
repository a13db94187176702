"""The decoder of recognisers that search by themselves, and have no emissions to be searched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from asr_lm.acoustic.decoder import Decoded
from asr_lm.acoustic.first_pass import lowered
from asr_lm.acoustic.options import OF_CTC, DecodingOptions, refusal
from asr_lm.acoustic.saved_emissions import Shards
from asr_lm.acoustic.segments import Failure, Segment
from asr_lm.evaluation.word_errors import Unit
from asr_lm.hypotheses.utterance import Hypothesis


@dataclass(frozen=True)
class SearchDecoder:
    """Gives what a recogniser's own search finds.

    Attributes:
        search: hypotheses of a segment of samples, best first.
        options: those of a CTC search are refused.
        about: what kind of recogniser it is, for messages: "an RNN-T".

    Raises:
        InputError: an option is for other recognisers.
    """

    search: Callable[[Segment], Sequence[Hypothesis]]
    options: DecodingOptions
    about: str
    unit: Unit = "word"
    has_times: bool = False
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.options.refuse(OF_CTC, self.about)

    def prepare(self, segments: Iterable[Segment]) -> Iterator[Segment | Failure]:
        """Segments as they are."""
        yield from segments

    def decode(self, segment: Segment) -> Decoded:
        """The hypotheses of a segment's samples."""
        found = self.search(segment)
        return Decoded(lowered(found) if self.options.lower else found)

    def emissions_folder(self, folder: Path) -> Shards:
        """There is none."""
        raise refusal("save_emissions", self.about)
