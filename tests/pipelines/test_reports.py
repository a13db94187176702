"""What ``compare`` and ``rescore`` write besides their table."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from toy_language import Command, Toy

from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.hypotheses.writing import write_nbest


@pytest.fixture(scope="session")
def unigram(toy: Toy) -> Path:
    """A second, weaker model, as an ARPA file."""
    path = toy.folder / "unigram.arpa"
    words = sorted({word for sentence in toy.sentences for word in sentence.split()})
    lines = ["-1\t<unk>\t0", "-99\t<s>\t0", "-1\t</s>\t0", *(f"-1.{len(word)}\t{word}\t0" for word in words)]
    head = f"\\data\\\nngram 1={len(lines)}\nngram 2=1\n\n\\1-grams:\n"
    path.write_text(f"{head}{chr(10).join(lines)}\n\n\\2-grams:\n-1\t<s> the\n\n\\end\\\n")
    return path


def test_compare_writes_report_figures_markdown_and_weights(
    command: Command, toy: Toy, ngram: Path, unigram: Path
) -> None:
    outputs = ("--report", "r.html", "--plots", "plots", "--markdown", "t.md", "--json", "c.json")
    models = ("--lm", ngram, "--lm", unigram)
    more = ("--save-weights", "weights", "--test", "half.json")
    write_nbest("half.json", toy.utterances("test")[:20])
    finished = command("compare", "--dev", toy.dev, "--test", toy.test, *models, *outputs, *more)
    assert finished.code == 0, finished.err
    assert "report written to r.html" in finished.out
    assert {"r.html", "t.md", "c.json", "plots", "weights"} <= finished.written
    record = json.loads(Path("c.json").read_text())["lists"][str(toy.test)]
    rate = record["systems"]["ngram"]["wer"]
    assert f"| ngram | {rate:.2f} | " in Path("t.md").read_text()
    assert f">{rate:.2f}<" in Path("r.html").read_text()
    systems = {
        "ngram+unigram.json",
        "ngram+unigram.minimum_Bayes_risk.json",
        "ngram.json",
        "retuned.json",
        "unigram.json",
    }
    # And of what decides, where that is a row of its own.
    chosen = record["chosen"].replace(" + ", "+").replace(", ", ".").replace(" ", "_") + ".json"
    assert {path.name for path in Path("weights").iterdir()} == systems | {chosen}
    facts = record["systems"]["ngram + unigram"]
    assert facts["models"] == ["ngram", "unigram"]
    assert facts["parameters"] > record["systems"]["ngram"]["parameters"] > 0
    assert record["systems"]["ngram"]["perplexity"] < record["systems"]["unigram"]["perplexity"]
    assert facts["hypotheses_per_second"] > 0
    low, high = facts["flat_within"]["ngram"]
    assert low is None or low <= record["weights"]["ngram + unigram"]["ngram"]
    assert high is None or high >= record["weights"]["ngram + unigram"]["ngram"]
    assert record["systems"]["ngram"]["from_first_pass"]["against"] == "first_pass"


def test_saved_weights_give_the_same_again(command: Command, toy: Toy, ngram: Path) -> None:
    command("compare", "--dev", toy.dev, "--test", toy.test, "--lm", ngram, "--save-weights", "w", "--json", "c.json")
    compared = json.loads(Path("c.json").read_text())
    for name, system in (("ngram", "ngram"), ("ngram.minimum_Bayes_risk", "ngram, minimum Bayes risk")):
        weights = Path("w") / f"{name}.json"
        saved = json.loads(weights.read_text())
        assert set(saved["fingerprints"]) == {"ngram", "development list"}
        assert saved["dev"]["utterances"] == 40
        arguments = ("--nbest", toy.test, "--lm", ngram, "--weights", weights, "--json", "r.json", "--report", "r.html")
        finished = command("rescore", *arguments)
        assert finished.code == 0, finished.err
        rescored = json.loads(Path("r.json").read_text())
        assert rescored["rescored"]["wer"] == compared["systems"][system]["wer"]
        assert "played no part" in Path("r.html").read_text()
    refused = command("rescore", "--nbest", toy.dev, "--lm", ngram, "--weights", "w/ngram.json")
    assert refused.complaint.endswith(
        "weights are never reported on the list they were tuned on, and this list is the one that the weights name"
    )


def test_a_second_run_gives_the_speed_last_measured_and_the_same_report(
    command: Command, toy: Toy, ngram: Path
) -> None:
    arguments = ("--dev", toy.dev, "--test", toy.test, "--lm", ngram)
    outputs = [("--report", f"{name}.html", "--markdown", f"{name}.md", "--plots", f"{name}.d") for name in ("a", "b")]
    first, second = (command("compare", *arguments, *wanted) for wanted in outputs)
    lines = [re.findall(r"^ngram +ngram .* [\d,]+$", run.out, re.MULTILINE) for run in (first, second)]
    assert lines[0] == lines[1]
    assert len(lines[0]) == 1
    assert Path("a.html").read_bytes() == Path("b.html").read_bytes()
    assert Path("a.md").read_bytes() == Path("b.md").read_bytes()
    pictures = sorted(path.name for path in Path("a.d").iterdir())
    assert pictures == sorted(path.name for path in Path("b.d").iterdir())
    assert all(Path("a.d", name).read_bytes() == Path("b.d", name).read_bytes() for name in pictures)


def test_combinations_are_rows(command: Command, toy: Toy, ngram: Path, unigram: Path) -> None:
    models = ("--lm", ngram, "--lm", f"b={unigram}", "--lm", f"c={unigram}")
    arguments = ("--dev", toy.dev, "--test", toy.test, *models)
    finished = command("compare", *arguments, "--combine", "b+ngram", "--no-mbr", "--json", "c.json")
    assert finished.code == 0, finished.err
    record = json.loads(Path("c.json").read_text())
    rows = ["ngram", "b", "c", "ngram + b", "ngram + b + c"]
    # And what decides, where that is a row of its own.
    assert list(record["systems"]) == rows + [record["chosen"]] * (record["chosen"] not in rows)
    assert (
        "no model is called 'x'; there are ngram, b, c" in command("compare", *arguments, "--combine", "b+x").complaint
    )
    assert "names one model" in command("compare", *arguments, "--combine", "b").complaint


def test_rescore_reports_without_a_development_list(command: Command, toy: Toy) -> None:
    finished = command("rescore", "--nbest", toy.test, "--report", "r.html", "--plots", "p", "--markdown", "t.md")
    assert finished.code == 0, finished.err
    text = Path("r.html").read_text()
    assert "default weights (sum)" in text
    assert "within 0.1 points of the tuned one" not in text
    assert "| rescored | " in Path("t.md").read_text()


def test_without_references_nothing_is_reported_and_that_is_said(command: Command, toy: Toy) -> None:
    write_nbest("silent.json", [Utterance(u.id, u.hypotheses) for u in toy.utterances("test")])
    finished = command("rescore", "--nbest", "silent.json", "--report", "r.html")
    assert finished.code == 0
    assert "so no report was written" in finished.err
    assert not Path("r.html").exists()


ODD = {
    "one utterance": lambda lists: lists[:1],
    "some without a reference": lambda lists: [
        Utterance(u.id, u.hypotheses, None if n % 3 else u.reference) for n, u in enumerate(lists)
    ],
    "no error": lambda lists: [Utterance(u.id, u.hypotheses[:1], u.hypotheses[0].text) for u in lists],
    "all wrong": lambda lists: [Utterance(u.id, u.hypotheses, "quite other words") for u in lists],
    "nothing said": lambda lists: [Utterance(u.id, u.hypotheses, "") for u in lists[:3]],
}


@pytest.mark.parametrize("name", ODD)
def test_odd_lists_get_honest_reports(command: Command, toy: Toy, ngram: Path, name: str) -> None:
    write_nbest("odd.json", ODD[name](toy.utterances("test")))
    finished = command(
        "compare", "--dev", toy.dev, "--test", "odd.json", "--lm", ngram, "--report", "r.html", "--markdown", "t.md"
    )
    assert finished.code == 0, finished.err
    text = Path("r.html").read_text()
    assert not re.search(r">\s*(nan|inf|None)\b", text)
    if name == "one utterance":
        assert "not enough data" in text
    if name == "some without a reference":
        assert "26 of 40 utterances have no reference" in " ".join(text.split())
    if name == "no error":
        assert "makes no error" in text


@pytest.mark.parametrize("name", ["one utterance", "no error", "all wrong"])
def test_odd_development_lists_can_be_tuned_on(command: Command, toy: Toy, ngram: Path, name: str) -> None:
    write_nbest("odd.json", ODD[name](toy.utterances("dev")))
    arguments = ("--dev", "odd.json", "--test", toy.test, "--lm", ngram, "--report", "r.html")
    finished = command("compare", *arguments)
    assert finished.code == 0, finished.err
    assert "NaN" not in Path("r.html").read_text().split("packed-0")[0].replace('"NaN', "")


def test_chinese_is_counted_in_characters(command: Command, toy: Toy) -> None:
    def lists(name: str) -> list[Utterance]:
        texts = [("今天天气很好", "今天天汽很好"), ("我们去北京", "我门去北京"), ("明天下雨", "明天下鱼")]
        return [
            Utterance(
                f"{name}{n}",
                tuple(Hypothesis(text, {"acoustic": -1.0 - rank}) for rank, text in enumerate(pair[::-1])),
                pair[0],
            )
            for n, pair in enumerate(texts * 3)
        ]

    for name in ("dev", "test"):
        write_nbest(f"zh-{name}.json", lists(name))
    finished = command(
        "compare", "--dev", "zh-dev.json", "--test", "zh-test.json", "--unit", "character", "--json", "c.json",
        "--report", "r.html", "--markdown", "t.md",
    )  # fmt: skip
    assert finished.code == 0, finished.err
    record = json.loads(Path("c.json").read_text())
    assert record["first_pass"]["cer"] == pytest.approx(100 * 9 / 45)
    assert record["oracle"]["cer"] == 0
    assert "CER %" in Path("t.md").read_text()
    assert "character error rate" in Path("r.html").read_text()


def test_bad_input_is_refused_before_anything_is_written(command: Command, toy: Toy, ngram: Path) -> None:
    lists = ("--dev", toy.dev, "--test", toy.test, "--lm", ngram)
    assert "there is no folder nowhere" in command("compare", *lists, "--report", "nowhere/r.html").complaint
    assert "is an input" in command("compare", *lists, "--report", toy.test).complaint
    assert "two outputs" in command("compare", *lists, "--report", "x", "--markdown", "x").complaint
    Path("file").write_text("")
    assert "--plots" in command("compare", *lists, "--plots", "file").complaint
    assert "--save-weights" in command("compare", *lists, "--save-weights", "file").complaint
    two = ("--nbest", toy.test, "--nbest", toy.dev, "--out", ".")
    assert "give one --nbest" in command("rescore", *two, "--report", "r.html").complaint


def test_lists_with_other_scores_are_refused(command: Command, toy: Toy, ngram: Path) -> None:
    other = [
        Utterance(u.id, tuple(Hypothesis(h.text, {"am": h.scores["acoustic"]}) for h in u.hypotheses), u.reference)
        for u in toy.utterances("test")
    ]
    write_nbest("other.json", other)
    finished = command("compare", "--dev", toy.dev, "--test", "other.json", "--lm", ngram, "--report", "r.html")
    assert "the weights need 'acoustic', which the list lacks" in finished.complaint


def test_a_model_that_does_not_know_the_words_is_refused(command: Command, toy: Toy, ngram: Path) -> None:
    foreign = [
        Utterance(u.id, tuple(Hypothesis(f"zz{h.text[::-1]}", h.scores) for h in u.hypotheses), u.reference)
        for u in toy.utterances("test")
    ]
    write_nbest("foreign.json", foreign)
    finished = command("compare", "--dev", toy.dev, "--test", "foreign.json", "--lm", ngram, "--report", "r.html")
    assert "unknown to the model 'ngram'" in finished.complaint
