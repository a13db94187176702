"""Figures are files that open, and none is empty."""

import dataclasses
import warnings
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from toy_report import contents, utterances

from asr_lm.errors import InputError
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.report.contents import ReportContents
from asr_lm.report.figures import _rates, figures, save_figures
from asr_lm.rescoring.systems import System, Systems


def names(report: ReportContents):
    return [figure.name for figure in figures(report, report.lists[0])]


def test_every_figure_of_every_list_is_written_twice(report: ReportContents, tmp_path):
    written = save_figures(report, tmp_path / "plots")
    assert {path.name.split("-", 1)[0] for path in written} == {"1", "2"}
    stems = {path.stem for path in written}
    assert {"1-rates", "1-depth", "1-weight-1", "1-length", "1-confidence"} <= stems
    for path in written:
        if path.suffix == ".png":
            assert path.read_bytes().startswith(b"\x89PNG")
        else:
            assert len(list(ElementTree.parse(path).iter())) > 30
    assert len(written) == 2 * len(stems)


def test_figures_are_written_all_or_none(report: ReportContents, tmp_path, monkeypatch):
    def full_disk(self, data):
        if self.name.endswith("depth.png"):
            raise OSError(28, "No space left on device")
        return write(self, data)

    write = Path.write_bytes
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "1-rates.svg").write_text("kept")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full_disk)
        for name in ("new", "old"):
            with pytest.raises(InputError, match="No space left on device"):
                save_figures(report, tmp_path / name)
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == ["old", "old/1-rates.svg"]
    assert (tmp_path / "old" / "1-rates.svg").read_text() == "kept"


def test_matplotlib_warns_nobody(report: ReportContents, capfd):
    weird = dataclasses.replace(report.lists[0].comparison.systems[1], name="\u4eca\u0e01")
    systems = (report.lists[0].comparison.systems[0], weird)
    comparison = dataclasses.replace(report.lists[0].comparison, systems=systems)
    reported = dataclasses.replace(report.lists[0], comparison=comparison)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = next(iter(_rates(report, reported)))
        drawn.png()
    assert capfd.readouterr().err == ""


def test_inline_figures_follow_the_page(report: ReportContents):
    for figure in figures(report, report.lists[0]):
        text = figure.inline_svg()
        assert text.startswith("<svg")
        assert "var(--" in text
        assert "#1c2430" not in text
        ids = [node.get("id") for node in ElementTree.fromstring(text).iter() if node.get("id")]
        assert all(name.startswith(figure.name) for name in ids)
        assert len(ids) == len(set(ids))


def test_a_figure_without_data_is_left_out():
    single = contents([utterances(1, 6, 3)], utterances(40, 6, 1), strips=False)
    assert "length" not in names(single)
    assert "confidence" not in names(single)
    assert "rates" in names(single)
    lone = [Utterance(u.id, u.hypotheses[:1], u.reference) for u in utterances(12, 3, 4)]
    assert "depth" not in names(contents([lone], utterances(40, 6, 1), strips=False))
    silent = [Utterance("s", (Hypothesis("a", {"acoustic": -1.0}), Hypothesis("", {"acoustic": -2.0})), "")]
    assert names(contents([silent], utterances(40, 6, 1), strips=False)) == []


def test_names_are_drawn_as_they_are(report: ReportContents):
    weird = dict(zip(("retuned", "$x_1$", "<&>"), report.weights.values(), strict=True))
    lists = report.lists[0]
    rows = lists.choices.rows
    renamed = {old: rows[old] for old in ("first_pass", "oracle")}
    renamed |= dict(zip(weird, [rows[name] for name in report.weights], strict=True))
    systems = tuple(
        dataclasses.replace(result, name=dict(zip(report.weights, weird, strict=True)).get(result.name, result.name))
        for result in lists.comparison.systems
    )
    comparison = dataclasses.replace(lists.comparison, systems=systems)
    reported = dataclasses.replace(
        lists, comparison=comparison, choices=dataclasses.replace(lists.choices, rows=renamed)
    )
    rows = tuple(System(name) for name in weird)
    drawn = figures(dataclasses.replace(report, weights=weird, systems=Systems(rows, rows[-1].name)), reported)
    text = next(figure for figure in drawn if figure.name == "rates").svg()
    assert "$x_1$" in text
    assert "&lt;&amp;&gt;" in text


@pytest.mark.parametrize("unit", ["word", "character"])
def test_the_axis_says_what_is_counted(unit):
    report = contents([utterances(10, 5, 3)], utterances(30, 6, 1), unit=unit, strips=False)
    assert ("CER, %" if unit == "character" else "WER, %") in figures(report, report.lists[0])[0].svg()
