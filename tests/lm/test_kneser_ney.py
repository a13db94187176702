"""The Kneser-Ney estimator: a case worked by hand, a plain-Python reference, laws, lmplz."""

from __future__ import annotations

import itertools
import math
import random
import shutil
import subprocess
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from asr_lm.errors import InputError
from asr_lm.lm.ngrams.arpa import write_arpa
from asr_lm.lm.ngrams.arpa_reading import read_arpa
from asr_lm.lm.ngrams.kneser_ney import DISCOUNT_FALLBACK, KneserNeyModel, estimate

UNK, BOS, EOS = 0, 1, 2
Gram = tuple[int, ...]
Text = list[list[int]]


def fit(text: Text, order: int, size: int, prune: Sequence[int] = (), **options: object) -> KneserNeyModel:
    tokens = np.array([token for sentence in text for token in sentence], dtype=np.int32)
    offsets = np.cumsum([0, *map(len, text)], dtype=np.int64)
    return estimate(tokens, offsets, order=order, vocabulary_size=size, bos_id=BOS, eos_id=EOS, prune=prune, **options)


def grams_of(model: KneserNeyModel) -> dict[Gram, tuple[float, float]]:
    """Probability and back-off weight of every n-gram."""
    grams: dict[Gram, tuple[float, float]] = {}
    lower: list[Gram] = [()]
    for table in model.tables:
        rows = [(*lower[context], int(word)) for context, word in zip(table.context, table.word, strict=True)]
        weights = np.zeros(len(table)) if table.log_backoff is None else table.log_backoff
        grams.update(zip(rows, zip(np.exp(table.log_prob), np.exp(weights), strict=True), strict=True))
        lower = rows
    return grams


def probability(grams: dict[Gram, tuple[float, float]], context: Gram, word: int) -> float:
    """p(word | context) as a back-off model defines it."""
    if (*context, word) in grams:
        return grams[(*context, word)][0]
    return grams.get(context, (0.0, 1.0))[1] * probability(grams, context[1:], word)


