"""Recognisers without a word end: what is found, and how likely it is, equals what enumeration of all paths gives."""

import itertools
import math
import tracemalloc
from collections import defaultdict

import kenlm
import numpy as np
import pytest
import torch
import torchaudio
from test_recogniser_folders import LARGE, SIZES
from test_word_graph import best_score

from asr_lm.acoustic.first_pass import FirstPass, as_hypotheses
from asr_lm.acoustic.lexicon import Lexicon
from asr_lm.acoustic.model_folder import WaveEncoder, load_recogniser, save_wave_encoder
from asr_lm.acoustic.options import BeamOptions
from asr_lm.acoustic.saved_emissions import Shards
from asr_lm.acoustic.tokens import Tokens
from asr_lm.acoustic.word_graph import word_graph
from asr_lm.errors import InputError
from asr_lm.lattice.nbest import nbest

PIECES = Tokens(("<blk>", "▁a", "▁ab", "b", "▁"), "<blk>", words="pieces")
CHARACTERS = Tokens(("<unk>", "京", "北", "-"), words="characters", unwritten=("<unk>",))
EVERYTHING = BeamOptions(beam=5_000, threshold=500.0)
ARPA = """\\data\\
ngram 1=6
ngram 2=1

\\1-grams:
-1.0\t<unk>
-99\t<s>\t0
-0.6\t</s>
-0.4\t北京\t0
-1.5\t北
-0.9\t京

\\2-grams:
-0.3\t北京 </s>

\\end\\
"""


def emissions(tokens, frames, seed=0):
    drawn = 2 * torch.randn(frames, len(tokens), generator=torch.Generator().manual_seed(seed))
    return drawn.log_softmax(-1)


def joined(tokens, path):
    """The text of a path, told without the code that is tested; None where a token has no place in a text."""
    numbers = [number for number, _ in itertools.groupby(path) if number != tokens.blank_number]
    texts = [tokens.texts[number] for number in numbers]
    if set(texts) & set(tokens.unwritten):
        return None, ()
    whole = "".join(texts)
    return (" ".join(whole.replace("▁", " ").split()) if tokens.words == "pieces" else whole), tuple(numbers)


def everything(tokens, found):
    """Probability of every token sequence of every text, all alignments summed."""
    texts = defaultdict(lambda: defaultdict(float))
    for path in itertools.product(range(len(tokens)), repeat=len(found)):
        text, numbers = joined(tokens, path)
        if text is not None:
            texts[text][numbers] += math.exp(sum(found[frame, number].item() for frame, number in enumerate(path)))
    return texts


def lexicon(tokens, *words):
    return Lexicon({word: [tokens.spelling(word)] for word in words})


@pytest.mark.parametrize("seed", range(3))
def test_pieces_that_join_to_the_same_text_are_one_hypothesis(seed):
    said = emissions(PIECES, 5, seed)
    found = {one.text: one for one in FirstPass(PIECES, search=EVERYTHING).texts(said)}
    expected = everything(PIECES, said)
    assert set(found) == set(expected)
    for text, sequences in expected.items():
        assert found[text].acoustic == pytest.approx(math.log(sum(sequences.values())), abs=1e-4)
        assert " ".join(found[text].words) == text
    assert len([n for n in expected["ab"] if PIECES.sequence(PIECES.spelt(n)) == list(n)]) > 1


@pytest.mark.parametrize("seed", range(3))
def test_characters_are_joined_without_spaces(seed):
    said = emissions(CHARACTERS, 5, seed)
    found = FirstPass(CHARACTERS, search=EVERYTHING).texts(said)
    expected = everything(CHARACTERS, said)
    assert {one.text for one in found} == set(expected)
    assert [one.acoustic for one in found] == sorted((one.acoustic for one in found), reverse=True)
    for one in found:
        assert one.acoustic == pytest.approx(math.log(sum(expected[one.text].values())), abs=1e-4)
        assert one.words == tuple(one.text)


