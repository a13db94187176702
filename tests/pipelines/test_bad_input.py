"""Bad input: exit code 2, one line that says what and where, and no file left behind."""

from __future__ import annotations

import gzip
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from toy_language import Command, Toy

from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.hypotheses.writing import write_nbest
from asr_lm.rescoring import second_pass
from asr_lm.rescoring.scoring import scorer as scoring

UTTERANCE = {"id": "u", "reference": "the cat", "hypotheses": [{"text": "the cat", "scores": {"s": -1.0}}]}


def changed(**fields: object) -> str:
    return json.dumps({**UTTERANCE, **fields})


def scored(*scores: str) -> str:
    hypotheses = ", ".join(f'{{"text": "x", "scores": {score}}}' for score in scores)
    return f'{{"id": "u", "hypotheses": [{hypotheses}]}}'


LISTS = [
    ('{"id": "u", "hypotheses": [{"text": "x"}', ["list.json:1", "malformed JSON"]),
    (f"{json.dumps(UTTERANCE)}\n{{nonsense\n", ["list.json:2", "malformed JSON"]),
    (f"[{json.dumps(UTTERANCE)},\n 7]", ["list.json:2", "[1]"]),
    ("no list at all", ["list.json", "canonical", "hyporadise"]),
    (changed(id=7), ["list.json", "one hypothesis for each utterance"]),
    (changed(reference=["the"]), ["utterance 'u'", "field reference"]),
    (changed(hypotheses={"text": "x"}), ["utterance 'u'", "field hypotheses"]),
    (changed(hypotheses=["x"]), ["list.json", "one hypothesis for each utterance"]),
    (changed(hypotheses=[{"scores": {}}]), ["field hypotheses[0].text", "missing"]),
    (scored('{"s": "high"}'), ["utterance 'u'", "hypotheses[0].scores.s"]),
    ("", ["list.json", "empty file"]),
    ("[]", ["list.json", "empty list", "at least one utterance"]),
    ("{}", ["list.json", "empty list"]),
    (changed(hypotheses=[]), ["utterance 'u'", "no hypotheses", "at least one"]),
    (f"{json.dumps(UTTERANCE)}\n{json.dumps(UTTERANCE)}", ["list.json:2", "utterance 'u'", "unique"]),
    (changed(id=" "), ["field id", "empty"]),
    (scored('{"s": NaN}'), ["utterance 'u'", "hypotheses[0].scores.s", "finite"]),
    (scored('{"s": -1}', '{"s": -Infinity}'), ["hypotheses[1].scores.s", "finite"]),
    (scored('{"s": 1e999}'), ["hypotheses[0].scores.s", "finite"]),
    (scored('{"s": -1}', '{"t": -1}'), ["hypotheses[1].scores", "names are t", "has s"]),
    (scored('{"s": -1}', "{}"), ["hypotheses[1].scores", "names are none"]),
]


@pytest.mark.parametrize("option", ["--nbest", "--dev"])
@pytest.mark.parametrize(("content", "fragments"), LISTS, ids=range(len(LISTS)))
def test_lists(command: Command, toy: Toy, ngram: Path, option: str, content: str, fragments: list[str]) -> None:
    Path("list.json").write_text(content)
    other = () if option == "--nbest" else ("--nbest", toy.test)
    complaint = command("rescore", option, "list.json", *other, "--lm", ngram).complaint
    for fragment in fragments:
        assert fragment in complaint


def test_a_fault_at_the_end_of_a_list_spoils_nothing(
    command: Command, toy: Toy, ngram: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(second_pass, "shards", lambda utterances: scoring.shards(utterances, 1))
    whole = [json.dumps(entry) for entry in json.loads(toy.test.read_text())]
    Path("list.jsonl").write_text("\n".join([*whole, changed(hypotheses=[])]))
    Path("out.jsonl").write_text("old")
    finished = command("rescore", "--nbest", "list.jsonl", "--lm", ngram, "--out", "out.jsonl")
    assert f"list.jsonl:{len(whole) + 1}" in finished.complaint
    assert Path("out.jsonl").read_text() == "old"
    finished = command("rescore", "--nbest", "-", "--lm", ngram, stdin=Path("list.jsonl").read_bytes())
    assert f"<stdin>:{len(whole) + 1}" in finished.complaint
    assert finished.out == ""


def test_damaged_compression(command: Command, toy: Toy, ngram: Path) -> None:
    packed = gzip.compress(toy.test.read_bytes())
    Path("list.json.gz").write_bytes(packed[: len(packed) // 2])
    assert "damaged or truncated" in command("rescore", "--nbest", "list.json.gz", "--lm", ngram).complaint


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def cut(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])

    return damage


def configured(**fields: object) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | fields))

    return damage


