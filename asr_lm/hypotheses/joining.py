"""Lists of several recognisers for the same utterances, joined into one.

Texts that several recognisers propose become one hypothesis. Every recogniser keeps its scores, called
``recogniserN.NAME`` by its place among the lists, or ``recogniserN.rank`` (minus the rank) where it gives none. For a
text that it does not propose it has its lowest score of the utterance, and ``recogniserN.absent`` is -1, which tuning
weighs. Hypotheses are in the order of their mean reciprocal ranks, the earlier list first where these are equal.
"""

from __future__ import annotations

from collections.abc import Sequence

from asr_lm.errors import InputError
from asr_lm.hypotheses.utterance import Hypothesis, Utterance


def joined_lists(lists: Sequence[Sequence[Utterance]]) -> list[Utterance]:
    """One list of the utterances, in the order of the first.

    Args:
        lists: of each recogniser; all have the same utterances, in any order.

    Raises:
        InputError: there are fewer than two lists, an utterance is not in all of them, or its references differ.

    >>> one = Utterance("u", (Hypothesis("late again", {"am": -1.0}), Hypothesis("late a gain", {"am": -2.0})))
    >>> other = Utterance("u", (Hypothesis("late a gain"),))
    >>> [hypothesis.text for hypothesis in joined_lists([[one], [other]])[0].hypotheses]
    ['late a gain', 'late again']
    """
    if len(lists) < 2:
        raise InputError("expected the lists of two recognisers or more", parameter="together")
    by_id = [{utterance.id: utterance for utterance in each} for each in lists]
    for number, each in enumerate(by_id[1:], 2):
        if odd := sorted(each.keys() ^ by_id[0].keys()):
            where = f"in list {number}" if odd[0] in each else "in list 1"
            message = f"is only {where} of 1 and {number}, expected the same utterances ({len(odd):,} are not in both)"
            raise InputError(message, utterance=odd[0], parameter="together")
    return [_joined([each[identity] for each in by_id]) for identity in by_id[0]]


def _joined(utterances: Sequence[Utterance]) -> Utterance:
    first = utterances[0]
    ranks = [_ranks(utterance) for utterance in utterances]
    texts = list(dict.fromkeys(text for each in ranks for text in each))
    texts.sort(key=lambda text: -sum(1 / (each[text] + 1) for each in ranks if text in each))
    columns = {
        name: column
        for number, (utterance, each) in enumerate(zip(utterances, ranks, strict=True), 1)
        for name, column in _columns(f"recogniser{number}", utterance, each, texts).items()
    }
    hypotheses = tuple(Hypothesis(text, {name: column[text] for name, column in columns.items()}) for text in texts)
    return Utterance(first.id, hypotheses, _reference(utterances), first.recording)


def _ranks(utterance: Utterance) -> dict[str, int]:
    """The first rank of each text."""
    ranks: dict[str, int] = {}
    for rank, hypothesis in enumerate(utterance.hypotheses):
        ranks.setdefault(hypothesis.text, rank)
    return ranks


def _columns(
    recogniser: str, utterance: Utterance, ranks: dict[str, int], texts: Sequence[str]
) -> dict[str, dict[str, float]]:
    """The recogniser's scores of every text, by their names."""
    own = [hypothesis.scores or {"rank": -float(rank)} for rank, hypothesis in enumerate(utterance.hypotheses)]
    columns = {}
    for name in own[0]:
        lowest = min(scores[name] for scores in own)
        columns[f"{recogniser}.{name}"] = {text: own[ranks[text]][name] if text in ranks else lowest for text in texts}
    columns[f"{recogniser}.absent"] = {text: 0.0 if text in ranks else -1.0 for text in texts}
    return columns


def _reference(utterances: Sequence[Utterance]) -> str | None:
    known = {utterance.reference: None for utterance in utterances if utterance.reference is not None}
    if len(known) > 1:
        message = f"the references of the lists differ: {' / '.join(map(str, known))[:200]}"
        raise InputError(message, utterance=utterances[0].id, field="reference")
    return next(iter(known), None)
