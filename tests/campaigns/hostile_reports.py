"""Reports of lists and models with hostile names and texts, in a real browser: nothing runs, nothing leaves.

Markup, scripts, directions of writing, control characters and words without an end stand in ids, recordings, texts,
references, names of models and of files. ``compare --report`` writes the page; then every list, row, button and
utterance of it is opened. A fault is a dialog, a script or an element that came with a text, a complaint of the browser
(its policy forbids such a page everything, and tells), a request to a server, or a page that does not open.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from campaigns._browser import Web, chromium, serving, show
from campaigns._commands import Place, call, own_folder
from campaigns._texts import HOSTILE

from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.hypotheses.writing import write_nbest

MOST = 50
"""Reports."""

_SHARE = 0.3
"""Of the texts that are hostile; every id and recording is."""

_OF_FILES = 60
"""Characters of a name that becomes one of a file."""

_OPEN_ALL = """
for (const box of document.querySelectorAll("select")) {
    for (const option of [...box.options].slice(0, 12)) {
        box.value = option.value; box.dispatchEvent(new Event("change", {bubbles: true}));
    }
}
const pressed = "input[type=radio], input[type=checkbox], button:not(#theme)";
for (const node of document.querySelectorAll(pressed)) node.click();
for (const node of document.querySelectorAll("details")) node.open = true;
const search = document.getElementById("search");
search.value = arguments[0]; search.dispatchEvent(new Event("input"));
"""
_CLEAR = "const s = document.getElementById('search'); s.value = ''; s.dispatchEvent(new Event('input'));"
_WAIT = "setTimeout(arguments[0], 250)"
_FOUND = """
const forbidden = "iframe, object, embed, base, form, link:not([rel=icon]), img, style ~ style, script[src]";
const handlers = (node) => node.getAttributeNames().some((name) => name.startsWith("on"));
return {
    ran: window.ran !== undefined,
    elements: [...document.querySelectorAll(forbidden)].map((node) => node.outerHTML.slice(0, 80)),
    handlers: [...document.querySelectorAll("*")].filter(handlers).map((node) => node.outerHTML.slice(0, 80)),
    failure: failure.hidden ? "" : failure.textContent,
    utterances: document.querySelectorAll("#items > details").length,
};
"""


def run(inputs: int, seed: int) -> Iterator[dict[str, Any]]:
    """Write and open so many reports (:data:`MOST` at most); one row."""
    whole, faults, pieces, reports = 0, [], 0, min(inputs, MOST)
    with tempfile.TemporaryDirectory() as name, serving() as web, chromium() as driver:
        place = Place.make(Path(name), ("ngram",))
        for number in range(reports):
            draw = _Hostile(random.Random(f"{seed} {number}"), web)
            with own_folder(Path(name) / str(number)):
                draw.write_lists(place)
                found = list(_faults(driver, draw, place, web))
            pieces += draw.placed
            whole += not found
            faults += [f"report {number} of seed {seed}: {fault}" for fault in found]
    yield {"reports": reports, "hostile texts": pieces, "opened": whole, "faults": faults}


class _Hostile:
    """Names and texts drawn by chance."""

    def __init__(self, chance: random.Random, web: Web) -> None:
        self.chance = chance
        self.pieces = [piece.replace("WEB", web.address) for piece in HOSTILE]
        self.placed = 0

    def piece(self, without: str = "") -> str:
        return self.chance.choice([piece for piece in self.pieces if not set(piece) & set(without)])

    def name(self, without: str) -> str:
        return "".join(self.piece(without)[:20] for _ in range(3))[:_OF_FILES].strip() or "a"

    def write_lists(self, place: Place) -> None:
        """Two lists to test on and one to tune on."""
        # No slash, no NUL, and nothing of what a shell's option or a pattern would be.
        names = [f"{number}{self.name('/*?[' + chr(0))}" for number in range(2)]
        self.tests = [Path(f"{name}.json") for name in names]
        self.dev = Path("dev.json")
        lists = ((self.dev, place.toy.dev), (self.tests[0], place.toy.test), (self.tests[1], place.toy.dev))
        for path, source in lists:
            write_nbest(path, [self._hostile(number, one) for number, one in enumerate(read_nbest(source))])

    def _hostile(self, number: int, given: Utterance) -> Utterance:
        texts = dict.fromkeys(self._text(hypothesis.text) for hypothesis in given.hypotheses)
        heard = [Hypothesis(text, {"acoustic": -float(rank)}) for rank, text in enumerate(texts)]
        names = f"{self.piece().strip()}{number}", f"{self.piece().strip()}{number // 5}"
        return Utterance(names[0], tuple(heard), self._text(given.reference or ""), names[1])

    def _text(self, text: str) -> str:
        words = text.split()
        # Where most words are none that the model knows, the command refuses.
        if self.chance.random() > _SHARE:
            return text
        self.placed += 1
        words[self.chance.randrange(len(words))] = self.piece()
        return " ".join(words)


def _faults(driver: Any, hostile: _Hostile, place: Place, web: Web) -> Iterator[str]:
    model = f"{hostile.name('=+/' + chr(0)).lstrip('-')}={place.models['ngram']}?normalizer=as-is"
    tests = [part for test in hostile.tests for part in ("--test", test)]
    finished = call("compare", "--dev", hostile.dev, *tests, "--lm", model, "--no-mbr", "--report", "r.html")
    if finished.code:
        yield f"no report: {finished.err[-300:]!r}"
        return
    before = len(web.requests)
    try:
        yield from opened(driver, Path("r.html"), [hostile.piece(), hostile.piece()])
    except Exception as error:  # a dialog, or a page that hangs
        yield f"{type(error).__name__}: {str(error)[:300]}"
    if len(web.requests) > before:
        yield f"requests: {web.requests[before:]}"


def opened(driver: Any, page: Path, words: Sequence[str]) -> Iterator[str]:
    """Open a page and everything on it, look for ``words``, and say what should not be."""
    driver.get_log("browser")
    show(driver, page)
    address = driver.current_url
    for word in words:
        driver.execute_script(_OPEN_ALL, word)
        driver.execute_async_script(_WAIT)
        driver.execute_script(_CLEAR)
        driver.execute_async_script(_WAIT)
        yield from _seen(driver)
    if driver.current_url.partition("#")[0] != address.partition("#")[0]:
        yield f"the page went to {driver.current_url}"
    complaints = [entry["message"] for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    if complaints:
        yield f"the browser complains: {complaints[:3]}"


def _seen(driver: Any) -> Iterator[str]:
    found = driver.execute_script(_FOUND)
    if not found.pop("utterances"):
        yield "no utterance is shown"
    yield from (f"{what}: {value}" for what, value in found.items() if value)
