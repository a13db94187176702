"""What the models of this package can do, from the most general to the most special.

:class:`Ranker`
    Gives every hypothesis a number. Only the numbers of one list compare.
:class:`LanguageModel`
    A ranker whose number is a log-probability (or pseudo-log-likelihood) of the text, the sum of those of its tokens.
:class:`CausalModel`
    A language model that predicts every token from those before it, so that whatever it scores is a prefix tree
    (:mod:`asr_lm.hypotheses.prefix_tree`): what sentences share at their beginning is computed once.

Text goes in by :meth:`Ranker.score` and :meth:`LanguageModel.log_prob`, which apply the model's normaliser and cut the
text into tokens. What takes token ids has ``token`` in its name. Logarithms are natural; ``<s>`` is given, ``</s>`` is
scored. :meth:`asr_lm.text.vocabulary.Vocabulary.frame` puts both in place.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from asr_lm.counted import counted
from asr_lm.errors import InputError
from asr_lm.hypotheses.prefix_tree import PrefixTree, split_by_nodes
from asr_lm.hypotheses.recombination import recombined
from asr_lm.lm.precision import Precision, PrecisionChoice
from asr_lm.lm.scoring.continuations import every_continuation
from asr_lm.lm.scoring.growing_tree import GrowingTree, RereadingTree
from asr_lm.lm.scoring.learning import Learning
from asr_lm.text.normalizer import get_normalizer
from asr_lm.text.vocabulary import Tokens, Vocabulary, token_ids

LogProbs = NDArray[np.float64]
"""Natural-log probabilities."""

Contexts = Iterable[Sequence[str] | None]
"""For each text the sentences said before it, the oldest first; None where nothing was."""


class Reader(Protocol):
    """Reads consecutive sentences of one text."""

    def token_log_probs(self, sentences: Sequence[Tokens]) -> list[LogProbs]:
        """Log-probability of every token of the next sentences, ``</s>`` included ``[tokens + 1]`` each."""


class Ranker(ABC):
    """A model that gives every hypothesis of a list a number: the larger, the better.

    Attributes:
        family: name of the model family (``ngram``, ``lstm``, …).
        vocabulary: maps text to token ids.
        normalizer: name of the normaliser (:mod:`asr_lm.text.normalizer`) the training text went through.
        context_rule: how the model reads the sentences before one: ``none`` if it does not, else the name of the way
            (scores of one model and text differ with it).
    """

    family: str
    vocabulary: Vocabulary
    normalizer: str

    without_probabilities = "ranks whole hypotheses and gives no probabilities"
    """What the model does instead, where it is no :class:`LanguageModel`."""

    @property
    def context_rule(self) -> str:
        return "none"

    @abstractmethod
    def score_tokens(
        self,
        sentences: Sequence[Tokens],
        contexts: Sequence[Sequence[Tokens]] | None = None,
        budget: int | None = None,
    ) -> LogProbs:
        """The number of each sentence ``[sentences]``.

        Args:
            sentences: token ids of each sentence ``[tokens]``; an empty sentence is legal.
            contexts: for each sentence the sentences before it, the oldest first; None where nothing was said before
                any. A model whose :attr:`context_rule` is ``none`` leaves them unread.
            budget: most tree nodes (or padded tokens) in memory at once; None takes the model's default. The result
                does not depend on it.

        Raises:
            InputError: text instead of token ids; or the model scores a hypothesis only given the list it stands in
                (:class:`asr_lm.lm.scoring.conditional.ConditionalModel`).
        """

    def score(self, texts: Iterable[str], contexts: Contexts | None = None) -> LogProbs:
        """The number of each text ``[texts]``, as anybody wrote it: the model's normaliser is applied here.

        Args:
            texts: sentences; an empty one is legal.
            contexts: the sentences before each text; None where nothing was said before any.

        Raises:
            InputError: one string instead of several, or something else than strings; not one context a text.
        """
        sentences = self.encode(_several(texts, "texts"))
        if contexts is None or self.context_rule == "none":
            return self.score_tokens(sentences)
        before = [self.encode(_several(context or (), "contexts")) for context in contexts]
        if len(before) != len(sentences):
            raise InputError(
                f"{counted(len(before), 'context')} for {counted(len(sentences), 'text')}", parameter="contexts"
            )
        return self.score_tokens(sentences, before)

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        """Token ids of texts after the model's normaliser."""
        return self.vocabulary.encode_batch(list(map(get_normalizer(self.normalizer), texts)))

    def compute_in(self, precision: PrecisionChoice) -> None:
        """Compute matrix products in a precision from now on; ``auto`` measures where that is worth while.

        Models without large products stay as they are.
        """
        del precision

    @property
    def precision(self) -> Precision:
        """What its matrix products are computed in."""
        return "float32"

    is_foreign = False
    """Whether it was trained elsewhere, on text that is not known here."""

    @property
    def text_ends(self) -> tuple[str, ...]:
        """Tokens that may begin and end a text, for :meth:`frame`; none where the model knows what does."""
        return ()

    def frame(self, begin: str | None = None, end: str | None = None) -> None:
        """From now on read texts between other tokens.

        Args:
            begin: the token before a text; None leaves it.
            end: the token after it, or ``none``: the end is not scored. None leaves it.

        Raises:
            InputError: the model knows what begins and ends a text, or has no such token.
        """
        raise InputError(f"a model of family {self.family!r} knows how texts begin and end", parameter="models")

    @property
    def recombines(self) -> bool:
        """Whether :meth:`recombine` changes anything."""
        return False

    def recombine(self, words: int) -> None:
        """Predict what follows histories of the same last words once from now on, from the first of them.

        Models that read no prefix tree, or have no longer memory than that, stay as they are.

        Args:
            words: how many; 0 tells all histories apart.

        Raises:
            InputError: less than 0.
        """
        if words < 0:
            raise InputError(f"expected 0 or more words, not {words}", parameter="recombine")

    @property
    def remarks(self) -> list[str]:
        """What a user should know of how the model scores here, each the rest of a sentence about it."""
        return []

    @property
    def shard_hypotheses(self) -> int | None:
        """Hypotheses that take some 10 seconds on a CPU; None where that is more than anybody scores at once."""
        return None

    @abstractmethod
    def fingerprint(self) -> str:
        """Hexadecimal digest of everything the scores depend on: weights, vocabulary, normaliser."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the model as a folder (``config.json``, weights, vocabulary) that :func:`asr_lm.lm.load` reads."""

    @property
    @abstractmethod
    def parameters(self) -> int:
        """Number of free parameters (for an n-gram model: stored n-grams)."""

    def skip_normaliser(self) -> None:
        """From now on score without the sum over the vocabulary: quicker, and log-probabilities only nearly.

        Raises:
            InputError: the model was not trained for that.
        """
        raise InputError(f"a model of family {self.family!r} cannot leave out its normaliser", parameter="unnormalised")


