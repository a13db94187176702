"""Perplexity of language models on text, comparable across vocabularies.

The log-probability of a word is the sum over its tokens, so models over words and over pieces are measured in the same
unit: word perplexity is exp of the mean negative log-probability of a word, ``</s>`` counted as one. A word that is
unknown to a model costs whatever that model gives all unknown words together, which is no probability of the word;
where several models are compared, positions unknown to any of them are left out for all.

A model whose scores are pseudo-log-likelihoods (:attr:`~asr_lm.lm.protocol.LanguageModel.pseudo`) has a
pseudo-perplexity, the same figure of another thing: every token is predicted from what follows it, too. It goes by its
own name and takes no part in a comparison.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_lm.batched import batched
from asr_lm.errors import InputError
from asr_lm.lm.protocol import LanguageModel, LogProbs, Ranker, language_model
from asr_lm.lm.scoring.in_order import read_in_order
from asr_lm.lm.scoring.learning import Learning
from asr_lm.lm.scoring.words import word_log_probs
from asr_lm.text.lost_letters import LostLetters
from asr_lm.text.normalizer import get_normalizer

_BLOCK = 2000


@dataclass(frozen=True)
class Perplexity:
    """Sums over a text, from which the perplexities follow.

    Attributes:
        tokens: tokens that the model gives a probability, ``</s>`` included; log_prob: the sum of the logs (nats).
        words: words, ``</s>`` included; unknown: words the model does not know.
        charged: words that the model gives a probability: all, or with a closed vocabulary those that it knows.
        compared: words known to every compared model, ``</s>`` included; compared_log_prob: summed over them.
        sentences: number of sentences.
        pseudo: whether the log-probabilities are pseudo-log-likelihoods, and the figures pseudo-perplexities; then
            nothing is compared.
    """

    tokens: int
    log_prob: float
    words: int
    unknown: int
    charged: int
    compared: int
    compared_log_prob: float
    sentences: int
    pseudo: bool = False

    @property
    def per_token(self) -> float:
        """Perplexity a token of the model's own vocabulary."""
        return _perplexity(self.log_prob, self.tokens)

    @property
    def per_word(self) -> float:
        """Perplexity a word, unknown words charged as the model charges them, or left out where it does not."""
        return _perplexity(self.log_prob, self.charged)

    @property
    def per_compared_word(self) -> float:
        """Perplexity a word over the words that all compared models know.

        Raises:
            InputError: the figures are pseudo-perplexities.
        """
        if self.pseudo:
            raise InputError("a pseudo-perplexity compares with no perplexity")
        return _perplexity(self.compared_log_prob, self.compared)

    def to_json(self) -> dict[str, Any]:
        """Everything the command prints; a perplexity beyond the range of floats is None."""
        counts = {
            "tokens": self.tokens,
            "words": self.words,
            "sentences": self.sentences,
            "unknown_words": self.unknown,
            "oov_rate": self.oov_rate,
        }
        per_token, per_word = _finite(self.per_token), _finite(self.per_word)
        if self.pseudo:
            figures = {"pseudo_per_token": per_token, "pseudo_per_word": per_word}
            return {**figures, "pseudo_log_likelihood": self.log_prob, **counts}
        return {
            "per_token": per_token,
            "per_word": per_word,
            "per_compared_word": _finite(self.per_compared_word),
            "log_prob": self.log_prob,
            **counts,
            "compared_share": 100 * self.compared / self.words,
        }

    @property
    def oov_rate(self) -> float:
        """Percentage of the words, ``</s>`` not counted, that the model does not know."""
        spoken = self.words - self.sentences
        return 100 * self.unknown / spoken if spoken else 0.0


def _finite(figure: float) -> float | None:
    return figure if math.isfinite(figure) else None


def _perplexity(log_prob: float, count: int) -> float:
    try:
        return math.exp(-log_prob / count)
    except OverflowError:  # a word of thousands of bytes
        return math.inf


