"""torchaudio's ``ctc_decoder`` (flashlight-text), which searches on the processor where it can be installed."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asr_lm.acoustic.beam_search import NEVER, BeamSearch, Reading, Spellings, free_reading, searched_spellings
from asr_lm.acoustic.lexicon import Lexicon
from asr_lm.acoustic.options import BeamOptions
from asr_lm.acoustic.prefix_ways import TOKENS_A_FRAME
from asr_lm.acoustic.tokens import Spelt, Tokens

_TIE = 1e-4
_NO_SILENCE = "<no-silence>"


def flashlight_search(tokens: Tokens, lexicon: Lexicon | None, lm: Path | None, search: BeamOptions) -> BeamSearch:
    """torchaudio's ``ctc_decoder`` (flashlight-text).

    In each frame it looks at the 100 likeliest tokens. Where words are not separated and no language model tells how a
    text is cut into them, words that others make up are left out: they add no text, and every way to cut one would
    take a place in the beam.

    Args:
        tokens: of the emissions.
        lexicon: words that may be found; None lets it spell what it likes.
        lm: a file that KenLM reads: of words with a lexicon, else of tokens.
        search: how it goes.
    """
    spellings = searched_spellings(tokens, lexicon, has_lm=lm is not None)
    # Where there is no word end, a token that is never likely stands in for the silence that the search wants to know.
    texts = [*tokens.texts] if tokens.has_word_ends else [*tokens.texts, _NO_SILENCE]
    decoder = _decoder(tokens, spellings, lm, search, texts)
    unwritten = [tokens.numbers[text] for text in tokens.unwritten]

    def found(emissions: Tensor) -> Iterable[Reading]:
        given = torch.full((len(emissions), len(texts)), NEVER)
        given[:, : len(tokens)] = emissions
        given[:, unwritten] = NEVER
        for path in decoder(given[None])[0]:
            numbers = [number for number in path.tokens.tolist() if number < len(tokens)]
            if spellings is None:
                yield free_reading(tokens, numbers)
            else:
                yield _of_words(tokens, path.words, numbers, spellings)

    return lambda emissions: [list(found(each)) for each in emissions]


def _decoder(
    tokens: Tokens, spellings: Spellings | None, lm: Path | None, search: BeamOptions, texts: list[str]
) -> Any:
    from torchaudio.models.decoder import ctc_decoder

    with tempfile.TemporaryDirectory(prefix="asr_lm.") as folder:
        lexicon = None
        if spellings is not None:
            lexicon = Path(folder, "lexicon.txt")
            lexicon.write_text("".join(_lexicon_lines(tokens, spellings)), encoding="utf-8")
        return ctc_decoder(
            lexicon=str(lexicon) if lexicon else None,
            tokens=texts,
            lm=str(lm) if lm else None,
            nbest=search.beam,
            beam_size=search.beam,
            beam_size_token=min(len(texts), TOKENS_A_FRAME),
            beam_threshold=search.threshold,
            lm_weight=search.lm_weight if lm else 0.0,
            word_score=search.word_score + (0.0 if tokens.has_word_ends else _TIE),
            log_add=search.merging == "sum",
            blank_token=tokens.blank,
            sil_token=tokens.word_end if tokens.has_word_ends else _NO_SILENCE,
        )


def _lexicon_lines(tokens: Tokens, spellings: Spellings) -> Iterable[str]:
    """A lexicon as ``ctc_decoder`` reads it: a word and its tokens, and the word end where there is one.

    After a word the search lets its last token last no longer than its frame, unless that is the word end. Without one
    a second spelling, its last token doubled, stands for a last token of several frames. The search also lets a blank
    stand between the two; then two tokens are as likely and rightly heard, and the least of word scores prefers them.
    """
    for word, each in spellings.items():
        for spelling in each:
            ways = [tokens.marked(spelling)] if tokens.has_word_ends else [spelling, (*spelling, spelling[-1])]
            for way in ways:
                yield f"{word} {' '.join(tokens.texts[number] for number in way)}\n"


def _of_words(tokens: Tokens, words: Sequence[str], numbers: Sequence[int], spellings: Spellings) -> Reading:
    """The tokens of each word of a path; a word begun at its end is left out."""
    if tokens.has_word_ends:
        return tuple(words), tokens.spelt(numbers)[: len(words)]
    # The search does not always ask for a blank between equal tokens, so that these are told apart by the words alone.
    heard = _collapsed(numbers)
    # Where each way to read the first words ends, and their tokens.
    ways: dict[int, Spelt] = {0: ()}
    for word in words:
        extended: dict[int, Spelt] = {}
        for place, spelt in ways.items():
            for spelling in spellings[word]:
                short = _collapsed(spelling)
                begin = place - 1 if place and heard[place - 1] == short[0] else place
                if heard[begin : begin + len(short)] == short:
                    extended.setdefault(begin + len(short), (*spelt, spelling))
        ways = extended
    return tuple(words), ways.get(len(heard)) or ways[max(ways)]


def _collapsed(numbers: Iterable[int]) -> list[int]:
    return [number for number, _ in itertools.groupby(numbers)]
