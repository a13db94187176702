"""``train mixture``: weights of trained models on a validation text, and the folder of their mixture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from pipelines.command import blaming, console
from pipelines.display import warn

if TYPE_CHECKING:
    from asr_lm.lm.mixtures.estimation import MixtureTraining


@dataclass
class Mixture:
    """Mixture of trained models: weights with the highest likelihood on a validation text.

    The folder names its members by path and fingerprint; it is a model like any other for --lm.

    Attributes:
        lm: Member: a trained folder, an ARPA or KenLM file, or "default"; NAME=PATH names it. Give two or more. Members
            over the same tokens are mixed token by token, others word by word.
        valid: Text that no member was trained on, one sentence a line (.gz and .zst are read).
        out: Folder of the mixture.
        kind: Weighted mean of the probabilities, or normalised product of their powers (causal models over the same
            tokens; every score then costs a distribution over all tokens).
        context: Read each sentence of the validation text from a fresh state, or all in order, recurrent members with
            their state carried over.
        copy: Copy the members into the folder instead of naming where they lie.
        device: cpu, cuda, or auto.
    """

    lm: Annotated[tuple[str, ...], tyro.conf.UseAppendAction]
    valid: Path
    out: Path
    kind: Literal["linear", "log-linear"] = "linear"
    context: Literal["sentence", "stream"] = "sentence"
    copy: bool = False
    device: str = "auto"


def train(arguments: Mixture) -> None:
    """Make the mixture.

    Raises:
        InputError: as :func:`asr_lm.lm.mixtures.estimation.train_mixture`, or no such model.
    """
    from asr_lm.lm.loading import load, resolve_device
    from asr_lm.lm.mixtures.estimation import train_mixture
    from asr_lm.lm.mixtures.members import Member
    from asr_lm.lm.protocol import language_model
    from asr_lm.rescoring.scoring.models import name_and_path

    device = resolve_device(arguments.device)
    named = [name_and_path(specification) for specification in arguments.lm]
    members = [Member(name, language_model(load(path, device)), path) for name, path in named]
    with blaming(str(arguments.valid)), console().status("finding weights"):
        result = train_mixture(
            members,
            arguments.valid,
            arguments.out,
            kind=arguments.kind,
            carry_state=arguments.context == "stream",
            copy=arguments.copy,
            open_model=lambda path: load(path, device),
        )
    _report(arguments.out, result)


def _alone(perplexity: float) -> str:
    if math.isinf(perplexity):
        return "alone it knows not all the words that the others know"
    return f"validation perplexity alone {perplexity:,.2f}"


def _report(folder: Path, result: MixtureTraining) -> None:
    from asr_lm.text.sentence_hashes import OVERLAP_WARNING

    output = console()
    mixture = result.mixture
    for number, (member, weight) in enumerate(zip(mixture.members, mixture.weights.tolist(), strict=True)):
        alone = f", {_alone(result.alone[number])}" if result.alone else ""
        output.print(f"  {member.name}: weight {weight:.4f}{alone}", markup=False, soft_wrap=True)
    for name, share in result.overlaps.items():
        if share > OVERLAP_WARNING:
            message = f"{100 * share:.1f} % of the validation sentences are in the training text of {name}"
            warn(f"{message}, so its weight may be too high")
    steps = len(result.interpolation.log_likelihood)
    folds = f", {result.folds} jackknife mixtures" if result.folds else ""
    line = f"{folder}: validation perplexity {result.perplexity:,.2f} after {steps} iterations{folds}"
    output.print(line, markup=False, soft_wrap=True)
