"""Log-linear mixtures of language models.

Klakow (1998), Log-linear interpolation of language models::

    p(w | h) = Π_i p_i(w | h)^λ_i / Z(h)        Z(h) = Σ_v Π_i p_i(v | h)^λ_i

The normaliser needs every member's whole distribution in every context, so this is for causal members over one
vocabulary, and scoring costs a distribution a context instead of a few probabilities. (Without the normaliser there
is no probability, and no likelihood that weights could be found by: models of any kind are combined that way by
tuning their weights on a development list, which is what rescoring with several models does.)

The weights are those with the highest likelihood on a validation text, which is concave in them: Newton's method, with
the mean and the covariance of the members' log-probabilities under the mixture for gradient and curvature. Weights may
be negative and need not add up to one. ``<s>`` is never predicted and has no share in Z.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError
from asr_lm.hypotheses.prefix_tree import PrefixTree
from asr_lm.lm.mixtures.linear import Interpolation, Weights, share_tokens
from asr_lm.lm.mixtures.members import Member, Mixture, same_normalizer
from asr_lm.lm.protocol import CausalModel, LogProbs, Reader, Tokens
from asr_lm.lm.scoring.continuations import with_every_token

_BLOCK_VALUES = 5_000_000
"""Log-probabilities of one member in memory at once."""

SAMPLE_VALUES = 60_000_000
"""Log-probabilities of all members that the search for weights keeps in memory: what does not fit is left out of the
validation text, evenly."""

_STEPS = 50
_TOLERANCE = 1e-9

Distributions = NDArray[np.float64]
"""Log-probability of every token but ``<s>`` in some contexts under every member ``[members, contexts, tokens]``."""


class LogLinearMixture(Mixture, CausalModel):
    """The normalised product of powers of several models' probabilities."""

    kind = "log-linear"
    default_budget = 100_000

    def __init__(self, members: Sequence[Member], weights: Weights | Sequence[float]) -> None:
        """Args: members: causal models over one vocabulary, at least one; weights: of each.

        Raises:
            InputError: other weights or members, or members whose texts are normalised differently.
        """
        weights = np.asarray(weights, dtype=np.float64)
        if not len(members) or weights.shape != (len(members),) or not np.isfinite(weights).all():
            raise InputError(f"expected as many weights as members, not {weights.tolist()} for {len(members)}")
        self._models = causal_models(members)
        self.members = tuple(members)
        self.weights = weights
        self.normalizer = same_normalizer(members)
        self.vocabulary = self._models[0].vocabulary

    @property
    def context_rule(self) -> str:
        rules = {model.context_rule for model in self._models}
        return rules.pop() if len(rules) == 1 else "none"

    def node_log_probs(self, tree: PrefixTree) -> LogProbs:
        products = np.zeros(len(tree.token))
        for weight, model in zip(self.weights, self._models, strict=True):
            products += weight * model.node_log_probs(tree)
        normalisers = np.zeros(len(tree.token))
        for contexts, values in distributions(self._models, tree):
            normalisers[contexts] = _log_sum_exp(np.tensordot(self.weights, values, axes=1))
        results: LogProbs = products - normalisers[tree.parent]
        results[0] = 0.0
        return results

    def stream(self) -> Reader:
        """Raises InputError: whole distributions are at hand sentence by sentence only."""
        raise InputError(
            "a log-linear mixture reads sentence by sentence; give it no carried state", parameter="carry_state"
        )


def causal_models(members: Sequence[Member]) -> list[CausalModel]:
    """The members as causal models over one vocabulary.

    Raises:
        InputError: one is not causal, or their tokens differ.
    """
    advice = "; give the models to rescore one by one, where tuning finds such weights for whole sentences"
    models = []
    for member in members:
        if not isinstance(member.model, CausalModel):
            raise InputError(f"a log-linear mixture needs causal models, and {member.name!r} is none{advice}")
        models.append(member.model)
    if len({id(model.vocabulary) for model in models}) > 1 and not share_tokens(members):
        raise InputError(f"a log-linear mixture needs models over the same tokens{advice}")
    return models


