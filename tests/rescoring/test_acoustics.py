"""Scores from saved emissions are those of the first pass, for texts that it wrote and for those that it did not."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from noted_progress import Noted
from safetensors.torch import save_file

from asr_lm.acoustic.first_pass import FirstPass
from asr_lm.acoustic.lexicon import Lexicon
from asr_lm.acoustic.options import BeamOptions
from asr_lm.acoustic.tokens import Tokens
from asr_lm.acoustic.word_evidence import FEATURES
from asr_lm.errors import InputError
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.rescoring.acoustics import Acoustics
from asr_lm.rescoring.development import tune
from asr_lm.rescoring.features.table import FeatureTable
from asr_lm.rescoring.further_hypotheses import with_further_hypotheses
from asr_lm.rescoring.phrases.features import Phrases
from asr_lm.rescoring.phrases.phrase_list import Phrase, PhraseList
from asr_lm.rescoring.second_pass import Rescored, rescore
from asr_lm.rescoring.settings import Scoring
from asr_lm.rescoring.systems import systems_for_rescore

TOKENS = Tokens(("-", "|", "A", "B", "C"))
WORDS = ("a", "b", "ab", "ba", "cab")
ARPA = """\\data\\
ngram 1=7

\\1-grams:
-1.0\t<s>
-0.8\t</s>
-1.2\t<unk>
-0.5\ta
-0.9\tb
-1.1\tab
-0.7\tcab

\\end\\
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generator = torch.Generator().manual_seed(3)
    said = {name: torch.randn(frames, 5, generator=generator).log_softmax(-1) for name, frames in (("u", 30), ("v", 3))}
    save_file({name: each.half() for name, each in said.items()}, tmp_path / "0.safetensors")
    TOKENS.write(tmp_path)
    (tmp_path / "words.txt").write_text("".join(f"{word}\n" for word in WORDS) + "cab C A A B\n")
    (tmp_path / "lm.arpa").write_text(ARPA)
    return tmp_path


def decoded(folder: Path, lm: Path | None = None, name: str = "u") -> Utterance:
    """What the first pass makes of an utterance, and its scores without rounding."""
    from asr_lm.acoustic.saved_emissions import saved_sources

    (segment,) = next(source for source in saved_sources([folder], TOKENS) if source.id == name).load()
    first = FirstPass(TOKENS, Lexicon.read(folder / "words.txt", TOKENS), lm, BeamOptions(beam=40, threshold=60.0))
    found = [
        Hypothesis(one.text, {"acoustic": one.acoustic} | ({} if one.lm is None else {"lm": one.lm}))
        for one in first.texts(segment.content)
    ]
    return Utterance(name, tuple(found))


def heard(utterance: Utterance) -> list[dict[str, float]]:
    return [hypothesis.scores for hypothesis in utterance.hypotheses]


@pytest.mark.parametrize("lm", ["lm.arpa", None])
def test_what_was_written_has_the_score_that_decoding_gives_it(folder: Path, lm: str | None) -> None:
    expected = decoded(folder, folder / lm if lm else None)
    assert len(expected.hypotheses) > 2
    written = [
        msgspec.structs.replace(each, scores={}, corrected=True) if number % 2 else each
        for number, each in enumerate(expected.hypotheses)
    ]
    asked = msgspec.structs.replace(expected, hypotheses=tuple(written))
    acoustics = Acoustics([folder], lexicon=folder / "words.txt", lm=folder / lm if lm else None)
    (found,) = acoustics.scored([asked])
    for one, other in zip(heard(found), heard(expected), strict=True):
        assert one == pytest.approx(other, abs=1e-4)
    assert [each.corrected for each in found.hypotheses] == [each.corrected for each in asked.hypotheses]


def test_every_hypothesis_is_measured_alike(folder: Path) -> None:
    listed = Utterance(
        "u", (Hypothesis("AB", {"acoustic": -1.0, "lm": -2.0}), Hypothesis("ab  a", {"lm": -7.0}, corrected=True))
    )
    (found,) = Acoustics([folder]).scored([listed])
    again = Utterance("u", (Hypothesis("ab a", {"acoustic": -9.0}), Hypothesis("ab", corrected=True)))
    (other,) = Acoustics([folder], tokens=folder / "tokens.txt").scored([again])
    assert [each["acoustic"] for each in heard(found)] == [each["acoustic"] for each in heard(other)][::-1]
    assert [each["lm"] for each in heard(found)] == [-2.0, -7.0]


