"""Rows of the table, and the system that is put in front."""

import dataclasses

import pytest
from toy_report import contents, utterances

from asr_lm.evaluation.perplexity import Perplexity
from asr_lm.report.contents import ReportContents
from asr_lm.report.markdown import markdown


def deciding(report: ReportContents, final: str, weights=None) -> ReportContents:
    return dataclasses.replace(
        report, systems=dataclasses.replace(report.systems, final=final), weights=weights or report.weights
    )


def test_the_headline_is_the_system_that_decides(report: ReportContents):
    for name in ("harbour", "harbour + sea <b>"):
        found = deciding(report, name)
        assert found.headline == found.chosen == name
    assert dataclasses.replace(report, development=None).headline == list(report.weights)[-1]


@pytest.mark.parametrize("kept", ["first_pass", "retuned"])
def test_where_no_model_wins_the_headline_is_chosen_on_the_development_list(report: ReportContents, kept: str):
    rates = {name: weights.dev["wer"] for name, weights in report.weights.items() if name != "retuned"}
    found = deciding(report, kept)
    assert found.chosen == kept
    assert rates[found.headline] == min(rates.values())
    # Whatever the test list says.
    worst = {
        name: w.replaced(dev=w.dev | {"wer": 0.0 if name == "harbour" else 9.0}) for name, w in report.weights.items()
    }
    assert deciding(report, kept, worst).headline == "harbour"
    equal = {name: w.replaced(dev=w.dev | {"wer": 1.0}) for name, w in report.weights.items()}
    assert deciding(report, kept, equal).headline == "harbour"


def test_a_row_has_what_its_models_have(report: ReportContents):
    measured = Perplexity(
        tokens=10, log_prob=-20.0, words=10, unknown=0, charged=10, compared=10, compared_log_prob=-23.0, sentences=2
    )
    pseudo = dataclasses.replace(measured, pseudo=True)
    reported = dataclasses.replace(report.lists[0], perplexity={"harbour": measured, "sea <b>": pseudo})
    models = [
        dataclasses.replace(model, speed=speed) for model, speed in zip(report.models, (100.0, 300.0), strict=True)
    ]
    rows = {row.result.name: row for row in dataclasses.replace(report, models=models).rows(reported)}
    assert rows["harbour"].perplexity == pytest.approx(9.974, abs=1e-3)
    assert rows["harbour + sea <b>"].perplexity is None
    assert rows["harbour + sea <b>"].parameters == 1_234_572
    assert rows["harbour + sea <b>"].speed == pytest.approx(75.0)
    assert rows["retuned"].parameters is rows["first_pass"].weights is rows["oracle"].weights is None
    assert set(rows["harbour"].flat) == set(report.weights["harbour"].values)
    cached = {row.result.name: row for row in report.rows(report.lists[0])}
    assert cached["harbour + sea <b>"].speed is None
    record = rows["harbour"].to_json()
    assert record["models"] == ["harbour"]
    assert all(low is None or high is None or low <= high for low, high in record["flat_within"].values())


def test_markdown_is_a_table_with_all_figures_of_every_system(report: ReportContents):
    text = markdown(report)
    lines = text.splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in table[:8]} == {14}
    rate = report.lists[0].comparison["harbour"].counts.rate
    assert any(line.startswith(f"| harbour | {rate:.2f} | ") for line in lines)
    assert "sea \\<b\\>" in text
    assert "<b>" not in text
    assert "| weights | tuned on dev.json |" in text
    assert any(line.startswith("| harbour | ") and line.endswith(" 4,321 |") for line in lines)
    assert any(line.startswith("| harbour + sea ") and line.endswith(" | – |") for line in lines)


def test_one_utterance_is_an_honest_table():
    text = markdown(contents([utterances(1, 5, 5)], utterances(30, 6, 1)))
    (row,) = [line for line in text.splitlines() if line.startswith("| harbour | ") and "sub" not in line][:1]
    assert row.split(" | ")[2] == "–"
