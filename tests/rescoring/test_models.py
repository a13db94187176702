"""Models become columns: their names, their folds, and how well their words fit a list."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from counting_model import counting, listed
from noted_progress import Noted

from asr_lm.errors import InputError
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.lm.folder import fold_folder
from asr_lm.lm.training.options import TextOptions
from asr_lm.rescoring.rescorer import Rescorer
from asr_lm.rescoring.scoring.models import TAKEN, RescoringModel, feature_table, open_models
from asr_lm.rescoring.scoring.scorer import ScoreCache, tell_nobody
from asr_lm.rescoring.scoring.vocabulary_fit import VocabularyFit
from asr_lm.text.sentence_hashes import SentenceHashes

FOLDS = 3
SUBJECTS = ("the cat", "a dog", "my aunt", "the old sailor", "our neighbour")
VERBS = ("sees", "likes", "feeds", "paints")
OBJECTS = ("the boat", "a red apple", "two horses", "the garden", "some bread")
SENTENCES = [f"{subject} {verb} {what}" for subject in SUBJECTS for verb in VERBS for what in OBJECTS]
SEEN, NEW = SENTENCES[:80], SENTENCES[80:]


@pytest.fixture(scope="module")
def domain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An n-gram model of SEEN with jackknife models."""
    from asr_lm.lm.training.recipe import train_ngram_model

    folder = tmp_path_factory.mktemp("models") / "domain"
    text = folder.parent / "train.txt"
    text.write_text("".join(f"{sentence}\n" for sentence in SEEN))
    for fold in (None, *range(FOLDS)):
        options = TextOptions((text,), None, vocabulary="words", fold=None if fold is None else (fold, FOLDS))
        train_ngram_model(options, folder if fold is None else fold_folder(folder, fold), order=3)
    return folder


@pytest.fixture
def copy(domain: Path, tmp_path: Path) -> Callable[..., Path]:
    """Copy the model's ARPA file under another name."""

    def copied(name: str) -> Path:
        data = (domain / "model.arpa").read_bytes()
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return copied


@pytest.fixture(scope="module")
def model(domain: Path) -> RescoringModel:
    return RescoringModel.open(str(domain))


@pytest.fixture(scope="module")
def utterances() -> list[Utterance]:
    """References that were seen, that are new, and none, in lists of different lengths."""
    references = [*SEEN[::4], *NEW[:6], None, None]
    generator = np.random.default_rng(3)
    order = generator.permutation(len(references)).tolist()
    texts = [generator.choice(SENTENCES, 1 + number % 5).tolist() for number in range(len(references))]
    return listed(*texts, references=[references[number] for number in order])


class TestLengths:
    """Words and characters are those of the text that the models read."""

    DRESSED = ("The, ferry: leaves -- at twenty past two...", "the ferry leaves at twenty past two")

    @pytest.mark.parametrize("name", ["words", "characters"])
    def test_punctuation_that_no_model_reads_does_not_count(self, model: RescoringModel, name: str) -> None:
        assert model.model.normalizer == "librispeech"
        table = feature_table(listed(list(self.DRESSED)), [model], fit=VocabularyFit(refuse=False))
        dressed, plain = table.column(name).tolist()
        assert dressed == plain
        assert table.texts == self.DRESSED

    def test_it_counts_where_it_is_read(self, copy: Callable[..., Path]) -> None:
        bare = RescoringModel.open(str(copy("bare.arpa")))
        table = feature_table(listed(list(self.DRESSED)), [bare], fit=VocabularyFit(refuse=False))
        assert table.column("characters").tolist() == [36.0, 29.0]
        assert table.column("words").tolist() == [8.0, 7.0]

    def test_punctuation_is_not_rewarded(self) -> None:
        heard = [("the, ferry, leaves, at twenty past two...", -41.5), ("the ferry leaves at twenty past two", -40.0)]
        hypotheses = tuple(Hypothesis(text, {"acoustic": score}) for text, score in heard)
        rescored = Rescorer("default", score_kind="sum")(Utterance("u", hypotheses))
        assert rescored.hypotheses[0].text == heard[1][0]


