"""Training on lists: two runs of the common loop, killed anywhere and taken up again."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from processes import in_processes

from asr_lm.errors import InputError
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.hypotheses.writing import write_nbest
from asr_lm.lm.families.birnn_attention import BirnnAttentionConfig
from asr_lm.lm.families.birnn_attention.network import BirnnAttentionModel
from asr_lm.lm.folder import SENTENCES_FILE, fold_folder
from asr_lm.lm.loading import load_model
from asr_lm.lm.training.distributed import join
from asr_lm.lm.training.options import TrainingOptions
from asr_lm.lm.training.outcome import TrainingProgress
from asr_lm.lm.training.pair_recipe import ListOptions, Material, NoiseKind, heard_and_said, train_on_lists
from asr_lm.lm.training.pairs import NoisyPairs, RespeltPairs
from asr_lm.rescoring.scoring.models import RescoringModel
from asr_lm.rescoring.scoring.scorer import tell_nobody
from asr_lm.text.piece_dropout import PieceDropout
from asr_lm.text.sentence_hashes import SentenceHashes, fold_of
from asr_lm.text.vocabulary import SentencePieceVocabulary

SIZES = BirnnAttentionConfig(1, 12, 12, 8, 12, dropout=0.1)
OPTIONS = TrainingOptions(epochs=2, batch_tokens=60, learning_rate=0.01, validations=3, patience=0)
WORDS = [f"w{number}" for number in range(12)]


def utterance(number: int, generator: random.Random) -> Utterance:
    words = [generator.choice(WORDS) for _ in range(generator.randrange(1, 6))]
    heard = [[generator.choice(WORDS) if generator.random() < 0.2 else word for word in words] for _ in range(2)]
    return Utterance(f"u{number}", tuple(Hypothesis(" ".join(some)) for some in heard), " ".join(words))


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> ListOptions:
    folder, generator = tmp_path_factory.mktemp("lists"), random.Random(3)
    for name, count in (("train", 30), ("valid", 6)):
        write_nbest(folder / f"{name}.json", [utterance(number, generator) for number in range(count)])
    text = [" ".join(generator.choice(WORDS) for _ in range(4)) for _ in range(20)]
    (folder / "text.txt").write_text("".join(f"{line}\n" for line in text))
    paths = (folder / "train.json",), (folder / "valid.json",), (folder / "text.txt",)
    return ListOptions(*paths, vocabulary="words")


def train(
    lists: ListOptions, folder: Path, report: Callable[[TrainingProgress], None] = lambda progress: None
) -> BirnnAttentionModel:
    return train_on_lists(SIZES, lists, OPTIONS, folder, pretraining_epochs=1, report=report)[0]


@pytest.fixture(scope="module")
def trained(lists: ListOptions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "model"
    train(lists, folder)
    return folder


class Killed(KeyboardInterrupt):
    pass


@pytest.mark.parametrize("kill_at", [1, 3, 9, 11])
def test_a_killed_training_comes_to_the_same_weights(
    lists: ListOptions, trained: Path, tmp_path: Path, kill_at: int
) -> None:
    seen = 0

    def report(progress: TrainingProgress) -> None:
        nonlocal seen
        seen += 1
        if seen == kill_at:
            raise Killed

    with pytest.raises(Killed):
        train(lists, tmp_path / "model", report)
    assert train(lists, tmp_path / "model").fingerprint() == load_model(trained).fingerprint()
    curves = [
        [json.loads(line) for line in (folder / "training.jsonl").read_text().splitlines()]
        for folder in (trained, tmp_path / "model")
    ]
    for curve in curves:
        for point in curve:
            del point["seconds"]
    assert curves[0] == curves[1]


def shared_training(rank: int, lists: ListOptions, options: TrainingOptions, folder: Path) -> str:
    sizes = replace(SIZES, dropout=0.0)
    model, _ = train_on_lists(sizes, lists, options, folder, pretraining_epochs=1, processes=join())
    return model.fingerprint()


def test_two_processes_train_what_one_trains_with_twice_the_batch(lists: ListOptions, tmp_path: Path) -> None:
    options = replace(OPTIONS, validations=2)
    fingerprints = in_processes(shared_training, lists, options, tmp_path / "two")
    assert fingerprints == [load_model(tmp_path / "two").fingerprint()] * 2
    shared_training(0, lists, replace(options, accumulate=2), tmp_path / "one")
    assert curve(tmp_path / "two") == pytest.approx(curve(tmp_path / "one"), abs=1e-4)
    assert sorted(os.listdir(tmp_path / "two")) == sorted(os.listdir(tmp_path / "one"))


def curve(folder: Path) -> list[float]:
    """Validation losses of both runs."""
    files = [folder / name for name in ("pretraining.jsonl", "training.jsonl")]
    return [json.loads(line)["valid_loss"] for file in files for line in file.read_text().splitlines()]


def test_the_folder_is_whole_and_holds_nothing_else(trained: Path) -> None:
    found = {str(path.relative_to(trained)) for path in trained.rglob("*")}
    assert found == {
        *("config.json", "model.safetensors", "words.txt", "training.jsonl", "pretraining.jsonl", SENTENCES_FILE)
    }


def test_what_was_seen_is_written_down(lists: ListOptions, trained: Path) -> None:
    seen = SentenceHashes.load(trained / SENTENCES_FILE)
    assert seen.contains((lists.texts[0]).read_text().splitlines()).all()
    assert not seen.contains(["w1 never was said like this"]).any()


def test_pretraining_matters_and_is_no_must(lists: ListOptions, trained: Path, tmp_path: Path) -> None:
    bare = ListOptions(lists.nbest, lists.valid, vocabulary="words")
    assert train(bare, tmp_path / "bare").fingerprint() != load_model(trained).fingerprint()


def test_the_kind_of_noise_matters(lists: ListOptions, trained: Path, tmp_path: Path) -> None:
    material, random = Material.read(lists), np.random.default_rng(1)
    pairs = {kind: material.noise(kind).corrupt("w1 w2 zz", random) for kind in get_args(NoiseKind)}
    assert all(len(heard) == 2 for heard in pairs.values())
    found = train(replace(lists, noise="letters"), tmp_path / "letters").fingerprint()
    assert found != load_model(trained).fingerprint()


def test_sources_in_other_pieces_depend_on_the_epoch_and_the_pair_alone(lists: ListOptions) -> None:
    material = Material.read(lists)
    vocabulary = SentencePieceVocabulary.train(material.targets, 273)
    dropout = PieceDropout(vocabulary, 0.4)
    heard_said = heard_and_said(material.lists)
    pairs = {
        "lists": RespeltPairs(heard_said, vocabulary, "list", dropout, 1),
        "texts": NoisyPairs(material.texts, material.noise("words"), vocabulary, "list", 1, dropout),
    }
    for some in pairs.values():
        numbers = range(len(some.targets))
        whole = [source.tolist() for source in some.sources(2, numbers)]
        assert whole == [some.sources(2, [number])[0].tolist() for number in numbers]
        assert whole != [source.tolist() for source in some.sources(3, numbers)]
    sources = pairs["lists"].sources(0, range(len(heard_said)))
    spelt = [vocabulary.decode(source[source != vocabulary.size]) for source in sources]
    heard = ["".join(texts) for texts, _ in heard_said]
    assert [text.replace(" ", "") for text in spelt] == [text.replace(" ", "") for text in heard]


def test_pieces_are_left_out_where_they_can_be(lists: ListOptions, tmp_path: Path) -> None:
    pieces = replace(lists, vocabulary="bpe", vocabulary_size=273)
    found = [
        train(replace(pieces, piece_dropout=share), tmp_path / str(share)).fingerprint() for share in (None, 0.1, 0.0)
    ]
    assert found[0] == found[1] != found[2]
    with pytest.raises(InputError, match="byte pair encoding alone"):
        train(replace(lists, piece_dropout=0.1), tmp_path / "words")


def test_a_fold_model_has_not_seen_its_fold_and_scores_it(lists: ListOptions, trained: Path, tmp_path: Path) -> None:
    utterances = list(read_nbest(lists.nbest[0]))
    references = [some.reference or "" for some in utterances]
    folds = fold_of(references, 2)
    folder = tmp_path / "model"
    train(lists, folder)
    for fold in range(2):
        train(replace(lists, fold=(fold, 2)), fold_folder(folder, fold))
        seen = SentenceHashes.load(fold_folder(folder, fold) / SENTENCES_FILE)
        np.testing.assert_array_equal(seen.contains(references), folds != fold)
    model = RescoringModel.open(str(folder))
    scores = model.score_unseen(utterances, tell_nobody)
    begin = 0
    for some, fold in zip(utterances, folds.tolist(), strict=True):
        end = begin + len(some.hypotheses)
        alone = RescoringModel.open(str(fold_folder(folder, fold))).scorer.score_list([some])
        np.testing.assert_allclose(scores.log_prob[begin:end], alone.log_prob, atol=1e-4)
        begin = end


def test_what_cannot_be_trained_on_is_named(lists: ListOptions, tmp_path: Path) -> None:
    write_nbest(tmp_path / "bare.json", [Utterance("x", (Hypothesis("w1"),))])
    with pytest.raises(InputError, match="reference") as caught:
        train(replace(lists, nbest=(tmp_path / "bare.json",)), tmp_path / "model")
    assert caught.value.utterance == "x"
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(InputError, match="no sentence"):
        train(replace(lists, texts=(tmp_path / "empty.txt",)), tmp_path / "model")


def test_other_settings_do_not_take_up_a_training(lists: ListOptions, tmp_path: Path) -> None:
    def stop(progress: TrainingProgress) -> None:
        raise Killed

    with pytest.raises(Killed):
        train(lists, tmp_path, stop)
    for given, epochs in ((lists, 3), (replace(lists, noise="letters"), 1)):
        with pytest.raises(InputError, match="another"):
            train_on_lists(SIZES, given, OPTIONS, tmp_path, pretraining_epochs=epochs)


def test_a_finished_model_is_left_alone(lists: ListOptions, trained: Path) -> None:
    with pytest.raises(InputError, match="trained model already"):
        train(lists, trained)
