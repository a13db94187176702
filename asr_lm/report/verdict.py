"""What a comparison says, in a sentence or two that claim no more than the tests do."""

from __future__ import annotations

from asr_lm.evaluation.comparison import Comparison, Difference
from asr_lm.evaluation.formatting import p_text
from asr_lm.evaluation.metrics.registry import metric
from asr_lm.evaluation.roles import FIRST_PASS, RETUNED, title

SIGNIFICANT = 0.05
"""p-value below which a difference is called one."""


def verdict(comparison: Comparison, system: str) -> tuple[str, str]:
    """What ``system`` was worth against the comparison's baseline: the sentence that matters, and what it rests on."""
    rate = metric(comparison.unit).long
    first, result = comparison[FIRST_PASS], comparison[system]
    if first.counts.rate is None or result.counts.rate is None:
        return f"The references have no {comparison.unit}, so there is no error rate.", ""
    if not first.counts.errors and not result.counts.errors:
        return "The first pass makes no error here: there is nothing to win, and nothing was lost.", ""
    difference = result.against_baseline
    if difference is None:
        return f"The {rate} is {result.counts.rate:.2f}\u00a0%.", ""
    return _difference(difference, comparison, system, rate), _share(comparison, system)


def _difference(difference: Difference, comparison: Comparison, system: str, rate: str) -> str:
    before, after = comparison[difference.against].counts.rate or 0.0, comparison[system].counts.rate or 0.0
    name, against = _sentence(title(system)), title(difference.against)
    p_value = difference.test.p_value
    change = f"the {rate} from {before:.2f}\u00a0% ({against}) to {after:.2f}\u00a0%"
    if before == after:
        return f"{name} leaves the {rate} where the {against} has it, at {after:.2f}\u00a0%."
    verb = "lowers" if after < before else "raises"
    if p_value is None:
        return f"{name} {verb} {change}. There is not enough data for a test, so this may be chance."
    p_value_text = p_text(p_value)
    p_said = f"p {p_value_text.replace('<', '< ')}" if p_value_text.startswith("<") else f"p = {p_value_text}"
    if p_value < SIGNIFICANT:
        return f"{name} {verb} {change} ({p_said})."
    return f"{name} {verb} {change}, a difference that may be chance ({p_said})."


def _share(comparison: Comparison, system: str) -> str:
    share = comparison[system].gap_closed
    parts = []
    if share is not None:
        parts.append(f"It {_way(share)}")
        retuned = comparison[RETUNED].gap_closed if RETUNED in comparison and system != RETUNED else None
        if retuned is not None:
            parts.append(f"re-tuning the first pass's own scores, without any language model, {_way(retuned)}")
    return "; ".join(parts) + "." if parts else ""


def _way(share: float) -> str:
    """A share of the way from the first pass to the oracle, as a predicate."""
    percent = f"{100 * abs(share):.0f}\u00a0%"
    if percent.startswith("0"):
        return "stays where the first pass is, between it and the oracle"
    if share > 0:
        return f"goes {percent} of the way from the first pass to the oracle"
    return f"goes back: it is farther from the oracle than the first pass, by {percent} of the distance between the two"


def _sentence(text: str) -> str:
    # Names of models are as their user wrote them; ours begin a sentence.
    return text.capitalize() if text in ("rescored", "re-tuned first pass") else text
