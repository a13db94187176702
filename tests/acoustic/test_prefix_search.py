"""The beam search equals enumeration where its beam is wide enough, and flashlight's search where it is not."""

import importlib.util
import itertools
import math
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from asr_lm.acoustic.beam_search import prefix_search
from asr_lm.acoustic.ctc_decoder import make_ctc_decoder
from asr_lm.acoustic.first_pass import FirstPass
from asr_lm.acoustic.first_pass_lm import FirstPassLm, LabelNgrams
from asr_lm.acoustic.lexicon import Lexicon
from asr_lm.acoustic.lexicon_tree import LexiconTree
from asr_lm.acoustic.options import BeamOptions, DecodingOptions
from asr_lm.acoustic.prefix_search import PrefixSearch
from asr_lm.acoustic.tokens import Tokens
from asr_lm.errors import InputError

SHARED = Path(__file__).parents[2] / "../shared/data/emissions"
FLASHLIGHT = importlib.util.find_spec("flashlight") is not None
needs_flashlight = pytest.mark.skipif(not FLASHLIGHT, reason="flashlight-text is not installed")

BLANK, END, A, B = range(4)
TOKENS = Tokens(("-", "|", "a", "b"))
WORDS = {"a": [(A,)], "ab": [(A, B)], "aab": [(A, A, B)], "two": [(B,), (B, A)], "too": [(B, A)]}
WIDE = BeamOptions(beam=10**6, threshold=1e4, lm_weight=0.7, word_score=-0.4)
ARPA = """\\data\\
ngram 1=8
ngram 2=4

\\1-grams:
-1.1\t<unk>
-99\t<s>\t-0.2
-0.8\t</s>
-0.5\ta\t-0.3
-1.2\tab\t-0.1
-0.9\taab\t-0.4
-0.7\ttwo\t-0.25
-1.3\tb\t-0.05

\\2-grams:
-0.2\ta ab
-0.4\ttwo a
-0.1\t<s> aab
-0.6\ta </s>

\\end\\
"""


@pytest.fixture
def lm(tmp_path):
    path = tmp_path / "lm.arpa"
    path.write_text(ARPA)
    return FirstPassLm(path)


def emissions(frames, tokens=4, seed=0, scale=2.0):
    drawn = scale * torch.randn(frames, tokens, generator=torch.Generator().manual_seed(seed))
    return drawn.log_softmax(-1).double().numpy()


def paths(said):
    """What is left of every path through emissions once repetitions and blanks are gone, with its log-probability."""
    for path in itertools.product(range(said.shape[1]), repeat=len(said)):
        kept = tuple(number for number, _ in itertools.groupby(path) if number != BLANK)
        yield kept, float(said[np.arange(len(said)), list(path)].sum())


def readings(letters):
    """The ways to read letters with word ends as words, each followed by a word end."""
    if letters and letters[-1] != END:
        return
    parts = [tuple(part) for end, part in itertools.groupby(letters, END.__eq__) if not end]
    ways = [[word for word, spellings in WORDS.items() if part in spellings] for part in parts]
    yield from itertools.product(*ways)


def summed(scores, merging):
    top = max(scores)
    return top if merging == "max" else top + math.log(math.fsum(math.exp(score - top) for score in scores))


def word_search(lm, options):
    tree = LexiconTree.of((word, (*spelling, END)) for word, each in WORDS.items() for spelling in each)
    if lm is None:
        return PrefixSearch(tree, BLANK, END, replace(options, lm_weight=0.0))
    model = LabelNgrams(lm, tree.words)
    return PrefixSearch(tree, BLANK, END, options, model, model.first_scores())


def expected_words(said, lm, options):
    alignments = defaultdict(list)
    for letters, score in paths(said):
        for words in readings(letters):
            alignments[words].append(score)
    found = {}
    for words, scores in alignments.items():
        found[words] = summed(scores, options.merging) + options.word_score * len(words)
        if lm is not None:
            found[words] += options.lm_weight * lm.scores([" ".join(words)])[0] / math.log(10)
    return found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("merging", ["sum", "max"])
@pytest.mark.parametrize("weight", [None, 0.7, -0.5])
def test_a_wide_beam_finds_every_text_of_words_with_its_exact_score(lm, seed, merging, weight):
    said, options = emissions(5, seed=seed), replace(WIDE, merging=merging, lm_weight=weight or 0.0)
    model = None if weight is None else lm
    search = word_search(model, options)
    (found,) = search.run([said])
    expected = expected_words(said, model, options)
    texts = [tuple(search.tree.words[label] for label in one.labels) for one in found]
    assert set(texts) == set(expected)
    assert len(set(texts)) == len(texts) > 10
    assert [one.score for one in found] == pytest.approx([expected[text] for text in texts], abs=1e-6)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


