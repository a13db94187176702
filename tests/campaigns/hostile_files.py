"""Archives, model folders and lists made to harm: nothing runs, nothing is written elsewhere, nothing goes astray.

What chance does not find is put together by hand here: links and names that lead out of an archive, what claims to be
huge, programs in the files of models and names of programs in their configurations, markup and control characters in
lists. Chance draws how many of them meet.
"""

from __future__ import annotations

import json
import pickle
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from campaigns._archives import hostile_archive, unpacked
from campaigns._fuzzing import fuzz
from campaigns._texts import HOSTILE
from campaigns.model_folders import FOLDERS

from asr_lm.errors import InputError
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.hypotheses.writing import write_nbest

VICTIM, CONTENT = "victim", b"untouched"
"""A file beside everything that is read: it stays as it is. What runs would make a file ``ran``."""


@dataclass(frozen=True)
class HostileReader:
    """What makes a hostile input in an empty folder and says where it lies, and what reads it."""

    make: Callable[[Path, random.Random], Path]
    open: Callable[[Path], int]
    share: float = 1.0

    def prepare(self, folder: Path) -> Callable[[random.Random], Path]:
        def damage(chance: random.Random) -> Path:
            shutil.rmtree(folder / "own", ignore_errors=True)
            (folder / "own" / "deep").mkdir(parents=True)
            (folder / "own" / VICTIM).write_bytes(CONTENT)
            return self.make(folder / "own" / "deep", chance)

        return damage

    def read(self, path: Path) -> int:
        own, before = path.parents[1], {*path.parents[1].rglob("*")}
        try:
            return self.open(path)
        finally:
            assert (own / VICTIM).read_bytes() == CONTENT, "another file was changed"
            strange = [str(found) for found in {*own.rglob("*")} - before if own / "deep" / "out" not in found.parents]
            assert set(strange) <= {str(own / "deep" / "out")}, f"written elsewhere: {strange}"


class _Program:
    """A pickle that writes a file where it is loaded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return exec, (_program(self.folder),)


def _program(folder: Path) -> str:
    return f"open({str(folder.parent / 'ran')!r}, 'w').close()"


def _with_pickle(folder: Path, chance: random.Random) -> None:
    names = ("pytorch_model.bin", "model.safetensors", "training_args.bin", "optimizer.pt", "tokens.model", "model.pt")
    _put(folder / chance.choice(names), pickle.dumps(_Program(folder.parent)))


def _without_safetensors(folder: Path, chance: random.Random) -> None:
    for path in folder.rglob("*.safetensors"):
        path.unlink()
    _put(folder / "pytorch_model.bin", pickle.dumps(_Program(folder.parent)))


def _with_code(folder: Path, chance: random.Random) -> None:
    names = ("modeling_own.py", "tokenization_own.py", "configuration_own.py", "setup.py", "conftest.py", "__init__.py")
    for name in names:
        _put(folder / name, _program(folder.parent).encode())
    for path in _whole(folder, "*config.json"):
        entries = {name: f"modeling_own.{name}" for name in ("AutoConfig", "AutoModelForCausalLM", "AutoTokenizer")}
        extra = chance.choice(({"auto_map": entries}, {"custom_pipelines": {"a": {"impl": "modeling_own.A"}}}, {}))
        kind = chance.choice(({}, {}, {"model_type": "own"}, {"tokenizer_class": "modeling_own.A"}))
        path.write_text(json.dumps(_object(path) | extra | kind | {"trust_remote_code": True}))


def _with_link(folder: Path, chance: random.Random) -> None:
    path = chance.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
    path.unlink()
    # Nothing of the system's but what takes no harm: a fault would write through the link.
    path.symlink_to(chance.choice((folder.parents[1] / VICTIM, "/dev/zero", "/dev/null", "..", "/nowhere/a")))


def _with_places(folder: Path, chance: random.Random) -> None:
    """Names of files and folders everywhere in a configuration."""
    names = ("../..", "/etc", "/etc/passwd", "hf:nobody/nothing", str(folder), ".", "http://127.0.0.1:9/a", "~", "\0")
    for path in _whole(folder, "*.json"):
        found = _object(path)
        for name in (*found, "_name_or_path", "base_model_name_or_path", "checkpoint"):
            if chance.random() < 0.3 and isinstance(found.get(name, ""), str):
                found[name] = chance.choice(names)
        path.write_text(json.dumps(found))


def _with_huge(folder: Path, chance: random.Random) -> None:
    """Whole numbers of a configuration made huge, all of them or some."""
    share = chance.choice((0.2, 1.0))

    def huge(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: huge(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [huge(inner) for inner in value]
        is_size = isinstance(value, int) and not isinstance(value, bool) and chance.random() < share
        return chance.choice((10**5, 10**9, 2**31, 2**63, -(10**9))) if is_size else value

    for path in _whole(folder, "*.json"):
        path.write_text(json.dumps(huge(json.loads(path.read_text()))))


def _with_adapter(folder: Path, chance: random.Random) -> None:
    config = {"peft_type": "LORA", "base_model_name_or_path": "hf:nobody/nothing", "auto_mapping": {"a": "b"}}
    _put(folder / "adapter_config.json", json.dumps(config).encode())
    _put(folder / "adapter_model.bin", pickle.dumps(_Program(folder.parent)))


def _put(path: Path, content: bytes) -> None:
    """Write a file, and not what a link in its place leads to."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def _whole(folder: Path, pattern: str) -> list[Path]:
    """The files to which no other harm was done."""
    return sorted(path for path in folder.rglob(pattern) if path.is_file() and not path.is_symlink())


