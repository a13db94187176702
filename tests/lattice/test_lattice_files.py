"""Every format: what is written is read again; what is damaged is told and the rest goes on."""

from __future__ import annotations

import random
import struct
import time
import tracemalloc
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toy_lattices import SYMBOLS, paths, random_lattice, spoken

from asr_lm.errors import InputError
from asr_lm.lattice.lattice import Lattice
from asr_lm.lattice.openfst import OPENFST_MAGIC
from asr_lm.lattice.reading import lattice_format, read_lattices
from asr_lm.lattice.symbols import read_words
from asr_lm.lattice.writing import LatticeFormat, write_lattices

FORMATS = get_args(LatticeFormat)


def written(folder: Path, form: str, seeds: range = range(5)) -> tuple[list[Lattice], dict[int, str] | None]:
    lattices = [random_lattice(seed) for seed in seeds]
    write_lattices(lattices, folder, form)  # type: ignore[arg-type]
    table = folder / "words.txt"
    return lattices, read_words(table) if table.exists() else None


def whole(found: list[Lattice | InputError]) -> list[Lattice]:
    assert not [error for error in found if isinstance(error, InputError)]
    return [lattice for lattice in found if isinstance(lattice, Lattice)]


def path_totals(lattice: Lattice) -> list[tuple[str, float]]:
    weights = lattice.weights(dict.fromkeys(lattice.scores, 1.0))
    return sorted((lattice.text(path), round(float(weights[path].sum()), 3)) for path in paths(lattice))


class TestRoundTrip:
    @pytest.mark.parametrize("form", FORMATS)
    def test_no_path_is_lost_and_no_weight_changes(self, tmp_path: Path, form: str) -> None:
        lattices, table = written(tmp_path, form)
        again = whole(list(read_lattices(tmp_path, words=table)))
        assert [lattice.id for lattice in again] == [lattice.id for lattice in lattices]
        for before, after in zip(lattices, again, strict=True):
            expected = path_totals(before)
            found = path_totals(after)
            assert [text for text, _ in found] == [text for text, _ in expected]
            np.testing.assert_allclose([total for _, total in found], [total for _, total in expected], atol=1.1e-3)

    @pytest.mark.parametrize("form", ["slf", "kaldi", "kaldi-text", "openfst"])
    def test_scores_stay_apart(self, tmp_path: Path, form: str) -> None:
        lattices, table = written(tmp_path, form)
        for before, after in zip(lattices, whole(list(read_lattices(tmp_path, words=table))), strict=True):
            for name in ("acoustic", "lm"):
                np.testing.assert_allclose(np.sort(after.scores[name]), np.sort(before.scores[name]), atol=1e-4)

    def test_binary_weights_are_exact_to_single_precision(self, tmp_path: Path) -> None:
        lattices, table = written(tmp_path, "kaldi")
        for before, after in zip(lattices, whole(list(read_lattices(tmp_path, words=table))), strict=True):
            single = sorted(before.scores["lm"].astype(np.float32).tolist())
            assert sorted(after.scores["lm"].tolist()) == single

    @pytest.mark.parametrize("form", ["kaldi", "kaldi-text"])
    def test_frames_keep_the_times(self, tmp_path: Path, form: str) -> None:
        times = np.array([0.0, 0.5, 1.25])
        lattice = Lattice.from_arcs(
            "u", SYMBOLS, [0, 1], [1, 2], [1, 2], {"lm": [0, 0], "acoustic": [-1, -2]}, final={2: {}},
            begin=times[:2], end=times[1:],
        )  # fmt: skip
        write_lattices([lattice], tmp_path, form)  # type: ignore[arg-type]
        (again,) = whole(list(read_lattices(tmp_path, words=read_words(tmp_path / "words.txt"))))
        np.testing.assert_allclose(again.begin, times[:2])
        np.testing.assert_allclose(again.end, times[1:])


