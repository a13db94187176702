"""Laws of the score of the recording's words: the equation, from the rest of the recording alone, never a reference."""

from __future__ import annotations

import math
import random
from collections import Counter
from pathlib import Path

import pytest

from asr_lm.errors import InputError
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.rescoring.default_model import score_kind
from asr_lm.rescoring.features.table import CHARACTERS, RANK, RECORDING, WORDS, FeatureTable
from asr_lm.rescoring.recording_words import REACH, SHARE, RecordingWords
from asr_lm.rescoring.tuning.tune import first_pass_weights

USUAL = Counter({"the": 60, "boat": 3, "doone": 1, "down": 36})


def heard(name: str, *texts: str, recording: str | None = "r", reference: str | None = None) -> Utterance:
    return Utterance(name, tuple(Hypothesis(text, {"am": -1.0}) for text in texts), reference, recording)


def scores(utterances: list[Utterance]) -> list[list[float]]:
    found = RecordingWords(USUAL).scored(utterances)
    return [[one.scores[RECORDING] for one in utterance.hypotheses] for utterance in found]


def test_it_is_the_log_ratio_of_the_cache_model_to_the_unigram() -> None:
    found = scores([heard("a", "the boat", "the doone"), heard("b", "the doone", "zebra")])
    # Of "the boat" and "the doone" the first weighs 2/3: "the" is half of the cache, "doone" a sixth.
    doone = math.log(1 - SHARE + SHARE * (1 / 6) / (1 / 100))
    the = math.log(1 - SHARE + SHARE * (1 / 2) / (60 / 100))
    assert found[1] == [pytest.approx(the + doone), pytest.approx(math.log(1 - SHARE))]


def test_counts_fall_with_the_utterances_between_on_both_sides() -> None:
    found = scores([heard("a", "doone"), heard("b", "doone boat"), heard("c", "down")])
    near, far = 1.0, math.exp(-1 / REACH)
    # Of c: b is one utterance away with two words, a is two away with one.
    doone = (near + far) / (2 * near + far)
    assert found[2] == [pytest.approx(math.log(1 - SHARE))]
    assert scores([heard("a", "doone"), heard("b", "doone boat"), heard("c", "doone")])[2] == [
        pytest.approx(math.log(1 - SHARE + SHARE * doone / 0.01))
    ]
    turned = scores([heard("c", "doone"), heard("b", "doone boat"), heard("a", "doone")])
    assert turned[0] == [pytest.approx(math.log(1 - SHARE + SHARE * doone / 0.01))]


def test_an_utterance_and_references_tell_nothing_of_themselves() -> None:
    plain = [heard("a", "the boat"), heard("b", "the doone", "the boat")]
    said = [heard("a", "the boat", reference="doone doone"), heard("b", "the doone", "the boat", reference="doone")]
    assert scores(plain) == scores(said)
    other = [heard("a", "the boat"), heard("b", "the doone", "the boat", "doone doone doone")]
    assert scores(plain)[1] == scores(other)[1][:2]


def test_recordings_do_not_mix_even_where_they_alternate() -> None:
    generator = random.Random(3)
    utterances = [
        heard(
            str(number), *{" ".join(generator.choices(list(USUAL), k=3)) for _ in range(4)}, recording=f"r{number % 3}"
        )
        for number in range(30)
    ]
    found = scores(utterances)
    for recording in range(3):
        assert scores(utterances[recording::3]) == found[recording::3]


def test_a_recording_of_one_utterance_says_nothing() -> None:
    assert scores([heard("a", "the boat", "doone"), heard("b", "the", recording="other")]) == [[0.0, 0.0], [0.0]]
    assert scores([heard("a", "the boat"), heard("b", "")])[0] == [0.0]


def test_case_and_punctuation_do_not_matter_and_other_scores_stay() -> None:
    plain = [heard("a", "the doone"), heard("b", "doone down")]
    written = [heard("a", "The Doone!"), heard("b", "DOONE, down.")]
    assert scores(plain) == scores(written)
    found = RecordingWords(USUAL).scored(written)
    assert found[1].hypotheses[0].scores["am"] == -1.0
    assert found[1].hypotheses[0].text == "DOONE, down."


def test_what_a_corrector_wrote_was_not_heard() -> None:
    written = Utterance("a", (Hypothesis("the", {"am": 0.0}), Hypothesis("doone", corrected=True)), recording="r")
    assert scores([written, heard("b", "doone")])[1] == [pytest.approx(math.log(1 - SHARE))]


def test_utterances_without_a_recording_or_with_such_a_score_are_refused() -> None:
    with pytest.raises(InputError, match="no recording") as caught:
        scores([heard("a", "the"), heard("b", "the", recording=None)])
    assert caught.value.utterance == "b"
    again = RecordingWords(USUAL).scored([heard("a", "the")])
    with pytest.raises(InputError, match="called 'recording' already") as caught:
        scores(again)
    assert caught.value.field == "hypotheses[0].scores.recording"


def test_it_is_no_score_of_the_recogniser() -> None:
    """A list without scores keeps its ranks, and weights near the first pass are those without it."""
    bare = [Utterance(name, (Hypothesis("the boat"), Hypothesis("the doone")), "the boat", "r") for name in "ab"]
    table = FeatureTable.from_utterances(RecordingWords(USUAL).scored(bare))
    assert not table.scored
    assert set(table.default_features(models=False)) == {RANK, RECORDING, WORDS, CHARACTERS}
    assert first_pass_weights(table.columns) == {RANK: 1.0}
    assert score_kind(RecordingWords(USUAL).scored(bare)) == "rank"
    scored = FeatureTable.from_utterances(RecordingWords(USUAL).scored([heard("a", "the", "boat", reference="the")]))
    assert first_pass_weights(scored.columns) == {"am": 1.0}


def test_words_are_counted_in_texts(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("The boat.\nthe DOONE\n")
    (tmp_path / "two.txt").write_text("down, the\n")
    found = RecordingWords.of_texts([tmp_path / "one.txt", tmp_path / "two.txt"])
    same = RecordingWords(Counter({"the": 3, "boat": 1, "doone": 1, "down": 1}))
    utterances = [heard("a", "the boat"), heard("b", "doone the")]
    assert found.scored(utterances) == same.scored(utterances)


def test_a_text_without_words_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n\n")
    with pytest.raises(InputError, match="no words") as caught:
        RecordingWords.of_texts([tmp_path / "empty.txt"])
    assert caught.value.file == str(tmp_path / "empty.txt")