@pytest.mark.parametrize(
    ("tokens", "words", "inside"),
    [(PIECES, ("ab", "a", "abb"), {"a", "ab a", "abb"}), (CHARACTERS, ("北京", "京"), {"北京", "京北京", "京京"})],
)
def test_a_lexicon_lets_its_words_be_found_and_no_others(tokens, words, inside):
    said = emissions(tokens, 5, 4)
    found = FirstPass(tokens, lexicon(tokens, *words), search=EVERYTHING).texts(said)
    texts = {one.text for one in found}
    assert inside <= texts
    assert all(set(one.words) <= set(words) for one in found)
    expected = everything(tokens, said)
    for one in found:
        sequence = tuple(tokens.numbers[token] for word in one.words for token in tokens.spelling(word))
        # A "▁" that begins no word changes no word.
        ways = [p for n, p in expected[one.text].items() if tokens.sequence(tokens.spelt(n)) == list(sequence)]
        assert one.acoustic == pytest.approx(math.log(sum(ways)), abs=1e-4)
    # Nothing that the words can say is missing.
    for count in range(1, 4):
        for chosen in itertools.product(words, repeat=count):
            sequence = tuple(tokens.numbers[token] for word in chosen for token in tokens.spelling(word))
            assert (tokens.text(chosen) in texts) == (sequence in expected[tokens.text(chosen)])


@pytest.mark.parametrize("merging", ["sum", "max"])
def test_the_last_token_of_a_word_may_last(merging):
    """The search of words alone would have a word's last token end with its frame."""
    said = torch.full((9, 4), -12.0)
    for frame, text in enumerate("北北京京京京-北北"):
        said[frame, CHARACTERS.numbers[text]] = 0.0
    search = BeamOptions(beam=20, merging=merging, order="search")
    first, *_ = FirstPass(CHARACTERS, lexicon(CHARACTERS, "北京", "北", "京"), search=search).texts(
        said.log_softmax(-1)
    )
    assert first.text == "北京北"
    assert first.acoustic > -1


def test_words_of_one_text_are_those_that_the_language_model_likes(tmp_path):
    path = tmp_path / "lm.arpa"
    path.write_text(ARPA)
    said = emissions(CHARACTERS, 5, 1)
    first_pass = FirstPass(CHARACTERS, lexicon(CHARACTERS, "北京", "北", "京"), path, EVERYTHING)
    one = next(one for one in first_pass.texts(said) if one.text == "北京")
    assert one.words == ("北京",)
    assert one.lm == pytest.approx(kenlm.Model(str(path)).score("北京") * math.log(10))
    assert one.acoustic == pytest.approx(math.log(everything(CHARACTERS, said)["北京"][2, 1]), abs=1e-4)


def test_without_a_language_model_words_that_others_make_up_are_needless():
    """Every way to cut a text would take a place in the beam, and which of them stay is chance."""
    words = lexicon(CHARACTERS, "北", "京", "北京", "京北京")
    said = emissions(CHARACTERS, 30, 3)
    found = FirstPass(CHARACTERS, words, search=BeamOptions(beam=20)).texts(said)
    assert found == FirstPass(CHARACTERS, lexicon(CHARACTERS, "北", "京"), search=BeamOptions(beam=20)).texts(said)
    assert all(set(one.words) <= {"北", "京"} for one in found)
    needed = FirstPass(CHARACTERS, lexicon(CHARACTERS, "京", "京北京"), search=EVERYTHING).texts(said[:5])
    assert ("京北京",) in {one.words for one in needed}


def test_times_are_of_words_or_of_characters():
    said = torch.full((8, 4), -15.0)
    for frame, text in enumerate("-北北京-北--"):
        said[frame, CHARACTERS.numbers[text]] = 0.0
    said = said.log_softmax(-1)
    found = FirstPass(CHARACTERS, lexicon(CHARACTERS, "北京", "北")).texts(said)[:1]
    (hypothesis,) = as_hypotheses(found, said, CHARACTERS, 0.1)
    assert (hypothesis.text, found[0].words) == ("北京北", ("北京", "北"))
    assert hypothesis.times == ((0.1, 0.3), (0.3, 0.4), (0.5, 0.6))
    said = torch.full((8, 5), -15.0)
    for frame, text in enumerate(("▁a", "<blk>", "b", "b", "▁ab", "▁ab", "<blk>", "b")):
        said[frame, PIECES.numbers[text]] = 0.0
    said = said.log_softmax(-1)
    (hypothesis,) = as_hypotheses(FirstPass(PIECES).texts(said)[:1], said, PIECES, 0.1)
    assert (hypothesis.text, hypothesis.times) == ("ab abb", ((0.0, 0.4), (0.4, 0.8)))


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (CHARACTERS, ("北京", "京", "北")),
        (CHARACTERS, ("京", "北")),
        (CHARACTERS, ("京京", "京")),
        (PIECES, ("a", "ab", "abb")),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_every_path_of_a_lattice_is_an_alignment_of_its_words(tokens, words, seed):
    said = emissions(tokens, 9, seed)
    found = FirstPass(tokens, lexicon(tokens, *words), search=BeamOptions(beam=40)).texts(said)
    lattice = word_graph("u", said, [(one.words, one.spelt) for one in found], tokens, 0.02)
    given = {one.words for one in found}
    seen = set()
    for path in nbest(lattice, lattice.weights({"acoustic": 1.0}), 3_000):
        said_words = tuple(lattice.symbols[word] for word in lattice.word[path.arcs] if word)
        spelt = tuple(tuple(tokens.numbers[token] for token in tokens.spelling(word)) for word in said_words)
        best = best_score(said, spelt, tokens)
        assert path.score <= best + 1e-4
        if said_words in given:
            assert path.score == pytest.approx(best, abs=1e-4)
        seen.add(said_words)
    assert given <= seen


