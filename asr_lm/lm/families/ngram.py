"""n-gram language models: Kneser-Ney estimation into a folder, scores of whole prefix trees.

A trained folder holds ``config.json``, ``model.arpa``, KenLM's binary ``model.bin`` where a ``build_binary`` program
was on the PATH, and the vocabulary's file; beside a large ``model.arpa`` its arrays are kept once it was read
(:mod:`asr_lm.lm.ngrams.array_file`). A bare ARPA or KenLM binary file is a model too: its words are all that it knows.
KenLM's own module is needed for KenLM's binary files alone.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from asr_lm import __version__
from asr_lm.errors import InputError
from asr_lm.files import atomic_write
from asr_lm.hypotheses.prefix_tree import PrefixTree
from asr_lm.lm.folder import CONFIG_FILE, begin, read_config, write_config
from asr_lm.lm.ngrams.arpa import write_arpa
from asr_lm.lm.ngrams.array_file import arrays_path, load_arrays
from asr_lm.lm.ngrams.growing_tree import NgramTree
from asr_lm.lm.ngrams.kenlm_file import (
    KenlmScorer,
    build_binary,
    can_build_binary,
    is_binary,
    read_with_kenlm,
    stored_ngrams,
)
from asr_lm.lm.ngrams.kneser_ney import (
    DISCOUNT_FALLBACK,
    Discounts,
    KneserNeyModel,
    NgramTable,
    check_order,
    estimate,
    pruning_thresholds,
)
from asr_lm.lm.ngrams.scorer import ArrayScorer, NgramScorer
from asr_lm.lm.protocol import CausalModel, LogProbs, Tokens
from asr_lm.lm.training.corpus import TokenCorpus
from asr_lm.text.vocabulary import SPECIALS, UNK, Vocabulary
from asr_lm.text.vocabulary_folder import load_vocabulary

FAMILY = "ngram"
ARPA_FILE = "model.arpa"
BINARY_FILE = "model.bin"
OPEN_VOCABULARY = "open"

_OTHER_UNK = "<UNK>"


class _Numbered(dict[str, int]):
    """Numbers of words, each asked for once: looking a known one up costs no call."""

    def __init__(self, number: Callable[[str], int]) -> None:
        super().__init__()
        self._number = number

    def __missing__(self, word: str) -> int:
        return self.setdefault(word, self._number(word))


class OpenWordVocabulary(Vocabulary):
    """The words of a model's file; a word gets an id when it is first met.

    Literal ``<unk>``, ``<s>`` and ``</s>`` in a text are unknown words.
    """

    kind = OPEN_VOCABULARY

    def __init__(self, knows: Callable[[str], bool], fingerprint: Callable[[], str]) -> None:
        """Args: knows: whether the model has a word. fingerprint: digest of the model."""
        self._knows = knows
        self._fingerprint = fingerprint
        self._tokens = list(SPECIALS)
        self._ids = _Numbered(self._new_id)
        self._ids.update(dict.fromkeys(SPECIALS, self.unk_id))

    @property
    def tokens(self) -> Sequence[str]:
        return self._tokens

    def encode_batch(self, texts: Sequence[str]) -> list[Tokens]:
        number = self._ids.__getitem__
        return [np.array([*map(number, text.split())], dtype=np.int32) for text in texts]

    def _new_id(self, word: str) -> int:
        if not self._knows(word):
            return self.unk_id
        self._tokens.append(word)
        return len(self._tokens) - 1

    def decode(self, ids: Iterable[int]) -> str:
        return " ".join(self._tokens[index] for index in ids)

    def unknown_words(self, text: str) -> int:
        return sum(self._ids[word] == self.unk_id for word in text.split())

    def word_lengths(self, text: str) -> list[int]:
        return [1] * len(text.split())

    def fingerprint(self) -> str:
        return self._fingerprint()

    def save(self, folder: Path) -> None:
        """Nothing to write: the words are in the model's file."""


