"""The n-gram model: training folder, bare files, scores, damage."""

from __future__ import annotations

import gzip
import json
import math
import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asr_lm.errors import InputError
from asr_lm.lm.families.ngram import NgramModel, NgramTraining, train_ngram
from asr_lm.lm.loading import load_model
from asr_lm.lm.ngrams.arpa_reading import read_arpa
from asr_lm.lm.ngrams.arrays import Log10, NgramArrays, Rows
from asr_lm.lm.training.corpus import TokenCorpus
from asr_lm.text.vocabulary import SentencePieceVocabulary, Vocabulary, WordVocabulary

WORDS = ["the", "a", "cat", "dog", "bird", "sees", "hears", "likes", "small", "old", "green", "and", "it", "that"]
SMALL = """\\data\\
ngram 1=4
ngram 2=2

\\1-grams:
-1.5\t<unk>
0\t<s>\t-0.25
-0.5\t</s>
-0.75\tday

\\2-grams:
-0.125\t<s> day
-0.25\tday </s>

\\end\\
"""


def sentences(seed: int, count: int = 300) -> list[str]:
    generator = random.Random(seed)
    weights = [1 / (1 + rank) for rank in range(len(WORDS))]
    return [" ".join(generator.choices(WORDS, weights, k=generator.randint(1, 9))) for _ in range(count)]