def random_text(seed: int, words: int = 12, sentences: int = 60) -> Text:
    """Sentences of words with a skewed distribution; some are empty, some are repeated."""
    generator = random.Random(seed)
    population = range(3, 3 + words)
    weights = [1 / rank for rank in range(1, words + 1)]
    text = [generator.choices(population, weights, k=generator.randint(0, 8)) for _ in range(sentences)]
    return text + generator.choices(text, k=sentences // 4)


def reference(
    text: Text, order: int, size: int, thresholds: Sequence[int], fallback: tuple[float, ...] = DISCOUNT_FALLBACK
) -> dict[Gram, tuple[float, float]]:
    """Modified Kneser-Ney straight from the definitions, one n-gram at a time."""
    padded = [[BOS, *sentence, EOS] for sentence in text]
    raw: Counter[Gram] = Counter()
    left: defaultdict[Gram, set[int]] = defaultdict(set)
    for sentence in padded:
        for length in range(1, order + 1):
            for end in range(max(length, 2), len(sentence) + 1):
                gram = tuple(sentence[end - length : end])
                raw[gram] += 1
                if end > length:
                    left[gram].add(sentence[end - length - 1])
    for word in range(size):
        raw[(word,)] += 0
    adjusted = {g: n if len(g) == order or (g[0] == BOS and len(g) > 1) else len(left[g]) for g, n in raw.items()}

    met = list(dict.fromkeys([BOS, EOS, *itertools.chain(*text)]))
    windows = {
        tuple(([BOS] * order + sentence)[end - order : end])
        for sentence in padded
        for end in range(order + 2, order + len(sentence) + 1)
    }
    last = max(windows, key=lambda window: [met.index(word) for word in reversed(window)])
    flushed = {last[-length:] for length in range(1, order)}

    discounts = []
    for length in range(1, order + 1):
        seen = Counter(raw[g] if g in flushed and g[:2] != (BOS, BOS) else adjusted[g] for g in raw if len(g) == length)
        n1, n2, n3, n4 = (seen[count] for count in (1, 2, 3, 4))
        amounts = (0.0, *fallback)
        if n1 and n2 and n3:
            y = n1 / (n1 + 2 * n2)
            closed = (0.0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
            if all(0 <= amount <= count for count, amount in enumerate(closed)):
                amounts = closed
        discounts.append(amounts)

    kept = {g for g in raw if len(g) == 1 or raw[g] > thresholds[len(g) - 1]}
    followers: defaultdict[Gram, list[Gram]] = defaultdict(list)
    for gram in raw:
        followers[gram[:-1]].append(gram)

    def weight(context: Gram) -> float:
        if not (total := sum(adjusted[g] for g in followers[context])):
            return 1.0
        return sum(discount(g) if g in kept else adjusted[g] for g in followers[context]) / total

    def discount(gram: Gram) -> float:
        return discounts[len(gram) - 1][min(adjusted[gram], 3)]

    def interpolated(gram: Gram) -> float:
        if not gram:
            return 1 / (size - 1)
        total = sum(adjusted[g] for g in followers[gram[:-1]])
        return (adjusted[gram] - discount(gram)) / total + weight(gram[:-1]) * interpolated(gram[1:])

    model = {g: (interpolated(g), weight(g) if len(g) < order else 1.0) for g in kept}
    model[(BOS,)] = (1.0, model[(BOS,)][1])
    return model


def test_worked_by_hand() -> None:
    """Sentences "a b" and "a", order 2, the fallback discounts 0.5, 1, 1.5 (no count is 3, so no closed form).

    Bigrams: <s> a twice, a b, b </s>, a </s> once. Left neighbours: a has 1 (<s>), b 1 (a), </s> 2 (a, b); sum 4.
    Unigrams: the weight of the uniform 1/4 (<unk>, </s>, a, b) is (0.5 + 0.5 + 1) / 4 = 1/2, so
    p(a) = p(b) = 0.5/4 + 1/8 = 0.25, p(</s>) = (2 - 1)/4 + 1/8 = 0.375, p(<unk>) = 0.125.
    After <s>: sum 2, weight 1/2, p(a | <s>) = (2 - 1)/2 + 0.25/2 = 0.625.
    After a: sum 2, weight (0.5 + 0.5)/2, p(b | a) = 0.5/2 + 0.25/2 = 0.375, p(</s> | a) = 0.25 + 0.375/2 = 0.4375.
    After b: sum 1, weight 1/2, p(</s> | b) = 0.5 + 0.375/2 = 0.6875.
    """
    a, b = 3, 4
    expected = {
        (UNK,): (0.125, 1.0),
        (BOS,): (1.0, 0.5),
        (EOS,): (0.375, 1.0),
        (a,): (0.25, 0.5),
        (b,): (0.25, 0.5),
        (BOS, a): (0.625, 1.0),
        (a, b): (0.375, 1.0),
        (a, EOS): (0.4375, 1.0),
        (b, EOS): (0.6875, 1.0),
    }
    model = fit([[a, b], [a]], 2, 5)
    assert grams_of(model) == {gram: pytest.approx(values) for gram, values in expected.items()}
    assert model.fallback_orders == [1, 2]


def test_pruning_worked_by_hand() -> None:
    """As above with bigrams seen once dropped: only <s> a stays, all the mass after a and after b goes to back-off."""
    a, b = 3, 4
    grams = grams_of(fit([[a, b], [a]], 2, 5, prune=(0, 1)))
    assert [gram for gram in grams if len(gram) == 2] == [(BOS, a)]
    assert grams[(BOS, a)][0] == pytest.approx(0.625)
    assert [grams[(word,)][1] for word in (BOS, a, b)] == pytest.approx([0.5, 1.0, 1.0])


def test_closed_form_discounts() -> None:
    """Words of raw counts 1 1 1 1, 2 2, 3, 4 and </s> 8: n1..n4 = 4 2 1 1, y = 4/8, D = 1/2, 2 - 3/4, 3 - 2."""
    counts = [1, 1, 1, 1, 2, 2, 3, 4]
    text = [[3 + word for word, count in enumerate(counts) if count > line] for line in range(8)]
    discounts = fit(text, 1, 11).discounts[0]
    assert discounts.amounts == pytest.approx((0.5, 1.25, 1.0))
    assert not discounts.fallback


@pytest.mark.parametrize(("order", "thresholds"), [
    (1, (0,)), (2, (0, 0)), (3, (0, 0, 0)), (4, (0, 0, 0, 0)), (5, (0, 0, 1, 1, 2)), (6, (0, 0, 0, 0, 0, 1)),
    (2, (0, 2)), (3, (0, 1, 3)), (4, (0, 0, 0, 1)),
])  # fmt: skip
def test_equals_plain_reference(order: int, thresholds: tuple[int, ...]) -> None:
    for seed in range(8):
        text = random_text(seed)
        model = grams_of(fit(text, order, 17, prune=thresholds))
        expected = reference(text, order, 17, thresholds)
        assert model.keys() == expected.keys()
        ours = np.array([model[gram] for gram in expected])
        np.testing.assert_allclose(ours, list(expected.values()), rtol=2e-6)


def test_equals_plain_reference_where_no_word_is_new_after_the_first_sentence() -> None:
    """``</s>`` is then the last to appear, but not the last in the order that decides the counts of counts."""
    for seed in range(8):
        text = [[3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14], *random_text(seed)]
        expected = reference(text, 3, 15, (0, 0, 0))
        ours = grams_of(fit(text, 3, 15))
        np.testing.assert_allclose([ours[gram] for gram in expected], list(expected.values()), rtol=2e-6)


@pytest.mark.parametrize("text", [[[]], [[], []], [[3]], [[3, 3, 3, 3]], [[0, 3], [3, 0]]])
def test_tiny_texts_equal_the_reference(text: Text) -> None:
    for order in range(1, 7):
        expected = reference(text, order, 5, (0,) * order)
        model = grams_of(fit(text, order, 5))
        assert model == {gram: pytest.approx(values, rel=2e-6) for gram, values in expected.items()}


@pytest.mark.parametrize("prune", [(), (0, 1), (0, 0, 2)])
def test_probabilities_sum_to_one_after_any_context(prune: tuple[int, ...]) -> None:
    size = 17  # two words never occur
    grams = grams_of(fit(random_text(3), 3, size, prune=prune))
    words = [word for word in range(size) if word != BOS]
    contexts = [(), (BOS,), *((BOS, word) for word in words), *itertools.product(words, words)]
    totals = [sum(probability(grams, context, word) for word in words) for context in contexts]
    np.testing.assert_allclose(totals, 1.0, atol=1e-6)


def test_words_that_never_occur_share_the_probability_of_unk() -> None:
    grams = grams_of(fit(random_text(1), 3, 17))
    assert grams[(15,)][0] == grams[(16,)][0] == grams[(UNK,)][0] > 0
    assert grams[(15,)][1] == 1.0


def test_every_ngram_has_its_context_and_its_suffix() -> None:
    grams = grams_of(fit(random_text(5), 5, 17, prune=(0, 1, 1, 2)))
    longer = [gram for gram in grams if len(gram) > 1]
    assert longer
    assert all(gram[:-1] in grams and gram[1:] in grams for gram in longer)


def test_numbering_of_the_words_does_not_matter() -> None:
    text = random_text(2)
    shuffled = dict(enumerate([UNK, BOS, EOS, *random.Random(0).sample(range(3, 17), 14)]))
    renamed = [[shuffled[token] for token in sentence] for sentence in text]
    plain, other = grams_of(fit(text, 4, 17)), grams_of(fit(renamed, 4, 17))
    translated = {tuple(shuffled[token] for token in gram): values for gram, values in plain.items()}
    assert other == {gram: pytest.approx(values, rel=1e-6) for gram, values in translated.items()}


def test_narrow_token_types_do_not_overflow() -> None:
    text = [[60_000, 59_999, 60_000, 3], [59_999, 60_000]]
    tokens = np.array([*text[0], *text[1]], dtype=np.uint16)
    offsets = np.array([0, 4, 6])
    narrow = estimate(tokens, offsets, order=3, vocabulary_size=60_001, bos_id=BOS, eos_id=EOS)
    assert grams_of(narrow) == grams_of(fit(text, 3, 60_001))


def test_fallback_is_used_and_recorded_where_the_closed_form_fails() -> None:
    model = fit([[3, 4, 5]] * 7, 2, 6, fallback=(0.1, 0.2, 0.3))
    assert model.fallback_orders == [1, 2]
    assert model.discounts[1].amounts == (0.1, 0.2, 0.3)
    assert grams_of(model)[(3,)][1] == pytest.approx(0.3 / 7)


@pytest.mark.parametrize(("options", "message"), [
    ({"order": 0}, "order 0 is not possible"),
    ({"order": 7}, "order 1 to 6"),
    ({"prune": (1,)}, "unigrams are never pruned"),
    ({"prune": (0, 2, 1)}, "must not decrease"),
    ({"prune": (0, 0, 0, 1)}, "4 pruning counts for a model of order 3"),
    ({"fallback": (0.5, 2.5, 1.0)}, "discount of count 2 must lie between 0 and 2"),
    ({"text": []}, "no sentence"),
    ({"text": [[3], [3, 9]]}, "sentence 2: token id 9"),
    ({"text": [[3], [], [BOS]]}, "sentence 3: token id 1"),
    ({"text": [[EOS, 3]]}, "sentence 1: token id 2"),
])  # fmt: skip
def test_bad_input_is_refused(options: dict[str, object], message: str) -> None:
    arguments = {"text": [[3, 4]], "order": 3, "size": 9, **options}
    with pytest.raises(InputError, match=message):
        fit(**arguments)  # type: ignore[arg-type]


def write_words(text: Text, path: Path) -> None:
    path.write_text("".join(" ".join(f"w{token}" for token in sentence) + "\n" for sentence in text))


@pytest.mark.skipif(shutil.which("lmplz") is None, reason="KenLM's lmplz is not on the PATH")
@pytest.mark.parametrize(("order", "prune"), [(1, "0"), (2, "0"), (3, "0"), (4, "0 0 1 1"), (5, "0 1 1 2 2"), (6, "0")])
def test_equals_lmplz(order: int, prune: str, tmp_path: Path) -> None:
    for seed in (1, 2):
        text = random_text(seed, words=200, sentences=2000)
        write_words(text, tmp_path / "text")
        command = ["lmplz", "-o", str(order), "-S", "100M", "--discount_fallback", "--prune", *prune.split()]
        files = ["-T", str(tmp_path), "--text", str(tmp_path / "text"), "--arpa", str(tmp_path / "lmplz.arpa")]
        subprocess.run([*command, *files], check=True, capture_output=True)
        met = dict.fromkeys(itertools.chain(*text))
        dense = {token: 3 + index for index, token in enumerate(met)}
        model = fit(
            [[dense[token] for token in sentence] for sentence in text],
            order,
            3 + len(met),
            [int(threshold) for threshold in prune.split()][:order],
        )
        tokens = ["<unk>", "<s>", "</s>", *(f"w{token}" for token in met)]
        with (tmp_path / "ours.arpa").open("wb") as stream:
            write_arpa(stream, model.tables, tokens)
        ours = {entry.words: entry for entry in read_arpa(tmp_path / "ours.arpa")}
        theirs = {entry.words: entry for entry in read_arpa(tmp_path / "lmplz.arpa")}
        assert ours.keys() == theirs.keys()
        for words, entry in theirs.items():
            assert math.isclose(ours[words].log_prob, entry.log_prob, abs_tol=1e-5)
            assert math.isclose(ours[words].log_backoff, entry.log_backoff, abs_tol=1e-5)
