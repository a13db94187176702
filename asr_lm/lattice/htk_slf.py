"""HTK's standard lattice format, as the HTK Book (chapter 16) defines it and SRILM writes it.

``name=value`` fields (:mod:`asr_lm.lattice.htk_fields`): a header, then ``N=… L=…``, then a line for every node
(``I=``; it may be missing where there is nothing to say) and for every link (``J=``, from ``S=`` to ``E=``). Words
(``W=``) and scores stand on links or on nodes. Those of a node belong to the links that lead to it, or, with ``dir=b``
and in PocketSphinx's files, to those that leave it. Scores are ``acoustic`` (``a=``), ``lm`` (``l=``),
``pronunciation`` (``r=``), ``ngram`` (``n=``), ``duration`` (``ds=``) and ``x1`` to ``x9``, as natural logarithms
whatever ``base=`` the file has. ``acscale``, ``lmscale`` and so on become the lattice's scales (0 for ``duration`` and
``x1`` to ``x9`` that have none, as in SRILM), and ``wdpenalty``, converted like a score, the scale of a score
``penalty`` that is 1 for every word. Posteriors (``p=``), variants (``v=``), segments (``d=``) and states (``s=``) are
not kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError
from asr_lm.files import display_name, iterate_text
from asr_lm.lattice.htk_fields import fields_of, unquoted
from asr_lm.lattice.lattice import Lattice
from asr_lm.lattice.limits import MAX_ARCS, check_arcs
from asr_lm.lattice.names import utterance_of_features, utterance_of_file
from asr_lm.lattice.symbols import SILENT, Symbols

_EXTRA = {f"x{number}": f"x{number}" for number in range(1, 10)}
SCORE_FIELDS = {"a": "acoustic", "l": "lm", "r": "pronunciation", "n": "ngram", "ds": "duration", **_EXTRA}
"""Fields of links and nodes and what their scores are called."""

SCALE_FIELDS = {
    "acscale": "acoustic",
    "lmscale": "lm",
    "prscale": "pronunciation",
    "ngscale": "ngram",
    "duscale": "duration",
    **{f"{name}scale": name for name in _EXTRA},
}
PENALTY = "penalty"

_UNSCALED = ("duration", *_EXTRA)
_NOT_KEPT = frozenset(["I", "J", "S", "E", "W", "t", "v", "d", "s", "p"])
_NOT_OF_HEADERS = ("t", "W", "a", "l", "n", "r", "E", "ds")
_SIZES = {"N": "nodes", "NODES": "nodes", "L": "links", "LINKS": "links"}
_DIGITS = 9

_Fields = dict[str, str]


@dataclass
class _Content:
    """What the lines of a file say."""

    header: _Fields = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    nodes: dict[int, _Fields] = field(default_factory=dict)
    links: list[_Fields] = field(default_factory=list)
    words_begin_at_nodes: bool = False

    def of_node(self, link: _Fields) -> _Fields:
        """The fields of the node whose word and scores belong to a link."""
        return self.nodes.get(_whole(link, "S" if self.words_begin_at_nodes else "E"), {})


def read_slf(path: str | Path, utterance: str | None = None, max_arcs: int = MAX_ARCS) -> Lattice:
    """The lattice in a file.

    Args:
        path: the file; may be compressed.
        utterance: its id; by default what the file says (``UTTERANCE=``, without folder and ending), else its name
            without endings.
        max_arcs: links, at most.

    Raises:
        InputError: a field is missing or none, a number of nodes or links is not what the file says, a link and its
            node contradict each other, a sub-lattice, too many links.
    """
    content = _read(path, max_arcs)
    said = unquoted(content.header.get("UTTERANCE", content.header.get("U", "")))
    name = utterance or utterance_of_features(said) or utterance_of_file(path)
    try:
        return _lattice(content, name)
    except InputError as error:
        raise error.located(file=display_name(path), utterance=name) from None


def _read(path: str | Path, max_arcs: int) -> _Content:
    content = _Content()
    for number, line in iterate_text(path):
        if line.startswith("#"):
            content.words_begin_at_nodes |= "PocketSphinx" in line
            continue
        try:
            _take(content, *fields_of(line))
            check_arcs(len(content.links), max_arcs)
        except InputError as error:
            raise error.located(file=display_name(path), line=number) from None
    return content


def _take(content: _Content, fields: _Fields, strays: list[str]) -> None:
    is_header = "I" not in fields and "J" not in fields
    if strays and strays != ["."] and (not is_header or not fields):
        raise InputError(f"expected name=value, found {strays[0][:40]!r}")
    if "I" in fields:
        _take_node(content, fields)
    elif "J" in fields:
        content.links.append(fields)
    elif fields:
        _take_header(content, fields)


def _take_node(content: _Content, fields: _Fields) -> None:
    node = _whole(fields, "I")
    if node in content.nodes:
        raise InputError(f"node {node} comes twice", field="I")
    if "L" in fields:
        raise InputError("sub-lattices are not read; write the lattice in one piece", field="L")
    content.nodes[node] = fields


def _take_header(content: _Content, fields: _Fields) -> None:
    if found := [name for name in _NOT_OF_HEADERS if name in fields]:
        raise InputError("expected I= of a node or J= of a link before it on its line", field=found[0])
    if found := [name for name in ("SUBLAT", "S") if name in fields]:
        raise InputError("sub-lattices are not read; write the lattice in one piece", field=found[0])
    for name, kind in _SIZES.items():
        if name in fields:
            content.sizes[kind] = _whole(fields, name)
    content.header |= fields
    if (direction := fields.get("dir", "f")[:1]) not in ("f", "b"):
        raise InputError(f"expected f or b, found {fields['dir']!r}", field="dir")
    content.words_begin_at_nodes |= direction == "b"


def _lattice(content: _Content, name: str) -> Lattice:
    nodes = _nodes(content)
    place = {node: number for number, node in enumerate(nodes)}
    source = [_node(link, "S", place) for link in content.links]
    target = [_node(link, "E", place) for link in content.links]
    start, end = _outer(content, "start", place, source, target), _outer(content, "end", place, target, source)
    links, nodes_said = list(content.links), [content.nodes.get(node, {}) for node in nodes]
    if outer := _outer_link(content, nodes_said, source, target, start, end):
        links.append(outer[0])
        start, end = outer[1:]
    texts, scores = _texts(content, links), _scores(content, links)
    symbols = Symbols()
    words = np.array([symbols.number(text) for text in texts], dtype=np.int64)
    stretch = _number(content.header, "tscale", 1.0)
    times = np.array([_number(fields, "t", math.nan) for fields in nodes_said] + [math.nan]) * stretch
    scales = {kind: 0.0 for kind in _UNSCALED if kind in scores}
    scales |= {kind: _number(content.header, key, 1.0) for key, kind in SCALE_FIELDS.items() if key in content.header}
    if penalty := _penalty(content.header):
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


def _nodes(content: _Content) -> list[int]:
    """Numbers of the nodes that have a line or a link, which are checked against the sizes in the header."""
    for kind, found in (("nodes", len(content.nodes)), ("links", len(content.links))):
        if kind not in content.sizes:
            raise InputError(f"the number of {kind} is missing", field="N" if kind == "nodes" else "L")
        said = content.sizes[kind]
        if found > said or (kind == "links" and found < said):
            raise InputError(f"{found} {kind}, the header says {said}; the file may be cut off")
    known = set(content.nodes)
    if len(known) < content.sizes["nodes"]:
        ends = (_whole(link, name) for link in content.links for name in ("S", "E"))
        known |= {node for node in ends if node < content.sizes["nodes"]}
    if not known:
        raise InputError("no nodes")
    return sorted(known)


def _outer_link(
    content: _Content, nodes: list[_Fields], source: list[int], target: list[int], start: int, end: int
) -> tuple[_Fields, int, int] | None:
    """A link for the word and scores of the outer node that belong to no other link, and the new outer nodes."""
    lost, outside = nodes[end if content.words_begin_at_nodes else start], len(nodes)
    said = {name: value for name, value in lost.items() if name == "W" or name in SCORE_FIELDS}
    if _text(said) in SILENT and not any(_number(said, name, 0.0) for name in said if name != "W"):
        return None
    if content.words_begin_at_nodes:
        source.append(end)
        target.append(outside)
        return said, start, outside
    source.append(outside)
    target.append(start)
    return said, outside, end


def _outer(content: _Content, name: str, place: dict[int, int], ends: list[int], other_ends: list[int]) -> int:
    """The first or last node: the one that is named, else the only one that no link enters, or leaves."""
    if name in content.header:
        return _node(content.header, name, place)
    free = sorted((set(ends) if ends else set(place.values())) - set(other_ends))
    if len(free) != 1:
        raise InputError(f"{len(free)} nodes may be the {name}, expected one, or {name}= in the header", field=name)
    return free[0]


def _texts(content: _Content, links: list[_Fields]) -> list[str]:
    """The word of every link, its own or its node's."""
    on_nodes = any("W" in fields for fields in content.nodes.values())
    texts = []
    for number, link in enumerate(links):
        fields = content.of_node(link) if "J" in link else {}
        own, other = _text(link), _text(fields)
        if own not in SILENT and other not in SILENT and own != other:
            raise InputError(f"link {number} says {own[:40]!r}, its node {other[:40]!r}", field="W")
        if on_nodes and "J" in link and "W" not in link and "W" not in fields:
            raise InputError(f"neither link {number} nor its node has a word", field="W")
        texts.append(other if own in SILENT else own)
    return texts


