"""What chooses by the unit reads the registry: one entry is a whole metric."""

from io import StringIO

import pytest
from rich.console import Console

from asr_lm.acoustic.first_pass_errors import FirstPassErrors
from asr_lm.errors import InputError
from asr_lm.evaluation.comparison import compare
from asr_lm.evaluation.metrics.metric import Metric
from asr_lm.evaluation.metrics.registry import METRICS, metric
from asr_lm.evaluation.table import comparison_table
from asr_lm.report.verdict import verdict

BIGRAM = Metric(
    unit="pair",
    short="PER",
    long="pair error rate",
    about="two words beside each other",
    tokens=lambda text: [f"{one}+{other}" for one, other in zip(text.split(), text.split()[1:], strict=False)],
    separator=" ",
)


@pytest.fixture
def pairs(monkeypatch):
    monkeypatch.setitem(METRICS, "pair", BIGRAM)


@pytest.mark.parametrize("unit", METRICS)
def test_every_metric_is_whole(unit):
    found = metric(unit)
    assert found.unit == unit
    assert all((found.short, found.long, found.about))
    for text in ("", "a", " a  bc\td ", "今天 a"):
        units = found.tokens(text)
        compared = found.compared(text)
        assert found.tokens(compared) == units
        assert (compared.split(found.separator) if found.separator and units else list(compared)) == units


def test_a_new_metric_is_counted_and_named_everywhere(pairs):
    said = ["a b c d", "a b c"]
    result = compare(said, {"first_pass": ["a b c x", "a b c"], "lm": said, "oracle": said}, unit="pair")
    record = result.to_json()
    assert record["unit"] == "pair"
    assert record["first_pass"]["per"] == pytest.approx(20.0)
    assert record["first_pass"]["reference_pairs"] == 5
    assert record["systems"]["lm"]["difference"]["per"] == pytest.approx(-20.0)
    assert "wer" not in record["first_pass"]
    stream = StringIO()
    Console(file=stream, width=100).print(comparison_table(result))
    assert "PER %" in stream.getvalue()
    assert "pairs compared" in stream.getvalue()
    assert "pair error rate" in verdict(result, "lm")[0]
    assert "first pass 20.00 % PER" in str(FirstPassErrors(2, 5, 1, 0, None, "pair"))


def test_an_unknown_unit_is_refused_with_those_there_are(pairs):
    with pytest.raises(InputError, match="unknown unit 'phone', expected one of word, character, pair") as caught:
        metric("phone")
    assert caught.value.parameter == "unit"
