"""Files in KenLM's own binary form, which KenLM's module reads (Heafield 2011), and the program that writes them.

The module is not always there: ARPA files are read without it (:mod:`asr_lm.lm.ngrams.arpa_arrays`). It takes what a
binary file says for true, and a damaged one can end the process; so a file is first opened by a process of its own.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError
from asr_lm.files import iterate_blocks, read_bytes
from asr_lm.hypotheses.prefix_tree import PrefixTree
from asr_lm.limits import WHOLE
from asr_lm.lm.ngrams.arrays import ZERO
from asr_lm.lm.ngrams.scorer import LN_10, NgramScorer
from asr_lm.lm.protocol import LogProbs
from asr_lm.partial_files import partial_folder
from asr_lm.text.vocabulary import UNK, Vocabulary

if TYPE_CHECKING:
    import kenlm

BUILD_BINARY = "build_binary"

_BINARY_MAGIC = b"mmap lm http://kheafield.com/code"
_VERSION = re.compile(re.escape(_BINARY_MAGIC) + rb" format version (\d{1,9})\n")
_CURRENT = 5
# KenLM's lm/binary_format.hh: order, probing multiplier, type, whether words are stored, version, then the counts.
_PARAMETERS = struct.Struct("<B3xfi?3xI")
_PARAMETERS_AT = 88
_TYPES = range(6)
_COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")
_BLOCK = 2**20
_REASON = re.compile(r"threw \w+(?: because `.*?')?\.\s*(.*?)\)?\s*\Z", re.DOTALL)

_TRIAL = """
import sys, kenlm
config = kenlm.Config()
config.show_progress = False
model = kenlm.Model(sys.argv[1], config)
score = model.score("a <unk> b")
if not -1e30 < score <= 0:
    sys.exit(f"it gives a sentence the logarithm {score} of a probability")
"""
_TRIAL_SECONDS = 20
_SLOWEST = 5_000_000
"""Bytes a second, beside those seconds, in which a slow disk reads a model: a damaged one may never be read."""


def is_binary(path: Path) -> bool:
    """Whether a file is in KenLM's binary form, of whichever version."""
    return read_bytes(path, len(_BINARY_MAGIC)) == _BINARY_MAGIC


def read_with_kenlm(path: Path) -> kenlm.Model:
    """The model in a binary file, perhaps compressed.

    Raises:
        InputError: missing or damaged, of another version of KenLM, or of an order KenLM was not built for; KenLM's
            module is not installed.
    """
    kenlm = _module(path)
    stored_ngrams(path)
    with _uncompressed(path) as file:
        _try(file, path)
        config = kenlm.Config()
        config.show_progress = False
        try:
            return kenlm.Model(str(file), config)
        except (OSError, UnicodeDecodeError) as error:  # the latter where KenLM's message quotes damaged text
            raise InputError(f"KenLM cannot read this model: {_reason(str(error))}", file=path) from None


def _module(path: Path) -> Any:
    try:
        import kenlm
    except ImportError:
        message = "a file in KenLM's binary form, which needs KenLM's module: pip install 'asr_lm[kenlm]', or give the "
        raise InputError(f"{message}ARPA file it was made of", file=path) from None
    return kenlm


