"""Scoring hypotheses with a language model: slow, so batched, cached and resumable.

A list is scored shard by shard. The scores of a shard are a pure function of the model (with its vocabulary and
normaliser) and of the shard's texts, and are kept in a cache under a digest of both: a killed run finds the shards it
had finished, and a second run with the same list and model computes nothing.
"""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError
from asr_lm.files import atomic_write, make_folder
from asr_lm.hypotheses.fingerprint import fingerprint
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.lm.protocol import Ranker, Tokens
from asr_lm.progress import Logged, Progress
from asr_lm.rescoring.scoring.context import Context
from asr_lm.text.normalizer import Normalizer, get_normalizer

SHARD_HYPOTHESES = 20_000
"""Most hypotheses of a shard: a few seconds of work lost when a run is killed, and trees large enough to share much.

Models that take longer say so (:attr:`~asr_lm.lm.protocol.Ranker.shard_hypotheses`).
"""

_VERSION = 2
"""Raised whenever scores of the same model and texts may differ from what an older release cached."""


_DIGEST_SIZE = 16


@dataclass(frozen=True)
class Scores:
    """What one model says of hypotheses.

    Attributes:
        log_prob: natural-log probability of each text, ``</s>`` included ``[texts]``.
        tokens: tokens of each text, ``</s>`` included ``[texts]``.
        unknown: words of each text unknown to the model ``[texts]``.
    """

    log_prob: NDArray[np.float64]
    tokens: NDArray[np.int64]
    unknown: NDArray[np.int64]

    @classmethod
    def concatenate(cls, parts: Sequence[Scores]) -> Scores:
        """Scores of several shards (at least one), one after another."""
        return cls(
            np.concatenate([part.log_prob for part in parts]),
            np.concatenate([part.tokens for part in parts]),
            np.concatenate([part.unknown for part in parts]),
        )

    @classmethod
    def of_others(cls, texts: int) -> Scores:
        """What stands for scores that another process computes; nobody may read them."""
        nothing = np.zeros(texts, dtype=np.int64)
        return cls(np.full(texts, np.nan), nothing, nothing)

    def to_bytes(self) -> bytes:
        """Serialised for the cache: a digest, then the three columns as a NumPy array."""
        stream = io.BytesIO()
        np.save(stream, np.stack([self.log_prob, self.tokens, self.unknown]).astype(np.float64), allow_pickle=False)
        return _digest(stream.getvalue()) + stream.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Scores:
        """Inverse of :meth:`to_bytes`; ValueError when damaged."""
        digest, content = data[:_DIGEST_SIZE], data[_DIGEST_SIZE:]
        if digest != _digest(content):
            raise ValueError("not as it was written")
        rows = np.load(io.BytesIO(content), allow_pickle=False)
        return cls(rows[0], rows[1].astype(np.int64), rows[2].astype(np.int64))


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_DIGEST_SIZE).digest()


@dataclass
class Turns:
    """Shares out shards among processes that ask for the same ones in the same order.

    Attributes:
        rank: of this process; count: of all.
        asked: shards asked for so far.
    """

    rank: int
    count: int
    asked: int = 0

    def is_ours(self) -> bool:
        """Whether the next shard is this process's."""
        self.asked += 1
        return (self.asked - 1) % self.count == self.rank


class ScoreCache:
    """A folder of scored shards.

    A folder that cannot be made or written costs nobody the scores: it is warned of once, and nothing more is kept.

    Args:
        folder: made when first needed; None keeps nothing.
        progress: told why nothing is kept.

    Attributes:
        turns: while several processes share out the shards, who computes which.
    """

    def __init__(self, folder: Path | None, progress: Progress | None = None) -> None:
        self.folder = folder
        self.turns: Turns | None = None
        self._progress = progress or Logged()
        self._failed = False

    def get(self, key: str) -> Scores | None:
        """The scores under ``key``; None when absent or damaged (then they are computed again)."""
        if self.folder is None:
            return None
        try:
            return Scores.from_bytes((self.folder / f"{key}.scores").read_bytes())
        except (OSError, ValueError):
            return None

    def put(self, key: str, scores: Scores) -> None:
        """Keep scores under ``key``."""
        if self.folder is not None:
            self._write(self.folder, f"{key}.scores", scores.to_bytes())

    def get_texts(self, key: str) -> list[list[str]] | None:
        """The texts under ``key``, some for each utterance; None when absent or damaged."""
        if self.folder is None:
            return None
        try:
            data = (self.folder / f"{key}.texts").read_bytes()
            if data[:_DIGEST_SIZE] != _digest(data[_DIGEST_SIZE:]):
                return None
            return msgspec.json.decode(data[_DIGEST_SIZE:], type=list[list[str]])
        except (OSError, msgspec.MsgspecError):
            return None

    def put_texts(self, key: str, texts: list[list[str]]) -> None:
        """Keep texts under ``key``."""
        if self.folder is not None:
            content = msgspec.json.encode(texts)
            self._write(self.folder, f"{key}.texts", _digest(content) + content)

    def get_speed(self, key: str) -> float | None:
        """Hypotheses a second that the model under ``key`` last did; None when absent or damaged."""
        if self.folder is None:
            return None
        try:
            speed = msgspec.json.decode((self.folder / f"{key}.speed.json").read_bytes(), type=dict[str, float])
            return speed.get("hypotheses_per_second")
        except (OSError, msgspec.MsgspecError):
            return None

    def put_speed(self, key: str, speed: float) -> None:
        """Keep how many hypotheses a second the model under ``key`` did."""
        if self.folder is not None:
            self._write(self.folder, f"{key}.speed.json", msgspec.json.encode({"hypotheses_per_second": speed}))

    def _write(self, folder: Path, name: str, data: bytes) -> None:
        if self._failed:
            return
        try:
            make_folder(folder)
            with atomic_write(folder / name) as stream:
                stream.write(data)
        except InputError as error:
            self._failed = True
            self._progress.warn(f"{folder}: scores cannot be kept here: {error.message}; going on without")