class TestText:
    def read(self, folder: Path, name: str, content: str, words: dict[int, str] | None = None) -> list[object]:
        (folder / name).write_text(content)
        return list(read_lattices(folder / name, words=words))

    def test_a_kaldi_lattice_of_frames(self, tmp_path: Path) -> None:
        """Transition ids as input, words as output, two costs, two utterances."""
        content = "u1\n0 1 4 7 2.5,10\n1 2 4 0 0,11\n2 3 5 8 1,1\n3 0.5,0.25\n\nu2\n0 1 3 8 1,2\n1\n\n"
        first, second = self.read(tmp_path, "lat.txt", content, {7: "good", 8: "day"})
        assert isinstance(first, Lattice)
        assert isinstance(second, Lattice)
        (path,) = paths(first)
        assert first.text(path) == "good day"
        assert first.scores["lm"][path].sum() == pytest.approx(-4.0)
        assert first.scores["acoustic"][path].sum() == pytest.approx(-22.25)
        (arc,) = np.flatnonzero(first.word == first.symbols.index("day"))
        assert (first.begin[arc], first.end[arc]) == (pytest.approx(0.02), pytest.approx(0.03))
        assert spoken(second) == {("day", -2.0, -1.0): 1}

    def test_an_openfst_machine_with_words_as_they_are(self, tmp_path: Path) -> None:
        (lattice,) = self.read(tmp_path, "u.txt", "0 1 good good 0.5\n0 1 <eps> <eps> 1.5\n1 2 day day\n2 0.25\n")
        assert isinstance(lattice, Lattice)
        assert lattice.id == "u"
        totals = {lattice.text(path): lattice.weights()[path].sum() for path in paths(lattice)}
        assert totals == pytest.approx({"good day": -0.75, "day": -1.75})

    def test_k2_with_words_as_auxiliary_labels(self, tmp_path: Path) -> None:
        content = "0 1 30 7 -0.5\n0 1 31 0 -1.5\n1 2 32 8 0.25\n2 3 -1 -1 -0.125\n3\n"
        (lattice,) = self.read(tmp_path, "u.txt", content, {7: "good", 8: "day"})
        assert isinstance(lattice, Lattice)
        totals = {lattice.text(path): lattice.weights()[path].sum() for path in paths(lattice)}
        assert totals == pytest.approx({"good day": -0.375, "day": -1.375})

    @pytest.mark.parametrize(
        ("content", "words", "fragment"),
        [
            ("u\n0 1 7 7 0,0\n1\n\n", None, "words.txt"),
            ("u\n0 1 9 9 0,0\n1\n\n", {7: "a"}, "word 9 is not in the table"),
            ("u\n0 1 a a 0,0\n\n", None, "no final state"),
            ("u\n0 1 a a 0,0\n1 0 a a 0,0\n1\n\n", None, "cycle"),
            ("u\n0 1 a a 0,nan\n1\n\n", None, "finite weight"),
            ("u\n0 1 a a x,y\n1\n\n", None, "expected a weight"),
            ("0 1 a\n1 x\n", None, "expected a weight"),
            ("0 1 7 -0.5\n1 2 -1 0\n", {7: "a"}, "no last state"),
            ("0 1 7 x\n1 2 -1 0\n2\n", {7: "a"}, "expected a score"),
            ("hello world\n", None, "known format"),
            ("", None, "an empty file"),
            ("\n\n", None, "an empty file"),
        ],
    )
    def test_what_is_wrong_is_told(
        self, tmp_path: Path, content: str, words: dict[int, str] | None, fragment: str
    ) -> None:
        (error,) = self.read(tmp_path, "u.txt", content, words)
        assert isinstance(error, InputError)
        assert fragment in str(error)
        assert error.file == str(tmp_path / "u.txt")

    def test_the_others_are_read(self, tmp_path: Path) -> None:
        content = "u1\n0 1 a a 0,0\n1\n\nu2\n0 1 b\n1 0 b\n1\n\nu3\n0 1 c x y z\n\nu4\n0 1 d d 0,0\n1\n\n"
        found = self.read(tmp_path, "lat.txt", content)
        assert [item.id if isinstance(item, Lattice) else type(item).__name__ for item in found] == [
            *("u1", "InputError", "InputError", "u4")
        ]
        assert [error.utterance for error in found if isinstance(error, InputError)] == ["u2", "u3"]
        assert [error.line for error in found if isinstance(error, InputError)] == [None, 11]


