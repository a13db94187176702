"""GGUF files and LoRA adapters: the same model in another form scores the same, and what is no such form is named."""

from __future__ import annotations

import copy
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

transformers = pytest.importorskip("transformers")
gguf = pytest.importorskip("gguf")
peft = pytest.importorskip("peft")

from test_huggingface import TEXTS, causal, tokenizer  # noqa: E402

from asr_lm.errors import InputError  # noqa: E402
from asr_lm.lm.loading import load_model  # noqa: E402
from asr_lm.lm.pretrained.adapter_folder import Base  # noqa: E402
from asr_lm.lm.pretrained.huggingface import HuggingFaceCausalModel  # noqa: E402
from asr_lm.lm.pretrained.lora_options import LoraOptions  # noqa: E402
from asr_lm.lm.pretrained.low_rank import LoraLearner  # noqa: E402
from asr_lm.lm.pretrained.place import Place  # noqa: E402
from asr_lm.rescoring.scoring.models import name_and_path  # noqa: E402


def scores(model: Any) -> np.ndarray[Any, Any]:
    return np.array(model.score_tokens(model.vocabulary.encode_batch(TEXTS)))


@pytest.fixture(scope="module")
def qwen2() -> HuggingFaceCausalModel:
    """A small random Qwen2, whose weights GGUF holds as they are."""
    tokens = tokenizer("gpt2")
    torch.manual_seed(3)
    config = transformers.Qwen2Config(
        vocab_size=len(tokens), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=64, bos_token_id=0, eos_token_id=0,
        tie_word_embeddings=False, rms_norm_eps=1e-6, use_sliding_window=False,
    )  # fmt: skip
    network = transformers.Qwen2ForCausalLM(config)
    for name, parameter in network.named_parameters():
        if "norm" not in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return HuggingFaceCausalModel(network, tokens)


