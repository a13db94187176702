"""The page holds everything, loads nothing, and takes nobody's text for markup."""

import base64
import dataclasses
import hashlib
import html.parser
import json
import re

import numpy as np
import pytest
from toy_report import LetterModel, contents, utterances

from asr_lm.errors import InputError
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.report.contents import ReportContents
from asr_lm.report.packing import unpack_arrays
from asr_lm.report.page import page


class Reader(html.parser.HTMLParser):
    """Every tag with its attributes, the text of scripts by id, and whether tags close in order."""

    VOID = ("meta", "link", "input", "path", "use", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str | None, str] = {}
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in ("path", "use"):
            return
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            name = self.tags[-1][1].get("id")
            self.scripts[name] = self.scripts.get(name, "") + data
        else:
            self.text += data


@pytest.fixture(scope="module")
def reader(report_path):
    return Reader(report_path.read_text())


def test_nothing_is_loaded_from_elsewhere(reader, report_path):
    assert not reader.open
    for tag, attributes in reader.tags:
        for name in ("src", "href", "xlink:href", "action", "data"):
            target = attributes.get(name)
            assert target is None or target.startswith(("#", "data:")), (tag, target)
    style = re.search("<style>(.*?)</style>", report_path.read_text(), re.DOTALL).group(1)
    assert "@import" not in style
    assert "http" not in style


def test_the_policy_admits_the_script_and_nothing_else(reader):
    (policy,) = [a["content"] for tag, a in reader.tags if a.get("http-equiv") == "Content-Security-Policy"]
    digest = base64.b64encode(hashlib.sha256(reader.scripts[None].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert not [a for _, a in reader.tags if any(name.startswith("on") for name in a)]


def test_names_are_text(reader, report_path):
    assert "harbour + sea <b>" in reader.text
    assert "a note with <i>signs</i>" in reader.text
    assert "<i>signs" not in report_path.read_text()


@pytest.mark.parametrize("text", ["<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>", "{{ 7 * 7 }}"])
def test_hypotheses_are_text(text):
    bad = Utterance(text, (Hypothesis(text, {"acoustic": -1.0}), Hypothesis("a", {"acoustic": -2.0})), f"a {text}")
    made = page(contents([[bad, *utterances(8, 4, 3)]], utterances(30, 6, 1)))
    read = Reader(made)
    assert "img" not in {tag for tag, _ in read.tags}
    assert "49" not in {cell for cell in re.findall(r">([^<]*)<", made) if cell == "49"}
    assert len([tag for tag, _ in read.tags if tag == "script"]) == 4
    _, texts, record = unpack_arrays(read.scripts["packed-0"])
    assert record["ids"][0] == text
    assert texts["texts"].decode().startswith(f"{text}\na")


def test_the_page_holds_the_scores_as_they_are(report: ReportContents, reader):
    settings = json.loads(reader.scripts["settings"])
    assert settings["development"] == 2
    for place, choices in enumerate([*(part.choices for part in report.lists), report.development]):
        values, texts, record = unpack_arrays(reader.scripts[f"packed-{place}"])
        table = choices.table
        for number, name in enumerate(record["features"]):
            np.testing.assert_array_equal(values[f"feature:{number}"], table.column(name))
        np.testing.assert_array_equal(values["lengths"], table.lists.lengths)
        np.testing.assert_array_equal(np.stack([values[f"error:{k}"] for k in range(3)], 1), table.errors)
        for number, system in enumerate(record["systems"]):
            rows = choices.rows[system["name"]]
            np.testing.assert_array_equal(values[f"system:{number}"], rows - table.lists.starts)
        assert "".join(texts["texts"].decode().split()) == "".join("".join(table.texts).split())
    assert [name for name, _ in settings["systems"][0]["weights"]] == list(report.weights["retuned"].values)


def test_words_are_scored_as_the_model_scores_them(report: ReportContents, reader):
    values, _, record = unpack_arrays(reader.scripts["packed-0"])
    texts = record["strips"]["texts"]
    begin = 0
    for text, length in zip(texts, values["strip:lengths:0"].astype(int), strict=True):
        said = values["strip:values:0"][begin : begin + length] * 0.05
        np.testing.assert_allclose(said, [*(-0.1 * len(word) for word in text.split()), -1.0], atol=0.026)
        begin += length
    assert record["strips"]["models"][0]["read"] == {}
    chosen = report.lists[0].choices.rows["harbour"]
    first = report.lists[0].choices.table.texts[chosen[0]]
    assert texts[int(values["strip:system:2"][0])] == " ".join(first.split())


def test_a_model_of_whole_hypotheses_says_nothing_of_words(report: ReportContents):
    class Silent(LetterModel):
        def token_log_probs(self, sentences, budget=None):
            raise InputError("scores hypotheses given their list")

    found = dataclasses.replace(report, language_models=[Silent(), LetterModel()])
    values, _, record = unpack_arrays(Reader(page(found)).scripts["packed-0"])
    assert record["strips"]["silent"] == [report.models[0].name]
    assert [strip["model"] for strip in record["strips"]["models"]] == [report.models[1].name]
    assert "strip:values:0" in values
    assert "strip:values:1" not in values


def test_every_system_has_its_row(report: ReportContents, reader):
    for result in report.lists[0].comparison.systems:
        assert f"{result.counts.rate:.2f}" in reader.text
    assert "1 of 9 utterances have no reference" in " ".join(reader.text.split())


def test_the_same_report_is_the_same_file():
    one, two = (page(contents([utterances(8, 4, 3)], utterances(30, 6, 1))) for _ in range(2))
    assert one == two
