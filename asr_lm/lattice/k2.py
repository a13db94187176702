"""k2: lattices as its machines and back, and lattices from the emissions of a CTC model.

k2 (https://k2-fsa.org) is optional, and imported here alone, when something of it is first needed. Only what releases
1.23 and 1.24 have in common is used. A k2 machine has one score on an arc, a natural logarithm, and arcs with label -1
to its last state; words are auxiliary labels where there are any. The scores of a lattice travel as attributes of the
arcs, called ``NAME_scores`` as k2's own recipes call theirs.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asr_lm.errors import InputError
from asr_lm.files import display_name
from asr_lm.lattice.k2_archive import check_arcs_of_machines, saved_objects
from asr_lm.lattice.k2_text import FINAL, SCORE
from asr_lm.lattice.lattice import Lattice
from asr_lm.lattice.limits import MAX_ARCS, check_arcs
from asr_lm.lattice.names import utterance_of_file
from asr_lm.lattice.symbols import Symbols, word_of

if TYPE_CHECKING:
    import torch

_SUFFIX = "_scores"
_WHEELS = "https://k2-fsa.github.io/k2/installation/pre-compiled-cpu-wheels-linux/index.html"


def k2_module() -> Any:
    """The k2 package.

    Raises:
        InputError: it is not installed, or was built for another torch; the message names the wheel that fits.
    """
    import torch

    try:
        import k2
    except ImportError as error:
        release = torch.__version__.split("+")[0]
        if release == "1.13.1":
            advice = "`pip install k2==1.23.4`, which is for just this torch"
        else:
            advice = f"the wheel called k2-1.24.*.*+cpu.torch{release}-* (or +cuda*.torch{release}-*) from {_WHEELS}"
        raise InputError(f"k2 cannot be imported ({error}); with torch {release} install {advice}") from None
    return k2


def to_k2(lattice: Lattice, numbers: Mapping[str, int] | None = None) -> Any:
    """A lattice as ``k2.Fsa``, an acceptor whose labels are words; its score is the lattice's weight.

    Args:
        lattice: any lattice.
        numbers: number of every word, from 1 on; None takes the lattice's own.

    Raises:
        InputError: k2 is missing, a word has no number.
    """
    import torch

    k2 = k2_module()
    if missing := [text for text in lattice.symbols[1:] if numbers is not None and text not in numbers]:
        raise InputError(f"the word {missing[0]!r} has no number", utterance=lattice.id)
    labels = np.arange(len(lattice.symbols))
    if numbers is not None:
        labels[1:] = [numbers[text] for text in lattice.symbols[1:]]
    last = lattice.nodes - 1
    columns = (
        np.append(lattice.source, last),
        np.append(lattice.target, last + 1),
        np.append(labels[lattice.word], FINAL),
    )
    scores = torch.from_numpy(np.append(lattice.weights(), 0.0).astype(np.float32))
    arcs = torch.stack(
        [*(torch.from_numpy(column.astype(np.int32)) for column in columns), scores.view(torch.int32)], 1
    )
    machine = k2.Fsa(arcs.contiguous())
    for name, values in lattice.scores.items():
        setattr(machine, name + _SUFFIX, torch.from_numpy(np.append(values, 0.0).astype(np.float32)))
    return machine


def from_k2(machine: Any, id: str, words: Mapping[int, str] | None = None) -> Lattice:
    """A ``k2.Fsa`` as a lattice.

    Words are the auxiliary labels (one or several an arc) where the machine has some, else its labels. Scores are the
    attributes ``NAME_scores``; what the machine's own score has beyond them becomes ``score``.

    Args:
        machine: without cycles; of one utterance.
        id: of the utterance.
        words: table of words by number.

    Raises:
        InputError: a batch of machines, a cycle, no path, a word that is not in the table.
    """
    if len(machine.shape) != 2:
        raise InputError("a batch of machines, expected that of one utterance; take them one by one", utterance=id)
    arcs = machine.arcs.values().cpu().numpy()
    symbols = Symbols()
    spoken = [[word_of(number, words) for number in line] for line in _words(machine, arcs[:, 2])]
    word = [symbols.number(" ".join(filter(None, line))) for line in spoken]
    scores = {
        name.removesuffix(_SUFFIX): getattr(machine, name).detach().cpu().numpy().astype(np.float64)
        for name in _score_names(machine, len(arcs))
    }
    rest = machine.scores.detach().cpu().numpy().astype(np.float64)
    for values in scores.values():
        rest = rest - values
    if not scores or np.abs(rest).max(initial=0.0) > 1e-3:
        scores[SCORE] = rest
    last = machine.shape[0] - 1
    return Lattice.from_arcs(id, symbols.texts, arcs[:, 0], arcs[:, 1], word, scores, final={last: {}})


def _words(machine: Any, labels: np.ndarray) -> list[list[int]]:
    """Numbers of the words of every arc, without epsilon."""
    given = getattr(machine, "aux_labels", None)
    if given is None:
        lines = [[label] for label in labels.tolist()]
    elif hasattr(given, "tolist") and not hasattr(given, "shape"):
        lines = given.tolist()
    else:
        lines = [line if isinstance(line, list) else [line] for line in given.tolist()]
    return [[number for number in line if number > 0] for line in lines]


def _score_names(machine: Any, arcs: int) -> list[str]:
    names = [name for name, _ in machine.named_tensor_attr(include_scores=False) if name.endswith(_SUFFIX)]
    return sorted(name for name in names if getattr(machine, name).shape == (arcs,))


def read_pt(
    path: str | Path, words: Mapping[int, str] | None = None, *, trust: bool = False, max_arcs: int = MAX_ARCS
) -> Iterator[Lattice]:
    """The lattices of a file that ``torch.save(machine.as_dict(), path)`` wrote.

    torch reads such a file without running anything that is in it; one that holds other objects is read only when it is
    trusted, since reading it may run any program. An archive that holds programs (TorchScript) is never read.

    Args:
        path: the file, not compressed.
        words: table of words by number.
        trust: read other objects than tensors.
        max_arcs: arcs of one machine, at most.

    Raises:
        InputError: k2 is missing, the file is damaged, needs trust, holds programs or no machine, too many arcs.
    """
    content = _saved(path, trust)
    if not isinstance(content, dict) or "arcs" not in content:
        raise InputError("holds no k2 machine: no arcs", file=display_name(path))
    try:
        yield from _machines(content, utterance_of_file(path), words, max_arcs)
    except InputError:
        raise
    except Exception as error:  # k2 checks what it is given with exceptions of many kinds
        raise InputError(f"holds no k2 machine ({_first_line(error)})", file=display_name(path)) from None


def _saved(path: str | Path, trust: bool) -> object:
    """What ``torch.save`` wrote."""
    import torch

    archive = saved_objects(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch thinks of a strange pickle is the error's to say
            return torch.load(archive, map_location="cpu", weights_only=not trust)
    except Exception as error:
        if trust:
            raise InputError(f"cannot be read ({_first_line(error)})", file=display_name(path)) from None
        raise InputError(
            "holds more than tensors, and reading that could run any program; trust it only if you know who wrote it",
            file=display_name(path),
            parameter="trust",
        ) from None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _machines(content: dict[str, Any], name: str, words: Mapping[int, str] | None, max_arcs: int) -> Iterator[Lattice]:
    check_arcs_of_machines(content["arcs"])
    machine = k2_module().Fsa.from_dict(content)
    if len(machine.shape) == 2:
        check_arcs(machine.num_arcs, max_arcs)
        yield from_k2(machine, name, words)
        return
    for number in range(machine.shape[0]):
        check_arcs(machine[number].num_arcs, max_arcs)
        yield from_k2(machine[number], f"{name}-{number}", words)


def lattices_from_emissions(
    emissions: Sequence[torch.Tensor],
    graph: Any,
    ids: Sequence[str],
    words: Mapping[int, str] | None = None,
    *,
    search_beam: float = 20.0,
    output_beam: float = 8.0,
    most_states: int = 10_000,
) -> list[Lattice]:
    """Word lattices of utterances: what a graph allows, pruned to what the emissions make likely.

    Args:
        emissions: log-probabilities of the tokens ``[frames, tokens]`` of each utterance, token 0 being the blank.
        graph: a decoding graph: :func:`ctc_graph`, or any other from frames to words.
        ids: of the utterances.
        words: table of words by number.
        search_beam, output_beam: natural-log beams of the search and of what is kept.
        most_states: states active in a frame, at most.

    Raises:
        InputError: k2 is missing, or an utterance has no path.
    """
    import torch

    k2 = k2_module()
    frames = [len(emission) for emission in emissions]
    padded = torch.nn.utils.rnn.pad_sequence(list(emissions), batch_first=True)
    segments = torch.tensor([[number, 0, length] for number, length in enumerate(frames)], dtype=torch.int32)
    # k2 wants longer utterances first.
    order = sorted(range(len(frames)), key=lambda number: -frames[number])
    dense = k2.DenseFsaVec(padded.float(), segments[order])
    found = k2.intersect_dense_pruned(graph, dense, search_beam, output_beam, 30, most_states)
    lattices: dict[int, Lattice] = {}
    for place, number in enumerate(order):
        lattices[number] = from_k2(_of_words(k2, found[place]), ids[number], words)
    return [lattices[number] for number in range(len(ids))]


def _of_words(k2: Any, machine: Any) -> Any:
    """A machine from frames to words as one of words, its silent arcs removed."""
    spoken = k2.remove_epsilon(k2.invert(machine))
    if hasattr(spoken, "aux_labels"):
        del spoken.aux_labels
    return k2.connect(spoken)


def ctc_graph(tokens: int, lexicon: Mapping[int, Sequence[Sequence[int]]], separator: int | None = None) -> Any:
    """The decoding graph of words spelt in tokens: CTC's topology composed with a lexicon.

    Args:
        tokens: number of tokens, the blank (0) included.
        lexicon: for every word's number its spellings.
        separator: token that ends every word, where the model has one.

    Raises:
        InputError: k2 is missing, or a spelling is empty or has a token that is none.
    """
    k2 = k2_module()
    topology = k2.ctc_topo(tokens - 1, modified=False)
    spelt = k2.arc_sort(_lexicon_machine(k2, tokens, lexicon, separator))
    return k2.arc_sort(k2.connect(k2.compose(topology, spelt)))


def _lexicon_machine(
    k2: Any, tokens: int, lexicon: Mapping[int, Sequence[Sequence[int]]], separator: int | None
) -> Any:
    """A loop over all words, sharing the beginnings of spellings that begin alike; the word is said at its end."""
    child: dict[tuple[int, int], int] = {}
    lines: list[tuple[int, int, int, int]] = []
    ends: list[tuple[int, int, int]] = []
    states = 1
    for word, spellings in lexicon.items():
        for spelling in spellings:
            letters = [*spelling, *([] if separator is None else [separator])]
            if not spelling or any(not 0 < token < tokens for token in letters):
                raise InputError(f"word {word} is spelt {list(spelling)}, expected tokens from 1 to {tokens - 1}")
            state = 0
            for token in letters[:-1]:
                if (state, token) not in child:
                    child[state, token] = states
                    lines.append((state, states, token, 0))
                    states += 1
                state = child[state, token]
            ends.append((state, letters[-1], word))
    rows = [*lines, *((state, 0, token, word) for state, token, word in ends), (0, states, FINAL, FINAL)]
    text = "\n".join(" ".join(map(str, (*row, 0))) for row in sorted(rows))
    return k2.Fsa.from_str(f"{text}\n{states}", num_aux_labels=1)
