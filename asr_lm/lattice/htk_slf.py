"""HTK's standard lattice format.

The HTK Book 3.5, chapter "Standard Lattice Format": ``name=value`` fields; a header, then ``N=… L=…``, then a line for
every node (``I=``) and for every link (``J=``, from ``S=`` to ``E=``). Words (``W=``) stand on links, or on nodes; a
node's word is said on the links that lead to it, except in PocketSphinx's files, whose nodes are the beginnings of
words. Scores of links become ``acoustic`` (``a=``), ``lm`` (``l=``), ``pronunciation`` (``r=``) and ``ngram`` (``n=``),
as natural logarithms whatever ``base=`` the file has; ``acscale``, ``lmscale`` and ``prscale`` become the lattice's
scales, and ``wdpenalty`` the scale of a score ``penalty`` that is 1 for every word.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError
from asr_lm.files import display_name, iterate_text
from asr_lm.lattice.lattice import Lattice
from asr_lm.lattice.symbols import SILENT, Symbols

SCORE_FIELDS = {"a": "acoustic", "l": "lm", "r": "pronunciation", "n": "ngram"}
"""Fields of links and what their scores are called."""

SCALE_FIELDS = {"acscale": "acoustic", "lmscale": "lm", "prscale": "pronunciation"}
PENALTY = "penalty"

_FIELD = re.compile(r"""([A-Za-z]\w*)=("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\S*)""")
_ESCAPE = re.compile(r"\\(?:([0-7]{3})|(.))")
_SIZES = {"N": "nodes", "NODES": "nodes", "L": "links", "LINKS": "links"}

_MOST = 50_000_000


@dataclass
class _Content:
    """What the lines of a file say."""

    header: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    nodes: dict[int, dict[str, str]] = field(default_factory=dict)
    links: list[dict[str, str]] = field(default_factory=list)
    words_begin_at_nodes: bool = False


def read_slf(path: str | Path, utterance: str | None = None) -> Lattice:
    """The lattice in a file.

    Args:
        path: the file; may be compressed.
        utterance: its id; by default what the file says (``UTTERANCE=``), else its name without endings.

    Raises:
        InputError: a field is missing or none, a number of nodes or links is not what the file says, a sub-lattice.
    """
    content = _read(path)
    name = utterance or content.header.get("UTTERANCE") or content.header.get("U") or _stem(path)
    try:
        return _lattice(content, name)
    except InputError as error:
        raise error.located(file=display_name(path), utterance=name) from None


def _stem(path: str | Path) -> str:
    return Path(path).name.split(".")[0]


def _read(path: str | Path) -> _Content:
    content = _Content()
    for number, line in iterate_text(path):
        if line.startswith("#"):
            content.words_begin_at_nodes |= "PocketSphinx" in line
            continue
        fields = {match[1]: match[2] for match in _FIELD.finditer(line)}
        try:
            _take(content, fields, line)
        except InputError as error:
            raise error.located(file=display_name(path), line=number) from None
    return content


def _take(content: _Content, fields: dict[str, str], line: str) -> None:
    if not fields:
        if line.strip() and line.strip() != ".":
            raise InputError(f"expected name=value, found {line.strip()[:40]!r}")
    elif "I" in fields:
        node = _whole(fields, "I")
        if node in content.nodes:
            raise InputError(f"node {node} comes twice", field="I")
        content.nodes[node] = fields
    elif "J" in fields:
        content.links.append(fields)
    elif "SUBLAT" in fields:
        raise InputError("sub-lattices are not read; write the lattice in one piece", field="SUBLAT")
    else:
        for name, kind in _SIZES.items():
            if name in fields:
                content.sizes[kind] = _whole(fields, name)
        content.header |= {name: _unquoted(value) for name, value in fields.items()}


def _lattice(content: _Content, name: str) -> Lattice:
    _check_sizes(content)
    nodes = sorted(content.nodes)
    place = {node: number for number, node in enumerate(nodes)}
    source = [_node(link, "S", place) for link in content.links]
    target = [_node(link, "E", place) for link in content.links]
    start, end = _outer(content, "start", place, target), _outer(content, "end", place, source)
    scores = _scores(content)
    if any("W" in link or "WORD" in link for link in content.links):
        texts = [_text(link) for link in content.links]
    else:
        at_nodes = [_text(content.nodes[node]) for node in nodes]
        # No link leads to the first node, or leaves the last in PocketSphinx's files, and their words would be lost.
        start, end = _with_outer_word(content, at_nodes, source, target, start, end)
        said_at = source if content.words_begin_at_nodes else target
        texts = [at_nodes[node] for node in said_at]
        scores = {key: np.append(values, [0.0] * (len(source) - len(values))) for key, values in scores.items()}
    symbols = Symbols()
    words = np.array([symbols.number(text) for text in texts], dtype=np.int64)
    times = np.array([_number(content.nodes[node], "t", math.nan) for node in nodes] + [math.nan])
    scales = {kind: _number(content.header, key, 1.0) for key, kind in SCALE_FIELDS.items() if key in content.header}
    if penalty := _number(content.header, "wdpenalty", 0.0):
        scores[PENALTY], scales[PENALTY] = (words != 0).astype(np.float64), penalty
    return Lattice.from_arcs(
        name,
        symbols.texts,
        source,
        target,
        words,
        scores,
        start=start,
        final={end: {}},
        begin=times[source],
        end=times[target],
        scales={key: value for key, value in scales.items() if key in scores},
    )


