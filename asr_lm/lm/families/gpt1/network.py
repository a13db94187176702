"""Transformer decoder language model as in GPT-1.

Radford, Narasimhan, Salimans, Sutskever: Improving Language Understanding by Generative Pre-Training (2018), section
3.1, after the decoder of Vaswani et al. (2017)::

    h_0 = U W_e + W_p                          U: the tokens of the context; W_p: learned position embeddings
    h_l = block(h_{l-1})                       l = 1 … layers
    p(u) = softmax(h_n W_eᵀ)                   tied to the embedding, no bias

    block(x):  n = LayerNorm(x + attention(x))         layer norm after the residual sum
               LayerNorm(n + W_2 gelu(W_1 n))          inner width 4 · width; GELU in its tanh form

Weights begin as N(0, 0.02), biases as 0; dropout acts on embeddings, attention weights and residual branches.

Position embeddings are learned, but begin as the sinusoids of Vaswani et al. (2017, section 3.5), as large as
N(0, 0.02). Drawn at random, as in the paper, they are still random after some million words, and no head learns to look
one word back.

A text that is longer than the position embeddings is read in windows (:mod:`asr_lm.lm.scoring.windows`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from asr_lm.hypotheses.prefix_tree import PrefixTree
from asr_lm.lm.dropout import Dropout
from asr_lm.lm.families.gpt1 import Gpt1Config
from asr_lm.lm.neural import CausalNetwork, NeuralLanguageModel, State
from asr_lm.lm.output.layer import SoftmaxOutput
from asr_lm.lm.scoring.matrix_product import linear
from asr_lm.lm.scoring.tree_attention import Indices, Piece, Preorder, pieces
from asr_lm.lm.scoring.windows import WindowStream, windows

_DEVIATION = 0.02
"""Of the weights in the beginning."""

_PIECE = 1024
"""Nodes of a tree that are read at once on a CPU: their activations stay in its last-level cache."""

_PIECE_GPU = 32 * _PIECE

_BLOCK = 64
"""Neighbouring nodes that attend together."""

attend = nn.functional.scaled_dot_product_attention


class Block(nn.Module):
    """Attention and a feed-forward layer, each followed by the sum with its input and layer norm."""

    stacked: ClassVar = {"queries_keys_values": 3}
    """How many matrices the weight of a layer holds (:func:`~asr_lm.lm.training.muon.hidden_matrices`)."""

    def __init__(self, config: Gpt1Config) -> None:
        super().__init__()
        width = config.width
        self.heads, self.attention_dropout = config.heads, config.attention_dropout
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        self.attention_norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)
        self.norm = nn.LayerNorm(width)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """``x [batch, time, width]`` to the same shape; no position sees a later one."""
        q, k, v = (self._split(part) for part in self.queries_keys_values(x).chunk(3, dim=-1))
        dropped = self.attention_dropout if self.training else 0.0
        if x.device.type == "cpu":  # where torch's fused attention is two to four times slower in bfloat16
            q, k, v = (part.to(torch.promote_types(part.dtype, torch.float32)) for part in (q, k, v))
        with torch.autocast("cpu", enabled=False):
            attended = attend(q, k, v, is_causal=True, dropout_p=dropped).transpose(1, 2).flatten(2)
        n = self.attention_norm(x + self.dropout(self.merge(attended)))
        inner = nn.functional.gelu(self.expand(n), approximate="tanh")
        return self.norm(n + self.dropout(self.contract(inner)))

    def read_nodes(self, x: Tensor, piece: Piece, path: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`forward` for the nodes of a piece of a prefix tree, without gradient.

        Args:
            x: ``[nodes, width]``.
            piece: who attends to whom.
            path: keys and values of the path to the piece ``[path, 2 · width]``.

        Returns:
            The new vectors ``[nodes, width]``, and the path's keys and values for the next piece.
        """
        width = x.shape[1]
        qkv = linear(x, self.queries_keys_values.weight, self.queries_keys_values.bias)
        memory = torch.cat([path, qkv[:, width:]])
        k, v = (self._split(part) for part in _rows(memory, piece.keys).chunk(2, dim=-1))
        q = self._split(_rows(qkv[:, :width], piece.queries))
        attended = attend(q, k, v, attn_mask=piece.mask).transpose(1, 2).reshape(-1, width)[: len(x)]
        n = self.attention_norm(linear(attended, self.merge.weight, self.merge.bias).add_(x))
        inner = linear(n, self.expand.weight, self.expand.bias, gelu=True)
        x = self.norm(linear(inner, self.contract.weight, self.contract.bias).add_(n))
        return x, memory[piece.kept]

    def _split(self, x: Tensor) -> Tensor:
        """``[batch, time, width]`` to ``[batch, heads, time, width / heads]``."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class Gpt1Network(CausalNetwork):
    """The network; it has no state."""

    def __init__(self, config: Gpt1Config) -> None:
        super().__init__()
        self.config: Gpt1Config = config
        self.embedding = nn.Embedding(config.vocabulary_size, config.width)
        self.position = nn.Embedding(config.positions, config.width)
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.apply(_initialise)
        if not self.position.weight.is_meta:
            with torch.no_grad():
                self.position.weight.copy_(sinusoids(config.positions, config.width) * _DEVIATION * math.sqrt(2))
        self.output = SoftmaxOutput(config.vocabulary_size, config.width, tied=self.embedding)
        self.output.bias.requires_grad_(False)

    def forward(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, None]:
        length, parts = inputs.shape[1], []
        for begin, first in windows(length, self.config.positions):
            window = inputs[:, begin : begin + self.config.positions]
            parts.append(self._read(window)[:, first - begin :])
        return torch.cat(parts, dim=1), None

    def _read(self, inputs: Tensor) -> Tensor:
        """Hidden vectors ``[batch, time, width]`` of one window."""
        x = self.dropout(self.embedding(inputs) + self.position.weight[: inputs.shape[1]])
        for block in self.blocks:
            x = block(x)
        return x

    def node_log_probs(self, tree: PrefixTree) -> Tensor:
        device = self.device
        tokens = torch.from_numpy(tree.token).long().to(device)
        results = torch.zeros(len(tokens), device=device)
        children = np.bincount(tree.parent[1:], minlength=len(tokens))
        first_child = np.cumsum(children) - children + 1
        for nodes, hidden in self.read_tree(tree, children > 0):
            count = children[nodes]
            context = np.repeat(np.arange(len(nodes)), count)
            queries = np.arange(count.sum()) + np.repeat(first_child[nodes] - np.cumsum(count) + count, count)
            rows = torch.from_numpy(queries).to(device)
            results[rows] = self.output.log_probs(hidden, torch.from_numpy(context).to(device), tokens[rows])
        return results

    @torch.no_grad()
    def read_tree(self, tree: PrefixTree, kept: NDArray[np.bool_]) -> Iterator[tuple[Indices, Tensor]]:
        """Nodes of a tree and their hidden vectors ``[n, width]``, piece by piece; every node kept comes once.

        Args:
            tree: the tree.
            kept: which nodes are read ``[nodes]``; with a node its parent.
        """
        whole = Preorder.of_tree(tree, kept)
        for begin, first in windows(int(whole.depth.max()) + 1, self.config.positions):
            order = whole.window(begin, self.config.positions).reaching(first - begin)
            for piece, hidden in self._read_order(order, tree):
                new = np.flatnonzero(order.depth[piece.begin : piece.end] >= first - begin)
                nodes = order.node[piece.begin : piece.end][new]
                if len(nodes):
                    yield nodes, hidden[torch.from_numpy(new).to(hidden.device)]

    def _read_order(self, order: Preorder, tree: PrefixTree) -> Iterator[tuple[Piece, Tensor]]:
        device, width = self.device, self.config.width
        tokens = torch.from_numpy(tree.token[order.node]).long().to(device)
        depths = torch.from_numpy(order.depth).to(device)
        paths = [torch.zeros(0, 2 * width, device=device)] * len(self.blocks)
        for piece in pieces(order, _PIECE if device.type == "cpu" else _PIECE_GPU, _BLOCK, device):
            span = slice(piece.begin, piece.end)
            x = self.embedding(tokens[span]) + self.position(depths[span])
            for layer, block in enumerate(self.blocks):
                assert isinstance(block, Block)
                x, paths[layer] = block.read_nodes(x, piece, paths[layer])
            yield piece, x


class Gpt1Model(NeuralLanguageModel):
    """The language model around the network."""

    network: Gpt1Network

    @property
    def has_state(self) -> bool:
        return True

    def stream(self) -> WindowStream:
        """A reader of consecutive sentences as one text, which is longer than the network's window."""
        return WindowStream(self.network, self.vocabulary, self.network.config.positions)


def _rows(x: Tensor, numbers: Tensor) -> Tensor:
    """Rows ``numbers [a, b]`` of ``x [n, width]`` as ``[a, b, width]``."""
    return x.index_select(0, numbers.flatten()).unflatten(0, numbers.shape)


def sinusoids(positions: int, width: int) -> Tensor:
    """Sines and cosines of wavelengths from 2 pi to 20,000 pi positions, in turn ``[positions, width]``.

    A step of k positions is the same rotation wherever it is taken (Vaswani et al. 2017, section 3.5).
    """
    wavelength = torch.pow(10_000.0, torch.arange(0, width, 2) / width)
    angle = torch.arange(positions)[:, None] / wavelength
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :width]


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=_DEVIATION)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