def _several(texts: Iterable[str], parameter: str) -> list[str]:
    """The texts as a list.

    Raises:
        InputError: they are one string, or not strings.
    """
    if isinstance(texts, str):
        raise InputError(f"expected several strings, as in [{texts[:40]!r}], not one string", parameter=parameter)
    several = list(texts)
    if kinds := {type(text).__name__ for text in several if not isinstance(text, str)}:
        found = " and ".join(sorted(kinds))
        raise InputError(f"expected strings, not {found} (score_tokens takes token ids)", parameter=parameter)
    return several


def language_model(model: Ranker) -> LanguageModel:
    """A model as a language model.

    Raises:
        InputError: it gives tokens no probabilities.
    """
    if isinstance(model, LanguageModel):
        return model
    raise no_probabilities(model)


def no_probabilities(model: Ranker) -> InputError:
    """The error of asking a model for probabilities that it does not give."""
    return InputError(
        f"a model of family {model.family!r} {model.without_probabilities}: use it with rescore or compare"
    )


class LanguageModel(Ranker):
    """A model of the probability of a text, token by token."""

    @abstractmethod
    def token_log_probs(self, sentences: Sequence[Tokens], budget: int | None = None) -> list[LogProbs]:
        """Log-probability of every token of every sentence, ``</s>`` included.

        Args:
            sentences: token ids of each sentence ``[tokens]``; an empty sentence is legal.
            budget: see :meth:`Ranker.score_tokens`.

        Returns:
            For each sentence an array ``[tokens + 1]``; its last entry is log p(``</s>`` | sentence).

        Raises:
            InputError: text instead of token ids.
        """

    def token_log_probs_after(
        self, sentences: Sequence[Tokens], contexts: Sequence[Sequence[Tokens]], budget: int | None = None
    ) -> list[LogProbs]:
        """As :meth:`token_log_probs`, each sentence after those that were said before it.

        Args:
            sentences: as there.
            contexts: see :meth:`Ranker.score_tokens`.
            budget: as there; sentences of contexts count too.
        """
        return self.token_log_probs(sentences, budget)

    def score_tokens(
        self,
        sentences: Sequence[Tokens],
        contexts: Sequence[Sequence[Tokens]] | None = None,
        budget: int | None = None,
    ) -> LogProbs:
        """Log-probability of each whole sentence ``[sentences]``, ``</s>`` included."""
        if contexts is None:
            values = self.token_log_probs(sentences, budget)
        else:
            values = self.token_log_probs_after(sentences, contexts, budget)
        return np.array([row.sum() for row in values], dtype=np.float64)

    def log_prob(self, texts: Iterable[str], contexts: Contexts | None = None) -> LogProbs:
        """Natural-log probability of each text, ``</s>`` included ``[texts]``.

        The texts are taken as anybody wrote them: the model applies its own normaliser and cuts them into its own
        tokens. For a model whose :attr:`pseudo` holds it is the pseudo-log-likelihood.

        Args:
            texts: sentences, any iterable of strings; an empty one is legal.
            contexts: for each text the sentences said before it, the oldest first (None: nothing). Models whose
                :attr:`context_rule` is ``none`` leave them unread.

        Raises:
            InputError: one string instead of several, or something else than strings; not one context a text.
        """
        return self.score(texts, contexts)

    @property
    def pseudo(self) -> bool:
        """Whether the scores are pseudo-log-likelihoods: each token given the others, on both of its sides.

        Such a score ranks hypotheses, but its exponentials do not sum to one over sentences, so that it compares with
        no other model's, nor its perplexity.
        """
        return False

    @property
    def charges_unknown(self) -> bool:
        """Whether an unknown word has a probability; where not, it counts 0, and only the number of them tells."""
        return True

    @property
    def causal(self) -> bool:
        """Whether every token is predicted from those before it alone: only then can models be mixed token by token."""
        return not self.pseudo

    @property
    def has_state(self) -> bool:
        """Whether it remembers something that :meth:`stream` carries from sentence to sentence."""
        return False

    @property
    def learns(self) -> bool:
        """Whether it can go on learning from what it reads (:meth:`learning_reader`)."""
        return False

    def stream(self) -> Reader:
        """A reader of consecutive sentences that carries what the model remembers from one to the next.

        Raises:
            InputError: the model has no state.
        """
        raise InputError(
            f"a model of family {self.family!r} has no state to carry from sentence to sentence",
            parameter="carry_state",
        )

    def learning_reader(self, learning: Learning, *, carry_state: bool = True) -> Reader:
        """A reader of consecutive sentences whose copy of the model learns from each once it is scored.

        See :mod:`asr_lm.lm.scoring.dynamic_evaluation`.

        Args:
            learning: rate and the like; its text is normalised as the model's is.
            carry_state: carry the model's state from sentence to sentence, too.

        Raises:
            InputError: the model cannot learn, or has no state to carry; it learns nothing from the text given.
        """
        raise InputError(f"a model of family {self.family!r} cannot learn from what it reads", parameter="dynamic")

    def grow(self) -> GrowingTree:
        """An empty prefix tree that grows while it is scored, for searches.

        Raises:
            InputError: the model is not causal, so it has no use for prefixes.
        """
        raise self._not_causal()

    def next_log_probs(self, prefixes: Sequence[Tokens]) -> LogProbs:
        """Log-probability of every token after each prefix ``[prefixes, vocabulary]``.

        Args:
            prefixes: token ids of each, ``<s>`` not among them; an empty one is legal.

        Returns:
            What :meth:`token_log_probs` gives the token there; minus infinity for one that has no probability.

        Raises:
            InputError: the model is not causal, or does not tell its words.
        """
        raise self._not_causal()

    def _not_causal(self) -> InputError:
        return InputError(f"a model of family {self.family!r} cannot be asked for one word after another")


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

    recombined_words = 0
    """Last words that tell histories apart (:mod:`asr_lm.hypotheses.recombination`); 0 is all of them."""

    @abstractmethod
    def node_log_probs(self, tree: PrefixTree) -> LogProbs:
        """Log p(token | ancestors) of every node ``[nodes]``; the entry of node 0 is 0."""

    def token_log_probs(self, sentences: Sequence[Tokens], budget: int | None = None) -> list[LogProbs]:
        return self._path_log_probs(sentences, budget)

    def token_log_probs_after(
        self, sentences: Sequence[Tokens], contexts: Sequence[Sequence[Tokens]], budget: int | None = None
    ) -> list[LogProbs]:
        prefixes = [self.prefix(context) for context in contexts]
        paths = [np.append(prefix, token_ids(said)) for prefix, said in zip(prefixes, sentences, strict=True)]
        values = self._path_log_probs(paths, budget)
        return [row[len(prefix) :] for prefix, row in zip(prefixes, values, strict=True)]

    def prefix(self, context: Sequence[Tokens]) -> Tokens:
        """What is read between the first ``<s>`` and a sentence that was said after ``context``."""
        if self.context_rule == "none":
            return np.zeros(0, dtype=np.int32)
        between = [self.vocabulary.bos_id]
        read = [part for said in map(token_ids, context) if len(said) for part in (said, between)]
        return np.concatenate([np.zeros(0), *read]).astype(np.int32)

    def grow(self) -> GrowingTree:
        return RereadingTree(self)

    def next_log_probs(self, prefixes: Sequence[Tokens]) -> LogProbs:
        size = self.vocabulary.size
        rows = max(1, self.default_budget // size)
        parts = [self._next_log_probs(prefixes[at : at + rows]) for at in range(0, len(prefixes), rows)]
        return np.concatenate(parts) if parts else np.zeros((0, size))

    def _next_log_probs(self, prefixes: Sequence[Tokens]) -> LogProbs:
        size = self.vocabulary.size
        tree, first = every_continuation([token_ids(prefix) for prefix in prefixes], self.vocabulary.bos_id, size)
        following: LogProbs = self.node_log_probs(tree)[first[:, None] + np.arange(size)]
        return following

    def _path_log_probs(self, sentences: Sequence[Tokens], budget: int | None) -> list[LogProbs]:
        targets = self.vocabulary.targets(sentences)
        results: list[LogProbs] = [np.zeros(0)] * len(targets)
        for group in split_by_nodes(targets, budget or self.default_budget):
            for index, values in self._score_group(targets, group):
                results[index] = values
        return results

    def _score_group(self, targets: Sequence[Tokens], group: list[int]) -> list[tuple[int, LogProbs]]:
        tree = PrefixTree.build([targets[index] for index in group], self.vocabulary.bos_id)
        if self.recombined_words:
            tree = recombined(tree, self.recombined_words, self.vocabulary.begins_word)
        return list(zip(group, tree.along_paths(self.node_log_probs(tree)), strict=True))
