"""Weights of listed phrases, found beside those of everything else.

Everything else is weighed as if no phrase were listed. Then the weights of phrases are found, with the total of
everything else as one more feature. So a list of hypotheses without any phrase is decided as it is without them, and
phrases that were not said do no harm but where they stand. Weights that are all found together move a little wherever
phrases are listed, and that costs more than the phrases do.

Measured on one half of the speakers of LibriSpeech's development list (CTC, 269 utterances) with the weights of the
other half, both ways, no language model, 1,000 distractors for each utterance, the mean of three draws of them: found
together, phrases lowered the word error rate from 9.52 to 9.21, and distractors alone raised it to 9.60; beside
everything else, to 9.07 and to 9.56.

Development lists say how often phrases are said there, and other lists may hold nothing that is. So what phrases would
have cost, had none of them been said, is counted on the development list, too: what an utterance said is taken from
its list, and near misses that became it are left out. The weight of phrases is lowered until that cost is small
(figures in tests/benchmarks/README.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from asr_lm.rescoring.decisions import choosable_table
from asr_lm.rescoring.features.table import PHRASE_LETTERS, PHRASES, PHRASES_UNSAID, Column, FeatureTable
from asr_lm.rescoring.tuning.tune import completed, searched
from asr_lm.rescoring.weights import Weights

MOST_HARM = 0.1
"""Points of error rate that phrases may cost on the development list, had none of them been said there."""

STEPS = 20
"""Steps in which their weight is lowered."""

PHRASE_KINDS = ("phrases", "near miss")

TOTAL = Column("total of everything else", "first-pass")

FitRest = Callable[[FeatureTable, Sequence[str]], Weights]
"""Finds the weights of some features."""


def weights_beside_phrases(table: FeatureTable, features: Sequence[str], fit: FitRest) -> Weights:
    """Weights of features, those of listed phrases last.

    Args:
        table: the development list.
        features: what to weight, with or without phrases.
        fit: finds the weights of everything else, on the hypotheses that are there without phrases.

    Raises:
        InputError: as tuning raises it.
    """
    listed = [column.name for column in table.kinds(features) if column.kind in PHRASE_KINDS]
    rest = [name for name in features if name not in listed]
    weights = fit(choosable_table(table, rest), rest)
    if not listed:
        return weights
    beside = searched(table.with_columns([(TOTAL, weights.totals(table))]), [TOTAL.name, *listed])
    total = beside.pop(TOTAL.name, 1.0)
    found = completed(table, features, {name: total * value for name, value in weights.values.items()} | beside)
    if PHRASES_UNSAID not in table.names or (share := harmless_share(table, found)) == 1:
        return found
    return completed(table, features, found.values | {PHRASES: share * found.values[PHRASES]})


def harmless_share(table: FeatureTable, weights: Weights) -> float:
    """The largest share of the weight of :data:`PHRASES` that does little harm where no listed phrase is said.

    Args:
        table: the development list, with what phrases are worth that were not said.
        weights: with those of phrases.

    Returns:
        The share, from 0 to 1, by which phrases would cost at most :data:`MOST_HARM`.
    """
    worth = weights.values[PHRASES]
    others = weights.replaced(values={name: value for name, value in weights.values.items() if name != PHRASES})
    heard = table.column(PHRASE_LETTERS) == 0
    plain = table.select_rows(heard)
    without = plain.word_errors(plain.lists.best(others.totals(plain)))
    most = without.errors + MOST_HARM / 100 * without.reference_length
    # Near misses that became what was said would not be there.
    imagined = table.select_rows(heard | (table.column(PHRASES_UNSAID) == table.column(PHRASES)))
    totals, gains = others.totals(imagined), worth * imagined.column(PHRASES_UNSAID)
    for step in range(STEPS, 0, -1):
        share = step / STEPS
        if imagined.word_errors(imagined.lists.best(totals + share * gains)).errors <= most:
            return share
    return 0.0
