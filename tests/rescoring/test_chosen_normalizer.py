"""A normaliser chosen for a model that does not say what its text went through."""

from __future__ import annotations

from pathlib import Path

import pytest
from counting_model import listed
from noted_progress import Noted

import asr_lm
from asr_lm.errors import InputError
from asr_lm.rescoring.scoring.models import RescoringModel, feature_table, name_and_path
from asr_lm.rescoring.scoring.vocabulary_fit import VocabularyFit

WORDS = ("the", "ferry", "leaves", "at", "it's", "late", "forty", "two")


def arpa(path: Path, words: tuple[str, ...]) -> Path:
    """A unigram model of words, the later the less likely."""
    lines = [f"-{1 + number / 10:.1f}\t{word}" for number, word in enumerate(("</s>", *words))]
    path.write_text("\n".join(["\\data\\", f"ngram 1={len(lines)}", "", "\\1-grams:", *lines, "", "\\end\\", ""]))
    return path


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return arpa(tmp_path / "plain.arpa", WORDS)


@pytest.fixture
def capitals(tmp_path: Path) -> Path:
    return arpa(tmp_path / "capitals.arpa", tuple(map(str.upper, WORDS)))


@pytest.mark.parametrize("suffix", ["?normalizer=upper", "?normalizer=librispeech-upper", ""])
@pytest.mark.parametrize("named", ["big=", ""])
def test_it_is_part_of_what_names_a_model(capitals: Path, suffix: str, named: str) -> None:
    given = f"{named}{capitals}{suffix}"
    assert name_and_path(given) == (named[:-1] or "capitals", capitals)
    model = RescoringModel.open(given)
    assert model.model.normalizer == (suffix.partition("=")[2] or "as-is")


def test_the_model_reads_what_it_was_trained_on(plain: Path, capitals: Path) -> None:
    expected = asr_lm.load(plain).log_prob(["the ferry leaves at forty two", "it's late"]).tolist()
    for normalizer, texts in {
        "upper": ["The ferry leaves at forty two", "It's late"],
        "librispeech-upper": ["The ferry leaves -- at forty two.", "“It’s late!”"],
        "spoken-english-upper": ["the ferry leaves at 42", "IT'S LATE"],
    }.items():
        assert asr_lm.load(capitals, normalizer=normalizer).log_prob(texts).tolist() == expected
        assert asr_lm.load(f"{capitals}?normalizer={normalizer}").log_prob(texts).tolist() == expected


def test_the_list_keeps_what_the_recogniser_wrote(capitals: Path) -> None:
    heard = ["The ferry leaves!", "the FERRY, leaves"]
    table = feature_table(listed(heard), [RescoringModel.open(f"{capitals}?normalizer=librispeech-upper")])
    assert table.texts == tuple(heard)
    assert table.column("unknown:capitals").tolist() == [0.0, 0.0]
    assert len(set(table.column("capitals").tolist())) == 1


@pytest.mark.parametrize(
    ("heard", "fitting"),
    [
        ("The ferry leaves at forty two", "upper"),
        ("the, ferry: leaves. at? forty! two;", "librispeech-upper"),
        ("(the) [ferry] <leaves> at 42 42 42 42", "spoken-english-upper"),
    ],
)
def test_the_error_offers_what_fits(capitals: Path, heard: str, fitting: str) -> None:
    with pytest.raises(InputError, match=rf"give it as capitals=PATH\?normalizer={fitting}$"):
        feature_table(listed([heard]), [RescoringModel.open(str(capitals))])
    fits = Noted()
    feature_table(listed([heard]), [RescoringModel.open(f"{capitals}?normalizer={fitting}")], progress=fits)
    assert fits.warnings == []


def test_a_warning_offers_it_too(plain: Path) -> None:
    warned: list[str] = []
    heard = listed(["the ferry, leaves at; forty two, it's late the ferry"])
    feature_table(heard, [RescoringModel.open(str(plain))], fit=VocabularyFit(warned.append))
    assert warned[0].startswith("30.0 %")
    assert warned[0].endswith("give it as plain=PATH?normalizer=librispeech")


def test_one_that_throws_words_away_is_not_offered(plain: Path) -> None:
    with pytest.raises(InputError, match="does not fit this list") as caught:
        feature_table(listed(["паром уходит в сорок два the ferry"]), [RescoringModel.open(str(plain))])
    assert "?normalizer=" not in str(caught.value)


def test_none_is_offered_for_pieces_that_spell_everything() -> None:
    warned: list[str] = []
    heard = listed(["паром уходит в сорок два"])
    feature_table(heard, [RescoringModel.open("default")], fit=VocabularyFit(warned.append))
    assert warned[0].startswith("100.0 % of the hypotheses' words are unknown")
    assert "?normalizer=" not in warned[0]


@pytest.mark.parametrize("name", ["loud", "upper-upper-upper", ""])
def test_a_normaliser_that_is_none_is_refused(capitals: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"unknown normaliser.*expected one of as-is, lower, upper") as caught:
        RescoringModel.open(f"{capitals}?normalizer={name}")
    assert caught.value.parameter == "models"


def test_models_that_say_it_themselves_can_be_given_another() -> None:
    asked = asr_lm.load("default", normalizer="librispeech")
    assert asked.model.normalizer == "librispeech"
    words, digits = asked.log_prob(["order forty two lamps", "order 42 lamps"])
    assert words != digits
    assert asked.model.fingerprint() != asr_lm.load("default").model.fingerprint()
