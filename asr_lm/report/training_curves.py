"""Pictures of trainings: the perplexity of the validation text as a network learnt, from its ``training.jsonl``."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from asr_lm.counted import counted
from asr_lm.errors import InputError
from asr_lm.files import atomic_write, iterate_text, make_folder
from asr_lm.report.drawing import INK, MARKERS, SERIES, SOFT, STYLE, Figure, new_axes, quiet

CURVE_FILE = "training.jsonl"
PICTURE_FILE = "training.svg"
"""The picture beside the curve."""

Point = Mapping[str, Any]
"""What one validation found."""

_MEASURES = {
    "valid_word_perplexity": ("training", "validation perplexity a word"),
    "valid_word_pseudo_perplexity": ("training-pseudo", "validation pseudo-perplexity a word"),
}
"""What compares between runs; the two kinds do not compare with each other."""


def read_curve(folder: Path) -> list[Point]:
    """The validations of a training, in order; none where the folder has no curve.

    Raises:
        InputError: the file cannot be read, or a line of it is something else.
    """
    path = folder / CURVE_FILE
    if not path.is_file():
        return []
    return [_point(text, path, line) for line, text in iterate_text(path)]


def _point(text: str, path: Path, line: int) -> Point:
    try:
        point = json.loads(text)
        numbers = [point[name] for name in ("epoch", "train_loss", "valid_loss")]
        numbers += [point[name] for name in _MEASURES if name in point]
        if all(type(number) in (int, float) and math.isfinite(number) for number in numbers):
            return dict(point)
    except (ValueError, LookupError, TypeError, RecursionError):
        pass
    raise InputError("expected an object with epoch, train_loss and valid_loss", file=path, line=line)


def write_training_picture(folder: Path) -> None:
    """Draw the curve of a folder beside it; nothing where there is none.

    Raises:
        InputError: the curve cannot be read, or the picture not be written.
    """
    if curve := read_curve(folder):
        with atomic_write(folder / PICTURE_FILE) as stream:
            stream.write(_drawn(_one, curve).svg().encode())


def save_training_pictures(runs: Mapping[str, Sequence[Point]], folder: Path) -> list[Path]:
    """Several runs in one picture, as SVG and PNG: one picture of perplexities, and one of pseudo-perplexities.

    Args:
        runs: their curves, by name; those that do not know the perplexity of a word are left out.
        folder: made when missing.

    Returns:
        The files written.

    Raises:
        InputError: one cannot be written.
    """
    make_folder(folder)
    written = []
    for measure, (name, label) in _MEASURES.items():
        drawn = {run: curve for run, curve in runs.items() if curve and all(measure in point for point in curve)}
        if not drawn:
            continue
        figure = _drawn(_several, drawn, measure, name, label)
        for suffix, data in ((".svg", figure.svg().encode()), (".png", figure.png())):
            written.append(folder / f"{name}{suffix}")
            with atomic_write(written[-1]) as stream:
                stream.write(data)
    return written


def _drawn(draw: Any, *what: Any) -> Figure:
    with quiet():
        import matplotlib

        with matplotlib.rc_context(STYLE):
            figure: Figure = draw(*what)
            return figure


def _one(curve: Sequence[Point]) -> Figure:
    """Training and validation of one run; the loss where it is none of words."""
    values, measure = _figures_of(curve)
    drawing, axes = new_axes("passes over the text", measure)
    epochs = [point["epoch"] for point in curve]
    for place, (label, heights) in enumerate(values.items()):
        axes.plot(epochs, heights, "-", marker=MARKERS[place], color=SERIES[place], markersize=4, label=label)
    best = min(range(len(curve)), key=lambda number: curve[number]["valid_loss"])
    height = values["validation"][best]
    note = axes.annotate(f"{height:,.2f}", (epochs[best], height), (0, 7), textcoords="offset points", ha="center")
    note.set_color(INK)
    _finish(axes, logarithmic=measure != _LOSS)
    told = f"Best validation: {height:,.2f} after {epochs[best]:g} passes; {counted(len(curve), 'validation')}"
    return Figure("training", "Training", told, drawing)


_LOSS = "loss (nats)"


def _figures_of(curve: Sequence[Point]) -> tuple[dict[str, list[float]], str]:
    for measure, (_, label) in _MEASURES.items():
        if all(measure in point for point in curve):
            valid = [point[measure] for point in curve]
            # The text that was learnt from is taken to have as many tokens a word as the validation text.
            return {"validation": valid, "training": list(_of_words(curve, valid))}, label.removeprefix("validation ")
    return {name: [point[f"{key}_loss"] for point in curve] for name, key in _LOSSES.items()}, _LOSS


_LOSSES = {"validation": "valid", "training": "train"}


def _of_words(curve: Sequence[Point], valid: Sequence[float]) -> Iterator[float]:
    """The training loss as a perplexity of words."""
    for point, perplexity in zip(curve, valid, strict=True):
        tokens = math.log(perplexity) / point["valid_loss"] if point["valid_loss"] > 0 and perplexity > 0 else 1.0
        yield math.exp(min(point["train_loss"] * tokens, 50.0))


def _several(runs: Mapping[str, Sequence[Point]], measure: str, name: str, label: str) -> Figure:
    drawing, axes = new_axes("passes over the text", label)
    for place, (run, curve) in enumerate(runs.items()):
        epochs, heights = [point["epoch"] for point in curve], [point[measure] for point in curve]
        look: Any = {"marker": MARKERS[place % 8], "color": SERIES[place % 8], "markersize": 4, "linewidth": 1.6}
        axes.plot(epochs, heights, "-", label=run, **look)
    _finish(axes, logarithmic=True)
    best = "; ".join(f"{run} {min(point[measure] for point in curve):,.2f}" for run, curve in runs.items())
    return Figure(name, "Trainings", f"Best {label}: {best}", drawing)


def _finish(axes: Any, *, logarithmic: bool) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator

    if logarithmic:
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        digits = (1, 2, 5) if high > 5 * low else (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
        axes.yaxis.set_major_locator(LogLocator(subs=digits))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
        axes.minorticks_off()
    axes.margins(y=0.15)
    axes.tick_params(which="both", labelcolor=SOFT)
    axes.legend(fontsize=8, labelcolor=INK)
