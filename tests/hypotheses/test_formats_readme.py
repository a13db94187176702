"""The README of the lists names every format, every option and the canonical form as they are."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from asr_lm.hypotheses.formats import FORMATS
from asr_lm.hypotheses.mapping import RESERVED, parse_mapping
from asr_lm.hypotheses.reading import read_nbest
from pipelines.command import option_name
from pipelines.list_options import ListOptions

README = (Path(__file__).parents[2] / "asr_lm/hypotheses/README.md").read_text(encoding="utf-8")


def test_every_format_is_in_the_table() -> None:
    table = README.partition("## Formats")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([\w-]+)` \| (.*) \|$", table, re.MULTILINE)
    assert [(name, about.replace("\\|", "|")) for name, about in rows] == [
        (name, format.about) for name, format in FORMATS.items()
    ]


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(ListOptions)])
def test_every_option_of_lists_is_named(name: str) -> None:
    assert option_name(name) in README or name in ("manifest", "dev_manifest", "beam_size")


def test_the_mappings_of_the_readme_are_mappings(tmp_path: Path) -> None:
    (line,) = re.findall(r"--map '([^']+)'", README)
    (document,) = re.findall(r"^    id = .*?\n\n", README, re.MULTILINE | re.DOTALL)
    (tmp_path / "mine.toml").write_text(document.replace("    ", ""))
    in_line, in_file = parse_mapping(line), parse_mapping(str(tmp_path / "mine.toml"))
    assert (in_file.id, in_file.text, in_file.scores) == (in_line.id, in_line.text, in_line.scores)
    assert all(f"`{name}`" in README for name in RESERVED)


def test_the_canonical_form_is_read(tmp_path: Path) -> None:
    (example,) = re.findall(r"^    (\{.*?\]\})\n\n", README, re.MULTILINE | re.DOTALL)
    (tmp_path / "list.jsonl").write_text(json.dumps(json.loads(example)))
    (utterance,) = read_nbest(tmp_path / "list.jsonl", format="canonical")
    assert [hypothesis.text for hypothesis in utterance.hypotheses] == ["first best", "second best"]
