"""The neural families, by name in ``config.json`` and on the command line.

A new family is a folder of its own and a line here. A family's folder is imported when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from asr_lm.errors import InputError
from asr_lm.lm.families.family import Family, Preset

MODULES = {
    "nnlm": "nnlm",
    "rnnlm": "rnnlm",
    "gru": "gru",
    "lstm": "lstm",
    "bilstm": "bilstm",
    "birnn-attention": "birnn_attention",
    "gpt1": "gpt1",
}
"""The folder of each family."""

GONE = {
    "gpt1-choice": "minimum word error rate training of a gpt1 took its place",
}
"""Families of earlier releases, and what became of them."""


class Families(Mapping[str, Family]):
    """The declarations of the families, each read when it is asked for."""

    def __getitem__(self, name: str) -> Family:
        family: Family = import_module(f"{__package__}.{MODULES[name]}").FAMILY
        return family

    def __iter__(self) -> Iterator[str]:
        return iter(MODULES)

    def __len__(self) -> int:
        return len(MODULES)

    def __contains__(self, name: object) -> bool:
        return name in MODULES


FAMILIES = Families()


def find_preset(family: str, name: str) -> Preset:
    """The preset of a family.

    Raises:
        InputError: there is none of that name.
    """
    presets = FAMILIES[family].presets
    if name not in presets:
        there_are = f"there are {', '.join(presets)}" if presets else "it has none"
        raise InputError(f"no preset of {family} is called {name!r}; {there_are}", parameter="preset")
    return presets[name]
