"""Acoustic scores of texts that a recogniser did not score: from its saved emissions, as its first pass computes them.

What a corrector writes, or a near miss of a listed phrase, is heard in the sound or is not. Where the emissions of the
recogniser are at hand (``decode --save-emissions``), every hypothesis of a list gets the exact CTC log-probability of
its words, all alignments summed (:mod:`asr_lm.acoustic.ctc`), those that the recogniser wrote as well as those that it
did not, so that all are measured alike. Texts near those of the list can be looked for in the sound, too
(:mod:`asr_lm.acoustic.near_texts`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from asr_lm.acoustic.ctc import forward_scores
from asr_lm.acoustic.exact_scores import ExactScores, Found
from asr_lm.acoustic.first_pass import ACOUSTIC, LM
from asr_lm.acoustic.first_pass_lm import FirstPassLm
from asr_lm.acoustic.lexicon import Lexicon
from asr_lm.acoustic.near_texts import NearTexts
from asr_lm.acoustic.saved_emissions import SavedEmissions
from asr_lm.acoustic.tokens import Spelt, Tokens
from asr_lm.acoustic.word_evidence import unknown_evidence, word_evidence
from asr_lm.errors import InputError
from asr_lm.hypotheses.utterance import Hypothesis, Utterance

LM_WEIGHT = 0.8
"""Of the first pass's n-gram model where near texts are ranked; the weights of the second pass are tuned."""


class Acoustics:
    """What a recogniser's emissions, and the n-gram model of its first pass, say of texts.

    Args:
        emissions: safetensors files, or folders of them, with an entry for every utterance.
        tokens: file of the tokens that they are of; None: ``tokens.txt`` beside the first.
        lexicon: file of the words that the first pass knew with their spellings, where a word has several; other words
            are spelt with the fewest tokens.
        lm: the first pass's n-gram model of words (ARPA or KenLM).
        near: texts near those of the list that join it, at most so many an utterance; their words are the lexicon's.

    Raises:
        InputError: a file is missing or damaged, or there is no lexicon to take words from.
    """

    def __init__(
        self,
        emissions: Sequence[str | Path],
        tokens: str | Path | None = None,
        lexicon: str | Path | None = None,
        lm: str | Path | None = None,
        near: int = 0,
    ) -> None:
        if near < 0:
            raise InputError(f"expected 0 or more texts, not {near}", parameter="near_texts")
        if near and lexicon is None:
            raise InputError("needs the words that may be said: give a lexicon", parameter="near_texts")
        given = None if tokens is None else Tokens.read(Path(tokens))
        self._emissions = SavedEmissions([Path(path) for path in emissions], given)
        self._tokens = self._emissions.tokens
        words = Lexicon({}) if lexicon is None else Lexicon.read(Path(lexicon), self._tokens)
        self._exact = ExactScores(self._tokens, words, None if lm is None else FirstPassLm(Path(lm)))
        self._computed = {ACOUSTIC} if lm is None else {ACOUSTIC, LM}
        self._near = NearTexts(words.spellings, near) if near else None

    def scored(self, utterances: Sequence[Utterance]) -> list[Utterance]:
        """The utterances; ``acoustic``, and ``lm`` where the first pass's model is given, replace scores so called.

        Corrected texts that the tokens cannot spell, or that need more frames than there are, are left out. Texts near
        those of the list come after them, as if the first pass had found them.

        Raises:
            InputError: an utterance has no emissions, or a text of the recogniser cannot be theirs; a list has scores
                that near texts would lack.
        """
        return [self._scored(utterance) for utterance in utterances]

    def word_evidence(self, utterance: str, text: str) -> NDArray[np.float64]:
        """What the emissions say of each word (:mod:`asr_lm.acoustic.word_evidence`) ``[words, features]``.

        NaN for a text that the tokens cannot spell, or that needs more frames than there are.

        Raises:
            InputError: the utterance has no emissions.
        """
        words = text.split()
        emissions = self._emissions[utterance]
        spelt = self._spelt_words(tuple(words))[1]
        fits = spelt is not None and math.isfinite(forward_scores(emissions, [spelt], self._tokens)[0])
        if not words or spelt is None or len(spelt) != len(words) or not fits:
            return unknown_evidence(words)
        return word_evidence(emissions, spelt, self._tokens)

    def _scored(self, utterance: Utterance) -> Utterance:
        emissions = self._emissions[utterance.id]
        spelt = [self._spelt(hypothesis) for hypothesis in utterance.hypotheses]
        readings = [(words, tokens) for words, tokens in spelt if tokens is not None]
        found = {one.text: one for one in self._exact.of(emissions, readings)}
        kept = []
        for number, (hypothesis, (words, _)) in enumerate(zip(utterance.hypotheses, spelt, strict=True)):
            one = found.get(self._tokens.text(words))
            if one is not None:
                kept.append(_with_scores(hypothesis, one))
            elif not hypothesis.corrected:
                raise InputError(
                    f"{hypothesis.text!r} has letters that are no tokens, or more than the emissions have frames;"
                    " are they of this recogniser?",
                    utterance=utterance.id,
                    field=f"hypotheses[{number}].text",
                )
        return msgspec.structs.replace(utterance, hypotheses=(*kept, *self._further(utterance, kept, emissions)))

    def _further(self, utterance: Utterance, kept: Sequence[Hypothesis], emissions: Tensor) -> list[Hypothesis]:
        """Hypotheses that the first pass did not keep."""
        if self._near is None or not kept:
            return []
        if lacking := sorted({name for one in kept for name in one.scores} - self._computed):
            raise InputError(
                f"texts near those of the list would have no score {lacking[0]!r}"
                + (": give the first pass's n-gram model" if lacking == [LM] else ""),
                utterance=utterance.id,
                parameter="near_texts",
            )
        found: dict[tuple[str, ...], Found] = {}

        def score(texts: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], float]:
            spelt = [(words, tokens) for words, tokens in map(self._spelt_words, texts) if tokens is not None]
            new = {one.words: one for one in self._exact.of(emissions, spelt)}
            found.update(new)
            return {words: _ranked(one.acoustic, one.lm) for words, one in new.items()}

        heard = {self._spelt(one)[0]: _ranked(one.scores[ACOUSTIC], one.scores.get(LM)) for one in kept}
        texts = self._near.of(heard, score)
        return [_with_scores(Hypothesis(found[words].text, {}), found[words]) for words in texts]

    def _spelt(self, hypothesis: Hypothesis) -> tuple[tuple[str, ...], Spelt | None]:
        """Words of a text and their tokens; None where they cannot be spelt."""
        return self._spelt_words(tuple(hypothesis.text.split()))

    def _spelt_words(self, words: tuple[str, ...]) -> tuple[tuple[str, ...], Spelt | None]:
        if self._tokens.words == "characters":
            words = tuple("".join(words))
        spellings = [self._tokens.spelling(word) for word in words]
        if any(spelling is None for spelling in spellings):
            return words, None
        return words, tuple(tuple(self._tokens.numbers[text] for text in spelling or ()) for spelling in spellings)


def _ranked(acoustic: float, lm: float | None) -> float:
    """What near texts are ranked by before weights are known: roughly what a first pass weighs."""
    return acoustic + LM_WEIGHT * (lm or 0.0)


def _with_scores(hypothesis: Hypothesis, found: Found) -> Hypothesis:
    lm = {} if found.lm is None else {LM: found.lm}
    return msgspec.structs.replace(hypothesis, scores={**hypothesis.scores, ACOUSTIC: found.acoustic, **lm})
