"""Arguments that ``rescore`` and ``compare`` share: lists, models, how to count, and what is said of a result."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from pipelines.command import OptionalInt, OptionalPath, blaming, console, unless_given
from pipelines.display import scoring_progress
from pipelines.list_options import ListOptions, read

if TYPE_CHECKING:
    from asr_lm.evaluation.comparison import Comparison
    from asr_lm.hypotheses.utterance import Utterance
    from asr_lm.rescoring.correction import Correction
    from asr_lm.rescoring.scoring.models import RescoringModel
    from asr_lm.rescoring.second_pass import Development, Measuring, SecondPass


@dataclass(kw_only=True)
class Common(ListOptions):
    """Options of ``rescore`` and ``compare``.

    Attributes:
        lm: Language model: a trained folder, an ARPA or KenLM file, a folder of Hugging Face's transformers, hf:NAME of
            their hub, a GGUF file, one of these three with a LoRA adapter as BASE+ADAPTER, or "default" (the packaged
            one); NAME=PATH names its column. May be given several times.
        decision: Take the hypothesis with the best total, or that with the fewest expected errors (minimum Bayes risk);
            by default what --weights say, else the best.
        subtract: Name of a model, or of a first-pass score, that may only count against a hypothesis. compare shows
            every system without a subtracted model and with it, as A and A - B: for the low-order density ratio (LODR)
            let B be a bigram (train ngram --order 2) of the transcripts that the acoustic model was trained on.
        unnormalised: Name of a model trained with --output nce that is to score without summing over the vocabulary:
            quicker, and the scores are log-probabilities only as far as its training made them so. The result says so.
        context: Causal models read so many utterances of the recording before each one: what the first pass heard,
            never the reference. The list must say which recording an utterance is of.
        unit: What an error is counted in.
        wer_normalizer: Normalise references and hypotheses before they are compared; as-is collapses white space and
            nothing else.
        resample: What the bootstrap intervals are drawn over.
        cache: Keep scores and use those already computed.
        cache_folder: Where scores are kept; by default $ASR_LM_CACHE, or the user's cache folder.
        budget: Most prefix-tree nodes in memory at once; lower it where memory is short.
        json: Write what is printed to this file, too.
        report: Write a report to this file: one HTML page with everything in it, to be opened in a browser.
        plots: Write the report's figures into this folder, each as SVG and PNG.
        markdown: Write the table to this file as Markdown.
        device: cpu, cuda, or auto.
    """

    lm: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    decision: Annotated[Literal["best", "mbr"] | None, unless_given("{best,mbr}")] = None
    subtract: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    unnormalised: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    context: int = 0
    unit: Literal["word", "character"] = "word"
    wer_normalizer: Literal["as-is", "librispeech", "unicode", "chinese"] = "as-is"
    resample: Literal["utterance", "recording"] = "utterance"
    cache: bool = True
    cache_folder: OptionalPath = None
    budget: OptionalInt = None
    json: OptionalPath = None
    report: OptionalPath = None
    plots: OptionalPath = None
    markdown: OptionalPath = None
    device: str = "auto"


def utterances(arguments: Common, path: str) -> Iterator[Utterance]:
    """The utterances of a list that is reported on."""
    return read(arguments, path, say=tell)


def development_utterances(arguments: Common, paths: Sequence[str]) -> list[Utterance]:
    """The utterances of the development lists, one list after another."""
    return [utterance for path in paths for utterance in read(arguments, path, development=True, say=tell)]


def tell(message: str) -> None:
    """Print a notice of a list's reader."""
    console().print(message, markup=False, soft_wrap=True)


def check_lists(development: Sequence[str], reported: Sequence[str]) -> None:
    """Refuse lists that are not there or are given twice, before one of them is worked on.

    Raises:
        InputError: there is one.
    """
    from asr_lm.errors import InputError

    for path in (*development, *reported):
        if path != "-" and not (path and os.path.exists(path)):
            raise InputError("no such file" if path else "the name of a list is empty", file=path or None)
    places = [_place(path) for path in reported]
    for path in development:
        if _place(path) in places:
            message = "the list reported on cannot be the one weights are tuned on"
            raise InputError(message, file=path, field="--dev")
    for path, place in zip(reported, places, strict=True):
        if places.count(place) > 1:
            raise InputError("this list is given twice", file=path)


