"""Laws of all output layers: a distribution over the vocabulary, in training as in scoring, learnt in all its parts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from asr_lm.errors import InputError
from asr_lm.lm.output import layer as output_module
from asr_lm.lm.output import noise_contrastive
from asr_lm.lm.output.adaptive import AdaptiveOutput, cutoffs
from asr_lm.lm.output.classes import ClassOutput, class_edges
from asr_lm.lm.output.layer import OutputLayer, SoftmaxOutput, make_output
from asr_lm.lm.output.noise_contrastive import NoiseContrastiveOutput
from asr_lm.lm.sizes import OutputConfig, OutputKind

VOCABULARY, WIDTH = 37, 20
COUNTS = torch.tensor([(7 * token) % VOCABULARY**2 // 3 for token in range(VOCABULARY)])
KINDS: list[OutputKind] = ["full", "class", "adaptive", "nce"]
every_kind = pytest.mark.parametrize("kind", KINDS)


def make(kind: OutputKind, seed: int = 1, **sizes: int) -> OutputLayer:
    """A layer that knows the counts, with weights large enough for contexts to matter."""
    torch.manual_seed(seed)
    layer = make_output(OutputConfig(VOCABULARY, output=kind, **{"classes": 5, **sizes}), WIDTH)
    layer.prepare(COUNTS)
    for parameter in layer.parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter, std=0.5)
    return layer.eval()


@torch.no_grad()
def all_log_probs(layer: OutputLayer, hidden: Tensor) -> Tensor:
    """As the layer scores ``[contexts, vocabulary]``."""
    context = torch.arange(len(hidden)).repeat_interleave(VOCABULARY)
    tokens = torch.arange(VOCABULARY).repeat(len(hidden))
    return layer.log_probs(hidden, context, tokens).view(len(hidden), VOCABULARY)


def by_definition(layer: OutputLayer, hidden: Tensor) -> Tensor:
    """All log-probabilities in double precision, each layer by the formula of its paper ``[contexts, vocabulary]``."""
    hidden = hidden.double()
    if isinstance(layer, SoftmaxOutput):
        return torch.log_softmax(hidden @ layer.weight.double().T + layer.bias.double(), dim=1)
    if isinstance(layer, AdaptiveOutput):
        double = nn.AdaptiveLogSoftmaxWithLoss(WIDTH, VOCABULARY, cutoffs(VOCABULARY, WIDTH), head_bias=True).double()
        double.load_state_dict(layer.softmax.state_dict())
        return double.log_prob(hidden)[:, layer.rank]
    assert isinstance(layer, ClassOutput)
    of_class = torch.log_softmax(hidden @ layer.class_weight.double().T + layer.class_bias.double(), dim=1)
    columns = []
    for token in range(VOCABULARY):
        rank = int(layer.rank[token])
        number = max(c for c, edge in enumerate(layer.edges[:-1].tolist()) if edge <= rank)
        first, last = layer.edges[number : number + 2].tolist()
        logits = hidden @ layer.weight[first:last].double().T + layer.bias[first:last].double()
        columns.append(of_class[:, number] + torch.log_softmax(logits, dim=1)[:, rank - first])
    return torch.stack(columns, dim=1)


class TestDistributions:
    @every_kind
    @pytest.mark.parametrize("block_values", [1, 100, 1 << 22])
    def test_they_are_as_the_paper_has_them_and_sum_to_one(
        self, kind: OutputKind, block_values: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(output_module, "_BLOCK_VALUES", block_values)
        layer, hidden = make(kind), torch.randn(9, WIDTH)
        found = all_log_probs(layer, hidden)
        torch.testing.assert_close(found.double(), by_definition(layer, hidden), atol=1e-5, rtol=0)
        torch.testing.assert_close(found.exp().sum(1), torch.ones(9), atol=1e-5, rtol=0)

    @every_kind
    def test_the_training_loss_of_a_validation_is_their_negative_logarithm(self, kind: OutputKind) -> None:
        layer, hidden, targets = make(kind), torch.randn(50, WIDTH), torch.randint(VOCABULARY, (50,))
        expected = -layer.log_probs(hidden, torch.arange(50), targets)
        torch.testing.assert_close(layer.nll(hidden, targets), expected, atol=1e-5, rtol=0)
        torch.testing.assert_close(layer.loss(hidden, targets), expected, atol=1e-5, rtol=0)

    @every_kind
    @settings(max_examples=20)
    @given(queries=st.lists(st.integers(1, 4), min_size=1, max_size=12), seed=st.integers(0, 99))
    def test_each_query_is_answered_in_its_own_context(self, kind: OutputKind, queries: list[int], seed: int) -> None:
        layer = make(kind, seed)
        hidden = torch.randn(len(queries), WIDTH)
        context = torch.arange(len(queries)).repeat_interleave(torch.tensor(queries))
        tokens = torch.randint(VOCABULARY, (len(context),))
        expected = by_definition(layer, hidden)[context, tokens]
        torch.testing.assert_close(layer.log_probs(hidden, context, tokens).double(), expected, atol=1e-5, rtol=0)

    @every_kind
    def test_the_company_of_a_target_changes_nothing(self, kind: OutputKind) -> None:
        layer, hidden, targets = make(kind), torch.randn(30, WIDTH), torch.randint(VOCABULARY, (30,))
        together, order = layer.nll(hidden, targets), torch.randperm(30)
        torch.testing.assert_close(layer.nll(hidden[order], targets[order]), together[order], atol=1e-5, rtol=0)
        alone = torch.cat([layer.nll(hidden[[row]], targets[[row]]) for row in range(30)])
        torch.testing.assert_close(alone, together, atol=1e-5, rtol=0)

    @every_kind
    def test_without_counts_they_are_distributions_too(self, kind: OutputKind) -> None:
        layer = make_output(OutputConfig(VOCABULARY, output=kind), WIDTH)
        found = all_log_probs(layer, torch.randn(3, WIDTH))
        torch.testing.assert_close(found.exp().sum(1), torch.ones(3), atol=1e-5, rtol=0)

    @every_kind
    @pytest.mark.parametrize(("words", "width"), [(3, 1), (4, 5), (6, 16)])
    def test_in_small_sizes_too(self, kind: OutputKind, words: int, width: int) -> None:
        layer = make_output(OutputConfig(words, output=kind), width)
        layer.prepare(torch.zeros(words, dtype=torch.int64))
        log_probs = layer.log_probs(torch.randn(1, width), torch.zeros(words, dtype=torch.int64), torch.arange(words))
        assert float(log_probs.exp().sum()) == pytest.approx(1, abs=1e-5)


class TestGradients:
    @every_kind
    def test_they_are_those_of_the_definition(self, kind: OutputKind) -> None:
        layer, targets = make(kind), torch.randint(VOCABULARY, (40,))
        hidden = torch.randn(40, WIDTH, requires_grad=True)
        layer.nll(hidden, targets).sum().backward()
        found = {name: parameter.grad for name, parameter in layer.named_parameters() if parameter.requires_grad}
        again = hidden.detach().clone().requires_grad_()
        logits = by_definition_differentiable(layer, again)
        wanted = torch.autograd.grad(-logits[torch.arange(40), targets].sum(), [again, *trained(layer).values()])
        torch.testing.assert_close(hidden.grad, wanted[0], atol=1e-4, rtol=1e-4)
        for (name, gradient), expected in zip(found.items(), wanted[1:], strict=True):
            assert gradient is not None, name
            torch.testing.assert_close(gradient, expected, atol=1e-4, rtol=1e-4)

    @every_kind
    def test_the_training_loss_reaches_every_parameter(self, kind: OutputKind) -> None:
        layer = make(kind, noise_samples=300).train()
        hidden = torch.randn(200, WIDTH, requires_grad=True)
        layer.loss(hidden, torch.arange(200) % VOCABULARY).sum().backward()
        assert hidden.grad is not None
        assert hidden.grad.any(dim=1).all()
        for name, parameter in trained(layer).items():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.any(), name

    @every_kind
    def test_a_single_target_leaves_no_parameter_without_a_gradient(self, kind: OutputKind) -> None:
        # An optimiser skips a parameter without one, and its moments would be missing in a checkpoint.
        layer = make(kind).train()
        layer.loss(torch.randn(1, WIDTH), torch.tensor([3])).sum().backward()
        assert all(parameter.grad is not None for parameter in trained(layer).values())


def trained(layer: OutputLayer) -> dict[str, nn.Parameter]:
    return {name: parameter for name, parameter in layer.named_parameters() if parameter.requires_grad}


def by_definition_differentiable(layer: OutputLayer, hidden: Tensor) -> Tensor:
    """:func:`by_definition` in the layer's own precision and parameters, for gradients."""
    if isinstance(layer, AdaptiveOutput):
        return layer.softmax.log_prob(hidden)[:, layer.rank]
    return by_definition(layer, hidden).float()


