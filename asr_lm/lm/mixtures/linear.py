"""Linear mixtures of language models.

Linear interpolation (Jelinek and Mercer 1980) gives every word the weighted mean of what the members give it::

    p(w | h) = Σ_i λ_i p_i(w | h)        λ_i >= 0,  Σ_i λ_i = 1

The weights are those with the highest likelihood on a validation text, found by expectation maximisation: λ_i becomes
the mean share of member i in the probability of the words. The likelihood never falls, and being concave it has no
other maximum to end in.

Members that cut text into the same tokens are mixed token by token. Others are mixed word by word, the probability of
a word being that of its tokens and ``</s>`` a word of its own. There the vocabulary is the union of the members': a
word that one member lacks has probability 0 under that one, so that an unknown word is never cheap because it stands
for many. (Word by word with pieces the sum over all words may differ from one: p of a word's pieces includes longer
words that begin with the same pieces, and what follows tells them apart only at the next word.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError
from asr_lm.lm.mixtures.members import Member, Mixture, same_normalizer
from asr_lm.lm.protocol import LanguageModel, LogProbs, Reader, Tokens
from asr_lm.lm.scoring.in_order import Read, read_in_order
from asr_lm.lm.scoring.learning import Learning
from asr_lm.lm.scoring.words import word_log_probs
from asr_lm.text.vocabulary import SPECIALS, Vocabulary, token_ids

GAP = 1e-7
"""Nats a word by which the likelihood found may be below the highest."""

_ITERATIONS = 20_000
_INTERNED = ("open", "member-words")
"""Kinds of vocabularies that number words as they meet them: equal words need not have equal ids."""

Weights = NDArray[np.float64]


class MemberWords(Vocabulary):
    """White-space separated words, each numbered when it is first met; known are those that any member knows."""

    kind = "member-words"

    def __init__(self, members: Sequence[Vocabulary]) -> None:
        self._members = members
        self._tokens = list(SPECIALS)
        # A word spelled like a special token is a word all the same: the members say what it is to them.
        self._ids: dict[str, int] = {}

    @property
    def tokens(self) -> Sequence[str]:
        return self._tokens

    def encode_batch(self, texts: Sequence[str]) -> list[Tokens]:
        return [np.array([self._id(word) for word in text.split()], dtype=np.int32) for text in texts]

    def _id(self, word: str) -> int:
        if word not in self._ids:
            self._ids[word] = len(self._tokens)
            self._tokens.append(word)
        return self._ids[word]

    def decode(self, ids: Iterable[int]) -> str:
        return " ".join(self._tokens[index] for index in ids)

    def unknown_words(self, text: str) -> int:
        return sum(all(member.unknown_words(word) for member in self._members) for word in text.split())

    def word_lengths(self, text: str) -> list[int]:
        return [1] * len(text.split())

    def fingerprint(self) -> str:
        parts = " ".join(member.fingerprint() for member in self._members)
        return hashlib.blake2b(f"{self.kind} {parts}".encode(), digest_size=16).hexdigest()

    def save(self, folder: Path) -> None:
        """Nothing to write: the words are the members'."""

    @property
    def is_open(self) -> bool:
        return any(member.is_open for member in self._members)