def test_own_scores_stay_and_others_are_borrowed(folder: Path) -> None:
    own = {"acoustic": -1.0, "lm": -2.0}, {"acoustic": -3.0, "lm": -4.0}
    listed = Utterance("u", (Hypothesis("ab", own[0]), Hypothesis("cab", own[1]), Hypothesis("c ab", corrected=True)))
    (scored,) = Acoustics([folder]).scored([listed])
    table = FeatureTable.from_utterances([scored])
    assert table.column("acoustic").tolist() == [each["acoustic"] for each in heard(scored)]
    assert table.column("lm").tolist() == [-2.0, -4.0, -4.0]
    assert len(set(table.column("acoustic").tolist())) == 3


def test_texts_that_cannot_have_been_said_are_left_out_with_their_features(folder: Path) -> None:
    listed = Utterance(
        "u",
        (
            Hypothesis("ab cab", {"acoustic": 0.0}),
            Hypothesis("ab x", corrected=True),
            Hypothesis("ab " * 20, corrected=True),
            Hypothesis("cab", corrected=True),
        ),
    )
    acoustics = Acoustics([folder])
    (found,) = acoustics.scored([listed])
    assert [each.text for each in found.hypotheses] == ["ab cab", "cab"]
    scoring = Scoring(phrases=Phrases(PhraseList.of([Phrase("abccab"), Phrase("abcb")])))
    own = [
        Utterance("u", (Hypothesis("ab ccab", {"acoustic": 0.0}), Hypothesis("ab x", corrected=True))),
        Utterance("v", (Hypothesis("abc", {"acoustic": 0.0}),)),
    ]
    progress = Noted()
    without, _ = with_further_hypotheses(own, [], scoring, progress=progress)
    assert progress.sizes == [(3, sum(len(utterance.hypotheses) for utterance in without))]
    assert progress.sizes[0][1] > 3
    assert [each.text for each in without[1].hypotheses] == ["abc", "abcb"]
    scored, phrased = with_further_hypotheses(own, [], replace(scoring, acoustics=acoustics))
    assert phrased is not None
    assert [each.text for each in scored[0].hypotheses if each.text != "ab x"] == [
        each.text for each in without[0].hypotheses if each.text != "ab x"
    ]
    assert [each.text for each in scored[1].hypotheses] == ["abc"]
    assert len({each["acoustic"] for each in heard(scored[0])}) == len(scored[0].hypotheses) > 1
    table = phrased.add_to(FeatureTable.from_utterances(scored))
    assert table.column("phrases: letters").tolist() == [0.0, *(one.distance for one in phrased.rewritten[0]), 0.0]


