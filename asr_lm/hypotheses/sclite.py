"""Transcripts in the formats of NIST's sclite: TRN and CTM (SCTK documentation, ``infmts``)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from asr_lm.errors import InputError
from asr_lm.hypotheses.utterance import Utterance, timed_words

_PLAIN_ID = re.compile(r"[^\s()]+")
COMMENT = ";;"
TRN_LINE = re.compile(r"(|.*\S)\s*\(([^()\s]+)\)")
"""Text and id of a line."""

_OPTIONAL = re.compile(r"\(.*\)")
_ESCAPED = re.compile(r"%(?=25|28|29|40|7B|7D)|[{}]")
_ESCAPE = re.compile(r"%(25|28|29|40|7B|7D)")


def hypothesis_trn(utterances: Iterable[Utterance]) -> Iterator[str]:
    """``text (id)`` of each utterance's first hypothesis; braces and the like are written as ``%7B``.

    Raises:
        InputError: an id or text that TRN cannot hold.
    """
    for utterance in utterances:
        yield _trn_line(utterance.hypotheses[0].text, utterance.id)


def reference_trn(utterances: Iterable[Utterance]) -> Iterator[str]:
    """``text (id)`` of each utterance's reference.

    Raises:
        InputError: no reference, or an id or text that TRN cannot hold.
    """
    for utterance in utterances:
        if utterance.reference is None:
            raise InputError("no reference, sclite expects one for each utterance", utterance=utterance.id)
        yield _trn_line(utterance.reference, utterance.id)


def hypothesis_ctm(utterances: Iterable[Utterance]) -> Iterator[str]:
    """``id 1 start duration word`` of each word of each first hypothesis, sorted as sclite wants it.

    Where the words have confidences, these follow.

    The utterance stands as the recording, because times count from its start, in seconds. An empty hypothesis has no
    line.

    Raises:
        InputError: a hypothesis without word times, or an id that CTM cannot hold.
    """
    lines = {utterance.id: list(_ctm_lines(utterance)) for utterance in utterances}
    for identity in sorted(lines):
        yield from lines[identity]


def _trn_line(text: str, identity: str) -> str:
    words = " ".join(map(_escaped, text.split()))
    if words.startswith(COMMENT):
        raise InputError("sclite would take this line for a comment", utterance=identity, field="text")
    return f"{words} ({_plain(identity)})".lstrip()


def _escaped(word: str) -> str:
    """The word as sclite takes it for itself: it knows no escapes, so that what it would read otherwise is encoded.

    Braces are alternations, ``@`` is nothing, and a word in parentheses may be left out.
    """
    if word == "@":
        return "%40"
    word = _ESCAPED.sub(lambda match: f"%{ord(match[0]):02X}", word)
    return f"%28{word[1:-1]}%29" if _OPTIONAL.fullmatch(word) else word


def unescaped(text: str) -> str:
    """The text that was written so."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)


def _ctm_lines(utterance: Utterance) -> Iterator[str]:
    identity = _plain(utterance.id)
    if identity.startswith(COMMENT):
        raise InputError("sclite would take the lines for comments", utterance=identity, field="id")
    best = utterance.hypotheses[0]
    words = timed_words(best)
    if best.times is None and words:
        raise InputError("no word times, CTM needs them", utterance=utterance.id, field="hypotheses[0].times")
    sure = [""] * len(words) if best.confidences is None else [f" {value:.4f}" for value in best.confidences]
    for word, (start, end), confidence in zip(words, best.times or (), sure, strict=True):
        yield f"{identity} 1 {start:.3f} {end - start:.3f} {word}{confidence}"


def _plain(identity: str) -> str:
    if not _PLAIN_ID.fullmatch(identity):
        raise InputError("sclite takes no white space or parentheses in an id", utterance=identity, field="id")
    return identity
