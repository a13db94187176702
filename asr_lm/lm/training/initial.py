"""Fine-tuning: the trained folder whose weights and vocabulary a training starts from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from asr_lm.errors import InputError
from asr_lm.lm.families.registry import FAMILIES
from asr_lm.lm.folder import read_config
from asr_lm.lm.loading import network_sizes
from asr_lm.lm.sizes import NetworkConfig
from asr_lm.lm.training.options import TextOptions
from asr_lm.text.vocabulary import Vocabulary
from asr_lm.text.vocabulary_folder import load_vocabulary

if TYPE_CHECKING:
    from asr_lm.lm.neural import Network
    from asr_lm.lm.training.corpus import TokenCorpus

MAY_DIFFER = (
    "vocabulary_size",
    "dropout",
    "attention_dropout",
    "recurrent_dropout",
    "variational",
    "noise_samples",
)
"""Settings of a network that are none of its weights: fine-tuning may choose them anew. The size of the vocabulary is
checked as such."""

SAME_WEIGHTS = {"full", "nce"}
"""Output layers that have the same weights and differ in how they are trained: one may go on where the other ended."""

UNKNOWN_ERROR = 0.20
"""Share of unknown words above which a closed vocabulary does not fit the text."""

_EXAMPLES = 5
_SEARCHED = 10_000
_KINDS = {"words": "words", "bpe": "sentencepiece", "unigram": "sentencepiece"}


@dataclass(frozen=True)
class InitialModel:
    """A trained model as the beginning of another.

    Attributes:
        folder: of the trained model.
        family: name of its family.
        sizes: of its network.
        vocabulary: its vocabulary, which the new model takes over.
        normalizer: name of its normaliser, which the new model takes over, too.
    """

    folder: Path
    family: str
    sizes: NetworkConfig
    vocabulary: Vocabulary
    normalizer: str

    @classmethod
    def open(cls, folder: Path) -> InitialModel:
        """Read everything but the weights.

        Raises:
            InputError: no trained folder, a damaged one, or one without a network.
        """
        config = read_config(folder)
        if config["family"] not in FAMILIES:
            raise InputError(f"a model of family {config['family']!r} has no weights to start from", file=folder)
        sizes = network_sizes(FAMILIES[config["family"]].sizes, config.get("network"), folder)
        return cls(folder, config["family"], sizes, load_vocabulary(folder), config["normalizer"])

    @property
    def vocabulary_option(self) -> str:
        """What ``--vocabulary`` calls the kind of the vocabulary."""
        return next((option for option, kind in _KINDS.items() if kind == self.vocabulary.kind), self.vocabulary.kind)

    def check(self, family: str, sizes: NetworkConfig, text: TextOptions) -> None:
        """Refuse settings that are not those of the trained model.

        Raises:
            InputError: says what differs.
        """
        if family != self.family:
            raise InputError(f"holds a model of family {self.family!r}, not {family!r}", file=self.folder)
        pairs = {
            item.name: (getattr(sizes, item.name), getattr(self.sizes, item.name))
            for item in fields(sizes)
            if item.name not in MAY_DIFFER
        }
        if "output" in pairs and set(pairs["output"]) <= SAME_WEIGHTS:
            del pairs["output"]
        kind = _KINDS.get(text.vocabulary, text.vocabulary)
        pairs["normalizer"] = (text.normalizer, self.normalizer)
        pairs["vocabulary"] = (kind, self.vocabulary.kind)
        pairs["vocabulary_size"] = (text.vocabulary_size or self.vocabulary.size, self.vocabulary.size)
        pairs["min_count"] = (text.min_count, 1)
        differing = [
            f"{name} is {found!r} there, not {ours!r}" for name, (ours, found) in pairs.items() if ours != found
        ]
        if differing:
            raise InputError(
                f"fine-tuning keeps the sizes and the vocabulary of the trained model, but {', '.join(differing)}",
                file=self.folder,
            )

    def check_text(self, corpus: TokenCorpus, sentences: Iterable[str]) -> None:
        """Refuse a text most of whose words the closed vocabulary may not know.

        Args:
            corpus: the text.
            sentences: the same, for examples.

        Raises:
            InputError: more than :data:`UNKNOWN_ERROR` of the words are unknown.
        """
        share = corpus.unknown_words / max(corpus.words, 1)
        if self.vocabulary.is_open or share <= UNKNOWN_ERROR:
            return
        words = (word for sentence in sentences for word in sentence.split())
        is_unknown = self.vocabulary.unknown_words
        unknown = islice(dict.fromkeys(filter(is_unknown, islice(words, _SEARCHED))), _EXAMPLES)
        raise InputError(
            f"{100 * share:.1f} % of the text's words are unknown to the model (as {', '.join(map(repr, unknown))}); "
            f"its vocabulary does not fit this text (at most {100 * UNKNOWN_ERROR:.0f} % are accepted)",
            file=self.folder,
        )

    def load_into(self, network: Network) -> None:
        """Put the weights into a network of the same sizes.

        Raises:
            InputError: missing or damaged weights, or those of another network.
        """
        from asr_lm.lm.weights_file import WEIGHTS_FILE, read_weights

        read_weights(self.folder / WEIGHTS_FILE, network)

    def digest(self) -> str:
        """Hexadecimal digest of the weights' file."""
        from asr_lm.lm.weights_file import WEIGHTS_FILE

        with open(self.folder / WEIGHTS_FILE, "rb") as stream:
            return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
