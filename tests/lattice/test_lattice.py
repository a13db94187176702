"""What a lattice is, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from toy_lattices import SYMBOLS, paths, random_arcs, random_lattice, spoken, spoken_by

from asr_lm.errors import InputError
from asr_lm.lattice.lattice import Lattice


def chain(**changes: Any) -> Lattice:
    """``a b`` between nodes 0, 1, 2."""
    arcs: dict[str, Any] = {
        "source": [0, 1], "target": [1, 2], "word": [1, 2], "scores": {"acoustic": [-1.0, -2.0]}, "final": {2: {}},
    }  # fmt: skip
    return Lattice.from_arcs("u", SYMBOLS, **{**arcs, **changes})


class TestPaths:
    @pytest.mark.parametrize("seed", range(20))
    def test_no_path_is_lost_or_invented(self, seed: int) -> None:
        assert spoken(random_lattice(seed)) == spoken_by(random_arcs(seed))

    @pytest.mark.parametrize("seed", range(20))
    def test_the_nodes_are_in_order_and_every_arc_is_on_a_path(self, seed: int) -> None:
        lattice = random_lattice(seed, nodes=9, arcs=9)
        assert (lattice.source < lattice.target).all()
        assert (np.diff(lattice.source) >= 0).all()
        assert {arc for path in paths(lattice) for arc in path} == set(range(len(lattice)))
        assert (np.diff(lattice.levels) >= 0).all()
        assert (lattice.levels[lattice.source] < lattice.levels[lattice.target]).all()

    def test_one_plain_final_node_stays_the_last(self) -> None:
        assert (chain().nodes, len(chain()), chain().text([0, 1])) == (3, 2, "a b")

    def test_several_final_nodes_are_joined_and_keep_their_scores(self) -> None:
        lattice = chain(final={1: {"acoustic": -7.0}, 2: {}})
        totals = {lattice.text(path): lattice.weights()[path].sum() for path in paths(lattice)}
        assert totals == {"a": -8.0, "a b": -3.0}

    def test_the_first_node_may_be_final(self) -> None:
        assert {chain(final={0: {}, 2: {}}).text(path) for path in paths(chain(final={0: {}, 2: {}}))} == {"", "a b"}

    def test_a_lattice_of_one_node_says_nothing(self) -> None:
        lattice = chain(source=[], target=[], word=[], scores={"acoustic": []}, final={0: {}})
        assert (lattice.nodes, len(lattice), list(paths(lattice))) == (1, 0, [[]])


class TestTrimming:
    def test_what_leads_nowhere_goes_and_is_counted(self) -> None:
        lattice = chain(source=[0, 1, 1, 4], target=[1, 2, 3, 2], word=[1, 2, 3, 4], scores={"acoustic": [0.0] * 4})
        assert {lattice.text(path) for path in paths(lattice)} == {"a b"}
        assert lattice.trimmed == 2

    def test_an_impossible_arc_is_no_path(self) -> None:
        lattice = chain(source=[0, 0, 1], target=[1, 1, 2], word=[1, 3, 2], scores={"acoustic": [0, -np.inf, 0]})
        assert {lattice.text(path) for path in paths(lattice)} == {"a b"}

    def test_a_silent_cycle_is_one_node(self) -> None:
        lattice = chain(
            source=[0, 1, 2, 2, 5], target=[1, 2, 1, 5, 5], word=[1, 0, 0, 2, 0],
            scores={"acoustic": [-1, 0, 0, -2, 0]}, final={5: {}},
        )  # fmt: skip
        assert {lattice.text(path): lattice.weights()[path].sum() for path in paths(lattice)} == {"a b": -3.0}

    @pytest.mark.parametrize("seed", range(10))
    def test_silent_loops_anywhere_change_nothing(self, seed: int) -> None:
        arcs = random_arcs(seed, epsilon=0)
        node = int(arcs["source"][0])
        extra = {"source": [node, 20, 21, 22], "target": [20, 21, 22, node]}
        looped = {**arcs, **{name: np.concatenate([arcs[name], nodes]) for name, nodes in extra.items()}}
        looped["word"] = np.concatenate([arcs["word"], [0] * 4])
        looped["scores"] = {name: np.concatenate([values, [0.0] * 4]) for name, values in arcs["scores"].items()}
        looped["begin"] = looped["end"] = None
        assert spoken(Lattice.from_arcs("looped", SYMBOLS, **looped)) == spoken_by(arcs)


class TestRefused:
    @pytest.mark.parametrize(
        ("changes", "fragment"),
        [
            ({"word": [1, 9]}, "word 9 is not among the 5 symbols"),
            ({"source": [0, -1]}, "below 0"),
            ({"scores": {"acoustic": [0.0, np.nan]}}, "arc 1 has nan"),
            ({"scores": {"acoustic": [np.inf, 0.0]}}, "arc 0 has inf"),
            ({"scores": {"acoustic": [-np.inf, 0.0]}}, "no path"),
            ({"final": {}}, "no final node"),
            ({"final": {7: {}}}, "no path"),
            ({"final": {2: {"lm": 1.0}}}, "'lm'"),
            ({"final": {2: {"acoustic": np.nan}}}, "final node 2 has nan"),
            ({"source": [0, 1, 2], "target": [1, 2, 0], "word": [1, 2, 3], "scores": {"acoustic": [0.0] * 3}}, "cycle"),
            (
                {"source": [0, 1, 1], "target": [1, 1, 2], "word": [1, 0, 2], "scores": {"acoustic": [0.0, -1.0, 0.0]}},
                "a cycle passes nodes 1 and 1",
            ),
        ],
    )
    def test_with_the_utterance_and_the_reason(self, changes: dict[str, Any], fragment: str) -> None:
        with pytest.raises(InputError, match=fragment) as error:
            chain(**changes)
        assert error.value.utterance == "u"

    def test_a_scale_for_a_score_that_is_not_there(self) -> None:
        with pytest.raises(InputError, match="no score 'lm' in the lattice, which has 'acoustic'"):
            chain().weights({"lm": 1.0})


def test_weights_are_scaled_sums() -> None:
    lattice = random_lattice(3)
    expected = 2.0 * lattice.scores["acoustic"] - 0.5 * lattice.scores["lm"]
    np.testing.assert_allclose(lattice.weights({"acoustic": 2.0, "lm": -0.5}), expected)
    np.testing.assert_allclose(lattice.weights(), lattice.scores["acoustic"] + lattice.scores["lm"])
    np.testing.assert_allclose(lattice.without_scores("lm").weights(), lattice.scores["acoustic"])
