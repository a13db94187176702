"""Listed phrases where lattices are searched: without lists, with lists on what was found, and with the search guided.

Lists are made as in :mod:`tests.benchmarks._expected_words`, and weights are tuned on the development lattices, with
lists of their own. ``LATTICES=FOLDER python -m tests.benchmarks phrases_in_lattices``: lattices of the LibriSpeech CTC
lists' utterances in the folders ``dev`` and ``test`` there. Without the latter half of the speakers of dev is reported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from asr_lm.hypotheses.reading import read_nbest
from asr_lm.lattice.lattice import Lattice
from asr_lm.lattice.reading import read_lattices
from asr_lm.rescoring.development import tune
from asr_lm.rescoring.lattices import Listing
from asr_lm.rescoring.list_sources import LatticeLists
from asr_lm.rescoring.phrases.features import Phrases
from asr_lm.rescoring.second_pass import Rescored, rescore
from asr_lm.rescoring.settings import Scoring
from asr_lm.rescoring.systems import System, Systems
from asr_lm.rescoring.tuned import Tuned
from tests.benchmarks._expected_words import ExpectedWords
from tests.benchmarks.phrases import DATA, lines

ON_REQUEST = True  # it takes long, and lattices that have to be made first

SYSTEMS = Systems((System("rescored"),), "rescored")


def run() -> list[dict[str, object]]:
    """B-WER with and without the list, and what distractors alone cost; nothing without lattices."""
    if (folder := os.environ.get("LATTICES")) is None or not DATA.exists():
        return []
    words = ExpectedWords.of(DATA / "text" / "books.train.txt.zst")
    reported = "test" if (Path(folder) / "test").exists() else "dev"
    dev, test = (_lattices(Path(folder), part, words) for part in ("dev", reported))
    alone = _lattices(Path(folder), reported, words, with_said=False)
    if reported == "dev":
        dev, test, alone = _of_speakers(dev, 0), _of_speakers(test, 1), _of_speakers(alone, 1)
    return list(_lines(dev, test, alone))


def _of_speakers(lattices: Sequence[Lattice], half: int) -> list[Lattice]:
    """The utterances of every other speaker, whose name begins an id."""
    names = sorted({lattice.id.split("-")[0] for lattice in lattices})[half::2]
    return [lattice for lattice in lattices if lattice.id.split("-")[0] in names]


def _lines(dev: list[Lattice], test: list[Lattice], alone: list[Lattice]) -> Iterator[dict[str, object]]:
    lists = [lattice.phrases or () for lattice in test]
    plain = _rescored(dev, test, Scoring(), Listing())[0]
    for phrases, how in ((Phrases(), ""), (Phrases(trusted=True), ", --trust-phrases")):
        for name, listing in (("lists", Listing()), ("lattices", Listing(phrases=phrases))):
            biased, distracted = _rescored(dev, test, Scoring(phrases=phrases), listing, alone)
            yield from lines(f"LibriSpeech CTC lattices, phrases in {name}{how}", plain, biased, distracted, lists)


def _lattices(folder: Path, part: str, words: ExpectedWords, *, with_said: bool = True) -> list[Lattice]:
    said = {one.id: one.reference for one in read_nbest(DATA / "nbest" / "librispeech-ctc" / f"{part}.jsonl.zst")}
    return [
        replace(found, reference=said[found.id], phrases=words.listed(found.id, said[found.id], with_said=with_said))
        for found in read_lattices(folder / part)
        if isinstance(found, Lattice)
    ]


def _rescored(
    dev: Sequence[Lattice], test: Sequence[Lattice], scoring: Scoring, listing: Listing, *more: Sequence[Lattice]
) -> list[Rescored]:
    """The lattices rescored, and others with the same weights."""
    tuned = LatticeLists(dev, [], listing).tuned(lambda lists: tune(lists, [], SYSTEMS, scoring=scoring, force=True))
    return [_applied(lattices, tuned, scoring, listing) for lattices in (test, *more)]


def _applied(lattices: Sequence[Lattice], tuned: Tuned, scoring: Scoring, listing: Listing) -> Rescored:
    lists = LatticeLists(lattices, [], listing).utterances(tuned)
    return Rescored.concatenate(list(rescore(lists, [], tuned, scoring=scoring)))