class NgramModel(CausalModel):
    """A back-off n-gram model.

    Attributes:
        file: its ARPA or KenLM binary file.
        ngrams: number of n-grams of order 1, 2, ….
        config: the ``config.json`` of its folder; empty for a bare file.
    """

    family = FAMILY

    def __init__(
        self,
        file: Path,
        vocabulary: Vocabulary | None,
        normalizer: str,
        config: dict[str, Any] | None = None,
        digest: str | None = None,
    ) -> None:
        """Load a file.

        Args:
            file: ARPA or KenLM binary, perhaps compressed.
            vocabulary: that of the tokens to be scored; None takes the words that the model knows.
            normalizer: name of the normaliser of the training text.
            config: that of the model's folder.
            digest: of the file, where it is known.

        Raises:
            InputError: the file is missing or damaged; a KenLM binary file is of another version or of an order KenLM
                was not built for, or KenLM's module is not there.
        """
        self.file = file
        self.normalizer = normalizer
        self.config = config or {}
        self._knows: Callable[[str], bool]
        self._scorer: NgramScorer
        self._listed: Sequence[str] | None
        in_kenlm_form = is_binary(file)
        self._file_digest = digest or _file_digest(file)
        if in_kenlm_form:
            model = read_with_kenlm(file)
            self.ngrams, self._knows = stored_ngrams(file), model.__contains__
            self.vocabulary = vocabulary or self._words()
            self._scorer, self._listed = KenlmScorer(model, self.vocabulary), None
        else:
            arrays = load_arrays(file, self._file_digest)
            self.ngrams, self._knows = arrays.counts, arrays.knows
            self.vocabulary = vocabulary or self._words()
            self._scorer, self._listed = ArrayScorer(arrays, self.vocabulary), arrays.words

    def _words(self) -> Vocabulary:
        return OpenWordVocabulary(self._knows, lambda: self._digest)

    @classmethod
    def load(cls, path: Path) -> NgramModel:
        """The model of a trained folder, or of a bare ARPA or KenLM file (normaliser ``as-is``).

        Raises:
            InputError: missing, damaged, of another version, or of another family.
        """
        if not path.is_dir():
            return cls(path, None, "as-is")
        config = read_config(path)
        if config["family"] != FAMILY:
            raise InputError(f"a model of family {config['family']!r}, expected {FAMILY!r}", file=path)
        file, digest = _intact_file(path, config)
        return cls(file, _folder_vocabulary(path, config), config["normalizer"], config, digest)

    def node_log_probs(self, tree: PrefixTree) -> LogProbs:
        return self._scorer.node_log_probs(tree)

    def next_log_probs(self, prefixes: Sequence[Tokens]) -> LogProbs:
        if self.vocabulary.kind == OPEN_VOCABULARY:
            self._meet_every_word()
        values = super().next_log_probs(prefixes)
        values[:, ~self._scorer.has_probability()] = -np.inf
        return values

    def _meet_every_word(self) -> None:
        """Number all words of a bare file, which otherwise are numbered as they are met."""
        if self._listed is None:
            message = "a file in KenLM's binary form does not tell its words; give the ARPA file it was made of"
            raise InputError(message, file=self.file)
        self.vocabulary.encode_batch(self._listed)

    @property
    def order(self) -> int:
        """Length of the longest n-grams."""
        return self._scorer.order

    def first_state(self) -> Any:
        """The state after ``<s>``."""
        return self._scorer.first_state()

    def next_states(self, states: Sequence[Any], tokens: Sequence[int]) -> tuple[LogProbs, Sequence[Any]]:
        """Log p(token | state) of pairs, and the states after the tokens, both ``[n]``."""
        return self._scorer.next_states(states, tokens)

    def grow(self) -> NgramTree:
        return NgramTree(self)

    def knows(self, word: str) -> bool:
        """Whether the model has a probability of its own for ``word``."""
        return self._knows(word)

    @property
    def charges_unknown(self) -> bool:
        """Whether unknown words have a probability; where not, they count 0 and their number alone tells them."""
        return self._scorer.charges_unknown

    @property
    def parameters(self) -> int:
        return sum(self.ngrams)

    @property
    def _digest(self) -> str:
        """Digest of the estimated model: of its ARPA file where there was one."""
        return str(self.config.get("digest") or self._file_digest)

    def fingerprint(self) -> str:
        parts = f"{FAMILY} {self._digest} {self.vocabulary.fingerprint()} {self.normalizer}"
        return hashlib.blake2b(parts.encode(), digest_size=16).hexdigest()

    def save(self, folder: Path) -> None:
        begin(folder)
        self.vocabulary.save(folder)
        name = BINARY_FILE if isinstance(self._scorer, KenlmScorer) else ARPA_FILE
        with self.file.open("rb") as source, atomic_write(folder / name) as target:
            shutil.copyfileobj(source, target)
        files = {name: _file_digest(folder / name)}
        described = self.config or _describe(self.vocabulary, self.normalizer, self._digest)
        write_config(folder, {**described, "files": files})


@dataclass(frozen=True)
class NgramTraining:
    """What an estimation gave.

    Attributes:
        folder: where the model lies.
        ngrams: number of n-grams of order 1, 2, ….
        discounts: of order 1, 2, ….
        fallback_orders: orders whose closed-form discounts failed, so that the fallback was used.
        binary: whether KenLM's binary was written too.
        binary_failure: why it was not, although ``build_binary`` is on the PATH.
    """

    folder: Path
    ngrams: tuple[int, ...]
    discounts: tuple[Discounts, ...]
    fallback_orders: tuple[int, ...]
    binary: bool
    binary_failure: str | None


