"""The functions of ``import asr_lm``: lists and models in, values out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from asr_lm.errors import InputError
from asr_lm.evaluation.comparison import Comparison
from asr_lm.hypotheses import reading, writing
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.lm.protocol import Ranker
from asr_lm.progress import Progress
from asr_lm.rescoring import development, second_pass
from asr_lm.rescoring.default_model import ScoreKind
from asr_lm.rescoring.scoring.models import RescoringModel, as_models
from asr_lm.rescoring.scoring.scorer import ScoreCache
from asr_lm.rescoring.scoring.specification import ReadingOptions
from asr_lm.rescoring.second_pass import Rescored
from asr_lm.rescoring.settings import Measuring, Scoring
from asr_lm.rescoring.systems import systems_for_comparison
from asr_lm.rescoring.tuned import Tuned
from asr_lm.rescoring.weights import Weights

NBest = str | Path | Iterable[Utterance]
"""An n-best list: its path, or the utterances in memory or from a generator."""

Model = str | Path | Ranker | RescoringModel
"""A model: what :func:`load` gives, a language model, or what :func:`load` takes."""


def read_nbest(path: str | Path, format: str | None = None, **how: Any) -> list[Utterance]:
    """The utterances of an n-best list in any form that is known.

    Args:
        path: a file or a folder.
        format: name of the format; None recognises it by the content.
        how: see :func:`asr_lm.hypotheses.reading.read_nbest`.

    Raises:
        InputError: there is no such list, its form is unknown, or something in it is wrong.

    >>> import asr_lm
    >>> first, *rest = asr_lm.read_nbest("data/sample/test.json")
    >>> len(rest), first.hypotheses[0].text == first.reference
    (199, False)
    """
    return list(reading.read_nbest(str(path), format, **how))


def write_nbest(path: str | Path, utterances: NBest) -> None:
    """Write an n-best list; the suffix says in which form (``.json``, ``.jsonl``, ``.trn``, ``.ctm``, with ``.gz``).

    Raises:
        InputError: the suffix names no form, or the file cannot be written.

    >>> import asr_lm, tempfile, pathlib
    >>> lists = [asr_lm.Utterance("u1", (asr_lm.Hypothesis("late again", {"acoustic": -4.0}),))]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     asr_lm.write_nbest(pathlib.Path(folder, "lists.jsonl"), lists)
    ...     asr_lm.read_nbest(pathlib.Path(folder, "lists.jsonl")) == lists
    True
    """
    writing.write_nbest(str(path), _utterances(utterances))


def load(
    model: str | Path,
    *,
    name: str | None = None,
    normalizer: str | None = None,
    begin: str | None = None,
    end: str | None = None,
    casing: str | None = None,
    device: str = "auto",
    budget: int | None = None,
    cache_folder: str | Path | None = None,
) -> RescoringModel:
    """Open a language model.

    Args:
        model: a trained folder, an ARPA or KenLM file, ``hf:NAME``, or ``default`` for the packaged one.
        name: of its scores in lists; None takes that of the file or folder.
        normalizer: what texts go through before the model reads them, as ``upper`` or ``librispeech-upper`` for an
            ARPA file in capitals; None takes what the model's folder says, and nothing for a bare file.
        begin: the token before a text, for models of Hugging Face; None: what a development list says, else what the
            tokeniser says.
        end: the token after a text, likewise, or ``none``: the end is not scored.
        casing: ``as-is``, or ``sentence``: a capital and a full stop.
        device: ``cpu``, ``cuda`` or ``auto``.
        budget: most prefix-tree nodes in memory at once.
        cache_folder: where scores are kept for the next time; None keeps none.

    Returns:
        A model with ``log_prob(texts)``; its ``model`` is the language model itself.

    Raises:
        InputError: no model there, or a damaged one; no such normaliser, token or casing.

    >>> import asr_lm
    >>> model = asr_lm.load("default")
    >>> plain, dressed, odd = model.log_prob(["the ferry is late", "The ferry is late.", "the fairy is lathe"])
    >>> bool(plain == dressed > odd)
    True
    """
    specification = str(model) if name is None else f"{name}={model}"
    cache = ScoreCache(None if cache_folder is None else Path(cache_folder))
    options = ReadingOptions(normalizer, begin, end, casing)
    return RescoringModel.open(specification, device=device, cache=cache, budget=budget, options=options)


def tune(
    dev: NBest,
    models: Model | Sequence[Model],
    *,
    combinations: Sequence[str] = (),
    subtract: Sequence[str] = (),
    rules: Sequence[str] = (),
    measuring: Measuring | None = None,
    scoring: Scoring | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Tuned:
    """Weights tuned on a development list: of the first pass alone, of each model, and of all together.

    Held-out utterances of the list choose which of them decides, or the first pass as it is.

    Args:
        dev: a list with references.
        models: the models.
        combinations: further systems, each as ``A+B``.
        subtract: names of models or first-pass scores that may only count against a hypothesis.
        rules: decision rules that get a row of their own, besides the best total: ``mbr``, ``rover``.
        measuring: how errors are counted.
        scoring: how hypotheses are scored.
        force: all together decide, whatever held-out utterances say.
        progress: is told.

    Returns:
        ``tuned.systems.final`` names the system that decides, ``tuned.weights`` are its weights,
        ``tuned.by_system`` all of them; ``tuned.save(path)`` writes them.

    Raises:
        InputError: no reference, or as reading and scoring raise it.

    >>> import asr_lm
    >>> tuned = asr_lm.tune(asr_lm.read_nbest("data/sample/dev.json")[:30], "default")
    >>> list(tuned.by_system), tuned.systems.final  # held out, the model wins even on 30 utterances
    (['retuned', 'default', 'default, shrunk'], 'default, shrunk')
    """
    opened = as_models(models)
    systems = systems_for_comparison([model.name for model in opened], combinations, subtract).with_rules(rules)
    return development.tune(
        _utterances(dev),
        opened,
        systems,
        measuring=measuring,
        scoring=scoring,
        signs=dict.fromkeys(subtract, -1),
        force=force,
        progress=progress,
    )


def rescore(
    test: NBest,
    models: Model | Sequence[Model],
    tuned: Tuned | Weights | str | Path | None = None,
    *,
    score_kind: ScoreKind | None = None,
    measuring: Measuring | None = None,
    scoring: Scoring | None = None,
    progress: Progress | None = None,
) -> Rescored:
    """A list with its hypotheses reordered by what models say of them.

    Args:
        test: a list that the weights were not tuned on.
        models: the models.
        tuned: what :func:`tune` gave, weights, or the file of weights; None takes the packaged default weights.
        score_kind: what the first-pass scores are, for the default weights: ``sum``, ``mean`` or ``rank``; None
            recognises it.
        measuring: how errors are counted.
        scoring: how hypotheses are scored.
        progress: is told.

    Returns:
        ``result.utterances``, ``result.table`` with all features, and ``result.comparison()`` where references are.

    Raises:
        InputError: the list is the one that the weights were tuned on, or as reading and scoring raise it.

    >>> import asr_lm
    >>> test = asr_lm.read_nbest("data/sample/test.json")[:40]
    >>> result = asr_lm.rescore(test, "default")
    >>> comparison = result.comparison()
    >>> comparison["rescored"].counts.errors < comparison["first_pass"].counts.errors
    True
    """
    opened = as_models(models)
    shards = second_pass.rescore(
        _utterances(test),
        opened,
        as_tuned(tuned, opened),
        kind=score_kind,
        measuring=measuring,
        scoring=scoring,
        progress=progress,
    )
    return Rescored.concatenate(list(shards))


def compare(dev: NBest, test: NBest, models: Model | Sequence[Model], **how: Any) -> Comparison:
    """Error rates of the first pass, of each model and of all together: tuned on one list, measured on another.

    Args:
        dev: a list with references, which weights are tuned on.
        test: a list with references, which is reported on.
        models: the models.
        how: further arguments of :func:`tune`; ``measuring``, ``scoring`` and ``progress`` hold for both lists.

    Raises:
        InputError: as :func:`tune` and :func:`rescore` raise it.

    >>> import asr_lm
    >>> dev, test = asr_lm.read_nbest("data/sample/dev.json")[:20], asr_lm.read_nbest("data/sample/test.json")[:20]
    >>> [result.name for result in asr_lm.compare(dev, test, "default").systems]
    ['first_pass', 'retuned', 'default', 'oracle', 'compositional_oracle']
    """
    opened = as_models(models)
    both = {name: value for name, value in how.items() if name in ("measuring", "scoring", "progress")}
    return rescore(test, opened, tune(dev, opened, **how), **both).comparison()


def decode(audio: Any, model: Any, **how: Any) -> Iterator[Utterance]:
    """N-best lists of speech; see :func:`asr_lm.acoustic.decoding.decode`.

    >>> import asr_lm
    >>> heard = next(asr_lm.decode("data/sample/audio", "data/sample/model", nbest=3, beam=20))
    >>> len(heard.hypotheses)
    3
    """
    # Late: torchaudio is only there for those who decode.
    from asr_lm.acoustic.decoding import decode as decoded

    return decoded(audio, model, **how)


def as_tuned(tuned: Tuned | Weights | str | Path | None, models: Sequence[RescoringModel]) -> Tuned | None:
    """Weights in whatever form as those of a list's systems."""
    if isinstance(tuned, str | os.PathLike):
        tuned = Weights.load(tuned)
    return Tuned.of_weights(tuned, models) if isinstance(tuned, Weights) else tuned


def _utterances(source: NBest) -> Iterable[Utterance]:
    if isinstance(source, str | os.PathLike):
        return reading.read_nbest(str(source))
    if isinstance(source, Utterance):
        raise InputError("one utterance, a list of them was expected: give [utterance]")
    return source