class TestModels:
    """Model folders that are not as they were written."""

    @pytest.mark.parametrize("family", ["ngram", "lstm"])
    @pytest.mark.parametrize(
        ("damage", "fragments"),
        [
            (without("config.json"), ["copy", "no config.json"]),
            (cut("config.json"), ["config.json", "damaged model folder"]),
            (configured(format=99), ["config.json", "another version", "99"]),
            (configured(family="markov"), ["config.json", "'markov'", "expected one of"]),
            (configured(normalizer="loud"), ["config.json", "normaliser", "'loud'"]),
            (without("words.txt"), ["no vocabulary"]),
            (cut("words.txt"), ["damaged"]),
            (cut("sentences.hashes"), ["sentences.hashes", "damaged"]),
        ],
        ids=range(8),
    )
    def test_damage_is_named(
        self,
        command: Command,
        toy: Toy,
        request: pytest.FixtureRequest,
        family: str,
        damage: Callable[[Path], None],
        fragments: list[str],
    ) -> None:
        shutil.copytree(request.getfixturevalue(family), "copy")
        damage(Path("copy"))
        complaint = command("rescore", "--nbest", toy.test, "--lm", "copy").complaint
        for fragment in fragments:
            assert fragment in complaint

    @pytest.mark.parametrize(("family", "weights"), [("ngram", "model.arpa"), ("lstm", "model.safetensors")])
    @pytest.mark.parametrize("damage", [cut, without])
    def test_damaged_weights(
        self,
        command: Command,
        toy: Toy,
        request: pytest.FixtureRequest,
        family: str,
        weights: str,
        damage: Callable[[str], Callable[[Path], None]],
    ) -> None:
        shutil.copytree(request.getfixturevalue(family), "copy")
        Path("copy/model.bin").unlink(missing_ok=True)
        damage(weights)(Path("copy"))
        assert "copy" in command("rescore", "--nbest", toy.test, "--lm", "copy").complaint

    def test_the_vocabulary_of_another_model(self, command: Command, toy: Toy, ngram: Path) -> None:
        shutil.copytree(ngram, "copy")
        words = Path("copy/words.txt").read_text().splitlines()
        Path("copy/words.txt").write_text("".join(f"{word}\n" for word in [*words[:3], *words[:2:-1]]))
        assert "not the one of the model" in command("rescore", "--nbest", toy.test, "--lm", "copy").complaint

    @pytest.mark.parametrize(
        ("path", "message"),
        [
            ("missing", "no such model: expected a trained folder, an ARPA or a KenLM file"),
            ("folder", "not a trained model"),
            ("text.txt", "not an ARPA file"),
            ("empty", "ARPA"),
            ("", "no path"),
        ],
    )
    def test_no_model(self, command: Command, toy: Toy, path: str, message: str) -> None:
        Path("folder").mkdir()
        Path("text.txt").write_text("the cat\n")
        Path("empty").touch()
        assert message in command("rescore", "--nbest", toy.test, "--lm", path).complaint

    def test_a_vocabulary_that_does_not_fit(self, command: Command, toy: Toy, ngram: Path) -> None:
        utterances = [Utterance("u", (Hypothesis("nous avons mangé une pomme"),)), Utterance("v", (Hypothesis("oui"),))]
        write_nbest("french.json", utterances)
        complaint = command("rescore", "--nbest", "french.json", "--lm", ngram).complaint
        assert complaint.startswith("error: french.json: 100.0 % of the hypotheses' words are unknown")
        assert "'nous', 'avons', 'mange', 'une', 'pomme'" in complaint