def train_ngram(
    corpus: TokenCorpus,
    vocabulary: Vocabulary,
    normalizer: str,
    folder: Path,
    *,
    order: int = 4,
    prune: Sequence[int] = (),
    fallback: tuple[float, float, float] = DISCOUNT_FALLBACK,
    binary: bool = True,
    asked: Mapping[str, Any] | None = None,
) -> NgramTraining:
    """Estimate a model by interpolated modified Kneser-Ney and write its folder.

    Args:
        corpus: the training text, encoded by ``vocabulary``.
        vocabulary: of the tokens.
        normalizer: name of the normaliser the text went through.
        folder: made when missing; ``config.json`` is written last, so a folder that has one is whole.
        order: length of the longest n-grams, 1 to 6.
        prune: see :func:`asr_lm.lm.ngrams.kneser_ney.estimate`.
        fallback: discounts where the closed form fails.
        binary: write KenLM's binary too where its ``build_binary`` is on the PATH.
        asked: what the model was asked for, to keep in ``config.json``.

    Raises:
        InputError: as :func:`asr_lm.lm.ngrams.kneser_ney.estimate`; a word KenLM takes for ``<unk>``; a folder that
            cannot be written.
    """
    thresholds = pruning_thresholds(prune, check_order(order))
    if _OTHER_UNK in vocabulary.tokens:
        raise InputError(f"the word {_OTHER_UNK} is {UNK} to KenLM and others: write {UNK} in the text, or rename it")
    model = estimate(
        corpus.tokens,
        corpus.offsets,
        order=order,
        vocabulary_size=vocabulary.size,
        bos_id=vocabulary.bos_id,
        eos_id=vocabulary.eos_id,
        prune=thresholds,
        fallback=fallback,
    )
    begin(folder)
    vocabulary.save(folder)
    files, failure = _write_model(folder, model, vocabulary, binary)
    ngrams = tuple(len(table) for table in model.tables)
    details = {
        "order": order,
        "ngrams": ngrams,
        "prune": thresholds,
        "discounts": [asdict(discounts) for discounts in model.discounts],
        "training": {
            "sentences": len(corpus),
            "tokens": len(corpus.tokens),
            "words": corpus.words,
            "unknown_words": corpus.unknown_words,
            "digest": corpus.digest,
            "asked": asked,
        },
        "files": files,
    }
    write_config(folder, {**_describe(vocabulary, normalizer, files[ARPA_FILE]), **details})
    return NgramTraining(folder, ngrams, model.discounts, tuple(model.fallback_orders), BINARY_FILE in files, failure)


def _write_model(
    folder: Path, model: KneserNeyModel, vocabulary: Vocabulary, binary: bool
) -> tuple[dict[str, str], str | None]:
    """Write the model's files; their digests by name, and why the binary failed if it did."""
    arpa = folder / ARPA_FILE
    with atomic_write(arpa) as stream:
        write_arpa(stream, _readable_by_kenlm(model.tables), vocabulary.tokens)
    files = {ARPA_FILE: _file_digest(arpa)}
    for derived in (folder / BINARY_FILE, arrays_path(arpa)):
        derived.unlink(missing_ok=True)
    if not (binary and can_build_binary()):
        return files, None
    try:
        build_binary(arpa, folder / BINARY_FILE)
    except InputError as error:  # the ARPA file serves as well, only slower to load
        return files, error.message
    return {**files, BINARY_FILE: _file_digest(folder / BINARY_FILE)}, None


def _readable_by_kenlm(tables: tuple[NgramTable, ...]) -> tuple[NgramTable, ...]:
    """The tables with at least two orders, which KenLM insists on: unigrams get a table of no bigrams."""
    if len(tables) > 1:
        return tables
    unigrams = replace(tables[0], log_backoff=np.zeros(len(tables[0]), np.float32))
    nothing = np.zeros(0, np.int32)
    return unigrams, NgramTable(nothing, nothing, np.zeros(0, np.float32), None)


def _describe(vocabulary: Vocabulary, normalizer: str, digest: str) -> dict[str, Any]:
    return {
        "family": FAMILY,
        "vocabulary": {"kind": vocabulary.kind, "size": vocabulary.size},
        "vocabulary_fingerprint": vocabulary.fingerprint(),
        "normalizer": normalizer,
        "digest": digest,
        "versions": {"asr_lm": __version__, "python": platform.python_version()},
    }


def _folder_vocabulary(folder: Path, config: dict[str, Any]) -> Vocabulary | None:
    """The vocabulary of a model folder; None where the model is asked for its words."""
    described = config.get("vocabulary")
    if not isinstance(described, dict):
        raise InputError("damaged model folder: an object expected", file=folder / CONFIG_FILE, field="vocabulary")
    if described.get("kind") == OPEN_VOCABULARY:
        return None
    vocabulary = load_vocabulary(folder)
    if vocabulary.fingerprint() != config.get("vocabulary_fingerprint"):
        raise InputError("damaged model folder: the vocabulary is not the one of the model", file=folder)
    return vocabulary


def _intact_file(folder: Path, config: dict[str, Any]) -> tuple[Path, str]:
    """The model's file, the ARPA file if there is one, and its digest, which must be as it was written."""
    files = config.get("files")
    if not isinstance(files, dict) or not files or not set(files) <= {ARPA_FILE, BINARY_FILE}:
        expected = f"{ARPA_FILE} or {BINARY_FILE} with their digests expected"
        raise InputError(f"damaged model folder: {expected}", file=folder / CONFIG_FILE, field="files")
    name = ARPA_FILE if ARPA_FILE in files else BINARY_FILE
    digest = _file_digest(folder / name)
    if digest != files[name]:
        raise InputError("damaged model folder: the file is not as it was written", file=folder / name)
    return folder / name, digest


def _file_digest(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", file=path) from None
