"""Lattices of real recognisers: read whole, with the figures that are known of them."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from asr_lm.evaluation.word_errors import count_errors
from asr_lm.lattice.forward_backward import arc_log_posteriors, best_path, total
from asr_lm.lattice.lattice import Lattice
from asr_lm.lattice.minimum_bayes_risk import mbr_hypothesis
from asr_lm.lattice.nbest import nbest
from asr_lm.lattice.oracle import oracle_path
from asr_lm.lattice.reading import read_lattices
from asr_lm.lattice.symbols import read_words
from asr_lm.lattice.writing import LatticeFormat, write_lattices

DATA = Path(__file__).parents[2] / "../shared/data"
LATTICES = DATA / "lattices"
pytestmark = pytest.mark.skipif(not LATTICES.exists(), reason="the shared lattices are not here")


def whole(path: Path, **how: object) -> list[Lattice]:
    found = list(read_lattices(path, **how))  # type: ignore[arg-type]
    return [lattice for lattice in found if isinstance(lattice, Lattice)] if found else []


def error_rate(references: list[str], texts: list[str]) -> float:
    counts = count_errors(references, texts, "word")
    return float(100 * counts[:, :3].sum() / counts[:, 3].sum())


@pytest.fixture(scope="module")
def lattices() -> list[Lattice]:
    folder = LATTICES / "aishell-kaldi"
    return whole(folder / "lat.1.gz", words=read_words(folder / "words.txt"))


@pytest.fixture(scope="module")
def references() -> dict[str, str]:
    lines = (LATTICES / "aishell-kaldi/text").read_text(encoding="utf-8").splitlines()
    return dict(tuple(line.split(maxsplit=1)) for line in lines)  # type: ignore[misc]


class TestKaldi:
    def test_all_are_read(self, lattices: list[Lattice], references: dict[str, str]) -> None:
        assert len(lattices) == 1000
        assert {lattice.id for lattice in lattices} <= set(references)

    def test_the_error_rates_are_plausible(self, lattices: list[Lattice], references: dict[str, str]) -> None:
        """The recipe logged 15.28 % at its best scale; the oracle is below, minimum Bayes risk no worse."""
        said = [references[lattice.id] for lattice in lattices]
        scaled = [lattice.weights({"acoustic": 1 / 17, "lm": 1.0}) for lattice in lattices]
        pairs = list(zip(lattices, scaled, strict=True))
        first = error_rate(said, [lattice.text(best_path(lattice, weights)) for lattice, weights in pairs])
        best = error_rate(
            said, [x.text(oracle_path(x, text.split()).arcs) for x, text in zip(lattices, said, strict=True)]
        )
        consensus_rate = error_rate(
            said, [mbr_hypothesis(lattice, weights).text(lattice) for lattice, weights in pairs]
        )
        assert 15 < first < 16
        assert best < first - 1
        assert consensus_rate < first + 0.1

    def test_the_round_trip_keeps_the_totals(self, lattices: list[Lattice], tmp_path: Path) -> None:
        write_lattices(lattices[:50], tmp_path, "kaldi")
        again = whole(tmp_path, words=read_words(tmp_path / "words.txt"))
        for before, after in zip(lattices[:50], again, strict=True):
            assert total(after, after.weights()) == pytest.approx(total(before, before.weights()), rel=1e-6)
            assert after.text(best_path(after, after.weights())) == before.text(best_path(before, before.weights()))


def real(folder: str) -> list[Lattice]:
    """Some lattices of a folder, with the scores that every format has a place for, each as it counts."""
    place = LATTICES / folder
    if folder == "aishell-kaldi":
        found = whole(place / "lat.1.gz", words=read_words(place / "words.txt"))[:40]
    else:
        found = whole(min(place.glob("*.gz"), key=lambda file: file.stat().st_size))
    kept = [lattice.without_scores(*(set(lattice.scores) - {"acoustic", "lm"})) for lattice in found]
    return [replace(lattice, id=f"u{number:03}", scales={}) for number, lattice in enumerate(kept)]


@pytest.mark.parametrize("folder", ["aishell-kaldi", "ami-slf", "ami-slf-nbest", "pocketsphinx"])
@pytest.mark.parametrize("form", get_args(LatticeFormat))
def test_the_round_trip_of_every_format_keeps_the_weights_of_paths(form: str, folder: str, tmp_path: Path) -> None:
    """Of the best path, of all together, and of the best word sequences; binary costs are of single precision."""
    lattices = real(folder)
    write_lattices(lattices, tmp_path, form)  # type: ignore[arg-type]
    table = tmp_path / "words.txt"
    again = whole(tmp_path, words=read_words(table) if table.exists() else None)
    assert [lattice.id for lattice in again] == [lattice.id for lattice in lattices]
    for before, after in zip(lattices, again, strict=True):
        old, new = before.weights(), after.weights(dict.fromkeys(after.scores, 1.0))
        assert total(after, new) == pytest.approx(total(before, old), abs=1e-4, rel=1e-7)
        expected, found = nbest(before, old, 10), nbest(after, new, 10)
        assert [path.score for path in found] == pytest.approx([path.score for path in expected], abs=1e-4, rel=1e-7)
        best = {after.text(path.arcs) for path in found if path.score > found[-1].score + 1e-3}
        assert best <= {before.text(path.arcs) for path in expected}


class TestHtk:
    @pytest.mark.parametrize("folder", ["ami-slf", "pocketsphinx"])
    def test_the_round_trip_keeps_the_totals(self, folder: str, tmp_path: Path) -> None:
        lattices = whole(LATTICES / folder)
        assert len(lattices) == len(list((LATTICES / folder).iterdir()))
        some = lattices[:: max(len(lattices) // 6, 1)]
        write_lattices(some, tmp_path, "slf")
        by_id = {lattice.id: lattice for lattice in whole(tmp_path)}
        for before in some:
            after = by_id[before.id]
            assert total(after, after.weights()) == pytest.approx(total(before, before.weights()), rel=1e-9)
            likely = np.sort(np.exp(arc_log_posteriors(after, after.weights())))[-20:]
            np.testing.assert_allclose(
                likely, np.sort(np.exp(arc_log_posteriors(before, before.weights())))[-20:], atol=1e-6
            )

    def test_the_nbest_list_of_another_tool(self) -> None:
        """The list beside the lattice has the acoustic score and the language model's in its first columns."""
        folder = LATTICES / "ami-slf-nbest"
        (lattice,) = whole(next(folder.glob("*.lat.gz")))
        lines = next(folder.glob("*.nbest")).read_text().splitlines()
        theirs = {}
        for line in lines:
            scores, text = line.split("|")
            theirs[text.strip()] = [float(value) for value in scores.split()[1:3]]
        found = nbest(lattice, lattice.weights(), 100)
        ours = {lattice.text(path.arcs): path for path in found}
        assert set(ours) == set(theirs)
        for text, (acoustic, lm) in theirs.items():
            arcs = ours[text].arcs
            assert lattice.scores["acoustic"][arcs].sum() == pytest.approx(acoustic, abs=0.02)
            assert lattice.scores["lm"][arcs].sum() == pytest.approx(lm, abs=0.02)

    def test_a_path_close_to_what_was_said_is_there(self) -> None:
        with open(DATA / "audio/librispeech-test-other/references.tsv", encoding="utf-8") as stream:
            references = {row[0]: row[1].lower() for row in csv.reader(stream, delimiter="\t")}
        lattices = whole(LATTICES / "pocketsphinx")
        said = [references[lattice.id.split("/")[-1].split(".")[0]] for lattice in lattices]
        first = error_rate(said, [lattice.text(best_path(lattice, lattice.weights())) for lattice in lattices])
        best = error_rate(
            said, [x.text(oracle_path(x, text.split()).arcs) for x, text in zip(lattices, said, strict=True)]
        )
        assert best < 25 < 40 < first
