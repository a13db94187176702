"""Laws of the GPT-1 language model: a distribution in every context, one result however it is computed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from causal_laws import (
    BOS,
    EOS,
    VOCABULARY,
    CausalLaws,
    arrays,
    assert_close,
    check_learning_by_heart,
    corpus_of,
    random_sentences,
    sentences_of_ids,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from asr_lm.errors import InputError
from asr_lm.hypotheses.prefix_tree import PrefixTree
from asr_lm.lm.families.gpt1 import Gpt1Config
from asr_lm.lm.families.gpt1 import network as gpt1
from asr_lm.lm.families.gpt1.network import Gpt1Model, Gpt1Network
from asr_lm.lm.protocol import LogProbs, Tokens
from asr_lm.lm.scoring.tree_attention import Preorder
from asr_lm.lm.scoring.windows import windows
from asr_lm.lm.training.batches import IGNORED
from asr_lm.lm.training.options import TextOptions, TrainingOptions
from asr_lm.lm.training.recipe import make_batches, train_model

CONFIGS = {
    "one layer": Gpt1Config(VOCABULARY.size, layers=1, width=8, heads=1, positions=40),
    "two layers": Gpt1Config(VOCABULARY.size, layers=2, width=12, heads=3, positions=64, dropout=0.4),
    "short window": Gpt1Config(VOCABULARY.size, layers=2, width=8, heads=2, positions=6),
    "odd window": Gpt1Config(VOCABULARY.size, layers=2, width=8, heads=2, positions=5),
    "no window": Gpt1Config(VOCABULARY.size, layers=1, width=4, heads=2, positions=1),
}
every_shape = pytest.mark.parametrize("name", CONFIGS)


@pytest.fixture(params=[(1024, 64), (7, 3)], ids=["large pieces", "small pieces"])
def pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trees that are read at once, and trees that are read in many pieces of several blocks."""
    monkeypatch.setattr(gpt1, "_PIECE", request.param[0])
    monkeypatch.setattr(gpt1, "_BLOCK", request.param[1])


def model(name: str = "two layers", seed: int = 1) -> Gpt1Model:
    """A model whose weights are large enough for contexts to matter."""
    torch.manual_seed(seed)
    network = Gpt1Network(CONFIGS[name])
    for parameter in network.parameters():
        if parameter.requires_grad:
            nn.init.uniform_(parameter, -0.7, 0.7)
    return Gpt1Model("gpt1", network, VOCABULARY, "as-is")


@torch.no_grad()
def plain_hidden(network: Gpt1Network, tokens: list[int]) -> torch.Tensor:
    """The paper's equations for one text that fits the window, one position and one head at a time."""
    weights = dict(network.named_parameters())
    heads, width = network.config.heads, network.config.width
    x = [weights["embedding.weight"][token] + weights["position.weight"][t] for t, token in enumerate(tokens)]
    for layer in range(network.config.layers):

        def project(name: str, vector: torch.Tensor, block: str = f"blocks.{layer}") -> torch.Tensor:
            return weights[f"{block}.{name}.weight"] @ vector + weights[f"{block}.{name}.bias"]

        def normalise(name: str, vector: torch.Tensor, block: str = f"blocks.{layer}") -> torch.Tensor:
            scaled = (vector - vector.mean()) / (vector.var(correction=0) + 1e-5).sqrt()
            return weights[f"{block}.{name}.weight"] * scaled + weights[f"{block}.{name}.bias"]

        q, k, v = zip(*(project("queries_keys_values", vector).split(width) for vector in x), strict=True)
        out = []
        for t, vector in enumerate(x):
            attended = []
            for part in torch.arange(width).view(heads, -1):
                logits = torch.stack([q[t][part] @ k[s][part] for s in range(t + 1)]) / len(part) ** 0.5
                attended.append(sum(a * v[s][part] for s, a in enumerate(logits.softmax(0))))
            n = normalise("attention_norm", vector + project("merge", torch.cat(attended)))
            inner = project("expand", n)
            gelu = 0.5 * inner * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (inner + 0.044715 * inner**3)))
            out.append(normalise("norm", n + project("contract", gelu)))
        x = out
    return torch.stack(x)