class LinearMixture(Mixture):
    """The weighted mean of several models' probabilities, token by token or word by word.

    Attributes:
        members: the models.
        weights: of each member, 0 or more, adding up to one ``[members]``.
    """

    kind = "linear"

    def __init__(self, members: Sequence[Member], weights: Weights | Sequence[float]) -> None:
        """Args: members: at least one; weights: of each, 0 or more, adding up to one.

        Raises:
            InputError: other weights, members whose texts are normalised differently, or a member that predicts words
                from what follows them, too.
        """
        weights = np.asarray(weights, dtype=np.float64)
        if not len(members) or weights.shape != (len(members),):
            raise InputError(f"expected as many weights as members, not {weights.size} for {len(members)}")
        if not (np.isfinite(weights).all() and (weights >= 0).all() and abs(weights.sum() - 1) < 1e-6):
            raise InputError(f"expected weights of 0 or more that add up to one, not {weights.tolist()}")
        _refuse_sight_of_what_follows(members)
        self.members = tuple(members)
        self.weights = weights
        self.normalizer = same_normalizer(members)
        # Who has no weight has no say in what is known either.
        self._used = [number for number in range(len(members)) if weights[number] > 0]
        self._shared = share_tokens([members[number] for number in self._used])
        vocabularies = [members[number].model.vocabulary for number in self._used]
        self.vocabulary = vocabularies[0] if self._shared else MemberWords(vocabularies)

    def token_log_probs(self, sentences: Sequence[Tokens], budget: int | None = None) -> list[LogProbs]:
        return self._mixed(
            sentences, [partial(self.members[number].model.token_log_probs, budget=budget) for number in self._used]
        )

    @property
    def charges_unknown(self) -> bool:
        return any(self.members[number].model.charges_unknown for number in self._used)

    @property
    def context_rule(self) -> str:
        rules = [self.members[number].model.context_rule for number in self._used]
        return "none" if set(rules) == {"none"} else " + ".join(rules)

    def token_log_probs_after(
        self, sentences: Sequence[Tokens], contexts: Sequence[Sequence[Tokens]], budget: int | None = None
    ) -> list[LogProbs]:
        return self._mixed(sentences, [partial(self._read_after, number, contexts, budget) for number in self._used])

    def next_log_probs(self, prefixes: Sequence[Tokens]) -> LogProbs:
        """As in the base class.

        Raises:
            InputError: the members are mixed word by word, or one is not causal.
        """
        if not self._shared:
            message = "mixes its members word by word, as they cut words differently: no token can be asked for"
            raise InputError(f"this mixture {message}")
        each = [self.members[number].model.next_log_probs(prefixes) for number in self._used]
        with np.errstate(divide="ignore"):
            log_weights = np.log(self.weights[self._used])[:, None, None]
        mixed: LogProbs = np.logaddexp.reduce(np.stack(each) + log_weights, axis=0)
        return mixed

    def _read_after(
        self, number: int, contexts: Sequence[Sequence[Tokens]], budget: int | None, sentences: Sequence[Tokens]
    ) -> list[LogProbs]:
        """What a member says of sentences in its own tokens, after contexts in the mixture's."""
        model = self.members[number].model
        if not self._shared:
            decode, encode = self.vocabulary.decode, model.vocabulary.encode_batch
            contexts = [encode([decode(token_ids(said).tolist()) for said in context]) for context in contexts]
        return model.token_log_probs_after(sentences, contexts, budget)

    @property
    def has_state(self) -> bool:
        return any(member.model.has_state for member in self._in_use)

    @property
    def learns(self) -> bool:
        return any(member.model.learns for member in self._in_use)

    def stream(self) -> Reader:
        """A reader of consecutive sentences: members with a state carry it on, the others read sentence by sentence.

        Raises:
            InputError: no member has a state.
        """
        return _MixtureStream(self._mixed, readers(self._in_use))

    def learning_reader(self, learning: Learning, *, carry_state: bool = True) -> Reader:
        """A reader of consecutive sentences from which those members learn that can; the weights stay.

        Raises:
            InputError: no member can learn.
        """
        if not self.learns:
            return super().learning_reader(learning, carry_state=carry_state)
        reads = [
            read_in_order(model, carry_state=carry_state, learning=learning if model.learns else None)
            for model in (member.model for member in self._in_use)
        ]
        return _MixtureStream(self._mixed, reads)

    @property
    def _in_use(self) -> list[Member]:
        """Who has a say."""
        return [self.members[number] for number in self._used]

    def _mixed(self, sentences: Sequence[Tokens], reads: Sequence[Read]) -> list[LogProbs]:
        """The mixture of what the members say, each asked by its own function."""
        with np.errstate(divide="ignore"):
            log_weights = np.log(self.weights[self._used])[:, None]
        each = self.member_log_probs(sentences, reads)
        return [np.logaddexp.reduce(values + log_weights, axis=0) for values in each]

    def member_log_probs(self, sentences: Sequence[Tokens], reads: Sequence[Read]) -> list[NDArray[np.float64]]:
        """Log-probability of every token or word under each member in use, for each sentence ``[members, tokens + 1]``.

        Minus infinity for a word that a member lacks and another has.
        """
        if self._shared:
            return [np.stack(rows) for rows in zip(*(read(sentences) for read in reads), strict=True)]
        texts = [self.vocabulary.decode(token_ids(sentence).tolist()) for sentence in sentences]
        vocabularies = [self.members[number].model.vocabulary for number in self._used]
        rows = [_of_words(*pair, texts) for pair in zip(vocabularies, reads, strict=True)]
        lacking = _Lacking([self.members[number].model for number in self._used])
        return [
            np.where(lacking.of(text), -np.inf, np.stack(values)) for text, *values in zip(texts, *rows, strict=True)
        ]


def _refuse_sight_of_what_follows(members: Sequence[Member]) -> None:
    for member in members:
        if not member.model.causal:
            raise InputError(
                f"{member.name!r} predicts words from what follows them, too, so it cannot be mixed word by word; "
                "give it to rescore beside the others"
            )


def share_tokens(members: Sequence[Member]) -> bool:
    """Whether the members' token ids mean the same."""
    vocabularies = [member.model.vocabulary for member in members]
    first = vocabularies[0]
    if all(vocabulary is first for vocabulary in vocabularies):
        return True
    if any(vocabulary.kind in _INTERNED for vocabulary in vocabularies):
        return False
    return len({vocabulary.fingerprint() for vocabulary in vocabularies}) == 1


