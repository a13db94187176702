"""Laws of the output layer: a distribution over the vocabulary, whatever the block it is computed in."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from asr_lm.lm.output import layer as output_module
from asr_lm.lm.output.layer import SoftmaxOutput

VOCABULARY, WIDTH = 23, 8


@pytest.fixture
def layer() -> SoftmaxOutput:
    torch.manual_seed(1)
    layer = SoftmaxOutput(VOCABULARY, WIDTH)
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    return layer


def expected(layer: SoftmaxOutput, hidden: Tensor) -> Tensor:
    """Log-probabilities ``[contexts, vocabulary]`` in double precision."""
    return torch.log_softmax(hidden.double() @ layer.weight.double().T + layer.bias.double(), dim=1)


@torch.no_grad()
def every_log_prob(layer: SoftmaxOutput, hidden: Tensor) -> Tensor:
    context = torch.arange(len(hidden)).repeat_interleave(VOCABULARY)
    tokens = torch.arange(VOCABULARY).repeat(len(hidden))
    return layer.log_probs(hidden, context, tokens).view(len(hidden), VOCABULARY)


@pytest.mark.parametrize("block_values", [1, VOCABULARY, 5 * VOCABULARY + 3, 1 << 21])
@pytest.mark.parametrize("contexts", [1, 5, 12])
def test_probabilities_are_those_of_the_softmax_and_sum_to_one(
    layer: SoftmaxOutput, monkeypatch: pytest.MonkeyPatch, block_values: int, contexts: int
) -> None:
    monkeypatch.setattr(output_module, "_BLOCK_VALUES", block_values)
    hidden = torch.randn(contexts, WIDTH)
    found = every_log_prob(layer, hidden)
    torch.testing.assert_close(found.double(), expected(layer, hidden), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.exp().sum(dim=1), torch.ones(contexts), atol=1e-5, rtol=0)


@settings(max_examples=50)
@given(queries=st.lists(st.integers(1, 4), min_size=1, max_size=15), block_values=st.integers(1, 12 * VOCABULARY))
def test_each_query_is_answered_in_its_own_context(queries: list[int], block_values: int) -> None:
    torch.manual_seed(len(queries))
    layer, hidden = SoftmaxOutput(VOCABULARY, WIDTH), torch.randn(len(queries), WIDTH)
    context = torch.arange(len(queries)).repeat_interleave(torch.tensor(queries))
    tokens = torch.randint(VOCABULARY, (len(context),))
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(output_module, "_BLOCK_VALUES", block_values)
        found = layer.log_probs(hidden, context, tokens)
    torch.testing.assert_close(found.double(), expected(layer, hidden)[context, tokens], atol=1e-5, rtol=0)


def test_training_loss_and_scores_agree(layer: SoftmaxOutput) -> None:
    hidden, tokens = torch.randn(9, WIDTH), torch.randint(VOCABULARY, (9,))
    with torch.no_grad():
        torch.testing.assert_close(layer.nll(hidden, tokens), -layer.log_probs(hidden, torch.arange(9), tokens))


def test_scoring_holds_one_block_of_logits_at_a_time(layer: SoftmaxOutput, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    linear = output_module.linear

    def recorded(hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        rows.append(len(hidden))
        return linear(hidden, weight, bias)

    monkeypatch.setattr(output_module, "_BLOCK_VALUES", 10 * VOCABULARY)
    monkeypatch.setattr(output_module, "linear", recorded)
    every_log_prob(layer, torch.randn(35, WIDTH))
    assert rows == [9, 9, 9, 8]  # at most ten, and no short last block


def test_enormous_logits_neither_overflow_nor_vanish(layer: SoftmaxOutput) -> None:
    with torch.no_grad():
        layer.bias[:] = torch.linspace(-3e4, 3e4, VOCABULARY)
    found = every_log_prob(layer, torch.zeros(2, WIDTH))
    assert found.isfinite().all()
    torch.testing.assert_close(found.exp().sum(dim=1), torch.ones(2))
    torch.testing.assert_close(found[0], layer.bias - layer.bias.max())


def test_a_tied_weight_is_the_embedding(layer: SoftmaxOutput) -> None:
    embedding = nn.Embedding(VOCABULARY, WIDTH)
    tied = SoftmaxOutput(VOCABULARY, WIDTH, tied=embedding)
    assert tied.weight is embedding.weight
    tied.nll(torch.randn(3, WIDTH), torch.tensor([1, 2, 3])).sum().backward()
    assert embedding.weight.grad is not None
    assert (embedding.weight.grad != 0).any(dim=1).all()  # every word is in every denominator
