"""What a field may hold, by its name.

Names are compared without case, spaces, hyphens and underscores: ``uttId``, ``utt_id`` and ``UTT-ID`` are one.
"""

from __future__ import annotations

import functools
import re

IDS = (
    *("id", "uttid", "utt", "utteranceid", "utterance", "key", "uid", "sampleid", "segmentid", "audioid", "name"),
    *("audiofilepath", "audiopath", "audiofile", "wavpath", "wav", "filename", "filepath", "file", "path", "audio"),
    *("requestid", "idx", "index"),
)
"""Ids of an utterance, the surest first."""

REFERENCES = (
    *("reference", "ref", "refs", "references", "reftext", "referencetext", "groundtruth", "gt", "gold", "truth"),
    *("target", "label", "output", "transcript", "transcription", "normalizedtext", "sentence", "text"),
)
"""What was said, the surest first."""

SURE_REFERENCES = frozenset(REFERENCES[:12])
"""Names of a reference that are hardly ever anything else."""

RECORDINGS = ("recording", "recordingid", "session", "sessionid", "conversation", "conversationid", "chapter")

LISTS = (
    *("hypotheses", "nbest", "nbests", "nbestlist", "nbesthypotheses", "hyps", "hyplist", "hypos", "hypothesis"),
    *("beams", "alternatives", "candidates", "predictions", "preds", "sequences", "transcripts", "transcriptions"),
    *("choices", "outputs", "texts", "sentences", "results", "result", "input", "hyp", "pred", "beam", "options"),
)
"""Lists of hypotheses, the surest first."""

TEXTS = (
    *("lexical", "text", "hyp", "hypothesis", "transcript", "transcription", "sentence", "predtext", "prediction"),
    *("pred", "words", "content", "hyptext", "string", "sent", "value", "utterance", "decoded", "output", "display"),
    *("generatedtext", "predictedtext", "candidate"),
)
"""The text of a hypothesis, the surest first."""

CONTAINERS = (
    "utterances",
    "results",
    "data",
    "items",
    "samples",
    "examples",
    "segments",
    "channels",
    "recognizedphrases",
    "response",
    "list",
)
"""What holds the utterances of a document."""

RANKS = ("rank", "hyprank", "hypid", "nbestid", "hypindex", "beamid", "n", "nbestrank")

_SCORE = re.compile(
    r"score|prob|logp|confid|likelihood|cost|loss|penalt|posterior|weight|perplex"
    r"|(^|_)(am|lm|ac|ll|nll|acwt|lmwt|acoustic|graph|ctc|att|attention|decoder|rnnt|asr|ppl|conf|total|ngram|bert|gpt)(_|$)"
)
_NO_SCORE = re.compile(
    r"time|start|end$|offset|duration|channel|length|(^|_)(len|num|count|id|index|idx|rank|n|seek|speaker|tokens?)(_|$)"
    r"|word|temperature|ratio|no_speech|sample_?rate|(^|_)(wer|cer|mer|ter|wip|wil|errors?|edits?|distance|ins|del|sub)(_|$)"
)
_ERROR_RATE = re.compile(r"(^|_)(wer|cer|mer|ter|errors?|edits?|distance)(_|$)")
_COUNT = re.compile(
    r"(^|_)(tokens|(num|number|n|count)(_of)?_(tokens|words|characters|chars|frames)|"
    r"(tokens?|words?|characters?|chars?|frames?)_count)$"
)
_COST = re.compile(r"cost|penalt|loss|(^|_)(nll|ppl|neg|negative|neglog\w*)(_|$)|perplex")
_TURNED = re.compile(r"^(minus|log)_")
_PROBABILITY = re.compile(r"confidence|(^|_)(conf|prob|probs|probability|probabilities|posterior|posteriors)(_|$)")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@functools.lru_cache(maxsize=4096)
def squashed(name: str) -> str:
    """The name as it is compared."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


@functools.lru_cache(maxsize=4096)
def spelled(name: str) -> str:
    """The words of a name with underscores between: ``avgLogProb`` is ``avg_log_prob``."""
    return re.sub(r"[^a-z0-9]+", "_", _CAMEL.sub("_", name).lower()).strip("_")


def first_of(names: tuple[str, ...], keys: list[str]) -> str | None:
    """The key that stands first among the names."""
    found = {squashed(key): key for key in reversed(keys)}
    return next((found[name] for name in names if name in found), None)


def is_score(name: str) -> bool:
    """Whether a number of this name looks like a score."""
    words = spelled(name)
    return _SCORE.search(words) is not None and _NO_SCORE.search(words.replace("word", "")) is None


def is_no_score(name: str) -> bool:
    """Whether a number of this name is known to be none: a time, a count, a number, an error rate."""
    return _NO_SCORE.search(spelled(name)) is not None


def is_count(name: str) -> bool:
    """Whether a score of this name is a number of tokens, words or the like, of which neither more nor less is better.

    >>> is_count("tokens"), is_count("recogniser1.num_tokens"), is_count("token_score")
    (True, True, False)
    """
    return _COUNT.search(spelled(name)) is not None


def is_error_rate(name: str) -> bool:
    """Whether it names errors against a reference, which would be the answer."""
    return _ERROR_RATE.search(spelled(name)) is not None


def is_cost(name: str) -> bool:
    """Whether smaller is better of what is called so."""
    words = spelled(name)
    return _COST.search(words) is not None and not _TURNED.match(words)


def is_probability(name: str) -> bool:
    """Whether it names a probability, and not its logarithm."""
    words = spelled(name)
    return _PROBABILITY.search(words) is not None and "log" not in words and not is_cost(name)
