"""Text that a model writes: tokens drawn one after another from what it says may follow.

The model's distribution is drawn from as it is (temperature 1), flattened or sharpened: a temperature T makes of every
probability p(token | prefix) its power 1/T; 0 takes the most probable token alone, which is greedy search. ``top_k``
leaves only so many of the most probable tokens (Fan, Lewis, Dauphin 2018, *Hierarchical Neural Story Generation*). What
is left is made to add up to one again. ``<s>`` is never written, nor ``<unk>``, which stands for no word.

Whatever the draw, the log-probabilities handed back are the model's own, as it scores the text.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError
from asr_lm.lm.protocol import LanguageModel, LogProbs, Ranker, no_probabilities
from asr_lm.lm.scoring.conditional import ConditionalModel
from asr_lm.text.normalizer import get_normalizer
from asr_lm.text.vocabulary import EOS, Tokens, Vocabulary

Following = Callable[[Sequence[Tokens]], LogProbs]
"""Log-probability of every token after each prefix ``[prefixes, vocabulary]``."""


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn.

    Attributes:
        temperature: 1 draws from the model's distribution, less makes the probable more probable, 0 takes the most
            probable token.
        top_k: draw among so many of the most probable tokens; None: among all.
        seed: the same seed writes the same text, of the same list where there is one.
        longest: most tokens of a text; one that has not ended by then is broken off.

    Raises:
        InputError: a value that is none of these.
    """

    temperature: float = 1.0
    top_k: int | None = None
    seed: int = 0
    longest: int = 100

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise InputError(f"expected 0 or a number above, not {self.temperature}", parameter="temperature")
        for name, number in (("top_k", self.top_k), ("longest", self.longest)):
            if number is not None and number < 1:
                raise InputError(f"expected a number above 0, not {number}", parameter=name)
        if self.seed < 0:
            raise InputError(f"expected 0 or a number above, not {self.seed}", parameter="seed")


@dataclass(frozen=True)
class GeneratedText:
    """A text that a model wrote.

    Attributes:
        text: with the prompt.
        tokens: ids of the whole, ``</s>`` not among them.
        words: what was written after the prompt, ``</s>`` the last where the text has ended; of a word that the prompt
            began, the whole. Words that one token wrote together are one entry.
        log_probs: natural-log probability of each ``[words]``: of the tokens written, given those before them.
        ended: whether the model ended it; else it was broken off.
    """

    text: str
    tokens: Tokens
    words: tuple[str, ...]
    log_probs: LogProbs
    ended: bool

    @property
    def log_prob(self) -> float:
        """Of all that was written after the prompt."""
        return float(self.log_probs.sum())


def generate(
    model: Ranker,
    prompt: str = "",
    *,
    number: int = 1,
    sampling: Sampling = Sampling(),
    heard: Sequence[str] | None = None,
) -> list[GeneratedText]:
    """Texts that a model writes.

    Args:
        model: a causal language model; or one that writes what was said given what a recogniser heard.
        prompt: what they begin with; the model's normaliser is applied.
        number: how many; the first are the same whatever it is.
        sampling: how tokens are drawn.
        heard: the hypotheses of a list, the first choice first: what a model of the second kind needs, and no other.

    Raises:
        InputError: the model cannot write, or needs hypotheses and got none (or the other way round).
    """
    if number < 1:
        raise InputError(f"expected a number above 0, not {number}", parameter="number")
    try:
        prompt.encode("utf-8")
    except UnicodeEncodeError:
        raise InputError("expected text, not half of a surrogate pair", parameter="prompt") from None
    following = _following(model, heard)
    begin = model.encode([prompt])[0]
    # Lists differ in their noise, or what is drawn by a rare chance for one would be for all.
    chance = (
        [sampling.seed]
        if heard is None
        else [sampling.seed, zlib.crc32("\n".join(heard).encode(errors="surrogatepass"))]
    )
    random = [np.random.default_rng([*chance, text]) for text in range(number)]
    drawn = _draw(following, begin, model.vocabulary, sampling, random)
    return [_told(model.vocabulary, begin, *written) for written in drawn]


