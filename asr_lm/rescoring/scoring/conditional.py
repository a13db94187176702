"""Scoring and writing with models that read the list: each hypothesis given what the recogniser heard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import numpy as np

from asr_lm.hypotheses.utterance import Utterance, hypothesis_count
from asr_lm.lm.protocol import Ranker
from asr_lm.lm.scoring.conditional import ConditionalModel
from asr_lm.rescoring.scoring.context import Context
from asr_lm.rescoring.scoring.scorer import ScoreCache, Scorer, Scores, TellScored, shards, tell_nobody
from asr_lm.text.normalizer import Normalizer, get_normalizer

_WRITTEN_AT_ONCE = 500
"""Utterances whose texts are kept in the cache together."""


def scorer_for(model: Ranker, cache: ScoreCache | None = None, budget: int | None = None) -> Scorer:
    """The scorer that knows how to ask this model."""
    conditional = isinstance(model, ConditionalModel)
    return ConditionalScorer(model, cache, budget) if conditional else Scorer(model, cache, budget)


class ConditionalScorer(Scorer):
    """Scores hypotheses given the list they stand in, and writes; keys in the cache cover the lists."""

    model: ConditionalModel

    def score_list(
        self,
        utterances: Iterable[Utterance],
        report: TellScored = tell_nobody,
        contexts: Iterable[Context] | None = None,
    ) -> Scores:
        found = shards(utterances)
        return Scores.concatenate([self._told(report, partial(self._score_shard, shard)) for shard in found])

    def _score_shard(self, shard: Sequence[Utterance]) -> Scores:
        count = hypothesis_count(shard)
        key = self._key(list(_described(shard)), None)
        return self._kept(key, count, lambda: score_given_lists(self.model, shard, self._budget))

    def write(self, utterances: Sequence[Utterance], beam: int, texts: int) -> list[list[str]]:
        """What the model writes for each utterance, the most probable first: ``texts`` by a beam of ``beam``."""
        found: list[list[str]] = []
        for begin in range(0, len(utterances), _WRITTEN_AT_ONCE):
            some = utterances[begin : begin + _WRITTEN_AT_ONCE]
            key = self._key([f"beam {beam}, {texts} texts", *_described(some, corrected=False)], None)
            written = self.cache.get_texts(key)
            if written is None or len(written) != len(some):
                written = write_texts(self.model, some, beam, texts)
                self.cache.put_texts(key, written)
            found += written
        return found


def write_texts(model: ConditionalModel, utterances: Sequence[Utterance], beam: int, texts: int) -> list[list[str]]:
    """The texts of :meth:`ConditionalScorer.write`."""
    normalize = get_normalizer(model.normalizer)
    sources = model.sources([heard(utterance, normalize) for utterance in utterances])
    found = model.write(sources, width=beam, best=texts)
    return [[model.vocabulary.decode(sentence.tokens.tolist()) for sentence in some] for some in found]


def _described(shard: Sequence[Utterance], corrected: bool = True) -> Iterator[str]:
    """All texts, after each whether it is a corrector's (these can be left out), and where a list ends."""
    for utterance in shard:
        for hypothesis in utterance.hypotheses:
            if corrected or not hypothesis.corrected:
                yield from (hypothesis.text, "corrected" if hypothesis.corrected else "heard")
        yield "end"


def score_given_lists(model: ConditionalModel, utterances: Sequence[Utterance], budget: int | None = None) -> Scores:
    """Scores of all hypotheses, each given what the recogniser heard: the list without what a corrector added.

    Args:
        model: a model of texts given a list.
        utterances: the lists; equal texts of one are scored once.
        budget: see :meth:`ConditionalModel.token_log_probs_given`.
    """
    normalize = get_normalizer(model.normalizer)
    texts = [[normalize(hypothesis.text) for hypothesis in utterance.hypotheses] for utterance in utterances]
    distinct = [list(dict.fromkeys(some)) for some in texts]
    flat = [text for some in distinct for text in some]
    encoded = iter(model.vocabulary.encode_batch(flat))
    sentences = [[next(encoded) for _ in some] for some in distinct]
    sources = model.sources([heard(utterance, normalize) for utterance in utterances])
    log_probs = model.token_log_probs_given(sources, sentences, budget)
    values = [
        (float(scored.sum()), len(scored), model.vocabulary.unknown_words(text))
        for text, scored in zip(flat, (scored for some in log_probs for scored in some), strict=True)
    ]
    rows = np.array(list(_rows(texts, distinct)), dtype=np.int64)
    columns = np.array(values, dtype=np.float64).reshape(len(values), 3)[rows].T
    return Scores(columns[0], columns[1].astype(np.int64), columns[2].astype(np.int64))


def _rows(texts: Sequence[Sequence[str]], distinct: Sequence[Sequence[str]]) -> Iterator[int]:
    """Row of each text among the distinct ones of all lists."""
    begin = 0
    for some, kept in zip(texts, distinct, strict=True):
        row = {text: begin + number for number, text in enumerate(kept)}
        yield from (row[text] for text in some)
        begin += len(kept)


def heard(utterance: Utterance, normalize: Normalizer) -> list[str]:
    """The normalised hypotheses of the recogniser."""
    return [normalize(hypothesis.text) for hypothesis in utterance.hypotheses if not hypothesis.corrected]
