"""What a bare ``rescore`` uses: the packaged general-English model, and weights for each kind of first-pass score.

The folder ``asr_lm/rescoring/default`` holds the model (SentencePiece with byte fallback, so nothing is unknown) and
``weights.json``, tuned once on the packaged development list.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Literal, get_args

import msgspec
import numpy as np

from asr_lm.counted import counted
from asr_lm.errors import InputError
from asr_lm.hypotheses.field_names import is_count
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.rescoring.features.lists import Values
from asr_lm.rescoring.features.table import CHARACTERS, RANK, RECORDING, WORDS, FeatureTable
from asr_lm.rescoring.weights import Weights

DEFAULT = "default"
"""Name of the packaged model wherever a model is asked for."""

ScoreKind = Literal["sum", "mean", "rank"]
"""What the first pass tells of a hypothesis: the log-probability of the whole utterance (``sum``), its average a token
(``mean``), or nothing but the order (``rank``)."""

LENGTH_CORRELATION = 0.5
"""Correlation of the first hypothesis' score with its length, from which on scores are taken for sums."""

MEAN_LARGEST = 5.0
"""Average log-probabilities a token are smaller than this in size."""

FEWEST = 20
"""Utterances from which on a correlation tells sums from averages."""


def default_folder() -> Path:
    """The packaged model's folder."""
    return Path(__file__).parent / "default"


def score_kind(utterances: Sequence[Utterance]) -> ScoreKind:
    """Recognise what kind of score a list has.

    Without scores it is ``rank``. The log-probability of an utterance grows with its length, an average does not:
    scores are ``sum`` when those of the first hypotheses correlate with their number of characters by at least 0.5
    (in size), or when they are larger than averages a token can be (median size above 5); else ``mean``. Lists with
    several scores are ``sum``: recognisers give the parts of a total, not of an average. So are lists with a score and
    the number of tokens that it was summed over.

    Of fewer than :data:`FEWEST` utterances a correlation says nothing: then small scores are a ``mean``, which trusts a
    language model the less (:func:`doubt_of_kind`).
    """
    scores = utterances[0].hypotheses[0].scores.keys() - {RECORDING}
    names = [name for name in scores if not is_count(name)]
    if not names:
        return "rank"
    if len(scores) > 1:
        return "sum"
    first = [utterance.hypotheses[0] for utterance in utterances]
    lengths = [len(hypothesis.text) for hypothesis in first]
    return _kind(np.array([hypothesis.scores[names[0]] for hypothesis in first]), np.array(lengths, dtype=float))


def _kind(scores: Values, lengths: Values) -> ScoreKind:
    """The kind of the only score, from those of the first hypotheses and their characters ``[utterances]``."""
    size = np.abs(scores)
    if float(np.median(size)) > MEAN_LARGEST:
        return "sum"
    if len(size) < FEWEST or size.std() == 0 or lengths.std() == 0:
        return "mean"
    return "sum" if float(np.corrcoef(size, lengths)[0, 1]) >= LENGTH_CORRELATION else "mean"


def is_average(table: FeatureTable) -> bool:
    """Whether the recogniser gave one score, and of the kind ``mean``; see :func:`score_kind`."""
    scores = [column for column in table.columns if column.kind in ("first-pass", "length")]
    scores = [column for column in scores if column.name not in (WORDS, CHARACTERS)]
    if [column.kind for column in scores] != ["first-pass"]:
        return False
    starts = table.lists.starts
    lengths = np.array([len(table.texts[row]) for row in starts.tolist()], dtype=float)
    return _kind(table.column(scores[0].name)[starts], lengths) == "mean"


def doubt_of_kind(utterances: Sequence[Utterance]) -> str | None:
    """What a reader must know where the kind of the scores was hard to tell; None where it is plain."""
    if score_kind(utterances) != "mean" or len(utterances) >= FEWEST:
        return None
    count = f"{counted(len(utterances), 'utterance is', 'utterances are')}"
    return (
        f"{count} too few to tell whether the score is that of an utterance or an average a token; taken for an average"
        ", which trusts the language model less: say it with `score_kind=sum` or `score_kind=mean`"
    )


class DefaultWeights(msgspec.Struct, frozen=True):
    """Weights by kind of score.

    Attributes:
        model: weight of the language models' log-probability, together.
        words: weight of the number of words.
        characters: weight of the number of characters; it makes up for what the model charges a longer text.
        first_pass: weight of :func:`first_pass_total`.
        note: how they were found.
    """

    model: float
    words: float
    characters: float
    first_pass: float
    note: str = ""


def read_default_weights() -> dict[ScoreKind, DefaultWeights]:
    """The packaged weights.

    Raises:
        InputError: they are missing or damaged.
    """
    path = default_folder() / "weights.json"
    try:
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, DefaultWeights])
        return {kind: found[kind] for kind in get_args(ScoreKind)}
    except (OSError, msgspec.MsgspecError, KeyError) as error:
        raise InputError(
            f"the packaged default weights cannot be read ({error}); install asr_lm again", file=path
        ) from None


FIRST_PASS_TOTAL = "first_pass_total"
"""Column that the default weights apply to: see :func:`first_pass_total`."""


def first_pass_total(table: FeatureTable, kind: ScoreKind) -> Values:
    """The one first-pass figure that default weights know ``[rows]``: larger is better.

    ``sum``: the sum of all first-pass scores. ``mean``: the average times the mean number of characters of the list's
    hypotheses, so that it weighs against a language model's sum as a sum does, and the recogniser's order within the
    list stays. ``rank``: ``-log(1 + rank)``.

    Raises:
        InputError: the list has no scores, and the kind is not ``rank``.
    """
    if kind == "rank":
        return table.column(RANK)
    names = [column.name for column in table.columns if column.kind == "first-pass"]
    if not names:
        raise InputError(f"the list has no scores, so its kind is rank, not the {kind} of `score_kind=`")
    total: Values = table.features(names).sum(axis=1)
    lists = table.lists
    return total * lists.per_row(lists.total(table.column(CHARACTERS)) / lists.lengths) if kind == "mean" else total


FOREIGN_SHARE = 0.3
"""Part of the packaged model's weight that a model trained elsewhere gets: what it is worth is not known."""


def default_weights(
    kind: ScoreKind,
    models: Iterable[str],
    unknown: Iterable[str],
    foreign: Collection[str] = (),
    strange: Collection[str] = (),
) -> Weights:
    """The packaged weights as weights of a table with the column :data:`FIRST_PASS_TOTAL`.

    Args:
        kind: of the first-pass score.
        models: names of the models' columns; they share the weight of the model.
        unknown: names of the columns that count unknown words; each is charged ten nats of its model.
        foreign: names of models that get :data:`FOREIGN_SHARE` of what another one gets.
        strange: names of models that get nothing, since they do not know the list's words.
    """
    packaged = read_default_weights()[kind]
    names = list(models)
    share = packaged.model / max(len(set(names) - set(strange)), 1)
    shares = {name: share * (FOREIGN_SHARE if name in foreign else 1.0) * (name not in strange) for name in names}
    # The weights of lengths make up for what models charge: less where these count less.
    part = sum(shares.values()) / packaged.model if names and packaged.model else 1.0
    values = {FIRST_PASS_TOTAL: packaged.first_pass, WORDS: part * packaged.words}
    values |= {CHARACTERS: part * packaged.characters, **shares}
    values |= dict.fromkeys(unknown, -10.0 * share)
    return Weights(values=values)
