"""Machines in text: what kind of arcs they have, and what their labels mean, is known from all of their lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_lattices import paths

from asr_lm.errors import InputError
from asr_lm.lattice.lattice import Lattice
from asr_lm.lattice.reading import read_lattices

WORDS = {0: "<eps>", 1: "a", 2: "b", 3: "c"}


def read(folder: Path, content: str, words: dict[int, str] | None = None) -> Lattice | InputError:
    (folder / "u.txt").write_text(content)
    (found,) = read_lattices(folder / "u.txt", words=words)
    return found


def said(found: Lattice | InputError) -> dict[str, float]:
    """Words and score of every path."""
    assert isinstance(found, Lattice), found
    return {found.text(path): float(found.weights()[path].sum()) for path in paths(found)}


class TestArcs:
    @pytest.mark.parametrize("lines", [["0 1 1 3", "0 1 2 2.5", "1 2 3 1"], ["0 1 2 2.5", "1 2 3 1", "0 1 1 3"]])
    def test_an_acceptor_with_whole_weights_among_others(self, tmp_path: Path, lines: list[str]) -> None:
        found = read(tmp_path, "\n".join([*lines, "2 0.5"]), WORDS)
        assert said(found) == {"a c": -4.5, "b c": -4.0}

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            pytest.param("0 1 1\n1 2 3 2\n2\n", {"a c": -2.0}, id="a line without a weight has one label"),
            pytest.param("0 1 9 1\n1 2 9 3 2\n2\n", {"a c": -2.0}, id="a line of five fields has two"),
            pytest.param("0 1 9 1\n1 2 8 3\n2\n", {"a c": 0.0}, id="input labels that are no words"),
            pytest.param("0 1 1 90\n1 2 3 7\n2\n", {"a c": -97.0}, id="weights that are no words"),
            pytest.param("0 1 1 1\n1 2 3 3\n2\n", {"a c": 0.0}, id="a label twice"),
            pytest.param("0 1 a 3\n1 2 c 1\n2\n", {"a c": -4.0}, id="words and whole weights"),
            pytest.param("0 1 x a\n1 2 y c\n2\n", {"a c": 0.0}, id="two words"),
            pytest.param("0 1 x 7\n1 2 y c\n2\n", {"7 c": 0.0}, id="two words, one of a digit"),
            pytest.param("0 1 1 3,4\n1 2 3 1,\n2 1\n", {"a c": -9.0}, id="two costs"),
        ],
    )
    def test_what_is_behind_the_states(self, tmp_path: Path, content: str, expected: dict[str, float]) -> None:
        assert said(read(tmp_path, content, WORDS)) == expected

    def test_what_could_be_either_is_named(self, tmp_path: Path) -> None:
        error = read(tmp_path, "0 1 1 3\n1 2 3 1\n2\n", WORDS)
        assert isinstance(error, InputError)
        assert "write weights as 3.0" in error.message
        assert said(read(tmp_path, "0 1 1 3.0\n1 2 3 1\n2\n", WORDS)) == {"a c": -4.0}

    def test_lines_of_both_kinds(self, tmp_path: Path) -> None:
        error = read(tmp_path, "0 1 a\n\n0 1 a b\n1 2 a a 0.5\n2\n")
        assert isinstance(error, InputError)
        assert (error.line, "line 1" in error.message) == (4, True)


class TestLabels:
    DIGITS = {0: "<eps>", 5: "1", 6: "2"}  # noqa: RUF012

    def test_digits_that_a_table_has_as_words_alone(self, tmp_path: Path) -> None:
        assert said(read(tmp_path, "0 1 1 0.5\n1 2 2 0.5\n2\n", self.DIGITS)) == {"1 2": -1.0}

    def test_numbers_that_a_table_has(self, tmp_path: Path) -> None:
        assert said(read(tmp_path, "0 1 5 0.5\n1 2 6 0.5\n2\n", self.DIGITS)) == {"1 2": -1.0}

    def test_numbers_before_words_where_a_table_has_both(self, tmp_path: Path) -> None:
        assert said(read(tmp_path, "0 1 1 0.5\n1 2 2 0.5\n2\n", {1: "2", 2: "1"})) == {"2 1": -1.0}

    def test_digits_among_words(self, tmp_path: Path) -> None:
        content = "0 1 a a 0.5\n1 2 2 2 0.5\n2 3 0 0 0.5\n3\n"
        assert said(read(tmp_path, content)) == {"a 2 0": -1.5}
        assert said(read(tmp_path, content, WORDS)) == {"a b": -1.5}
        assert said(read(tmp_path, content, {0: "<eps>", 9: "a", 2: "b", 7: "2"})) == {"a 2": -1.5}

    def test_a_number_that_no_table_has(self, tmp_path: Path) -> None:
        error = read(tmp_path, "0 1 1 0.5\n1 2 8 0.5\n2\n", WORDS)
        assert isinstance(error, InputError)
        assert "word 8 is not in the table" in error.message
