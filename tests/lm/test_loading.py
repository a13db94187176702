"""A folder that is not a whole model of this version is refused, with its path and what is wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from asr_lm.errors import InputError
from asr_lm.lm.device import resolve_device
from asr_lm.lm.families.lstm import LstmConfig
from asr_lm.lm.families.lstm.network import LstmNetwork
from asr_lm.lm.loading import load_model
from asr_lm.lm.neural import NeuralLanguageModel
from asr_lm.text.vocabulary import SentencePieceVocabulary, WordVocabulary

WORDS = ["a", "b", "c", "d"]


def small_model(words: list[str] = WORDS) -> NeuralLanguageModel:
    vocabulary = WordVocabulary(words)
    torch.manual_seed(1)
    network = LstmNetwork(LstmConfig(vocabulary.size, embedding=4, hidden=4, layers=2))
    return NeuralLanguageModel("lstm", network, vocabulary, "librispeech")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    small_model().save(folder, training={"best_loss": 1.5})
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "model"))


def refusal(path: Path) -> InputError:
    with pytest.raises(InputError) as error:
        load_model(path)
    assert error.value.file is not None
    assert error.value.file.startswith(str(path))
    return error.value


def change_config(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


def change_weights(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    tensors = dict(load_file(folder / "model.safetensors"))
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


class TestWhole:
    def test_it_loads_and_says_what_it_is(self, folder: Path) -> None:
        model = load_model(folder)
        assert (model.family, model.normalizer, model.vocabulary.tokens[3:]) == ("lstm", "librispeech", WORDS)
        assert model.fingerprint() == small_model().fingerprint()

    def test_the_configuration_is_plain_json_with_all_that_made_the_model(self, folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text(), parse_constant=pytest.fail)
        assert config["format"] == 1
        assert (config["family"], config["normalizer"]) == ("lstm", "librispeech")
        assert config["network"] == {
            "vocabulary_size": 7, "embedding": 4, "hidden": 4, "layers": 2, "dropout": 0.0, "tied": True,
            "output": "full", "classes": 100, "noise_samples": 200, "recurrent_dropout": 0.0, "variational": False,
        }  # fmt: skip
        assert config["vocabulary"] == {"kind": "words", "size": 7}
        assert config["training"] == {"best_loss": 1.5}
        assert config["parameters"] == sum(
            tensor.numel() for tensor in load_file(folder / "model.safetensors").values()
        )
        assert {"asr_lm", "torch", "python"} <= set(config["versions"])

    def test_settings_that_came_later_may_be_missing(self, folder: Path) -> None:
        expected = load_model(folder).fingerprint()
        for name in ("recurrent_dropout", "variational", "noise_samples"):
            change_config(folder, lambda config, name=name: config["network"].pop(name))  # type: ignore[misc]
        assert load_model(folder).fingerprint() == expected

    def test_a_model_can_be_moved(self, folder: Path, tmp_path: Path) -> None:
        folder.rename(tmp_path / "elsewhere")
        assert load_model(tmp_path / "elsewhere").fingerprint() == small_model().fingerprint()

    def test_the_package_imports_no_torch(self) -> None:
        code = "import sys, asr_lm.lm; assert 'torch' not in sys.modules"
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_shapes_are_looked_at_without_torch_s_compiler(self) -> None:
        """To import it takes longer than all else of the loading of a small model."""
        code = """if True:
            import sys
            from asr_lm.lm.device import without_memory
            from asr_lm.lm.families.registry import FAMILIES
            for name, family in FAMILIES.items():
                network = family.network_class()
                with without_memory():
                    made = network(family.sizes(vocabulary_size=100))
                assert all(parameter.is_meta for parameter in made.parameters()), name
                assert "torch._dynamo" not in sys.modules, name
        """
        subprocess.run([sys.executable, "-c", code], check=True)


class TestFolder:
    def test_missing(self, tmp_path: Path) -> None:
        assert "no such model" in refusal(tmp_path / "none").message

    def test_a_folder_of_something_else(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("x")
        assert refusal(tmp_path).message == "not a trained model: it has no config.json"

    @pytest.mark.parametrize("content", ["", "{", "[]", "7", '{"family": "lstm"}', b"\xff\xfe"])
    def test_a_damaged_configuration(self, folder: Path, content: str | bytes) -> None:
        (folder / "config.json").write_bytes(content if isinstance(content, bytes) else content.encode())
        error = refusal(folder)
        assert error.message.startswith("damaged model folder")
        assert error.file == str(folder / "config.json")

    @pytest.mark.parametrize("version", [0, 2, "1", None])
    def test_another_version(self, folder: Path, version: object) -> None:
        change_config(folder, lambda config: config.update(format=version))
        error = refusal(folder)
        assert error.message == f"written by another version of asr_lm (format {version!r}, expected 1)"
        assert error.file == str(folder / "config.json")

    def test_an_unknown_family(self, folder: Path) -> None:
        change_config(folder, lambda config: config.update(family="crystal ball"))
        error = refusal(folder)
        assert "unknown model family 'crystal ball'; expected one of ngram, nnlm, rnnlm, gru, lstm" in error.message
        assert error.file == str(folder / "config.json")

    @pytest.mark.parametrize("field", ["family", "normalizer"])
    @pytest.mark.parametrize("value", [None, 7, ["lstm"]])
    def test_a_field_of_another_type(self, folder: Path, field: str, value: object) -> None:
        change_config(folder, lambda config: config.update({field: value}))
        error = refusal(folder)
        assert (error.file, error.field) == (str(folder / "config.json"), field)

    def test_an_unknown_normaliser(self, folder: Path) -> None:
        change_config(folder, lambda config: config.update(normalizer="shouting"))
        error = refusal(folder)
        assert "unknown normaliser 'shouting'" in error.message
        assert (error.file, error.field) == (str(folder / "config.json"), "normalizer")


class TestSizes:
    @pytest.mark.parametrize(
        ("change", "field"),
        [
            (lambda config: config.pop("network"), "network"),
            (lambda config: config.update(network=[4]), "network"),
            (lambda config: config["network"].pop("hidden"), "network"),
            (lambda config: config["network"].update(heads=2), "network"),
            (lambda config: config["network"].update(hidden="4"), "network.hidden"),
            (lambda config: config["network"].update(layers=-1), "network.layers"),
            (lambda config: config["network"].update(embedding=4.5), "network.embedding"),
            (lambda config: config["network"].update(tied="yes"), "network.tied"),
            (lambda config: config["network"].update(dropout=None), "network.dropout"),
            (lambda config: config["network"].update(hidden=8), "network.tied"),
        ],
    )
    def test_sizes_that_make_no_network(
        self, folder: Path, change: Callable[[dict[str, Any]], object], field: str
    ) -> None:
        change_config(folder, change)
        error = refusal(folder)
        assert error.message.startswith("damaged model folder")
        assert (error.file, error.field) == (str(folder / "config.json"), field)

    def test_sizes_no_memory_holds(self, folder: Path) -> None:
        change_config(folder, lambda config: config["network"].update(hidden=10**9, embedding=10**9))
        error = refusal(folder)
        assert "expected at most 16,777,216, not 1,000,000,000" in error.message
        assert (error.file, error.field) == (str(folder / "config.json"), "network.embedding")

    @pytest.mark.parametrize("sizes", [{"hidden": 2**24, "embedding": 2**24}, {"layers": 1000}])
    def test_sizes_are_those_of_the_weights_before_memory_is_asked_for(
        self, folder: Path, sizes: dict[str, int]
    ) -> None:
        change_config(folder, lambda config: config["network"].update(sizes))
        assert "weights do not belong to this network" in refusal(folder).message

    def test_sizes_of_another_network(self, folder: Path) -> None:
        change_config(folder, lambda config: config["network"].update(hidden=8, embedding=8))
        assert (
            "weights do not belong to this network: embedding.weight is [7, 4], not [7, 8]" in refusal(folder).message
        )
        change_config(folder, lambda config: config["network"].update(hidden=4, embedding=4, layers=1))
        assert "lstm.weight_hh_l1" in refusal(folder).message


class TestVocabulary:
    @pytest.mark.parametrize("words", [["a", "b", "d", "c"], ["a", "b", "c"], ["a", "b", "c", "d", "e"]])
    def test_another_vocabulary(self, folder: Path, words: list[str]) -> None:
        WordVocabulary(words).save(folder)
        error = refusal(folder)
        assert error.message == "damaged model folder: the vocabulary is not the one of the model"

    def test_a_vocabulary_of_another_kind(self, folder: Path) -> None:
        (folder / "words.txt").unlink()
        SentencePieceVocabulary.train(["a b c d"] * 10, 8, byte_fallback=False).save(folder)
        assert "the vocabulary is not the one of the model" in refusal(folder).message

    def test_no_vocabulary(self, folder: Path) -> None:
        (folder / "words.txt").unlink()
        assert "no vocabulary" in refusal(folder).message

    def test_a_size_that_is_not_that_of_the_vocabulary(self, folder: Path) -> None:
        change_config(folder, lambda config: config["network"].update(vocabulary_size=10**6))
        assert "the vocabulary is not the one of the model" in refusal(folder).message


class TestWeights:
    @pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.99])
    def test_cut_off(self, folder: Path, share: float) -> None:
        path = folder / "model.safetensors"
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data[: int(share * len(data))])
        error = refusal(folder)
        assert error.message.startswith("damaged weights")
        assert error.file == str(path)

    def test_missing(self, folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        error = refusal(folder)
        assert (error.message, error.file) == ("no such file", str(folder / "model.safetensors"))

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_not_finite(self, folder: Path, value: float) -> None:
        change_weights(folder, lambda tensors: tensors["lstm.bias_ih_l1"].__setitem__(3, value))
        assert refusal(folder).message == "damaged weights: lstm.bias_ih_l1 has values that are not finite"

    @pytest.mark.parametrize("value", [7.8e36, -2e9])
    def test_so_large_that_scores_are_no_numbers(self, folder: Path, value: float) -> None:
        change_weights(folder, lambda tensors: tensors["lstm.bias_ih_l1"].__setitem__(3, value))
        assert refusal(folder).message == "damaged weights: lstm.bias_ih_l1 has values beyond 1e+09"

    @pytest.mark.parametrize("shape", [[28], [7], [1], [7, 4, 1], [4, 7]])
    def test_of_another_shape(self, folder: Path, shape: list[int]) -> None:
        change_weights(folder, lambda tensors: tensors.update({"embedding.weight": torch.zeros(shape)}))
        expected = f"weights do not belong to this network: embedding.weight is {shape}, not [7, 4]"
        assert refusal(folder).message == expected

    def test_one_too_few_or_too_many(self, folder: Path) -> None:
        change_weights(folder, lambda tensors: tensors.pop("output.bias"))
        assert "output.bias missing or not expected" in refusal(folder).message
        change_weights(folder, lambda tensors: tensors.update({"output.bias": torch.zeros(7), "x": torch.zeros(1)}))
        assert "x missing or not expected" in refusal(folder).message

    def test_a_pickle_is_not_opened(self, folder: Path) -> None:
        torch.save({"output.bias": torch.zeros(7)}, folder / "model.safetensors")
        assert "damaged weights" in refusal(folder).message


class TestDevice:
    def test_names(self) -> None:
        assert resolve_device("cpu") == "cpu"
        assert resolve_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
        for name in ("abacus", "meta", "xla", "cpu:x", ""):
            with pytest.raises(InputError, match=f"unknown device '{name}'"):
                resolve_device(name)

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
    def test_a_gpu_where_there_is_none(self, folder: Path) -> None:
        with pytest.raises(InputError, match="no device of the kind cuda that torch can use was found"):
            load_model(folder, "cuda")
