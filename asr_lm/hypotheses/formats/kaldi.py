"""Kaldi's n-best lists: a folder of text archives keyed by ``utterance-N``.

This is what ``nbest-to-linear`` and the n-best rescoring scripts leave in ``archives.1``, ``archives.2``, …:

* ``words_text`` (else ``text``): ``utt-1 the words``, hypotheses of one utterance one after the other;
* ``acwt`` or ``ac_cost``, ``lmwt.*``, ``lm_cost``, ``*_cost``: ``utt-1 1234.5``, costs (negative natural logarithms) in
  the order of the hypotheses;
* ``ref`` (else ``text`` beside ``words_text``): ``utt the words``, references.

Signs are turned, so that larger is better, and acoustic costs are multiplied by the acoustic scale, as Kaldi does when
it decodes (0.1 where nothing else is said). ``lmwt.withlm`` is the sum of ``lmwt.nolm`` and ``lmwt.lmonly``: where it
and one of them are there, the language model's share and the rest are kept, never all three. The names become
``acoustic`` (``acwt``, ``ac_cost``), ``lm`` (``lm_cost``), else what is left of the name without ``lmwt.``, ``_cost``
and ``.sum``. The integer archives ``words`` and ``ali`` (also ``1.ali`` and the like), costs by word whose sums lie
beside them (``lmwt.nn`` by ``lmwt.nn.sum``), hidden files and folders hold nothing more and are left alone; any other
file is an error. Archives may end in ``.gz`` or ``.zst``.

A folder with nothing but a ``text`` is an n-best list only where its keys are ranks
(:mod:`~asr_lm.hypotheses.numbered_keys`).
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
from asr_lm.hypotheses.format import Format, Notices, SideInputs
from asr_lm.hypotheses.numbered_keys import are_ranks
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.hypotheses.validation import Located, Location, decimal, not_decimal

HYPOTHESES = ("words_text", "text")
REFERENCES = ("ref", "text")
SCORE_NAMES = {"acwt": "acoustic", "ac_cost": "acoustic", "lm_cost": "lm"}

ACOUSTIC, NO_LM, WITH_LM, LM_ONLY = "acoustic", "nolm", "withlm", "lmonly"
DEFAULT_ACOUSTIC_SCALE = 0.1

_INTEGERS = re.compile(r"(words|ali|phones)(\.\d{1,9})?|\d{1,9}\.(ali|words|phones)", re.ASCII)
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


def read_kaldi(path: Path, sides: SideInputs, notices: Notices) -> Located:
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
    scale = DEFAULT_ACOUSTIC_SCALE if sides.acoustic_scale is None else sides.acoustic_scale
    if any(ACOUSTIC in each.costs for each in archives):
        said = "" if sides.acoustic_scale is not None else " (Kaldi's default; `acoustic_scale=` sets it)"
        notices.say(f"kaldi: acoustic costs are multiplied by {scale:g}{said}")
    if any(WITH_LM in each.costs for each in archives):
        notices.say("kaldi: lmwt.withlm holds lmwt.nolm and lmwt.lmonly; each share of it is read once")
    for each in archives:
        for place, utterance in _utterances(each, references):
            decoded.add(utterance.id)
            yield place, _scaled(utterance, scale)
    if silent := references.keys() - decoded:
        raise InputError("has a reference but no hypotheses, expected both", file=path, utterance=min(silent))


def _scaled(utterance: Utterance, scale: float) -> Utterance:
    hypotheses = tuple(Hypothesis(each.text, _shares(each.scores, scale)) for each in utterance.hypotheses)
    return Utterance(utterance.id, hypotheses, utterance.reference)


def _shares(scores: dict[str, float], scale: float) -> dict[str, float]:
    """The acoustic score scaled, and the graph's score without and with the language model taken apart."""
    shares = {name: scale * value if name == ACOUSTIC else value for name, value in scores.items()}
    if WITH_LM in shares and (LM_ONLY in shares or NO_LM in shares):
        total = shares.pop(WITH_LM)
        if LM_ONLY not in shares:
            shares[LM_ONLY] = total - shares[NO_LM]
        shares[NO_LM] = total - shares[LM_ONLY] if NO_LM not in shares else shares[NO_LM]
    return shares


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
        if file != hypotheses and not _INTEGERS.fullmatch(name) and f"{name}.sum" not in files
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
                raise Location(file, second.line).error(message, identity)
        hypotheses = tuple(entry.hypothesis for entry in entries)
        yield Location(file, entries[0].line), Utterance(identity, hypotheses, references.get(identity))


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


def _fits(beginning: Beginning) -> bool:
    """Whether a folder has hypotheses, with scores or with keys that are ranks."""
    if not beginning.is_folder or not has_hypotheses(beginning.path):
        return False
    if job_folders(beginning.path):
        return True
    files = _by_name(beginning.path)
    if "words_text" in files or any(name in SCORE_NAMES or _COST.fullmatch(name) for name in files):
        return True
    entries = [(key, text) for _, key, text in itertools.islice(_lines(files["text"]), 1000)]
    references = {key for _, key, _ in itertools.islice(_lines(files["ref"]), 1000)} if "ref" in files else set()
    return not references & {key for key, _ in entries} and are_ranks(entries)


FORMAT = Format(
    name="kaldi",
    about="Kaldi's n-best archives: a folder with words_text, acwt, lmwt.*, or ac_cost, lm_cost, text",
    fits=_fits,
    read=read_kaldi,
    sides=frozenset({"acoustic_scale"}),
    scores_known=True,
)
