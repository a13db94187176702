"""Causal models: everything they score is a prefix tree."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from asr_lm.hypotheses.prefix_tree import PrefixTree, split_by_nodes
from asr_lm.lm.protocol import LanguageModel, LogProbs, Tokens


class CausalModel(LanguageModel):
    """A model that predicts every token from those before it.

    A subclass owes :meth:`node_log_probs`. This class adds ``</s>``, removes duplicates, cuts the sentences into trees
    of a bounded number of nodes and hands the values back token by token.

    What was said before a sentence is a prefix of the tree, read once for all hypotheses of an utterance: ``<s> before
    <s> sentence`` where the model's :attr:`context_rule` is ``stream``, as a text is read in order. (A model that was
    trained on single sentences never saw a second ``<s>``; read on without one it took the first word for the middle
    of a sentence, and its perplexity on books rose by 4 %, where with one it stayed as it was without context.)
    """

    default_budget = 500_000
    """Nodes of one tree."""

    @abstractmethod
    def node_log_probs(self, tree: PrefixTree) -> LogProbs:
        """Log p(token | ancestors) of every node ``[nodes]``; the entry of node 0 is 0."""

    def token_log_probs(self, sentences: Sequence[Tokens], budget: int | None = None) -> list[LogProbs]:
        return self._path_log_probs(sentences, budget)

    def token_log_probs_after(
        self, sentences: Sequence[Tokens], contexts: Sequence[Sequence[Tokens]], budget: int | None = None
    ) -> list[LogProbs]:
        prefixes = [self.prefix(context) for context in contexts]
        paths = [np.concatenate(pair) for pair in zip(prefixes, sentences, strict=True)]
        values = self._path_log_probs(paths, budget)
        return [row[len(prefix) :] for prefix, row in zip(prefixes, values, strict=True)]

    def prefix(self, context: Sequence[Tokens]) -> Tokens:
        """What is read between the first ``<s>`` and a sentence that was said after ``context``."""
        if self.context_rule == "none":
            return np.zeros(0, dtype=np.int32)
        between = [self.vocabulary.bos_id]
        read = [part for sentence in context if len(sentence) for part in (sentence, between)]
        return np.concatenate([np.zeros(0), *read]).astype(np.int32)

    def _path_log_probs(self, sentences: Sequence[Tokens], budget: int | None) -> list[LogProbs]:
        closed = [np.append(sentence, self.vocabulary.eos_id).astype(np.int32) for sentence in sentences]
        results: list[LogProbs] = [np.zeros(0)] * len(closed)
        for group in split_by_nodes(closed, budget or self.default_budget):
            for index, values in self._score_group(closed, group):
                results[index] = values
        return results

    def _score_group(self, sentences: Sequence[Tokens], group: list[int]) -> list[tuple[int, LogProbs]]:
        tree = PrefixTree.build([sentences[index] for index in group], self.vocabulary.bos_id)
        return list(zip(group, tree.along_paths(self.node_log_probs(tree)), strict=True))
