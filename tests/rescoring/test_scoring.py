"""Laws of scoring a list: each text once, each shard once, whatever stops the run in between."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.lm.protocol import LanguageModel, LogProbs, Tokens
from asr_lm.rescoring.scoring import scorer as scoring_module
from asr_lm.rescoring.scoring.scorer import ScoreCache, Scorer, Scores, default_cache_folder, score_texts, shards
from asr_lm.text.vocabulary import WordVocabulary

WORDS = WordVocabulary(["a", "b", "c", "it's"])


class Recorded(LanguageModel):
    """A token costs a tenth of its id, ``</s>`` half a nat; every sentence that is scored is written down."""

    family = "recorded"
    parameters = 0

    def __init__(self, weights: str = "w", vocabulary: WordVocabulary = WORDS, normalizer: str = "librispeech") -> None:
        self.vocabulary = vocabulary
        self.normalizer = normalizer
        self.weights = weights
        self.sentences: list[str] = []
        self.budgets: list[int | None] = []

    def token_log_probs(self, sentences: Sequence[Tokens], budget: int | None = None) -> list[LogProbs]:
        self.sentences += [self.vocabulary.decode(sentence) for sentence in sentences]
        self.budgets.append(budget)
        return [np.append(-0.1 * sentence, -0.5) for sentence in sentences]

    def fingerprint(self) -> str:
        return f"{self.weights} {self.vocabulary.fingerprint()} {self.normalizer}"

    def save(self, folder: Path) -> None:
        raise NotImplementedError


def utterances(*lists: Sequence[str]) -> list[Utterance]:
    return [Utterance(f"u{i}", tuple(Hypothesis(text) for text in texts)) for i, texts in enumerate(lists)]


def equal(first: Scores, second: Scores) -> bool:
    return all(
        np.array_equal(getattr(first, name), getattr(second, name)) for name in ("log_prob", "tokens", "unknown")
    )


class TestTexts:
    def test_by_hand(self) -> None:
        scores = score_texts(Recorded(), ["A b", "it’s  C!", "what a day", ""])
        np.testing.assert_allclose(scores.log_prob, [-0.5 - 0.3 - 0.4, -0.5 - 0.6 - 0.5, -0.5 - 0.3, -0.5])
        assert scores.tokens.tolist() == [3, 3, 4, 1]
        assert scores.unknown.tolist() == [0, 0, 2, 0]
        assert (scores.log_prob.dtype, scores.tokens.dtype, scores.unknown.dtype) == (np.float64, np.int64, np.int64)

    def test_an_empty_hypothesis_is_scored_by_its_end_alone(self) -> None:
        scores = score_texts(Recorded(), ["", " \t", "…"])
        assert scores.log_prob.tolist() == [-0.5] * 3
        assert (scores.tokens.tolist(), scores.unknown.tolist()) == ([1] * 3, [0] * 3)

    def test_texts_that_look_like_missing_values_are_texts(self) -> None:
        model = Recorded(vocabulary=WordVocabulary(["nan", "null", "none"]))
        assert score_texts(model, ["nan", "null", "None", ""]).tokens.tolist() == [2, 2, 2, 1]
        assert model.sentences == ["nan", "null", "none", ""]

    @given(st.lists(st.sampled_from(["a", "A!", "a b", "b a", "", " ", "c c c", "x"]), max_size=30))
    def test_equal_texts_are_scored_once_and_all_get_their_score(self, texts: list[str]) -> None:
        model = Recorded()
        scores = score_texts(model, texts)
        assert len(model.sentences) == len(set(model.sentences))
        assert len(scores.log_prob) == len(scores.tokens) == len(scores.unknown) == len(texts)
        for index, text in enumerate(texts):
            alone = score_texts(Recorded(), [text])
            assert scores.log_prob[index] == alone.log_prob[0]
            assert (scores.tokens[index], scores.unknown[index]) == (alone.tokens[0], alone.unknown[0])

    def test_the_budget_reaches_the_model(self) -> None:
        model = Recorded()
        Scorer(model, budget=77).score(["a"])
        Scorer(model).score(["a"])
        assert model.budgets == [77, None]


class TestShards:
    @given(st.lists(st.integers(1, 9), max_size=20), st.integers(1, 30))
    def test_they_are_whole_utterances_in_order_and_no_smaller_than_asked(self, sizes: list[int], least: int) -> None:
        listed = utterances(*(["a"] * size for size in sizes))
        found = list(shards(listed, least))
        assert [utterance for shard in found for utterance in shard] == listed
        counts = [sum(len(utterance.hypotheses) for utterance in shard) for shard in found]
        assert all(count >= least for count in counts[:-1])
        assert all(count - len(shard[-1].hypotheses) < least for count, shard in zip(counts, found, strict=True))

    def test_a_list_is_read_no_further_than_the_shard_needs(self) -> None:
        read: list[int] = []

        def stream() -> Iterator[Utterance]:
            for number, utterance in enumerate(utterances(*[["a", "b"]] * 10)):
                read.append(number)
                yield utterance

        next(shards(stream(), 4))
        assert read == [0, 1]


class TestCache:
    TEXTS = ("a b", "c", "", "x y", "a b")

    @pytest.fixture
    def cache(self, tmp_path: Path) -> ScoreCache:
        return ScoreCache(tmp_path / "cache")

    def test_a_second_time_nothing_is_computed(self, cache: ScoreCache) -> None:
        first, second = Scorer(Recorded(), cache), Scorer(Recorded(), cache)
        expected = first.score(self.TEXTS)
        assert (first.computed, first.found) == (5, 0)
        assert equal(second.score(self.TEXTS), expected)
        assert (second.computed, second.found, second.model.sentences) == (0, 5, [])

    def test_values_survive_exactly(self) -> None:
        scores = Scores(
            np.array([-1e-300, -np.pi, -np.inf, -12345.678901234567]),
            np.array([1, 2, 3, 2**40]),
            np.array([0, 1, 0, 3]),
        )
        assert equal(Scores.from_bytes(scores.to_bytes()), scores)
        nothing = score_texts(Recorded(), [])
        assert equal(Scores.from_bytes(nothing.to_bytes()), nothing)

    @pytest.mark.parametrize(
        "model",
        [
            Recorded("v"),
            Recorded(normalizer="as-is"),
            Recorded(vocabulary=WordVocabulary(["b", "a", "c", "it's"])),
        ],
        ids=["weights", "normaliser", "vocabulary"],
    )
    def test_another_model_computes_its_own(self, cache: ScoreCache, model: Recorded) -> None:
        Scorer(Recorded(), cache).score(self.TEXTS)
        assert equal(Scorer(model, cache).score(self.TEXTS), score_texts(model, self.TEXTS))
        assert model.sentences

    @pytest.mark.parametrize(
        "texts",
        [("a b", "c", "", "x y"), ("c", "a b", "", "x y", "a b"), ("a bc", "", "x y", "a b"), ("A b", *TEXTS[1:])],
    )
    def test_other_texts_are_computed(self, cache: ScoreCache, texts: Sequence[str]) -> None:
        Scorer(Recorded(), cache).score(self.TEXTS)
        other = Scorer(Recorded(), cache)
        assert equal(other.score(texts), score_texts(Recorded(), texts))
        assert (other.computed, other.found) == (len(texts), 0)

    def test_ids_and_first_pass_scores_do_not_matter(self, cache: ScoreCache) -> None:
        Scorer(Recorded(), cache).score_list(utterances(["a", "b"]))
        renamed = [Utterance("other", (Hypothesis("a", {"acoustic": -1.0}), Hypothesis("b")), "reference", "tape")]
        scorer = Scorer(Recorded(), cache)
        scorer.score_list(renamed)
        assert scorer.found == 2

    @pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "longer", "garbage", "folder"])
    def test_a_damaged_file_is_computed_again_and_mended(self, cache: ScoreCache, damage: str) -> None:
        expected = Scorer(Recorded(), cache).score(self.TEXTS)
        assert cache.folder is not None
        (file,) = cache.folder.iterdir()
        data = bytearray(file.read_bytes())
        if damage == "flipped":
            data[-3] ^= 1  # one bit of one figure
        contents = {"empty": b"", "cut": bytes(data[:-8]), "longer": bytes(data) + b"\0", "garbage": os.urandom(300)}
        file.unlink()
        if damage == "folder":
            file.mkdir()
            assert ScoreCache(cache.folder).get(file.stem) is None
            return
        file.write_bytes(contents.get(damage, bytes(data)))
        scorer = Scorer(Recorded(), cache)
        assert equal(scorer.score(self.TEXTS), expected)
        assert (scorer.computed, scorer.found) == (5, 0)
        assert Scorer(Recorded(), cache).score(self.TEXTS).log_prob.tolist() == expected.log_prob.tolist()
        assert len(list(cache.folder.iterdir())) == 1

    def test_scores_of_another_number_of_texts_are_not_believed(self, cache: ScoreCache) -> None:
        Scorer(Recorded(), cache).score(self.TEXTS)
        assert cache.folder is not None
        (file,) = cache.folder.iterdir()
        cache.put(file.stem, score_texts(Recorded(), ["a"]))
        assert equal(Scorer(Recorded(), cache).score(self.TEXTS), score_texts(Recorded(), self.TEXTS))

    def test_without_a_folder_nothing_is_kept(self) -> None:
        scorer = Scorer(Recorded(), ScoreCache(None))
        scorer.score(["a"])
        scorer.score(["a"])
        assert scorer.model.sentences == ["a", "a"]

    def test_where_it_lies(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("ASR_LM_CACHE", str(tmp_path))
        assert default_cache_folder() == tmp_path
        monkeypatch.setenv("ASR_LM_CACHE", "")
        monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
        assert default_cache_folder() == Path("/elsewhere/asr_lm")
        monkeypatch.delenv("ASR_LM_CACHE")
        monkeypatch.setenv("XDG_CACHE_HOME", "")
        monkeypatch.setenv("HOME", "/home/of/somebody")
        assert default_cache_folder() == Path("/home/of/somebody/.cache/asr_lm")

    def test_a_user_without_a_home_has_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def unknown(user: object) -> None:
            raise KeyError(user)

        monkeypatch.setattr("pwd.getpwuid", unknown)
        for name in ("ASR_LM_CACHE", "XDG_CACHE_HOME", "HOME"):
            monkeypatch.delenv(name, raising=False)
        assert default_cache_folder() is None


class TestRun:
    LIST = utterances(*([f"a{' b' * number}", "c"] for number in range(12)))

    @pytest.fixture(autouse=True)
    def _small_shards(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(scoring_module.shards, "__defaults__", (6,))

    def test_the_list_s_scores_are_those_of_its_texts(self, tmp_path: Path) -> None:
        sizes: list[int] = []
        scores = Scorer(Recorded(), ScoreCache(tmp_path)).score_list(
            self.LIST, lambda hypotheses, kept: sizes.append(hypotheses)
        )
        texts = [hypothesis.text for utterance in self.LIST for hypothesis in utterance.hypotheses]
        assert equal(scores, score_texts(Recorded(), texts))
        assert sizes == [6, 6, 6, 6]

    @pytest.mark.parametrize("done", [1, 2, 3])
    def test_a_killed_run_computes_the_rest_only(self, tmp_path: Path, done: int) -> None:
        class Killed(Exception):
            pass

        class Dying(Recorded):
            def token_log_probs(self, sentences: Sequence[Tokens], budget: int | None = None) -> list[LogProbs]:
                if len(self.budgets) == done:
                    raise Killed
                return super().token_log_probs(sentences, budget)

        cache = ScoreCache(tmp_path)
        with pytest.raises(Killed):
            Scorer(Dying(), cache).score_list(self.LIST)
        resumed = Scorer(Recorded(), cache)
        scores = resumed.score_list(self.LIST)
        assert (resumed.found, resumed.computed) == (6 * done, 24 - 6 * done)
        assert len(resumed.model.budgets) == 4 - done
        assert equal(scores, Scorer(Recorded()).score_list(self.LIST))

    def test_a_full_disk_is_told_and_leaves_no_half_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        cache = ScoreCache(tmp_path / "cache")
        fsync, calls = os.fsync, []

        def full(descriptor: int) -> None:
            calls.append(descriptor)
            if len(calls) == 3:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", full)
        scores = Scorer(Recorded(), cache).score_list(self.LIST)
        assert equal(scores, Scorer(Recorded()).score_list(self.LIST))
        assert caplog.messages == [
            f"{tmp_path / 'cache'}: scores cannot be kept here: cannot be written (No space left on device); "
            "going on without"
        ]
        monkeypatch.undo()
        assert cache.folder is not None
        assert [path.suffix for path in cache.folder.iterdir()] == [".scores"] * 2
        resumed = Scorer(Recorded(), ScoreCache(cache.folder))
        monkeypatch.setattr(scoring_module.shards, "__defaults__", (6,))
        resumed.score_list(self.LIST)
        assert (resumed.found, resumed.computed) == (12, 12)

    def test_a_cache_folder_that_cannot_be_made(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        (tmp_path / "file").write_text("")
        for folder in (tmp_path / "file", tmp_path / "file" / "below"):
            caplog.clear()
            assert len(Scorer(Recorded(), ScoreCache(folder)).score(["a"]).log_prob) == 1
            assert caplog.messages == [
                f"{folder}: scores cannot be kept here: is a file, a folder was expected; going on without"
            ]

    def test_a_cache_folder_that_is_read_only(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def refused(path: str) -> int:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

        monkeypatch.setattr("asr_lm.partial_files._make_file", refused)
        scorer = Scorer(Recorded(), ScoreCache(tmp_path))
        assert len(scorer.score(["a"]).log_prob) == len(scorer.score(["b"]).log_prob) == 1
        assert len(caplog.messages) == 1
        assert "Permission denied" in caplog.text
        assert list(tmp_path.iterdir()) == []


def test_the_last_speed_is_kept_beside_the_scores(tmp_path):
    model = Recorded()
    first = Scorer(model, ScoreCache(tmp_path))
    assert first.speed is None
    first.score(["a b", "b"])
    assert first.speed == first.computed / first.seconds
    first.keep_speed()
    again = Scorer(model, ScoreCache(tmp_path))
    again.score(["a b", "b"])
    assert (again.computed, again.speed) == (0, first.speed)
    again.keep_speed()
    assert again.speed == first.speed
    next(tmp_path.glob("*.speed.json")).write_text("{")
    assert again.speed is None
    assert Scorer(model).speed is None


def test_a_slow_model_is_scored_in_shards_of_its_own(tmp_path: Path) -> None:
    """Stopped between two of them, it goes on after the first."""

    class Slow(Recorded):
        shard_hypotheses = 4

    lists = TestRun.LIST
    done: list[int] = []

    def stop(hypotheses: int, *, kept: bool) -> None:
        assert not kept
        done.append(hypotheses)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Scorer(Slow(), ScoreCache(tmp_path)).score_list(lists, stop)
    scorer = Scorer(Slow(), ScoreCache(tmp_path))
    scores = scorer.score_list(lists, lambda hypotheses, kept: done.append(hypotheses))
    assert len(done) > 3
    assert scorer.found == done[0] > 0
    assert equal(scores, Scorer(Recorded(), ScoreCache(None)).score_list(lists))