class TestDamage:
    @pytest.mark.parametrize("form", FORMATS)
    @settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(seed=st.integers(0, 10**9), kind=st.sampled_from(["cut", "flip", "drop"]))
    def test_nothing_but_lattices_and_reasons_comes_out(self, tmp_path: Path, form: str, seed: int, kind: str) -> None:
        chance = random.Random(seed)
        _, table = written(tmp_path, form, range(2))
        file = next(file for file in sorted(tmp_path.iterdir()) if file.name != "words.txt")
        content = bytearray(file.read_bytes())
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(content))
            if kind == "cut":
                del content[at:]
                break
            if kind == "flip":
                content[at] = chance.randrange(256)
            else:
                del content[at : at + 5]
        file.write_bytes(bytes(content))
        for found in read_lattices(file, words=table):
            assert isinstance(found, Lattice | InputError)

    def test_a_cut_archive_gives_what_is_whole(self, tmp_path: Path) -> None:
        lattices, table = written(tmp_path, "kaldi")
        file = tmp_path / "lat.ark"
        file.write_bytes(file.read_bytes()[:-30])
        *first, last = read_lattices(file, words=table)
        assert [lattice.id for lattice in first if isinstance(lattice, Lattice)] == [x.id for x in lattices[:-1]]
        assert isinstance(last, InputError)
        assert last.utterance == lattices[-1].id
        assert last.message.startswith("cut off or damaged")


class TestPlaces:
    def test_a_missing_file_and_an_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no such file"):
            list(read_lattices(tmp_path / "missing"))
        with pytest.raises(InputError, match="without lattices"):
            list(read_lattices(tmp_path))

    @pytest.mark.parametrize("form", FORMATS)
    def test_formats_are_known_by_their_content(self, tmp_path: Path, form: str) -> None:
        written(tmp_path, form, range(1))
        file = next(file for file in sorted(tmp_path.iterdir()) if file.name != "words.txt")
        assert lattice_format(file) == form.removesuffix("-text")

    def test_names_that_are_no_file_names(self, tmp_path: Path) -> None:
        lattice = Lattice.from_arcs("../u", SYMBOLS, [0], [1], [1], {"lm": [0.0]}, final={1: {}})
        with pytest.raises(InputError, match="no file name"):
            write_lattices([lattice], tmp_path, "slf")
        with pytest.raises(InputError, match="two lattices"):
            write_lattices([random_lattice(1)] * 2, tmp_path, "slf")
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("content", "fragment"),
        [
            ("a 1\nb one\n", "'b one'"),
            ("a 1\nb 1\n", "1 comes twice"),
            ("a 1\na 2\n", "'a' comes twice"),
            ("", "no words"),
        ],
    )
    def test_damaged_tables(self, tmp_path: Path, content: str, fragment: str) -> None:
        (tmp_path / "words.txt").write_text(content)
        with pytest.raises(InputError) as error:
            read_words(tmp_path / "words.txt")
        assert fragment in str(error.value)