def _object(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text())
    return found if isinstance(found, dict) else {"found": found}


_HARMS = (*(_with_pickle, _without_safetensors, _with_code, _with_link, _with_places, _with_huge, _with_adapter),)


@dataclass(frozen=True)
class HostileFolder(HostileReader):
    """A whole model folder of a kind, to which harm is done."""

    kind: str = ""

    def prepare(self, folder: Path) -> Callable[[random.Random], Path]:
        FOLDERS[self.kind][0](folder / "whole")
        FOLDERS[self.kind][1](folder / "whole")
        empty = super().prepare(folder)

        def damage(chance: random.Random) -> Path:
            model = empty(chance) / "model"
            shutil.copytree(folder / "whole", model)
            for harm in chance.sample(_HARMS, chance.randint(1, 2)):
                harm(model, chance)
            return model

        return damage


def _folder_reader(kind: str) -> HostileFolder:
    def opened(path: Path) -> int:
        FOLDERS[kind][1](path)
        return 1

    return HostileFolder(lambda folder, _: folder, opened, kind=kind)


def _list(folder: Path, chance: random.Random) -> Path:
    """A list in the project's own form, each of whose texts may be anything."""

    def text() -> str:
        return " ".join(
            chance.choice(HOSTILE) if chance.random() < 0.5 else "word" for _ in range(chance.randint(0, 3))
        )

    records = []
    for number in range(chance.randint(1, 4)):
        heard = [{"text": text(), "scores": {chance.choice(("am", "am", HOSTILE[0])): -1.0}} for _ in range(2)]
        names = {"id": f"{text()}{number}", "recording": text(), "reference": text()}
        records.append({**names, "hypotheses": heard})
    path = folder / "u.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def _round(path: Path) -> int:
    """Read a list, and write and read it in every form that can hold it."""
    found, out = list(read_nbest(path)), path.parent / "out"
    out.mkdir()
    assert len(found) == len(path.read_text().splitlines()), "another number of utterances"
    for name in ("a.jsonl", "a.json", "a.jsonl.gz", "a.trn", "a.ref.trn"):
        try:
            assert write_nbest(out / name, found) == len(found)
        except InputError:
            assert "trn" in name, f"{name} is not written"
            assert not list(out.glob(f"*{name}*")), f"{name} is half written"
            continue
        if "trn" in name:
            assert (out / name).read_text().count("\n") == len(found), f"{name} has other lines than utterances"
        else:
            assert [*read_nbest(out / name, as_given=True)] == found, f"{name} gives something else"
    return sum(map(_is_whole, found))


def _is_whole(utterance: Utterance) -> bool:
    return len(utterance.hypotheses) > 0


READERS = {
    "archives": HostileReader(hostile_archive, unpacked),
    "lists": HostileReader(_list, _round),
    **{kind: _folder_reader(kind) for kind in FOLDERS if kind != "weights of features"},
}


def run(inputs: int, seed: int) -> Iterator[dict[str, Any]]:
    """Give every reader so many hostile inputs; a row for each."""
    return fuzz(READERS, inputs, seed)