@pytest.mark.parametrize(
    ("utterance", "complaint"),
    [
        (Utterance("w", (Hypothesis("ab"),)), "no emissions of it"),
        (Utterance("u", (Hypothesis("ab"), Hypothesis("a1"))), "'a1' has letters that are no tokens"),
        (Utterance("v", (Hypothesis("ab ab"),)), "more than the emissions have frames"),
    ],
)
def test_emissions_of_something_else_are_refused(folder: Path, utterance: Utterance, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as refused:
        Acoustics([folder]).scored([utterance])
    assert refused.value.utterance == utterance.id


def test_files_that_are_not_there_are_refused(folder: Path) -> None:
    for how in ({"tokens": "x"}, {"lexicon": "x"}, {"lm": "x"}):
        with pytest.raises(InputError, match="no such file"):
            Acoustics([folder], **{name: folder / path for name, path in how.items()})
    with pytest.raises(InputError, match="no such file"):
        Acoustics([folder / "none"])
    assert math.isfinite(
        Acoustics([folder / "0.safetensors"])
        .scored([Utterance("u", (Hypothesis("a"),))])[0]
        .hypotheses[0]
        .scores["acoustic"]
    )


def test_words_have_evidence_of_their_own(folder: Path) -> None:
    sound = Acoustics([folder], lexicon=folder / "words.txt")
    assert np.isfinite(sound.word_evidence("u", "ab cab")).all()
    assert sound.word_evidence("u", "").shape == (0, len(FEATURES))
    for text in ("ab xylophone", "ab " * 20):  # a letter that is no token; more than the frames
        assert np.isnan(sound.word_evidence("u", text)).all()
    with pytest.raises(InputError, match="no emissions"):
        sound.word_evidence("w", "ab")


def test_the_sound_tells_good_words_from_bad_ones_where_a_list_agrees(folder: Path) -> None:
    """Lists of one hypothesis each, half of which were said."""
    generator = torch.Generator().manual_seed(1)
    said, lists = {}, []
    for number in range(60):
        word, other = (("ab", "ba"), ("ba", "ab"))[number % 2]
        frames = torch.randn(8, 5, generator=generator)
        for place, letter in enumerate(word):
            frames[2 + 2 * place, TOKENS.numbers[letter.upper()]] += 6.0
        said[f"n{number}"] = frames.log_softmax(-1).half()
        heard = word if number % 3 else other
        lists.append(Utterance(f"n{number}", (Hypothesis(heard, {"acoustic": -1.0}),), word))
    save_file(said, folder / "more.safetensors")
    sound = Acoustics([folder / "more.safetensors"], lexicon=folder / "words.txt")
    nces = {}
    for name, acoustics in (("list", None), ("sound", sound)):
        scoring = Scoring(confidence=True, acoustics=acoustics)
        tuned = tune(lists[:40], [], systems_for_rescore([]), scoring=scoring)
        found = Rescored.concatenate(list(rescore(lists[40:], [], tuned, scoring=scoring)))
        quality = found.confidence_quality()
        assert quality is not None
        nces[name] = quality.figures["nce"]
    assert nces["sound"] > nces["list"] + 0.3
    with pytest.raises(InputError, match="calibrated with 'sound: margin', which is not known of this list"):
        list(rescore(lists[40:], [], tuned, scoring=Scoring(confidence=True)))


class TestNearTexts:
    """Texts near those of the list join it with the scores that decoding would have given them."""

    def acoustics(self, folder: Path, near: int = 20) -> Acoustics:
        return Acoustics([folder], lexicon=folder / "words.txt", lm=folder / "lm.arpa", near=near)

    def test_they_come_after_the_list_with_exact_scores(self, folder: Path) -> None:
        every = decoded(folder, folder / "lm.arpa")
        listed = msgspec.structs.replace(every, hypotheses=every.hypotheses[:3])
        (found,) = self.acoustics(folder).scored([listed])
        (plain,) = self.acoustics(folder, 0).scored([listed])
        assert found.hypotheses[:3] == plain.hypotheses
        added = found.hypotheses[3:]
        assert 0 < len(added) <= 20
        assert not any(one.corrected for one in added)
        written = tuple(Hypothesis(one.text, {}, corrected=True) for one in added)
        (again,) = self.acoustics(folder, 0).scored([msgspec.structs.replace(listed, hypotheses=written)])
        for one, other in zip(added, again.hypotheses, strict=True):
            assert one.scores == pytest.approx(other.scores, abs=1e-4)

    def test_no_more_than_asked_for(self, folder: Path) -> None:
        listed = decoded(folder, folder / "lm.arpa")
        short = msgspec.structs.replace(listed, hypotheses=listed.hypotheses[:3])
        (found,) = self.acoustics(folder, 1).scored([short])
        assert len(found.hypotheses) == 4

    def test_a_score_that_they_would_lack_is_refused(self, folder: Path) -> None:
        listed = decoded(folder, folder / "lm.arpa")
        with pytest.raises(InputError, match="no score 'lm': give the first pass's n-gram model"):
            Acoustics([folder], lexicon=folder / "words.txt", near=5).scored([listed])

    @pytest.mark.parametrize(("near", "said"), [(-1, "0 or more"), (3, "give a lexicon")])
    def test_what_cannot_be_asked_for(self, folder: Path, near: int, said: str) -> None:
        with pytest.raises(InputError, match=said) as caught:
            Acoustics([folder], near=near)
        assert caught.value.parameter == "near_texts"
