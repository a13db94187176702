"""n-gram models in arrays: KenLM's scores, closed vocabularies, states, and life without KenLM."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_lm.errors import InputError
from asr_lm.evaluation.perplexity import measure
from asr_lm.hypotheses.prefix_tree import PrefixTree
from asr_lm.lm.families.ngram import NgramModel
from asr_lm.lm.ngrams import arpa_arrays
from asr_lm.lm.ngrams.arpa_arrays import read_arrays
from asr_lm.lm.ngrams.kenlm_file import KenlmScorer
from asr_lm.text.vocabulary import WordVocabulary

LN_10 = math.log(10)
CLOSED = """\\data\\
ngram 1=4
ngram 2=3

\\1-grams:
-99\t<s>\t-0.25
-0.5\t</s>
-0.75\tday\t-0.125
-1.25\tnight\t-0.5

\\2-grams:
-0.125\t<s> day
-0.375\tday night
-0.25\tday </s>

\\end\\
"""

Grams = dict[tuple[str, ...], tuple[float, float | None]]


@st.composite
def models(draw: st.DrawFn) -> tuple[Grams, int]:
    """Random n-grams, each with its context and its suffix, and the order; back-off weights are missing here and there.

    The model may have ``<unk>``, and n-grams with it.
    """
    order = draw(st.integers(2, 4))
    words = ["a", "b", "c", "é"][: draw(st.integers(1, 4))] + draw(st.sampled_from([[], ["<unk>"]]))
    level: list[tuple[str, ...]] = [(word,) for word in ("<s>", "</s>", *words)]
    grams: Grams = {}
    for length in range(1, order + 1):
        for gram in level:
            weight = None if length == order or draw(st.booleans()) else -draw(st.integers(0, 2000)) / 1000
            grams[gram] = (-draw(st.integers(0, 5000)) / 1000, weight)
        possible = [
            (*gram, word)
            for gram in level
            for word in ("</s>", *words)
            if gram[-1] != "</s>" and (length == 1 or (*gram[1:], word) in grams)
        ]
        level = draw(st.lists(st.sampled_from(possible), unique=True)) if possible and length < order else []
    return grams, order


def write(path: Path, grams: Grams, order: int) -> None:
    lines = ["\\data\\"]
    by_order = [[gram for gram in grams if len(gram) == length] for length in range(1, order + 1)]
    lines += [f"ngram {length}={len(level)}" for length, level in enumerate(by_order, 1)]
    for length, level in enumerate(by_order, 1):
        lines += ["", f"\\{length}-grams:"]
        for gram in level:
            prob, weight = grams[gram]
            lines.append(f"{prob}\t{' '.join(gram)}" + ("" if weight is None else f"\t{weight}"))
    path.write_text("\n".join([*lines, "", "\\end\\", ""]))


TEXTS = st.lists(
    st.lists(st.sampled_from(["a", "b", "c", "é", "zebra", "<unk>"]), max_size=6).map(" ".join), max_size=8
)


def expected(grams: Grams, order: int, text: str) -> list[float]:
    """The recursion of the ARPA format, word by word, natural logarithms."""
    unknown = "<unk>" if ("<unk>",) in grams else None

    def log10(context: tuple[str | None, ...], word: str | None) -> float:
        if (*context, word) in grams:
            return grams[(*context, word)][0]  # type: ignore[index]
        weight = grams.get(context, (0, None))[1] or 0.0  # type: ignore[arg-type]
        return weight + log10(context[1:], word)

    words = ["<s>", *(word if (word,) in grams else unknown for word in text.split()), "</s>"]
    return [
        0.0 if words[at] is None else LN_10 * log10(tuple(words[max(0, at - order + 1) : at]), words[at])
        for at in range(1, len(words))
    ]


@settings(max_examples=150, deadline=None)
@given(model=models(), texts=TEXTS)
def test_scores_are_those_of_the_recursion_and_of_kenlm(
    model: tuple[Grams, int], texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "random.arpa"
    write(path, *model)
    ours = NgramModel.load(path)
    sentences = ours.vocabulary.encode_batch(texts)
    for text, values in zip(texts, ours.token_log_probs(sentences), strict=True):
        np.testing.assert_allclose(values, expected(*model, text), atol=1e-5)
    kenlm = pytest.importorskip("kenlm")
    config = kenlm.Config()
    config.show_progress = False
    theirs = KenlmScorer(kenlm.Model(str(path), config), ours.vocabulary)
    assert theirs.charges_unknown == ours.charges_unknown
    for sentence, values in zip(sentences, ours.token_log_probs(sentences), strict=True):
        tree = PrefixTree.build([np.append(sentence, ours.vocabulary.eos_id)], ours.vocabulary.bos_id)
        np.testing.assert_allclose(values, theirs.node_log_probs(tree)[1:], atol=1e-5)


@settings(max_examples=50, deadline=None)
@given(model=models(), seed=st.integers(0, 1000))
def test_the_order_of_lines_changes_nothing(
    model: tuple[Grams, int], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Not even that of lmplz, by last words; unigrams give words their numbers and stay."""
    grams, order = model
    random = np.random.default_rng(seed)
    ways = {
        "as it is": list(grams),
        "last words": sorted(grams, key=lambda gram: gram[::-1]),
        "any": [list(grams)[place] for place in random.permutation(len(grams))],
    }
    unigrams = [gram for gram in grams if len(gram) == 1]
    path = tmp_path_factory.getbasetemp() / "order.arpa"
    found = []
    for way in ways.values():
        longer = [gram for gram in way if len(gram) > 1]
        write(path, {gram: grams[gram] for gram in (*unigrams, *longer)}, order)
        found.append(read_arrays(path))
    for other in found[1:]:
        assert other.words == found[0].words
        for table, same in zip(other.tables[1:], found[0].tables[1:], strict=True):
            assert table.keys is not None
            assert table.keys.tolist() == same.keys.tolist()  # type: ignore[union-attr]
            assert table.log10_prob.tolist() == same.log10_prob.tolist()


