"""Interpolated modified Kneser-Ney estimation of n-gram models.

Chen and Goodman, *An Empirical Study of Smoothing Techniques for Language Modeling* (Harvard TR-10-98, 1998), section
4.1.6 and equation 26, with the choices of Heafield et al., *Scalable Modified Kneser-Ney Language Model Estimation*
(ACL 2013), so that the numbers are those of KenLM's ``lmplz``:

* An n-gram below the highest order counts its distinct left neighbours (``<s>`` is one); one that begins with ``<s>``
  has none and keeps its raw count. The highest order keeps raw counts.
* The interpolation ends in the uniform distribution over the vocabulary, ``<unk>`` and ``</s>`` included, ``<s>`` not.
* Pruning goes by raw counts and leaves discounts and denominators as they are; what it removes goes to the back-off.
* The counts of counts take one n-gram an order at its raw count: the one that ``lmplz`` meets last (its final flush
  does so). On Penn Treebank this alone moves unigrams by 0.0009 (log10).

Nothing here loops over n-grams. An n-gram is the number of its first n-1 words times the vocabulary size plus its last
word, an int64 that cannot overflow, and one sort an order numbers them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError

MAX_ORDER = 6
"""Highest order that KenLM's Python package reads."""

DISCOUNT_FALLBACK = (0.5, 1.0, 1.5)
"""Discounts of an order whose closed form is undefined or out of range; those of ``lmplz --discount_fallback``."""

_IdArray = NDArray[np.integer]


@dataclass(frozen=True)
class NgramTable:
    """The n-grams of one order of a back-off model, in order of context, then of word.

    Attributes:
        context: row of the first n-1 words in the table of order n-1 ``[ngrams]``; zero for unigrams.
        word: token id of the last word ``[ngrams]``.
        log_prob: natural log p(word | context) ``[ngrams]``; 0 for ``<s>``, which is never predicted.
        log_backoff: natural log of the weight that the n-gram, as a context, gives to the lower order ``[ngrams]``;
            None in the highest order.
    """

    context: _IdArray
    word: _IdArray
    log_prob: NDArray[np.float32]
    log_backoff: NDArray[np.float32] | None

    def __len__(self) -> int:
        return len(self.word)


@dataclass(frozen=True)
class Discounts:
    """What is taken from n-grams counted once, twice, three times or more.

    Attributes:
        amounts: D1, D2 and D3+.
        fallback: whether the closed form failed, so that the amounts are the fallback.
    """

    amounts: tuple[float, float, float]
    fallback: bool

    def of(self, counts: _IdArray) -> NDArray[np.float64]:
        """Discount of each count; 0 for count 0."""
        return np.array([0.0, *self.amounts])[np.minimum(counts, 3)]


@dataclass(frozen=True)
class KneserNeyModel:
    """An estimated back-off model.

    Attributes:
        tables: the n-grams of order 1, 2, …; row ``w`` of the first is token ``w``.
        discounts: of order 1, 2, ….
    """

    tables: tuple[NgramTable, ...]
    discounts: tuple[Discounts, ...]

    @property
    def order(self) -> int:
        return len(self.tables)

    @property
    def fallback_orders(self) -> list[int]:
        """Orders whose closed-form discounts failed."""
        return [order for order, discounts in enumerate(self.discounts, 1) if discounts.fallback]


def estimate(
    tokens: _IdArray,
    offsets: NDArray[np.int64],
    *,
    order: int,
    vocabulary_size: int,
    bos_id: int,
    eos_id: int,
    prune: Sequence[int] = (),
    fallback: tuple[float, float, float] = DISCOUNT_FALLBACK,
) -> KneserNeyModel:
    """Estimate a model from sentences of token ids.

    Args:
        tokens: ids of all sentences ``[tokens]``, without ``<s>`` and ``</s>``.
        offsets: sentence ``i`` is ``tokens[offsets[i]:offsets[i + 1]]``, ``[sentences + 1]``.
        order: length of the longest n-grams, 1 to 6.
        vocabulary_size: number of ids; a token that never occurs gets the probability of a zero count.
        bos_id, eos_id: ids of ``<s>`` and ``</s>``.
        prune: for order 1, 2, … drop n-grams seen at most so often; the last value holds for the orders above. Starts
            with 0 and never decreases, so that every kept n-gram has its context and suffix.
        fallback: discounts D1, D2, D3+ of orders where the closed form fails, as it does on small or repeated text.

    Raises:
        InputError: the order, the pruning counts or the fallback are not allowed, there is no sentence, or a sentence
            holds ``<s>``, ``</s>`` or an id outside the vocabulary.
    """
    thresholds = pruning_thresholds(prune, check_order(order))
    _check_fallback(fallback)
    stream = _with_boundaries(tokens, offsets, vocabulary_size, bos_id, eos_id)
    counts = _count(stream, order, vocabulary_size, bos_id, eos_id)
    discounts = tuple(_closed_form(level, fallback) for level in counts)
    return KneserNeyModel(tuple(_interpolate(counts, discounts, thresholds, bos_id)), discounts)


