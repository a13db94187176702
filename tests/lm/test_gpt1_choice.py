"""Laws of the GPT-1 that chooses from n-best lists: its losses by hand, one score however it is computed."""

from __future__ import annotations

import json
import math
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from processes import in_processes
from torch import nn

from asr_lm.errors import InputError
from asr_lm.evaluation.perplexity import measure
from asr_lm.lm.families.gpt1 import Gpt1Config
from asr_lm.lm.families.gpt1 import network as gpt1
from asr_lm.lm.families.gpt1.network import Gpt1Model, Gpt1Network
from asr_lm.lm.families.gpt1_choice import Gpt1ChoiceConfig
from asr_lm.lm.families.gpt1_choice.network import Gpt1ChoiceModel, Gpt1ChoiceNetwork, choice_loss
from asr_lm.lm.loading import load_model
from asr_lm.lm.protocol import LanguageModel, Tokens, language_model
from asr_lm.lm.training.distributed import join
from asr_lm.lm.training.list_batches import EncodedList, ListBatches
from asr_lm.lm.training.list_fine_tuning import ChoiceOptions, encode_lists, fine_tune_on_lists
from asr_lm.lm.training.options import TrainingOptions
from asr_lm.lm.training.pair_recipe import ReferencedList
from asr_lm.rescoring.scoring.models import RescoringModel
from asr_lm.text.vocabulary import WordVocabulary
from pipelines import train

VOCABULARY = WordVocabulary([f"w{number}" for number in range(12)])
BOS, EOS = VOCABULARY.bos_id, VOCABULARY.eos_id
SIZES = {"vocabulary_size": VOCABULARY.size, "layers": 2, "width": 12, "heads": 3, "positions": 40}
SIZES |= {"dropout": 0.0, "attention_dropout": 0.0}


def network(seed: int = 1, **sizes: object) -> Gpt1ChoiceNetwork:
    """A network whose weights are large enough for contexts to matter."""
    torch.manual_seed(seed)
    made = Gpt1ChoiceNetwork(Gpt1ChoiceConfig(**{**SIZES, **sizes}))  # type: ignore[arg-type]
    for parameter in made.parameters():
        if parameter.requires_grad:
            nn.init.uniform_(parameter, -0.7, 0.7)
    made.choice.weight.data *= 20  # all hypotheses end with the same token
    return made


def ids(*numbers: int) -> Tokens:
    return np.array(numbers, dtype=np.int32)


LISTS = [
    EncodedList([ids(3, 4), ids(3, 5), ids()], np.array([0, 1, 2]), ids(3, 4)),
    EncodedList([ids(7, 7, 8, 9)], np.array([1]), ids(7, 8, 9)),
    EncodedList([ids(5), ids(6, 5)], np.array([2, 2]), ids(4)),
]


def random_sentences(count: int, longest: int = 12) -> list[Tokens]:
    random = np.random.default_rng(3)
    return [random.integers(3, 6, size=random.integers(0, longest)).astype(np.int32) for _ in range(count)]