def measure(
    models: Sequence[Ranker],
    lines: Iterable[str],
    *,
    carry_state: bool = False,
    dynamic: Sequence[Learning | None] = (),
    budget: int | None = None,
    warn: Callable[[str], None] = lambda message: None,
) -> list[Perplexity]:
    """Perplexity of each model on the same text.

    Args:
        models: each applies its own normaliser.
        lines: sentences; blank ones are left out.
        carry_state: read the sentences in order with the recurrent state carried over, instead of each from a fresh
            state; models without one, beside others, read sentence by sentence.
        dynamic: how each model learns from a sentence once it is scored, if it does; () stands for none that do.
        budget: see :meth:`~asr_lm.lm.protocol.LanguageModel.token_log_probs`.
        warn: told of a normaliser that loses letters of the text, and of models without a state to carry.

    Raises:
        InputError: no sentence, a line the models cut into different numbers of words, a model that gives no
            probabilities or cannot learn, or whose normaliser loses most of the text; no model has a state to carry.
    """
    lost = {model.normalizer: LostLetters(model.normalizer) for model in models}
    for letters in lost.values():
        lines = letters.watched(lines)
    measurable = [language_model(model) for model in models]
    if carry_state:
        _check_states(measurable, warn)
    sums = [_Sums(model.pseudo) for model in measurable]
    ways = dynamic or [None] * len(measurable)
    readers = [_reader(m, carry_state, way, budget) for m, way in zip(measurable, ways, strict=True)]
    for block in batched(lines, _BLOCK):
        normalized = [[get_normalizer(model.normalizer)(line) for line in block] for model in measurable]
        kept = [row for row in range(len(block)) if any(texts[row] for texts in normalized)]
        measured = [
            [
                _words(model, texts[row], values)
                for row, values in zip(kept, reader([texts[r] for r in kept]), strict=True)
            ]
            for model, texts, reader in zip(measurable, normalized, readers, strict=True)
        ]
        for row, sentence in enumerate(zip(*measured, strict=True)):
            _add(sums, sentence, block[kept[row]])
    for letters in lost.values():
        letters.check()
        if letters.warning:
            warn(letters.warning)
    if not sums or not sums[0].sentences:
        raise InputError("no sentence in the text, at least one was expected")
    return [total.result() for total in sums]


@dataclass
class _Word:
    """Word log-probabilities of a sentence and which words are unknown, both ``[words + 1]``.

    Attributes:
        tokens, charged: tokens and words that have a probability.
    """

    log_prob: LogProbs
    unknown: NDArray[np.bool_]
    tokens: int
    charged: int


class _Sums:
    def __init__(self, pseudo: bool) -> None:
        self.pseudo = pseudo
        self.tokens = self.words = self.unknown = self.charged = self.compared = self.sentences = 0
        self.log_prob = self.compared_log_prob = 0.0

    def result(self) -> Perplexity:
        return Perplexity(**vars(self))


def _check_states(models: Sequence[LanguageModel], warn: Callable[[str], None]) -> None:
    """Warn of models that have nothing to carry from sentence to sentence.

    Raises:
        InputError: none has.
    """
    if models and not any(model.has_state for model in models):
        models[0].stream()  # which says so
    for family in sorted({model.family for model in models if not model.has_state}):
        warn(f"a model of family {family!r} has no state to carry: it reads sentence by sentence")


def _reader(
    model: LanguageModel, carry_state: bool, dynamic: Learning | None, budget: int | None
) -> Callable[[Sequence[str]], list[LogProbs]]:
    """A function from normalised sentences to their token log-probabilities."""
    encode = model.vocabulary.encode_batch
    read = read_in_order(model, carry_state=carry_state, learning=dynamic, budget=budget)
    return lambda texts: read(encode(texts))


def _words(model: LanguageModel, text: str, values: LogProbs) -> _Word:
    unknown = [model.vocabulary.unknown_words(word) > 0 for word in text.split()]
    uncharged = 0 if model.charges_unknown else sum(unknown)
    log_prob = word_log_probs(model.vocabulary, text, values)
    # A vocabulary of unknown words without probability is one of words: each is a token.
    return _Word(log_prob, np.array([*unknown, False]), len(values) - uncharged, len(log_prob) - uncharged)


def _add(sums: list[_Sums], sentence: Sequence[_Word], line: str) -> None:
    if len({len(word.log_prob) for word in sentence}) > 1:
        raise InputError(f"the models' normalisers cut this line into different numbers of words: {line!r}")
    compared = [word.unknown for total, word in zip(sums, sentence, strict=True) if not total.pseudo]
    known = ~np.logical_or.reduce(compared) if compared else np.zeros(0, dtype=np.bool_)
    for total, word in zip(sums, sentence, strict=True):
        total.tokens += word.tokens
        total.words += len(word.log_prob)
        total.log_prob += float(word.log_prob.sum())
        total.unknown += int(word.unknown.sum())
        total.charged += word.charged
        total.sentences += 1
        if not total.pseudo:
            total.compared += int(known.sum())
            total.compared_log_prob += float(word.log_prob[known].sum())