def check_order(order: int) -> int:
    """``order`` if KenLM can read models of it.

    Raises:
        InputError: it is not between 1 and 6.
    """
    if not 1 <= order <= MAX_ORDER:
        raise InputError(f"order {order} is not possible: KenLM reads n-gram models of order 1 to {MAX_ORDER}")
    return order


def pruning_thresholds(prune: Sequence[int], order: int) -> tuple[int, ...]:
    """The pruning count of every order, the last one given repeated for the orders above it.

    Raises:
        InputError: too many counts, a negative or decreasing one, or one that prunes unigrams.
    """
    thresholds = tuple(prune) or (0,)
    if len(thresholds) > order:
        raise InputError(f"{len(thresholds)} pruning counts for a model of order {order}")
    if thresholds[0] != 0:
        raise InputError(f"unigrams are never pruned: the first pruning count must be 0, not {thresholds[0]}")
    if list(thresholds) != sorted(thresholds):
        raise InputError(f"pruning counts must not decrease from one order to the next: {' '.join(map(str, prune))}")
    return thresholds + thresholds[-1:] * (order - len(thresholds))


def _check_fallback(fallback: tuple[float, float, float]) -> None:
    for count, amount in enumerate(fallback, 1):
        if not 0 <= amount <= count:
            raise InputError(f"the fallback discount of count {count} must lie between 0 and {count}, not {amount}")


def _with_boundaries(
    tokens: _IdArray, offsets: NDArray[np.int64], vocabulary_size: int, bos_id: int, eos_id: int
) -> NDArray[np.int32]:
    """One stream of token ids with ``<s>`` before and ``</s>`` after every sentence ``[tokens + 2 sentences]``."""
    sentences = len(offsets) - 1
    if sentences < 1:
        raise InputError("no sentence to estimate from")
    begins = offsets[:-1] + 2 * np.arange(sentences)
    ends = offsets[1:] + 2 * np.arange(sentences) + 1
    inside = np.ones(len(tokens) + 2 * sentences, dtype=bool)
    inside[begins] = inside[ends] = False
    stream = np.empty(len(inside), dtype=np.int32)
    stream[inside] = tokens
    bad = inside & ((stream < 0) | (stream >= vocabulary_size) | (stream == bos_id) | (stream == eos_id))
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        sentence = int(np.searchsorted(begins, first, side="right"))
        raise InputError(f"sentence {sentence}: token id {stream[first]} is <s>, </s> or not in the vocabulary")
    stream[begins], stream[ends] = bos_id, eos_id
    return stream


@dataclass
class _Counts:
    """The distinct n-grams of one order, in order of context, then of word; all arrays ``[types]``."""

    context: _IdArray  # number of the first n-1 words among the types of order n-1
    word: _IdArray
    suffix: _IdArray  # number of the last n-1 words
    raw: _IdArray
    adjusted: _IdArray
    at_start: NDArray[np.bool_]  # begins with <s>
    last: int | None = None  # the one that lmplz meets last, where the order is not the highest


def _count(stream: NDArray[np.int32], order: int, vocabulary_size: int, bos_id: int, eos_id: int) -> list[_Counts]:
    """Raw and adjusted counts of every order."""
    levels = [_count_words(stream, vocabulary_size, bos_id)]
    ending_at: _IdArray = stream
    last = _last_position(stream, order, vocabulary_size, bos_id, eos_id)
    for _ in range(1, order):
        below = levels[-1]
        below.last = int(ending_at[last]) if ending_at[last] >= 0 else None
        level, ending_at = _count_extensions(stream, ending_at, below, vocabulary_size, bos_id)
        neighbours = np.bincount(level.suffix, minlength=len(below.word)).astype(below.raw.dtype)
        below.adjusted = np.where(below.at_start, below.raw, neighbours)
        levels.append(level)
    return levels


def _last_position(stream: NDArray[np.int32], order: int, vocabulary_size: int, bos_id: int, eos_id: int) -> int:
    """Where the n-gram ends that comes last when sorted by last word, then by the word before it, and so on.

    Words are ordered by first appearance, ``<s>`` and ``</s>`` before all.
    """
    appearance = np.full(vocabulary_size, -1, dtype=np.int64)
    appearance[stream[::-1]] = np.arange(len(stream) - 1, -1, -1)  # of several assignments the last one stays
    appearance[bos_id], appearance[eos_id] = -2, -1
    ends = np.flatnonzero(stream == appearance.argmax()) if appearance.max() >= 0 else np.array([1])
    for distance in range(1, order):
        before = appearance[stream[ends - distance]]
        ends = ends[before == before.max()]
        if before.max() == -2:
            break
    return int(ends[0])


def _count_words(stream: NDArray[np.int32], vocabulary_size: int, bos_id: int) -> _Counts:
    word = np.arange(vocabulary_size, dtype=np.int32)
    nothing = np.zeros(vocabulary_size, dtype=np.int32)
    raw = np.bincount(stream, minlength=vocabulary_size).astype(_id_type(stream))
    raw[bos_id] = 0  # given, never predicted
    return _Counts(nothing, word, nothing, raw, raw, word == bos_id)