class TestLoss:
    OWNER = torch.tensor([0, 0, 0, 1, 2, 2])
    ERRORS = torch.tensor([0.0, 1.0, 2.0, 1.0, 2.0, 2.0])
    LOGITS = torch.tensor([math.log(2), math.log(5), math.log(3), 40.0, -3.0, 4.0])

    def test_expected_errors_by_hand(self) -> None:
        # probabilities 0.2 0.5 0.3 | 1 | whatever they are, both hypotheses have 2 errors
        expected = 0.5 * 1 + 0.3 * 2 + 1 + 2
        assert choice_loss(self.LOGITS, self.ERRORS, self.OWNER, "errors").item() == pytest.approx(expected, abs=1e-5)

    def test_cross_entropy_with_the_oracle_by_hand(self) -> None:
        found = choice_loss(self.LOGITS, self.ERRORS, self.OWNER, "oracle").item()
        assert found == pytest.approx(-math.log(0.2), abs=1e-5)  # the other lists leave no choice
        tied = torch.tensor([1.0, 1.0, 2.0, 1.0, 0.0, 3.0])
        last = math.log(1 + math.exp(7.0))
        found = choice_loss(self.LOGITS, tied, self.OWNER, "oracle").item()
        assert found == pytest.approx(-math.log(0.2 + 0.5) + last, abs=1e-4)

    @pytest.mark.parametrize("target", ["errors", "oracle"])
    def test_what_is_added_to_a_whole_list_changes_nothing(self, target: str) -> None:
        shifted = self.LOGITS + torch.tensor([100.0, -100.0, 1000.0])[self.OWNER]
        first = choice_loss(self.LOGITS, self.ERRORS, self.OWNER, target)
        torch.testing.assert_close(choice_loss(shifted, self.ERRORS, self.OWNER, target), first, atol=1e-3, rtol=0)

    @pytest.mark.parametrize("target", ["errors", "oracle"])
    def test_the_gradient_is_that_of_differences(self, target: str) -> None:
        logits = self.LOGITS.double().clamp(max=3).requires_grad_()
        errors = self.ERRORS.double()
        assert torch.autograd.gradcheck(lambda x: choice_loss(x, errors, self.OWNER, target), (logits,))

    def test_a_batch_by_hand(self) -> None:
        net = network(auxiliary=0.5)
        (batch,) = ListBatches(LISTS, VOCABULARY, 1000, None).batches(0)
        assert batch.tokens == 3
        scores = {}
        language = 0.0
        with torch.no_grad():
            for some in LISTS:
                for tokens in [*some.hypotheses, some.reference]:
                    hidden, _ = net.language(torch.tensor([[BOS, *tokens.tolist(), EOS]]))
                    scores[tuple(tokens.tolist())] = net.choice(hidden[0, -1])
                log_probs = (hidden[0, :-1] @ net.language.embedding.weight.T).log_softmax(1)
                targets = torch.tensor([*some.reference.tolist(), EOS])
                language -= log_probs[torch.arange(len(targets)), targets].mean().item()
            choice = 0.0
            for some in LISTS:
                logits = torch.cat([scores[tuple(tokens.tolist())] for tokens in some.hypotheses])
                choice += float(logits.softmax(0) @ torch.from_numpy(some.errors).float())
            assert net.eval().loss(batch)[0].item() == pytest.approx(choice, abs=1e-4)
            assert net.train().loss(batch)[0].item() == pytest.approx(choice + 0.5 * language, abs=1e-4)

    @pytest.mark.parametrize("half", [False, True], ids=["float32", "bfloat16"])
    @pytest.mark.parametrize("target", ["errors", "oracle"])
    def test_gradients_reach_every_parameter(self, target: str, half: bool) -> None:
        net = network(target=target, positions=6).train()
        for batch in ListBatches(LISTS, VOCABULARY, 1000, 1).batches(0):
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                loss, _ = net.loss(batch)
            loss.backward()
        for name, parameter in net.named_parameters():
            if parameter.requires_grad:
                assert parameter.grad is not None, name
                assert parameter.grad.isfinite().all(), name
                assert parameter.grad.any(), name

    @pytest.mark.parametrize("target", ["errors", "oracle"])
    def test_the_batch_a_list_is_in_changes_nothing(self, target: str) -> None:
        net = network(target=target, auxiliary=0.25).train()
        with torch.no_grad():
            together = [float(net.loss(batch)[0]) for batch in ListBatches(LISTS, VOCABULARY, 1000, 1).batches(0)]
            alone = [float(net.loss(batch)[0]) for batch in ListBatches(LISTS, VOCABULARY, 1, 1).batches(0)]
        assert (len(together), len(alone)) == (1, 3)
        assert sum(alone) == pytest.approx(together[0], abs=1e-4)


