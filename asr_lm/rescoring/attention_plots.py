"""Pictures of what an attentive model looked at: the alignment of what was heard and what came out."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from asr_lm.files import atomic_write
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.lm.scoring.conditional import AttentiveModel
from asr_lm.rescoring.scoring.conditional import heard
from asr_lm.text.normalizer import get_normalizer
from asr_lm.text.vocabulary import EOS

SEPARATOR = "/"
"""What stands between two hypotheses of a source."""

PictureFormat = Literal["svg", "png"]


@dataclass(frozen=True, eq=False)
class WordAlignment:
    """How much each source word mattered to each output word.

    Attributes:
        source: words of the source, :data:`SEPARATOR` and ``</s>`` among them.
        output: words of the output and ``</s>``.
        weights: the attention on all tokens of a source word, averaged over the tokens of an output word
            ``[output, source]``; every row sums to one.
    """

    source: tuple[str, ...]
    output: tuple[str, ...]
    weights: NDArray[np.float64]


def word_alignment(model: AttentiveModel, utterance: Utterance, text: str) -> WordAlignment:
    """The alignment of an utterance's list and a text, word by word."""
    normalize = get_normalizer(model.normalizer)
    (source,) = model.sources([heard(utterance, normalize)])
    vocabulary, text = model.vocabulary, normalize(text)
    weights = model.alignments(source, vocabulary.encode(text))
    words, lengths = [], []
    for hypothesis in model.source_hypotheses(heard(utterance, normalize)):
        words += [*hypothesis.split(), SEPARATOR]
        lengths += [*vocabulary.word_lengths(hypothesis), 1]
    words[-1] = EOS
    output, output_lengths = [*text.split(), EOS], [*vocabulary.word_lengths(text), 1]
    by_source = np.add.reduceat(weights, _starts(lengths), axis=1)
    by_word = np.add.reduceat(by_source, _starts(output_lengths), axis=0) / np.array(output_lengths)[:, None]
    return WordAlignment(tuple(words), tuple(output), by_word)


def _starts(lengths: Sequence[int]) -> NDArray[np.int64]:
    return np.cumsum([0, *lengths[:-1]])


def write_picture(alignment: WordAlignment, title: str, path: Path) -> None:
    """Draw an alignment as the paper does (figure 3): source words above, output words at the side.

    White is the largest weight: that of a list is spread over its hypotheses.

    Args:
        alignment: what to draw.
        title: stands above it.
        path: ends in ``.svg`` or ``.png``.

    Raises:
        InputError: the file cannot be written.
    """
    import matplotlib
    from matplotlib.figure import Figure

    rows, columns = alignment.weights.shape
    figure = Figure(figsize=(1.5 + 0.3 * columns, 1.6 + 0.3 * rows), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(alignment.weights, cmap="gray", vmin=0, aspect="equal")
    axes.set_xticks(range(columns), [_literal(word) for word in alignment.source], rotation=90)
    axes.set_yticks(range(rows), [_literal(word) for word in alignment.output])
    axes.xaxis.tick_top()
    axes.set_xlabel(_literal(title))
    drawn = io.BytesIO()
    # Equal alignments are equal files.
    with matplotlib.rc_context({"svg.hashsalt": path.name}):
        figure.savefig(drawn, format=path.suffix.removeprefix("."), metadata={"Date": None} if _is_svg(path) else None)
    with atomic_write(path) as stream:
        stream.write(drawn.getvalue())


def _is_svg(path: Path) -> bool:
    return path.suffix == ".svg"


def _literal(word: str) -> str:
    """Text that matplotlib does not read as mathematics."""
    return word.replace("$", r"\$")


def picture_name(utterance: str, kind: PictureFormat) -> str:
    """A file name for an utterance, whatever its id."""
    return re.sub(r"[^\w.-]", "_", utterance) + f".{kind}"
