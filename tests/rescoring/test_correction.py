from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from counting_model import counting
from writing_model import WritingModel, writing

from asr_lm.errors import InputError
from asr_lm.evaluation.roles import CORRECTED, FIRST_PASS, ORACLE, RESCORED
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.hypotheses.writing import write_nbest
from asr_lm.rescoring.correction import Correction, add_corrections
from asr_lm.rescoring.decisions import apply
from asr_lm.rescoring.development import tune
from asr_lm.rescoring.features.table import CORRECTED_TEXT, FeatureTable, closest_hypothesis
from asr_lm.rescoring.scoring.conditional import ConditionalScorer
from asr_lm.rescoring.scoring.models import feature_table
from asr_lm.rescoring.scoring.scorer import ScoreCache
from asr_lm.rescoring.second_pass import Rescored, rescore
from asr_lm.rescoring.settings import Scoring
from asr_lm.rescoring.systems import systems_for_rescore
from asr_lm.rescoring.weights import Weights

WORDS = ["us", "u", "s", "air", "flies", "fly", "to", "rome"]
WRITES = {"us air flies": ["u s air flies", "u s air fly"], "fly to rome": ["fly to rome"]}


def listed(*texts: str, name: str = "a", reference: str | None = None) -> Utterance:
    hypotheses = tuple(Hypothesis(text, {"am": -float(rank)}) for rank, text in enumerate(texts))
    return Utterance(name, hypotheses, reference)


LISTS = [
    listed("us air flies", "us air fly", name="a", reference="u s air fly"),
    listed("fly to rome", "flies to rome", name="b", reference="flies to rome"),
]


def test_a_text_joins_the_list_unless_it_is_there() -> None:
    found = add_corrections(LISTS, [writing(WORDS, WRITES)], Correction(texts=2))
    assert [hypothesis.text for hypothesis in found[0].hypotheses] == [
        *("us air flies", "us air fly", "u s air flies", "u s air fly")
    ]
    assert [hypothesis.corrected for hypothesis in found[0].hypotheses] == [False, False, True, True]
    assert all(not hypothesis.scores for hypothesis in found[0].hypotheses[2:])
    assert found[1] == LISTS[1]
    assert add_corrections(found, [writing(WORDS, WRITES)], Correction(texts=2)) == found
    assert len(add_corrections(LISTS, [writing(WORDS, WRITES)], Correction())[0].hypotheses) == 3


def test_two_correctors_write_and_equal_texts_join_once() -> None:
    models = [writing(WORDS, WRITES), writing(WORDS, {"us air flies": ["u s air flies", "u s fly"]}, "other")]
    found = add_corrections(LISTS, models, Correction(texts=2))[0]
    assert [some.text for some in found.hypotheses[2:]] == ["u s air flies", "u s air fly", "u s fly"]


def test_only_some_models_can_write() -> None:
    with pytest.raises(InputError, match="no model can correct"):
        add_corrections(LISTS, [counting(words=WORDS)], Correction())
    with pytest.raises(InputError, match="beam"):
        Correction(beam=0)
    with pytest.raises(InputError, match="corrections"):
        Correction(texts=0)


def test_a_corrected_hypothesis_borrows_the_scores_of_its_closest() -> None:
    utterance = listed("us air flies", "us air fly to rome", name="a")
    joined = Utterance("a", (*utterance.hypotheses, Hypothesis("u s air fly", corrected=True)))
    assert closest_hypothesis(joined, "u s air fly") == 0
    assert closest_hypothesis(joined, "u s air flyto rom") == 1
    table = FeatureTable.from_utterances([joined, listed("fly", name="b")])
    assert table.column("am").tolist() == [0.0, -1.0, 0.0, 0.0]
    np.testing.assert_allclose(table.column("rank"), [0, -np.log(2), 0, 0])


def test_scores_do_not_depend_on_what_joined() -> None:
    model = writing(WORDS, WRITES)
    before = feature_table(LISTS, [model])
    after = feature_table(add_corrections(LISTS, [model], Correction(texts=2)), [model], corrected=True)
    assert before.column("writer").tolist() == [-2.0, -6.0, -2.0, -6.0]
    assert after.column("writer")[after.column(CORRECTED_TEXT) == 0].tolist() == before.column("writer").tolist()
    assert after.column(CORRECTED_TEXT).tolist() == [0, 0, 1, 1, 0, 0]
    assert after.column("writer").tolist()[2:4] == [-2.0 - 4 * 2, -2.0 - 4 * 3]