class TestScores:
    @pytest.mark.parametrize("positions", [40, 5])
    def test_the_tree_gives_what_each_sentence_alone_gives(
        self, positions: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = Gpt1ChoiceModel("gpt1-choice", network(positions=positions), VOCABULARY, "as-is")
        sentences = random_sentences(60)
        with torch.no_grad():
            rows = [model.network.language.eval()(torch.tensor([[BOS, *s.tolist(), EOS]]))[0][0, -1] for s in sentences]
            expected = model.network.choice(torch.stack(rows))[:, 0].double().numpy()
        assert expected.std() > 0.1
        for piece, budget in ((1024, None), (7, None), (1024, 20), (5, 1)):
            monkeypatch.setattr(gpt1, "_PIECE", piece)
            np.testing.assert_allclose(model.score_tokens(sentences, budget=budget), expected, atol=1e-4)
        assert model.score_tokens([]).shape == (0,)

    def test_tokens_have_no_probability(self) -> None:
        model = Gpt1ChoiceModel("gpt1-choice", network(), VOCABULARY, "as-is")
        with pytest.raises(InputError, match="ranks whole hypotheses and gives no probabilities"):
            measure([model], ["w1 w2"])
        with pytest.raises(InputError, match="ranks whole hypotheses"):
            language_model(model)
        assert not isinstance(model, LanguageModel)
        np.testing.assert_array_equal(model.score(["w1 w2"]), model.score_tokens([ids(4, 5)]))

    def test_saving_and_loading_changes_nothing(self, tmp_path: Path) -> None:
        model = Gpt1ChoiceModel("gpt1-choice", network(target="oracle"), VOCABULARY, "as-is")
        model.save(tmp_path)
        loaded = load_model(tmp_path)
        assert isinstance(loaded, Gpt1ChoiceModel)
        assert loaded.network.config == model.network.config
        assert loaded.fingerprint() == model.fingerprint()
        np.testing.assert_array_equal(
            loaded.score_tokens(random_sentences(20)), model.score_tokens(random_sentences(20))
        )

    def test_sizes_that_make_no_network(self) -> None:
        with pytest.raises(InputError, match="field target: expected one of errors, oracle, not 'best'"):
            Gpt1ChoiceConfig(**SIZES, target="best")  # type: ignore[arg-type]


def separable(count: int, seed: int) -> list[dict[str, object]]:
    """Lists in which the wrong hypotheses, and they alone, have w11 somewhere."""
    random = np.random.default_rng(seed)
    made: list[dict[str, object]] = []
    for number in range(count):
        words = [f"w{word}" for word in random.integers(0, 11, size=random.integers(2, 6))]
        places = random.integers(0, len(words), size=3)
        hypotheses = [words, *([*words[:place], "w11", *words[place + 1 :]] for place in places)]
        order = random.permutation(4)
        texts = [{"text": " ".join(hypotheses[position])} for position in order]
        made.append({"id": f"u{number}", "reference": " ".join(words), "hypotheses": texts})
    return made


def write_lists(path: Path, lists: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(some) + "\n" for some in lists))
    return path