def distributions(models: Sequence[CausalModel], tree: PrefixTree) -> Iterator[tuple[NDArray[np.int64], Distributions]]:
    """For blocks of nodes that have children: their numbers, and what every member says may follow them."""
    vocabulary = models[0].vocabulary
    # Where one token stands for both, it is predicted as </s>.
    predicted = np.arange(vocabulary.size)
    predicted = predicted[(predicted != vocabulary.bos_id) | (predicted == vocabulary.eos_id)]
    contexts = _depth_first(tree)
    rows = max(1, _BLOCK_VALUES // vocabulary.size)
    for first in range(0, len(contexts), rows):
        block = contexts[first : first + rows]
        wide, begins = with_every_token(tree, block, vocabulary.size)
        children = begins[:, None] + predicted
        yield block, np.stack([model.node_log_probs(wide)[children] for model in models])


def _depth_first(tree: PrefixTree) -> NDArray[np.int64]:
    """The nodes that have children, a path at a time: neighbours share their ancestors."""
    children = np.bincount(tree.parent[1:], minlength=len(tree.token))
    first = np.cumsum(children) - children + 1  # children of one node are neighbours, in the order of their parents
    order, stack = [], [0]
    while stack:
        node = stack.pop()
        if children[node]:
            order.append(node)
            stack.extend(range(int(first[node] + children[node]) - 1, int(first[node]) - 1, -1))
    return np.array(order, dtype=np.int64)


def _log_sum_exp(values: NDArray[np.floating]) -> LogProbs:
    """Over the last axis."""
    largest = values.max(axis=-1)
    sums: LogProbs = np.log(np.exp(values - largest[..., None]).sum(axis=-1)) + largest
    return sums


def interpolate_log_linearly(members: Sequence[Member], sentences: Sequence[Tokens]) -> Interpolation:
    """The weights with the highest likelihood on sentences, by Newton's method from the best member alone.

    Args:
        members: causal models over one vocabulary.
        sentences: token ids; of more than memory should hold (:data:`SAMPLE_VALUES`), evenly spaced ones.

    Raises:
        InputError: as :class:`LogLinearMixture`.
    """
    return _Likelihood(causal_models(members), sentences).highest()


class _Likelihood:
    """Mean log-likelihood of a text's tokens as a function of the weights."""

    def __init__(self, models: Sequence[CausalModel], sentences: Sequence[Tokens]) -> None:
        vocabulary = models[0].vocabulary
        most = max(1, SAMPLE_VALUES // (len(models) * vocabulary.size))
        tree = PrefixTree.build(vocabulary.targets(_evenly(sentences, most)), vocabulary.bos_id)
        row = np.zeros(len(tree.token), dtype=np.int64)
        blocks = []
        count = 0
        for contexts, values in distributions(models, tree):
            row[contexts] = np.arange(count, count + len(contexts))
            count += len(contexts)
            blocks.append(values.astype(np.float32))
        self._values = np.concatenate(blocks, axis=1)
        self._tokens = len(tree.path)
        self._often = np.bincount(row[tree.parent[tree.path]], minlength=count) / self._tokens
        scored = np.stack([model.node_log_probs(tree)[tree.path] for model in models])
        self._targets = scored.mean(axis=1)

    def at(self, weights: Weights) -> float:
        """Mean log-likelihood of a token."""
        normalisers = _log_sum_exp(np.tensordot(weights.astype(np.float32), self._values, axes=1))
        return float(weights @ self._targets - self._often @ normalisers)

    def derivatives(self, weights: Weights) -> tuple[Weights, NDArray[np.float64]]:
        """Gradient ``[members]`` and negative curvature ``[members, members]``."""
        products = np.tensordot(weights.astype(np.float32), self._values, axes=1)
        share = np.exp(products - _log_sum_exp(products)[:, None])
        means = np.einsum("cv,mcv->mc", share, self._values).astype(np.float64)
        second = np.empty((len(weights), len(weights)))
        for i, one in enumerate(self._values):
            weighted = share * one
            for j, other in enumerate(self._values):
                second[i, j] = self._often @ np.einsum("cv,cv->c", weighted, other).astype(np.float64)
        curvature = second - np.einsum("c,ic,jc->ij", self._often, means, means)
        return self._targets - means @ self._often, curvature

    def highest(self) -> Interpolation:
        alone = np.eye(len(self._targets))
        weights = alone[int(np.argmax([self.at(one) for one in alone]))]
        curve = [self.at(weights)]
        for _ in range(_STEPS):
            gradient, curvature = self.derivatives(weights)
            ridge = 1e-9 * np.trace(curvature) * np.eye(len(weights))  # equal members have no unique weights
            step = np.linalg.solve(curvature + ridge, gradient)
            weights, value = self._further(weights, step, curve[-1])
            if value - curve[-1] <= _TOLERANCE:
                break
            curve.append(value)
        return Interpolation(weights, curve)

    def _further(self, weights: Weights, step: Weights, value: float) -> tuple[Weights, float]:
        """A point along the step that is better; the same one where there is none."""
        for shrink in 0.5 ** np.arange(20):
            found = self.at(weights + shrink * step)
            if found > value:
                return weights + shrink * step, found
        return weights, value


def _evenly(sentences: Sequence[Tokens], tokens: int) -> list[Tokens]:
    """Sentences of at most about so many tokens, evenly spaced; at least one."""
    total = sum(len(sentence) + 1 for sentence in sentences)
    wanted = max(1, int(len(sentences) * min(1.0, tokens / total)))
    return [sentences[index] for index in np.linspace(0, len(sentences) - 1, wanted).round().astype(int).tolist()]