@pytest.mark.parametrize("many", [1, 5, 100, 20_000])
def test_equal_keys_stay_in_their_order(many: int) -> None:
    keys = np.random.default_rng(many).integers(-many // 2, many, size=many)
    assert arpa_arrays._ascending(keys).tolist() == np.argsort(keys, kind="stable").tolist()


@settings(max_examples=50, deadline=None)
@given(model=models(), texts=TEXTS)
def test_states_give_what_trees_give(
    model: tuple[Grams, int], texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "random.arpa"
    write(path, *model)
    ours = NgramModel.load(path)
    sentences = [np.append(sentence, ours.vocabulary.eos_id) for sentence in ours.vocabulary.encode_batch(texts)]
    whole = ours.token_log_probs([sentence[:-1] for sentence in sentences])
    states = [ours.first_state()] * len(sentences)
    for place in range(max(map(len, sentences), default=0)):
        going = [number for number, sentence in enumerate(sentences) if place < len(sentence)]
        tokens = [int(sentences[number][place]) for number in going]
        values, following = ours.next_states([states[number] for number in going], tokens)
        for number, value, state in zip(going, values, following, strict=True):
            assert value == whole[number][place]
            states[number] = state


def test_an_ngram_whose_suffix_was_pruned(tmp_path: Path) -> None:
    """p(c | a b) stands in the file, and p(c | b) backs off."""
    grams: Grams = {("<s>",): (-1, -0.5), ("</s>",): (-1, None), ("a",): (-1, -0.25), ("b",): (-1.5, -0.75)}
    grams |= {("c",): (-2, None), ("a", "b"): (-0.5, -0.125), ("a", "b", "c"): (-0.25, None)}
    write(tmp_path / "pruned.arpa", grams, 3)
    model = NgramModel.load(tmp_path / "pruned.arpa")
    for text in ("a b c", "b c", "a b a b c"):
        (values,) = model.token_log_probs(model.vocabulary.encode_batch([text]))
        np.testing.assert_allclose(values, expected(grams, 3, text), atol=1e-6)


@pytest.fixture(params=["absent", "zero"])
def closed(request: pytest.FixtureRequest, tmp_path: Path) -> NgramModel:
    """A model without ``<unk>``, and one that gives it probability 0."""
    path = tmp_path / "closed.arpa"
    text = (
        CLOSED
        if request.param == "absent"
        else CLOSED.replace("=4", "=5").replace("-0.5\t</s>", "-99\t<unk>\n-0.5\t</s>")
    )
    path.write_text(text)
    return NgramModel.load(path)


def test_an_unknown_word_has_no_score_in_a_closed_vocabulary(closed: NgramModel) -> None:
    """What follows it is scored as after no words; the number of unknown words is told apart."""
    assert not closed.charges_unknown
    assert closed.vocabulary.unknown_words("day gnu") == 1
    texts = ["day gnu day", "gnu", "day <unk> <s>"]
    values = closed.token_log_probs(closed.vocabulary.encode_batch(texts))
    for found, log10 in zip(values, [[-0.125, 0, -0.75, -0.25], [0, -0.5], [-0.125, 0, 0, -0.5]], strict=True):
        np.testing.assert_allclose(found / LN_10, log10, atol=1e-6)


def test_perplexity_leaves_out_words_without_probability(closed: NgramModel) -> None:
    (found,) = measure([closed], ["day gnu day"])
    assert (found.words, found.unknown, found.charged, found.tokens) == (4, 1, 3, 3)
    assert found.per_word == found.per_token == pytest.approx(10 ** ((0.125 + 0.75 + 0.25) / 3))


def test_kenlm_says_nothing_of_unknown_words_either(closed: NgramModel) -> None:
    kenlm = pytest.importorskip("kenlm")
    theirs = KenlmScorer(kenlm.Model(str(closed.file)), closed.vocabulary)
    tree = PrefixTree.build([np.append(closed.vocabulary.encode("day gnu day"), 2)], 1)
    np.testing.assert_allclose(theirs.node_log_probs(tree) / LN_10, [0, -0.125, 0, -0.75, -0.25], atol=1e-6)


def test_words_of_a_vocabulary_that_the_model_lacks(tmp_path: Path) -> None:
    (tmp_path / "closed.arpa").write_text(CLOSED)
    model = NgramModel(tmp_path / "closed.arpa", WordVocabulary(["zebra", "night", "day"]), "as-is")
    (values,) = model.token_log_probs(model.vocabulary.encode_batch(["zebra day night"]))
    np.testing.assert_allclose(values / LN_10, [0, -0.75, -0.375, -1], atol=1e-6)


def test_sentence_marks_may_be_missing(tmp_path: Path) -> None:
    """A model of unigrams alone without ``<s>`` and ``</s>``: every word for itself, nothing said of the end."""
    path = tmp_path / "unigrams.arpa"
    path.write_text("\\data\\\nngram 1=2\n\n\\1-grams:\n-0.5 a\n-0.25 <UNK>\n\n\\end\\\n")
    model = NgramModel.load(path)
    assert (model.order, model.parameters, model.charges_unknown) == (1, 2, True)
    (values,) = model.token_log_probs(model.vocabulary.encode_batch(["a gnu a"]))
    np.testing.assert_allclose(values / LN_10, [-0.5, -0.25, -0.5, 0])
    assert not model.knows("<UNK>")


def test_of_equal_ngrams_the_first_counts(tmp_path: Path) -> None:
    path = tmp_path / "twice.arpa"
    path.write_text(
        CLOSED.replace("1=4", "1=5").replace("2=3", "2=4").replace("-1.25\tnight", "-3\tday\n-1.25\tnight")
        .replace("-0.375\tday night", "-0.375\tday night\n-4\tday night")
    )  # fmt: skip
    (tmp_path / "once.arpa").write_text(CLOSED)
    texts = ["day night day", "night night"]
    one, other = (NgramModel.load(tmp_path / f"{name}.arpa") for name in ("once", "twice"))
    assert other.ngrams == (4, 3)
    np.testing.assert_array_equal(*(model.score_tokens(model.vocabulary.encode_batch(texts)) for model in (one, other)))


@pytest.mark.parametrize(("before", "after", "message"), [
    ("day night", "day nigh", r"closed.arpa:13: .*'nigh' is not among the unigrams"),
    ("\tday\t", "\t\udc80\t", r"closed.arpa:8: .*not UTF-8"),
    ("ngram 2=3\n", "ngram 2=0\nngram 3=1\n", r"closed.arpa:13: .*expected \\3-grams"),
])  # fmt: skip
def test_a_model_that_contradicts_itself_is_refused(before: str, after: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "closed.arpa"
    path.write_bytes(CLOSED.replace(before, after, 1).encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=message):
        read_arrays(path)


def test_an_ngram_without_its_context_is_refused(tmp_path: Path) -> None:
    grams: Grams = {("<s>",): (-1, 0), ("</s>",): (-1, None), ("a",): (-1, 0), ("a", "a"): (-1, 0)}
    write(tmp_path / "torn.arpa", grams | {("<s>", "a", "a"): (-1, None)}, 3)
    with pytest.raises(InputError, match=r"torn.arpa:15: .*the context '<s> a' is not among the 2-grams"):
        read_arrays(tmp_path / "torn.arpa")


def test_nothing_but_binary_files_needs_kenlm(tmp_path: Path) -> None:
    """In a process where KenLM cannot be imported."""
    (tmp_path / "closed.arpa").write_text(CLOSED)
    (tmp_path / "model.klm").write_bytes(b"mmap lm http://kheafield.com/code format version 5\n" + bytes(200))
    script = f"""
import sys
sys.modules["kenlm"] = None
from asr_lm.errors import InputError
from asr_lm.evaluation.perplexity import measure
from asr_lm.lm.loading import load_model
model = load_model({str(tmp_path / "closed.arpa")!r})
print(model.score_tokens(model.vocabulary.encode_batch(["day night"]))[0])
try:
    load_model({str(tmp_path / "model.klm")!r})
except InputError as error:
    print(error.message)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    score, refusal = done.stdout.splitlines()
    assert float(score) == pytest.approx(-1.5 * LN_10, abs=1e-5)
    assert "pip install 'asr_lm[kenlm]'" in refusal