def default_cache_folder() -> Path | None:
    """``$ASR_LM_CACHE``, else ``asr_lm`` in the user's cache folder; None for a user without a home."""
    if folder := os.environ.get("ASR_LM_CACHE"):
        return Path(folder)
    if folder := os.environ.get("XDG_CACHE_HOME"):
        return Path(folder) / "asr_lm"
    try:
        return Path.home() / ".cache" / "asr_lm"
    except RuntimeError:  # neither $HOME nor an entry in the table of users
        return None


class TellScored(Protocol):
    """Is told of scored hypotheses, and whether their scores were kept by an earlier run."""

    def __call__(self, hypotheses: int, *, kept: bool) -> None: ...


def tell_nobody(hypotheses: int, *, kept: bool) -> None:
    """Tells nobody."""


class Scorer:
    """A model together with its cache.

    Args:
        model: any ranker.
        cache: where finished shards are kept.
        budget: most prefix-tree nodes (padded tokens for models that need both sides) in memory at once.

    Attributes:
        cache: see above.
        computed: hypotheses scored so far; found: hypotheses whose scores were in the cache.
        seconds: time that scoring took, that of the cache left out.
    """

    def __init__(self, model: Ranker, cache: ScoreCache | None = None, budget: int | None = None) -> None:
        self.model = model
        self.cache = cache or ScoreCache(None)
        self._budget = budget
        self.computed = 0
        self.found = 0
        self.seconds = 0.0

    def score(self, texts: Sequence[str], contexts: Sequence[Context] | None = None) -> Scores:
        """Scores of one shard of hypothesis texts, as the recogniser wrote them.

        Args:
            texts: the shard.
            contexts: what was said before each text ``[texts]``; models that read no context leave it unread.
        """
        contexts = contexts if self.model.context_rule != "none" else None
        key = self._key(texts, contexts)
        return self._kept(key, len(texts), lambda: score_texts(self.model, texts, self._budget, contexts))

    def _kept(self, key: str, count: int, compute: Callable[[], Scores]) -> Scores:
        """The scores of ``count`` hypotheses that the cache has under ``key``, else computed and kept there."""
        if self.cache.turns and not self.cache.turns.is_ours():
            return Scores.of_others(count)
        if (scores := self.cache.get(key)) is not None and len(scores.log_prob) == count:
            self.found += count
            return scores
        begin = time.perf_counter()
        scores = compute()
        self.seconds += time.perf_counter() - begin
        self.cache.put(key, scores)
        self.computed += count
        return scores

    @property
    def speed(self) -> float | None:
        """Hypotheses scored a second: in this run, or, where all scores were kept, in the last that kept it."""
        if self.computed and self.seconds:
            return self.computed / self.seconds
        return self.cache.get_speed(self._speed_key)

    def score_list(
        self,
        utterances: Iterable[Utterance],
        report: TellScored = tell_nobody,
        contexts: Iterable[Context] | None = None,
    ) -> Scores:
        """Scores of all hypotheses of a list, shard by shard; ``report`` is told of each finished shard.

        ``contexts`` is what was said before each utterance ``[utterances]``.
        """
        parts, said = [], None if contexts is None else iter(contexts)
        for shard in self._shards(utterances):
            texts = [hypothesis.text for utterance in shard for hypothesis in utterance.hypotheses]
            before = None if said is None else _for_hypotheses(shard, said)
            parts.append(self._told(report, partial(self.score, texts, before)))
        return Scores.concatenate(parts)

    def _told(self, report: TellScored, score: Callable[[], Scores]) -> Scores:
        """The scores of a shard, of which ``report`` is told."""
        before = self.found
        scores = score()
        report(len(scores.log_prob), kept=self.found > before)
        return scores

    def _shards(self, utterances: Iterable[Utterance]) -> Iterator[list[Utterance]]:
        """Cut where the model alone decides it, so that a run taken up asks for the same shards."""
        most = self.model.shard_hypotheses
        return shards(utterances) if most is None else shards(utterances, min(most, SHARD_HYPOTHESES))

    @cached_property
    def _model_fingerprint(self) -> str:
        return self.model.fingerprint()

    def model_changed(self) -> None:
        """To be called when the model scores in another way from now on: its scores and its speed are kept apart."""
        self.__dict__.pop("_model_fingerprint", None)
        self.computed = self.found = 0
        self.seconds = 0.0

    def keep_speed(self) -> None:
        """Keep the speed of this run beside the scores, for runs that find all of them there."""
        if self.computed and self.seconds:
            self.cache.put_speed(self._speed_key, self.computed / self.seconds)

    @property
    def _speed_key(self) -> str:
        return hashlib.blake2b(self._model_fingerprint.encode(), digest_size=20).hexdigest()

    def _key(self, texts: Sequence[str], contexts: Sequence[Context] | None) -> str:
        origin = [_VERSION, self._model_fingerprint, self.model.vocabulary.fingerprint(), self.model.normalizer]
        if contexts is not None and any(contexts):
            flat = [part for context in contexts for part in (str(len(context)), *context)]
            origin += [self.model.context_rule, fingerprint(flat)]
        return hashlib.blake2b(f"{origin} {fingerprint(texts)}".encode(), digest_size=20).hexdigest()


