"""How speech is decoded: settings of the beam search and of the lists that are made of what it finds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from asr_lm.errors import InputError

Merging = Literal["sum", "max"]
Order = Literal["exact", "search"]
Engine = Literal["auto", "cpu", "flashlight", "cuda"]
Task = Literal["transcribe", "translate"]

OF_CTC = ("lexicon", "lm", "lattices", "free", "batch_seconds", "engine")
"""Options that only CTC recognisers have."""

OF_SEQUENCES = ("language", "task")
"""Options that only encoder-decoder recognisers have."""


@dataclass(frozen=True)
class BeamOptions:
    """How a beam search over CTC emissions goes.

    Attributes:
        beam: hypotheses kept from frame to frame.
        threshold: how much worse than the best a hypothesis may be to be kept, natural logarithm.
        lm_weight: of the language model's score; the search counts that in base 10, as KenLM gives it and other
            searches take it, the order of a list in natural logarithm.
        word_score: added for each word.
        merging: whether alignments of the same hypothesis add up, or the best one counts.
        order: of a list: by its exact scores, or as the search, which prunes alignments, found it.
    """

    beam: int = 400
    threshold: float = 30.0
    lm_weight: float = 1.0
    word_score: float = 0.0
    merging: Merging = "sum"
    order: Order = "exact"


@dataclass(frozen=True, kw_only=True)
class DecodingOptions:
    """How any recogniser decodes; what a recogniser cannot do it refuses.

    Attributes:
        beam: hypotheses kept from frame to frame; None is what the recogniser's kind usually keeps.
        threshold: see :class:`BeamOptions`, as for the four after it.
        lm_weight: of the language model's score.
        word_score: added for each word.
        merging: of alignments.
        order: of a list.
        lexicon: file of the words that may be found; None takes what the recogniser brings.
        free: find any spelling, even if the recogniser brings words.
        lm: n-gram model for the search, an ARPA or KenLM binary file: of words with a lexicon, else of tokens.
        engine: what searches: ``cpu`` is our own search on the processor, ``flashlight`` torchaudio's ``ctc_decoder``,
            which finds the same where it can be installed, ``cuda`` torchaudio's ``cuda_ctc_decoder`` on a GPU;
            ``auto`` is the latter where it can give the list, else our own.
        batch_seconds: seconds of sound computed together, padding counted; None is 320 on a GPU and 0 (one utterance
            at a time) on a processor.
        times: give the times of words.
        lower: write hypotheses in lower case.
        lattices: make a lattice of every utterance, too.
        language: what is spoken, as a recogniser of several languages calls it (``en``); None lets it tell.
        task: whether a recogniser that can translates what it hears into English.

    Raises:
        InputError: a value is out of range, or two contradict each other.
    """

    beam: int | None = None
    threshold: float = BeamOptions.threshold
    lm_weight: float = BeamOptions.lm_weight
    word_score: float = BeamOptions.word_score
    merging: Merging = BeamOptions.merging
    order: Order = BeamOptions.order
    lexicon: Path | None = None
    free: bool = False
    lm: Path | None = None
    engine: Engine = "auto"
    batch_seconds: float | None = None
    times: bool = True
    lower: bool = False
    lattices: bool = False
    language: str | None = None
    task: Task = "transcribe"

    def __post_init__(self) -> None:
        if self.beam is not None:
            require_least("beam", self.beam, 1)
        if self.batch_seconds is not None:
            require_least("batch_seconds", self.batch_seconds, 0)
        require_positive("threshold", self.threshold)
        if self.free and self.lexicon is not None:
            raise InputError("goes without a lexicon", parameter="free")

    @property
    def beam_options(self) -> BeamOptions:
        """The settings of a CTC search."""
        beam = BeamOptions.beam if self.beam is None else self.beam
        return BeamOptions(beam, self.threshold, self.lm_weight, self.word_score, self.merging, self.order)

    def refuse(self, names: Iterable[str], about: str) -> None:
        """Refuse options that are not as by default.

        Args:
            names: of the options.
            about: the recogniser that lacks them: "an RNN-T".

        Raises:
            InputError: one is set.
        """
        defaults = {field.name: field.default for field in fields(self)}
        for name in names:
            value = getattr(self, name)
            # Whatever searches by itself does so on a processor, and without batches.
            if value and value not in (defaults[name], "cpu"):
                raise refusal(name, about)


def refusal(parameter: str, about: str) -> InputError:
    """The error that says that an option is for other recognisers than this one."""
    kind = "encoder-decoder" if parameter in OF_SEQUENCES else "CTC"
    return InputError(f"is for {kind} recognisers, and this is {about}", parameter=parameter)


def require_least(parameter: str, value: float, least: float) -> None:
    """Refuse a value that is too small.

    Raises:
        InputError: it is.
    """
    if not value >= least:
        raise InputError(f"expected {least:g} or more, not {value:g}", parameter=parameter)


def require_positive(parameter: str, value: float) -> None:
    """Refuse a value that is not above 0.

    Raises:
        InputError: it is not.
    """
    if not value > 0:
        raise InputError(f"expected more than 0, not {value:g}", parameter=parameter)
