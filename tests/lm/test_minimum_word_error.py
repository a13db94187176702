"""Laws of minimum word error rate training: its gradient, what leaves weights as they are, and where it takes them."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from asr_lm.errors import InputError
from asr_lm.lm.families.birnn_attention import BirnnAttentionConfig
from asr_lm.lm.families.birnn_attention.network import BirnnAttentionModel
from asr_lm.lm.families.registry import FAMILIES
from asr_lm.lm.neural import NeuralModel
from asr_lm.lm.protocol import LanguageModel
from asr_lm.lm.training.batches import SentenceBatches, sentence_batch
from asr_lm.lm.training.corpus import TokenCorpus
from asr_lm.lm.training.list_batches import ListBatch, ListBatches, WeighedList, text_rows
from asr_lm.lm.training.list_recipe import ListMaterial, NeuralLearner, fine_tune_on_lists
from asr_lm.lm.training.loop import train_network
from asr_lm.lm.training.minimum_word_error import Combination, MinimumWordErrorNetwork, expected_list_errors
from asr_lm.lm.training.options import TrainingOptions
from asr_lm.lm.training.outcome import TrainingProgress
from asr_lm.text.sentence_hashes import SentenceHashes
from asr_lm.text.vocabulary import WordVocabulary

VOCABULARY = WordVocabulary([f"w{number}" for number in range(9)])
SIZES: dict[str, dict[str, Any]] = {
    "nnlm": {"order": 3, "embedding": 4, "hidden": 5},
    "rnnlm": {"hidden": 5, "output": "full"},
    "gru": {"embedding": 5, "hidden": 5},
    "lstm": {"embedding": 5, "hidden": 5, "layers": 2},
    "gpt1": {"layers": 2, "width": 8, "heads": 2, "positions": 20},
    "bilstm": {"embedding": 5, "hidden": 5},
    "birnn-attention": {"embedding": 4, "hidden": 5, "attention": 3, "maxout": 4},
}
COMBINATION = Combination(weight=0.7, scale=1.3)


def model(family: str, **sizes: Any) -> NeuralModel:
    """A model whose weights are large enough for words to matter."""
    torch.manual_seed(3)
    declared = FAMILIES[family]
    config = declared.sizes(vocabulary_size=VOCABULARY.size, **{**SIZES[family], **sizes})
    still = {name: 0.0 for name in ("dropout", "attention_dropout") if hasattr(config, name)}
    network = declared.make_network(replace(config, **still))  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.uniform_(-0.8, 0.8)
    return declared.model_class()(family, network, VOCABULARY, "as-is")


def said(random: np.random.Generator) -> str:
    return " ".join(f"w{word}" for word in random.integers(9, size=random.integers(1, 6)))


def weighed(hypotheses: Sequence[str], errors: Sequence[float], fixed: Sequence[float], reference: str) -> WeighedList:
    scores = np.array(fixed, dtype=np.float64)
    return WeighedList(reference, tuple(hypotheses), tuple(hypotheses), np.array(errors, dtype=float), scores, scores)


def some_lists(count: int = 12, seed: int = 0) -> list[WeighedList]:
    random = np.random.default_rng(seed)
    lists = []
    for _ in range(count):
        texts = [said(random) for _ in range(random.integers(2, 6))]
        errors = [0.0, *random.integers(1, 4, size=len(texts) - 1).tolist()]
        lists.append(weighed(texts, errors, random.normal(size=len(texts)).tolist(), texts[0]))
    return lists


LISTS = some_lists()


def size(some: WeighedList) -> int:
    """Tokens of a list when padded."""
    return max(len(text.split()) + 1 for text in some.hypotheses) * len(some.hypotheses)


def only_batch(learner: NeuralLearner, lists: Sequence[WeighedList], **more: Any) -> ListBatch:
    batches = ListBatches(lists, learner.rows, VOCABULARY, 100_000, 16, None, **more)
    (batch,) = batches.batches(0)
    return batch


def gradients(network: torch.nn.Module) -> dict[str, Tensor]:
    return {name: one.grad for name, one in network.named_parameters() if one.grad is not None}


class TestExpectedErrors:
    TOTALS = torch.tensor([math.log(2), math.log(5), math.log(3), 40.0, -3.0, 4.0], dtype=torch.float64)
    ERRORS = torch.tensor([0.0, 1.0, 2.0, 1.0, 2.0, 2.0], dtype=torch.float64)
    LENGTHS = torch.tensor([3, 1, 2])

    def test_by_hand(self) -> None:
        # probabilities 0.2 0.5 0.3 | 1 | whatever they are, both hypotheses have 2 errors
        found = expected_list_errors(self.TOTALS, self.ERRORS, self.LENGTHS)
        torch.testing.assert_close(found, torch.tensor([0.5 * 1 + 0.3 * 2, 1.0, 2.0], dtype=torch.float64))

    def test_what_is_added_to_a_whole_list_changes_nothing(self) -> None:
        shifts = torch.tensor([1e6, -1e6, 700.0], dtype=torch.float64).repeat_interleave(self.LENGTHS)
        found = expected_list_errors(self.TOTALS + shifts, self.ERRORS, self.LENGTHS)
        torch.testing.assert_close(found, expected_list_errors(self.TOTALS, self.ERRORS, self.LENGTHS))

    def test_the_gradient_is_that_of_the_papers_equation(self) -> None:
        totals = self.TOTALS.clone().requires_grad_()
        expected_list_errors(totals, self.ERRORS, self.LENGTHS)[0].backward()  # type: ignore[no-untyped-call]
        posterior = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
        wanted = posterior * (self.ERRORS[:3] - posterior @ self.ERRORS[:3])
        assert totals.grad is not None
        torch.testing.assert_close(totals.grad, torch.cat([wanted, torch.zeros(3, dtype=torch.float64)]))

    def test_the_gradient_is_that_of_differences(self) -> None:
        totals = self.TOTALS.clamp(max=3).requires_grad_()
        assert torch.autograd.gradcheck(lambda x: expected_list_errors(x, self.ERRORS, self.LENGTHS), (totals,))


@pytest.mark.parametrize("family", SIZES)
class TestEveryFamily:
    def test_rows_are_scored_as_the_model_scores_them(self, family: str) -> None:
        scorer = model(family)
        learner = NeuralLearner(scorer)
        batch = only_batch(learner, LISTS)
        with torch.no_grad():
            found = scorer.network.eval().row_log_probs(batch.read)[batch.rows].double().numpy()
        lists = sorted(
            LISTS, key=lambda some: max(len(text.split()) + 1 for text in some.hypotheses) * len(some.errors)
        )
        if isinstance(scorer, LanguageModel):
            wanted = scorer.log_prob([text for some in lists for text in some.hypotheses])
        else:
            assert isinstance(scorer, BirnnAttentionModel)
            sentences = [VOCABULARY.encode_batch(some.hypotheses) for some in lists]
            scored = scorer.token_log_probs_given(scorer.sources([some.heard for some in lists]), sentences)
            wanted = np.array([values.sum() for some in scored for values in some])
        assert found == pytest.approx(wanted, abs=1e-4)

    @pytest.mark.usefixtures("float64")
    def test_the_gradient_is_that_of_differences(self, family: str) -> None:
        learner = NeuralLearner(model(family))
        network = MinimumWordErrorNetwork(learner.network.double(), COMBINATION).train()
        batch = only_batch(learner, LISTS)
        network.loss(batch)[0].backward()
        random, step = np.random.default_rng(0), 1e-5
        checked = 0.0
        for name, parameter in network.named_parameters():
            if parameter.grad is None:
                continue
            place = tuple(int(random.integers(size)) for size in parameter.shape)
            sides = []
            for shift in (step, -step):
                parameter.data[place] += shift
                sides.append(float(network.loss(batch)[0].detach()))
                parameter.data[place] -= shift
            difference = (sides[0] - sides[1]) / (2 * step)
            assert float(parameter.grad[place]) == pytest.approx(difference, rel=1e-5, abs=1e-8), name
            checked += abs(difference)
        assert checked > 1e-3

    def test_where_there_is_no_choice_the_gradient_is_zero(self, family: str) -> None:
        learner = NeuralLearner(model(family))
        network = MinimumWordErrorNetwork(learner.network, COMBINATION).train()
        alone = [some.only(np.array([0])) for some in LISTS]
        alike = [replace(some, errors=np.full(len(some.errors), 2.0)) for some in LISTS]
        for lists in (alone, alike):
            loss, _ = network.loss(only_batch(learner, lists))
            loss.backward()
            assert all(not one.any() for one in gradients(network).values())

    def test_likelihood_alone_is_ordinary_training(self, family: str) -> None:
        learner = NeuralLearner(model(family))
        alone = [some.only(np.array([0])) for some in LISTS]
        batch = only_batch(learner, alone)
        network = MinimumWordErrorNetwork(learner.network, replace(COMBINATION, likelihood=1.0)).train()
        (network.loss(batch)[0] / batch.units).backward()
        found = {name: one.clone() for name, one in gradients(learner.network).items()}
        learner.network.zero_grad()
        (learner.network.loss(batch.said)[0] / batch.said.tokens).backward()
        wanted = gradients(learner.network)
        assert found.keys() == wanted.keys()
        for name, one in wanted.items():
            torch.testing.assert_close(found[name], one, atol=1e-6, rtol=1e-4)

    def test_a_small_step_never_raises_the_expected_errors(self, family: str) -> None:
        for seed in range(3):
            learner = NeuralLearner(model(family))
            network = MinimumWordErrorNetwork(learner.network, COMBINATION)
            batch = only_batch(learner, some_lists(seed=seed))
            before, _ = network.loss(batch)
            before.backward()
            with torch.no_grad():
                for parameter in network.parameters():
                    if parameter.grad is not None:
                        parameter -= 1e-3 * parameter.grad
                assert float(network.loss(batch)[0]) < float(before)


class TestBatches:
    def test_the_batch_a_list_is_in_changes_nothing(self) -> None:
        learner = NeuralLearner(model("lstm"))
        network = MinimumWordErrorNetwork(learner.network, COMBINATION).eval()
        sums = []
        for budget in (1, 40, 10_000):
            batches = list(ListBatches(LISTS, learner.rows, VOCABULARY, budget, 16, 1).batches(0))
            assert sum(batch.units for batch in batches) == len(LISTS)
            with torch.no_grad():
                sums.append(sum(float(network.loss(batch)[0]) for batch in batches))
        assert sums[1:] == pytest.approx([sums[0]] * 2, abs=1e-4)

    def test_equal_texts_are_read_once_and_count_each(self) -> None:
        twice = weighed(["w1 w2", "w3", "w1 w2"], [1, 0, 1], [0.1, 0.2, 0.3], "w3")
        (batch,) = ListBatches([twice], text_rows(VOCABULARY), VOCABULARY, 100, 16, None).batches(0)
        assert (len(batch.read.inputs), batch.rows.tolist()) == (2, [0, 1, 0])

    def test_long_lists_are_drawn_from_the_more_probable_more_often(self) -> None:
        before = np.log(np.arange(1, 41) / 40) * 3
        texts = tuple(f"w{number % 9} w{number // 9}" for number in range(40))
        long = WeighedList("w1", texts, texts, np.arange(40.0), before, before)
        batches = ListBatches([long], text_rows(VOCABULARY), VOCABULARY, 1000, 8, 5)
        drawn = np.zeros(40)
        for epoch in range(200):
            (batch,) = batches.batches(epoch)
            (again,) = batches.batches(epoch)
            assert torch.equal(batch.errors, again.errors)
            numbers = batch.errors.long().numpy()
            assert len(set(numbers.tolist())) == 8
            drawn[numbers] += 1
        assert drawn[30:].sum() > 2 * drawn[10:20].sum() > 0
        assert (drawn[20:] < 200).all()
        (judged,) = ListBatches([long], text_rows(VOCABULARY), VOCABULARY, 1000, 8, None).batches(0)
        assert judged.errors.tolist() == [*range(32, 40)]

    def test_text_joins_the_references_over_and_over(self) -> None:
        sentences = ["w1 w1 w1 w1 w1 w1 w1", "w2", "w3 w3"]
        text = SentenceBatches(TokenCorpus.from_sentences(sentences, VOCABULARY), VOCABULARY, 8, 1)
        batches = ListBatches(LISTS, text_rows(VOCABULARY), VOCABULARY, 60, 16, 1, text)
        rows: list[str] = []
        for epoch in range(3):
            for batch in batches.batches(epoch):
                assert len(batch.said.inputs) > batch.units
                for row in batch.said.targets[batch.units :]:
                    kept = [number for number in row.tolist() if number not in (-1, VOCABULARY.eos_id)]
                    rows.append(VOCABULARY.decode(kept))
        assert set(rows) == set(sentences)


OPTIONS = TrainingOptions(epochs=4, batch_tokens=60, learning_rate=3e-3, validations=4, patience=0, schedule="linear")


def material(lists: Sequence[WeighedList] = LISTS, likelihood: float = 0.0, most: int = 3) -> ListMaterial:
    combination = replace(COMBINATION, likelihood=likelihood)
    return ListMaterial(lists, some_lists(seed=1), combination, SentenceHashes.from_sentences(["w1"]), most=most)


def values(trained: NeuralModel) -> dict[str, NDArray[np.float32]]:
    return {name: one.detach().numpy().copy() for name, one in trained.network.named_parameters()}


def same(one: NeuralModel, other: NeuralModel) -> bool:
    pairs = zip(values(one).values(), values(other).values(), strict=True)
    return all((first == second).all() for first, second in pairs)


class TestTraining:
    def test_the_expected_errors_of_the_training_lists_fall(self, tmp_path: Path) -> None:
        trained = model("lstm")
        learner = NeuralLearner(trained)
        judge = MinimumWordErrorNetwork(learner.network, COMBINATION).eval()
        batch = only_batch(learner, LISTS)
        before = float(judge.loss(batch)[0].detach())
        options = replace(OPTIONS, learning_rate=0.03)
        result = fine_tune_on_lists(learner, replace(material(), valid=LISTS, most=16), options, tmp_path / "m")
        after = float(judge.eval().loss(batch)[0].detach())
        assert after == pytest.approx(result.best_loss * len(LISTS), abs=1e-3)
        assert after < 0.95 * before

    def test_an_interrupted_training_goes_on_bit_by_bit(self, tmp_path: Path) -> None:
        def interrupt(progress: TrainingProgress) -> None:
            if progress.step == 5:
                raise KeyboardInterrupt

        whole, resumed = (model("lstm", layers=1) for _ in range(2))
        dropping = [NeuralLearner(one, 0.3) for one in (whole, resumed, model("lstm", layers=1))]
        fine_tune_on_lists(dropping[0], material(likelihood=0.1), OPTIONS, tmp_path / "whole")
        with pytest.raises(KeyboardInterrupt):
            fine_tune_on_lists(dropping[2], material(likelihood=0.1), OPTIONS, tmp_path / "m", report=interrupt)
        assert not (tmp_path / "m" / "config.json").exists()
        fine_tune_on_lists(dropping[1], material(likelihood=0.1), OPTIONS, tmp_path / "m")
        assert same(whole, resumed)
        with pytest.raises(InputError, match="holds a trained model already"):
            fine_tune_on_lists(dropping[1], material(), OPTIONS, tmp_path / "m")

    def test_where_nothing_is_better_the_model_stays_as_it_was(self, tmp_path: Path) -> None:
        trained, before = model("lstm"), model("lstm")
        wrong = [replace(some, errors=some.errors.max() - some.errors) for some in LISTS]  # learns the opposite
        opposite = replace(material(wrong), valid=LISTS, most=16)
        result = fine_tune_on_lists(NeuralLearner(trained), opposite, OPTIONS, tmp_path / "m")
        assert result.best_step == 0
        assert same(trained, before)

    def test_one_hypothesis_everywhere_is_refused(self, tmp_path: Path) -> None:
        alone = [some.only(np.array([0])) for some in LISTS]
        with pytest.raises(InputError, match="nothing to learn from"):
            fine_tune_on_lists(NeuralLearner(model("lstm")), material(alone), OPTIONS, tmp_path / "m")

    def test_likelihood_steps_are_those_of_ordinary_training(self, tmp_path: Path) -> None:
        """Lists without a choice, beside one whose hypotheses a sharp posterior has decided on."""
        alone = [some.only(np.array([0])) for some in LISTS]
        decided = weighed(["w1", "w2"], [0, 1], [1e6, 0], "w1")
        lists = [decided, *alone]
        tuned, ordinary = model("lstm"), model("lstm")
        options = replace(OPTIONS, batch_tokens=10**6, epochs=3, validations=1)
        own = replace(material(lists, likelihood=1.0), valid=lists)
        learner = NeuralLearner(tuned)
        network = MinimumWordErrorNetwork(learner.network, own.combination)
        train = ListBatches(own.telling(), learner.rows, VOCABULARY, 10**6, 16, 1)
        texts = [some.reference for some in lists]
        references = SentenceBatches(TokenCorpus.from_sentences(texts, VOCABULARY), VOCABULARY, 10**6, 1)
        train_network(network, train, train, options, tmp_path / "one", identity={})
        train_network(ordinary.network, references, references, options, tmp_path / "other", identity={})
        for name, one in values(ordinary).items():
            assert values(tuned)[name] == pytest.approx(one, abs=2e-4), name

    def test_the_weights_learn_in_a_network_that_drops_another_share(self) -> None:
        trained = model("gpt1")
        before = copy.deepcopy(trained.network.state_dict())
        NeuralLearner(trained, 0.25)
        assert (trained.network.config.dropout, trained.network.config.attention_dropout) == (0.25, 0.25)  # type: ignore[attr-defined]
        for name, one in trained.network.state_dict().items():
            assert torch.equal(one, before[name]), name

    @pytest.mark.parametrize(("own", "asked", "left"), [(0.3, 0.0, 0.0), (0.3, 0.2, 0.2), (0.0, 0.2, 0.0)])
    def test_recurrent_weights_are_dropped_where_they_were(self, own: float, asked: float, left: float) -> None:
        trained = model("lstm", recurrent_dropout=own)
        NeuralLearner(trained, asked)
        assert trained.network.config.recurrent_dropout == left  # type: ignore[attr-defined]


def test_a_corrector_hears_the_whole_list_whatever_is_drawn() -> None:
    config = BirnnAttentionConfig(VOCABULARY.size, embedding=4, hidden=5, attention=3, maxout=4, heard="list")
    network = FAMILIES["birnn-attention"].make_network(config)
    scorer = BirnnAttentionModel("birnn-attention", network, VOCABULARY, "as-is")
    whole = weighed(["w1 w2", "w3", "w4"], [1, 0, 2], [0.1, 0.2, 0.3], "w3")
    rows = NeuralLearner(scorer).rows
    drawn, all_read = rows([whole.only(np.array([1]))], [["w3"]]), rows([whole], [["w3"]])
    assert torch.equal(drawn.source, all_read.source)  # type: ignore[attr-defined]


def test_sentence_batches_are_rows(tmp_path: Path) -> None:
    batch = sentence_batch(VOCABULARY.encode_batch(["w1 w2", ""]), VOCABULARY)
    assert batch.tokens == batch.units == 4
    assert batch[1:].tokens == 1
