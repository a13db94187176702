"""The Kneser-Ney estimator on Penn Treebank and on books: the published perplexity, and lmplz number by number."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv

from asr_lm.files import iterate_text
from asr_lm.lm.families.ngram import NgramModel, train_ngram
from asr_lm.lm.ngrams.arpa import write_arpa
from asr_lm.lm.ngrams.kneser_ney import estimate
from asr_lm.lm.training.corpus import TokenCorpus
from asr_lm.text.vocabulary import WordVocabulary

TEXT = Path(__file__).parents[2] / "../shared/data/text"
PENN = TEXT / "ptb"
BOOKS = TEXT / "books.train.txt.zst"

needs_penn = pytest.mark.skipif(not PENN.exists(), reason="no Penn Treebank here")
needs_lmplz = pytest.mark.skipif(shutil.which("lmplz") is None, reason="KenLM's lmplz is not on the PATH")


def penn(part: str, unknown: str = "<unk>") -> list[str]:
    return [" ".join(line.replace("<unk>", unknown).split()) for _, line in iterate_text(PENN / f"ptb.{part}.txt")]


def books(words: int) -> list[str]:
    sentences = []
    for _, line in iterate_text(BOOKS):
        if words <= 0:
            break
        sentences.append(line)
        words -= len(line.split())
    return sentences


@needs_penn
def test_penn_treebank_5_gram_has_its_perplexity(tmp_path: Path) -> None:
    """141.2 in table 4.1 of Mikolov's thesis (2012); 141.19 from lmplz. ``</s>`` counts, as do the 82,430 tokens."""
    train = penn("train")
    vocabulary = WordVocabulary.build(train)
    assert vocabulary.size == 10_001
    train_ngram(TokenCorpus.from_sentences(train, vocabulary), vocabulary, "as-is", tmp_path, order=5, binary=False)
    model = NgramModel.load(tmp_path)
    log_probs = np.concatenate(model.token_log_probs(model.vocabulary.encode_batch(penn("test"))))
    assert len(log_probs) == 82_430
    assert np.exp(-log_probs.mean()) == pytest.approx(141.19, abs=0.01)


def differences(sentences: list[str], order: int, prune: tuple[int, ...], folder: Path) -> tuple[float, float]:
    """Largest difference to lmplz in log10 of a probability and of a back-off weight, over all n-grams."""
    (folder / "text").write_text("".join(f"{sentence}\n" for sentence in sentences))
    options = ["-o", str(order), "-S", "1G", "-T", str(folder), "--prune", *map(str, prune)]
    files = ["--text", str(folder / "text"), "--arpa", str(folder / "theirs")]
    subprocess.run(["lmplz", *options, *files], check=True, capture_output=True)
    vocabulary = WordVocabulary.build(sentences)
    corpus = TokenCorpus.from_sentences(sentences, vocabulary)
    ids = {"bos_id": vocabulary.bos_id, "eos_id": vocabulary.eos_id, "vocabulary_size": vocabulary.size}
    model = estimate(corpus.tokens, corpus.offsets, order=order, prune=prune, **ids)
    with (folder / "ours").open("wb") as stream:
        write_arpa(stream, model.tables, vocabulary.tokens)
    largest = [0.0, 0.0]
    for ours, theirs in zip(sections(folder / "ours"), sections(folder / "theirs"), strict=True):
        assert ours["words"].equals(theirs["words"])
        for column, name in enumerate(ours.column_names[1:]):
            difference = np.abs(ours[name].to_numpy() - theirs[name].to_numpy()).max()
            largest[column] = max(largest[column], float(difference))
    return largest[0], largest[1]


def sections(arpa: Path) -> Iterator[pa.Table]:
    """Words, log10 probability and back-off weight (not in the last) of every order, sorted by words."""
    for section in arpa.read_bytes().split(b"-grams:\n")[1:]:
        body = section[: section.index(b"\n\n") + 1]
        names = ["log_prob", "words", "log_backoff"][: body.split(b"\n", 1)[0].count(b"\t") + 1]
        table = csv.read_csv(
            io.BytesIO(body),
            read_options=csv.ReadOptions(column_names=names),
            parse_options=csv.ParseOptions(delimiter="\t", quote_char=False),
            convert_options=csv.ConvertOptions(
                column_types={"words": pa.string(), "log_prob": pa.float64(), "log_backoff": pa.float64()},
                strings_can_be_null=False,
            ),
        )
        yield table.select(sorted(names, reverse=True)).sort_by("words").combine_chunks()


@needs_lmplz
@needs_penn
def test_penn_treebank_equals_lmplz(tmp_path: Path) -> None:
    """lmplz refuses a literal ``<unk>``, so it is renamed for both."""
    assert max(differences(penn("train", "UNKNOWN"), 5, (0,), tmp_path)) < 1e-5


@needs_lmplz
@pytest.mark.skipif(not BOOKS.exists(), reason="no book text here")
@pytest.mark.parametrize("prune", [(0,), (0, 0, 1, 1)])
def test_a_million_words_of_books_equal_lmplz(prune: tuple[int, ...], tmp_path: Path) -> None:
    assert max(differences(books(1_000_000), 4, prune, tmp_path)) < 1e-5
