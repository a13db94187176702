"""Laws of models of Hugging Face that learn through LoRA matrices: what is scored, what learns, and what is written."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

transformers = pytest.importorskip("transformers")
peft = pytest.importorskip("peft")

from test_huggingface import TEXTS, causal, every_causal, tokenizer  # noqa: E402

from asr_lm.errors import InputError  # noqa: E402
from asr_lm.lm.loading import load_model  # noqa: E402
from asr_lm.lm.pretrained.adapter_folder import Base  # noqa: E402
from asr_lm.lm.pretrained.huggingface import HuggingFaceCausalModel  # noqa: E402
from asr_lm.lm.pretrained.lora_options import LoraOptions  # noqa: E402
from asr_lm.lm.pretrained.low_rank import LoraLearner, rolling_windows  # noqa: E402
from asr_lm.lm.protocol import LogProbs  # noqa: E402
from asr_lm.lm.training.batches import Batch, sentence_batch  # noqa: E402
from asr_lm.lm.training.list_batches import ListBatch, ListBatches, WeighedList  # noqa: E402
from asr_lm.lm.training.list_recipe import ListMaterial, fine_tune_on_lists  # noqa: E402
from asr_lm.lm.training.minimum_word_error import Combination, MinimumWordErrorNetwork  # noqa: E402
from asr_lm.lm.training.options import TrainingOptions  # noqa: E402
from asr_lm.lm.training.outcome import TrainingProgress  # noqa: E402
from asr_lm.rescoring.scoring.models import RescoringModel  # noqa: E402
from asr_lm.text.sentence_hashes import SentenceHashes  # noqa: E402

COMBINATION = Combination(weight=0.7, scale=1.3)
OPTIONS = TrainingOptions(epochs=4, batch_tokens=60, learning_rate=0.01, validations=4, patience=0, precision="float32")
WORDS = ["the", "cat", "dog", "sat", "on", "a", "mat", "hat", "today"]


def learner(
    model: HuggingFaceCausalModel, options: LoraOptions | None = None, path: Path = Path("base")
) -> LoraLearner:
    return LoraLearner(model, Base(path, model.fingerprint()), options or LoraOptions(), seed=1)


def opened(path: Path) -> HuggingFaceCausalModel:
    model = load_model(path)
    assert isinstance(model, HuggingFaceCausalModel)
    return model


def stirred(found: LoraLearner, size: float = 0.1) -> LoraLearner:
    """With matrices that add something."""
    generator = torch.Generator().manual_seed(5)
    for parameter in learning(found).values():
        torch.nn.init.normal_(parameter, std=size, generator=generator)
    return found


def learning(found: LoraLearner) -> dict[str, torch.nn.Parameter]:
    return {name: one for name, one in found.network.named_parameters() if one.requires_grad}


def rows(model: HuggingFaceCausalModel, texts: Sequence[str] = TEXTS) -> Batch:
    return sentence_batch(model.encode(texts), model.vocabulary)


@torch.no_grad()
def scores(found: LoraLearner, model: HuggingFaceCausalModel) -> LogProbs:
    return found.network.row_log_probs(rows(model)).double().numpy()


def some_lists(count: int = 8, seed: int = 0) -> list[WeighedList]:
    random = np.random.default_rng(seed)
    lists = []
    for _ in range(count):
        texts = tuple(" ".join(random.choice(WORDS, random.integers(1, 5))) for _ in range(random.integers(2, 5)))
        errors = np.array([0.0, *random.integers(1, 4, size=len(texts) - 1)])
        fixed = random.normal(size=len(texts))
        lists.append(WeighedList(texts[0], texts, texts, errors, fixed, fixed))
    return lists


LISTS = some_lists()


def material(lists: Sequence[WeighedList] = LISTS, likelihood: float = 0.1) -> ListMaterial:
    combination = replace(COMBINATION, likelihood=likelihood)
    return ListMaterial(lists, some_lists(seed=1), combination, SentenceHashes.from_sentences(["the cat"]), most=3)


def only_batch(found: LoraLearner, lists: Sequence[WeighedList]) -> ListBatch:
    (batch,) = ListBatches(lists, found.rows, found.vocabulary, 100_000, 16, None).batches(0)
    return batch


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base") / "gpt2"
    causal("gpt2").save(folder)
    return folder


class TestScores:
    """Those of the training are those of the scorer."""

    @every_causal
    @pytest.mark.parametrize("window", [32, 5])
    def test_without_training_they_are_those_of_the_model(self, kind: str, window: int) -> None:
        model = causal(kind, window)
        wanted = model.log_prob(TEXTS)
        found = learner(model, LoraOptions(lora_dropout=0.5))
        for mode in (True, False):
            found.network.train(mode)
            assert scores(found, model) == pytest.approx(wanted, abs=1e-4)

    def test_texts_stand_between_the_tokens_that_were_chosen(self) -> None:
        for begin, end in (("a", "<|endoftext|>"), ("<|endoftext|>", "none"), ("a", "none")):
            model = causal("gpt2")
            plain = model.log_prob(TEXTS)
            model.frame(begin, end)
            model.normalizer = "as-is-sentence"
            wanted = model.log_prob(TEXTS)
            assert np.abs(wanted - plain).max() > 0.1
            assert scores(learner(model), model) == pytest.approx(wanted, abs=1e-4)

    def test_a_dropped_input_is_that_of_the_matrices(self) -> None:
        model = causal("gpt2")
        found = stirred(learner(model, LoraOptions(lora_dropout=0.5)))
        found.network.eval()
        still = scores(found, model)
        found.network.train()
        assert np.abs(scores(found, model) - still).max() > 0.01

    def test_windows_are_contiguous_and_read_half_a_window_before(self) -> None:
        for width in range(1, 40):
            for window in range(1, 12):
                parts = list(rolling_windows(width, window))
                kept = [place for _, begin, end in parts for place in range(begin, end)]
                assert kept == list(range(width))
                assert all(end - first <= window for first, _, end in parts)
                assert all(begin - first >= window // 2 for first, begin, _ in parts[1:])


class TestGradient:
    @every_causal
    @pytest.mark.usefixtures("float64")
    def test_it_is_that_of_differences(self, kind: str) -> None:
        model = causal(kind)
        model.network.double()
        found = stirred(learner(model))
        found.network.double()
        network = MinimumWordErrorNetwork(found.network, replace(COMBINATION, likelihood=0.1)).train()
        batch = only_batch(found, LISTS)
        network.loss(batch)[0].backward()
        # Llama's norms and Bloom's softmax compute in single precision whatever they are given.
        step, tolerance = (2e-3, 5e-3) if kind in ("llama", "bloom") else (1e-5, 1e-6)
        random, checked = np.random.default_rng(0), 0.0
        for name, parameter in list(learning(found).items())[::2]:
            place = tuple(int(random.integers(size)) for size in parameter.shape)
            sides = []
            for shift in (step, -step):
                parameter.data[place] += shift
                sides.append(float(network.loss(batch)[0].detach()))
                parameter.data[place] -= shift
            difference = (sides[0] - sides[1]) / (2 * step)
            assert parameter.grad is not None
            assert float(parameter.grad[place]) == pytest.approx(difference, rel=tolerance, abs=tolerance), name
            checked += abs(difference)
        assert checked > 0.1

    def test_where_there_is_no_choice_it_is_zero(self) -> None:
        found = stirred(learner(causal("gpt2")))
        network = MinimumWordErrorNetwork(found.network, COMBINATION).train()
        network.loss(only_batch(found, [some.only(np.array([0])) for some in LISTS]))[0].backward()
        assert all(one.grad is None or not one.grad.any() for one in learning(found).values())

    def test_nothing_but_the_matrices_has_one(self) -> None:
        found = stirred(learner(causal("llama")))
        MinimumWordErrorNetwork(found.network, COMBINATION).loss(only_batch(found, LISTS))[0].backward()
        for name, one in found.network.named_parameters():
            assert (one.grad is not None) == ("lora_" in name), name

    def test_a_small_step_lowers_the_expected_errors(self) -> None:
        found = learner(causal("gpt2"))
        network = MinimumWordErrorNetwork(found.network, COMBINATION)
        batch = only_batch(found, LISTS)
        before, _ = network.loss(batch)
        before.backward()
        with torch.no_grad():
            for one in learning(found).values():
                one -= 1e-3 * (one.grad if one.grad is not None else 0.0)
            assert float(network.loss(batch)[0]) < float(before)


class TestFolder:
    @pytest.fixture
    def trained(self, base: Path, tmp_path: Path) -> tuple[LoraLearner, HuggingFaceCausalModel, Path]:
        model = opened(base)
        found = learner(model, path=base)
        result = fine_tune_on_lists(found, material(), OPTIONS, tmp_path / "m")
        assert result.best_step > 0
        return found, model, tmp_path / "m"

    def test_it_scores_as_in_training(
        self, base: Path, trained: tuple[LoraLearner, HuggingFaceCausalModel, Path]
    ) -> None:
        found, model, folder = trained
        wanted = scores(found, model)
        assert np.abs(wanted - opened(base).log_prob(TEXTS)).max() > 0.01
        wrapped = peft.PeftModel.from_pretrained(opened(base).network, folder)
        by_peft = HuggingFaceCausalModel(wrapped.merge_and_unload(), tokenizer("gpt2"))
        for other in (opened(folder), load_model(f"{base}+{folder}"), by_peft):
            assert isinstance(other, HuggingFaceCausalModel)
            assert other.log_prob(TEXTS) == pytest.approx(wanted, abs=1e-3)

    def test_the_model_itself_is_left_alone(self, base: Path, tmp_path: Path) -> None:
        model = opened(base)
        frozen = {name: one.clone() for name, one in model.network.state_dict().items()}
        files = {path: hashlib.sha256(path.read_bytes()).digest() for path in base.rglob("*") if path.is_file()}
        found = learner(model, path=base)
        fine_tune_on_lists(found, material(), OPTIONS, tmp_path / "m")
        after = {name.replace(".base_layer", ""): one for name, one in model.network.state_dict().items()}
        for name, one in frozen.items():
            assert torch.equal(after[name], one), name
        assert files == {path: hashlib.sha256(path.read_bytes()).digest() for path in base.rglob("*") if path.is_file()}
        assert {path.name for path in (tmp_path / "m").iterdir()} == {
            "adapter_config.json", "adapter_model.safetensors", "config.json", "sentences.hashes", "training.jsonl"
        }  # fmt: skip

    def test_it_remembers_how_texts_were_read(self, base: Path, tmp_path: Path) -> None:
        model = opened(base)
        at = Base(base, model.fingerprint())
        model.frame("a", "none")
        model.normalizer = "lower-sentence"
        found = stirred(LoraLearner(model, at, LoraOptions(), seed=1))
        wanted = scores(found, model)
        found.save(tmp_path / "m", half=False, training={})
        again = RescoringModel.open(str(tmp_path / "m"))
        assert not again.is_to_frame
        assert again.log_prob(TEXTS) == pytest.approx(wanted, abs=1e-3)
        assert again.model.normalizer == "lower-sentence"
        other = RescoringModel.open(f"{tmp_path / 'm'}?begin=<|endoftext|>")
        assert np.abs(other.log_prob(TEXTS) - wanted).max() > 0.1

    def test_half_the_digits_are_nearly_the_same(self, base: Path, tmp_path: Path) -> None:
        model = opened(base)
        found = stirred(learner(model, path=base))
        for half in (True, False):
            found.save(tmp_path / f"{half}", half=half, training={})
        sizes = [(tmp_path / f"{half}" / "adapter_model.safetensors").stat().st_size for half in (True, False)]
        assert sizes[0] < 0.7 * sizes[1]
        assert load_model(tmp_path / "True").score(TEXTS) == pytest.approx(scores(found, model), abs=0.05)

    def test_both_may_be_moved_together(self, tmp_path: Path) -> None:
        (tmp_path / "here").mkdir()
        causal("gpt2").save(tmp_path / "here" / "base")
        stirred(learner(opened(tmp_path / "here" / "base"), path=tmp_path / "here" / "base")).save(
            tmp_path / "here" / "m", half=False, training={}
        )
        wanted = opened(tmp_path / "here" / "m").log_prob(TEXTS)
        shutil.move(tmp_path / "here", tmp_path / "there")
        assert opened(tmp_path / "there" / "m").log_prob(TEXTS) == pytest.approx(wanted)

    def test_a_model_that_is_gone_or_another_is_told_of(self, tmp_path: Path) -> None:
        causal("gpt2").save(tmp_path / "base")
        stirred(learner(opened(tmp_path / "base"), path=tmp_path / "base")).save(
            tmp_path / "m", half=False, training={}
        )
        other = causal("gpt2")
        with torch.no_grad():
            other.network.transformer.wte.weight += 0.01
        shutil.move(tmp_path / "base", tmp_path / "away")
        with pytest.raises(InputError, match=r"the model that this adapter is for is missing: expected \.\./base or /"):
            load_model(tmp_path / "m")
        other.save(tmp_path / "base")
        with pytest.raises(InputError, match="is no longer the model that the adapter"):
            load_model(tmp_path / "m")
        assert load_model(f"{tmp_path / 'away'}+{tmp_path / 'm'}").family == "huggingface"

    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            ({"adapted": None}, "damaged model folder"),
            ({"adapted": {"places": [], "fingerprint": "x"}}, "is missing: expected nowhere"),
            ({"adapted": {"places": ["."], "fingerprint": "x"}}, "it names itself"),
            ({"normalizer": "none such"}, "none such"),
        ],
    )
    def test_a_damaged_folder_is_refused(
        self, base: Path, tmp_path: Path, damage: dict[str, Any], message: str
    ) -> None:
        learner(opened(base), path=base).save(tmp_path / "m", half=False, training={})
        config = json.loads((tmp_path / "m" / "config.json").read_text())
        (tmp_path / "m" / "config.json").write_text(json.dumps(config | damage))
        with pytest.raises(InputError, match=message):
            load_model(tmp_path / "m")

    def test_a_token_that_the_tokeniser_lacks_is_refused(self, base: Path, tmp_path: Path) -> None:
        learner(opened(base), path=base).save(tmp_path / "m", half=False, training={})
        config = json.loads((tmp_path / "m" / "config.json").read_text())
        config["adapted"]["begin"] = "<no such token>"
        (tmp_path / "m" / "config.json").write_text(json.dumps(config))
        with pytest.raises(InputError, match="damaged model folder: the tokeniser has no token"):
            load_model(tmp_path / "m")


class TestTraining:
    def test_an_interrupted_one_goes_on_bit_by_bit(self, base: Path, tmp_path: Path) -> None:
        def interrupt(progress: TrainingProgress) -> None:
            if progress.step == 5:
                raise KeyboardInterrupt

        dropping = LoraOptions(lora_rank=4, lora_dropout=0.2)
        fine_tune_on_lists(learner(opened(base), dropping, base), material(), OPTIONS, tmp_path / "whole")
        with pytest.raises(KeyboardInterrupt):
            fine_tune_on_lists(
                learner(opened(base), dropping, base), material(), OPTIONS, tmp_path / "m", report=interrupt
            )
        assert not (tmp_path / "m" / "config.json").exists()
        fine_tune_on_lists(learner(opened(base), dropping, base), material(), OPTIONS, tmp_path / "m")
        both = [(tmp_path / name / "adapter_model.safetensors").read_bytes() for name in ("whole", "m")]
        assert both[0] == both[1]

    def test_other_matrices_are_another_training(self, base: Path, tmp_path: Path) -> None:
        def interrupt(progress: TrainingProgress) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fine_tune_on_lists(learner(opened(base)), material(), OPTIONS, tmp_path / "m", report=interrupt)
        with pytest.raises(InputError, match="an unfinished training with another initial weights"):
            fine_tune_on_lists(learner(opened(base), LoraOptions(lora_alpha=1)), material(), OPTIONS, tmp_path / "m")

    def test_the_checkpoint_holds_the_matrices_alone(self, base: Path, tmp_path: Path) -> None:
        from safetensors import safe_open

        def interrupt(progress: TrainingProgress) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fine_tune_on_lists(learner(opened(base)), material(), OPTIONS, tmp_path / "m", report=interrupt)
        with safe_open(tmp_path / "m" / "checkpoint.safetensors", framework="pt") as file:
            names = [name for name in file.keys() if name.startswith(("network.", "best."))]  # noqa: SIM118
        assert names
        assert all("lora_" in name for name in names)


class TestMatrices:
    @every_causal
    def test_all_linear_layers_but_the_output_have_some(self, kind: str) -> None:
        model = causal(kind)
        linear = {
            name
            for name, part in model.network.named_modules()
            if isinstance(part, torch.nn.Linear) or type(part).__name__ == "Conv1D"
        }
        found = {name.partition(".lora_A")[0].rpartition("base_model.model.")[2] for name in learning(learner(model))}
        assert {name for name in found if "lora_B" not in name} == linear - {"lm_head"}

    def test_the_usual_ones_are_fewer(self) -> None:
        every, usual = (learner(causal("llama"), LoraOptions(lora_targets=(name,))) for name in ("all-linear", "usual"))
        named = learner(causal("llama"), LoraOptions(lora_targets=("q_proj", "v_proj")))
        assert set(learning(usual)) == set(learning(named)) < set(learning(every))

    def test_rank_and_alpha_are_those_asked_for(self) -> None:
        found = stirred(learner(causal("gpt2"), LoraOptions(lora_rank=3, lora_alpha=6)))
        assert {min(one.shape) for one in learning(found).values()} == {3}
        double = stirred(learner(causal("gpt2"), LoraOptions(lora_rank=3, lora_alpha=12)))
        (one, *_), (other, *_) = (
            [part for part in each.network.modules() if hasattr(part, "get_delta_weight")] for each in (found, double)
        )
        torch.testing.assert_close(2 * one.get_delta_weight("default"), other.get_delta_weight("default"))

    def test_the_same_seed_begins_with_the_same(self) -> None:
        before = torch.random.get_rng_state()
        one, other = (learning(learner(causal("gpt2"))) for _ in range(2))
        torch.random.set_rng_state(before)
        assert all(torch.equal(value, other[name]) for name, value in one.items())

    def test_the_random_numbers_of_others_are_left_alone(self) -> None:
        model = causal("gpt2")
        before: Tensor = torch.random.get_rng_state()
        learner(model)
        assert torch.equal(before, torch.random.get_rng_state())

    @pytest.mark.parametrize(
        ("targets", "message"),
        [
            (("nowhere",), r"no module 'nowhere'\); its linear layers: c_attn, c_fc, c_proj"),
            (("c_attn", "nowhere"), "no module 'nowhere'"),
            (("wte",), "the embedding and the output layer stay as they are"),
            (("lm_head",), "the embedding and the output layer stay as they are"),
            (("ln_1",), r"cannot be adapted so \("),
        ],
    )
    def test_layers_that_cannot_have_some_are_told_of(self, targets: tuple[str, ...], message: str) -> None:
        with pytest.raises(InputError, match=message) as caught:
            learner(causal("gpt2"), LoraOptions(lora_targets=targets))
        assert caught.value.parameter == "lora_targets"

    @pytest.mark.parametrize(
        ("options", "field"),
        [
            ({"lora_rank": 0}, "lora_rank"),
            ({"lora_alpha": 0}, "lora_alpha"),
            ({"lora_dropout": 1.0}, "lora_dropout"),
            ({"lora_dropout": float("nan")}, "lora_dropout"),
            ({"lora_targets": ()}, "lora_targets"),
        ],
    )
    def test_sizes_that_make_no_sense_are_refused(self, options: dict[str, Any], field: str) -> None:
        with pytest.raises(InputError) as caught:
            LoraOptions(**options)
        assert caught.value.field == field

    def test_peft_is_needed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        model = causal("gpt2")
        monkeypatch.setitem(sys.modules, "peft", None)
        with pytest.raises(InputError, match=r"adapters need peft: pip install 'asr_lm\[hf\]'"):
            learner(model)