class TestClasses:
    @given(
        counts=st.lists(st.integers(0, 1000), min_size=1, max_size=60),
        classes=st.integers(1, 60),
    )
    def test_they_cover_all_words_none_empty_and_none_twice(self, counts: list[int], classes: int) -> None:
        falling = torch.tensor(sorted(counts, reverse=True))
        edges = class_edges(falling, min(classes, len(counts)))
        assert len(edges) == min(classes, len(counts)) + 1
        assert (int(edges[0]), int(edges[-1])) == (0, len(counts))
        assert (edges.diff() >= 1).all()

    def test_they_hold_the_same_share_of_the_text(self) -> None:
        counts = torch.arange(5000, 0, -1)
        shares = torch.tensor([part.sum() for part in counts.split(class_edges(counts, 40).diff().tolist())])
        torch.testing.assert_close(shares / counts.sum(), torch.full((40,), 1 / 40), atol=2e-4 * 2, rtol=0)

    @pytest.mark.parametrize(
        ("counts", "classes", "edges"),
        [
            ([4, 2, 1, 1], 2, [0, 1, 4]),
            ([3, 3, 2, 2, 1, 1], 3, [0, 1, 2, 6]),
            ([90, 5, 3, 1, 1], 3, [0, 1, 2, 5]),  # a word as large as several classes takes one
            ([0, 0, 0, 0], 2, [0, 1, 4]),
            ([1, 0, 0], 3, [0, 1, 2, 3]),
        ],
    )
    def test_worked_by_hand(self, counts: list[int], classes: int, edges: list[int]) -> None:
        assert class_edges(torch.tensor(counts), classes).tolist() == edges

    def test_frequent_words_come_first(self) -> None:
        layer = make("class")
        assert isinstance(layer, ClassOutput)
        by_rank = COUNTS[layer.rank.argsort()]
        assert (by_rank.diff() <= 0).all()

    def test_one_class_is_the_full_softmax(self) -> None:
        layer, full, hidden = make("class", classes=1), SoftmaxOutput(VOCABULARY, WIDTH), torch.randn(5, WIDTH)
        assert isinstance(layer, ClassOutput)
        with torch.no_grad():
            full.weight.copy_(layer.weight[layer.rank])
            full.bias.copy_(layer.bias[layer.rank])
        torch.testing.assert_close(all_log_probs(layer, hidden), all_log_probs(full, hidden), atol=1e-5, rtol=0)

    @pytest.mark.parametrize("classes", [VOCABULARY, 10 * VOCABULARY])
    def test_as_many_classes_as_words_are_the_full_softmax(self, classes: int) -> None:
        layer, hidden = make("class", classes=classes), torch.randn(5, WIDTH)
        full = SoftmaxOutput(VOCABULARY, WIDTH)
        assert isinstance(layer, ClassOutput)
        with torch.no_grad():
            full.weight.copy_(layer.class_weight[layer.rank])
            full.bias.copy_(layer.class_bias[layer.rank])
        torch.testing.assert_close(all_log_probs(layer, hidden), all_log_probs(full, hidden), atol=1e-5, rtol=0)

    def test_no_product_is_as_wide_as_the_vocabulary(self, monkeypatch: pytest.MonkeyPatch) -> None:
        widths: list[int] = []

        def recording(linear: Callable[..., Tensor]) -> Callable[..., Tensor]:
            def recorded(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
                widths.append(len(weight))
                return linear(rows, weight, bias)

            return recorded

        monkeypatch.setattr(nn.functional, "linear", recording(nn.functional.linear))
        monkeypatch.setattr(output_module, "linear", recording(output_module.linear))
        layer = make("class", classes=6)
        layer.nll(torch.randn(200, WIDTH), torch.arange(200) % VOCABULARY)
        layer.log_probs(torch.randn(200, WIDTH), torch.arange(200), torch.arange(200) % VOCABULARY)
        assert len(widths) == 2 * 7
        assert max(widths) < VOCABULARY

    @pytest.mark.parametrize(
        ("name", "index", "value", "complaint"),
        [
            ("rank", 0, 1, "field rank: these ranks are no order of the tokens"),
            ("rank", 0, VOCABULARY, "field rank: these ranks are no order of the tokens"),
            ("edges", -1, VOCABULARY + 1, "field edges: these classes do not cut the tokens"),
            ("edges", 2, 0, "field edges: these classes do not cut the tokens"),
        ],
    )
    def test_a_damaged_file_is_noticed(self, name: str, index: int, value: int, complaint: str) -> None:
        layer = make("class")
        layer.check()
        getattr(layer, name).data[index] = value
        with pytest.raises(InputError, match=complaint):
            layer.check()


class TestAdaptive:
    def test_its_training_loss_is_that_of_torch(self) -> None:
        layer, hidden, targets = make("adaptive"), torch.randn(60, WIDTH), torch.randint(VOCABULARY, (60,))
        assert isinstance(layer, AdaptiveOutput)
        expected = -layer.softmax(hidden, layer.rank[targets]).output
        torch.testing.assert_close(layer.nll(hidden, targets), expected, atol=1e-5, rtol=0)

    def test_frequent_words_are_in_the_head(self) -> None:
        layer = make("adaptive")
        assert isinstance(layer, AdaptiveOutput)
        size = layer.softmax.shortlist_size
        head = layer.rank < size
        assert COUNTS[head].min() >= COUNTS[~head].max()

    @pytest.mark.parametrize(
        ("words", "width", "edges"),
        [
            (10_000, 200, [2000]),
            (60_000, 512, [2000, 10_000, 50_000]),
            (10**6, 20, [2000, 10_000]),
            (37, 20, [7, 35]),
            (3, 1, [1]),
        ],
    )
    def test_where_its_clusters_begin(self, words: int, width: int, edges: list[int]) -> None:
        assert cutoffs(words, width) == edges


class TestNoiseContrastive:
    def layer(self, samples: int = 50) -> NoiseContrastiveOutput:
        layer = make("nce", noise_samples=samples).train()
        assert isinstance(layer, NoiseContrastiveOutput)
        return layer

    def test_its_loss_is_that_of_telling_text_from_noise(self, monkeypatch: pytest.MonkeyPatch) -> None:
        layer, hidden, targets = self.layer(4), torch.randn(3, WIDTH), torch.tensor([5, 0, 5])
        noise = torch.tensor([1, 5, 5, 36])
        monkeypatch.setattr(torch, "multinomial", lambda weights, count, replacement: noise)
        shares = COUNTS.clamp(min=1).double() / COUNTS.clamp(min=1).sum()
        scores = (hidden @ layer.weight.T + layer.bias).double()
        is_text = scores.exp() / (scores.exp() + 4 * shares)  # equation 8 of Mnih and Teh
        expected = -is_text[torch.arange(3), targets].log() - (1 - is_text[:, noise]).log().sum(1)
        torch.testing.assert_close(layer.loss(hidden, targets).double(), expected, atol=1e-4, rtol=1e-5)

    def test_noise_is_drawn_like_the_words_of_the_text(self, monkeypatch: pytest.MonkeyPatch) -> None:
        drawn: list[Tensor] = []
        multinomial = torch.multinomial
        monkeypatch.setattr(torch, "multinomial", lambda *a, **k: drawn.append(multinomial(*a, **k)) or drawn[-1])
        self.layer(200_000).loss(torch.randn(1, WIDTH), torch.tensor([1]))
        found = torch.bincount(drawn[0], minlength=VOCABULARY) / 200_000
        expected = COUNTS.clamp(min=1) / COUNTS.clamp(min=1).sum()
        torch.testing.assert_close(found, expected, atol=5e-3, rtol=0)

    def test_its_gradient_nears_that_of_the_likelihood_as_noise_grows(self) -> None:
        torch.manual_seed(3)
        hidden = torch.randn(1, WIDTH).repeat(30, 1)
        targets = torch.randint(VOCABULARY, (30,))
        errors = {}
        for samples in (2, 50, 50_000):
            layer = self.layer(samples)
            layer._unigram().fill_(1 / VOCABULARY)  # rare noise words would take more samples yet
            with torch.no_grad():
                # Where the model is normalised, as it is at its best, the two have the same limit.
                layer.bias -= torch.logsumexp(hidden[0] @ layer.weight.T + layer.bias, 0)
            (exact,) = torch.autograd.grad(layer.nll(hidden, targets).sum(), layer.weight)
            draws = [torch.autograd.grad(layer.loss(hidden, targets).sum(), layer.weight)[0] for _ in range(5)]
            errors[samples] = sum(float((found - exact).norm() / exact.norm()) for found in draws) / 5

        assert errors[2] > errors[50] > 20 * errors[50_000]
        assert errors[50_000] < 0.03

    def test_it_learns_the_distribution_and_to_sum_to_one(self) -> None:
        torch.manual_seed(2)
        layer = NoiseContrastiveOutput(8, 4, samples=40)
        contexts = torch.eye(4)
        truth = torch.softmax(1.5 * torch.randn(4, 8), dim=1)
        layer.prepare((truth.mean(0) * 10_000).long())
        for step in range(400):
            rows = torch.arange(4).repeat(64)
            targets = torch.multinomial(truth, 64, replacement=True).T.flatten()
            loss = layer.train().loss(contexts[rows], targets).mean()
            for parameter, gradient in zip(
                layer.parameters(), torch.autograd.grad(loss, [*layer.parameters()]), strict=True
            ):
                parameter.data -= 2.0 * (1 - step / 400) * gradient
        log_probs = torch.log_softmax(contexts @ layer.weight.T + layer.bias, dim=1).detach()
        divergence = (truth * (truth.log() - log_probs)).sum(1)
        before = (truth * (truth.log() - truth.mean(0).log())).sum(1)
        assert divergence.mean() < 0.03 * before.mean(), divergence.mean() / before.mean()
        normaliser = torch.logsumexp(contexts @ layer.weight.T + layer.bias, dim=1)
        assert normaliser.abs().max() < 0.1

    def test_at_the_start_it_is_the_unigram_and_sums_to_one(self) -> None:
        layer = NoiseContrastiveOutput(VOCABULARY, WIDTH, 10)
        layer.prepare(COUNTS)
        shares = COUNTS.clamp(min=1) / COUNTS.clamp(min=1).sum()
        torch.testing.assert_close(layer.bias.exp(), shares)

    @pytest.mark.parametrize("queries_at_once", [1, 7, 1000])
    def test_without_its_normaliser_a_score_is_the_product(
        self, queries_at_once: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(noise_contrastive, "_QUERIES", queries_at_once)
        layer, hidden = self.layer().eval(), torch.randn(6, WIDTH)
        layer.normalised = False
        found = all_log_probs(layer, hidden)
        torch.testing.assert_close(found, hidden @ layer.weight.T + layer.bias, atol=1e-5, rtol=0)
        torch.testing.assert_close(
            layer.nll(hidden, torch.arange(6)), -by_definition(layer, hidden).float()[torch.arange(6), torch.arange(6)]
        )

    def test_a_tied_weight_is_the_embedding(self) -> None:
        embedding = nn.Embedding(VOCABULARY, WIDTH)
        layer = make_output(OutputConfig(VOCABULARY, output="nce"), WIDTH, embedding)
        assert layer.weight is embedding.weight


@pytest.mark.parametrize("kind", ["class", "adaptive"])
def test_a_factored_output_is_tied_to_nothing(kind: OutputKind) -> None:
    with pytest.raises(InputError, match="output cannot be tied to the embedding"):
        make_output(OutputConfig(VOCABULARY, output=kind), WIDTH, nn.Embedding(VOCABULARY, WIDTH))
