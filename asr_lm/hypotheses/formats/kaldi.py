"""Kaldi's n-best lists: a folder of text archives keyed by ``utterance-N``.

This is what ``nbest-to-linear`` and the n-best rescoring scripts leave in ``archives.1``, ``archives.2``, …:

* ``words_text`` (else ``text``): ``utt-1 the words``, hypotheses of one utterance one after the other;
* ``acwt`` or ``ac_cost``, ``lmwt.*``, ``lm_cost``, ``*_cost``: ``utt-1 1234.5``, costs (negative natural logarithms) in
  the order of the hypotheses;
* ``ref`` (else ``text`` beside ``words_text``): ``utt the words``, references.

Signs are turned, so that larger is better. The names become ``acoustic`` (``acwt``, ``ac_cost``), ``lm`` (``lm_cost``),
else what is left of the name without ``lmwt.``, ``_cost`` and ``.sum``. The integer archives ``words`` and ``ali``,
costs by word whose sums lie beside them (``lmwt.nn`` by ``lmwt.nn.sum``), hidden files and folders hold nothing more
and are left alone; any other file is an error. Archives may end in ``.gz`` or ``.zst``.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from asr_lm.errors import InputError
from asr_lm.files import display_name, iterate_text
from asr_lm.hypotheses.beginning import Beginning
from asr_lm.hypotheses.format import Format, plain
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.hypotheses.validation import Located, Place, decimal, not_decimal

HYPOTHESES = ("words_text", "text")
REFERENCES = ("ref", "text")
INTEGER_ARCHIVES = ("words", "ali")
SCORE_NAMES = {"acwt": "acoustic", "ac_cost": "acoustic", "lm_cost": "lm"}

_COST = re.compile(r"lmwt\.(.+?)(?:\.sum)?|(.+)_cost")
_KEY = re.compile(r"(.+)-(\d{1,9})", re.ASCII)
_JOB = re.compile(r"archives\.\d{1,9}", re.ASCII)


@dataclass(frozen=True)
class _Archives:
    """The files of one folder by what they hold."""

    hypotheses: Path
    costs: dict[str, Path]
    references: Path | None


class _Entry(NamedTuple):
    """One hypothesis with its key taken apart and its line."""

    utterance: str
    number: int
    hypothesis: Hypothesis
    line: int


def read_kaldi(path: Path) -> Located:
    """Utterances of an archive folder, or of all ``archives.N`` in a folder, whose references may lie beside them.

    Raises:
        InputError: a file is missing, unknown or binary, archives differ in their keys, a cost is no finite number,
            an utterance has a reference and no hypotheses.
    """
    if not path.is_dir():
        raise InputError("is a file, expected a folder with words_text and score archives", file=path)
    jobs = job_folders(path)
    archives = [_archives(folder) for folder in jobs or [path]]
    sources = [each.references for each in archives] + ([_first_present(_by_name(path), REFERENCES)] if jobs else [])
    references = _references([source for source in sources if source is not None])
    decoded: set[str] = set()
    for each in archives:
        for place, utterance in _utterances(each, references):
            decoded.add(utterance.id)
            yield place, utterance
    if silent := references.keys() - decoded:
        raise InputError("has a reference but no hypotheses, expected both", file=path, utterance=min(silent))


def job_folders(path: Path) -> list[Path]:
    """``archives.1``, ``archives.2``, … of a decoding folder, in the order of their numbers."""
    return sorted(
        (folder for folder in path.glob("archives.*") if folder.is_dir() and _JOB.fullmatch(folder.name)),
        key=lambda folder: int(folder.suffix[1:]),
    )


def has_hypotheses(path: Path) -> bool:
    """Whether the folder has a hypothesis archive or job folders."""
    return _first_present(_by_name(path), HYPOTHESES) is not None or bool(job_folders(path))


def _by_name(folder: Path) -> dict[str, Path]:
    """The folder's files by their names without ``.gz`` and ``.zst``, in the order of names."""
    files: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        if file.name.startswith(".") or not file.is_file():
            continue
        name = file.stem if file.suffix in (".gz", ".zst") else file.name
        if name in files:
            raise InputError(f"holds the same as {files[name].name}, expected one of them", file=file)
        files[name] = file
    return files


def _first_present(files: dict[str, Path], names: tuple[str, ...]) -> Path | None:
    return next((files[name] for name in names if name in files), None)