@pytest.fixture(scope="module")
def file(qwen2: HuggingFaceCausalModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "small.gguf"
    write_gguf(qwen2, path)
    return path


class TestGguf:
    """A file that llama.cpp's tools write."""

    def test_it_scores_as_the_model_it_was_made_from(self, qwen2: HuggingFaceCausalModel, file: Path) -> None:
        found = load_model(file)
        assert isinstance(found, HuggingFaceCausalModel)
        assert found.window == qwen2.window
        np.testing.assert_allclose(scores(found), scores(qwen2), atol=1e-3)

    def test_quantised_weights_are_unpacked(self, qwen2: HuggingFaceCausalModel, tmp_path: Path) -> None:
        write_gguf(qwen2, tmp_path / "q8.gguf", gguf.GGMLQuantizationType.Q8_0)
        rounded: Any = HuggingFaceCausalModel(copy.deepcopy(qwen2.network), tokenizer("gpt2"))
        for parameter in rounded.network.parameters():
            if is_product(parameter):
                parameter.data = torch.from_numpy(eight_bits(parameter.detach().numpy()))
        found = load_model(tmp_path / "q8.gguf")
        np.testing.assert_allclose(scores(found), scores(rounded), atol=1e-3)
        assert np.abs(scores(found) - scores(qwen2)).max() > 1e-3

    def test_an_adapter_that_learns_beside_it_finds_it_again(self, file: Path, tmp_path: Path) -> None:
        model: Any = load_model(file)
        learner = LoraLearner(model, Base(file, model.fingerprint()), LoraOptions(lora_rank=2), seed=1)
        for name, parameter in learner.network.named_parameters():
            if "lora_B" in name:
                torch.nn.init.constant_(parameter, 0.05)
        learner.save(tmp_path / "adapter", half=False, training={})
        found = load_model(tmp_path / "adapter")
        np.testing.assert_allclose(scores(found), scores(load_model(f"{file}+{tmp_path / 'adapter'}")), atol=1e-4)
        assert np.abs(scores(found) - scores(load_model(file))).max() > 0.01

    def test_its_name_is_the_file_s_without_the_ending(self, file: Path) -> None:
        assert name_and_path(str(file)) == ("small", file)

    def test_the_name_says_nothing_and_the_content_everything(self, file: Path, tmp_path: Path) -> None:
        shutil.copy(file, tmp_path / "model.bin")
        assert load_model(tmp_path / "model.bin").fingerprint() == load_model(file).fingerprint()

    def test_a_file_of_the_hub_is_a_name_with_the_file_behind_it(self) -> None:
        place = Place.of("hf:owner/some-model/model-Q4.gguf")
        assert (place.model, place.gguf, place.adapter) == ("owner/some-model", "model-Q4.gguf", None)

    @pytest.mark.parametrize("kept", [4, 8, 30, 400, 20_000])
    def test_a_damaged_file_is_refused(self, file: Path, tmp_path: Path, kept: int) -> None:
        (tmp_path / "cut.gguf").write_bytes(file.read_bytes()[:kept])
        with pytest.raises(InputError, match=r"cut\.gguf"):
            load_model(tmp_path / "cut.gguf")

    def test_what_is_said_where_gguf_is_missing(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "gguf", None)
        with pytest.raises(InputError, match=r"GGUF files need gguf: pip install 'asr_lm\[hf\]'"):
            load_model(file)


def is_product(tensor: torch.Tensor) -> bool:
    """Whether a tensor is a matrix whose rows fill whole blocks of 32."""
    return tensor.dim() == 2 and tensor.shape[1] % 32 == 0


def eight_bits(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Values rounded as Q8_0 holds them: blocks of 32, each a scale in half precision and integers of 8 bits."""
    blocks = values.reshape(-1, 32)
    scale = np.abs(blocks).max(axis=1, keepdims=True) / 127
    integers = np.round(np.divide(blocks, scale, out=np.zeros_like(blocks), where=scale > 0))
    return (integers * scale.astype(np.float16).astype(np.float32)).reshape(values.shape)


def write_gguf(model: HuggingFaceCausalModel, path: Path, quantised: Any = None) -> None:
    """Write a Qwen2 model as llama.cpp's converter does, in single precision or with quantised matrices."""
    config = model.network.config
    writer = gguf.GGUFWriter(str(path), "qwen2")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    _add_tokens(writer, model)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, config.num_hidden_layers)
    for name, tensor in model.network.state_dict().items():
        theirs, values = names.get_name(name, try_suffixes=(".weight", ".bias")), tensor.numpy()
        if quantised is not None and is_product(tensor):
            writer.add_tensor(theirs, gguf.quants.quantize(values, quantised), raw_dtype=quantised)
        else:
            writer.add_tensor(theirs, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokens(writer: Any, model: HuggingFaceCausalModel) -> None:
    written = json.loads(tokenizer("gpt2").backend_tokenizer.to_str())["model"]
    tokens = sorted(written["vocab"], key=written["vocab"].__getitem__)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL] + [gguf.TokenType.NORMAL] * (len(tokens) - 1))
    writer.add_token_merges([" ".join(pair) for pair in written["merges"]])
    writer.add_bos_token_id(model.vocabulary.bos_id)
    writer.add_eos_token_id(model.vocabulary.eos_id)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base") / "gpt2"
    causal("gpt2").save(folder)
    return folder


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random products of rank 2 beside the attention's projections."""
    folder = tmp_path_factory.mktemp("adapters") / "mine"
    adapted(load_model(base)).save_pretrained(folder)
    return folder


