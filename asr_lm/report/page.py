"""The report as one HTML file that needs no network and no server.

Hypotheses are somebody else's text: the template escapes all of it, the script only ever writes it as text, and the
page's content security policy admits no script but its own and no connection.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Callable, Sequence
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

import asr_lm
from asr_lm.errors import InputError
from asr_lm.evaluation.bootstrap import Interval, PairedDifference
from asr_lm.evaluation.formatting import number, p_text, span
from asr_lm.evaluation.metrics.registry import metric
from asr_lm.evaluation.roles import BOUNDS, FIRST_PASS, ORACLE, RESCORED, RETUNED, title
from asr_lm.evaluation.word_changes import (
    Confusion,
    WordChange,
    confusions,
    most_broken,
    most_fixed,
    repeated,
    word_changes,
)
from asr_lm.evaluation.word_errors import Unit
from asr_lm.files import write_text
from asr_lm.report.contents import ReportContents, ReportedList
from asr_lm.report.drawing import Figure
from asr_lm.report.figures import figures
from asr_lm.report.markdown import flat_text, speed_text
from asr_lm.report.packing import pack_arrays
from asr_lm.report.verdict import verdict
from asr_lm.report.word_scores import STEP, WordScores
from asr_lm.rescoring.choices import Choices
from asr_lm.rescoring.tuning.flatness import TOLERANCE
from asr_lm.text.normalizer import get_normalizer

MOST_WORDS = 15
"""Words and confusions shown of each kind."""

SLIDER_REACH = 2.5
"""How far a slider goes, in multiples of the largest weight that any system gives its feature."""


def write_page(contents: ReportContents, path: str | Path) -> None:
    """Write the report; raises InputError where the file cannot be written."""
    write_text(path, page(contents))


def page(contents: ReportContents) -> str:
    """The report as HTML."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("asr_lm.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "title": title,
        "number": number,
        "span": span,
        "p": p_text,
        "gain": gain,
        "repeated": lambda changes, field: repeated([getattr(change, field) for change in changes]),
        "speed": speed_text,
        "flat": flat_text,
        "brief": brief,
        "weight": lambda value: f"{value:.4g}",
    }
    script, style = (files("asr_lm.report").joinpath("templates", name).read_text() for name in ("page.js", "page.css"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("page.html").render(
        contents=contents,
        parts=[_part(contents, number, reported) for number, reported in enumerate(contents.lists)],
        metric=metric(contents.measuring.unit),
        bounds=BOUNDS,
        first_pass=FIRST_PASS,
        retuned=RETUNED,
        oracle=ORACLE,
        tolerance=TOLERANCE,
        version=asr_lm.__version__,
        script=Markup(script),
        script_digest=digest,
        style=Markup(style),
        settings=_settings(contents),
        packed=[Markup(text) for text in _packed(contents)],
    )


def gain(rate: PairedDifference) -> dict[str, str]:
    """A difference of error rates as a gain, which is positive where there are fewer errors, and its interval."""
    turned = None if rate.interval is None else Interval(-rate.interval.high, -rate.interval.low)
    return {"value": number(None if rate.value is None else -rate.value, sign="+"), "span": span(turned, "+")}


def brief(count: int) -> str:
    """A large count in three figures: 4.15 M."""
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count / size:.3g} {letter}"
    return str(count)


def _part(contents: ReportContents, place: int, reported: ReportedList) -> dict[str, Any]:
    """What the template shows of one list."""
    return {
        "list": reported,
        "rows": contents.rows(reported),
        "verdict": verdict(reported.comparison, contents.headline, contents.chosen),
        "figures": [_figure(figure, place) for figure in figures(contents, reported)],
        "words": _words(contents, reported),
        "hypotheses": len(reported.choices.table.texts),
    }


def _figure(figure: Figure, place: int) -> dict[str, Any]:
    unique = Figure(f"list{place}-{figure.name}", figure.heading, figure.description, figure.drawing)
    return {"heading": figure.heading, "text": figure.description, "svg": Markup(unique.inline_svg())}


def _words(contents: ReportContents, reported: ReportedList) -> list[dict[str, Any]]:
    """Words fixed and broken, and confusions, of every system against the baseline."""
    comparison, choices = reported.comparison, reported.choices
    compared = _compared(contents)
    known = [place for place, reference in enumerate(choices.references) if reference is not None]
    said = [compared(choices.references[place] or "") for place in known]
    texts = {
        name: [compared(said_by[place]) for place in known]
        for name, said_by in ((name, choices.said(name)) for name in choices.rows)
        if name not in BOUNDS
    }
    unit = contents.measuring.unit
    return [
        _words_of(name, said, texts[comparison.baseline], chosen, unit)
        for name, chosen in texts.items()
        if name != comparison.baseline
    ]


def _words_of(
    name: str, said: Sequence[str], before: Sequence[str], after: Sequence[str], unit: Unit
) -> dict[str, Any]:
    changes: list[WordChange] = word_changes(said, before, after, unit)
    pairs: list[Confusion] = confusions(said, after, unit)
    return {
        "system": name,
        "fixed": most_fixed(changes, MOST_WORDS),
        "broken": most_broken(changes, MOST_WORDS),
        "confusions": pairs[:MOST_WORDS],
    }


def _settings(contents: ReportContents) -> dict[str, Any]:
    """What the script must know before a list is opened."""
    return {
        "separator": metric(contents.measuring.unit).separator,
        "headline": contents.headline,
        "tunedOn": contents.tuned_on,
        "tunedHere": contents.development is not None,
        "step": STEP,
        "systems": [
            {
                "name": name,
                "title": title(name),
                "decision": weights.decision,
                # As a list: the order of the sum is part of it.
                "weights": [[feature, value] for feature, value in weights.values.items()],
            }
            for name, weights in contents.weights.items()
        ],
        "sliders": _sliders(contents),
        "roles": {name: title(name) for name in (FIRST_PASS, RETUNED, RESCORED, ORACLE)},
        "names": [reported.name for reported in contents.lists] + ([contents.tuned_on] if contents.development else []),
        "development": len(contents.lists) if contents.development else None,
    }


def _sliders(contents: ReportContents) -> list[dict[str, Any]]:
    """Every weighted feature with the range of its slider."""
    table = contents.lists[0].choices.table
    features = dict.fromkeys(name for weights in contents.weights.values() for name in weights.values)
    std = {name: float(np.std(table.lists.centred(table.column(name)))) for name in features}
    strongest = max(
        abs(value) * std[name] for weights in contents.weights.values() for name, value in weights.values.items()
    )
    sliders = []
    for name in features:
        values = [weights.values[name] for weights in contents.weights.values() if name in weights.values]
        # A weight of zero everywhere may be tried up to where it moves as much as the strongest.
        reach = SLIDER_REACH * max(map(abs, values)) or (strongest / std[name] if std[name] else 1.0) or 1.0
        kind = table.kinds([name])[0].kind
        low = -reach if kind == "length" or min(values) < 0 else 0.0
        sliders.append(
            {"name": name, "kind": kind, "low": _round(low), "high": 0.0 if kind == "unknown" else _round(reach)}
        )
    return sliders


def _round(value: float) -> float:
    """The next number of two figures away from zero."""
    if not value:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    return math.copysign(math.ceil(abs(value) / unit) * unit, value)


def _packed(contents: ReportContents) -> list[str]:
    parts = [_packed_list(contents, reported.choices, strips=True) for reported in contents.lists]
    if contents.development is not None:
        # Jackknife models scored parts of it, so the full models' words would not add up to the scores.
        parts.append(_packed_list(contents, contents.development, strips=False))
    return parts


def _packed_list(contents: ReportContents, choices: Choices, *, strips: bool) -> str:
    table, compared = choices.table, _compared(contents)
    starts = table.lists.starts
    features = [slider["name"] for slider in _sliders(contents)]
    shown = [compared(text) for text in table.texts]
    said = [None if reference is None else compared(reference) for reference in choices.references]
    bounds = table.offsets.tolist()
    lists = ["\n".join(shown[begin:end]).encode() for begin, end in pairwise(bounds)]
    values: dict[str, NDArray[Any]] = {"lengths": table.lists.lengths, "words": table.reference_words}
    values |= {f"error:{place}": table.errors[:, place] for place in range(3)}
    values |= {f"feature:{place}": table.column(name) for place, name in enumerate(features)}
    values |= {f"system:{place}": rows - starts for place, rows in enumerate(choices.rows.values())}
    values["bytes"] = np.array([len(text) for text in lists])
    record: dict[str, Any] = {
        "ids": table.utterances,
        "references": said,
        "features": features,
        "systems": [{"name": name, "title": title(name)} for name in choices.rows],
        "strips": None,
    }
    if strips and contents.language_models:
        added, record["strips"] = _strips(contents, choices, shown, said)
        values |= added
    return pack_arrays(values, {"texts": b"".join(lists)}, record)


def _strips(
    contents: ReportContents, choices: Choices, shown: Sequence[str], said: Sequence[str | None]
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Words' log-probabilities of the references and of what the systems chose, each distinct text once."""
    table = choices.table
    chosen = [rows for name, rows in choices.rows.items() if name not in BOUNDS]
    places: dict[str, int] = {}
    of_reference = np.full(len(said), -1, dtype=np.int64)
    for place, reference in enumerate(choices.references):
        if reference is not None:
            of_reference[place] = places.setdefault(reference, len(places))
    of_rows = [
        np.array([places.setdefault(table.texts[row], len(places)) for row in rows.tolist()], dtype=np.int64)
        for rows in chosen
    ]
    texts = list(places)
    values: dict[str, NDArray[Any]] = {"strip:reference": of_reference}
    values |= {f"strip:system:{place}": rows for place, rows in enumerate(of_rows)}
    strips: list[dict[str, Any]] = []
    silent = []
    for facts, model in zip(contents.models, contents.language_models, strict=True):
        try:
            scores = WordScores.of(model, texts)
        except InputError:  # models of whole hypotheses, or of a hypothesis given its list, have nothing for a word
            silent.append(facts.name)
            continue
        place = len(strips)
        values |= {f"strip:values:{place}": scores.values, f"strip:lengths:{place}": scores.lengths}
        read = {str(at): words for at, words in enumerate(scores.words) if words is not None}
        strips.append({"model": facts.name, "read": read})
    return values, {"texts": [" ".join(text.split()) for text in texts], "models": strips, "silent": silent}


def _compared(contents: ReportContents) -> Callable[[str], str]:
    """Texts as they are compared: normalised, and without what is not counted."""
    normalize, compared = get_normalizer(contents.measuring.normalizer), metric(contents.measuring.unit).compared
    return lambda text: compared(normalize(text))