class TestSizes:
    """What a file claims costs neither memory nor time."""

    def read(self, path: Path, content: bytes) -> list[Lattice | InputError]:
        path.write_bytes(content)
        begin = time.process_time()
        found = list(read_lattices(path, words={1: "a"}))
        assert time.process_time() - begin < 5  # of the processor
        return found

    def test_high_numbers_of_nodes(self, tmp_path: Path) -> None:
        tracemalloc.start()
        (lattice,) = self.read(tmp_path / "u.txt", b"0 123456789 a a\n123456789 999999999 b b\n999999999\n")
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
        tracemalloc.stop()
        assert isinstance(lattice, Lattice)
        assert (lattice.nodes, [lattice.text(path) for path in paths(lattice)]) == (3, ["a b"])

    def test_a_long_chain(self, tmp_path: Path) -> None:
        content = "".join(f"{node} {node + 1} a a\n" for node in range(50_000)) + "50000\n"
        (lattice,) = self.read(tmp_path / "u.txt", content.encode())
        assert isinstance(lattice, Lattice)
        assert lattice.nodes == 50_001

    def test_many_empty_lattices(self, tmp_path: Path) -> None:
        found = self.read(tmp_path / "lat.txt", b"u\n\n" * 50_000)
        assert len(found) == 50_000
        assert all(isinstance(error, InputError) and error.utterance == "u" for error in found)

    def test_numbers_of_thousands_of_digits(self, tmp_path: Path) -> None:
        (tmp_path / "words.txt").write_text("a " + "1" * 5000 + "\n")
        with pytest.raises(InputError, match="a word and its number"):
            read_words(tmp_path / "words.txt")
        (error,) = self.read(tmp_path / "u.txt", b"0 1 1 0.5\n1 2 -1 0\n" + b"2" * 5000 + b"\n")
        assert isinstance(error, InputError)

    @pytest.mark.parametrize("form", FORMATS)
    def test_no_more_arcs_than_allowed(self, tmp_path: Path, form: str) -> None:
        _, table = written(tmp_path, form, range(3))
        found = list(read_lattices(tmp_path, words=table, max_arcs=5))
        assert len(found) == 3
        for error in found:
            assert isinstance(error, InputError)
            assert error.parameter == "max_arcs"
        assert whole(list(read_lattices(tmp_path, words=table, max_arcs=20)))

    def test_an_archive_is_read_lattice_by_lattice(self, tmp_path: Path) -> None:
        _, table = written(tmp_path, "kaldi", range(1))
        content = (tmp_path / "lat.ark").read_bytes()
        (tmp_path / "lat.ark").write_bytes(content * (4_000_000 // len(content)))
        tracemalloc.start()
        assert sum(isinstance(found, Lattice) for found in read_lattices(tmp_path / "lat.ark", words=table)) > 500
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
        tracemalloc.stop()

    def test_a_line_without_end(self, tmp_path: Path) -> None:
        first, error = self.read(tmp_path / "lat.txt", b"u1\n0 1 a a 0,0\n1\n\nu2\n0 1 " + b"a" * (1 << 25))
        assert isinstance(first, Lattice)
        assert isinstance(error, InputError)
        assert error.message.startswith("a line of more than")
        assert error.utterance == "u2"


class TestPlaceInArchives:
    def test_many_blank_lines(self, tmp_path: Path) -> None:
        arc = b"0 1 a a 0,0\n1\n\n"
        (tmp_path / "lat.txt").write_bytes(b"u1\n" + arc + b"\r\n" * 10_000 + b"u2\n" + arc + b"u3\n0 x\n")
        first, second, error = read_lattices(tmp_path / "lat.txt")
        assert [found.id for found in whole([first, second])] == ["u1", "u2"]
        assert isinstance(error, InputError)
        assert error.line == 10_010

    def test_bytes_that_are_no_text(self, tmp_path: Path) -> None:
        arc = b"0 1 a a 0,0\n1\n\n"
        (tmp_path / "lat.txt").write_bytes((b"u0\n" + arc) * 300 + b"u1\n0 1 \xff a 0,0\n1\n\nu2\n" + arc)
        *_, error, second = read_lattices(tmp_path / "lat.txt")
        assert isinstance(error, InputError)
        assert (error.utterance, error.line) == ("u1", 1202)
        assert isinstance(second, Lattice)

    @pytest.mark.parametrize("form", ["slf", "openfst", "k2"])
    def test_ids_with_dots(self, tmp_path: Path, form: str) -> None:
        (lattice,), table = written(tmp_path, form, range(1))
        (file,) = (file for file in tmp_path.iterdir() if file.name != "words.txt")
        for name in ("u.1.a", "u.1.b"):
            (tmp_path / f"{name}{file.suffix}").write_bytes(
                file.read_bytes().replace(lattice.id.encode(), name.encode())
            )
        file.unlink()
        assert [found.id for found in whole(list(read_lattices(tmp_path, words=table)))] == ["u.1.a", "u.1.b"]


class TestEmptyLattices:
    ARC = "0 1 a a 0,0\n1\n\n"

    @pytest.mark.parametrize("place", range(3))
    def test_one_anywhere_is_named_and_the_rest_read(self, tmp_path: Path, place: int) -> None:
        entries = [f"u{number}\n{self.ARC}" for number in range(3)]
        entries[place] = f"u{place} \n\n"
        (tmp_path / "lat.txt").write_text("".join(entries))
        found = list(read_lattices(tmp_path / "lat.txt"))
        assert [isinstance(item, Lattice) for item in found] == [number != place for number in range(3)]
        error = found[place]
        assert isinstance(error, InputError)
        assert (error.utterance, error.message) == (f"u{place}", "no states")

    def test_a_binary_one(self, tmp_path: Path) -> None:
        lattices, table = written(tmp_path, "kaldi", range(2))
        header = b"u0 \x00B" + OPENFST_MAGIC + b"\x06\0\0\0vector" + b"\x10\0\0\0compactlattice44"
        empty = header + struct.pack("<iiQqqq", 2, 0, 3, -1, 0, 0)
        file = tmp_path / "lat.ark"
        file.write_bytes(empty + file.read_bytes())
        error, *rest = read_lattices(file, words=table)
        assert isinstance(error, InputError)
        assert error.utterance == "u0"
        assert [lattice.id for lattice in whole(rest)] == [lattice.id for lattice in lattices]


def test_digits_are_looked_at_once(tmp_path: Path) -> None:
    (tmp_path / "u.1").write_text("u1\n" + "9" * 5000)
    begin = time.process_time()
    (refused,) = read_lattices(tmp_path / "u.1")
    assert isinstance(refused, InputError)
    assert time.process_time() - begin < 1
