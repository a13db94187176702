"""N-best lists from CTC emissions: torchaudio's beam search, every text of it scored exactly."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from torch import Tensor

from asr_lm.acoustic.ctc import forward_scores, word_times
from asr_lm.acoustic.lexicon import Lexicon
from asr_lm.acoustic.tokens import Spelt, Tokens
from asr_lm.errors import InputError
from asr_lm.hypotheses.utterance import Hypothesis

DECIMALS = 3
ACOUSTIC, LM = "acoustic", "lm"


@dataclass(frozen=True)
class Search:
    """How the beam search goes.

    Attributes:
        beam: hypotheses kept from frame to frame.
        threshold: how much worse than the best a hypothesis may be to be kept, natural logarithm.
        lm_weight: of the language model's score.
        word_score: added for each word.
        merging: whether alignments of the same hypothesis add up, or the best one counts.
        order: of a list: by its exact scores, or as the search, which prunes alignments, found it.
    """

    beam: int = 400
    threshold: float = 30.0
    lm_weight: float = 1.0
    word_score: float = 0.0
    merging: Literal["sum", "max"] = "sum"
    order: Literal["exact", "search"] = "exact"


class Found(NamedTuple):
    """A text the search found.

    Attributes:
        text: its words.
        spelt: its likeliest spelling.
        acoustic: natural-log CTC probability, all alignments of all spellings found summed.
        lm: natural-log probability under the language model; None without one.
        total: what the list is ordered by.
    """

    text: str
    spelt: Spelt
    acoustic: float
    lm: float | None
    total: float


@dataclass
class FirstPass:
    """A beam search over the words of a lexicon, or over tokens, perhaps with an n-gram model.

    Attributes:
        tokens: of the recogniser.
        lexicon: None lets the search spell what it likes; the language model is then one of tokens.
        lm: a file that KenLM reads.
        search: how it goes.
    """

    tokens: Tokens
    lexicon: Lexicon | None = None
    lm: Path | None = None
    search: Search = field(default_factory=Search)

    def __post_init__(self) -> None:
        from asr_lm.lm.kenlm_file import read_with_kenlm

        self.ngram = read_with_kenlm(self.lm) if self.lm else None
        self._decoder = self._built()

    def _built(self) -> Any:
        from torchaudio.models.decoder import ctc_decoder

        with tempfile.TemporaryDirectory(prefix="asr_lm.") as folder:
            lexicon = None
            if self.lexicon is not None:
                lexicon = Path(folder, "lexicon.txt")
                lexicon.write_text(self.lexicon.lines(self.tokens), encoding="utf-8")
            return ctc_decoder(
                lexicon=str(lexicon) if lexicon else None,
                tokens=list(self.tokens.texts),
                lm=str(self.lm) if self.lm else None,
                nbest=self.search.beam,
                beam_size=self.search.beam,
                beam_threshold=self.search.threshold,
                lm_weight=self.search.lm_weight if self.lm else 0.0,
                word_score=self.search.word_score,
                log_add=self.search.merging == "sum",
                blank_token=self.tokens.blank,
                sil_token=self.tokens.word_end,
            )

    def texts(self, emissions: Tensor) -> list[Found]:
        """All distinct texts of the beam, best first; emissions ``[frames, tokens]`` float32.

        Where nothing else fits into the frames, there is the empty text.
        """
        spellings: dict[tuple[str, Spelt], None] = {}
        for words, numbers in self._paths(emissions):
            spelt = self.tokens.spelt(numbers)
            if self.lexicon is None:
                spellings[self.tokens.text(spelt), spelt] = None
            else:
                spellings[" ".join(words), spelt[: len(words)]] = None
        if not (found := self._scored(emissions, list(spellings))):
            found = self._scored(emissions, [("", ())])
        return (
            found
            if self.search.order == "search"
            else sorted(found, key=lambda one: (one.total, one.text), reverse=True)
        )

    def _paths(self, emissions: Tensor) -> Iterable[tuple[list[str], list[int]]]:
        contiguous = emissions.float().contiguous()
        return ((path.words, path.tokens.tolist()) for path in self._decoder(contiguous[None])[0])

    def _scored(self, emissions: Tensor, spellings: list[tuple[str, Spelt]]) -> list[Found]:
        sequences = [self.tokens.sequence(spelt) for _, spelt in spellings]
        scores = forward_scores(emissions, sequences, self.tokens.blank_number)
        of_text: dict[str, list[tuple[float, Spelt]]] = {}
        for (text, spelt), score in zip(spellings, scores, strict=True):
            if math.isfinite(score):  # else it needs more frames than there are, its last word end counted
                of_text.setdefault(text, []).append((score, spelt))
        return [self._found(text, sorted(each, reverse=True)) for text, each in of_text.items()]

    def _found(self, text: str, spellings: list[tuple[float, Spelt]]) -> Found:
        best, spelt = spellings[0]
        acoustic = best + math.log(math.fsum(math.exp(score - best) for score, _ in spellings))
        lm = None
        if self.ngram is not None:
            words = text if self.lexicon is not None else " ".join(map(self._token, self.tokens.sequence(spelt)))
            lm = self.ngram.score(words) * math.log(10)
        total = acoustic + self.search.lm_weight * (lm or 0.0) + self.search.word_score * len(spelt)
        return Found(text, spelt, acoustic, lm, total)

    def _token(self, number: int) -> str:
        return self.tokens.texts[number]


def hypotheses(
    found: Iterable[Found], emissions: Tensor, tokens: Tokens, frame_seconds: float | None
) -> tuple[Hypothesis, ...]:
    """Texts as hypotheses: scores rounded to three decimals, word times where the length of a frame is given.

    Raises:
        InputError: a score is not finite.
    """
    listed = []
    for one in found:
        scores = {ACOUSTIC: round(one.acoustic, DECIMALS)}
        if one.lm is not None:
            scores[LM] = round(one.lm, DECIMALS)
        if not all(map(math.isfinite, scores.values())):
            raise InputError(f"{one.text!r} has scores {scores}")
        times = None if frame_seconds is None else word_times(emissions, one.spelt, tokens, frame_seconds)
        listed.append(Hypothesis(one.text, scores, times=times))
    return tuple(listed)
