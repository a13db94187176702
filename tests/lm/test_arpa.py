"""ARPA files: written and read back, and damage named by line."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_lm.errors import InputError
from asr_lm.lm.ngrams import arpa, arpa_reading
from asr_lm.lm.ngrams.arpa import write_arpa
from asr_lm.lm.ngrams.arpa_reading import ArpaEntry, read_arpa, read_counts
from asr_lm.lm.ngrams.kneser_ney import NgramTable

SMALL = """\\data\\
ngram 1=4
ngram 2=2

\\1-grams:
-1\t<unk>
0\t<s>\t-0.25
-0.5\t</s>
-0.75\tday\t-0.125

\\2-grams:
-0.5\t<s> day
-0.25\tday </s>

\\end\\
"""


def tables(generator: np.random.Generator, sizes: tuple[int, ...], words: int) -> list[NgramTable]:
    """Random n-grams; not a model, but all that the format holds."""
    result: list[NgramTable] = []
    below = 1
    for order, size in enumerate(sizes, 1):
        log_prob, log_backoff = -generator.exponential(3.0, (2, size)).astype(np.float32)
        context = np.sort(generator.integers(0, below, size))
        word = np.arange(size) if order == 1 else generator.integers(0, words, size)
        result.append(NgramTable(context, word, log_prob, None if order == len(sizes) else log_backoff))
        below = size
    return result


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    tokens = ["<unk>", "<s>", "</s>", "naïve", "'", "天气", '"', "\\data\\"]
    written = tables(np.random.default_rng(0), (8, 30, 50), 8)
    with (tmp_path / "model.arpa").open("wb") as stream:
        write_arpa(stream, written, tokens)
    entries = list(read_arpa(tmp_path / "model.arpa"))
    assert read_counts(tmp_path / "model.arpa") == [8, 30, 50]
    log_prob = np.concatenate([table.log_prob for table in written])
    np.testing.assert_allclose([entry.log_prob for entry in entries], log_prob, rtol=3e-7)
    backoff = np.concatenate([t.log_backoff if t.log_backoff is not None else np.zeros(len(t)) for t in written])
    np.testing.assert_allclose([entry.log_backoff for entry in entries], backoff, rtol=3e-7)
    last = written[2]
    row = 17
    context = last.context[row]
    ids = (written[1].context[context], written[1].word[context], last.word[row])
    assert entries[38 + row].words == tuple(tokens[index] for index in ids)


def test_size_of_the_chunks_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    written = tables(np.random.default_rng(1), (9, 40), 9)
    tokens = [f"w{index}" for index in range(9)]
    whole, pieces = io.BytesIO(), io.BytesIO()
    write_arpa(whole, written, tokens)
    monkeypatch.setattr(arpa, "_CHUNK", 7)
    write_arpa(pieces, written, tokens)
    assert pieces.getvalue() == whole.getvalue()


def test_a_missing_backoff_column_is_a_weight_of_one(tmp_path: Path) -> None:
    path = tmp_path / "small.arpa"
    path.write_text(SMALL)
    entries = list(read_arpa(path))
    assert entries[0] == ArpaEntry(("<unk>",), -math.log(10), 0.0)
    assert entries[3].log_backoff == pytest.approx(-0.125 * math.log(10))
    assert entries[5].words == ("day", "</s>")
    assert len(entries) == 6


def test_windows_line_ends_comments_and_compression(tmp_path: Path) -> None:
    plain = tmp_path / "plain.arpa"
    plain.write_text(SMALL)
    other = tmp_path / "other.arpa"
    other.write_bytes(b"# made by hand\r\n\r\n" + SMALL.replace("\n", "\r\n").encode())
    assert list(read_arpa(other)) == list(read_arpa(plain))


@pytest.mark.parametrize(("before", "after"), [
    pytest.param("\t", " ", id="spaces for tabs"),
    pytest.param("\t", "  ", id="runs of spaces"),
    pytest.param("<s> day", "<s>  day", id="two spaces between words"),
    pytest.param("\n-", " \n-", id="blanks at the end of a line"),
    pytest.param("\n\\2", "\n\n\n\\2", id="blank lines"),
    pytest.param("\n-0.25", "\n\n-0.25", id="a blank line between n-grams"),
    pytest.param("\\data", "written by a program\n\n# as text\n\\data", id="text before the header"),
    pytest.param("\\data", "\ufeff\\data", id="byte-order mark"),
    pytest.param("ngram 1=4", "ngram  1 = 4", id="blanks in the header"),
    pytest.param("day </s>", "day </s>\t0", id="a back-off column in the highest order"),
    pytest.param("-0.5", "-5.0E-1", id="exponents"),
    pytest.param("\\end\\\n", "\\end\\", id="no line end at the end"),
    pytest.param("\\end\\\n", "\\end\\\nand more\n", id="text behind the end"),
])  # fmt: skip
def test_what_other_programs_write_is_read(before: str, after: str, tmp_path: Path) -> None:
    assert before in SMALL
    (tmp_path / "plain.arpa").write_text(SMALL)
    (tmp_path / "other.arpa").write_text(SMALL.replace(before, after))
    assert list(read_arpa(tmp_path / "other.arpa")) == list(read_arpa(tmp_path / "plain.arpa"))


def test_probabilities_beyond_the_range_of_numbers(tmp_path: Path) -> None:
    """SRILM writes -99 for zero; a probability that was rounded above one is one."""
    path = tmp_path / "small.arpa"
    path.write_text(SMALL.replace("-0.5\t</s>", "-inf\t</s>").replace("-0.75\tday", "+1e-6\tday"))
    entries = list(read_arpa(path))
    assert [entry.log_prob for entry in entries[1:4]] == pytest.approx([0, -99 * math.log(10), 0])


@pytest.mark.parametrize("kind", ["iARPA", "qARPA"])
def test_intermediate_files_of_irstlm_are_refused_with_the_way_out(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "small.ilm"
    path.write_text(f"{kind}\n{SMALL}")
    with pytest.raises(InputError, match="compile-lm --text=yes"):
        list(read_arpa(path))


def test_a_line_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "long.arpa"
    path.write_bytes(SMALL.encode().replace(b"day </s>", b"x" * 8_000_000))
    with pytest.raises(InputError, match=r"long.arpa:13: .*a line of more than"):
        list(read_arpa(path))


@pytest.mark.parametrize("block", [1, 7, 64])
def test_size_of_the_blocks_does_not_matter(block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "small.arpa"
    path.write_text(SMALL)
    whole = list(read_arpa(path))
    monkeypatch.setattr(arpa_reading, "_BLOCK", block)
    assert list(read_arpa(path)) == whole
    path.write_text(SMALL.replace("-0.25\tday </s>", "x\tday </s>"))
    with pytest.raises(InputError, match=r"small.arpa:13: "):
        list(read_arpa(path))


@pytest.mark.parametrize(("before", "after", "line", "message"), [
    ("\\data\\", "data", 1, "expected \\data\\"),
    ("ngram 2=2", "ngram 3=2", 3, "expected ngram 2=COUNT"),
    ("ngram 2=2", "ngram 2=two", 3, "expected ngram 2=COUNT"),
    ("ngram 1=4\nngram 2=2\n", "", 2, "expected ngram 1=COUNT"),
    ("\\2-grams:", "\\3-grams:", 11, "expected \\2-grams:"),
    ("\\2-grams:\n-0.5\t<s> day\n-0.25\tday </s>\n\n", "", 11, "expected \\2-grams:"),
    ("ngram 1=4", "ngram 1=3", 9, "expected \\2-grams:"),
    ("ngram 1=4", "ngram 1=5", 11, "expected a probability, 1 word and"),
    ("<s> day", "<s> fine day", 12, "expected a probability, 2 words"),
    ("-0.5\t<s> day", "-0.5\t<s> fine 1984", 12, "expected a probability, 2 words"),
    ("-0.75\tday\t-0.125", "-0.75", 9, "expected a probability, 1 word and"),
    ("-0.5\t<s> day", "half\t<s> day", 12, "not a number"),
    ("-0.5\t<s> day", "0.5\t<s> day", 12, "above 0"),
    ("-0.5\t<s> day", "nan\t<s> day", 12, "above 0"),
    ("day\t-0.125", "day\tinf", 9, "not finite"),
    ("\\end\\", "\\fin\\", 15, "expected \\end\\"),
])  # fmt: skip
def test_damage_is_named_by_line(before: str, after: str, line: int, message: str, tmp_path: Path) -> None:
    path = tmp_path / "damaged.arpa"
    path.write_text(SMALL.replace(before, after, 1))
    with pytest.raises(InputError) as caught:
        list(read_arpa(path))
    assert caught.value.line == line
    assert message in str(caught.value)


@settings(max_examples=300, deadline=None)
@given(cut=st.integers(0, len(SMALL) - 7))
def test_a_file_cut_short_is_refused(cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.arpa"
    path.write_text(SMALL[:cut])
    with pytest.raises(InputError):
        list(read_arpa(path))
