"""Listed phrases: where texts hold them, near misses that become them, and what an empty list leaves as it is."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_second_pass import RIGHT, WRONG, spoken

from asr_lm.errors import InputError
from asr_lm.evaluation.biased_errors import BiasedErrors, biased_errors
from asr_lm.evaluation.word_errors import count_errors
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.rescoring.development import tune
from asr_lm.rescoring.features.table import (
    FIXED_PHRASES,
    PHRASE_AGREEMENT,
    PHRASE_LETTERS,
    PHRASES,
    PHRASES_UNSAID,
    FeatureTable,
)
from asr_lm.rescoring.phrases.features import Phrased, Phrases
from asr_lm.rescoring.phrases.letters import letter_distance
from asr_lm.rescoring.phrases.near_misses import FARTHEST, MOST, add_near_misses
from asr_lm.rescoring.phrases.phrase_list import Phrase, PhraseList
from asr_lm.rescoring.second_pass import Rescored, rescore
from asr_lm.rescoring.settings import Scoring
from asr_lm.rescoring.systems import System, Systems
from asr_lm.rescoring.tuned import Tuned
from asr_lm.rescoring.tuning.beside_phrases import MOST_HARM, STEPS, harmless_share
from asr_lm.rescoring.weights import Weights

ONE = Systems((System("rescored"),), "rescored")
words = st.text("abcd", max_size=6)


def listed(*phrases: str) -> PhraseList:
    return PhraseList.of(map(Phrase, phrases))


def heard(*texts: str, phrases: tuple[str, ...] | None = None, identity: str = "u") -> Utterance:
    hypotheses = tuple(Hypothesis(text, {"acoustic": -float(rank)}) for rank, text in enumerate(texts))
    return Utterance(identity, hypotheses, phrases=phrases)


def texts_of(utterance: Utterance) -> list[str]:
    return [found.text for found in utterance.hypotheses]


def test_a_longer_phrase_goes_before_those_within_it() -> None:
    found = listed("new york", "york", "new york city")
    assert [phrase.text for _, phrase in found.matches(["new", "york", "city", "york", "new"])] == [
        "new york city",
        "york",
    ]


@pytest.mark.parametrize("text", ["to New York, and back", "to new york and back", "TO NEW YORK. AND BACK"])
def test_case_and_punctuation_hide_no_phrase(text: str) -> None:
    assert listed("New York").gain(text) == 0.75


def test_weights_of_phrases_are_read(tmp_path: Path) -> None:
    path = tmp_path / "phrases.txt"
    path.write_text("Ada Lovelace\nPlankalkül\t0.5\n\n")
    assert PhraseList.read(path).phrases == (Phrase("Ada Lovelace"), Phrase("Plankalkül", 0.5))


@pytest.mark.parametrize("weight", ["x", "-1", "0", "nan", ""])
def test_a_weight_that_is_none_is_named_with_its_line(tmp_path: Path, weight: str) -> None:
    path = tmp_path / "phrases.txt"
    path.write_text(f"ada\nbob\t{weight}\n")
    with pytest.raises(InputError, match="no positive number") as caught:
        PhraseList.read(path)
    assert caught.value.line == 2


@settings(deadline=None, max_examples=60)
@given(words, words, words)
def test_letters_have_a_distance(first: str, second: str, third: str) -> None:
    there = letter_distance(first, second)
    assert there == letter_distance(second, first) >= 0
    assert (there == 0) == (first == second)
    assert there <= max(len(first), len(second)) + abs(len(first) - len(second))


def test_what_sounds_alike_is_close() -> None:
    assert letter_distance("kristina", "christina") < letter_distance("kristina", "bristling")


def test_a_near_miss_becomes_the_phrase_in_the_case_of_the_list() -> None:
    for given_text, expected in (
        ("call kristina now", "call christina now"),
        ("CALL KRISTINA NOW", "CALL CHRISTINA NOW"),
    ):
        utterance, added = add_near_misses(heard(given_text), listed("Christina"))
        assert expected in texts_of(utterance)
        assert all(found.corrected for found in utterance.hypotheses[1:])
        assert added[0].distance > 0
        assert added[0].agreement == 1


def test_words_run_together_or_apart_become_the_phrase() -> None:
    assert "to port ellen" in texts_of(add_near_misses(heard("to portellen"), listed("port ellen"))[0])
    assert "the kittiwake" in texts_of(add_near_misses(heard("the kitty wake"), listed("kittiwake"))[0])


def test_far_words_and_listed_ones_stay() -> None:
    assert add_near_misses(heard("call the harbour"), listed("christina"))[1] == []
    assert add_near_misses(heard("call christina"), listed("christina", "christine"))[1] == []


def test_what_is_added_is_bounded() -> None:
    text = " ".join(f"wor{letter}s" for letter in "abcdefghijklmnopqrstuvwxyz")
    _, added = add_near_misses(heard(text), listed(*(f"wort{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")))
    assert 0 < len(added) <= MOST
    assert FARTHEST < 1


def test_columns_say_what_is_gained_and_what_is_risked() -> None:
    found = Phrased.of([heard("kristina", "him", phrases=("christina",))], Phrases())
    (_, gains), (_, letters), (_, agreement) = found.columns()
    assert gains.tolist() == [0, 0, 7 / 4]
    assert letters.tolist() == [0, 0, letter_distance("kristina", "christina")]
    assert agreement.tolist() == [0, 0, 0.5]


def test_what_was_not_said_is_worth_what_it_is_worth() -> None:
    found = Phrased.of([heard("adele", "adder", phrases=("adele", "adder"))], Phrases(near_misses=False))
    column, values = found.unsaid(["call Adele"])
    assert (column.kind, values.tolist()) == ("unsaid", [0, 3 / 4])
    table = found.add_to(FeatureTable.from_utterances(found.utterances)).with_columns([(column, values)])
    assert column.name not in table.default_features()


def test_phrases_cost_little_where_none_is_said() -> None:
    """Words that are heard and never said are listed, beside one that is said, and weigh much."""
    phrased = Phrased.of(spoken(200, 1), Phrases(listed(*WRONG, RIGHT[0])))
    table = phrased.add_to(FeatureTable.from_utterances(phrased.utterances))
    table = table.with_columns([phrased.unsaid([one.reference or "" for one in phrased.utterances])])
    weights = Weights(values={"acoustic": 1.0, PHRASES: 50.0, PHRASE_LETTERS: -4.0, PHRASE_AGREEMENT: -4.0})
    share = harmless_share(table, weights)
    assert 0 <= share < 1

    def harm(share: float) -> float:
        own = (table.column(PHRASES_UNSAID) == table.column(PHRASES)) | (table.column(PHRASE_LETTERS) == 0)
        risks = weights.replaced(values=weights.values | {PHRASES: 0.0}).totals(table)
        imagined, plain = table.select_rows(own), table.select_rows(table.column(PHRASE_LETTERS) == 0)
        totals = (risks + share * 50 * table.column(PHRASES_UNSAID))[own]
        rates = [
            part.word_errors(part.lists.best(values)).rate or 0.0
            for part, values in ((imagined, totals), (plain, plain.column("acoustic")))
        ]
        return rates[0] - rates[1]

    assert harm(share) <= MOST_HARM < harm(share + 1 / STEPS)
    assert harmless_share(table, weights.replaced(values=weights.values | {PHRASES: 0.0})) == 1


def run(dev: list[Utterance], test: list[Utterance], phrases: Phrases | None) -> Rescored:
    scoring = Scoring(phrases=phrases)
    return Rescored.concatenate(
        list(rescore(test, [], tune(dev, [], ONE, scoring=scoring, force=True), scoring=scoring))
    )


def test_an_empty_list_changes_nothing() -> None:
    dev, test = spoken(40, 1), spoken(30, 2, "t")
    assert run(dev, test, Phrases()).utterances == run(dev, test, None).utterances


def test_phrases_that_were_said_are_found_without_a_language_model() -> None:
    def named(utterances: list[Utterance]) -> list[Utterance]:
        return [msgspec.structs.replace(u, phrases=tuple(set((u.reference or "").split()))) for u in utterances]

    dev, test = spoken(60, 1), spoken(60, 2, "t")
    with_them = run(named(dev), named(test), Phrases()).comparison()["rescored"].counts
    assert with_them.errors < run(dev, test, None).comparison()["rescored"].counts.errors


def test_a_list_that_holds_no_phrase_is_decided_as_without_them() -> None:
    def named(utterances: list[Utterance]) -> list[Utterance]:
        """What was said, in every other utterance; in the others what no hypothesis comes close to."""
        said = [tuple(set((u.reference or "").split())) if n % 2 else ("zyzzyvas",) for n, u in enumerate(utterances)]
        return [msgspec.structs.replace(u, phrases=one) for u, one in zip(utterances, said, strict=True)]

    dev, test = spoken(60, 1), spoken(60, 2, "t")
    plain, phrased = run(dev, test, None), run(named(dev), named(test), Phrases())
    without, found = (rescored.outcome.chosen["rescored"] for rescored in (plain, phrased))
    assert found[::2] == without[::2]
    assert found[1::2] != without[1::2]


def test_trusted_lists_are_weighed_as_the_development_list_does() -> None:
    """What is said is listed, beside a word that is heard and never said."""
    dev = [msgspec.structs.replace(u, phrases=(*RIGHT, WRONG[0])) for u in spoken(200, 1)]
    found = [
        tune(dev, [], ONE, scoring=Scoring(phrases=Phrases(trusted=trusted)), force=True).weights
        for trusted in (True, False)
    ]
    assert 0 <= found[1].values[PHRASES] < found[0].values[PHRASES]
    assert {name: value for name, value in found[0].values.items() if name != PHRASES} == {
        name: value for name, value in found[1].values.items() if name != PHRASES
    }


def test_without_development_lists_the_weight_is_fixed_and_small() -> None:
    weights = Weights(values={"acoustic": 2.0}, scale=0.5)
    test = [heard("call adder", "call adele", phrases=("adele",))]
    tuned = Tuned.of_weights(weights, [])
    (part,) = rescore(test, [], tuned, scoring=Scoring(phrases=Phrases()))
    assert part.utterances[0].hypotheses[0].text == "call adele"
    assert part.tuned.weights.values[PHRASES] == FIXED_PHRASES[PHRASES] / 0.5
    (plain,) = rescore(test, [], tuned)
    assert plain.utterances[0].hypotheses[0].text == "call adder"


def test_phrases_that_no_development_list_holds_keep_the_fixed_weight() -> None:
    tuned = tune(spoken(40, 1), [], ONE, scoring=Scoring(phrases=Phrases(listed("zebra crossing"))), force=True)
    assert tuned.weights.values[PHRASES] == pytest.approx(FIXED_PHRASES[PHRASES] / tuned.weights.scale)
    assert tuned.weights.values[PHRASE_LETTERS] < 0


def test_the_oracle_knows_no_near_misses() -> None:
    utterance = msgspec.structs.replace(heard("call kristina", phrases=("christina",)), reference="call christina")
    (part,) = rescore([utterance], [], Tuned.of_weights(Weights(values={"acoustic": 1.0}), []),
                      scoring=Scoring(phrases=Phrases()))  # fmt: skip
    assert part.outcome.chosen["oracle"] == ("call kristina",)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from("abc"), max_size=6),
    st.lists(st.sampled_from("abcd"), max_size=6),
    st.sets(st.sampled_from("abcd")),
)
def test_errors_of_listed_words_and_of_others_are_all_errors(
    said: list[str], given_words: list[str], names: set[str]
) -> None:
    found = biased_errors(said, given_words, names)
    counts = count_errors([" ".join(said)], [" ".join(given_words)])[0]
    assert found.listed_errors + found.other_errors == counts[:3].sum()
    assert found.listed_words + found.other_words == len(said)
    assert found + BiasedErrors() == found
