"""Our lattices and k2's machines say the same, and our operations compute what k2's compute."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

k2 = pytest.importorskip("k2", reason="k2 is not installed here; make test-k2 runs these tests")
torch = pytest.importorskip("torch")

from torchscript import write_archive  # noqa: E402
from toy_lattices import SYMBOLS, paths, random_lattice  # noqa: E402

from asr_lm.errors import InputError  # noqa: E402
from asr_lm.lattice.forward_backward import best_path, total  # noqa: E402
from asr_lm.lattice.k2 import ctc_graph, from_k2, lattices_from_emissions, read_pt, to_k2  # noqa: E402
from asr_lm.lattice.k2_text import k2_lines, read_k2  # noqa: E402
from asr_lm.lattice.lattice import Lattice  # noqa: E402
from asr_lm.lattice.nbest import nbest  # noqa: E402

SEEDS = range(12)
WORDS = dict(enumerate(SYMBOLS))
NUMBERS = {text: number for number, text in WORDS.items() if number}


def path_totals(lattice: Lattice) -> list[tuple[str, float]]:
    weights = lattice.weights(dict.fromkeys(lattice.scores, 1.0))
    return sorted((lattice.text(path), float(weights[path].sum())) for path in paths(lattice))


def assert_same(found: Lattice, expected: Lattice) -> None:
    ours, theirs = path_totals(expected), path_totals(found)
    assert [text for text, _ in theirs] == [text for text, _ in ours]
    np.testing.assert_allclose([value for _, value in theirs], [value for _, value in ours], atol=1e-4)


@pytest.mark.parametrize("seed", SEEDS)
class TestConversion:
    def test_there_and_back(self, seed: int) -> None:
        lattice = random_lattice(seed)
        again = from_k2(to_k2(lattice, NUMBERS), lattice.id, WORDS)
        assert_same(again, lattice)
        assert set(again.scores) == {"acoustic", "lm"}

    def test_the_text_that_k2_writes_is_read(self, seed: int) -> None:
        lattice = random_lattice(seed)
        text = k2.to_str(to_k2(lattice, NUMBERS))
        assert_same(read_k2(list(enumerate(text.splitlines(), 1)), lattice.id, WORDS), lattice)

    def test_k2_reads_the_text_that_we_write(self, seed: int) -> None:
        lattice = random_lattice(seed)
        machine = k2.Fsa.from_str("".join(k2_lines(lattice, NUMBERS)))
        assert_same(from_k2(machine, lattice.id, WORDS), lattice)

    def test_a_saved_machine_is_read(self, seed: int, tmp_path: Path) -> None:
        lattice = random_lattice(seed)
        torch.save(to_k2(lattice, NUMBERS).as_dict(), tmp_path / "u.1.pt")
        (again,) = read_pt(tmp_path / "u.1.pt", WORDS)
        assert again.id == "u.1"
        assert_same(again, lattice)


@pytest.mark.parametrize("seed", SEEDS)
class TestOperations:
    def machines(self, lattice: Lattice) -> object:
        return k2.create_fsa_vec([to_k2(lattice)])

    def test_totals(self, seed: int) -> None:
        lattice = random_lattice(seed, nodes=9, arcs=30)
        machines = self.machines(lattice)
        log = machines.get_tot_scores(use_double_scores=True, log_semiring=True).item()
        tropical = machines.get_tot_scores(use_double_scores=True, log_semiring=False).item()
        assert total(lattice, lattice.weights()) == pytest.approx(log, abs=1e-4)
        assert total(lattice, lattice.weights(), "tropical") == pytest.approx(tropical, abs=1e-4)

    def test_the_best_path(self, seed: int) -> None:
        lattice = random_lattice(seed, nodes=9, arcs=30)
        best = k2.shortest_path(self.machines(lattice), use_double_scores=True)
        words = [SYMBOLS[label] for label in best[0].labels.tolist() if label > 0]
        assert lattice.text(best_path(lattice, lattice.weights())) == " ".join(words)

    def test_posteriors(self, seed: int) -> None:
        from asr_lm.lattice.forward_backward import arc_log_posteriors

        lattice = random_lattice(seed, nodes=9, arcs=30)
        theirs = self.machines(lattice).get_arc_post(use_double_scores=True, log_semiring=True)
        ours = arc_log_posteriors(lattice, lattice.weights())
        np.testing.assert_allclose(ours, theirs.detach().numpy()[:-1], atol=1e-4)

    def test_n_best_by_sampling_finds_none_that_is_better(self, seed: int) -> None:
        """k2 draws paths; those that it draws most often under sharp weights are our best."""
        lattice = random_lattice(seed, nodes=7, arcs=16)
        ours = {lattice.text(path.arcs): path.score for path in nbest(lattice, lattice.weights(), 10**6)}
        machine = self.machines(lattice)
        drawn = k2.random_paths(machine, use_double_scores=True, num_paths=200)
        labels = k2.ragged.index(machine.labels.contiguous(), drawn)
        texts = {" ".join(SYMBOLS[label] for label in line if label > 0) for line in labels.tolist()[0]}
        assert texts <= set(ours)


class TestEmissions:
    """Three tokens: blank, ``a`` and ``b``; words ``a``, ``ab`` and ``b``."""

    LEXICON = {1: [[1]], 2: [[1, 2]], 3: [[2]]}  # noqa: RUF012
    TEXTS = {1: "a", 2: "ab", 3: "b"}  # noqa: RUF012

    def emissions(self, seed: int, frames: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(frames, 3, generator=generator).mul(2).log_softmax(1)

    def by_hand(self, emission: torch.Tensor) -> dict[tuple[int, ...], float]:
        """Score of the best alignment of every token sequence."""
        best: dict[tuple[tuple[int, ...], int], float] = {((), 0): 0.0}
        for frame in emission.tolist():
            following: dict[tuple[tuple[int, ...], int], float] = {}
            for (said, last), score in best.items():
                for token, value in enumerate(frame):
                    new = said if token in (0, last) else (*said, token)
                    key = (new, token)
                    following[key] = max(following.get(key, -math.inf), score + value)
            best = following
        result: dict[tuple[int, ...], float] = {}
        for (said, _), score in best.items():
            result[said] = max(result.get(said, -math.inf), score)
        return result

    def test_the_lattice_has_the_best_alignment_of_every_word_sequence(self) -> None:
        emissions = [self.emissions(1, 4), self.emissions(2, 6)]
        graph = ctc_graph(3, self.LEXICON)
        lattices = lattices_from_emissions(emissions, graph, ["u1", "u2"], self.TEXTS, search_beam=100, output_beam=100)
        for lattice, emission in zip(lattices, emissions, strict=True):
            expected: dict[str, float] = {}
            for tokens, score in self.by_hand(emission).items():
                for text in self.spellings(tokens):
                    expected[text] = max(expected.get(text, -math.inf), score)
            found = {lattice.text(path.arcs): path.score for path in nbest(lattice, lattice.weights(), 10**6)}
            assert set(found) <= set(expected)
            best = sorted(expected, key=expected.__getitem__)[-5:]
            for text in best:
                assert found[text] == pytest.approx(expected[text], abs=1e-3)

    def spellings(self, tokens: tuple[int, ...]) -> list[str]:
        """All ways to read tokens as words."""
        if not tokens:
            return [""]
        ways = []
        for word, ((*spelling,),) in self.LEXICON.items():
            if tokens[: len(spelling)] == tuple(spelling):
                rest = self.spellings(tokens[len(spelling) :])
                ways += [" ".join(filter(None, [self.TEXTS[word], text])) for text in rest]
        return ways

    def test_impossible_spellings(self) -> None:
        for spelling in ([], [7], [0]):
            with pytest.raises(InputError, match="word 1 is spelt"):
                ctc_graph(3, {1: [spelling]})


class TestRefused:
    def test_a_file_that_holds_other_objects_needs_trust(self, tmp_path: Path) -> None:
        class Thing:
            pass

        torch.save({"arcs": Path("x")}, tmp_path / "u.pt")
        with pytest.raises(InputError, match="trust"):
            list(read_pt(tmp_path / "u.pt"))

    @pytest.mark.parametrize("trust", [False, True])
    def test_a_torchscript_archive_is_not_run(self, tmp_path: Path, trust: bool) -> None:
        """This torch would run it, told to load tensors alone or not."""
        write_archive(tmp_path / "u.pt", tmp_path / "mark")
        with pytest.raises(InputError, match="TorchScript"):
            list(read_pt(tmp_path / "u.pt", trust=trust))
        assert not (tmp_path / "mark").exists()
        torch.load(tmp_path / "u.pt")
        assert (tmp_path / "mark").exists()

    @pytest.mark.parametrize(
        "arcs",
        [
            torch.zeros(3),
            torch.zeros((2, 4), dtype=torch.int64),
            torch.full((2, 4), 7, dtype=torch.int32),
            torch.tensor([[0, 99, 1, 0], [1, 2, -1, 0]], dtype=torch.int32),
            torch.tensor([5, 4, 3], dtype=torch.int32),
            "hello",
        ],
    )
    def test_arcs_that_are_no_machine(self, tmp_path: Path, arcs: object) -> None:
        torch.save({"arcs": arcs}, tmp_path / "u.pt")
        with pytest.raises(InputError):
            list(read_pt(tmp_path / "u.pt", WORDS))

    def test_too_many_arcs(self, tmp_path: Path) -> None:
        lattice = random_lattice(1)
        torch.save(to_k2(lattice, NUMBERS).as_dict(), tmp_path / "u.pt")
        with pytest.raises(InputError, match="more than 3 arcs"):
            list(read_pt(tmp_path / "u.pt", WORDS, max_arcs=3))

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nothing", b"hello"])
    def test_damaged_files(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "u.pt").write_bytes(content)
        with pytest.raises(InputError, match="damaged"):
            list(read_pt(tmp_path / "u.pt"))

    def test_something_else(self, tmp_path: Path) -> None:
        torch.save({"weight": torch.zeros(3)}, tmp_path / "u.pt")
        with pytest.raises(InputError, match="no arcs"):
            list(read_pt(tmp_path / "u.pt"))

    def test_a_batch(self) -> None:
        machines = k2.create_fsa_vec([to_k2(random_lattice(1))])
        with pytest.raises(InputError, match="one by one"):
            from_k2(machines, "u")
