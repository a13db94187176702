"""The work of ``generate``: models write, and what they wrote is shown with its probabilities."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from itertools import islice
from typing import Any

from asr_lm.counted import counted
from asr_lm.errors import InputError
from asr_lm.files import write_text
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.lm.device import resolve_device
from asr_lm.lm.generation import GeneratedText, Sampling, generate
from asr_lm.lm.protocol import Ranker
from asr_lm.lm.scoring.conditional import ConditionalModel
from asr_lm.rescoring.scoring.models import open_model
from asr_lm.rescoring.scoring.specification import name_and_path, reading_options
from asr_lm.text.normalizer import get_normalizer
from pipelines.command import check_outputs, console
from pipelines.display import say, warn
from pipelines.generate import Arguments

_LN_10 = math.log(10)


def generate_texts(arguments: Arguments) -> None:
    """Let models write, print and keep it.

    Raises:
        InputError: a model that cannot write, or options that do not go together.
    """
    check_outputs([arguments.json], [arguments.nbest])
    sampling = Sampling(arguments.temperature, arguments.top_k, arguments.seed, arguments.longest)
    if not arguments.lm:
        say("no --lm given: the packaged model writes")
    records = [
        record
        for specification in arguments.lm or ("default",)
        for record in _of_model(specification, arguments, sampling)
    ]
    if arguments.json:
        write_text(arguments.json, json.dumps(records, indent=2) + "\n")


def _of_model(specification: str, arguments: Arguments, sampling: Sampling) -> Iterator[dict[str, Any]]:
    """Print what a model writes; the same as JSON, one record a text."""
    name, path = name_and_path(specification)
    model = open_model(path, resolve_device(arguments.device), reading_options(specification))
    _warn_of_unknown_words(name, model, arguments.prompt)
    output = console(stderr=False)
    output.print(f"{name} ({model.family})", markup=False, soft_wrap=True, style="bold")
    for utterance in _utterances(model, arguments):
        heard = None if utterance is None else [hypothesis.text for hypothesis in utterance.hypotheses]
        texts = generate(model, arguments.prompt, number=arguments.number, sampling=sampling, heard=heard)
        if utterance is not None:
            output.print(f"{utterance.id}, heard: {utterance.hypotheses[0].text}", markup=False, soft_wrap=True)
        for number, text in enumerate(texts, 1):
            output.print(_shown(number, text), markup=False, soft_wrap=True)
            yield {"lm": name, **({} if utterance is None else {"utterance": utterance.id}), **_record(text)}


def _utterances(model: Ranker, arguments: Arguments) -> list[Utterance] | list[None]:
    """What to write for: the first utterances of the list, or once for nothing."""
    if arguments.nbest is None:
        return [None]
    if not isinstance(model, ConditionalModel):
        message = f"a model of family {model.family!r} writes without a list; leave it out"
        raise InputError(message, parameter="nbest")
    if arguments.utterances < 1:
        raise InputError(f"expected a number above 0, not {arguments.utterances}", parameter="utterances")
    return list(islice(read_nbest(arguments.nbest), arguments.utterances))


def _warn_of_unknown_words(name: str, model: Ranker, prompt: str) -> None:
    text = get_normalizer(model.normalizer)(prompt)
    if unknown := model.vocabulary.unknown_words(text):
        words, verb = counted(len(text.split()), "word"), "is" if unknown == 1 else "are"
        warn(f"{unknown} of {words} of the prompt {verb} unknown to {name}")


def _shown(number: int, text: GeneratedText) -> str:
    """The text, and under it every word with its probability."""
    words = "  ".join(
        f"{word} {math.exp(value):.3g}" for word, value in zip(text.words, text.log_probs.tolist(), strict=True)
    )
    broken_off = "" if text.ended else " …"
    written = " ".join(text.text.split())
    return f"{number}. {written}{broken_off}\n   {words}  (log10 {text.log_prob / _LN_10:.2f})"


def _record(text: GeneratedText) -> dict[str, Any]:
    words = [
        {"word": word, "probability": math.exp(value), "log_prob": value}
        for word, value in zip(text.words, text.log_probs.tolist(), strict=True)
    ]
    return {"text": text.text, "ended": text.ended, "log_prob": text.log_prob, "words": words}