class TestWeights:
    """Files that hold no weights for this list."""

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("", "no file of tuned weights"),
            ("{}", "no file of tuned weights, or a damaged one"),
            ('{"format": "asr_lm weights", "version": 9, "values": {"s": 1}}', "version 9"),
            ('{"format": "asr_lm weights", "version": 1, "values": {}}', "at least one"),
            (
                '{"format": "asr_lm weights", "version": 1, "values": {"s": 1e999}}',
                "w.json: no file of tuned weights, or a damaged one (Number out of range",
            ),
            (
                '{"format": "asr_lm weights", "version": 1, "values": {"other": 1}}',
                "need 'other', which the list lacks",
            ),
        ],
    )
    def test_they_are_refused(self, command: Command, toy: Toy, ngram: Path, content: str, message: str) -> None:
        Path("w.json").write_text(content)
        assert message in command("rescore", "--nbest", toy.test, "--lm", ngram, "--weights", "w.json").complaint

    def test_missing_or_cut_off(self, command: Command, toy: Toy, ngram: Path) -> None:
        arguments = ("rescore", "--nbest", toy.test, "--lm", ngram, "--weights")
        assert "missing.json: no such file" in command(*arguments, "missing.json").complaint
        Path("w.json.gz").write_bytes(gzip.compress(b"{}" * 100)[:-6])
        assert "w.json.gz: damaged or truncated" in command(*arguments, "w.json.gz").complaint