def _try(file: Path, path: Path) -> None:
    """Open a file in a process of its own, which may die of it."""
    command = [sys.executable, "-c", _TRIAL, str(file)]
    seconds = _TRIAL_SECONDS + file.stat().st_size / _SLOWEST
    try:
        done = subprocess.run(command, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise InputError(f"damaged: KenLM does not finish reading this model in {seconds:.0f} s", file=path) from None
    if done.returncode < 0:
        raise InputError("damaged: KenLM breaks down over this model", file=path)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise InputError(f"KenLM cannot read this model: {_reason(said[-1])}", file=path)


def stored_ngrams(path: Path) -> tuple[int, ...]:
    """Number of n-grams of order 1, 2, … in a binary file.

    Raises:
        InputError: of another version; the header is damaged, or claims more than the file can hold.
    """
    head = read_bytes(path, 4096)
    version = _VERSION.match(head)
    if not version or int(version[1]) != _CURRENT:
        found = f"version {int(version[1])}" if version else "an unknown version"
        raise InputError(f"a KenLM binary file of {found}; version {_CURRENT} is read", file=path)
    try:
        order, _, kind, _, _ = _PARAMETERS.unpack_from(head, _PARAMETERS_AT)
        counts = struct.unpack_from(f"<{order}Q", head, _PARAMETERS_AT + _PARAMETERS.size)
    except struct.error:
        raise InputError("damaged: the file ends in its header", file=path) from None
    if not order or kind not in _TYPES or sum(counts) > 8 * _size(path):
        raise InputError("damaged: the header claims more than the file can hold", file=path)
    return counts


def _size(path: Path) -> int:
    """Bytes of a file, decompressed.

    Raises:
        InputError: a compressed one has more than :data:`asr_lm.limits.WHOLE`.
    """
    with path.open("rb") as stream:
        packed = stream.read(4).startswith(_COMPRESSED)
    return _unpacked_size(path) if packed else path.stat().st_size


def _unpacked_size(path: Path) -> int:
    size, most = 0, WHOLE.bytes()
    for block in iterate_blocks(path, _BLOCK):
        size += len(block)
        if size > most:
            raise WHOLE.exceeded(str(path))
    return size


def can_build_binary() -> bool:
    """Whether KenLM's ``build_binary`` is on the PATH."""
    return shutil.which(BUILD_BINARY) is not None


def build_binary(arpa: Path, binary: Path) -> None:
    """Write KenLM's binary form (probing hash tables) of an ARPA file.

    Raises:
        InputError: ``build_binary`` failed.
    """
    with partial_folder(binary) as folder:
        built = folder / binary.name
        command = [BUILD_BINARY, "-T", f"{folder}/", "probing", str(arpa), str(built)]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise InputError(f"{BUILD_BINARY} failed: {last}", file=arpa)
        built.replace(binary)


@contextlib.contextmanager
def _uncompressed(path: Path) -> Iterator[Path]:
    """``path``, or a temporary uncompressed copy of it."""
    with path.open("rb") as stream:
        packed = stream.read(4).startswith(_COMPRESSED)
    if not packed:
        yield path
        return
    with tempfile.NamedTemporaryFile() as copy:
        copy.writelines(iterate_blocks(path, _BLOCK))
        copy.flush()
        yield Path(copy.name)


def _reason(message: str) -> str:
    match = _REASON.search(message)
    return " ".join((match[1] if match else message).split())


class KenlmScorer(NgramScorer):
    """A model that KenLM has read: node by node."""

    def __init__(self, model: kenlm.Model, vocabulary: Vocabulary) -> None:
        import kenlm

        self._new_state = kenlm.State
        self._model, self._vocabulary = model, vocabulary
        self.order = int(model.order)
        empty = kenlm.State()
        model.NullContextWrite(empty)
        # What KenLM puts in where a model has no <unk> is no probability of the model's.
        self.charges_unknown = model.BaseScore(empty, UNK, kenlm.State()) > ZERO

    def node_log_probs(self, tree: PrefixTree) -> LogProbs:
        states, log10 = [self.first_state()], [0.0]
        for parent, token in zip(tree.parent[1:].tolist(), tree.token[1:].tolist(), strict=True):
            value, state = self._next(states[parent], token)
            log10.append(value)
            states.append(state)
        return np.array(log10) * LN_10

    def has_probability(self) -> NDArray[np.bool_]:
        return np.array([self.charges_unknown or word in self._model for word in self._vocabulary.tokens])

    def first_state(self) -> kenlm.State:
        state = self._new_state()
        self._model.BeginSentenceWrite(state)
        return state

    def next_states(self, states: Sequence[Any], tokens: Sequence[int]) -> tuple[LogProbs, Sequence[Any]]:
        pairs = [self._next(state, token) for state, token in zip(states, tokens, strict=True)]
        return np.array([log10 for log10, _ in pairs]) * LN_10, [state for _, state in pairs]

    def _next(self, state: kenlm.State, token: int) -> tuple[float, kenlm.State]:
        # KenLM gives a predicted <s> log-probability 0, the best there is: it costs what an unknown word costs.
        word = UNK if token == self._vocabulary.bos_id else self._vocabulary.tokens[token]
        following = self._new_state()
        log10 = self._model.BaseScore(state, word, following)
        return (log10 if self.charges_unknown or word in self._model else 0.0), following