def _for_hypotheses(shard: Sequence[Utterance], contexts: Iterator[Context]) -> list[Context]:
    """The next contexts, one an utterance of the shard, repeated for every hypothesis."""
    return [context for utterance in shard for context in [next(contexts)] * len(utterance.hypotheses)]


def shards(utterances: Iterable[Utterance], hypotheses: int | None = None) -> Iterator[list[Utterance]]:
    """Whole utterances in groups of at least ``hypotheses`` hypotheses (the last may have fewer).

    None stands for :data:`SHARD_HYPOTHESES`.
    """
    hypotheses = hypotheses or SHARD_HYPOTHESES
    shard: list[Utterance] = []
    size = 0
    for utterance in utterances:
        shard.append(utterance)
        size += len(utterance.hypotheses)
        if size >= hypotheses:
            yield shard
            shard, size = [], 0
    if shard:
        yield shard


def score_texts(
    model: Ranker,
    texts: Sequence[str],
    budget: int | None = None,
    contexts: Sequence[Context] | None = None,
) -> Scores:
    """Scores of texts after the model's normaliser; equal texts in equal contexts are scored once.

    Args:
        model: any ranker.
        texts: hypotheses; an empty one is scored by its ``</s>`` alone.
        budget: see :class:`Scorer`.
        contexts: what was said before each text ``[texts]``; it goes through the normaliser, too.
    """
    normalize = get_normalizer(model.normalizer)
    said = _normalized(contexts if contexts is not None else [()] * len(texts), normalize)
    keys = list(zip(map(normalize, texts), said, strict=True))
    distinct = {key: row for row, key in enumerate(dict.fromkeys(keys))}
    rows = np.array([distinct[key] for key in keys], dtype=np.int64)
    unique = [text for text, _ in distinct]
    sentences = model.vocabulary.encode_batch(unique)
    before = None if contexts is None else _encoded(model, [context for _, context in distinct])
    log_prob = model.score_tokens(sentences, before, budget)
    tokens = np.array([len(sentence) + 1 for sentence in sentences], dtype=np.int64)
    unknown = np.array([model.vocabulary.unknown_words(text) for text in unique], dtype=np.int64)
    return Scores(log_prob[rows], tokens[rows], unknown[rows])


def _normalized(contexts: Sequence[Context], normalize: Normalizer) -> list[Context]:
    """Contexts after the normaliser, each distinct one made once."""
    known = {context: tuple(map(normalize, context)) for context in dict.fromkeys(contexts)}
    return [known[context] for context in contexts]


def _encoded(model: Ranker, contexts: Sequence[Context]) -> list[list[Tokens]]:
    """Token ids of the sentences of each context, each distinct sentence cut once."""
    texts = list(dict.fromkeys(text for context in contexts for text in context))
    tokens = dict(zip(texts, model.vocabulary.encode_batch(texts), strict=True))
    return [[tokens[text] for text in context] for context in contexts]
