"""OpenAI's GPT-1 as ``transformers`` writes it: the same logits, the same scores, and clear errors."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from asr_lm.errors import InputError
from asr_lm.lm.families.gpt1.network import Gpt1Model
from asr_lm.lm.loading import load_model
from asr_lm.lm.pretrained.openai_gpt1 import load_openai_gpt

sys.path.insert(0, str(Path(__file__).parents[1] / "text"))
from gpt1_pieces import generated_lines, small_vocabulary

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def reference() -> Any:
    """A small network of ``transformers`` with weights large enough for contexts to matter."""
    vocabulary = small_vocabulary()
    torch.manual_seed(1)
    config = transformers.OpenAIGPTConfig(
        vocab_size=vocabulary.size, n_positions=24, n_embd=16, n_layer=3, n_head=4, initializer_range=0.3
    )
    model = transformers.OpenAIGPTLMHeadModel(config).eval()
    for name, parameter in model.named_parameters():
        if name.endswith("bias") or "ln_" in name:
            torch.nn.init.normal_(parameter, mean=0.5, std=0.3)
    return model


@pytest.fixture(params=["model.safetensors", "pytorch_model.bin", "without prefix"])
def folder(request: pytest.FixtureRequest, reference: Any, tmp_path: Path) -> Path:
    """The network as it is handed out: today's form, the old one, and the release's own names."""
    folder = tmp_path / "openai-gpt"
    reference.save_pretrained(folder)
    small_vocabulary().save(folder)
    tensors = load_file(folder / "model.safetensors")
    if request.param == "pytorch_model.bin":
        tensors["transformer.h.0.attn.bias"] = torch.ones(1, 1, 24, 24).tril()
        tensors["lm_head.weight"] = tensors["transformer.tokens_embed.weight"]
        (folder / "model.safetensors").unlink()
        torch.save(tensors, folder / "pytorch_model.bin")
    elif request.param == "without prefix":
        save_file(
            {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()},
            folder / "model.safetensors",
        )
    return folder


def test_the_logits_are_those_of_transformers(reference: Any, folder: Path) -> None:
    network = load_openai_gpt(folder).network.eval()
    ids = torch.randint(network.config.vocabulary_size, (5, 24), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        hidden, _ = network(ids)
        found = hidden @ network.embedding.weight.T
        expected = reference(ids).logits
    assert expected.std() > 0.5
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_sentences_begin_and_end_with_a_full_stop(reference: Any, folder: Path) -> None:
    model = load_model(folder)
    assert isinstance(model, Gpt1Model)
    stop = model.vocabulary.encode(".").tolist()
    for line in list(generated_lines(40))[:20]:
        tokens = model.vocabulary.encode(line)[:20]
        ids = torch.tensor([[*stop, *tokens.tolist(), *stop]])
        with torch.no_grad():
            log_probs = reference(ids).logits[0, :-1].log_softmax(1)
        expected = log_probs[torch.arange(len(tokens) + 1), ids[0, 1:]]
        np.testing.assert_allclose(model.token_log_probs([tokens])[0], expected.double().numpy(), atol=1e-4)


def test_it_can_be_saved_as_one_of_ours(folder: Path, tmp_path: Path) -> None:
    model = load_model(folder)
    model.save(tmp_path / "ours")
    again = load_model(tmp_path / "ours")
    assert (again.family, again.normalizer, again.fingerprint()) == ("gpt1", "as-is", model.fingerprint())
    assert again.trained_on == model.trained_on == "stream"
    sentences = model.vocabulary.encode_batch(list(generated_lines(10)))
    np.testing.assert_array_equal(again.score_tokens(sentences), model.score_tokens(sentences))


def change(path: Path, **changes: object) -> None:
    config = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in {**config, **changes}.items() if value is not None}))


def drop(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["transformer.h.1.ln_1.bias"]
    save_file(tensors, folder / "model.safetensors")


def narrow(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["transformer.positions_embed.weight"] = tensors["transformer.positions_embed.weight"][:9].contiguous()
    save_file(tensors, folder / "model.safetensors")


def pickle_code(folder: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, ("touch /tmp/should-not-be",)

    (folder / "model.safetensors").unlink()
    torch.save(Harmful(), folder / "pytorch_model.bin")


@pytest.mark.parametrize("folder", ["model.safetensors"], indirect=True)
@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda f: change(f / "config.json", afn="relu"), "config.json, field afn: expected 'gelu' as in GPT-1"),
        (lambda f: change(f / "config.json", n_layer=None), "config.json, field n_layer: missing"),
        (lambda f: change(f / "config.json", n_head=5), "config.json, field heads: 5 heads do not divide"),
        (lambda f: change(f / "config.json", vocab_size=9), "vocab.json: expected 9 pieces as in config.json, found"),
        (lambda f: change(f / "config.json", n_layer=2), "not the weights of this network: blocks.2."),
        (drop, "model.safetensors: not the weights of this network: blocks.1.attention_norm.bias missing"),
        (narrow, r"model.safetensors: not the weights of this network: position.weight is \[9, 16\], not \[24, 16\]"),
        (lambda f: (f / "model.safetensors").unlink(), "no weights: expected model.safetensors or pytorch_model.bin"),
        (lambda f: (f / "model.safetensors").write_bytes(b"x" * 40), "model.safetensors: damaged weights"),
        (pickle_code, "pytorch_model.bin: damaged weights"),
        (lambda f: (f / "vocab.json").unlink(), "vocab.json: no such file"),
        (lambda f: (f / "config.json").write_text("{"), "config.json: not readable as JSON"),
        (lambda f: change(f / "config.json", model_type="gpt2"), "expected a model of type openai-gpt"),
    ],
)
def test_what_is_no_gpt1_is_told(folder: Path, damage: Callable[[Path], object], complaint: str) -> None:
    damage(folder)
    with pytest.raises(InputError, match=complaint):
        load_openai_gpt(folder)
    assert not Path("/tmp/should-not-be").exists()


def test_without_a_network_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def offline(*arguments: object, **options: object) -> None:
        raise OSError("no route to host\nsecond line")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(InputError) as error:
        load_openai_gpt("openai-community/openai-gpt")
    assert str(error.value) == (
        "openai-community/openai-gpt: cannot be downloaded from the Hugging Face hub (no route to host); download "
        "config.json, model.safetensors, vocab.json, merges.txt where there is a network, and give their folder"
    )


@pytest.mark.parametrize("folder", ["model.safetensors"], indirect=True)
def test_a_name_of_the_hub_is_downloaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked: list[str] = []

    def snapshot(name: str, **options: object) -> str:
        asked.append(name)
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    assert load_openai_gpt("openai-community/openai-gpt").fingerprint() == load_openai_gpt(folder).fingerprint()
    assert asked == ["openai-community/openai-gpt"]


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match=r"pip install 'asr_lm\[hf\]'"):
        load_openai_gpt("openai-community/openai-gpt")
