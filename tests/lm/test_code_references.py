"""A folder that names code of its own is refused, and none of that code runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

transformers = pytest.importorskip("transformers")

from test_huggingface import causal  # noqa: E402

from asr_lm.errors import InputError  # noqa: E402
from asr_lm.lm.loading import load_model  # noqa: E402
from asr_lm.lm.pretrained.code_references import refuse_code  # noqa: E402

HOSTILE = """
import pathlib
pathlib.Path({marker!r}).write_text("this ran")
from transformers import GPT2Config as EvilConfig, GPT2LMHeadModel as EvilModel, GPT2TokenizerFast as EvilTokenizer
"""

ENTRIES = {
    "config.json": [
        {"auto_map": {"AutoConfig": "evil.EvilConfig", "AutoModelForCausalLM": "evil.EvilModel"}},
        {"auto_map": {"AutoConfig": "someone/else--evil.EvilConfig"}},
        {"model_type": "evil", "auto_map": {"AutoConfig": "evil.EvilConfig"}},
        {"custom_pipelines": {"text-generation": {"impl": "evil.EvilPipeline"}}},
        {"attn_implementation": "someone/kernel"},
        {"_attn_implementation": "someone/kernel@v1:evil"},
        {"_attn_implementation_internal": "someone/kernel"},
        {"experts_implementation": "someone/kernel"},
        {"text_config": {"attn_implementation": "someone/kernel"}},
        {"attn_implementation": {"": "sdpa", "text_config": "someone/kernel"}},
        {"trust_remote_code": True},
        {"something_new": "evil.py"},
        {"something_new": "someone/else--evil.Evil"},
        {"something_new": {"deeper": [{"still": "evil.Evil"}]}},
        {"python_module": "evil"},
        {"kernel_config": {"RMSNorm": "evil:Layer"}},
    ],
    "tokenizer_config.json": [
        {"auto_map": {"AutoTokenizer": ["evil.EvilTokenizer", None]}},
        {"auto_map": ["evil.EvilTokenizer", None]},
        {"tokenizer_class": "evil.EvilTokenizer"},
    ],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good model, with code beside it."""
    folder = tmp_path_factory.mktemp("model")
    causal("gpt2").save(folder)
    for name in ("evil.py", "__init__.py", "modeling_gpt2.py", "configuration_gpt2.py", "tokenization_gpt2.py"):
        (folder / name).write_text(HOSTILE.format(marker=str(folder / "ran")))
    return folder


@pytest.mark.parametrize(("file", "entry"), [(file, entry) for file, some in ENTRIES.items() for entry in some])
def test_a_hostile_folder_is_refused_and_its_code_does_not_run(folder: Path, file: str, entry: dict[str, Any]) -> None:
    good = (folder / file).read_text()
    (folder / file).write_text(json.dumps(json.loads(good) | entry))
    try:
        with pytest.raises(InputError, match="names code") as refusal:
            load_model(folder)
    finally:
        (folder / file).write_text(good)
    assert refusal.value.file == str(folder / file)
    assert str(refusal.value.field).split(".")[0] in entry
    assert not (folder / "ran").exists()


def test_code_that_nothing_names_is_left_alone(folder: Path) -> None:
    assert load_model(folder).vocabulary.size
    assert not (folder / "ran").exists()


@pytest.mark.parametrize(
    "config",
    [
        {"architectures": ["GPT2LMHeadModel"], "transformers_version": "5.23.0", "torch_dtype": "torch.float32"},
        {"_name_or_path": "someone/Model.V2", "id2label": {"0": "some.Thing"}, "activation_function": "gelu_new"},
        {"attn_implementation": "flash_attention_2", "_attn_implementation": None, "auto_map": {}},
        {"use_kernels": False, "conv_kernel_size": 4, "rope_scaling": {"rope_type": "yarn", "factor": 4.0}},
        {"megatron_config": None, "megatron_core": "megatron.core", "base_model_name_or_path": "a/b--c.D"},
        {"added_tokens_decoder": {"5": {"content": "os.System"}}, "chat_template": "{{ messages }}"},
        ["not", "a", "dictionary"],
    ],
)
def test_what_names_no_code_passes(config: Any) -> None:
    refuse_code(config, "config.json")


def test_the_configurations_of_all_models_pass() -> None:
    """None of the defaults of ``transformers`` looks like code."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    tried = 0
    for name in list(CONFIG_MAPPING)[::4]:
        try:
            config = CONFIG_MAPPING[name]().to_dict()
        except Exception:  # some cannot be made without arguments
            continue
        refuse_code(json.loads(json.dumps(config, default=str)), name)
        tried += 1
    assert tried > 50
