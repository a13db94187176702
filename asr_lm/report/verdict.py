"""What a comparison says, in a sentence or two that claim no more than the tests do."""

from __future__ import annotations

from asr_lm.evaluation.comparison import Comparison, Difference
from asr_lm.evaluation.formatting import p_text
from asr_lm.evaluation.metrics.registry import metric
from asr_lm.evaluation.roles import FIRST_PASS, RETUNED, title

SIGNIFICANT = 0.05
"""p-value below which a difference is called one."""


def verdict(comparison: Comparison, system: str, chosen: str | None = None) -> tuple[str, str]:
    """What a system was worth: the sentence that matters, and what it rests on.

    Args:
        comparison: the figures.
        system: is compared with the baseline, or with the first pass where that is kept.
        chosen: the system that decides, where it is another one.
    """
    rate = metric(comparison.unit).long
    first, result = comparison[FIRST_PASS], comparison[system]
    if first.counts.rate is None or result.counts.rate is None:
        return f"The references have no {comparison.unit}, so there is no error rate.", ""
    if not first.counts.errors and not result.counts.errors:
        return "The first pass makes no error here: there is nothing to win, and nothing was lost.", ""
    difference = result.against_first_pass if chosen == FIRST_PASS else result.against_baseline
    if difference is None:
        return f"The {rate} is {result.counts.rate:.2f}\u00a0%.", ""
    if chosen in (None, system):
        return _sentence(_difference(difference, comparison, system, rate, would=False)), _share(comparison, system)
    done = "The first pass is kept" if chosen == FIRST_PASS else f"{_sentence(title(chosen))} is chosen"
    return f"{done}: {_difference(difference, comparison, system, rate, would=True)}", _share(
        comparison, system, title(system)
    )


def _difference(difference: Difference, comparison: Comparison, system: str, rate: str, *, would: bool) -> str:
    before, after = comparison[difference.against].counts.rate or 0.0, comparison[system].counts.rate or 0.0
    name, against = title(system), title(difference.against)
    p_value = difference.test.p_value
    change = f"the {rate} from {before:.2f}\u00a0% ({against}) to {after:.2f}\u00a0%"
    if before == after:
        leaves = "would leave" if would else "leaves"
        return f"{name} {leaves} the {rate} where the {against} has it, at {after:.2f}\u00a0%."
    verb = "lower" if after < before else "raise"
    verb = f"would {verb}" if would else f"{verb}s"
    if p_value is None:
        return f"{name} {verb} {change}. There is not enough data for a test, so this may be chance."
    p_value_text = p_text(p_value)
    p_said = p_value_text.replace("<", "<\u00a0") if p_value_text.startswith("<") else f"=\u00a0{p_value_text}"
    if p_value < SIGNIFICANT:
        return f"{name} {verb} {change} (p\u00a0{p_said})."
    return f"{name} {verb} {change}, a difference that may be chance (p\u00a0{p_said})."


def _share(comparison: Comparison, system: str, subject: str = "It") -> str:
    share = comparison[system].gap_closed
    if share is None:
        return ""
    retuned = comparison[RETUNED].gap_closed if RETUNED in comparison and system != RETUNED else None
    if retuned is None:
        return _sentence(f"{subject} {_way(share)}.")
    alone = "re-tuning the first pass's own scores, without any language model,"
    if _way(retuned) == _way(share):
        return _sentence(f"{subject} {_way(share)}; so does {alone.removesuffix(',')}.")
    return _sentence(f"{subject} {_way(share)}; {alone} {_way(retuned)}.")


def _way(share: float) -> str:
    """A share of the way from the first pass to the oracle, as a predicate."""
    percent = f"{100 * abs(share):.0f}\u00a0%"
    if percent.startswith("0"):
        return "stays where the first pass is, between it and the oracle"
    if share > 0:
        return f"goes {percent} of the way from the first pass to the oracle"
    return f"ends farther from the oracle than the first pass, by {percent} of the distance between the two"


def _sentence(text: str) -> str:
    # Names of models are as their user wrote them; ours begin a sentence.
    return text[:1].upper() + text[1:] if text.startswith(("rescored", "re-tuned first pass")) else text
