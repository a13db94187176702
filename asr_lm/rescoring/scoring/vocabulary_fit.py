"""Whether the words of a list are words to a language model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from asr_lm.errors import InputError
from asr_lm.lm.protocol import Ranker
from asr_lm.text.lost_letters import LostLetters
from asr_lm.text.normalizer import Normalizer, get_normalizer

UNKNOWN_ERROR = 0.60
"""Share of unknown words above which a closed vocabulary does not fit the list. A model that knows half of the words
may still help: what it does not know has a feature of its own, and tuning finds the weight."""

UNKNOWN_BY_CASE = 0.20
"""Share above which it does not fit where the words would be known in another case: then the case is wrong, not the
vocabulary."""

UNKNOWN_WARNING = 0.03
"""Share of unknown words above which it fits badly."""

_CANDIDATES = (
    *("lower", "upper", "librispeech", "librispeech-upper", "spoken-english", "spoken-english-upper"),
    *("unicode", "unicode-upper", "chinese"),
)
"""Normalisers that are tried where many words are unknown, the least change first."""

_TRIED = 2000
"""Hypotheses that they are tried on."""

EXAMPLES = 5
"""Unknown words a message shows at most."""

Warn = Callable[[str], None]
"""Told of what a reader must know although it stops nothing."""


class VocabularyFit:
    """How well the vocabularies of models fit a list, counted over its shards.

    A word is unknown where a closed vocabulary lacks it, or where the model's normaliser leaves nothing of it (as an
    English one does of a Chinese word).

    Args:
        warn: told of each vocabulary that fits badly, once.
        refuse: whether one that does not fit is an error. A service that gets one utterance at a time cannot tell.
    """

    def __init__(self, warn: Warn = lambda message: None, *, refuse: bool = True) -> None:
        self._warn = warn
        self._refuse = refuse
        self._words: dict[str, int] = {}
        self._unknown: dict[str, int] = {}
        self._warned: set[str] = set()

    def add(self, name: str, model: Ranker, texts: Sequence[str], unknown: int) -> None:
        """Count the words of a shard.

        Args:
            name: what messages call the model.
            model: gives vocabulary and normaliser.
            texts: hypotheses as the recogniser wrote them.
            unknown: words of the normalised texts that the vocabulary lacks.

        Raises:
            InputError: so far more than :data:`UNKNOWN_ERROR` of the words are unknown to a closed vocabulary, or
                more than :data:`UNKNOWN_BY_CASE` that are known in another case.
        """
        if self._refuse:
            self.merge(name, Misfit.of(model, texts, unknown))

    def merge(self, name: str, shard: Misfit) -> None:
        """Count the words of a shard that were counted elsewhere.

        Raises:
            InputError: as :meth:`add`.
        """
        self._words[name] = self._words.get(name, 0) + shard.words
        self._unknown[name] = self._unknown.get(name, 0) + shard.unknown
        share = self.unknown_share(name)
        cased = shard.known_in if share > UNKNOWN_BY_CASE else None
        refused = not shard.is_open and (share > UNKNOWN_ERROR or cased is not None)
        if share <= UNKNOWN_WARNING or (name in self._warned and not refused):
            return
        message = f"{100 * share:.1f} % of the hypotheses' words are unknown to the model {name!r}"
        # Jackknife models know fewer words than the full one, which may know them all.
        if shard.examples:
            message += f", such as {', '.join(map(repr, shard.examples))}"
        way_out = shard.way_out(name, share, refused)
        if refused and cased is not None:
            raise InputError(f"{message}; it knows them in {cased} case{way_out}")
        if refused:
            most = f"at most {100 * UNKNOWN_ERROR:.0f} % are accepted"
            raise InputError(f"{message}; its vocabulary does not fit this list ({most}){way_out}")
        self._warned.add(name)
        self._warn(message + way_out)

    def unknown_share(self, name: str) -> float:
        """Share of the words so far that are unknown to the model of this name, from 0 to 1."""
        return self._unknown.get(name, 0) / max(self._words.get(name, 0), 1)


@dataclass(frozen=True)
class Misfit:
    """The words of a shard, and how a model knows them.

    Attributes:
        words: how many there are; unknown: those of them that the model does not know.
        is_open: whether the vocabulary spells what it does not know.
        normalizer: of the model.
        examples: some unknown words, where they are many in this shard.
        known_in: the case in which most of these are known, where they are very many.
        fitting: the normaliser after which most are, where a closed vocabulary lacks very many.
    """

    words: int
    unknown: int
    is_open: bool
    normalizer: str
    examples: tuple[str, ...] = ()
    known_in: str | None = None
    fitting: str | None = None

    @classmethod
    def of(cls, model: Ranker, texts: Sequence[str], unknown: int | None = None) -> Misfit:
        """Args: as those of :meth:`VocabularyFit.add`; ``unknown`` is counted where it is not given."""
        normalize = get_normalizer(model.normalizer)
        normalized = [normalize(text) for text in texts]
        unknown = sum(map(model.vocabulary.unknown_words, normalized)) if unknown is None else unknown
        lost = [word for pair in zip(texts, normalized, strict=True) for word in _lost_words(*pair, normalize)]
        words = len(lost) + sum(len(text.split()) for text in normalized)
        is_open = model.vocabulary.is_open
        found = cls(words, len(lost) + unknown, is_open, model.normalizer)
        share = found.unknown_share
        # What is looked for takes time. The first shards with which a list goes beyond a share do so by themselves.
        if share <= UNKNOWN_WARNING:
            return found
        examples = tuple(_unknown_words(model, lost, normalized))
        if share <= UNKNOWN_BY_CASE:
            return replace(found, examples=examples)
        # What an open vocabulary spells it need not know.
        fitting = None if is_open else _fitting_normalizer(model, texts)
        return replace(found, examples=examples, known_in=_known_in_another_case(model, normalized), fitting=fitting)

    @property
    def unknown_share(self) -> float:
        """Share of the words that are unknown, from 0 to 1."""
        return self.unknown / max(self.words, 1)

    def way_out(self, name: str, share: float, refused: bool) -> str:
        """What to do about it."""
        if self.fitting is not None and share > UNKNOWN_BY_CASE:
            normalizer = self.fitting
            return (
                f"; after the normaliser {normalizer!r} it knows most: give it as {name}=PATH?normalizer={normalizer}"
            )
        if refused:
            return (
                ": train it on more text like the list's, with `vocabulary=bpe`, or with another normaliser than "
                f"{self.normalizer!r}"
            )
        return ""


def _lost_words(text: str, normalized: str, normalize: Normalizer) -> Iterator[str]:
    """Words with a letter or digit of which the normaliser leaves nothing."""
    words = text.split()
    if len(normalized.split()) < len(words):
        yield from (word for word in words if any(map(str.isalnum, word)) and not normalize(word))


def _known_in_another_case(model: Ranker, normalized: Iterable[str]) -> str | None:
    """The case in which at least half of the unknown words are known, if there is one."""
    unknown = {word for text in normalized for word in text.split() if model.vocabulary.unknown_words(word)}
    for case, change in (("lower", str.lower), ("upper", str.upper)):
        known = sum(not model.vocabulary.unknown_words(change(word)) for word in unknown)
        if unknown and 2 * known >= len(unknown):
            return case
    return None


def _fitting_normalizer(model: Ranker, texts: Sequence[str]) -> str | None:
    """The normaliser that leaves the fewest unknown words, where it halves their share; the first of several."""
    texts = texts[:_TRIED]
    best, least = None, _unknown_share(model, texts, model.normalizer) / 2
    for name in _CANDIDATES:
        share = _unknown_share(model, texts, name)
        if share < least and not _loses_letters(name, texts):
            best, least = name, share
    return best


def _loses_letters(normalizer: str, texts: Sequence[str]) -> bool:
    lost = LostLetters(normalizer)
    return sum(1 for _ in lost.watched(texts)) > 0 and lost.lost > 0


def _unknown_share(model: Ranker, texts: Sequence[str], normalizer: str) -> float:
    normalized = list(map(get_normalizer(normalizer), texts))
    words = sum(len(text.split()) for text in normalized)
    return sum(map(model.vocabulary.unknown_words, normalized)) / words if words else 1.0


def _unknown_words(model: Ranker, lost: Iterable[str], normalized: Iterable[str]) -> list[str]:
    """A few unknown words, each once."""
    examples = dict.fromkeys(lost)
    for text in normalized:
        if len(examples) >= EXAMPLES:
            break
        if model.vocabulary.unknown_words(text):
            examples |= dict.fromkeys(word for word in text.split() if model.vocabulary.unknown_words(word))
    return list(examples)[:EXAMPLES]