class TestOptions:
    """Options that do not go together, or say nothing."""

    @pytest.mark.parametrize(
        ("line", "fragments"),
        [
            ("--nbest missing.json", ["missing.json: no such file"]),
            ("--nbest {test} --nbest missing.json", ["missing.json: no such file"]),
            ("--nbest {test} --dev missing.json", ["missing.json: no such file"]),
            ("--nbest {test} --nbest {test}", ["test.json", "given twice"]),
            ("--nbest {test} --nbest {test} --out .", ["test.json", "given twice"]),
            ("--nbest {test} --nbest {dev} --out x.json", ["x.json", "several lists need an existing folder"]),
            ("--nbest {test} --dev {test}", ["test.json", "cannot be the one weights are tuned on"]),
            ("--nbest {test} --dev link.json", ["link.json", "cannot be the one weights are tuned on"]),
            ("--nbest - --dev -", ["cannot be the one weights are tuned on"]),
            ("--nbest {test} --dev {dev} --weights w.json", ["either --dev", "or --weights"]),
            ("--nbest {test} --save-weights w.json", ["--save-weights", "nothing to save"]),
            ("--nbest {test} --decision mbr", ["--decision", "give --dev or --weights"]),
            ("--nbest {test} --subtract ngram", ["--subtract", "give --dev"]),
            ("--nbest {test} --dev {dev} --subtract ngrm", ["'ngrm'", "there are ngram, acoustic"]),
            ("--nbest {test} --dev {dev} --score-kind mean", ["--score-kind", "default weights"]),
            ("--nbest {test} --dev silent.json", ["silent.json", "no utterance", "reference"]),
            ("--nbest silent.json --score-kind sum", ["silent.json", "its kind is rank, not the sum of --score-kind"]),
            ("--nbest silent.json --dev {dev}", ["silent.json", "need 'acoustic', which the list lacks"]),
            ("--nbest {test} --out missing/x.json", ["missing/x.json", "no folder missing"]),
            ("--nbest {test} --out x.xml", ["x.xml", "expected one of jsonl, json, trn"]),
            ("--nbest {test} --out x.ctm", ["x.ctm", "word times"]),
            ("--nbest {test} --json missing/x.json", ["missing/x.json", "no folder missing"]),
            ("--nbest {test} --json .", ["is a folder"]),
            ("--nbest {test} --out x.json --json x.json", ["x.json", "two outputs"]),
            ("--nbest {test} --out {test}", ["test.json", "is an input, too"]),
            ("--nbest {test} --dev {dev} --save-weights {dev}", ["dev.json", "is an input, too"]),
            ("--nbest {test} --dev {dev} --save-weights missing/w.json", ["missing/w.json"]),
            ("--nbest {test} --format cd", ["'cd'", "expected one of canonical"]),
            ("--nbest {test} --format hyporadise", ["test.json", "input"]),
            ("--nbest {test} --format nemo", ["--manifest"]),
            ("--nbest {test} --manifest {dev}", ["test.json", "nemo only"]),
            ("--nbest {test} --resample recording --lm ngram={ngram} --lm ngram={ngram}", ["two models", "NAME=PATH"]),
            ("--nbest {test} --lm acoustic={ngram}", ["test.json", "'acoustic' too", "NAME=PATH"]),
            ("--nbest {test} --lm rank={ngram}", ["'rank'", "NAME=PATH"]),
            ("--nbest {test} --budget 0", ["--budget", "above 0"]),
            ("--nbest {test} --features link.json", ["link.json", "new or empty", "--features"]),
            ("--nbest {test} --device tpu --lm {lstm}", ["--device", "tpu"]),
            ("--nbest {folder}", ["toy"]),
        ],
    )
    def test_of_rescore(
        self, command: Command, toy: Toy, ngram: Path, lstm: Path, line: str, fragments: list[str]
    ) -> None:
        write_nbest("silent.json", [Utterance("u", (Hypothesis("the cat"), Hypothesis("a cat")))])
        Path("link.json").symlink_to(toy.test)
        filled = line.format(test=toy.test, dev=toy.dev, ngram=ngram, lstm=lstm, folder=toy.folder)
        model = () if "--lm" in filled else ("--lm", ngram)
        complaint = command("rescore", *filled.split(), *model).complaint
        for fragment in fragments:
            assert fragment in complaint

    def test_recordings_must_be_known_to_be_drawn(self, command: Command, toy: Toy, ngram: Path) -> None:
        write_nbest("alone.json", [Utterance(u.id, u.hypotheses, u.reference) for u in toy.utterances("test")])
        finished = command("rescore", "--nbest", "alone.json", "--lm", ngram, "--resample", "recording")
        assert finished.code == 2
        assert "needs every recording" in finished.err.splitlines()[-1]

    @pytest.mark.parametrize(
        ("line", "fragments"),
        [
            ("ngram --text {train} --out m --order 7", ["order 7", "1 to 6"]),
            ("ngram --text {train} --out m --order 0", ["order 0"]),
            ("ngram --text {train} --out m --prune 2", ["unigrams are never pruned"]),
            ("ngram --text {train} --out m --order 2 --prune 0 0 0", ["3 pruning counts for a model of order 2"]),
            ("ngram --text {train} --out m --jackknife 1", ["--jackknife", "at least 2"]),
            ("ngram --text {train} --out m --vocabulary-size 0", ["--vocabulary-size", "above 0"]),
            ("ngram --text {train} --out m --min-count -1", ["--min-count", "above 0"]),
            ("ngram --text {train} --out m --min-count 9999", ["no word is left", "9999"]),
            ("ngram --text {train} --out m --vocabulary bpe --vocabulary-size 9999", ["9999 SentencePiece pieces"]),
            (
                "ngram --text {train} --out m --vocabulary bpe --vocabulary-size 9",
                ["cannot train 9", "alone need "],
            ),
            ("neural --text {train} --out m", ["no model is called 'neural'; there are ngram, nnlm"]),
            ("ngram --text {train} --out m --normalizer loud", ["'loud'"]),
            ("ngram --text --out m", ["--text", "at least one file"]),
            ("ngram --text missing.txt --out m", ["missing.txt: no such file"]),
            ("ngram --text . --out m", ["is a folder"]),
            ("ngram --text - --out m", ["standard input"]),
            ("ngram --text blank.txt --out m", ["blank.txt: no sentence"]),
            ("ngram --text {dev} --out m", [":1: is JSON; expected text, one sentence a line"]),
            ("lstm --text {train} --valid {dev} --out m", [":1: is JSON; expected text, one sentence a line"]),
            ("ngram --text binary --out m", ["binary:1", "UTF-8"]),
            ("ngram --text {train} --out m --valid missing.txt", ["missing.txt: no such file"]),
            ("ngram --text {train} --out m --valid blank.txt", ["blank.txt: no sentence in the validation text"]),
            ("ngram --text {train} --out binary", ["binary: is a file, a folder was expected"]),
            ("lstm --text {train} --valid missing.txt --out m", ["missing.txt: no such file"]),
            ("lstm --text {train} --valid blank.txt --out m", ["blank.txt: no sentence in the validation text"]),
            ("lstm --text {train} --valid {valid} --out m --hidden 8", ["--tied", "8 and 512"]),
            ("lstm --text {train} --valid {valid} --out m --layers 0", ["--layers", "above 0"]),
            ("lstm --text {train} --valid {valid} --out m --embedding -4 --hidden -4", ["embedding", "above 0"]),
            ("lstm --text {train} --valid {valid} --out m --dropout 2", ["dropout", "not 2.0"]),
            ("lstm --text {train} --valid {valid} --out m --epochs 0", ["epochs", "above 0"]),
            ("lstm --text {train} --valid {valid} --out m --epochs inf", ["epochs"]),
            ("lstm --text {train} --valid {valid} --out m --learning-rate nan", ["--learning-rate: expected"]),
            ("lstm --text {train} --valid {valid} --out m --device tpu", ["--device", "'tpu'"]),
        ],
    )
    def test_of_train(self, command: Command, toy: Toy, line: str, fragments: list[str]) -> None:
        Path("blank.txt").write_text("\n  \n...\n")
        Path("binary").write_bytes(bytes(range(128, 256)))
        filled = line.format(train=toy.train, valid=toy.valid, dev=toy.dev)
        complaint = command("train", *filled.split()).complaint
        for fragment in fragments:
            assert fragment in complaint


