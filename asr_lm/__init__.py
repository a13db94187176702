"""asr_lm: a second pass for speech recognition.

Hypotheses of a recogniser, n-best lists or lattices, are scored with language models trained here, the scores are
combined with weights tuned on a development list, and the result is measured against references::

    import asr_lm

    dev, test = asr_lm.read_nbest("dev.json"), asr_lm.read_nbest("test.json")
    models = [asr_lm.load("runs/harbour"), asr_lm.load("default")]
    tuned = asr_lm.tune(dev, models)
    result = asr_lm.rescore(test, models, tuned)
    print(result.comparison()["rescored"].counts.rate)

Values go in and values come out: nothing is printed and no file is written but by :func:`write_nbest` and ``save``.
Warnings go to the logger ``asr_lm``. Wrong input raises :class:`InputError`.

The rooms: :mod:`asr_lm.text` (normalisers, vocabularies), :mod:`asr_lm.lm` (language models), :mod:`asr_lm.hypotheses`
(n-best lists), :mod:`asr_lm.lattice`, :mod:`asr_lm.acoustic` (recognisers), :mod:`asr_lm.rescoring` (scores, weights,
decisions), :mod:`asr_lm.evaluation` (errors and their statistics), :mod:`asr_lm.report`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asr_lm.errors import InputError
    from asr_lm.evaluation.comparison import Comparison
    from asr_lm.hypotheses.utterance import Hypothesis, Utterance
    from asr_lm.interface import compare, decode, load, read_nbest, rescore, tune, write_nbest
    from asr_lm.rescoring.rescorer import Rescorer
    from asr_lm.rescoring.weights import Weights

__version__ = "0.2.0"

__all__ = [
    "Comparison",
    "Hypothesis",
    "InputError",
    "Rescorer",
    "Utterance",
    "Weights",
    "compare",
    "decode",
    "load",
    "read_nbest",
    "rescore",
    "tune",
    "write_nbest",
]

_HOMES = {
    "Comparison": "asr_lm.evaluation.comparison",
    "Hypothesis": "asr_lm.hypotheses.utterance",
    "InputError": "asr_lm.errors",
    "Rescorer": "asr_lm.rescoring.rescorer",
    "Utterance": "asr_lm.hypotheses.utterance",
    "Weights": "asr_lm.rescoring.weights",
}
"""Where the classes are; the functions are in :mod:`asr_lm.interface`. Nothing is imported before it is used."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "asr_lm.interface")), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