def readers(members: Sequence[Member]) -> list[Read]:
    """How each member reads consecutive sentences.

    Raises:
        InputError: none of them has a state to carry.
    """
    if not any(member.model.has_state for member in members):
        raise InputError(
            "no member of the mixture has a state to carry from sentence to sentence", parameter="carry_state"
        )
    return [read_in_order(member.model) for member in members]


class _MixtureStream:
    def __init__(self, mixed: Callable[[Sequence[Tokens], Sequence[Read]], list[LogProbs]], reads: list[Read]) -> None:
        self._mixed = mixed
        self._reads = reads

    def token_log_probs(self, sentences: Sequence[Tokens]) -> list[LogProbs]:
        return self._mixed(sentences, self._reads) if len(sentences) else []


def _of_words(vocabulary: Vocabulary, read: Read, texts: Sequence[str]) -> list[LogProbs]:
    """Log-probability of every word of every text."""
    values = read(vocabulary.encode_batch(texts))
    return [word_log_probs(vocabulary, text, row) for text, row in zip(texts, values, strict=True)]


class _Lacking:
    """Which words a member lacks although another one knows them, or has a probability for unknown words."""

    def __init__(self, models: Sequence[LanguageModel]) -> None:
        self._vocabularies = [model.vocabulary for model in models]
        charging = np.array([model.charges_unknown for model in models])
        # A closed vocabulary's 0 for an unknown word is no probability of 1.
        self._silent = ~charging & charging.any()
        self._found: dict[str, NDArray[np.bool_]] = {}

    def of(self, text: str) -> NDArray[np.bool_]:
        """``[members, words + 1]``; ``</s>`` is lacking nowhere."""
        nowhere = np.zeros(len(self._vocabularies), dtype=bool)
        return np.column_stack([*map(self._word, text.split()), nowhere])

    def _word(self, word: str) -> NDArray[np.bool_]:
        if word not in self._found:
            unknown = np.array([vocabulary.unknown_words(word) > 0 for vocabulary in self._vocabularies])
            self._found[word] = self._silent if unknown.all() else unknown
        return self._found[word]


@dataclass(frozen=True, eq=False)
class Interpolation:
    """Weights of a linear mixture, and how they were found.

    Attributes:
        weights: of each member ``[members]``.
        log_likelihood: mean log-likelihood of a word before each iteration and at the end.
    """

    weights: Weights
    log_likelihood: list[float]


def interpolate(log_probs: NDArray[np.float64], start: Weights | None = None, gap: float = GAP) -> Interpolation:
    """The weights with the highest likelihood, by expectation maximisation.

    The likelihood is concave in the weights, so the largest derivative towards a member tells how much is still to be
    won: it stops when that is below ``gap``.

    Args:
        log_probs: log-probability of every word under each member ``[members, words]``; minus infinity is none.
        start: weights above 0 to begin with; equal ones by default.
        gap: see above, nats a word.

    Raises:
        InputError: a word has no probability under any member.
    """
    if not np.isfinite(log_probs.max(axis=0, initial=-np.inf)).all():
        raise InputError("a word of the text has probability 0 under all members")
    # Ratios to the best member are all that matters; they do not underflow where the probabilities would.
    best = log_probs.max(axis=0)
    ratios = np.exp(log_probs - best)
    weights = np.full(len(log_probs), 1 / len(log_probs)) if start is None else np.asarray(start, dtype=np.float64)
    curve = []
    for _ in range(_ITERATIONS):
        mixed = weights @ ratios
        curve.append(float((np.log(mixed) + best).mean()))
        gain = (ratios / mixed).mean(axis=1)
        if gain.max() - 1 <= gap:
            break
        weights = weights * gain
        weights /= weights.sum()
    return _or_best_member(log_probs, Interpolation(weights, curve))


def _or_best_member(log_probs: NDArray[np.float64], found: Interpolation) -> Interpolation:
    """What was found, or one member alone where that is better (by less than the gap)."""
    alone = log_probs.mean(axis=1)
    number = int(alone.argmax())
    if alone[number] < found.log_likelihood[-1] or len(alone) == 1:
        return found
    return Interpolation(np.eye(len(alone))[number], [*found.log_likelihood, float(alone[number])])


def validation_log_probs(
    members: Sequence[Member], sentences: Sequence[str], *, carry_state: bool = False
) -> NDArray[np.float64]:
    """Log-probability of every token or word of a text under each member ``[members, tokens]``.

    Args:
        members: of the mixture to be.
        sentences: normalised, in order.
        carry_state: read them as one text, by the members that can.

    Raises:
        InputError: as :class:`LinearMixture`, or no member has a state to carry.
    """
    mixture = LinearMixture(members, np.full(len(members), 1 / len(members)))
    encoded = mixture.vocabulary.encode_batch(sentences)
    reads = readers(members) if carry_state else [member.model.token_log_probs for member in members]
    return np.concatenate(mixture.member_log_probs(encoded, reads), axis=1)