def _place(path: str) -> str:
    return path if path == "-" else os.path.realpath(path)


def models(arguments: Common, specifications: Sequence[str]) -> list[RescoringModel]:
    """The language models, with their cache; warns of those that leave the context unread."""
    from asr_lm.errors import InputError
    from asr_lm.rescoring.scoring.models import open_models
    from asr_lm.rescoring.scoring.scorer import ScoreCache, default_cache_folder

    folder = (arguments.cache_folder or default_cache_folder()) if arguments.cache else None
    if arguments.context < 0:
        raise InputError(f"expected 0 or more utterances, not {arguments.context}", field="--context")
    cache = ScoreCache(folder)
    opened = open_models(
        specifications,
        device=arguments.device,
        cache=cache,
        budget=arguments.budget,
        unnormalised=arguments.unnormalised,
    )
    for name in arguments.unnormalised:
        warn(f"the scores of {name} are not normalised: their sum over the vocabulary is only nearly 1")
    for model in opened if arguments.context else []:
        if model.model.context_rule == "none":
            warn(f"{model.name} reads no context: a model of family {model.model.family!r} begins every sentence anew")
        elif getattr(model.model, "trained_on", "") == "sentence":
            warn(f"{model.name} was trained on single sentences; to use what came before, train with --context stream")
    return opened


def measuring(arguments: Common) -> Measuring:
    """How errors are counted."""
    from asr_lm.rescoring.second_pass import Measuring

    return Measuring(arguments.unit, arguments.wer_normalizer, arguments.resample)


def signs(arguments: Common) -> dict[str, int]:
    """Signs of weights that were asked for."""
    return dict.fromkeys(arguments.subtract, -1)


def warn(message: str) -> None:
    """Print a warning once."""
    if message not in _WARNED:
        _WARNED.add(message)
        console().print(f"warning: {message}", style="yellow", markup=False, soft_wrap=True)


def warnings() -> list[str]:
    """What was warned of so far, in alphabetical order."""
    return sorted(_WARNED)


_WARNED: set[str] = set()

NO_MODEL = "no --lm given: using the packaged general-English model"


def develop(
    arguments: Common,
    paths: Sequence[str],
    models: Sequence[RescoringModel],
    systems: dict[str, Sequence[str]],
    *,
    least_risk: bool = False,
    correction: Correction | None = None,
) -> Development:
    """Weights of the systems, tuned on development lists; warns where a model has seen their references.

    With ``least_risk`` the last system is there once more, choosing by minimum Bayes risk. With ``correction`` models
    write further hypotheses first.
    """
    from asr_lm.rescoring import second_pass

    with scoring_progress() as report, blaming(*paths):
        development = second_pass.develop(
            development_utterances(arguments, paths),
            models,
            systems,
            decision=arguments.decision or "best",
            measuring=measuring(arguments),
            signs=signs(arguments),
            context=arguments.context,
            least_risk=least_risk,
            correction=correction,
            report=report,
            warn=warn,
        )
    check_honesty(development, models)
    return development


def fingerprints(development: Development, models: Sequence[RescoringModel]) -> dict[str, str]:
    """Of the models and of the development list, as a file of weights names them."""
    from asr_lm.rescoring.second_pass import DEVELOPMENT

    return {model.name: model.model.fingerprint() for model in models} | {DEVELOPMENT: development.fingerprint}