VALUES = (
    *(
        "",
        "-",
        ".",
        "missing",
        "missing/x.json",
        "list.json",
        "text.txt",
        "binary",
        "empty",
        "w.json",
        "NGRAM",
        "a=NGRAM",
    ),
    *("0", "-1", "7", "1e999", "nan", "best", "mbr", "recording", "nemo", "kaldi", "chinese", "rank=NGRAM", "out.trn"),
)
OPTIONS = {
    "rescore": (
        *(
            "--nbest",
            "--nbest",
            "--dev",
            "--lm",
            "--lm",
            "--out",
            "--json",
            "--weights",
            "--save-weights",
            "--decision",
        ),
        *("--subtract", "--format", "--manifest", "--beam-size", "--unit", "--wer-normalizer", "--resample"),
        *("--no-cache", "--cache-folder", "--budget", "--device", "--score-kind", "--colour"),
    ),
    "compare": ("--dev", "--test", "--lm", "--json", "--decision", "--subtract", "--format", "--budget", "--resample"),
    "perplexity": ("--lm", "--lm", "--text", "--text", "--context", "--json", "--device"),
    "generate": (
        "--lm",
        "--prompt",
        "--nbest",
        "--number",
        "--temperature",
        "--top-k",
        "--longest",
        "--seed",
        "--json",
    ),
    "train": ("--text", "--out", "--order", "--prune", "--valid", "--jackknife", "--vocabulary", "--min-count"),
}


def command_lines(count: int) -> list[tuple[str, list[str]]]:
    """Random command lines, most of them wrong."""
    generator, lines = random.Random(7), []
    for _ in range(count):
        name = generator.choice(list(OPTIONS))
        arguments = ["ngram"] if name == "train" else []
        for option in generator.sample(OPTIONS[name], generator.randint(1, 4)):
            arguments += [option] if option == "--no-cache" else [option, generator.choice(VALUES)]
        lines.append((name, arguments))
    return lines


@pytest.mark.parametrize(("name", "arguments"), command_lines(120), ids=range(120))
def test_no_command_line_ends_in_a_traceback(
    command: Command, toy: Toy, ngram: Path, name: str, arguments: list[str]
) -> None:
    Path("list.json").write_bytes(toy.test.read_bytes())
    Path("text.txt").write_bytes(toy.valid.read_bytes())
    Path("w.json").write_text('{"format": "asr_lm weights", "version": 1, "values": {"acoustic": 1}}')
    Path("binary").write_bytes(bytes(range(256)))
    Path("empty").touch()
    # Without --lm the packaged model would be used, which takes longer to load.
    model = () if "--lm" in arguments or name == "train" else ("--lm", str(ngram))
    finished = command(name, *(argument.replace("NGRAM", str(ngram)) for argument in arguments), *model)
    if finished.code:
        assert finished.complaint