def _count_extensions(
    stream: NDArray[np.int32], ending_at: _IdArray, below: _Counts, vocabulary_size: int, bos_id: int
) -> tuple[_Counts, _IdArray]:
    """Count the n-grams one word longer than those of ``below``.

    Args:
        stream: token ids with boundaries ``[positions]``.
        ending_at: number of the (n-1)-gram that ends at each position, -1 where the sentence is too short for one.
        below: the counts of order n-1.

    Returns:
        The counts of order n, and the number of the n-gram that ends at each position.
    """
    keys = _keys(stream, ending_at, vocabulary_size, bos_id)
    by_key = np.argsort(keys)
    keys = keys[by_key]
    fresh = keys >= 0
    fresh[1:] &= keys[1:] != keys[:-1]
    numbers = np.empty(len(stream), dtype=_id_type(stream))
    numbers[by_key] = np.cumsum(fresh, dtype=numbers.dtype) - 1  # a position without an n-gram sorts first: -1
    first = np.flatnonzero(fresh)
    context, word = np.divmod(keys[first], vocabulary_size)
    raw = np.diff(first, append=len(keys)).astype(numbers.dtype)
    context = context.astype(numbers.dtype)
    suffix = ending_at[by_key[first]]
    level = _Counts(context, word.astype(np.int32), suffix, raw, raw, below.at_start[context])
    return level, numbers


def _keys(stream: NDArray[np.int32], ending_at: _IdArray, vocabulary_size: int, bos_id: int) -> NDArray[np.int64]:
    """Key of the n-gram that ends at each position ``[positions]``: context x vocabulary + word, or -1 for none."""
    keys = np.full(len(stream), -1, dtype=np.int64)
    np.multiply(ending_at[:-1], vocabulary_size, out=keys[1:], dtype=np.int64)
    keys[1:] += stream[1:]
    keys[1:][(ending_at[:-1] < 0) | (stream[1:] == bos_id)] = -1
    return keys


def _id_type(stream: NDArray[np.int32]) -> type[np.integer]:
    return np.int32 if len(stream) <= np.iinfo(np.int32).max else np.int64


def _closed_form(counts: _Counts, fallback: tuple[float, float, float]) -> Discounts:
    """Discounts from the counts of counts (Chen and Goodman 1998, equation 26)."""
    of_counts = np.bincount(np.minimum(counts.adjusted, 5), minlength=6)
    if counts.last is not None:
        of_counts[min(counts.adjusted[counts.last], 5)] -= 1
        of_counts[min(counts.raw[counts.last], 5)] += 1
    n1, n2, n3, n4 = (int(n) for n in of_counts[1:5])
    if 0 in (n1, n2, n3):
        return Discounts(fallback, fallback=True)
    y = n1 / (n1 + 2 * n2)
    amounts = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    if any(not 0 <= amount <= count for count, amount in enumerate(amounts, 1)):
        return Discounts(fallback, fallback=True)
    return Discounts(amounts, fallback=False)


def _interpolate(
    counts: list[_Counts], discounts: tuple[Discounts, ...], thresholds: tuple[int, ...], bos_id: int
) -> list[NgramTable]:
    """The table of every order, with the n-grams that pruning keeps."""
    tables: list[NgramTable] = []
    kept: NDArray[np.bool_] = np.ones(1, dtype=bool)  # order 0: the empty context, with the uniform distribution
    lower = np.array([1 / (len(counts[0].word) - 1)])
    for level, discount, threshold in zip(counts, discounts, thresholds, strict=True):
        above = level.raw > threshold if threshold and tables else np.ones(len(level.word), dtype=bool)
        total, weight = _context_totals(level, discount, above, len(kept))
        if tables:
            tables[-1] = replace(tables[-1], log_backoff=_log(weight[kept]))
        row = np.cumsum(kept, dtype=level.context.dtype) - 1
        context = level.context[above]
        adjusted = level.adjusted[above]
        lower = (adjusted - discount.of(adjusted)) / total[context] + weight[context] * lower[row[level.suffix[above]]]
        tables.append(NgramTable(row[context], level.word[above], _log(lower), None))
        kept = above
    tables[0].log_prob[bos_id] = 0
    return tables


def _context_totals(
    level: _Counts, discount: Discounts, kept: NDArray[np.bool_], contexts: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of every context the sum of its adjusted counts and the weight it leaves to the lower order ``[contexts]``.

    The weight is what discounting and pruning free, divided by the sum; 1 for a context that nothing follows.
    """
    total = cast("NDArray[np.float64]", np.bincount(level.context, level.adjusted, minlength=contexts))
    freed = np.where(kept, discount.of(level.adjusted), level.adjusted)
    weight = np.ones(contexts)
    np.divide(np.bincount(level.context, freed, minlength=contexts), total, out=weight, where=total > 0)
    return total, weight


def _log(probability: NDArray[np.float64]) -> NDArray[np.float32]:
    """Natural log, of 0 a number as small as float32 allows: an ARPA file has no place for infinity."""
    return np.log(np.clip(probability, 1e-37, 1.0)).astype(np.float32)