def train(folder: Path, text: list[str], vocabulary: Vocabulary, **options: object) -> NgramTraining:
    corpus = TokenCorpus.from_sentences(text, vocabulary)
    return train_ngram(corpus, vocabulary, "as-is", folder, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained folder; its vocabulary lacks one word of the text and has one that never occurs."""
    path = tmp_path_factory.mktemp("models") / "ngram"
    vocabulary = WordVocabulary([word for word in WORDS if word != "that"] + ["zebra"])
    train(path, sentences(0), vocabulary, order=3, binary=False)
    return path


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.arpa"
    path.write_text(SMALL)
    return path


def back_off(grams: dict[tuple[str, ...], tuple[float, float]], context: tuple[str, ...], word: str) -> float:
    """Log p(word | context) as the ARPA format defines it."""
    if (*context, word) in grams:
        return grams[(*context, word)][0]
    return grams.get(context, (0.0, 0.0))[1] + back_off(grams, context[1:], word)


def test_scores_are_those_of_the_arpa_file(folder: Path) -> None:
    model = NgramModel.load(folder)
    grams = {entry.words: (entry.log_prob, entry.log_backoff) for entry in read_arpa(folder / "model.arpa")}
    texts = [*sentences(1, 40), "", "zebra", "that that gnu the"]
    for text, log_probs in zip(texts, model.token_log_probs(model.vocabulary.encode_batch(texts)), strict=True):
        known = [word if (word,) in grams else "<unk>" for word in text.split()]
        padded = ["<s>", *known, "</s>"]
        expected = [back_off(grams, tuple(padded[max(0, i - 2) : i]), padded[i]) for i in range(1, len(padded))]
        np.testing.assert_allclose(log_probs, expected, atol=1e-5)


def test_probabilities_sum_to_one(folder: Path) -> None:
    model = NgramModel.load(folder)
    ids = [index for index in range(model.vocabulary.size) if index != model.vocabulary.bos_id]
    for context in ([], [3], [0, 5], [4, 4, 4], [3, 4, 9, 16]):
        one_longer = [np.array([*context, index], dtype=np.int32) for index in ids]
        values = [log_probs[len(context)] for log_probs in model.token_log_probs(one_longer)]
        assert np.exp(values).sum() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("budget", [1, 7, 50])
def test_budget_and_company_change_nothing(folder: Path, budget: int) -> None:
    model = NgramModel.load(folder)
    texts = model.vocabulary.encode_batch([*sentences(2, 60), "", "", "the cat"])
    alone = [model.token_log_probs([text])[0] for text in texts]
    for together, expected in zip(model.token_log_probs(texts, budget), alone, strict=True):
        np.testing.assert_array_equal(together, expected)


def test_each_distinct_prefix_is_scored_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = NgramModel.load(folder)
    asked: list[str] = []
    score = NgramArrays.tree_log10

    def counting(self: NgramArrays, parents: Rows, words: Rows) -> Log10:
        asked.extend(self.words[word] for word in words[1:])
        return score(self, parents, words)

    monkeypatch.setattr(NgramArrays, "tree_log10", counting)
    model.token_log_probs(model.vocabulary.encode_batch(["the cat sees", "the cat", "the cat sees", "the dog"]))
    assert sorted(asked) == sorted(["the", "cat", "sees", "</s>", "</s>", "dog", "</s>"])


def test_unknown_words_are_charged_unk(folder: Path) -> None:
    model = NgramModel.load(folder)
    gnu, literal = model.token_log_probs(model.vocabulary.encode_batch(["gnu", "<unk>"]))
    np.testing.assert_array_equal(gnu, literal)
    # The text holds unknown words, so <unk> costs more than a frequent word and less than one that never occurs.
    the, zebra = model.token_log_probs(model.vocabulary.encode_batch(["the", "zebra"]))
    assert the[0] > gnu[0] > zebra[0]


def test_a_predicted_sentence_start_is_not_free(folder: Path) -> None:
    model = NgramModel.load(folder)
    start, unknown = model.token_log_probs([np.array([1], np.int32), np.array([0], np.int32)])
    np.testing.assert_array_equal(start, unknown)


def test_training_is_described(folder: Path, tmp_path: Path) -> None:
    result = train(tmp_path, ["the cat"] * 5, WordVocabulary(["the", "cat"]), order=2, prune=(0, 0))
    assert result.fallback_orders == (1, 2)
    assert result.ngrams == (5, 3)
    config = json.loads((folder / "config.json").read_text())
    assert config["family"] == "ngram"
    assert config["order"] == 3
    assert config["vocabulary"] == {"kind": "words", "size": 17}
    assert config["training"]["sentences"] == 300
    model = NgramModel.load(folder)
    assert list(model.ngrams) == config["ngrams"]
    assert model.parameters == sum(config["ngrams"])
    assert model.normalizer == "as-is"


def test_load_opens_folders_and_files(folder: Path, small: Path) -> None:
    assert isinstance(load_model(folder), NgramModel)
    assert isinstance(load_model(small), NgramModel)


def test_saving_and_loading_change_nothing(folder: Path, small: Path, tmp_path: Path) -> None:
    texts = ["the cat day", "", "gnu day"]
    for path in (folder, small):
        model = NgramModel.load(path)
        saved = tmp_path / f"saved-{path.name}"
        model.save(saved)
        again = NgramModel.load(saved)
        assert again.fingerprint() == model.fingerprint()
        assert again.ngrams == model.ngrams
        before = model.token_log_probs(model.vocabulary.encode_batch(texts))
        after = again.token_log_probs(again.vocabulary.encode_batch(texts))
        for one, other in zip(before, after, strict=True):
            np.testing.assert_array_equal(one, other)


def test_saving_into_its_own_folder(copied: Path) -> None:
    model = NgramModel.load(copied)
    model.save(copied)
    assert NgramModel.load(copied).fingerprint() == model.fingerprint()


def test_fingerprint_depends_on_model_vocabulary_and_normalizer(folder: Path, small: Path, tmp_path: Path) -> None:
    other_text, other_words = tmp_path / "text", tmp_path / "words"
    vocabulary = WordVocabulary([word for word in WORDS if word != "that"] + ["zebra"])
    train(other_text, sentences(1), vocabulary, order=3, binary=False)
    train(other_words, sentences(0), WordVocabulary(WORDS), order=3, binary=False)
    paths = [folder, small, other_text, other_words]
    prints = {NgramModel.load(path).fingerprint() for path in paths}
    prints.add(NgramModel(small, None, "unicode").fingerprint())
    assert len(prints) == 5


def test_a_bare_file_asks_the_model_for_its_words(small: Path) -> None:
    """p(day | <s>) stands in the file; day has no back-off column, so p(gnu | day) is p(<unk>) alone."""
    model = NgramModel.load(small)
    day, unknown, again = model.vocabulary.encode_batch(["day", "gnu", "day <unk> <s> day"])
    assert day.tolist() == [3]
    assert unknown.tolist() == [0]
    assert again.tolist() == [3, 0, 0, 3]
    assert model.vocabulary.unknown_words("gnu day <s>") == 2
    assert model.vocabulary.decode([3, 0]) == "day <unk>"
    assert not model.vocabulary.is_open
    (values,) = model.token_log_probs(model.vocabulary.encode_batch(["day gnu"]))
    np.testing.assert_allclose(values / math.log(10), [-0.125, -1.5, -0.5], atol=1e-6)


def test_meeting_words_does_not_change_the_fingerprint(small: Path) -> None:
    model = NgramModel.load(small)
    before = model.fingerprint()
    model.vocabulary.encode("day gnu")
    assert model.fingerprint() == before


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_compressed_files_are_read(small: Path, tmp_path: Path, pack: object) -> None:
    packed = tmp_path / "packed"
    packed.write_bytes(pack(small.read_bytes()))  # type: ignore[operator]
    model = NgramModel.load(packed)
    assert model.ngrams == (4, 2)
    assert model.score_tokens(model.vocabulary.encode_batch(["day"])) == pytest.approx(-0.375 * math.log(10))
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(InputError):
        NgramModel.load(packed)


def test_unigrams_without_a_backoff_column_are_kept(small: Path) -> None:
    model = NgramModel.load(small)
    assert model.knows("day")
    (values,) = model.token_log_probs(model.vocabulary.encode_batch(["day day"]))
    assert values[1] == pytest.approx(-0.75 * math.log(10))


@pytest.mark.parametrize("order", [1, 5, 6])
def test_orders_kenlm_is_particular_about(order: int, tmp_path: Path) -> None:
    vocabulary = WordVocabulary(["cat", "dog"])
    train(tmp_path, ["cat", "dog cat"], vocabulary, order=order, binary=False)
    model = NgramModel.load(tmp_path)
    values = model.token_log_probs([np.array([index], np.int32) for index in (0, 2, 3, 4)])
    assert np.exp([log_probs[0] for log_probs in values]).sum() == pytest.approx(1.0, abs=1e-6)


def test_pieces_of_sentencepiece(tmp_path: Path) -> None:
    text = sentences(5)
    vocabulary = SentencePieceVocabulary.train(text, 300)
    train(tmp_path, text, vocabulary, order=3, binary=False)
    model = NgramModel.load(tmp_path)
    assert isinstance(model.vocabulary, SentencePieceVocabulary)
    seen, unseen = model.score_tokens(model.vocabulary.encode_batch([text[0], "ein Gnu"]))
    assert unseen < seen < 0


def test_retraining_replaces_a_folder_of_another_kind(tmp_path: Path) -> None:
    text = sentences(6)
    (tmp_path / "model.bin").write_bytes(b"left over")
    train(tmp_path, text, WordVocabulary(WORDS), order=2, binary=False)
    train(tmp_path, text, SentencePieceVocabulary.train(text, 300), order=2, binary=False)
    assert NgramModel.load(tmp_path).vocabulary.kind == "sentencepiece"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.arpa", "tokens.model"]


def test_a_run_that_fails_leaves_no_model(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("asr_lm.lm.families.ngram.write_arpa", full_disk)
    with pytest.raises(InputError, match="No space left"):
        train(copied, sentences(0), WordVocabulary(WORDS), order=2)
    with pytest.raises(InputError, match=r"no config\.json"):
        NgramModel.load(copied)


def test_bad_options_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with pytest.raises(InputError, match="order 7 is not possible"):
        train(target, ["the"], WordVocabulary(["the"]), order=7)
    with pytest.raises(InputError, match="is <unk> to KenLM"):
        train(target, ["the"], WordVocabulary(["the", "<UNK>"]), order=2)
    with pytest.raises(InputError, match="must not decrease"):
        train(target, ["the"], WordVocabulary(["the"]), order=3, prune=(0, 2, 1))
    with pytest.raises(InputError, match="no sentence"):
        train(target, [], WordVocabulary(["the"]), order=2)
    assert not target.exists()


def damage_config(key: str, value: object) -> object:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        config[key] = value
        (folder / "config.json").write_text(json.dumps(config))

    return change


def rewrite(name: str, before: str, after: str) -> object:
    def change(folder: Path) -> None:
        path = folder / name
        path.write_text(path.read_text().replace(before, after, 1))

    return change


@pytest.mark.parametrize(("damage", "message"), [
    (lambda folder: (folder / "config.json").unlink(), "no config.json"),
    (lambda folder: (folder / "config.json").write_text("{"), "not readable as JSON"),
    (lambda folder: (folder / "config.json").write_text("[]"), "not the configuration"),
    (damage_config("format", 2), "another version"),
    (damage_config("family", "lstm"), "family 'lstm', expected 'ngram'"),
    (damage_config("normalizer", None), "normalizer"),
    (damage_config("files", {}), "model.arpa or model.bin"),
    (damage_config("files", {"../other": ""}), "model.arpa or model.bin"),
    (damage_config("vocabulary", "words"), "field vocabulary"),
    (lambda folder: (folder / "model.arpa").unlink(), "cannot be read"),
    (lambda folder: os.truncate(folder / "model.arpa", 900), "not as it was written"),
    (rewrite("model.arpa", "cat", "cot"), "not as it was written"),
    (lambda folder: (folder / "words.txt").unlink(), "no vocabulary"),
    (rewrite("words.txt", "cat", "cot"), "not the one of the model"),
])  # fmt: skip
def test_a_damaged_folder_is_refused(copied: Path, damage: object, message: str) -> None:
    damage(copied)  # type: ignore[operator]
    with pytest.raises(InputError, match=message) as caught:
        NgramModel.load(copied)
    assert str(copied) in str(caught.value)


@pytest.mark.parametrize(("before", "after", "message"), [
    ("\\2-grams:\n-0.125\t<s> day\n-0.25\tday </s>\n\n", "", r"small.arpa:11: .*expected \\2-grams:"),
    ("\\end\\", "", "ends before"),
    ("-0.25\tday </s>\n", "", "small.arpa:14: .*expected a probability, 2 words"),
    ("-0.75\tday", "0.75\tday", "small.arpa:9: .*above 0"),
    ("\\data\\", "mmap lm http://kheafield.com/code format version 4\n" + 90 * " ", "version 4"),
    ("\\data\\", "", "small.arpa"),
])  # fmt: skip
def test_a_damaged_bare_file_is_refused(small: Path, before: str, after: str, message: str) -> None:
    small.write_text(SMALL.replace(before, after, 1))
    with pytest.raises(InputError, match=message):
        NgramModel.load(small)


def test_an_order_that_kenlm_cannot_read(tmp_path: Path) -> None:
    """Seven words: the n-gram of all of them is found, and a longer context is cut to six."""
    header = "".join(f"ngram {order}=4\n" for order in range(1, 8))
    sections = ""
    for order in range(1, 8):
        rows = "".join(f"-{order}\t{' '.join([word] * order)}\t-0.5\n" for word in ("<s>", "</s>", "<unk>", "a"))
        sections += f"\\{order}-grams:\n{rows}\n"
    path = tmp_path / "seven.arpa"
    path.write_text(f"\\data\\\n{header}\n{sections}\\end\\\n")
    model = NgramModel.load(path)
    assert (model.order, model.ngrams) == (7, (4,) * 7)
    (values,) = model.token_log_probs(model.vocabulary.encode_batch(["a " * 9]))
    # The first word backs off from <s>, the last from contexts of one word to six.
    expected = [-1.5, *range(-2, -8, -1), -7, -7, -1 - 6 * 0.5]
    np.testing.assert_allclose(values / math.log(10), expected, rtol=1e-6)


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        NgramModel.load(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"no config\.json"):
        NgramModel.load(tmp_path)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_random_damage_loads_or_is_refused(data: st.DataObject, tmp_path: Path) -> None:
    content = bytearray(SMALL.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(content) - 1))
        content[position : position + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=3))
    path = tmp_path / "damaged.arpa"
    path.write_bytes(bytes(content))
    try:
        model = NgramModel.load(path)
    except InputError as error:
        assert str(path) in str(error)  # noqa: PT017
    else:
        assert np.isfinite(model.score_tokens(model.vocabulary.encode_batch(["day gnu", ""]))).all()


def fake_build_binary(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / "bin" / "build_binary"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


def test_a_failing_build_binary_leaves_the_arpa_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_build_binary(tmp_path, monkeypatch, "echo 'order too high' >&2; exit 1")
    result = train(tmp_path / "model", sentences(0), WordVocabulary(WORDS), order=2)
    assert not result.binary
    assert "order too high" in str(result.binary_failure)
    assert NgramModel.load(tmp_path / "model").file.name == "model.arpa"
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["config.json", "model.arpa", "words.txt"]


@pytest.mark.skipif(shutil.which("build_binary") is None, reason="KenLM's build_binary is not on the PATH")
def test_the_binary_gives_what_the_arpa_file_gives(tmp_path: Path) -> None:
    text = sentences(0)
    result = train(tmp_path, text, WordVocabulary(WORDS), order=4)
    assert result.binary
    arpa = NgramModel.load(tmp_path)
    assert arpa.file.name == "model.arpa"
    binary = NgramModel(tmp_path / "model.bin", arpa.vocabulary, "as-is")
    assert binary.ngrams == arpa.ngrams == result.ngrams
    np.testing.assert_allclose(
        binary.score_tokens(binary.vocabulary.encode_batch(text)),
        arpa.score_tokens(arpa.vocabulary.encode_batch(text)),
        atol=1e-4,
    )
    bare = NgramModel.load(tmp_path / "model.bin")
    bare.save(tmp_path / "saved")
    assert NgramModel.load(tmp_path / "saved").file.name == "model.bin"
    for length in (10, 200, (tmp_path / "model.bin").stat().st_size - 100):
        os.truncate(tmp_path / "model.bin", length)
        with pytest.raises(InputError):
            NgramModel.load(tmp_path / "model.bin")
        shutil.copy(tmp_path / "saved" / "model.bin", tmp_path / "model.bin")