@torch.no_grad()
def one_by_one(scorer: Gpt1Model, sentences: list[Tokens]) -> list[LogProbs]:
    """The network's forward pass over each sentence alone; every token from the window that is to predict it."""
    network = scorer.network.eval()
    positions = network.config.positions
    half = max(1, positions // 2)
    results = []
    for sentence in sentences:
        inputs, targets = [BOS, *sentence.tolist()], [*sentence.tolist(), EOS]
        begins = [0 if t < positions else -(-(t - positions + 1) // half) * half for t in range(len(targets))]
        values = []
        for t, target in enumerate(targets):
            begin = begins[t]
            assert begin == 0 or t + 1 - begin >= positions / 2
            if t == 0 or begin != begins[t - 1]:
                hidden, _ = network(torch.tensor([inputs[begin : begin + positions]]))
                log_probs = (hidden[0] @ network.embedding.weight.T).log_softmax(1)
            values.append(log_probs[t - begin, target].item())
        results.append(np.array(values))
    return results


class TestNetwork:
    @pytest.mark.parametrize("name", ["one layer", "two layers"])
    def test_it_computes_the_equations_of_the_paper(self, name: str) -> None:
        network = model(name).network.eval()
        tokens = [BOS, 5, 5, 3, 0, 14, 7, 9, 3]
        with torch.no_grad():
            hidden, state = network(torch.tensor([tokens, tokens[::-1]]))
        assert state is None
        torch.testing.assert_close(hidden[0], plain_hidden(network, tokens), atol=1e-4, rtol=0)
        torch.testing.assert_close(hidden[1], plain_hidden(network, tokens[::-1]), atol=1e-4, rtol=0)

    def test_weights_begin_as_the_paper_has_them(self) -> None:
        torch.manual_seed(1)
        network = Gpt1Network(Gpt1Config(500, layers=2, width=64, heads=4, positions=100))
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                assert not parameter.any(), name
            elif "norm" in name:
                assert (parameter == 1).all(), name
            elif name == "position.weight":
                assert parameter.square().mean().item() == pytest.approx(0.02**2, rel=1e-4)
            else:
                assert parameter.std().item() == pytest.approx(0.02, rel=0.1), name
                assert abs(parameter.mean().item()) < 1e-3, name

    @pytest.mark.parametrize("width", [64, 63, 2])
    def test_a_step_of_k_positions_is_the_same_rotation_everywhere(self, width: int) -> None:
        waves = gpt1.sinusoids(100, width).double()
        assert waves.shape == (100, width)
        pairs = torch.view_as_complex(waves[:, : width // 2 * 2].unflatten(1, (-1, 2)).contiguous())
        for step in (1, 7):
            turn = pairs[step:] / pairs[:-step]
            torch.testing.assert_close(turn, turn[:1].expand_as(turn), atol=1e-4, rtol=0)
        assert len({tuple(row) for row in waves.tolist()}) == 100

    def test_the_full_configuration_has_the_published_number_of_parameters(self) -> None:
        def parameters(vocabulary: int, layers: int, width: int, positions: int) -> int:
            return (vocabulary + positions) * width + layers * (12 * width**2 + 13 * width)

        config = CONFIGS["two layers"]
        assert model().parameters == parameters(VOCABULARY.size, config.layers, config.width, config.positions)
        # OpenAI's release has 116,534,784, the embedding counted once; it has no output bias.
        assert parameters(40478, 12, 768, 512) == 116_534_784

    @every_shape
    def test_no_position_sees_a_later_one(self, name: str) -> None:
        network = model(name).network.eval()
        inputs = torch.randint(VOCABULARY.size, (1, 20), generator=torch.Generator().manual_seed(3))
        with torch.no_grad():
            hidden, _ = network(inputs)
            for changed in (1, 7, 12, 19):
                other = inputs.clone()
                other[0, changed] = (other[0, changed] + 1) % VOCABULARY.size
                found, _ = network(other)
                torch.testing.assert_close(found[:, :changed], hidden[:, :changed], atol=1e-5, rtol=0)
                assert not torch.allclose(found[:, changed], hidden[:, changed], atol=1e-3)

    def test_dropout_acts_in_training_on_embeddings_attention_and_residual_branches(self) -> None:
        torch.manual_seed(1)
        network = Gpt1Network(replace(CONFIGS["one layer"], dropout=0.5)).train()
        rates = [module.p for module in network.modules() if isinstance(module, nn.Dropout)]
        assert rates == [0.5, 0.5]
        block = network.blocks[0]
        x = torch.ones(1, 40, 8)
        nn.init.zeros_(block.merge.weight)
        nn.init.zeros_(block.contract.weight)
        torch.testing.assert_close(block(x), block.norm(block.attention_norm(x)))  # only residual branches, all zero
        nn.init.eye_(block.merge.weight)
        block.dropout.p = 0.0
        first, second = block(torch.randn(1, 40, 8)), block.eval()(torch.randn(1, 40, 8))
        assert first.shape == second.shape
        block.train()
        x = torch.randn(1, 40, 8)
        assert not torch.allclose(block(x), block(x))  # attention weights alone are dropped now


class TestWindows:
    @given(length=st.integers(1, 200), width=st.integers(1, 40))
    def test_every_position_is_predicted_once_from_at_least_half_a_window(self, length: int, width: int) -> None:
        found = list(windows(length, width))
        predicted = []
        for begin, first in found:
            end = min(begin + width, length)
            assert begin <= first < end
            assert begin == 0 or first + 1 - begin >= width / 2
            predicted += range(first, end)
        assert predicted == list(range(length))

    def test_with_512_positions_every_token_has_256_before_it(self) -> None:
        assert list(windows(1100, 512)) == [(0, 0), (256, 512), (512, 768), (768, 1024)]


class TestLaws(CausalLaws):
    shapes = CONFIGS
    model = staticmethod(model)
    one_by_one = staticmethod(one_by_one)

    def test_a_small_text_is_learned_by_heart(self, tmp_path: Path) -> None:
        torch.manual_seed(1)
        network = Gpt1Network(Gpt1Config(VOCABULARY.size, layers=1, width=96, heads=2, positions=8, dropout=0.0))
        options = TrainingOptions(
            epochs=100, batch_tokens=280, learning_rate=5e-3, warmup=0.1, validations=2, patience=0, weight_decay=0.0
        )
        check_learning_by_heart(Gpt1Model("gpt1", network, VOCABULARY, "as-is"), options, tmp_path)


class TestScores:
    @every_shape
    @settings(max_examples=10, deadline=None)
    @given(sentences=sentences_of_ids, nodes=st.integers(1, 30), block=st.integers(1, 9))
    def test_the_tree_gives_what_each_sentence_alone_gives(
        self, name: str, sentences: list[list[int]], nodes: int, block: int
    ) -> None:
        scorer = model(name)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(gpt1, "_PIECE", nodes)
            patch.setattr(gpt1, "_BLOCK", block)
            assert_close(scorer.token_log_probs(arrays(sentences)), one_by_one(scorer, arrays(sentences)))

    @every_shape
    def test_a_long_list(self, name: str, pieces: None) -> None:
        scorer, sentences = model(name), random_sentences(150)
        assert_close(scorer.token_log_probs(sentences), one_by_one(scorer, sentences))

    @every_shape
    def test_a_sentence_of_many_windows_is_scored_to_its_end(self, name: str, pieces: None) -> None:
        random = np.random.default_rng(2)
        long = [random.integers(3, 15, size=size).astype(np.int32) for size in (63, 64, 65, 160, 150)]
        long += [np.append(long[-1][:140], [3, 4]).astype(np.int32), long[-2][:5]]
        scorer = model(name)
        found = scorer.token_log_probs(long)
        assert_close(found, one_by_one(scorer, long))
        assert all((values < 0).all() for values in found)

    def test_every_distinct_prefix_is_read_once(self) -> None:
        scorer, sentences = model(), random_sentences(200)
        read: list[int] = []

        class Counting(Gpt1Network):
            def read_tree(self, tree: PrefixTree, kept: np.ndarray):  # type: ignore[no-untyped-def]
                for nodes, hidden in super().read_tree(tree, kept):
                    read.append(len(nodes))
                    yield nodes, hidden

        scorer.network.__class__ = Counting
        scorer.token_log_probs(sentences)
        prefixes = {tuple(sentence[:end].tolist()) for sentence in sentences for end in range(len(sentence) + 1)}
        assert sum(read) == len(prefixes)
        assert sum(len(sentence) + 1 for sentence in sentences) > 2 * len(prefixes)


class TestPreorder:
    def test_a_hand_worked_tree(self) -> None:
        # <s> - 3 - 4 - 5      nodes in level order: <s>=0, 3=1, 6=2, 4=3, 7=4, 3=5, 5=6
        #     |     7
        #     + 6 - 3
        tree = PrefixTree.build(arrays([[3, 4, 5], [3, 7], [6, 3]]), BOS)
        order = Preorder.of_tree(tree, np.ones(len(tree) + 1, dtype=np.bool_))
        assert order.node.tolist() == [0, 1, 3, 6, 4, 2, 5]
        assert order.parent.tolist() == [-1, 0, 1, 2, 1, 0, 5]
        assert order.depth.tolist() == [0, 1, 2, 3, 2, 1, 2]
        assert order.end.tolist() == [7, 5, 4, 4, 5, 7, 7]
        assert order.path(np.array([3, 6, 0])).tolist() == [[0, 1, 2], [0, 5, -1], [-1, -1, -1]]
        inner = Preorder.of_tree(tree, np.isin(np.arange(7), tree.parent))
        assert inner.node.tolist() == [0, 1, 3, 2]
        assert inner.end.tolist() == [4, 3, 3, 4]
        assert order.window(2, 5).node.tolist() == [3, 6, 4, 5]
        assert order.window(2, 5).parent.tolist() == [-1, 0, -1, -1]
        assert order.reaching(3).node.tolist() == [0, 1, 3, 6]
        assert order.window(1, 3).reaching(2).end.tolist() == [3, 3, 3]


class TestStream:
    @every_shape
    def test_a_stream_in_pieces_is_the_text_in_one(self, name: str) -> None:
        scorer, sentences = model(name), random_sentences(25)
        inputs = np.concatenate([np.append(BOS, sentence) for sentence in sentences])
        targets = np.concatenate([np.append(sentence, EOS) for sentence in sentences])
        (expected,) = one_by_one(scorer, [inputs[1:].astype(np.int32)])
        stays = targets == np.append(inputs[1:], EOS)
        assert (~stays).sum() == len(sentences) - 1
        for size in (1, 4, 25):
            stream = scorer.stream()
            found = [v for at in range(0, 25, size) for v in stream.token_log_probs(sentences[at : at + size])]
            assert [len(values) for values in found] == [len(sentence) + 1 for sentence in sentences]
            np.testing.assert_allclose(np.concatenate(found)[stays], expected[stays], atol=1e-4)
        assert stream.token_log_probs([]) == []

    def test_the_end_of_a_sentence_is_predicted_where_the_next_begins(self) -> None:
        scorer, (one, two) = model(), arrays([[3, 4], [5]])
        found = scorer.stream().token_log_probs([one, two])
        with torch.no_grad():
            hidden, _ = scorer.network.eval()(torch.tensor([[BOS, 3, 4, BOS, 5]]))
            log_probs = (hidden[0] @ scorer.network.embedding.weight.T).log_softmax(1)
        expected = log_probs[torch.arange(5), torch.tensor([3, 4, EOS, 5, EOS])]
        np.testing.assert_allclose(np.concatenate(found), expected.double().numpy(), atol=1e-4)

    def test_training_on_a_stream_reads_windows_that_every_epoch_cuts_elsewhere(self) -> None:
        scorer, corpus = model(), corpus_of(random_sentences(30))
        options = TrainingOptions(context="stream", batch_tokens=48, bptt=16)
        train, valid = make_batches(scorer.network, corpus, corpus, VOCABULARY, options)
        assert (train.carries_state, valid.carries_state) == (False, True)
        windows_of = []
        for epoch in range(2):
            rows = [row for batch in train.batches(epoch) for row in zip(batch.inputs, batch.targets, strict=True)]
            loss, state = scorer.network.eval().loss(next(iter(train.batches(epoch))))
            assert state is None
            expected = [
                nn.functional.cross_entropy(
                    scorer.network(inputs[None])[0][0] @ scorer.network.embedding.weight.T,
                    targets,
                    ignore_index=IGNORED,
                    reduction="sum",
                ).item()
                for inputs, targets in rows[:3]
            ]
            assert loss.item() == pytest.approx(sum(expected), rel=1e-5)
            assert sum(int((targets != IGNORED).sum()) for _, targets in rows) == len(corpus.tokens) + len(corpus)
            windows_of.append({tuple(targets.tolist()) for _, targets in rows})
        assert not windows_of[0] & windows_of[1]

    def test_windows_grow_where_windows_are_read(self) -> None:
        corpus = corpus_of(random_sentences(30))
        options = TrainingOptions(epochs=10, context="stream", batch_tokens=128, bptt=64, short_windows=0.4)
        train, _ = make_batches(model().network, corpus, corpus, VOCABULARY, options)
        assert [next(iter(train.batches(epoch))).inputs.shape[1] for epoch in (0, 3, 4, 9)] == [32, 32, 64, 64]

    @pytest.mark.parametrize(("family", "context"), [("lstm", "stream"), ("gpt1", "sentence"), ("bilstm", "sentence")])
    def test_windows_cannot_grow_where_none_are_read(
        self, family: str, context: Literal["sentence", "stream"], tmp_path: Path
    ) -> None:
        options = TrainingOptions(context=context, short_windows=0.4)
        text = TextOptions((tmp_path / "train.txt",), tmp_path / "valid.txt")
        with pytest.raises(InputError, match="is for a transformer") as error:
            train_model(family, CONFIGS["two layers"], text, options, tmp_path / "model")
        assert error.value.parameter == "short_windows"
        assert not (tmp_path / "model").exists()


class TestFolder:
    def test_heads_that_do_not_divide_the_width(self) -> None:
        with pytest.raises(InputError, match="field heads: 5 heads do not divide a width of 12"):
            Gpt1Config(9, width=12, heads=5)