class TestNames:
    """What a column is called."""

    @pytest.mark.parametrize(
        ("file", "name"),
        [
            ("toy.arpa", "toy"),
            ("toy.arpa.gz", "toy"),
            ("a.b.arpa", "a.b"),
            ("old=1/toy.arpa", "toy"),
            ("plain", "plain"),
        ],
    )
    def test_a_file_gives_its_name(self, copy: Callable[..., Path], file: str, name: str) -> None:
        assert RescoringModel.open(str(copy(file))).name == name

    def test_a_folder_gives_its_name_wherever_it_is_seen_from(
        self, domain: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(domain)
        assert [RescoringModel.open(path).name for path in (".", f"{domain}/", "../domain")] == ["domain"] * 3

    def test_a_name_can_be_given(self, domain: Path, copy: Callable[..., Path]) -> None:
        path = copy("x=y.arpa")
        models = open_models([f"first={domain}", f"second={path}", str(domain)])
        assert [model.name for model in models] == ["first", "second", "domain"]
        assert models[1].path == path

    def test_default_is_the_packaged_model(self) -> None:
        plain, named = open_models(["default", "general=default"])
        assert (plain.name, named.name) == ("default", "general")
        assert plain.path == named.path
        assert plain.model.vocabulary.is_open

    def test_each_may_compute_in_a_precision_of_its_own(self) -> None:
        models = open_models(["one=default", "other=default"], precision=["bfloat16", "float32"])
        assert [model.model.precision for model in models] == ["bfloat16", "float32"]
        assert {model.model.precision for model in open_models(["a=default", "b=default"], precision="bfloat16")} == {
            "bfloat16"
        }

    def test_names_must_differ(self, domain: Path) -> None:
        with pytest.raises(InputError, match=r"two models are called 'domain'.*NAME=PATH"):
            open_models([str(domain), str(domain)])

    @pytest.mark.parametrize("name", TAKEN)
    def test_names_that_mean_something_else_are_refused(self, domain: Path, name: str) -> None:
        with pytest.raises(InputError, match=f"no model can be called '{name}'"):
            open_models([f"{name}={domain}"])

    @pytest.mark.parametrize("specification", ["", "name="])
    def test_a_path_is_needed(self, specification: str) -> None:
        with pytest.raises(InputError, match="no path"):
            open_models([specification])

    def test_a_budget_is_a_number_of_nodes(self, domain: Path) -> None:
        with pytest.raises(InputError, match="above 0, not 0"):
            open_models([str(domain)], budget=0)

    def test_a_first_pass_score_may_not_be_called_like_a_model(self) -> None:
        model = counting("acoustic")
        with pytest.raises(InputError, match=r"score is called 'acoustic' too.*NAME=PATH"):
            feature_table(listed(["a"], acoustic=-1.0), [model])
        assert model.scorer.computed == 0

    @pytest.mark.parametrize("name", ["rank", "words", "characters"])
    def test_a_first_pass_score_may_not_be_called_like_another_feature(self, name: str) -> None:
        with pytest.raises(InputError, match=f"called '{name}'") as caught:
            feature_table(listed(["a"], **{name: 1.0}), [counting()])
        assert (caught.value.utterance, caught.value.field) == ("u0", f"hypotheses[0].scores.{name}")


class TestColumns:
    """The feature table of a list."""

    def test_every_model_is_a_column_and_closed_ones_count_what_they_do_not_know(self) -> None:
        utterances = listed(["a b", "a"], ["b a b"], acoustic=-1.0)
        models = [counting("one"), counting("two", is_open=True)]
        table = feature_table(utterances, models)
        assert table.names == ("acoustic", "rank", "words", "characters", "one", "two", "unknown:one")
        assert table.column("one").tolist() == table.column("two").tolist() == [-2.0, -1.0, -3.0]
        assert table.column("unknown:one").tolist() == [0.0] * 3

    def test_errors_are_counted_as_asked(self) -> None:
        utterances = listed(["a b"], references=["A, b!"])
        counted = {
            (unit, normalizer): feature_table(utterances, [], unit=unit, wer_normalizer=normalizer).errors.sum()
            for unit in ("word", "character")
            for normalizer in ("as-is", "librispeech")
        }
        assert counted == {
            ("word", "as-is"): 2,
            ("word", "librispeech"): 0,
            ("character", "as-is"): 3,
            ("character", "librispeech"): 0,
        }

    def test_progress_is_told_by_model(self) -> None:
        progress = Noted()
        utterances = listed(["a", "b", "a b"], ["b"])
        feature_table(utterances, [counting("x"), counting("y")], progress=progress)
        assert progress.counts == [("x", 4), ("y", 4)]
        assert progress.kept == [False, False]

    def test_scores_that_were_there_are_told_from_those_computed(self, tmp_path: Path) -> None:
        utterances, models = listed(["a", "b"]), [counting("x", cache=ScoreCache(tmp_path)), counting("y")]
        feature_table(utterances, models)
        progress = Noted()
        feature_table(utterances, models, progress=progress)
        assert list(zip(progress.counts, progress.kept, strict=True)) == [(("x", 2), True), (("y", 2), False)]


class TestVocabularyFit:
    """Lists of a hundred words, some of them unknown."""

    def judged(self, unknown: int, is_open: bool = False) -> list[str]:
        progress = Noted()
        words = [f"strange{number}" for number in range(unknown)] + ["a"] * (100 - unknown)
        feature_table(listed([" ".join(words)]), [counting(is_open=is_open)], progress=progress)
        return progress.warnings

    @pytest.mark.parametrize("unknown", [0, 3])
    def test_up_to_three_percent_pass_in_silence(self, unknown: int) -> None:
        assert self.judged(unknown) == []

    @pytest.mark.parametrize("unknown", [4, 20, 60])
    def test_above_three_percent_it_warns(self, unknown: int) -> None:
        (message,) = self.judged(unknown)
        assert message.startswith(
            f"{unknown}.0 % of the hypotheses' words are unknown to the model 'counting', such as "
        )
        assert "'strange0', 'strange1', 'strange2', 'strange3'" in message

    def test_above_sixty_percent_it_refuses_with_examples(self) -> None:
        with pytest.raises(InputError, match=r"61\.0 %.*'strange0', .*does not fit this list.*'as-is'") as caught:
            self.judged(61)
        assert "strange5" not in str(caught.value)

    def test_words_in_another_case_are_told_apart_from_unknown_ones(self) -> None:
        words = ["A", "B", "strange"] * 9 + ["a"] * 73
        with pytest.raises(InputError, match=r"27\.0 %.*it knows them in lower case"):
            feature_table(listed([" ".join(words)]), [counting()])

    def test_a_service_is_not_judged_by_one_utterance(self) -> None:
        fit, progress = VocabularyFit(refuse=False), Noted()
        feature_table(listed(["strange words"]), [counting()], fit=fit, progress=progress)
        assert progress.warnings == []

    def test_an_open_vocabulary_knows_everything(self) -> None:
        assert self.judged(100, is_open=True) == []

    def test_shards_are_counted_together(self) -> None:
        warned: list[str] = []
        fit, model = VocabularyFit(warned.append), counting()
        feature_table(listed(["a " * 90]), [model], fit=fit)
        feature_table(listed(["x y z v w q r s t u"]), [model], fit=fit)  # all unknown, but 10 % of the list
        feature_table(listed(["k l"]), [model], fit=fit)
        assert len(warned) == 1
        assert warned[0].startswith("10.0 %")
        with pytest.raises(InputError, match="does not fit"):
            feature_table(listed(["x " * 150]), [model], fit=fit)

    def test_without_examples_it_warns_all_the_same(self) -> None:
        warned: list[str] = []
        model = counting()
        # Jackknife models know fewer words than the full one.
        VocabularyFit(warned.append).add("lm", model.model, ["a b a b a b a b a b"], 1)
        assert warned == ["10.0 % of the hypotheses' words are unknown to the model 'lm'"]

    def test_a_normaliser_that_leaves_nothing_does_not_hide_the_misfit(self) -> None:
        chinese = listed(["今天 天气 好", "今天 天气"])
        with pytest.raises(InputError, match=r"100\.0 %.*'今天', '天气', '好'.*'librispeech'"):
            feature_table(chinese, [counting(normalizer="librispeech")])
        progress = Noted()
        feature_table(chinese, [counting(normalizer="librispeech", is_open=True)], progress=progress)
        assert len(progress.warnings) == 1

    def test_punctuation_is_no_word_that_gets_lost(self) -> None:
        progress = Noted()
        feature_table(listed(["a , b . !", "a"]), [counting(normalizer="librispeech")], progress=progress)
        assert progress.warnings == []

    def test_empty_hypotheses_are_no_misfit(self) -> None:
        progress = Noted()
        feature_table(listed(["", " "]), [counting()], progress=progress)
        assert progress.warnings == []


class TestJackknife:
    """Development scores come from models that have not seen the reference."""

    def test_the_folder_brings_its_folds(self, domain: Path, model: RescoringModel) -> None:
        assert [path for path, _ in model.folds] == [fold_folder(domain, number) for number in range(FOLDS)]
        for path, hashes in model.folds:
            kept = hashes.contains(SEEN)
            assert 0 < kept.sum() < len(SEEN), path

    def test_each_utterance_is_scored_by_a_model_that_has_not_seen_it(
        self, domain: Path, model: RescoringModel, utterances: list[Utterance]
    ) -> None:
        scores = model.score_unseen(utterances, tell_nobody)
        seen = [model.seen, *(hashes for _, hashes in model.folds)]
        alone = [RescoringModel.open(str(folder)).scorer for folder in (domain, *(path for path, _ in model.folds))]
        begin, overlapping = 0, 0
        for utterance in utterances:
            rows = scores.log_prob[begin : begin + len(utterance.hypotheses)].tolist()
            begin += len(utterance.hypotheses)
            texts = [hypothesis.text for hypothesis in utterance.hypotheses]
            candidates = [scorer.score(texts).log_prob.tolist() for scorer in alone]
            if utterance.reference in SEEN:
                overlapping += 1
                fair = [number for number, hashes in enumerate(seen) if not hashes.contains([utterance.reference])[0]]
                assert 0 not in fair
                assert rows in [candidates[number] for number in fair]
                assert rows != candidates[0]
            else:
                assert rows == candidates[0]
        assert begin == len(scores.log_prob)
        assert overlapping == len(SEEN[::4])

    def test_development_tables_take_these_scores_and_others_do_not(
        self, model: RescoringModel, utterances: list[Utterance]
    ) -> None:
        unseen = model.score_unseen(utterances, tell_nobody).log_prob
        full = model.scorer.score_list(utterances).log_prob
        assert (unseen != full).any()
        development = feature_table(utterances, [model], development=True).column("domain")
        np.testing.assert_array_equal(development, unseen)
        np.testing.assert_array_equal(feature_table(utterances, [model]).column("domain"), full)

    def test_without_overlap_the_full_model_scores_everything(self, model: RescoringModel) -> None:
        utterances = listed([SEEN[0], SEEN[1]], [SEEN[2]], references=[NEW[0], None])
        assert model.overlap(utterances) == 0
        scores = model.score_unseen(utterances, tell_nobody)
        np.testing.assert_array_equal(scores.log_prob, model.scorer.score_list(utterances).log_prob)

    def test_overlap_is_a_share_of_the_references(self, model: RescoringModel) -> None:
        utterances = listed(["a"], ["a"], ["a"], ["a"], references=[SEEN[0], NEW[0], None, SEEN[0].upper()])
        assert model.overlap(utterances) == pytest.approx(2 / 3)

    def test_a_reference_that_every_model_has_seen_is_refused(self, domain: Path) -> None:
        model = RescoringModel.open(str(domain))
        assert model.seen is not None
        everything = RescoringModel(
            "m", model.path, model.scorer, model.seen, [(path, model.seen) for path, _ in model.folds]
        )
        with pytest.raises(InputError, match="training text of all 4 models") as caught:
            everything.score_unseen(listed(["a"], ["b"], references=[NEW[0], SEEN[0]]), tell_nobody)
        assert caught.value.utterance == "u1"

    @pytest.mark.parametrize("lost", ["sentences.hashes", "folds/1/sentences.hashes"])
    def test_fingerprints_must_be_there(self, domain: Path, tmp_path: Path, lost: str) -> None:
        broken = tmp_path / "domain"
        shutil.copytree(domain, broken)
        (broken / lost).unlink()
        with pytest.raises(InputError, match=r"no sentences\.hashes"):
            RescoringModel.open(str(broken))

    def test_a_damaged_fingerprint_is_named(self, domain: Path, tmp_path: Path) -> None:
        broken = tmp_path / "domain"
        shutil.copytree(domain, broken)
        file = broken / "sentences.hashes"
        file.write_bytes(file.read_bytes()[:-3])
        with pytest.raises(InputError, match="damaged") as caught:
            RescoringModel.open(str(broken))
        assert caught.value.file == str(file)

    def test_a_model_without_fingerprint_overlaps_with_nothing(self) -> None:
        assert counting().overlap(listed(["a"], references=["a"])) == 0.0

    def test_a_fingerprint_without_folds_changes_no_score(self) -> None:
        model = counting()
        model.seen = SentenceHashes.from_sentences(["a b"])
        utterances = listed(["a", "b a"], references=["a b"])
        scores = model.score_unseen(utterances, tell_nobody)
        assert model.overlap(utterances) == 1.0
        assert scores.log_prob.tolist() == [-1.0, -2.0]