def _archives(folder: Path) -> _Archives:
    files = _by_name(folder)
    hypotheses = _first_present(files, HYPOTHESES)
    if hypotheses is None:
        raise InputError("no hypotheses, expected a file words_text or text", file=folder)
    rest = {
        name: file
        for name, file in files.items()
        if file != hypotheses and name not in INTEGER_ARCHIVES and f"{name}.sum" not in files
    }
    references = _first_present(rest, REFERENCES)
    costs: dict[str, Path] = {}
    for name, file in rest.items():
        if file == references:
            continue
        score = _score_name(name, file)
        if score in costs:
            raise InputError(f"gives the score {score} as {costs[score].name} does, expected one of them", file=file)
        costs[score] = file
    return _Archives(hypotheses, costs, references)


def _score_name(name: str, file: Path) -> str:
    if name in SCORE_NAMES:
        return SCORE_NAMES[name]
    match = _COST.fullmatch(name)
    if match is None:
        raise InputError("unknown file, expected acwt, ac_cost, lm_cost, lmwt.* or *_cost, words_text, ref", file=file)
    return match[1] or match[2]


def _references(sources: list[Path]) -> dict[str, str]:
    references: dict[str, str] = {}
    for source in sources:
        for line, identity, text in _lines(source):
            if identity in references:
                raise InputError("second reference, expected one", file=source, line=line, utterance=identity)
            references[identity] = text
    return references


def _utterances(archives: _Archives, references: dict[str, str]) -> Located:
    file = display_name(archives.hypotheses)
    for identity, group in itertools.groupby(_entries(archives), key=lambda entry: entry.utterance):
        entries = sorted(group, key=lambda entry: entry.number)
        for first, second in itertools.pairwise(entries):
            if first.number == second.number:
                message = f"second hypothesis of number {second.number}"
                raise Place(file, second.line).error(message, identity)
        hypotheses = tuple(entry.hypothesis for entry in entries)
        yield Place(file, entries[0].line), Utterance(identity, hypotheses, references.get(identity))


def _entries(archives: _Archives) -> Iterator[_Entry]:
    """Hypotheses in the order of the file, each with the scores that stand at its place in the other archives."""
    columns = {name: _lines(file) for name, file in archives.costs.items()}
    for line, key, text in _lines(archives.hypotheses):
        match = _KEY.fullmatch(key)
        if match is None:
            message = f"key {key!r}, expected utterance-N with the rank N of the hypothesis"
            raise InputError(message, file=archives.hypotheses, line=line)
        scores = {name: _score(next(column, None), key, archives.costs[name]) for name, column in columns.items()}
        yield _Entry(match[1], int(match[2]), Hypothesis(text, scores), line)
    for name, column in columns.items():
        for line, key, _ in column:
            message = "no hypothesis for this score, expected the keys of the hypotheses"
            raise InputError(message, file=archives.costs[name], line=line, utterance=key)


def _score(entry: tuple[int, str, str] | None, key: str, archive: Path) -> float:
    if entry is None:
        raise InputError("the archive ends before the score of this hypothesis", file=archive, utterance=key)
    line, found, cost = entry
    if found != key:
        message = f"key {found!r}, expected the keys of the hypotheses in their order"
        raise InputError(message, file=archive, line=line, utterance=key)
    value = decimal(cost)
    if value is None:
        raise InputError(not_decimal(cost), file=archive, line=line, utterance=key)
    return 0.0 - value


def _lines(archive: Path) -> Iterator[tuple[int, str, str]]:
    """Line number, key and value of each entry of a text archive."""
    for number, line in iterate_text(archive):
        if "\0" in line:
            message = "binary archive, expected text (write it with ark,t:)"
            raise InputError(message, file=display_name(archive), line=number)
        key, _, value = line.replace("\t", " ").strip().partition(" ")
        if not key:
            raise InputError("empty line, expected a key and its value", file=display_name(archive), line=number)
        yield number, key, value.strip()


def fits(beginning: Beginning) -> bool:
    """Whether a folder has hypotheses."""
    return beginning.is_folder and has_hypotheses(beginning.path)


FORMAT = Format(
    name="kaldi",
    about="Kaldi's n-best archives: a folder with words_text, acwt, lmwt.*, or ac_cost, lm_cost, text",
    fits=fits,
    read=plain(read_kaldi),
    scores_known=True,
)
