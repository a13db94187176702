"""Tuning on development lists, and what a reader must know of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from asr_lm.counted import counted
from asr_lm.evaluation.held_out import UNCHECKED, Verdict, beats_first_pass, held_out_verdict
from asr_lm.evaluation.metrics.registry import metric
from asr_lm.evaluation.normalized_rate import normalized_rate
from asr_lm.evaluation.roles import FIRST_PASS, title
from asr_lm.hypotheses.utterance import Utterance, hypothesis_count
from asr_lm.rescoring.development import tune
from asr_lm.rescoring.framing import Framing
from asr_lm.rescoring.list_sources import ListSource
from asr_lm.rescoring.scoring.models import RescoringModel
from asr_lm.rescoring.settings import Scoring
from asr_lm.rescoring.systems import Systems
from asr_lm.rescoring.tuned import Tuned
from asr_lm.text.sentence_hashes import OVERLAP_WARNING
from pipelines import lists
from pipelines.command import blaming
from pipelines.display import Terminal
from pipelines.normalizing import warn_of_normalizers
from pipelines.options import Common


def tuned(
    options: Common,
    source: ListSource,
    names: Sequence[str],
    models: Sequence[RescoringModel],
    systems: Systems,
    terminal: Terminal,
    scoring: Scoring | None = None,
    force: bool = False,
) -> Tuned:
    """Weights of all systems, tuned on development lists; warns where a model has seen their references.

    Args:
        options: how it is done.
        source: the development lists.
        names: what they are called in errors.
        models: all models.
        systems: what is tuned.
        terminal: is told.
        scoring: how hypotheses are scored; None: with the context that the options say.
        force: the final system decides even where it does not win held out.
    """
    with terminal.scoring() as progress, blaming(*names):
        found = source.tuned(
            partial(
                _tune_on,
                models=models,
                systems=systems if options.decision is None else systems.deciding_by(options.decision),
                options=options,
                scoring=scoring or Scoring(options.context),
                force=force,
                progress=progress,
            )
        )
    _check_honesty(found, models, terminal)
    _check_writing(found, options, terminal)
    return found


def _tune_on(
    utterances: Sequence[Utterance],
    *,
    models: Sequence[RescoringModel],
    systems: Systems,
    options: Common,
    scoring: Scoring,
    force: bool,
    progress: Terminal,
) -> Tuned:
    progress.expect(hypothesis_count(utterance for utterance in utterances if utterance.reference is not None))
    return tune(
        utterances,
        models,
        systems,
        measuring=lists.measuring(options),
        scoring=scoring,
        signs=dict.fromkeys(options.subtract, -1),
        force=force,
        progress=progress,
    )


def _check_writing(found: Tuned, options: Common, terminal: Terminal) -> None:
    """Warn where weights were tuned on errors of casing, punctuation or spelling."""
    if found.development is not None:
        choices = found.development.choices
        heard = choices.said(FIRST_PASS)
        normalized = normalized_rate(choices.references, heard, options.unit, options.wer_normalizer)
        warn_of_normalizers(normalized, None, terminal, place="development list: ")


def describe(found: Tuned, names: Sequence[str], unit: str) -> list[str]:
    """What a reader must know of a tuning.

    Args:
        found: what it found, on a list of this run.
        names: what the development lists are called.
        unit: what errors were counted in.
    """
    assert found.development is not None
    rate = metric(unit).short
    tested = found.development.check.system if found.development.check else found.systems.own_weights[-1]
    dev = found.by_system[tested.name].dev
    return [
        f"tuned on {', '.join(names)}: {counted(int(dev['utterances']), 'utterance')}, {rate} there "
        f"{dev['first_pass_wer']:.2f} first pass, {dev['wer']:.2f} tuned, {dev['oracle_wer']:.2f} oracle",
        *told_framings(found.development.framings),
        *_recombination(found, unit),
        *held_out(found, unit),
        *(
            f"{100 * share:.1f} % of the development references are in the training text of {name}"
            for name, share in found.development.overlaps.items()
            if share
        ),
    ]


def told_framings(framings: Mapping[str, Framing]) -> Iterator[str]:
    """How foreign models read texts, where a list chose it, by their names."""
    for name, framing in framings.items():
        gain = framing.log_prob - framing.before
        yield (
            f"{name} reads texts as ?{framing.options}, with which references are likelier than as the tokeniser says "
            f"({gain:+.2f} nats a reference)"
            if gain
            else f"{name} reads texts as the tokeniser says (?{framing.options})"
        )


def _recombination(found: Tuned, unit: str) -> list[str]:
    """How many words tell histories apart, where the list was asked."""
    assert found.development is not None
    if (chosen := found.development.recombination) is None:
        return []
    moved = ", ".join(f"{points:+.2f} with {words}" for words, points in chosen.moved.items())
    done = f"that end in the same {chosen.words} words are read once" if chosen.words else "are all told apart"
    return [f"histories {done}: against exact scores {metric(unit).short} there moves by {moved} words"]


def held_out(found: Tuned, unit: str) -> list[str]:
    """What a cross-validation on the development list says of the tuning."""
    assert found.development is not None
    lines = []
    if (cross := found.development.cross_validation) is not None and cross.held_out.rate is not None:
        lines.append(
            f"{int(cross.folds.max()) + 1}-fold check of the tuning: {cross.tuning.rate:.2f} on what it was tuned on, "
            f"{cross.held_out.rate:.2f} held out (over-fit {cross.overfit:+.2f})"
        )
    lines.append(verdict(found, unit).text)
    return lines


def verdict(found: Tuned, unit: str) -> Verdict:
    """What held-out utterances of the development list say of the tuning, and which system decides therefore."""
    assert found.development is not None
    if (check := found.development.check) is None:
        return UNCHECKED.with_choice(_choice(found))
    errors, expected = found.development.errors, (found.development.expected, check.expected)
    likely = beats_first_pass(errors, check.mean_counts, expected)
    return held_out_verdict(errors, check.counts, unit, is_likely=likely).with_choice(_choice(found))


def _choice(found: Tuned) -> str:
    """What is done with the tuned weights, as the end of a sentence."""
    final = found.systems.final
    return "keeping the first pass" if final == FIRST_PASS else f"choosing {title(final)}"


def _check_honesty(found: Tuned, models: Sequence[RescoringModel], terminal: Terminal) -> None:
    """Warn where weights come from references a model was trained on."""
    overlaps: Mapping[str, float] = {} if found.development is None else found.development.overlaps
    for model in models:
        if overlaps.get(model.name, 0.0) > OVERLAP_WARNING and not model.folds:
            terminal.warn(
                f"{100 * overlaps[model.name]:.1f} % of the development references are in the training "
                f"text of {model.name}, so its weight will be too high; train it with --jackknife 2 or more"
            )
