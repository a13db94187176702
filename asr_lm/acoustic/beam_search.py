"""Beam searches over CTC emissions: our own on the processor and, without lexicon or model, torchaudio's on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import repeat

import torch
from torch import Tensor

from asr_lm.acoustic.first_pass_lm import FirstPassLm, LabelNgrams
from asr_lm.acoustic.lexicon import Lexicon
from asr_lm.acoustic.lexicon_tree import LexiconTree
from asr_lm.acoustic.options import BeamOptions
from asr_lm.acoustic.prefix_search import PrefixSearch
from asr_lm.acoustic.tokens import Spelt, Tokens
from asr_lm.acoustic.word_histories import NoModel
from asr_lm.errors import InputError

Spellings = dict[str, list[tuple[int, ...]]]
"""Token numbers of each spelling of each word."""

Reading = tuple[tuple[str, ...], Spelt]
"""Words, and the tokens of each."""

BeamSearch = Callable[[Sequence[Tensor]], list[list[Reading]]]
"""What the beam of each utterance holds at the end, best first; of emissions ``[frames, tokens]``."""

CUDA_BEAM = 128
"""Hypotheses that torchaudio's ``cuda_ctc_decoder`` keeps at most; nor more than there are tokens."""

NEVER = -1e4
"""Log-probability of what is not to be found."""


def prefix_search(tokens: Tokens, lexicon: Lexicon | None, lm: FirstPassLm | None, search: BeamOptions) -> BeamSearch:
    """The search of :mod:`asr_lm.acoustic.prefix_search`.

    In each frame it looks at the 100 likeliest tokens. Where words are not separated and no language model tells how a
    text is cut into them, words that others make up are left out: they add no text, and every way to cut one would
    take a place in the beam.

    Args:
        tokens: of the emissions.
        lexicon: words that may be found; None lets it spell what it likes.
        lm: of words with a lexicon, else of tokens.
        search: how it goes.
    """
    spellings = searched_spellings(tokens, lexicon, has_lm=lm is not None)
    tree = LexiconTree.of(_spoken(tokens, spellings))
    model = NoModel() if lm is None else LabelNgrams(lm, tree.words)
    words = PrefixSearch(
        tree,
        tokens.blank_number,
        tokens.word_end_number if spellings is not None else None,
        search if lm is not None else replace(search, lm_weight=0.0),
        model,
        model.first_scores() if isinstance(model, LabelNgrams) and spellings is not None else None,
    )

    def reading(labels: Sequence[int]) -> Reading:
        spelt = [tree.spellings[label] for label in labels]
        if spellings is None:
            return free_reading(tokens, [number for (number,) in spelt])
        return tuple(tree.words[label] for label in labels), tuple(map(_unmarked, repeat(tokens), spelt))

    def run(emissions: Sequence[Tensor]) -> list[list[Reading]]:
        found = words.run([each.numpy() for each in emissions])
        return [[reading(one.labels) for one in each] for each in found]

    return run


def _spoken(tokens: Tokens, spellings: Spellings | None) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Words and what is said of each, the word end included; without words every token that a text may have is one."""
    if spellings is None:
        left_out = {tokens.blank, *tokens.unwritten}
        for number, text in enumerate(tokens.texts):
            if text not in left_out:
                yield text, (number,)
        return
    for word, each in spellings.items():
        for spelling in each:
            yield word, tokens.marked(spelling)


def _unmarked(tokens: Tokens, spelling: tuple[int, ...]) -> tuple[int, ...]:
    return spelling[:-1] if tokens.has_word_ends else spelling


def searched_spellings(tokens: Tokens, lexicon: Lexicon | None, *, has_lm: bool) -> Spellings | None:
    """The spellings that a search is given: see :func:`prefix_search`; None where it spells what it likes."""
    spellings = None if lexicon is None else lexicon.numbered(tokens)
    if spellings is not None and not has_lm and tokens.words == "characters":
        return _needed(spellings)
    return spellings


def _needed(spellings: Spellings) -> Spellings:
    """The words that are not made up of others."""
    known = {spelling for each in spellings.values() for spelling in each}

    def parts(spelling: tuple[int, ...]) -> int:
        """The most words that a spelling can be cut into."""
        most = [0]
        for end in range(1, len(spelling) + 1):
            begins = [begin for begin in range(end) if most[begin] >= 0 and spelling[begin:end] in known]
            most.append(max((most[begin] + 1 for begin in begins), default=-1))
        return most[-1]

    return {word: each for word, each in spellings.items() if any(parts(spelling) == 1 for spelling in each)}


def free_reading(tokens: Tokens, numbers: Sequence[int]) -> Reading:
    spelt = tokens.spelt(numbers)
    return tuple(map(tokens.word, spelt)), spelt


def cuda_search(tokens: Tokens, search: BeamOptions, device: str) -> BeamSearch:
    """torchaudio's ``cuda_ctc_decoder``: any spelling, no language model; emissions are brought to the GPU.

    Its beam has at most 128 hypotheses and no more than there are tokens; frames that are almost certainly blank are
    left out, and there is no threshold.

    Raises:
        InputError: the blank is not token 0, which the decoder takes it for.
    """
    from torchaudio.models.decoder import cuda_ctc_decoder

    if tokens.blank_number != 0:
        raise InputError(
            f"the search on a GPU (cuda_ctc_decoder) takes token 0 for the blank, and here the blank {tokens.blank!r} "
            f"is token {tokens.blank_number}",
            parameter="engine",
        )
    beam = cuda_beam(tokens, search.beam)
    decoder = cuda_ctc_decoder(list(tokens.texts), nbest=beam, beam_size=beam)
    unwritten = [tokens.numbers[text] for text in tokens.unwritten]

    def found(emissions: Tensor) -> Iterable[Reading]:
        given = emissions.to(device, torch.float32, copy=True)
        given[:, unwritten] = NEVER
        lengths = torch.tensor([len(given)], dtype=torch.int32, device=device)
        for path in decoder(given[None].contiguous(), lengths)[0]:
            yield free_reading(tokens, [int(number) for number in path.tokens])

    return lambda emissions: [list(found(each)) for each in emissions]


def cuda_beam(tokens: Tokens, beam: int) -> int:
    """The hypotheses that the search on a GPU keeps of those wanted."""
    return min(beam, CUDA_BEAM, len(tokens))
