"""What Julius prints with ``-output N``: ``sentence1: …``, ``score1: …`` and so on for each input.

``score1: -4110.5 (AM: -3900.2  LM: -210.3)`` gives the acoustic and language model scores, else only their sum.
``<s>``, ``</s>`` and ``silB``, ``silE`` are no words. The id is the name of the input file where it is printed. Source:
``julius/output_stdout.c``.
"""

from __future__ import annotations

import re
from pathlib import Path

from asr_lm.counted import counted
from asr_lm.files import display_name, iterate_text
from asr_lm.hypotheses.beginning import Beginning
from asr_lm.hypotheses.format import Format, plain
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.hypotheses.validation import Located, Location, decimal, not_decimal

NO_WORDS = frozenset(("<s>", "</s>", "silB", "silE", "sp"))

_SENTENCE = re.compile(r"sentence(\d{1,6}):(.*)", re.ASCII)
_SCORE = re.compile(r"score(\d{1,6}):\s*(\S+)(?:\s+\(AM:\s*(\S+)\s+LM:\s*(\S+?)\s*\))?\s*", re.ASCII)
_INPUT = re.compile(r"(?:.*\binput \w*\s?file:|input file:|.*\bfilename:)\s*(\S+)\s*", re.IGNORECASE)


def read_julius(path: Path) -> Located:
    """Utterances of the output, in its order.

    Raises:
        InputError: a score is no number, there are not as many as sentences, or the numbers of an input's sentences or
            scores are not 1, 2, 3, ….
    """
    name = display_name(path)
    identity, place, count = None, Location(name), 0
    texts: list[str] = []
    scores: list[dict[str, float]] = []

    def utterance() -> tuple[Location, Utterance]:
        if scores and len(scores) != len(texts):
            raise place.error(
                f"{counted(len(scores), 'score')} for {counted(len(texts), 'sentence')}, expected one each", identity
            )
        found = scores or [{} for _ in texts]
        hypotheses = tuple(Hypothesis(text, score) for text, score in zip(texts, found, strict=True))
        return place, Utterance(identity or f"utt-{count:06d}", hypotheses)

    waiting: str | None = None
    for number, line in iterate_text(path):
        here = Location(name, number)
        if match := _INPUT.fullmatch(line.strip()):
            waiting = Path(match[1]).stem
        elif match := _SENTENCE.fullmatch(line.strip()):
            if match[1] == "1":
                if texts:
                    yield utterance()
                identity, place, count, texts, scores = waiting, here, count + 1, [], []
                waiting = None
            _expect("sentence", match[1], len(texts) + 1, here)
            texts.append(" ".join(word for word in match[2].split() if word not in NO_WORDS))
        elif match := _SCORE.fullmatch(line.strip()):
            _expect("score", match[1], len(scores) + 1, here)
            scores.append(_scores(match, here))
    if texts:
        yield utterance()


def _expect(what: str, found: str, number: int, place: Location) -> None:
    # A first line that is lost or unreadable would give its hypotheses to the input before.
    if int(found) != number:
        raise place.error(f"{what}{found}, expected {what}{number}")


def _scores(match: re.Match[str], place: Location) -> dict[str, float]:
    named = {"acoustic": match[3], "lm": match[4]} if match[3] else {"score": match[2]}
    scores = {}
    for name, text in named.items():
        value = decimal(text)
        if value is None:
            raise place.error(not_decimal(text), field=name)
        scores[name] = value
    return scores


def _fits(beginning: Beginning) -> bool:
    """Whether there are a first and a second sentence among the lines."""
    numbers = [match[1] for line in beginning.lines if (match := _SENTENCE.fullmatch(line.strip()))]
    return "2" in numbers and numbers[0] == "1"


FORMAT = Format(
    name="julius",
    about="what Julius prints with -output N: sentence1, score1, sentence2, …",
    fits=_fits,
    read=plain(read_julius),
    scores_known=True,
)
