"""What each normaliser makes of real spellings, and the laws they all obey."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_lm.errors import InputError
from asr_lm.text.normalizer import (
    NORMALIZERS,
    as_is,
    chinese_characters,
    english,
    get_normalizer,
    librispeech,
    spoken_english,
    unicode_words,
)

# Text that hits the corners: apostrophes, marks that combine, letters whose case or form is not one to one.
tricky = st.text(
    alphabet=st.one_of(
        st.sampled_from(
            "aZ' ’‘“”-—…\t\n\u00a0\u3000\u200b\u200d\u00ad\ufeff\u0301\u0345ßİıŒﬁ½ΑΣς中文ガ・が々〇한3Ⅷ😀ŉ▁"
        ),
        st.characters(codec="utf-8"),
    ),
    max_size=20,
)


@pytest.mark.parametrize("name", NORMALIZERS)
@given(text=tricky)
def test_once_is_enough_and_white_space_is_single_spaces_between_words(name: str, text: str) -> None:
    normalized = get_normalizer(name)(text)
    assert get_normalizer(name)(normalized) == normalized
    assert normalized == " ".join(normalized.split())


@pytest.mark.parametrize("name", ["librispeech", "spoken-english", "english", "unicode", "chinese"])
@given(text=tricky)
def test_canonically_equal_texts_are_one(name: str, text: str) -> None:
    normalize = get_normalizer(name)
    assert normalize(unicodedata.normalize("NFD", text)) == normalize(unicodedata.normalize("NFC", text))


@given(tricky)
def test_as_is_keeps_every_character_but_white_space(text: str) -> None:
    assert as_is(text).split() == text.replace("\0", " ").split()


@given(tricky)
def test_librispeech_leaves_its_alphabet_alone(text: str) -> None:
    assert set(librispeech(text)) <= set("abcdefghijklmnopqrstuvwxyz0123456789' ")


@given(st.text(alphabet="abcz' ", max_size=30))
def test_librispeech_changes_nothing_in_such_a_transcript(text: str) -> None:
    assert librispeech(text.upper()) == librispeech(text) == " ".join(text.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("IT'S A QUARTER PAST NINE", "it's a quarter past nine"),
        ("O'CLOCK 'TIS THE BOYS' OWN", "o'clock 'tis the boys' own"),
        ("Don’t say “never”—he didn´t.", "don't say never he didn't"),
        ("naïve café façade Zoë", "naive cafe facade zoe"),
        ("nai\u0308ve cafe\u0301", "naive cafe"),
        ("encyclopædia Cœur Straße Øre Łódź ıs", "encyclopaedia coeur strasse ore lodz is"),
        ("ﬁnd 𝐇𝐞𝐥𝐥𝐨 ＡＢＣ", "find hello abc"),
        ("mother-in-law's well-known U.S.A.", "mother in law's well known u s a"),
        ("so\u00adft no\u200dn sp\u200bace", "soft non sp ace"),
        ("\ufeffroom 101\tat\u00a0½ past", "room 101 at 1 2 past"),
        ("中文 hello Ελλάδα", "hello"),
        ("…!?", ""),
        ("", ""),
    ],
)
def test_librispeech(text: str, expected: str) -> None:
    assert librispeech(text) == expected


@given(tricky)
def test_spoken_english_has_no_digits(text: str) -> None:
    assert set(spoken_english(text)) <= set("abcdefghijklmnopqrstuvwxyz' ")


@given(st.text(alphabet="abcz' ", max_size=30))
def test_spoken_english_changes_nothing_that_is_spoken(text: str) -> None:
    assert spoken_english(text.upper()) == librispeech(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Order 42 lamps", "order forty two lamps"),
        ("Mr. and Mrs. Smith saw Dr Jones’s cat", "mister and missus smith saw doctor jones's cat"),
        ("the 3rd of May 1905 at 2:20", "the third of may nineteen oh five at two twenty"),
        ("at 10:05 or 12:00", "at ten oh five or twelve o'clock"),
        ("$2.50, £1, €0.02, £0.50", "two dollars fifty one pound two cents fifty pence"),
        ("$20 million, £1,500.5", "twenty million dollars one thousand five hundred point five pounds"),
        ("5% & 3.14", "five percent and three point one four"),
        (
            "007 1,234 12,345,678",
            "zero zero seven one thousand two hundred and thirty four twelve million three hundred "
            "and forty five thousand six hundred and seventy eight",
        ),
        (
            "1990s ’90s 1900 2000 2005 2026",
            "nineteen nineties nineties nineteen hundred two thousand two thousand and five twenty twenty six",
        ),
        ("½ 3/4 5/7 mp3 b2b", "one half three quarters five seven mp three b two b"),
        ("1st 22nd 100th 12th", "first twenty second one hundredth twelfth"),
        ("1000005 " + "9" * 17, "one million and five " + " ".join(["nine"] * 17)),
        ("naïve ٣ ²", "naive three two"),
        ("…!?", ""),
    ],
)
def test_spoken_english(text: str, expected: str) -> None:
    assert spoken_english(text) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Did Dr. Smith order 42 lamps?", "did doctor smith order forty two lamps"),
        ("It's the colour -- don't!", "it is the color do not"),
        ("five dollars since nineteen ninety nine", "$5 since 1999"),
        ("Um, the (so called) ferry", "the ferry"),
        ("CAFÉ", "cafe"),
    ],
)
def test_english_makes_spellings_equal(one: str, other: str) -> None:
    assert english(one) == english(other)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("L’Été, c’est ‘bon’!", "l'été c'est bon"),
        ("STRASSE Straße", "strasse strasse"),
        ("ΟΔΟΣ Οδός", "οδοσ οδόσ"),
        ("rock ’n’ roll", "rock n roll"),
        ("Привет, МИР № 5", "привет мир no 5"),
        ("हिन्दी में", "हिन्दी में"),
        ("می\u200cخواهم so\u00adft", "میخواهم soft"),
        ("ｆｕｌｌ width ①", "full width 1"),
        ("'' ' -- _", ""),
        ("", ""),
    ],
)
def test_unicode_words(text: str, expected: str) -> None:
    assert unicode_words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("今天天气很好。", "今 天 天 气 很 好"),
        ("我用Python3写GPT-2，don’t ask", "我 用 python3 写 gpt 2 don't ask"),
        ("３．５％的人", "3 5 的 人"),
        ("卡尔・马克思·二〇二六", "卡 尔 马 克 思 二 〇 二 六"),
        ("人々が ｶﾞﾗｽ", "人 々 が ガ ラ ス"),
        ("ㄅㄆ 𠮷野家", "ㄅ ㄆ 𠮷 野 家"),
        ("İstanbul café 한국 사람", "istanbul café 한국 사람"),
        ("，。！", ""),
        ("", ""),
    ],
)
def test_chinese_characters(text: str, expected: str) -> None:
    assert chinese_characters(text) == expected


@given(st.text(alphabet="中文我们abcé19 ，。", max_size=30))
def test_spaces_between_chinese_characters_do_not_matter(text: str) -> None:
    spaced = "".join(f" {character} " if character in "中文我们" else character for character in text)
    assert chinese_characters(spaced) == chinese_characters(text)


def test_as_is() -> None:
    assert as_is("  Mixed\tCase,\u3000“kept” \n") == "Mixed Case, “kept”"


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="unknown normaliser 'klingon'") as error:
        get_normalizer("klingon")
    assert all(name in str(error.value) for name in NORMALIZERS)