def test_the_cache_tells_lists_of_the_same_texts_apart(tmp_path: Path) -> None:
    model = WritingModel(WORDS)
    texts = ("fly", "air", "us")
    whole, first = [listed(*texts)], [listed(*texts[:2]), listed(texts[2], name="b")]
    written = [Utterance("a", (*listed(*texts[:2]).hypotheses, Hypothesis("us", corrected=True)))]
    expected = [ConditionalScorer(model).score_list(some).log_prob.tolist() for some in (whole, first, written)]
    assert expected == [[-3, -7, -7], [-2, -6, -1], [-2, -6, -6]]
    model.asked = 0
    for _ in range(2):
        scorer = ConditionalScorer(model, ScoreCache(tmp_path))
        assert [scorer.score_list(some).log_prob.tolist() for some in (whole, first, written)] == expected
    assert model.asked == 4
    assert (scorer.computed, scorer.found) == (0, 9)


def test_what_was_written_is_kept_and_a_damaged_file_is_no_text(tmp_path: Path) -> None:
    expected = [["u s air flies"], ["fly to rome"]]
    keeping = ConditionalScorer(WritingModel(WORDS, WRITES), ScoreCache(tmp_path))
    assert keeping.write(LISTS, 4, 1) == expected
    model = WritingModel(WORDS, WRITES)
    model.write = None  # type: ignore[assignment, method-assign]
    assert ConditionalScorer(model, ScoreCache(tmp_path)).write(LISTS, 4, 1) == expected
    for beam, texts, some in ((5, 1, LISTS), (4, 2, LISTS), (4, 1, LISTS[:1])):
        with pytest.raises(TypeError):
            ConditionalScorer(model, ScoreCache(tmp_path)).write(some, beam, texts)
    (path,) = tmp_path.glob("*.texts")
    path.write_bytes(path.read_bytes()[:-3] + b'x"]')
    assert keeping.write(LISTS, 4, 1) == expected
    assert path.read_bytes().endswith(b'rome"]]')


def test_systems_without_corrections_never_choose_one() -> None:
    joined = add_corrections(LISTS, [writing(WORDS, WRITES)], Correction(texts=2))
    table = feature_table(joined, [writing(WORDS, WRITES)], corrected=True)
    plain = Weights(values={"am": 0.0, "words": 1.0})
    assert [table.texts[row] for row in apply(plain, table).rows] == ["us air flies", "fly to rome"]
    correcting = Weights(values={"am": 0.0, "words": 1.0, CORRECTED_TEXT: 0.5})
    assert [table.texts[row] for row in apply(correcting, table).rows] == ["u s air flies", "fly to rome"]
    bare = feature_table(LISTS, [writing(WORDS, WRITES)])
    assert apply(plain, bare).totals.tolist() == apply(plain, table).totals[table.column(CORRECTED_TEXT) == 0].tolist()


def many(start: int, count: int) -> list[Utterance]:
    """Lists in which the reference is what the corrector writes, but for every third."""
    found = []
    for number in range(start, start + count):
        tail = " ".join(WORDS[5 + (number >> bit & 1)] for bit in range(6))
        reference = f"us air flies {tail}" if number % 3 == 0 else f"u s air flies {tail}"
        found.append(listed(f"us air flies {tail}", f"us air fly {tail}", name=f"n{number}", reference=reference))
    return found


def corrector() -> list[object]:
    writes = {
        some.hypotheses[0].text: [some.hypotheses[0].text.replace("us air", "u s air")]
        for some in many(0, 64)
        if int(some.id[1:]) % 3
    }
    return [writing(WORDS, writes)]


def test_correction_goes_below_the_oracle_and_says_what_it_did(tmp_path: Path) -> None:
    models = corrector()
    systems = systems_for_rescore([model.name for model in models], correct=True)
    scoring = Scoring(correction=Correction())
    tuned = tune(many(0, 32), models, systems, scoring=scoring)
    assert CORRECTED_TEXT not in tuned.by_system[RESCORED].values
    assert CORRECTED_TEXT in tuned.by_system[CORRECTED].values
    result = Rescored.concatenate(list(rescore(many(40, 21), models, tuned, scoring=scoring)))
    write_nbest(tmp_path / "out.json", result.utterances)
    comparison = result.comparison()
    assert comparison[CORRECTED].counts.errors < comparison[ORACLE].counts.errors
    assert comparison[RESCORED].counts.errors == comparison[FIRST_PASS].counts.errors == 14 * 2
    report = result.outcome.correction_report()
    assert report.written == report.taken == report.changed == 14
    assert (report.spacing[FIRST_PASS].errors, report.spacing[FIRST_PASS].spacing) == (28, 28)
    assert report.spacing[CORRECTED].errors == 0
    out = list(read_nbest(tmp_path / "out.json"))
    for utterance in out:
        for hypothesis in utterance.hypotheses:
            assert ("am" in hypothesis.scores) == (not hypothesis.corrected)
            assert "writer" in hypothesis.scores


def test_a_list_of_corrected_hypotheses_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one of the recogniser"):
        write_nbest(tmp_path / "out.json", [Utterance("a", (Hypothesis("fly", corrected=True),))])
