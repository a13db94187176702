"""Laws of Muon: orthogonal steps of AdamW's size for the matrices between layers, AdamW's own for everything else."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from asr_lm.lm.families.bilstm import BilstmConfig
from asr_lm.lm.families.bilstm.network import BilstmNetwork
from asr_lm.lm.families.birnn_attention import BirnnAttentionConfig
from asr_lm.lm.families.birnn_attention.network import BirnnAttentionNetwork
from asr_lm.lm.families.gpt1 import Gpt1Config
from asr_lm.lm.families.gpt1.network import Gpt1Network
from asr_lm.lm.families.lstm import LstmConfig
from asr_lm.lm.families.lstm.network import LstmNetwork
from asr_lm.lm.families.rnnlm import RnnlmConfig
from asr_lm.lm.families.rnnlm.network import RnnlmNetwork
from asr_lm.lm.training.muon import Muon, hidden_matrices, orthogonal

RATE = 0.01


def drawn(rows: int, columns: int, seed: int) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


class TestOrthogonal:
    @given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 10_000))
    @settings(max_examples=60, deadline=None)
    def test_singular_vectors_stay_and_singular_values_come_near_one(self, rows: int, columns: int, seed: int) -> None:
        # Of known singular values, none of which is lost in the noise.
        u, _, vh = torch.linalg.svd(drawn(rows, columns, seed).double(), full_matrices=False)
        values = torch.logspace(0, -1, min(rows, columns), dtype=torch.float64)
        found = u.T @ orthogonal((u * values) @ vh) @ vh.T
        assert found.diagonal().min() > 0.6
        assert found.diagonal().max() < 1.3
        torch.testing.assert_close(found, found.diagonal().diag())

    @given(st.floats(1e-4, 1e4), st.integers(0, 100))
    @settings(max_examples=30, deadline=None)
    def test_the_size_of_the_matrix_says_nothing(self, factor: float, seed: int) -> None:
        matrix = drawn(5, 9, seed)
        torch.testing.assert_close(orthogonal(matrix * factor), orthogonal(matrix), atol=1e-2, rtol=1e-2)

    def test_the_transpose_gives_the_transpose(self) -> None:
        torch.testing.assert_close(orthogonal(drawn(6, 3, 1).T), orthogonal(drawn(6, 3, 1)).T)

    def test_nothing_stays_nothing(self) -> None:
        assert not orthogonal(torch.zeros(3, 4)).any()


class TestHiddenMatrices:
    def names(self, network: nn.Module) -> set[str]:
        return set(hidden_matrices(network))

    def test_of_gpt1(self) -> None:
        parts = ("queries_keys_values", "merge", "expand", "contract")
        expected = {f"blocks.{layer}.{part}.weight" for layer in (0, 1) for part in parts}
        assert self.names(Gpt1Network(Gpt1Config(20, layers=2, width=8, heads=2, positions=9))) == expected

    @pytest.mark.parametrize("tied", [True, False])
    def test_of_recurrent_networks(self, tied: bool) -> None:
        network = LstmNetwork(LstmConfig(20, embedding=6, hidden=6, layers=2, tied=tied))
        expected = {f"lstm.weight_{part}_l{layer}" for part in ("ih", "hh") for layer in (0, 1)}
        assert self.names(network) == expected
        assert all("embedding" not in name for name in self.names(RnnlmNetwork(RnnlmConfig(20, hidden=6))))

    def test_gates_queries_keys_and_values_are_matrices_of_their_own(self) -> None:
        lstm = hidden_matrices(LstmNetwork(LstmConfig(20, embedding=6, hidden=5, layers=2, tied=False)))
        assert set(lstm.values()) == {4}
        gpt = hidden_matrices(Gpt1Network(Gpt1Config(20, layers=2, width=8, heads=2, positions=9)))
        assert {name for name, count in gpt.items() if count == 3} == {
            f"blocks.{layer}.queries_keys_values.weight" for layer in (0, 1)
        }
        assert set(gpt.values()) == {1, 3}
        birnn = BirnnAttentionNetwork(BirnnAttentionConfig(20, embedding=4, hidden=5, attention=3, maxout=4))
        assert {name: count for name, count in hidden_matrices(birnn).items() if count > 1} == {
            **{f"encoder.{side}s.weight_{part}_l0": 3 for side in ("forward", "backward") for part in ("ih", "hh")},
            "decoder.token.weight": 3,
            "decoder.context.weight": 3,
            "decoder.gates.weight": 2,
        }
        assert set(hidden_matrices(RnnlmNetwork(RnnlmConfig(20, hidden=6))).values()) == {1}

    def test_what_is_not_trained_is_left_out(self) -> None:
        network = BilstmNetwork(BilstmConfig(20, embedding=6, hidden=6, layers=1))
        assert hidden_matrices(network)
        network.requires_grad_(False)
        assert not hidden_matrices(network)


class TestStep:
    """A network of one matrix of each kind, after some steps."""

    def parts(self, weight_decay: float, matrices: int = 1) -> tuple[nn.Parameter, nn.Parameter, Muon]:
        matrix, vector = nn.Parameter(drawn(24, 16, 1)), nn.Parameter(drawn(1, 16, 2)[0])
        groups = [{"params": [vector]}, {"params": [matrix], "orthogonal": matrices}]
        return matrix, vector, Muon(groups, lr=RATE, weight_decay=weight_decay, fused=True)

    @pytest.mark.parametrize("weight_decay", [0.0, 0.3])
    def test_the_first_is_the_gradient_made_orthogonal(self, weight_decay: float) -> None:
        matrix, _, optimizer = self.parts(weight_decay)
        before, gradient = matrix.detach().clone(), drawn(24, 16, 3)
        matrix.grad = gradient.clone()
        optimizer.step()
        expected = before * (1 - RATE * weight_decay) - RATE * 0.2 * math.sqrt(24) * orthogonal(gradient)
        torch.testing.assert_close(matrix.detach(), expected)

    def test_a_matrix_of_small_gradient_moves_as_far_as_that_below_it(self) -> None:
        matrix, _, optimizer = self.parts(0.3, matrices=3)
        before, gradient = matrix.detach().clone(), drawn(24, 16, 3)
        gradient[:16] *= 1e-4
        matrix.grad = gradient.clone()
        optimizer.step()
        steps = [orthogonal(part) for part in gradient.chunk(3)]
        torch.testing.assert_close(matrix.detach(), before * (1 - RATE * 0.3) - RATE * 0.2 * 4 * torch.cat(steps))

    def test_it_is_as_large_as_one_of_adamw(self) -> None:
        matrix, _, optimizer = self.parts(0.0)
        before = matrix.detach().clone()
        matrix.grad = drawn(24, 16, 3)
        optimizer.step()
        size = (matrix.detach() - before).square().mean().sqrt() / RATE
        assert 0.14 < size < 0.25

    def test_later_ones_follow_the_momentum(self) -> None:
        matrix, _, optimizer = self.parts(0.0)
        momentum = torch.zeros(24, 16)
        for seed in range(4):
            before, gradient = matrix.detach().clone(), drawn(24, 16, seed)
            matrix.grad = gradient.clone()
            optimizer.step()
            momentum = 0.95 * momentum + 0.05 * gradient
            expected = before - RATE * 0.2 * math.sqrt(24) * orthogonal(0.05 * gradient + 0.95 * momentum)
            torch.testing.assert_close(matrix.detach(), expected, atol=1e-4, rtol=1e-4)

    def test_the_rest_takes_the_steps_of_adamw(self) -> None:
        matrix, vector, optimizer = self.parts(0.1)
        alone = nn.Parameter(vector.detach().clone())
        other = torch.optim.AdamW([alone], lr=RATE, weight_decay=0.1, fused=True)
        for seed in range(5):
            matrix.grad = drawn(24, 16, seed)
            vector.grad, alone.grad = drawn(1, 16, seed)[0], drawn(1, 16, seed)[0]
            optimizer.step()
            other.step()
        assert torch.equal(vector, alone)

    def test_without_a_gradient_nothing_moves(self) -> None:
        matrix, vector, optimizer = self.parts(0.1)
        before = copy.deepcopy((matrix, vector))
        optimizer.step()
        assert torch.equal(matrix, before[0])
        assert torch.equal(vector, before[1])

    def test_there_is_no_closure(self) -> None:
        with pytest.raises(ValueError, match="no closure"):
            self.parts(0.0)[2].step(lambda: 0.0)