class TestAdapter:
    """``BASE+ADAPTER``."""

    def test_it_scores_as_the_network_that_peft_wraps(self, base: Path, adapter: Path) -> None:
        plain: Any = load_model(base)
        before = scores(plain)
        wrapped = peft.PeftModel.from_pretrained(load_model(base).network, adapter)  # type: ignore[attr-defined]
        expected = HuggingFaceCausalModel(wrapped.merge_and_unload(), tokenizer("gpt2"))
        found = load_model(f"{base}+{adapter}")
        np.testing.assert_allclose(scores(found), scores(expected), atol=1e-4)
        assert np.abs(scores(found) - before).max() > 0.1
        assert found.fingerprint() != plain.fingerprint()

    def test_the_base_may_be_a_name_or_a_gguf_file(self, adapter: Path, tmp_path: Path) -> None:
        (tmp_path / "base.gguf").write_bytes(b"GGUF")
        assert Place.of(f"hf:owner/base+{adapter}") == Place(
            "owner/base", None, str(adapter), f"hf:owner/base+{adapter}"
        )
        assert Place.of("hf:owner/base+hf:other/adapter").adapter == "other/adapter"
        found = Place.of(f"{tmp_path}/base.gguf+{adapter}")
        assert (found.model, found.gguf, found.adapter) == (str(tmp_path), "base.gguf", str(adapter))

    def test_a_plus_in_a_path_is_part_of_it(self, base: Path, adapter: Path, tmp_path: Path) -> None:
        shutil.copytree(base, tmp_path / "a+b")
        shutil.copytree(adapter, tmp_path / "c+d")
        assert load_model(tmp_path / "a+b").fingerprint() == load_model(base).fingerprint()
        both = load_model(f"{tmp_path}/a+b+{tmp_path}/c+d")
        assert both.fingerprint() == load_model(f"{base}+{adapter}").fingerprint()

    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            ({"peft_type": "IA3"}, "expected a LoRA adapter, not 'IA3'"),
            ({"megatron_config": {"x": 1}}, "megatron_config: names code"),
            ({"target_modules": ["nowhere"]}, "does not go with the model"),
            ({"r": 3}, "does not go with the model"),
        ],
    )
    def test_another_kind_of_adapter_is_refused(
        self, base: Path, adapter: Path, tmp_path: Path, damage: dict[str, Any], message: str
    ) -> None:
        folder = Path(shutil.copytree(adapter, tmp_path / "damaged"))
        config = json.loads((folder / "adapter_config.json").read_text())
        (folder / "adapter_config.json").write_text(json.dumps(config | damage))
        with pytest.raises(InputError, match=message):
            load_model(f"{base}+{folder}")

    def test_an_adapter_of_another_model_is_refused(self, adapter: Path, tmp_path: Path) -> None:
        causal("opt").save(tmp_path / "opt")
        with pytest.raises(InputError, match="does not go with the model"):
            load_model(f"{tmp_path / 'opt'}+{adapter}")

    def test_an_adapter_of_a_deeper_model_is_refused(self, base: Path, adapter: Path, tmp_path: Path) -> None:
        config = json.loads((adapter / "adapter_config.json").read_text())
        folder = Path(shutil.copytree(adapter, tmp_path / "one-layer"))
        (folder / "adapter_config.json").write_text(json.dumps(config | {"layers_to_transform": [0]}))
        with pytest.raises(InputError, match=r"has weights for unknown places, as .*h\.1\."):
            load_model(f"{base}+{folder}")

    def test_an_adapter_without_its_weights_or_alone_is_refused(
        self, base: Path, adapter: Path, tmp_path: Path
    ) -> None:
        folder = Path(shutil.copytree(adapter, tmp_path / "bare"))
        (folder / "adapter_model.safetensors").unlink()
        with pytest.raises(InputError, match=r"has no weights: expected adapter_model\.safetensors"):
            load_model(f"{base}+{folder}")
        with pytest.raises(InputError, match=r"is an adapter without its model; give BASE\+ADAPTER"):
            load_model(adapter)
        with pytest.raises(InputError, match=r"no adapter: it has no adapter_config\.json"):
            load_model(f"{base}+{base}")

    def test_what_is_said_where_peft_is_missing(
        self, base: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "peft", None)
        with pytest.raises(InputError, match=r"adapters need peft: pip install 'asr_lm\[hf\]'"):
            load_model(f"{base}+{adapter}")


def adapted(model: Any) -> Any:
    """The network of a model with a random adapter."""
    config = peft.LoraConfig(r=2, lora_alpha=8, target_modules=["c_attn"], fan_in_fan_out=True, task_type="CAUSAL_LM")
    wrapped = peft.get_peft_model(model.network, config)
    generator = torch.Generator().manual_seed(4)
    for name, parameter in wrapped.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.5, generator=generator)
    return wrapped