def _following(model: Ranker, heard: Sequence[str] | None) -> Following:
    if isinstance(model, ConditionalModel):
        if not heard:
            message = f"a model of family {model.family!r} writes given what a recogniser heard; give it a list"
            raise InputError(message, parameter="nbest")
        normalize = get_normalizer(model.normalizer)
        (source,) = model.sources([list(map(normalize, heard))])
        return lambda prefixes: model.next_log_probs_given(source, prefixes)
    if not isinstance(model, LanguageModel):
        raise no_probabilities(model)
    if heard is not None:
        message = f"a model of family {model.family!r} writes without a list; leave it out"
        raise InputError(message, parameter="nbest")
    return model.next_log_probs


def _draw(
    following: Following,
    begin: Tokens,
    vocabulary: Vocabulary,
    sampling: Sampling,
    random: Sequence[np.random.Generator],
) -> list[tuple[Tokens, LogProbs, bool]]:
    """Tokens written after ``begin`` and their log-probabilities, ``</s>`` included where the text has ended.

    There are as many texts as sources of chance.
    """
    tokens: list[list[int]] = [[] for _ in random]
    values: list[list[float]] = [[] for _ in random]
    open_ = list(range(len(random)))
    for _ in range(sampling.longest):
        found = following([np.append(begin, tokens[text]).astype(np.int32) for text in open_])
        forbidden = sorted({vocabulary.unk_id, vocabulary.bos_id} - {vocabulary.eos_id})
        for text, log_probs in zip(open_, found, strict=True):
            token = draw(log_probs, sampling, random[text], forbidden)
            tokens[text].append(token)
            values[text].append(float(log_probs[token]))
        open_ = [text for text in open_ if tokens[text][-1] != vocabulary.eos_id]
        if not open_:
            break
    lines = zip(tokens, values, strict=True)
    return [(np.array(ids, np.int32), np.array(logs), ids[-1] == vocabulary.eos_id) for ids, logs in lines]


def draw(log_probs: LogProbs, sampling: Sampling, random: np.random.Generator, forbidden: Sequence[int] = ()) -> int:
    """A token.

    Args:
        log_probs: of every token ``[vocabulary]``.
        sampling: how.
        random: the source of chance, asked for one number a token of the vocabulary.
        forbidden: tokens that are not drawn.

    Raises:
        InputError: no token has a probability.
    """
    left = np.array(log_probs, dtype=np.float64)
    left[list(forbidden)] = -np.inf
    if not np.isfinite(left.max()):
        raise InputError("the model gives no word a probability here")
    # The most probable token of some equal ones is that of the lowest id, as in greedy search.
    if sampling.temperature == 0:
        return int(left.argmax())
    if sampling.top_k is not None:
        left[np.argsort(-left, kind="stable")[sampling.top_k :]] = -np.inf
    # Log-probabilities plus Gumbel noise are largest at a token as often as its probability says.
    return int(((left - left.max()) / sampling.temperature + random.gumbel(size=len(left))).argmax())


def _told(vocabulary: Vocabulary, begin: Tokens, written: Tokens, values: LogProbs, ended: bool) -> GeneratedText:
    spoken = written[:-1] if ended else written
    tokens = np.append(begin, spoken).astype(np.int32)
    words, log_probs = [], []
    for word, owned in _by_word(vocabulary, begin, spoken):
        words.append(word)
        log_probs.append(float(values[owned].sum()))
    if ended:
        words.append(EOS)
        log_probs.append(float(values[-1]))
    return GeneratedText(vocabulary.decode(tokens.tolist()), tokens, tuple(words), np.array(log_probs), ended)


def _by_word(vocabulary: Vocabulary, begin: Tokens, spoken: Tokens) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """The words of what was written, and the places of the tokens that wrote each.

    What a text is cut into again need not be what was written, so a token goes by the word that the text ends in with
    it; a bare space belongs to the word after it.
    """
    ids = [*begin.tolist(), *spoken.tolist()]
    texts = [vocabulary.decode(ids[:end]) for end in range(len(begin), len(ids) + 1)]
    words = texts[-1].split()
    owners = np.array([_word_under_way(text) for text in texts[1:]], dtype=np.int64)
    owners = np.minimum(owners, max(len(words) - 1, 0))
    first = len(texts[0].split())
    for owner in np.unique(owners).tolist():
        yield " ".join(words[min(first, owner) : owner + 1]), np.flatnonzero(owners == owner)
        first = owner + 1


def _word_under_way(text: str) -> int:
    """The number of the word that a text ends in, or will go on with where it ends in a space."""
    words = len(text.split())
    return words if not words or text[-1].isspace() else words - 1