@pytest.fixture
def initial(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    sizes = {**SIZES, "layers": 1, "width": 32, "heads": 2}
    language = Gpt1Network(Gpt1Config(**sizes))  # type: ignore[arg-type]
    Gpt1Model("gpt1", language, VOCABULARY, "as-is").save(tmp_path / "initial")
    return tmp_path / "initial"


@pytest.fixture
def lists(tmp_path: Path) -> tuple[Path, Path]:
    return write_lists(tmp_path / "a.jsonl", separable(120, 1)), write_lists(tmp_path / "b.jsonl", separable(40, 2))


OPTIONS = TrainingOptions(epochs=10, batch_tokens=500, learning_rate=5e-3, validations=3, patience=0)


def shared_fine_tuning(
    rank: int, initial: Path, lists: tuple[Path, Path], options: TrainingOptions, folder: Path
) -> float:
    """The best validation loss of this process's training."""
    choice = ChoiceOptions(str(initial), (lists[0],), (lists[1],), dropout=0.0)
    return fine_tune_on_lists(choice, options, folder, processes=join())[1].best_loss


class TestFineTuning:
    @pytest.mark.parametrize("target", ["errors", "oracle"])
    def test_a_separable_list_is_learned(
        self, target: str, initial: Path, lists: tuple[Path, Path], tmp_path: Path
    ) -> None:
        options = ChoiceOptions(str(initial), (lists[0],), (lists[1],), target=target)  # type: ignore[arg-type]
        model, result = fine_tune_on_lists(options, OPTIONS, tmp_path / "out")
        assert result.best_loss < 0.1  # by chance: three errors of four hypotheses, or log 4
        assert load_model(tmp_path / "out").fingerprint() == model.fingerprint()
        opened = RescoringModel.open(str(tmp_path / "out"))
        right, wrong = opened.scorer.score(["w3 w4 w5", "w3 w11 w5"]).log_prob
        assert right > wrong + 1
        assert opened.seen is not None
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
            "config.json", "model.safetensors", "sentences.hashes", "training.jsonl", "words.txt",
        ]  # fmt: skip

    def test_two_processes_train_what_one_trains_with_twice_the_batch(
        self, initial: Path, lists: tuple[Path, Path], tmp_path: Path
    ) -> None:
        options = replace(OPTIONS, epochs=2, validations=2)
        losses = in_processes(shared_fine_tuning, initial, lists, options, tmp_path / "two")
        alone = shared_fine_tuning(0, initial, lists, replace(options, accumulate=2), tmp_path / "one")
        assert losses == [pytest.approx(alone, abs=1e-4)] * 2
        assert sorted(os.listdir(tmp_path / "two")) == sorted(os.listdir(tmp_path / "one"))

    def test_it_begins_with_the_weights_it_was_given(self, initial: Path) -> None:
        from asr_lm.lm.training.list_fine_tuning import _begin

        model = load_model(initial)
        assert isinstance(model, Gpt1Model)
        begun = _begin(model, ChoiceOptions(str(initial), (), (), dropout=0.3))
        assert begun.config.dropout == begun.language.config.dropout == 0.3
        assert begun.config.attention_dropout == 0.3
        for (name, found), (_, given) in zip(
            begun.language.named_parameters(), model.network.named_parameters(), strict=True
        ):
            assert torch.equal(found, given), name

    def test_errors_are_word_errors_of_distinct_hypotheses(self) -> None:
        listed = ReferencedList("w1 w2 w3", ("w1 w2 w3", "w1 w3", "w1 w3", "", "w1 w2 w4 w5"))
        (encoded,) = encode_lists([listed], VOCABULARY)
        assert encoded.errors.tolist() == [0, 1, 3, 2]
        assert [tokens.tolist() for tokens in encoded.hypotheses] == [[4, 5, 6], [4, 6], [], [4, 5, 7, 8]]

    def test_the_command(
        self,
        initial: Path,
        lists: tuple[Path, Path],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        words = ["train", "gpt1-choice", "--init-from", str(initial), "--nbest", str(lists[0]), "--valid-nbest"]
        words += [str(lists[1]), "--out", str(tmp_path / "out"), "--epochs", "1", "--learning-rate", "5e-3"]
        words += ["--batch-tokens", "500", "--jackknife", "2", "--device", "cpu"]
        monkeypatch.setattr(sys, "argv", words)
        train.main()
        opened = RescoringModel.open(str(tmp_path / "out"))
        assert len(opened.folds) == 2
        assert opened.model.family == "gpt1-choice"
        train.main()
        assert "out: done already, by the same command" in " ".join(capsys.readouterr().err.split())
        monkeypatch.setattr(sys, "argv", [*words, "--seed", "2"])
        with pytest.raises(InputError, match="holds a trained model already, with another --seed"):
            train.main()

    def test_what_is_no_gpt1_cannot_be_begun_with(self, lists: tuple[Path, Path], tmp_path: Path) -> None:
        Gpt1ChoiceModel("gpt1-choice", network(), VOCABULARY, "as-is").save(tmp_path / "other")
        options = ChoiceOptions(str(tmp_path / "other"), (lists[0],), (lists[1],))
        with pytest.raises(InputError, match="expected a model of family 'gpt1', not 'gpt1-choice'"):
            fine_tune_on_lists(options, OPTIONS, tmp_path / "out")

    def test_a_list_without_reference_is_refused(self, initial: Path, lists: tuple[Path, Path], tmp_path: Path) -> None:
        path = write_lists(tmp_path / "c.jsonl", [{"id": "u", "hypotheses": [{"text": "w1"}]}])
        with pytest.raises(InputError, match=r"utterance 'u': no reference"):
            fine_tune_on_lists(ChoiceOptions(str(initial), (path,), (lists[1],)), OPTIONS, tmp_path / "out")
