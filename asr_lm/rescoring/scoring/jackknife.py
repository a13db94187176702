"""Honest tuning: development utterances scored by models that have not seen their references.

A model gives sentences it was trained on better scores than it will ever give again. Where references of the
development list are in the training text, its scores there look more reliable than they are, tuning trusts the model
too much, and the test list pays for it. So weights never come from an utterance whose reference the scoring model was
trained on: besides the model that will be used, K fold models are trained, each without one fold of the sentences
(:func:`asr_lm.text.sentence_hashes.fold_of`), and every development utterance is scored by one that did without its
reference. The weights are then applied with the full model.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.text.sentence_hashes import SentenceHashes


def unseen_by(utterances: Sequence[Utterance], seen: Sequence[SentenceHashes]) -> NDArray[np.int64]:
    """For each utterance the first model whose training text does not hold its reference ``[utterances]``.

    Put the full model first and it scores whatever is new to it, as it will on the test list. An utterance without a
    reference, which no weights are tuned on, goes to the first model.

    Args:
        utterances: the development list.
        seen: the training sentences of each model.

    Raises:
        InputError: every model has seen some reference.
    """
    found = np.zeros((len(seen), len(utterances)), dtype=bool)
    known = [number for number, utterance in enumerate(utterances) if utterance.reference is not None]
    references = [utterances[number].reference or "" for number in known]
    for model, hashes in enumerate(seen):
        found[model, known] = hashes.contains(references)
    hopeless = np.flatnonzero(found.all(0))
    if len(hopeless):
        raise InputError(
            f"the references of {len(hopeless)} of {len(utterances)} utterances, this one first, are in the training"
            f" text of all {len(seen)} models, so their scores are no measure for weights; leave them out of the"
            " development list, or train fold models that split the text by sentence",
            utterance=utterances[hopeless[0]].id,
        )
    return found.argmin(0)
