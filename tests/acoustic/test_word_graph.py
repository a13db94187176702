"""A lattice of texts has each of them with its best alignment, and no path that is no alignment."""

import itertools
import math

import kenlm
import pytest
import torch
from test_first_pass import ARPA, TOKENS, emissions, lexicon

from asr_lm.acoustic.ctc import best_alignments, chain, forward_scores, with_silence
from asr_lm.acoustic.first_pass import FirstPass
from asr_lm.acoustic.options import BeamOptions
from asr_lm.acoustic.word_graph import word_graph
from asr_lm.lattice.nbest import nbest


def viterbi(found, text):
    return best_score(found, tuple(tuple(TOKENS.numbers[letter] for letter in word) for word in text.split()), TOKENS)


def best_score(found, spelt, tokens):
    (states,) = best_alignments(found, [spelt], tokens)
    labels = chain(spelt, tokens).labels
    said = with_silence(found, tokens)
    return sum(said[frame, labels[state]].item() for frame, state in enumerate(states))


def paths(lattice):
    """Text, and sums of scores by name, of every path of a lattice."""
    found = []
    for path in nbest(lattice, lattice.weights({"acoustic": 1.0}), 2_000):
        text = " ".join(lattice.symbols[word] for word in lattice.word[path.arcs] if word)
        found.append((text, {name: float(values[path.arcs].sum()) for name, values in lattice.scores.items()}))
    return dict(found)


@pytest.mark.parametrize("seed", range(4))
def test_given_texts_have_their_best_alignment_and_others_no_better_one(tmp_path, seed):
    said = emissions(16, seed)
    first_pass = FirstPass(TOKENS, lexicon(tmp_path), search=BeamOptions(beam=25))
    texts = [(one.words, one.spelt) for one in first_pass.texts(said)]
    lattice = word_graph("u", said, texts, TOKENS, 0.02)
    found = paths(lattice)
    given = {" ".join(words): spelt for words, spelt in texts}
    assert set(given) <= set(found)
    for text, scores in found.items():
        best = viterbi(said, text)
        assert scores["acoustic"] <= best + 1e-4
        if text in given:
            assert scores["acoustic"] == pytest.approx(best, abs=1e-4)
            assert best <= first_pass.scored(said, [(tuple(text.split()), given[text])])[0].acoustic + 1e-4
    assert lattice.end.max() == pytest.approx(16 * 0.02)


def test_some_path_is_new():
    """Two texts that differ in two places, between which their frames agree, make four."""
    said = torch.full((11, 5), -9.0)
    for frame, letters in enumerate(("ab", "|", "-", "c", "|", "-", "bc", "|", "-", "-", "-")):
        for letter in letters:
            said[frame, TOKENS.numbers[letter]] = 0.0
    said = said.log_softmax(-1)
    texts = [
        (tuple(text.split()), TOKENS.spelt(TOKENS.numbers[letter] for letter in text.replace(" ", "|")))
        for text in ("a c b", "b c c")
    ]
    found = paths(word_graph("u", said, texts, TOKENS, 0.02))
    assert set(found) == {"a c b", "b c c", "a c c", "b c b"}
    assert all(scores["acoustic"] == pytest.approx(viterbi(said, text)) for text, scores in found.items())


def test_language_model_scores_are_exact_on_every_path(tmp_path):
    path = tmp_path / "lm.arpa"
    path.write_text(ARPA)
    said = emissions(16, 2)
    first_pass = FirstPass(TOKENS, lexicon(tmp_path), path, BeamOptions(beam=25))
    texts = [(one.words, one.spelt) for one in first_pass.texts(said)]
    lattice = word_graph("u", said, texts, TOKENS, 0.02, ngram=first_pass.ngram, lm_weight=0.7)
    model = kenlm.Model(str(path))
    found = paths(lattice)
    assert len(found) >= len(texts)
    for text, scores in found.items():
        assert scores["lm"] == pytest.approx(model.score(text) * math.log(10), abs=1e-4)
    assert lattice.scales == {"lm": 0.7}


def test_silence_is_a_lattice_too():
    said = emissions(4, 1)
    lattice = word_graph("u", said, [((), ())], TOKENS, 0.02)
    ((text, scores),) = paths(lattice).items()
    assert text == ""
    assert scores["acoustic"] == pytest.approx(viterbi(said, ""), abs=1e-4)
    assert scores["acoustic"] < forward_scores(said, [()], TOKENS)[0]
    both = word_graph("u", said, [((), ()), (("a",), ((2,),))], TOKENS, 0.02)
    assert set(paths(both)) == {"", "a"}
    assert list(itertools.chain(both.source, both.target)) == [0] * len(both) + [int(both.target.max())] * len(both)
