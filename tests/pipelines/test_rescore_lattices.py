"""``rescore --lattice``: lattices in, rescored lists and lattices out."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from toy_language import WORDS, Command, Finished, Toy, call

from asr_lm.evaluation.word_errors import count_errors
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.lattice.expansion import expand_together
from asr_lm.lattice.forward_backward import best_path
from asr_lm.lattice.lattice import Lattice
from asr_lm.lattice.reading import read_lattices
from asr_lm.lattice.writing import write_lattices
from asr_lm.rescoring.lattices import with_counts
from asr_lm.rescoring.rules.registry import rule

MBR_ROW, LATTICE_RISK, LATTICE_NETWORK = (
    f"rescored, {rule('mbr').title}",
    rule("mbr").lattice_title,
    rule("rover").lattice_title,
)


def heard(name: str, sentence: str, chance: random.Random) -> Lattice:
    """A lattice with two to four words for every word said; in noise, so that often another one sounds better."""
    source, target, words, acoustic = [], [], [], []
    symbols = ["", *WORDS]
    for place, word in enumerate(sentence.split()):
        rivals = chance.sample([other for other in WORDS if other != word], chance.randint(1, 3))
        for candidate in (word, *rivals):
            source.append(place)
            target.append(place + 1)
            words.append(symbols.index(candidate))
            acoustic.append(chance.gauss(0.7 if candidate == word else 0.0, 1.0))
    return Lattice.from_arcs(
        name, symbols, source, target, words, {"acoustic": acoustic}, final={len(sentence.split()): {}},
        begin=source, end=target,
    )  # fmt: skip


@pytest.fixture(scope="module")
def lattices(tmp_path_factory: pytest.TempPathFactory, toy: Toy) -> Path:
    """Folders ``dev`` and ``test`` of HTK lattices, and ``references``."""
    folder = tmp_path_factory.mktemp("lattices")
    chance = random.Random(5)
    references = []
    for name in ("dev", "test"):
        said = [(f"{name}{n}", u.reference or "") for n, u in enumerate(toy.utterances(name)[:15])]
        write_lattices([heard(utterance, text, chance) for utterance, text in said], folder / name, "slf")
        references += [f"{utterance} {text}\n" for utterance, text in said]
    (folder / "references").write_text("".join(references))
    return folder


def rescore(command: Command, lattices: Path, *more: object) -> Finished:
    places = ("--lattice", lattices / "test", "--dev-lattice", lattices / "dev")
    return command("rescore", *places, "--references", lattices / "references", *more)


def with_weights(command: Command, lattices: Path, weights: Path, *more: object) -> Finished:
    places = ("--lattice", lattices / "test", "--references", lattices / "references", "--weights", weights)
    return command("rescore", *places, *more)


def ran(folder: Path, lattices: Path, *more: object) -> Path:
    """The folder of a run, with its ``test.rescored.json``, ``r.json`` and the weights ``w.json``."""
    with contextlib.chdir(folder):
        finished = rescore(call, lattices, *more, "--json", "r.json", "--save-weights", "w.json")
    assert finished.code == 0, finished.err
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, lattices: Path, ngram: Path) -> Path:
    """A run with nothing special, and its rescored lattices ``out``."""
    return ran(tmp_path_factory.mktemp("plain"), lattices, "--lm", ngram, "--lattice-out", "out")


@pytest.fixture(scope="module")
def risk(tmp_path_factory: pytest.TempPathFactory, lattices: Path, ngram: Path) -> Path:
    """A run with minimum Bayes risk, its choices in ``mbr.jsonl``, and its rescored lattices ``out``."""
    asked = ("--mbr", "--mbr-out", "mbr.jsonl", "--report", "r.html", "--lattice-out", "out")
    return ran(tmp_path_factory.mktemp("risk"), lattices, "--lm", ngram, *asked)


class TestRescore:
    def test_it_lowers_the_word_error_rate(self, command: Command, lattices: Path, plain: Path, lstm: Path) -> None:
        finished = rescore(command, lattices, "--lm", lstm, "--json", "lstm.json")
        assert finished.code == 0, finished.err
        for written in (plain / "r.json", Path("lstm.json")):
            record = json.loads(written.read_text())
            assert record["rescored"]["wer"] < 0.7 * record["first_pass"]["wer"]
            assert record["oracle"]["wer"] <= record["rescored"]["wer"]

    def test_nothing_is_left_behind_but_the_rescored_list(self, command: Command, lattices: Path, ngram: Path) -> None:
        finished = rescore(command, lattices, "--lm", ngram, "--lattice-nbest", 20)
        assert finished.written == {"test.rescored.json"}
        by_id = {x.id: x for x in read_lattices(lattices / "test") if isinstance(x, Lattice)}
        for utterance in read_nbest("test.rescored.json"):
            lattice = by_id[utterance.id]
            path = best_path(lattice, lattice.weights())
            likeliest = max(utterance.hypotheses, key=lambda hypothesis: hypothesis.scores["acoustic"])
            assert likeliest.text == lattice.text(path)
            assert likeliest.scores["acoustic"] == pytest.approx(lattice.weights()[path].sum())
            assert all(hypothesis.times is not None for hypothesis in utterance.hypotheses)
            assert 1 < len(utterance.hypotheses) <= 21

    def test_saved_weights_give_the_same(self, command: Command, lattices: Path, ngram: Path, plain: Path) -> None:
        finished = with_weights(command, lattices, plain / "w.json", "--lm", ngram, "--out", "later.json")
        assert finished.code == 0, finished.err
        lists = [read_nbest(path) for path in (plain / "test.rescored.json", "later.json")]
        texts = [[u.hypotheses[0].text for u in each] for each in lists]
        assert texts[0] == texts[1]

    def test_rescored_lattices_say_what_the_list_says(self, plain: Path) -> None:
        again = {x.id: x for x in read_lattices(plain / "out") if isinstance(x, Lattice)}
        for utterance in read_nbest(plain / "test.rescored.json"):
            lattice = again[utterance.id]
            path = best_path(lattice, lattice.weights())
            assert lattice.text(path) == utterance.hypotheses[0].text
            assert lattice.weights()[path].sum() == pytest.approx(utterance.hypotheses[0].total, abs=1e-3)

    def test_a_bad_vocabulary_counts_in_the_lattice_too(self) -> None:
        """What a list charges for unknown words, the lattice charges where they are said."""
        lattice = heard("u", " ".join(WORDS[:4]), random.Random(1))
        vocabulary = SimpleNamespace(
            is_open=False, unknown_words=lambda text: sum(word != WORDS[0] for word in text.split())
        )
        model: Any = SimpleNamespace(name="m", model=SimpleNamespace(vocabulary=vocabulary, normalizer="as-is"))
        counted = with_counts(lattice, [model]).scores["unknown:m"]
        assert counted.tolist() == [float(lattice.symbols[word] != WORDS[0]) for word in lattice.word.tolist()]
        assert {0.0, 1.0} == set(counted.tolist())

    def test_minimum_bayes_risk_stands_beside_it(
        self, command: Command, lattices: Path, ngram: Path, plain: Path, risk: Path
    ) -> None:
        record = json.loads((risk / "r.json").read_text())
        assert list(record["systems"]) == [MBR_ROW, LATTICE_RISK, LATTICE_NETWORK]
        for system in record["systems"].values():
            assert system["wer"] < 0.8 * record["first_pass"]["wer"]
        said = {utterance.id: utterance for utterance in read_nbest(risk / "mbr.jsonl")}
        counts = count_errors([u.reference or "" for u in said.values()], [u.hypotheses[0].text for u in said.values()])
        rate = 100 * counts[:, :3].sum() / counts[:, 3].sum()
        assert rate == pytest.approx(record["systems"][LATTICE_RISK]["wer"])
        # The list's own order is that of the best totals all the same.
        name = "test.rescored.json"
        assert (plain / name).read_bytes() == (risk / name).read_bytes()
        finished = with_weights(command, lattices, risk / "w.json", "--lm", ngram, "--mbr", "--json", "later.json")
        assert finished.code == 0, finished.err
        again = json.loads(Path("later.json").read_text())["systems"]
        for name in (LATTICE_RISK, LATTICE_NETWORK):
            assert again[name]["wer"] == record["systems"][name]["wer"]

    def test_weights_without_a_scale_of_posteriors(
        self, command: Command, lattices: Path, ngram: Path, plain: Path
    ) -> None:
        complaint = with_weights(command, lattices, plain / "w.json", "--lm", ngram, "--mbr").complaint
        for fragment in ("w.json", "lattice_scales", "--dev-lattice", "--mbr"):
            assert fragment in complaint

    def test_each_lattice_is_searched_once(
        self, command: Command, lattices: Path, ngram: Path, risk: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        searched: list[str] = []

        def counted(group: Sequence[Lattice], *how: Any) -> Any:
            searched.extend(lattice.id for lattice in group)
            return expand_together(group, *how)

        monkeypatch.setattr("asr_lm.rescoring.lattices.expand_together", counted)
        outputs = ("--lattice-out", "out", "--mbr", "--mbr-out", "mbr.jsonl", "--out", "o.json")
        finished = with_weights(command, lattices, risk / "w.json", "--lm", ngram, *outputs)
        assert finished.code == 0, finished.err
        assert len(searched) == len(set(searched)) == len(list((lattices / "test").iterdir()))

    def test_a_bad_lattice_is_named_and_the_rest_goes_on(
        self, command: Command, lattices: Path, ngram: Path, plain: Path, tmp_path: Path
    ) -> None:
        folder = tmp_path / "some"
        folder.mkdir()
        for file in sorted((lattices / "test").iterdir())[:5]:
            (folder / file.name).write_text(file.read_text())
        broken = sorted(folder.iterdir())[2]
        broken.write_text(broken.read_text()[:200])
        places = ("--lattice", folder, "--weights", plain / "w.json", "--references", lattices / "references")
        finished = command("rescore", *places, "--lm", ngram)
        assert finished.code == 1
        assert str(broken) in finished.err
        assert len(list(read_nbest("some.rescored.json"))) == 4
        assert command("rescore", *places, "--lm", ngram, "--strict", "--out", "x.json").code == 2

    def test_lattices_that_make_no_list_together(
        self, command: Command, lattices: Path, ngram: Path, plain: Path, tmp_path: Path
    ) -> None:
        """Two of one id, one with other scores, one that holds nothing: each is named, the others are rescored."""
        folder = tmp_path / "some"
        folder.mkdir()
        files = sorted((lattices / "test").iterdir())[:3]
        for file in files:
            (folder / file.name).write_text(file.read_text())
        (folder / "z-again.slf").write_text(files[0].read_text())
        (folder / "z-empty.slf").write_text("")
        (folder / "z-other.txt").write_text("0 1 a a 0.5\n1\n")
        weights = ("--weights", plain / "w.json", "--references", lattices / "references")
        finished = command("rescore", "--lattice", folder, *weights, "--lm", ngram)
        assert finished.code == 1, finished.err
        assert [utterance.id for utterance in read_nbest("some.rescored.json")] == [file.stem for file in files]
        left_out = [line for line in finished.err.splitlines() if "left out" in line]
        assert len(left_out) == 3
        for line, fragments in zip(
            left_out,
            [(files[0].stem, "another lattice has this id"), ("z-empty.slf", "empty"), ("z-other", "lm", "acoustic")],
            strict=True,
        ):
            for fragment in fragments:
                assert fragment in line
        assert command("rescore", "--lattice", folder, *weights, "--lm", ngram, "--strict", "--out", "x.json").code == 2


class TestRefused:
    @pytest.mark.parametrize(
        ("line", "fragments"),
        [
            ("--lattice {test}", ["--lattice", "--dev-lattice or --weights"]),
            ("--lattice {test} --dev-lattice {dev} --nbest x.json", ["--lattice", "--nbest"]),
            ("--lattice {test} --dev-lattice missing", ["missing", "no such file", "--dev-lattice"]),
            ("--lattice {test} --dev-lattice {dev}", ["dev", "no utterance", "reference"]),
            ("--lattice {test} --dev-lattice {dev} --lattice-nbest 0", ["--lattice-nbest", "above 0"]),
            ("--lattice {test} --dev-lattice {dev} --lattice-beam -1", ["beam", "0 or more"]),
            ("--lattice {test} --dev-lattice {dev} --out rescored", ["rescored", "the suffix names no format"]),
            ("--lattice {test} --dev-lattice {dev} --json none/x.json", ["none/x.json", "there is no folder none"]),
            ("--nbest x.json --dev-lattice {dev}", ["--dev-lattice", "give --lattice"]),
        ],
    )
    def test_with_a_reason(
        self, command: Command, lattices: Path, ngram: Path, line: str, fragments: list[str]
    ) -> None:
        filled = line.format(test=lattices / "test", dev=lattices / "dev")
        complaint = command("rescore", *filled.split(), "--lm", ngram).complaint
        for fragment in fragments:
            assert fragment in complaint


class TestPhrases:
    """Names and rare words that are expected, in the lattices and in their lists."""

    @pytest.mark.parametrize("phrases", ["", "zebra crossing\nxylophone\n"])
    def test_phrases_that_no_lattice_holds_change_no_byte(
        self, command: Command, lattices: Path, ngram: Path, risk: Path, phrases: str
    ) -> None:
        Path("phrases.txt").write_text(phrases)
        asked = ("--mbr", "--mbr-out", "mbr.jsonl", "--lattice-out", "out", "--phrases", "phrases.txt")
        finished = rescore(command, lattices, "--lm", ngram, *asked)
        assert finished.code == 0, finished.err
        written = [Path("test.rescored.json"), Path("mbr.jsonl"), *Path("out").iterdir()]
        assert len(written) == 2 + len(list((risk / "out").iterdir()))
        for path in written:
            assert path.read_bytes() == (risk / path).read_bytes()

    def test_words_of_the_lattice_are_found_where_they_are_listed(
        self, command: Command, lattices: Path, ngram: Path
    ) -> None:
        said = dict(line.split(maxsplit=1) for line in (lattices / "references").read_text().splitlines())
        Path("phrases.txt").write_text("\n".join(sorted({word for text in said.values() for word in text.split()[:2]})))
        asked = ("--lattice-nbest", 2, "--json", "found.json", "--lattice-out", "out", "--save-weights", "w.json")
        finished = rescore(command, lattices, "--lm", ngram, "--phrases", "phrases.txt", *asked)
        assert finished.code == 0, finished.err
        record = json.loads(Path("found.json").read_text())
        assert record["phrases"]["rescored"]["b_wer"] < record["phrases"]["first_pass"]["b_wer"]
        by_id = {x.id: x for x in read_lattices(lattices / "test") if isinstance(x, Lattice)}
        lists = list(read_nbest("test.rescored.json"))
        added = [h for u in lists for h in u.hypotheses if not h.corrected]
        assert len(added) > 3 * len(lists), (
            "best paths through phrases join the recogniser's best and the two asked for"
        )
        for utterance in lists:
            assert all(set(h.text.split()) <= set(by_id[utterance.id].symbols) for h in utterance.hypotheses[:1])
        later = ("--phrases", "phrases.txt", "--lattice-nbest", 2, "--out", "later.json")
        again = with_weights(command, lattices, Path("w.json"), "--lm", ngram, *later)
        assert again.code == 0, again.err
        assert Path("later.json").read_bytes() == Path("test.rescored.json").read_bytes()