def _scores(content: _Content, links: list[_Fields]) -> dict[str, NDArray[np.float64]]:
    """Scores of the links by name, natural logarithms; one that has none, nor its node, scores 0."""
    base = _number(content.header, "base", math.e)
    pairs = [(link, content.of_node(link) if "J" in link else {}) for link in links]
    present = {key for pair in pairs for fields in pair for key in fields}
    scores = {}
    for key, name in SCORE_FIELDS.items():
        if key in present:
            values = [_score(number, *pair, key, 1.0 if base == 0 else 0.0) for number, pair in enumerate(pairs)]
            scores[name] = _natural(np.array(values), base)
    if not scores and (unknown := sorted(present - _NOT_KEPT)):
        expected = ", ".join(SCORE_FIELDS)
        raise InputError(f"no score that is known; expected some of {expected}", field=unknown[0])
    return scores or {"acoustic": np.zeros(len(links))}


def _score(number: int, link: _Fields, node: _Fields, key: str, default: float) -> float:
    own, other = _number(link, key, math.nan), _number(node, key, math.nan)
    if key in link and key in node and own != other:
        raise InputError(f"link {number} scores {link[key][:40]}, its node {node[key][:40]}", field=key)
    return own if key in link else other if key in node else default


def _penalty(header: _Fields) -> float:
    """The score of a word, a natural logarithm."""
    base = _number(header, "base", math.e)
    penalty = float(_natural(np.array([_number(header, "wdpenalty", 1.0 if base == 0 else 0.0)]), base)[0])
    if not math.isfinite(penalty):
        raise InputError(f"no word could be said: {header['wdpenalty']}", field="wdpenalty")
    return penalty


def _natural(values: NDArray[np.float64], base: float) -> NDArray[np.float64]:
    if not 0 <= base < math.inf or base == 1:
        raise InputError(f"no logarithm has the base {base}", field="base")
    if base:
        return values * math.log(base)
    if (values < 0).any():
        raise InputError("a probability below 0", field="base")
    with np.errstate(divide="ignore"):
        return np.log(values)


def _node(fields: _Fields, name: str, place: dict[int, int]) -> int:
    node = _whole(fields, name)
    if node not in place:
        raise InputError(f"there is no node {node}", field=name)
    return place[node]


def _whole(fields: _Fields, name: str) -> int:
    value = fields.get(name, "")
    if not (value.isascii() and value.isdigit()) or len(value) > _DIGITS:
        raise InputError(f"expected a whole number, found {value[:40]!r}", field=name)
    return int(value)


def _number(fields: _Fields, name: str, default: float) -> float:
    if name not in fields:
        return default
    try:
        return float(fields[name])
    except ValueError:
        raise InputError(f"expected a number, found {fields[name][:40]!r}", field=name) from None


def _text(fields: _Fields) -> str:
    return unquoted(fields.get("W", ""))