def test_words_are_spelt_with_the_fewest_pieces():
    tokens = Tokens(("-", "▁", "▁a", "▁AB", "bc", "b", "c", "d", "cd"), words="pieces")
    assert tokens.spelling("abcd") == ("▁a", "bc", "d")
    assert tokens.spelling("Ab") == ("▁AB",)
    assert tokens.spelling("bd") == ("▁", "b", "d")
    assert tokens.spelling("ax") is None
    assert tokens.written(tokens.spelt([1, 2, 0, 4, 1, 2, 5, 1])) == "abc ab"
    assert CHARACTERS.spelling("北海") is None
    assert CHARACTERS.spelling("-") is None


@pytest.mark.parametrize("tokens", [PIECES, CHARACTERS])
def test_folders_say_what_their_tokens_are(tmp_path, tokens):
    arguments = SIZES | LARGE | {"aux_num_out": len(tokens)}
    torch.manual_seed(1)
    network = WaveEncoder(torchaudio.models.wav2vec2_model(**arguments).eval(), True)
    save_wave_encoder(tmp_path / "m", network, arguments, tokens)
    recogniser = load_recogniser(tmp_path / "m")
    assert recogniser.tokens == tokens
    signal = np.random.default_rng(0).normal(size=2_000).astype(np.float32)
    assert FirstPass(tokens, search=BeamOptions(beam=10)).texts(recogniser.emissions(signal))
    Shards(tmp_path / "e", "m", tokens, 0.02)
    assert Tokens.read(tmp_path / "e" / "tokens.txt") == tokens


@pytest.mark.parametrize(
    ("texts", "config", "message"),
    [
        ("-\na\n", "{}", "no token '|'"),
        ("-\na\n", '{"tokens": {"words": "syllables"}}', "expected letters, pieces, characters"),
        ("-\nab\n", '{"tokens": {"words": "characters"}}', "'ab' is no single character; if it is no part"),
        ("-\na▁b\n", '{"tokens": {"words": "pieces"}}', "elsewhere than at its beginning"),
        ("-\na\n", '{"tokens": {"words": "pieces", "blank": "<blk>"}}', "no token '<blk>'"),
        ("-\na\na\n", '{"tokens": {"words": "pieces"}}', "'a' is there twice"),
        ("-\n\na\n", '{"tokens": {"words": "pieces"}}', "empty line"),
        ("-\n|\n", '{"tokens": {"separator": " "}}', "expected an object with any of blank"),
        ("-\n|\n", '{"tokens": {"unwritten": "<unk>"}}', "expected a list"),
        ("-\n|\n", "{", "not readable as JSON"),
    ],
)
def test_tokens_that_are_none_say_why(tmp_path, texts, config, message):
    (tmp_path / "tokens.txt").write_text(texts)
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(InputError) as caught:
        Tokens.read(tmp_path / "tokens.txt")
    assert message in caught.value.message
    assert caught.value.file is not None
    assert caught.value.file.startswith(str(tmp_path))


def test_a_token_that_is_repeated_without_end_is_refused_at_once(tmp_path):
    (tmp_path / "tokens.txt").write_text("-\n|\n" + "a\n" * 10**6)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="'a' is there twice") as caught:
            Tokens.read(tmp_path / "tokens.txt")
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    assert caught.value.line == 4