def _check_sizes(content: _Content) -> None:
    for kind, found in (("nodes", len(content.nodes)), ("links", len(content.links))):
        if kind not in content.sizes:
            raise InputError(f"the number of {kind} is missing", field="N" if kind == "nodes" else "L")
        if content.sizes[kind] != found:
            raise InputError(f"{found} {kind}, the header says {content.sizes[kind]}; the file may be cut off")
    if not content.nodes:
        raise InputError("no nodes")


def _with_outer_word(
    content: _Content, texts: list[str], source: list[int], target: list[int], start: int, end: int
) -> tuple[int, int]:
    """Add a link for the word of an outer node, which would be lost; returns the outer nodes."""
    lost, outside = end if content.words_begin_at_nodes else start, len(texts)
    if texts[lost] in SILENT:
        return start, end
    if content.words_begin_at_nodes:
        source.append(end)
        target.append(outside)
        return start, outside
    source.append(outside)
    target.append(start)
    return outside, end


def _outer(content: _Content, name: str, place: dict[int, int], other_ends: list[int]) -> int:
    """The first or last node: the one that is named, else the only one that no link enters, or leaves."""
    if name in content.header:
        return _node(content.header, name, place)
    free = sorted(set(place.values()) - set(other_ends))
    if len(free) != 1:
        raise InputError(f"{len(free)} nodes may be the {name}, expected one, or {name}= in the header", field=name)
    return free[0]


def _scores(content: _Content) -> dict[str, NDArray[np.float64]]:
    """Scores of the links by name, natural logarithms; a link without one scores 0."""
    base = _number(content.header, "base", math.e)
    scores = {}
    for key, name in SCORE_FIELDS.items():
        if any(key in link for link in content.links):
            values = np.array([_number(link, key, 1.0 if base == 0 else 0.0) for link in content.links])
            scores[name] = _natural(values, base)
    return scores or {"acoustic": np.zeros(len(content.links))}


def _natural(values: NDArray[np.float64], base: float) -> NDArray[np.float64]:
    if base < 0 or base == 1:
        raise InputError(f"no logarithm has the base {base}", field="base")
    if base:
        return values * math.log(base)
    if (values < 0).any():
        raise InputError("a probability below 0", field="base")
    with np.errstate(divide="ignore"):
        return np.log(values)


def _node(fields: dict[str, str], name: str, place: dict[int, int]) -> int:
    node = _whole(fields, name)
    if node not in place:
        raise InputError(f"there is no node {node}", field=name)
    return place[node]


def _whole(fields: dict[str, str], name: str) -> int:
    value = fields.get(name, "")
    if not (value.isascii() and value.isdigit()) or int(value) > _MOST:
        raise InputError(f"expected a whole number, found {value!r}", field=name)
    return int(value)


def _number(fields: dict[str, str], name: str, default: float) -> float:
    if name not in fields:
        return default
    try:
        return float(fields[name])
    except ValueError:
        raise InputError(f"expected a number, found {fields[name]!r}", field=name) from None


def _text(fields: dict[str, str]) -> str:
    return _unquoted(fields.get("W", fields.get("WORD", "")))


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)) if match[1] else match[2], value)


def slf_lines(lattice: Lattice) -> Iterator[str]:
    """A lattice as lines, its words on the links; scores that have no field here are refused.

    Raises:
        InputError: a score that the format does not know.
    """
    keys = {name: key for key, name in SCORE_FIELDS.items()}
    names = [name for name in lattice.scores if name != PENALTY]
    if strange := [name for name in names if name not in keys]:
        raise InputError(f"the format has no place for a score {strange[0]!r}", utterance=lattice.id)
    yield "VERSION=1.0\n"
    yield f"UTTERANCE={_quoted(lattice.id)}\n"
    yield f"base={math.e!r}\n"
    for key, name in SCALE_FIELDS.items():
        if name in lattice.scales:
            yield f"{key}={lattice.scales[name]!r}\n"
    if PENALTY in lattice.scores:
        yield f"wdpenalty={lattice.scales.get(PENALTY, 1.0)!r}\n"
    yield f"start=0 end={lattice.nodes - 1}\nN={lattice.nodes} L={len(lattice)}\n"
    times = node_times(lattice)
    for node, time in enumerate(times.tolist()):
        yield f"I={node}\n" if math.isnan(time) else f"I={node} t={time!r}\n"
    columns = [(keys[name], lattice.scores[name].tolist()) for name in names]
    words = [_quoted(text) if text else "!NULL" for text in lattice.symbols]
    rows = zip(lattice.source.tolist(), lattice.target.tolist(), lattice.word.tolist(), strict=True)
    for number, (source, target, word) in enumerate(rows):
        scores = "".join(f" {key}={values[number]!r}" for key, values in columns)
        yield f"J={number} S={source} E={target} W={words[word]}{scores}\n"


def node_times(lattice: Lattice) -> NDArray[np.float64]:
    """Seconds of every node: the latest end of an arc that leads there, else the earliest beginning of one that leaves.

    Returns:
        ``[nodes]``; NaN where no arc tells.
    """
    ends, begins = np.full(lattice.nodes, -np.inf), np.full(lattice.nodes, np.inf)
    np.fmax.at(ends, lattice.target, lattice.end)
    np.fmin.at(begins, lattice.source, lattice.begin)
    times = np.where(np.isfinite(ends), ends, begins)
    return np.where(np.isfinite(times), times, np.nan)


def _quoted(text: str) -> str:
    if text and not re.search(r"[\s\"'\\=]", text):
        return text
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'