@pytest.mark.parametrize("merging", ["sum", "max"])
def test_without_words_any_tokens_are_found_with_their_exact_scores(lm, merging):
    said, options = emissions(4, seed=4), replace(WIDE, merging=merging, word_score=0.0)
    tree = LexiconTree.of((text, (number,)) for number, text in enumerate(TOKENS.texts) if number != BLANK)
    (found,) = PrefixSearch(tree, BLANK, None, options, LabelNgrams(lm, tree.words)).run([said])
    alignments = defaultdict(list)
    for kept, score in paths(said):
        alignments[kept].append(score)
    assert len(found) == len(alignments)
    for one in found:
        numbers = tuple(tree.spellings[label][0] for label in one.labels)
        text = " ".join(TOKENS.texts[number] for number in numbers)
        of_lm = options.lm_weight * lm.scores([text])[0] / math.log(10)
        assert one.score == pytest.approx(summed(alignments[numbers], merging) + of_lm, abs=1e-6)


@pytest.mark.parametrize("beam", [3, 12])
def test_utterances_together_are_as_one_by_one(lm, beam):
    said = [emissions(frames, seed=frames) for frames in (9, 14, 1, 14, 6)] + [np.zeros((0, 4))]
    search = word_search(lm, replace(WIDE, beam=beam, threshold=20.0))
    together = search.run(said)
    assert together == [search.run([one])[0] for one in said]
    assert together[-1][0].labels == []
    assert all(len(found) <= beam for found in together)


def test_a_beam_of_equal_hypotheses_is_no_wider():
    said = np.full((12, 40), -math.log(40))
    tree = LexiconTree.of((str(number), (number,)) for number in range(1, 40))
    (found,) = PrefixSearch(tree, BLANK, None, BeamOptions(beam=7)).run([said])
    assert 0 < len(found) <= 7


def test_a_word_that_is_not_complete_at_the_end_is_left_out():
    said = np.log(np.array([[0.001, 0.001, 0.997, 0.001]] * 3))
    search = word_search(None, replace(WIDE, beam=1))
    assert search.run([said])[0][0].labels == []


def test_only_the_likeliest_tokens_of_many_go_on():
    said = emissions(4, tokens=150, seed=2)
    tree = LexiconTree.of((str(number), (number,)) for number in range(1, 150))
    (found,) = PrefixSearch(tree, BLANK, None, replace(WIDE, beam=10**5, lm_weight=0.0, word_score=0.0)).run([said[:2]])
    firsts = {tree.words[one.labels[0]] for one in found if len(one.labels) == 2}
    likely = {str(number) for number in np.argsort(-said[0])[:100] if number != BLANK}
    assert firsts == likely


def random_lexicon(tokens, words, seed):
    drawn = np.random.default_rng(seed)
    letters = [number for number, text in enumerate(tokens.texts) if text not in tokens.silent]
    spelt = {tuple(drawn.choice(letters, size=drawn.integers(1, 6))) for _ in range(words)}
    return Lexicon({"".join(tokens.texts[n] for n in each): [tuple(tokens.texts[n] for n in each)] for each in spelt})


@needs_flashlight
@pytest.mark.parametrize("lexicon", [True, False])
@pytest.mark.parametrize("merging", ["sum", "max"])
def test_what_a_narrow_beam_holds_is_what_flashlight_s_holds(lexicon, merging):
    tokens = Tokens(("-", "|", *"abcdefgh"))
    words = random_lexicon(tokens, 300, 1) if lexicon else None
    options = BeamOptions(beam=25, threshold=15.0, word_score=0.3 if lexicon else 0.0, merging=merging, order="search")
    ours, theirs = (FirstPass(tokens, words, None, options, flashlight=engine) for engine in (False, True))
    for seed in range(4):
        said = torch.tensor(emissions(60, 10, seed, 3.0), dtype=torch.float32)
        assert [one.text for one in ours.texts(said)] == [one.text for one in theirs.texts(said)]


@needs_flashlight
@pytest.mark.skipif(not SHARED.exists(), reason="no emissions")
@pytest.mark.parametrize("model", ["3gram.bin", None])
def test_real_emissions_give_flashlight_s_lists(model):
    tokens = Tokens.read(SHARED / "tokens.txt")
    lexicon = Lexicon.read(SHARED / "first-pass/lexicon.txt.zst", tokens)
    path = None if model is None else SHARED / "first-pass" / model
    utterances = sorted(load_file(SHARED / "dev.safetensors").values(), key=len)[:2]
    ours, theirs = (
        FirstPass(tokens, lexicon, path, BeamOptions(beam=60), flashlight=engine) for engine in (False, True)
    )
    for said in utterances:
        assert ours.texts(said.float()) == theirs.texts(said.float())


def test_flashlight_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="which is not installed; cpu finds the same") as caught:
        make_ctc_decoder(5, DecodingOptions(engine="flashlight"), TOKENS, 0.02, device="cpu")
    assert caught.value.parameter == "engine"


def test_a_token_of_no_text_is_not_found():
    tokens = Tokens(("-", "|", "a", "<pad>"), unwritten=("<pad>",))
    said = torch.tensor(np.log(np.array([[0.1, 0.1, 0.1, 0.7]] * 4)), dtype=torch.float32)
    (found,) = prefix_search(tokens, None, None, BeamOptions(beam=5))([said])
    for words, _ in found:
        assert set("".join(words)) <= {"a"}
