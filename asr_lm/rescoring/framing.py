"""How foreign models are shown texts, chosen on a development list by the likelihood of its references.

What a tokeniser calls the beginning of a text need not begin one: for a model of chats it begins a turn. And a model
that read books expects capitals and full stops. So the tokens that may stand before and after a text are tried, and
texts as they are and as sentences; what makes the references likeliest, their ends included, is taken. An end that the
model expects less than chance would, one token of the vocabulary like any other, says nothing and is not scored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asr_lm.lm.protocol import LanguageModel
from asr_lm.rescoring.scoring.models import RescoringModel
from asr_lm.rescoring.scoring.specification import CASINGS, ReadingOptions

_MOST_REFERENCES = 100
_FEWEST_REFERENCES = 16
"""References that are looked at; large models get fewer, so that it takes seconds."""

_SHARE = 8
"""Part of the hypotheses that a model scores in 10 seconds which each trial may take."""

NOT_SCORED = "none"


@dataclass(frozen=True)
class Framing:
    """How a model reads texts.

    Attributes:
        options: begin, end and casing.
        log_prob: mean log-probability of the references that were looked at, in nats.
        before: the same as the tokeniser says, and as texts are.
    """

    options: ReadingOptions
    log_prob: float
    before: float


def choose_framings(models: Sequence[RescoringModel], references: Sequence[str]) -> dict[str, Framing]:
    """What is chosen for each model whose texts nobody described, by its name; the models read texts so from now on.

    Without references there is nothing to choose by.
    """
    found = {model.name: _choose(model, references) for model in models if model.is_to_frame and references}
    for model in models:
        if model.name in found:
            model.read_as(found[model.name].options)
    return found


def settle_framings(models: Sequence[RescoringModel], reading: dict[str, str]) -> None:
    """Have models read texts as they did when weights were tuned."""
    for model in models:
        if model.name in reading and model.is_to_frame:
            model.read_as(ReadingOptions.parse(reading[model.name]))


def _choose(model: RescoringModel, references: Sequence[str]) -> Framing:
    texts = _some(model, references)
    given, ends = model.given_options, model.model.text_ends
    default = ReadingOptions(None, given.begin or ends[0], given.end, given.casing or CASINGS[0])
    best = before = _tried(model, default, texts)
    for begin in ends[1:] if given.begin is None else ():
        best = max(best, _tried(model, ReadingOptions(None, begin, given.end, default.casing), texts), key=_likelihood)
    for casing in CASINGS[1:] if given.casing is None else ():
        begun = best.options.begin
        best = max(best, _tried(model, ReadingOptions(None, begun, given.end, casing), texts), key=_likelihood)
    return Framing(best.options, best.log_prob, before.log_prob)


def _likelihood(framing: Framing) -> float:
    return framing.log_prob


def _some(model: RescoringModel, references: Sequence[str]) -> list[str]:
    """References from all over the list, fewer for a large model; the same in every run."""
    quick = model.model.shard_hypotheses or _MOST_REFERENCES * _SHARE
    count = min(_MOST_REFERENCES, max(_FEWEST_REFERENCES, quick // _SHARE))
    spoken = [reference for reference in references if reference.strip()] or list(references)
    return spoken[:: max(1, math.ceil(len(spoken) / count))]


def _tried(model: RescoringModel, options: ReadingOptions, texts: Sequence[str]) -> Framing:
    """The mean likelihood of texts that begin and are written so, with the end that is likeliest after them."""
    scorer = model.model
    assert isinstance(scorer, LanguageModel)
    model.read_as(options)
    given = options.end
    asked = list(scorer.text_ends) if given is None else [given]
    within, after = _measured(scorer, texts, asked)
    if given == NOT_SCORED:
        return Framing(options, within, within)
    chance = -math.log(scorer.vocabulary.size)
    likeliest = max(after, key=lambda end: after[end])
    if given is None and after[likeliest] < chance:
        likeliest, after[likeliest] = NOT_SCORED, chance
    total = within + after[likeliest]
    return Framing(ReadingOptions(None, options.begin, likeliest, options.casing), total, total)


def _measured(scorer: LanguageModel, texts: Sequence[str], ends: Sequence[str]) -> tuple[float, dict[str, float]]:
    """Mean log-probability of texts without their ends, and of each end after them."""
    sentences, paths = scorer.encode(texts), []
    for end in ends:
        scorer.frame(end=end)
        paths += [np.append(sentence, scorer.vocabulary.eos_id).astype(np.int32) for sentence in sentences]
    # One tree: the texts are read once, whatever may come after them.
    values = scorer.token_log_probs(paths)
    within = float(np.mean([row[:-2].sum() for row in values[: len(sentences)]]))
    last = np.array([row[-2] for row in values]).reshape(len(ends), len(sentences)).mean(axis=1)
    return within, dict(zip(ends, last.tolist(), strict=True))
