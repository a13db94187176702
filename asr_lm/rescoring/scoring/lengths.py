"""What the length of a hypothesis is the length of."""

from __future__ import annotations

from collections.abc import Sequence

from asr_lm.lm.protocol import Ranker
from asr_lm.text.normalizer import Normalizer, get_normalizer

_AS_IS = "as-is"


def length_normalizer(models: Sequence[Ranker]) -> Normalizer:
    """The normaliser that texts go through before their words and characters are counted.

    Lengths make up for what a model charges a longer text, so they are those of the text that it reads: punctuation
    that its normaliser drops must not count. It is the normaliser of the first model that changes texts, and ``as-is``
    where none does.
    """
    names = [model.normalizer for model in models if model.normalizer != _AS_IS]
    return get_normalizer(names[0] if names else _AS_IS)