def describe_development(development: Development, paths: Sequence[str]) -> list[str]:
    """What a reader must know of the tuning."""
    from asr_lm.rescoring.second_pass import deciding

    dev = development.weights[deciding(development.weights)].dev
    lines = [
        f"tuned on {', '.join(paths)}: {dev['utterances']:,.0f} utterances, WER there "
        f"{dev['first_pass_wer']:.2f} first pass, {dev['wer']:.2f} tuned, {dev['oracle_wer']:.2f} oracle"
    ]
    if (cross := development.cross_validation) is not None and cross.held_out.rate is not None:
        lines.append(
            f"{int(cross.folds.max()) + 1}-fold check of the tuning: {cross.tuning.rate:.2f} on what it was tuned on, "
            f"{cross.held_out.rate:.2f} held out (over-fit {cross.overfit:+.2f})"
        )
    for name, share in development.overlaps.items():
        if share:
            lines.append(f"{100 * share:.1f} % of the development references are in the training text of {name}")
    return lines


def check_honesty(development: Development, models: Sequence[RescoringModel]) -> None:
    """Warn where weights come from references a model was trained on."""
    from asr_lm.text.sentence_hashes import OVERLAP_WARNING

    for model in models:
        if development.overlaps.get(model.name, 0.0) > OVERLAP_WARNING and not model.folds:
            warn(
                f"{100 * development.overlaps[model.name]:.1f} % of the development references are in the training "
                f"text of {model.name}, so its weight will be too high; train it with --jackknife 2 or more"
            )


def refuse_same_list(second_pass: SecondPass, development: Development | None) -> None:
    """Weights are never reported on the list they were tuned on.

    Raises:
        InputError: most of the list is the development list, or all of it the one that the weights name.
    """
    from asr_lm.errors import InputError
    from asr_lm.text.sentence_hashes import OVERLAP_WARNING

    never = "weights are never reported on the list they were tuned on"
    if development is None:
        if any(map(second_pass.is_development, (second_pass.weights or {}).values())):
            raise InputError(f"{never}, and this is that of --weights")
        return
    share = second_pass.same_utterances(development)
    if share > 0.5:
        raise InputError(f"{100 * share:.0f} % of the utterances are in the development list: {never}")
    if share > OVERLAP_WARNING:
        warn(f"{100 * share:.1f} % of the utterances are in the development list, too, with id and reference")


def overlap_report(second_pass: SecondPass, development: Development | None) -> tuple[dict[str, float], Any]:
    """Shares of overlapping references by source, and the comparison without them where they matter."""
    from asr_lm.text.sentence_hashes import OVERLAP_WARNING

    overlaps = second_pass.overlaps(development)
    count = max(second_pass.references, 1)
    shares = {name: sum(flags) / count for name, flags in overlaps.items()}
    large = {name: share for name, share in shares.items() if share > OVERLAP_WARNING}
    overlapping = [any(flags) for flags in zip(*overlaps.values(), strict=True)] if large else []
    left = second_pass.references - sum(overlapping)
    for name, share in large.items():
        rest = "figures without them are given, too" if left else "no utterance is left without them"
        warn(f"{100 * share:.1f} % of the references are in the {name}; {rest}")
    return shares, second_pass.comparison(without=overlapping) if large and left else None


def print_result(output: Any, comparison: Comparison, shares: dict[str, float], without: Comparison | None) -> None:
    """The result table, the words that changed, and the figures without overlapping utterances."""
    from asr_lm.evaluation.table import changes_table, comparison_table, rates_table

    output.print(comparison_table(comparison))
    if comparison.changes:
        output.print()
        output.print(changes_table(comparison.changes, 8))
    for name, share in shares.items():
        if share:
            output.print(f"{100 * share:.1f} % of the references are in the {name}", markup=False, soft_wrap=True)
    if without is not None:
        output.print(f"\nwithout overlapping utterances ({without.with_reference} left):")
        output.print(rates_table(without))


def result_json(
    arguments: Common,
    comparison: Comparison,
    weights: Any,
    tuned_on: str,
    shares: dict[str, float],
    without: Comparison | None,
) -> dict[str, Any]:
    """The result as JSON (design: rates in percent)."""
    record = comparison.to_json(weights, tuned_on)
    if arguments.unnormalised:
        record["unnormalised"] = list(arguments.unnormalised)
    record["overlaps"] = {name: 100 * share for name, share in shares.items()}
    if without is not None:
        record["without_overlaps"] = without.to_json()
    return record
