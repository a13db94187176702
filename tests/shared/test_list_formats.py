"""Every sample of the shapes that recognisers, services and scripts write: read right, or refused with advice."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from asr_lm.errors import InputError
from asr_lm.hypotheses.formats import recognise
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.utterance import Utterance

README = Path(__file__).parents[2] / "asr_lm/hypotheses/README.md"
SAMPLES = Path(__file__).parents[2] / "../shared/data/formats"

pytestmark = pytest.mark.skipif(not SAMPLES.exists(), reason="the shared samples are not here")

REFUSED = {
    "assemblyai-u1.json": "one transcript only",
    "espnet-1best": "--nbest 20",
    "faster-whisper-segments.jsonl": "num_return_sequences",
    "icefall-errs-test-clean.txt": "lattices",
    "icefall-recogs-test-clean.txt": "k2.Nbest",
    "near-empty-list.jsonl": "no hypotheses, expected at least one",
    "nemo-beams-uneven-divisible.tsv": "return_best_hypothesis=false",
    "nemo-beams-uneven.tsv": "expected as many for every utterance",
    "nemo-manifest.json": "manifest=",
    "nemo-pred-text.json": "return_best_hypothesis=false",
    "sclite-1best.trn": "utterance-1, utterance-2",
    "sherpa-onnx.jsonl": "only the best path",
    "speechbrain-wer.txt": "topk=10",
    "transformers-pipeline.json": "num_return_sequences",
    "trap-text-and-ref": "--nbest 10",
    "wenet-ctc_greedy_search": "--nbest 10",
    "wenet-text": "--nbest 10",
    "whisper-cpp-u1.json": "num_return_sequences",
    "whisper-openai": "num_return_sequences",
}
"""What cannot be rescored, and the way out that is named."""

READ = sorted(file.name for file in SAMPLES.glob("*") if file.name not in (*REFUSED, "README.md"))

REFERENCES = (
    "the ferry leaves at twenty past two",
    "we moored the boat beside the old pier",
    "did doctor smith order forty two lamps",
)
PLAIN = (
    ("the fairy leaves at twenty past two", REFERENCES[0], "the ferry leaves at twenty passed two"),
    ("we mowed the boat beside the old pier", REFERENCES[1], "we moored the boat beside the old peer"),
    ("did doctor smith order forty two lambs", REFERENCES[2], "did doctor smith order forty two lamp"),
)
DRESSED = (
    ("The fairy leaves at 2.20.", "The ferry leaves at 2.20.", "The ferry leaves at 20 past 2."),
    (
        "We mowed the boat beside the old pier.",
        "We moored the boat beside the old pier.",
        "We moored the boat beside the old peer.",
    ),
    ("Did Dr. Smith order 42 lambs?", "Did Dr. Smith order 42 lamps?", "Did Doctor Smith order 42 lamp?"),
)
SCORES = ((-4.11, -4.32, -5.23), (-6.05, -6.21, -6.92), (-5.47, -5.58, -7.01))
CONFIDENCES = ((0.91, 0.83, 0.42), (0.88, 0.79, 0.35), (0.93, 0.9, 0.21))

RANKS_ONLY = {
    *("google-v1", "google-v1-u1.json", "google-v1.jsonl", "home-ref.csv", "home-utt-list.json"),
    *("hyporadise-input-output.json", "hyporadise.csv", "kaldi-nbest-text", "kaldi-nbest.ctm"),
    *("near-hypotheses-strings.jsonl", "near-null-scores.jsonl", "openai-choices.jsonl", "sclite-nbest.trn"),
}
OTHER_SCORES = (
    "htk-nbest.mlf",
    "vosk",
    "sem-punctuation",
    "sclite-alternations",
    "kaldi",
    "pyctcdecode",
    "speechbrain",
)


def read(name: str) -> list[Utterance]:
    manifest = SAMPLES / "nemo-manifest.json" if name.startswith("nemo-beams") else None
    return list(read_nbest(SAMPLES / name, manifest=manifest))


def test_at_least_sixty_samples_are_read() -> None:
    assert len(READ) >= 60


@pytest.mark.parametrize("name", [name for name in READ if not name.startswith(("sem-punct", "sclite-alternations"))])
def test_texts_come_in_the_order_of_the_recogniser(name: str) -> None:
    utterances = read(name)
    texts = [tuple(hypothesis.text for hypothesis in utterance.hypotheses) for utterance in utterances]
    assert len(texts) == (1 if "u1" in name or name == "near-one-pretty.json" else 3)
    dressed = [tuple(map(str.lower, row)) if name.startswith("google") else row for row in DRESSED]
    assert texts in (list(PLAIN[: len(texts)]), dressed[: len(texts)])


@pytest.mark.parametrize("name", [name for name in READ if name != "sem-cased-reference.jsonl"])
def test_references_are_those_of_the_utterances(name: str) -> None:
    for reference, utterance in zip(REFERENCES, read(name), strict=False):
        assert utterance.reference is None or utterance.reference.lower() == reference


@pytest.mark.parametrize("name", [name for name in READ if not name.startswith(OTHER_SCORES)])
def test_scores_are_natural_logarithms_of_which_larger_is_better(name: str) -> None:
    utterances = read(name)
    found = [tuple(sum(hypothesis.scores.values()) for hypothesis in u.hypotheses) for u in utterances]
    if name in RANKS_ONLY:
        assert not any(hypothesis.scores for utterance in utterances for hypothesis in utterance.hypotheses)
    elif "confidence" in name or name.startswith(("azure", "deepgram")):
        expected = [tuple(map(math.log, row)) for row in CONFIDENCES[: len(found)]]
        assert found == [pytest.approx(row) for row in expected]
    else:
        scale = {"sem-cost.jsonl": 10, "sem-whisper-cased.jsonl": 0.05}.get(name, 1)
        scale = 0.05 if name.startswith(("hyporadise-score", "transformers")) else scale
        expected = [tuple(scale * value for value in row) for row in SCORES[: len(found)]]
        assert found == [pytest.approx(row) for row in expected]


@pytest.mark.parametrize("name", ["kaldi", "kaldi-linear"])
def test_kaldis_acoustic_costs_are_scaled(name: str) -> None:
    for utterance, row in zip(read(name), SCORES, strict=True):
        assert [hypothesis.scores["acoustic"] for hypothesis in utterance.hypotheses] == pytest.approx(
            [10 * value for value in row]
        )


@pytest.mark.parametrize("name", ["pyctcdecode-tuples.json", "speechbrain-ctc.json"])
def test_the_score_of_the_language_model_alone_is_taken_out(name: str) -> None:
    for utterance, row in zip(read(name), SCORES, strict=True):
        for hypothesis, value in zip(utterance.hypotheses, row, strict=True):
            acoustic, lm = hypothesis.scores.values()
            assert acoustic == pytest.approx(value)
            assert -1.3 < lm < 0


def test_alternations_are_every_combination() -> None:
    for utterance, texts in zip(read("sclite-alternations.trn"), PLAIN, strict=True):
        assert set(texts) <= {hypothesis.text for hypothesis in utterance.hypotheses}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_rescored_is_refused_with_the_way_out(name: str) -> None:
    with pytest.raises(InputError) as caught:
        read(name)
    assert REFUSED[name] in caught.value.message
    assert caught.value.file


def test_a_folder_of_responses_takes_the_ids_from_the_files() -> None:
    assert [utterance.id for utterance in read("google-v1")] == ["u1", "u2", "u3"]


def test_the_readme_says_what_becomes_of_every_sample() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| (read|refused) \| (.*) \|$", README.read_text(encoding="utf-8"), re.MULTILINE)
    expected = {name: ("refused", f"`{way_out}`") for name, way_out in REFUSED.items()}
    for name in READ:
        scores = ", ".join(read(name)[0].hypotheses[0].scores) or "ranks only"
        expected[name] = ("read", f"{recognise(SAMPLES / name)}: {scores}")
    assert {name: (result, said) for name, result, said in rows} == expected
