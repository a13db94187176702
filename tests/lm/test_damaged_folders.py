"""Model folders of strangers are opened or refused with a reason (a longer run: ``tests/campaigns``)."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pickle
import shutil
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from campaigns import _fuzzing
from campaigns.model_folders import FOLDERS, run
from safetensors.torch import load_file, save_file

from asr_lm import json_files
from asr_lm.errors import InputError
from asr_lm.lm.families.registry import FAMILIES
from asr_lm.lm.loading import load_model
from asr_lm.lm.mixtures.estimation import make_mixture
from asr_lm.lm.mixtures.members import Member, MixtureRecord
from asr_lm.lm.pretrained import openai_gpt1
from asr_lm.lm.pretrained.place import cached_only, is_cached_only
from asr_lm.lm.protocol import LanguageModel
from asr_lm.rescoring.weights import Weights

RECOGNISERS = ("recogniser over mel frames", "recogniser over samples")


@pytest.fixture(autouse=True)
def busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_fuzzing, "MOST_SECONDS", 20)


def made(kind: str, folder: Path) -> Path:
    FOLDERS[kind][0](folder)
    return folder


def change(path: Path, **entries: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def test_everything_is_opened_or_refused_with_a_reason() -> None:
    rows = list(run(8, 1))
    assert [row["reader"] for row in rows] == list(FOLDERS)
    assert [fault for row in rows for fault in row["faults"]] == []
    assert all(row["read"] + row["refused"] == 8 for row in rows)
    assert sum(row["read"] for row in rows) > 15
    assert sum(row["refused"] for row in rows) > 60


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("value", [10**9, 10**30, 0, -1, 4.5, "4", None, [4], {}, True])
def test_every_size_of_every_family(family: str, value: Any, tmp_path: Path) -> None:
    path = made(family, tmp_path / "model") / "config.json"
    whole = json.loads(path.read_text())
    sizes = [name for name, size in whole["network"].items() if type(size) is int]
    assert len(sizes) > 2
    begin = time.process_time()
    for name in sizes:
        change(path, network=whole["network"] | {name: value})
        with pytest.raises(InputError) as caught:
            load_model(path.parent)
        assert caught.value.file in (str(path), str(path.with_name("model.safetensors")))
    assert time.process_time() - begin < len(sizes)


@pytest.mark.parametrize("kind", ["lstm", "ngram", "mixture", "released GPT-1", "GPT-2 of transformers", *RECOGNISERS])
@pytest.mark.parametrize(
    "content", [b'{"a":' * 5_000, b"[" * 100_000, b'{"a": "\xff"}', b"[1]", b"", b'{"a": 1' + b"0" * 9_999]
)
def test_a_configuration_that_is_none(kind: str, content: bytes, tmp_path: Path) -> None:
    path = made(kind, tmp_path / "model") / "config.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        FOLDERS[kind][1](path.parent)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("training", [[1], 0.5, {"options": "a"}, {"options": [1]}])
def test_facts_of_the_training_of_another_kind(training: Any, tmp_path: Path) -> None:
    folder = made("lstm", tmp_path / "model")
    change(folder / "config.json", training=training, trained_on=None)
    assert load_model(folder).trained_on == "sentence"  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["released GPT-1", "GPT-2 of transformers"])
def test_pretrained_weights_that_are_not_finite(kind: str, tmp_path: Path) -> None:
    path = made(kind, tmp_path / "model") / "model.safetensors"
    tensors = load_file(path)
    name = sorted(tensors)[0]
    tensors[name].view(-1)[0] = torch.nan
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"damaged weights: .* has values that are not finite"):
        load_model(tmp_path / "model")


@pytest.mark.parametrize("value", [7, "GPT2LMHeadModel", {"a": 1}, [None], True])
def test_the_head_of_a_pretrained_model(value: Any, tmp_path: Path) -> None:
    folder = made("GPT-2 of transformers", tmp_path / "model")
    change(folder / "config.json", architectures=value)
    with contextlib.suppress(InputError):
        load_model(folder)


@pytest.mark.parametrize("size", ["n_positions", "vocab_size", "n_embd", "n_layer", "n_inner"])
def test_sizes_that_the_weights_of_a_pretrained_model_have_not(size: str, tmp_path: Path) -> None:
    folder = made("GPT-2 of transformers", tmp_path / "model")
    change(folder / "config.json", **{size: 10**9})
    with pytest.raises(InputError, match=r"config\.json.*(are more than|no network can be made)"):
        load_model(folder)


@pytest.mark.parametrize("kind", ["lstm", "ngram", "mixture", "GPT-2 of transformers", "recogniser over mel frames"])
def test_a_pipe_in_a_folder_is_not_waited_for(kind: str, tmp_path: Path) -> None:
    folder = made(kind, tmp_path / "model")
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        path.rename(tmp_path / "kept")
        os.mkfifo(path)
        with pytest.raises(InputError, match="neither a file nor a folder") as error:
            FOLDERS[kind][1](folder)
        assert error.value.file == str(path)
        path.unlink()
        (tmp_path / "kept").rename(path)


@pytest.mark.parametrize("kind", ["lstm", "ngram", "released GPT-1", "GPT-2 of transformers", RECOGNISERS[0]])
@pytest.mark.parametrize("target", ["itself", "nothing"])
def test_a_link_to_itself_or_to_nothing(kind: str, target: str, tmp_path: Path) -> None:
    folder = made(kind, tmp_path / "model")
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        path.rename(tmp_path / "kept")
        path.symlink_to(path.name if target == "itself" else target)
        with contextlib.suppress(InputError):  # some files may be missing
            FOLDERS[kind][1](folder)
        path.unlink()
        (tmp_path / "kept").rename(path)


def test_a_pickle_of_anything(tmp_path: Path) -> None:
    path = made("released GPT-1, pickled", tmp_path / "model") / "pytorch_model.bin"
    for content in ([1], {"a": 1}, {"a": torch.ones(2)}, "text"):
        torch.save(content, path)
        with pytest.raises(InputError):
            load_model(tmp_path / "model")


@pytest.mark.parametrize("kind", ["released GPT-1", "released GPT-1, pickled"])
def test_released_weights_so_large_that_scores_are_no_numbers(kind: str, tmp_path: Path) -> None:
    folder = made(kind, tmp_path / "model")
    path = next(path for path in folder.iterdir() if path.suffix in (".safetensors", ".bin"))
    tensors = load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)
    tensors["h.0.attn.c_attn.weight"].view(-1)[0] = 7.8e36
    save_file(tensors, path) if path.suffix == ".safetensors" else torch.save(tensors, path)
    with pytest.raises(InputError, match=r"queries_keys_values\.weight has values beyond 1e\+09"):
        load_model(folder)


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_torch_warns_nobody_of_a_strange_pickle(protocol: int, tmp_path: Path) -> None:
    path = made("released GPT-1, pickled", tmp_path / "model") / "pytorch_model.bin"
    path.write_bytes(pickle.dumps({"a": len}, protocol))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with pytest.raises(InputError, match="damaged weights"):
            load_model(path.parent)
    assert told == []


@pytest.mark.parametrize("entry", ["n_embd", "resid_pdrop", "n_layer", "attn_pdrop"])
@pytest.mark.parametrize("value", [None, "a", [1], {}, 10**9])
def test_sizes_of_a_released_model(entry: str, value: Any, tmp_path: Path) -> None:
    folder = made("released GPT-1", tmp_path / "model")
    change(folder / "config.json", **{entry: value})
    with pytest.raises(InputError, match=r"config\.json"):
        load_model(folder)


def test_a_member_of_the_hub_is_not_downloaded(tmp_path: Path) -> None:
    folder = made("mixture", tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config["mixture"]["members"][0]["places"] = ["hf:nobody/nothing"]
    change(folder / "config.json", **config)
    begin = time.process_time()
    with pytest.raises(InputError, match="hf:nobody/nothing: the model is not in the cache of Hugging Face"):
        load_model(folder)
    assert time.process_time() - begin < 10


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    folder = made("mixture", tmp_path / "model")
    whole = json.loads((folder / "config.json").read_text())
    for name, complaint in (("x" * 5000, "is missing"), ("\ud800", "surrogate"), ("a\0b", "is missing")):
        whole["mixture"]["members"][0]["places"] = [name]
        change(folder / "config.json", **whole)
        with pytest.raises(InputError, match=complaint):
            load_model(folder)


def test_nothing_is_downloaded_while_only_the_cache_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked = []

    def snapshot_download(name: str, **options: Any) -> str:
        asked.append(options["local_files_only"])
        raise OSError("none")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    with cached_only(), pytest.raises(InputError, match="not in the cache"):
        openai_gpt1.download_weights("a/b")
    with pytest.raises(InputError, match="cannot be downloaded"):
        openai_gpt1.download_weights("a/b")
    assert asked == [True, False]
    assert not is_cached_only()


@pytest.mark.parametrize(
    "content", [b'{"format": "asr_lm weights", "version": 1, "values": {"\xff": 1}}', b'{"a":' * 5000, b"[" * 100_000]
)
def test_weights_of_features_that_are_no_json(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "weights.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match="no file of tuned weights, or a damaged one"):
        Weights.load(path)


def test_weights_of_features_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_files, "MOST_BYTES", 10**6)
    (tmp_path / "w.json").symlink_to("/dev/zero")
    with pytest.raises(InputError, match="more than 1,000,000 bytes"):
        Weights.load(tmp_path / "w.json")


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_member_that_is_copied_is_there_whole_or_not_at_all(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made("ngram", tmp_path / "model")
    path = folder if kind == "folder" else folder / "model.arpa"
    model = load_model(path)
    assert isinstance(model, LanguageModel)
    mixture = make_mixture(MixtureRecord("linear", [1.0], [Member("a", model, path)]))
    copy = shutil.copyfile

    def full(source: Any, target: Any, **how: Any) -> Any:
        Path(target).write_bytes(Path(source).read_bytes()[:9])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfile", full)  # what `copytree` copies a file with, too
    with pytest.raises(InputError, match=r"the member 'a' cannot be copied \(.*No space left on device"):
        mixture.save(tmp_path / "mixture", copy=True)
    assert list((tmp_path / "mixture" / "members").iterdir()) == []
    monkeypatch.setattr(shutil, "copyfile", copy)
    for _ in range(2):  # again, over what is there
        mixture.save(tmp_path / "mixture", copy=True)
    copied = tmp_path / "mixture" / "members" / ("a" if kind == "folder" else "model.arpa")
    assert (copied.is_dir(), [part.name for part in copied.parent.iterdir()]) == (kind == "folder", [copied.name])
    assert load_model(tmp_path / "mixture").fingerprint() == mixture.fingerprint()
