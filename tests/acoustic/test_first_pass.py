"""The first pass lists distinct texts, each with its exact scores, best first."""

import itertools
import math
import re
import time
import tracemalloc

import kenlm
import pytest
import torch

from asr_lm.acoustic.ctc import forward_scores
from asr_lm.acoustic.first_pass import FirstPass, as_hypotheses
from asr_lm.acoustic.first_pass_lm import FirstPassLm
from asr_lm.acoustic.lexicon import Lexicon
from asr_lm.acoustic.options import BeamOptions
from asr_lm.acoustic.tokens import Tokens
from asr_lm.errors import InputError

TOKENS = Tokens(("-", "|", "a", "b", "c"))
WORDS = ("a", "ab", "cab", "b", "bc")
ARPA = """\\data\\
ngram 1=7
ngram 2=1

\\1-grams:
-1.0\t<unk>
-99\t<s>\t0
-0.6\t</s>
-0.7\ta\t-0.1
-0.9\tab
-1.1\tcab
-0.8\tb

\\2-grams:
-0.2\ta b

\\end\\
"""


def emissions(frames=12, seed=0):
    return (2 * torch.randn(frames, 5, generator=torch.Generator().manual_seed(seed))).log_softmax(-1)


def lexicon(tmp_path, text="\n".join(WORDS)):
    path = tmp_path / "lexicon.txt"
    path.write_text(text + "\n")
    return Lexicon.read(path, TOKENS)


@pytest.mark.parametrize("seed", range(3))
def test_texts_are_distinct_words_with_exact_scores_in_order(tmp_path, seed):
    found = FirstPass(TOKENS, lexicon(tmp_path), search=BeamOptions(beam=50)).texts(emissions(seed=seed))
    assert len(found) > 3
    assert len({one.text for one in found}) == len(found)
    assert {word for one in found for word in one.text.split()} <= set(WORDS)
    assert [one.total for one in found] == sorted((one.total for one in found), reverse=True)
    for one in found:
        spelt = tuple(tuple(TOKENS.numbers[letter] for letter in word) for word in one.text.split())
        assert one.acoustic == one.total == pytest.approx(forward_scores(emissions(seed=seed), [spelt], TOKENS)[0])


def test_without_a_lexicon_any_spelling_is_found():
    found = FirstPass(TOKENS, search=BeamOptions(beam=50)).texts(emissions())
    assert any(set(one.text.split()) - set(WORDS) for one in found)
    assert all(re.fullmatch(r"[abc]+( [abc]+)*|", one.text) for one in found)
    assert len({one.text for one in found}) == len(found)


def test_the_language_model_s_score_is_kept_apart(tmp_path):
    path = tmp_path / "lm.arpa"
    path.write_text(ARPA)
    search = BeamOptions(beam=50, lm_weight=0.5, word_score=-0.25)
    found = FirstPass(TOKENS, lexicon(tmp_path), path, search).texts(emissions())
    model = kenlm.Model(str(path))
    for one in found:
        assert one.lm == pytest.approx(model.score(one.text) * math.log(10))
        assert one.total == pytest.approx(one.acoustic + 0.5 * one.lm - 0.25 * len(one.text.split()))
    listed = as_hypotheses(found[:3], emissions(), TOKENS, 0.02)
    assert all(set(one.scores) == {"acoustic", "lm"} for one in listed)
    assert all(len(one.times or ()) == len(one.text.split()) for one in listed)


def test_spellings_of_a_word_are_one_text_and_words_of_one_spelling_two(tmp_path):
    found = FirstPass(TOKENS, lexicon(tmp_path, "x a |\nx b |\ny b |"), search=BeamOptions(beam=50)).texts(emissions(3))
    of = {one.text: one.acoustic for one in found}
    both = torch.tensor(forward_scores(emissions(3), [((2,),), ((3,),)], TOKENS))
    assert both.max() - 1e-5 <= of["x"] <= both.logsumexp(0) + 1e-5
    assert of["x"] == pytest.approx(both.logsumexp(0).item(), abs=1e-5)
    assert of["y"] == pytest.approx(both[1].item())


def test_where_no_word_fits_the_empty_text_is_heard(tmp_path):
    found = FirstPass(TOKENS, lexicon(tmp_path, "cab")).texts(emissions(1))
    assert [one.text for one in found] == [""]
    assert found[0].acoustic == pytest.approx(emissions(1)[0, :2].logsumexp(0).item(), abs=1e-5)
    assert as_hypotheses(found, emissions(1), TOKENS, 0.02)[0].times == ()


def test_words_that_cannot_be_spelt_are_told(tmp_path):
    assert lexicon(tmp_path, "ab\nzebra\nCAB").unspelt == ("zebra",)
    assert lexicon(tmp_path, "CAB").spellings == {"CAB": [("c", "a", "b")]}
    with pytest.raises(InputError, match="no word"):
        lexicon(tmp_path, "zebra")
    for endless in ("a" * 1001, "a" + " a" * 1001):
        with pytest.raises(InputError, match="a word of 1,001 letters or tokens, expected 1,000 at most"):
            lexicon(tmp_path, endless)
    with pytest.raises(InputError, match=r"spelt with \['z'\]"):
        lexicon(tmp_path, "a a\nz a z")


def test_a_lexicon_takes_memory_and_time_by_what_is_different_in_it(tmp_path):
    """A compressed file may repeat a line a thousand million times; a word may have a hundred thousand spellings."""
    many = ["".join(letters) for letters in itertools.product("abc", repeat=9)]
    begin = time.process_time()
    found = lexicon(tmp_path, "".join(f"word {' '.join(letters)}\n" for letters in many))
    assert len(found.spellings["word"]) == len(many) == 19_683
    assert time.process_time() - begin < 3
    path = tmp_path / "again.txt"
    path.write_text("ab\n" + "zebra\n" * 200_000)
    tracemalloc.start()
    try:
        assert Lexicon.read(path, TOKENS).unspelt == ("zebra",)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_an_unknown_word_of_a_closed_vocabulary_costs_what_the_search_charges(tmp_path):
    path = tmp_path / "closed.arpa"
    path.write_text(ARPA.replace("1=7", "1=6").replace("-1.0\t<unk>\n", ""))
    lm = FirstPassLm(path)
    model = kenlm.Model(str(path))
    texts = ["b zebra a", "a b", "", "zebra"]
    assert lm.scores(texts) == pytest.approx([model.score(text) * math.log(10) for text in texts], abs=1e-4)
    state, log_prob = lm.first_state(), 0.0
    for word in texts[0].split():
        state, value = lm.next(state, word)
        log_prob += value
    assert log_prob + lm.end(state) == pytest.approx(lm.scores(texts)[0])
