"""``train mixture``: weights of trained models on a validation text, and the folder of their mixture."""

from __future__ import annotations

import math
from pathlib import Path

from asr_lm.errors import InputError
from asr_lm.lm.device import resolve_device
from asr_lm.lm.loading import load_model
from asr_lm.lm.mixtures.estimation import MixtureTraining, train_mixture
from asr_lm.lm.mixtures.members import Member
from asr_lm.lm.protocol import language_model
from asr_lm.rescoring.scoring.specification import name_and_path, reading_options
from asr_lm.text.sentence_hashes import OVERLAP_WARNING
from pipelines.command import blaming, console
from pipelines.display import perplexities, warn
from pipelines.train_options import Mixture
from pipelines.train_record import asked_for, is_trained, tell_done


def mix(options: Mixture) -> None:
    """Make the mixture.

    Raises:
        InputError: as :func:`asr_lm.lm.mixtures.estimation.train_mixture`, or no such model.
    """
    asked = asked_for("mixture", options)
    if is_trained(options.out, asked):
        return tell_done([options.out])
    device = resolve_device(options.device)
    if chosen := next((given for given in options.lm if str(reading_options(given))), None):
        raise InputError(
            f"the members of a mixture keep their normalisers, so give {chosen!r} without one", parameter="lm"
        )
    named = [name_and_path(specification) for specification in options.lm]
    members = [Member(name, language_model(load_model(path, device)), path) for name, path in named]
    with blaming(str(options.valid)), console().status("finding weights"):
        result = train_mixture(
            members,
            options.valid,
            options.out,
            kind=options.kind,
            carry_state=options.context == "stream",
            copy=options.copy,
            asked=asked,
            open_model=lambda path: load_model(path, device),
        )
    _report(options.out, result)


def _alone(result: MixtureTraining, perplexity: float) -> str:
    if math.isinf(perplexity):
        return "alone it knows not all the words that the others know"
    return f"alone validation {perplexities(result.per_word(perplexity), perplexity)}"


def _report(folder: Path, result: MixtureTraining) -> None:
    output = console()
    mixture = result.mixture
    for number, (member, weight) in enumerate(zip(mixture.members, mixture.weights.tolist(), strict=True)):
        alone = f", {_alone(result, result.alone[number])}" if result.alone else ""
        output.print(f"  {member.name}: weight {weight:.4f}{alone}", markup=False, soft_wrap=True)
    for name, share in result.overlaps.items():
        if share > OVERLAP_WARNING:
            message = f"{100 * share:.1f} % of the validation sentences are in the training text of {name}"
            warn(f"{message}, so its weight may be too high")
    steps = len(result.interpolation.log_likelihood)
    folds = f", {result.folds} jackknife mixtures" if result.folds else ""
    figures = perplexities(result.per_word(result.perplexity), result.perplexity)
    line = f"{folder}: validation {figures} after {steps} iterations{folds}"
    output.print(line, markup=False, soft_wrap=True)
