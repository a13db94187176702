"""ESPnet's decoding folders: ``output.N/{1,2,3}best_recog/{text,score}``, or the ``Nbest_recog`` folders themselves.

``text`` holds ``utt the words``, ``score`` ``utt tensor(-4.11)``, the sum that the beam search ranked by; ``token`` and
``token_int`` hold nothing more. Source: ``espnet2/bin/asr_inference.py``.
"""

from __future__ import annotations

import re
from pathlib import Path

from asr_lm.files import display_name, iterate_text
from asr_lm.hypotheses.beginning import Beginning
from asr_lm.hypotheses.format import Format, plain
from asr_lm.hypotheses.mapped import number_in
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.hypotheses.validation import Located, Location

ADVICE = "run asr_inference with --nbest 20 and give the folder that holds 1best_recog, 2best_recog, …"

_RANK = re.compile(r"(\d{1,6})best_recog", re.ASCII)
_JOB = re.compile(r"output\.(\d{1,9})", re.ASCII)


def _ranked(folder: Path) -> list[Path]:
    """The folders ``1best_recog``, ``2best_recog``, … in the order of their numbers."""
    found = [(int(match[1]), entry) for entry in folder.iterdir() if (match := _RANK.fullmatch(entry.name))]
    return [entry for _, entry in sorted(found) if (entry / "text").is_file()]


def _jobs(folder: Path) -> list[Path]:
    found = [(int(match[1]), entry) for entry in folder.iterdir() if (match := _JOB.fullmatch(entry.name))]
    return [entry for _, entry in sorted(found) if entry.is_dir() and _ranked(entry)]


def _outputs(folder: Path) -> list[Path]:
    below = folder / "logdir"
    return _jobs(folder) or ([folder] if _ranked(folder) else _jobs(below) if below.is_dir() else [])


def read_espnet(path: Path) -> Located:
    """Utterances of a decoding folder, in the order of the first hypotheses.

    Raises:
        InputError: a score is missing or no number, or an utterance lacks a hypothesis of a lower rank.
    """
    for output in _outputs(path):
        hypotheses: dict[str, list[Hypothesis]] = {}
        places: dict[str, Location] = {}
        for rank, folder in enumerate(_ranked(output), 1):
            scores = _scores(folder / "score") if (folder / "score").is_file() else None
            for place, identity, text in _lines(folder / "text"):
                found = hypotheses.setdefault(identity, [])
                if len(found) > rank - 1:
                    raise place.error("this id was used before, expected unique ids", identity, "id")
                places.setdefault(identity, place)
                found.append(Hypothesis(text, _score(scores, identity, place)))
        for identity, found in hypotheses.items():
            yield places[identity], Utterance(identity, tuple(found))


def _lines(file: Path) -> list[tuple[Location, str, str]]:
    name, found = display_name(file), []
    for number, line in iterate_text(file):
        key, _, value = line.strip().partition(" ")
        if key:
            found.append((Location(name, number), key, value.strip()))
    return found


def _scores(file: Path) -> dict[str, float]:
    scores = {}
    for place, identity, text in _lines(file):
        value = number_in(text)
        if value is None:
            raise place.error(f"score {text!r} is not usable, expected a finite number or tensor(…)", identity, "score")
        scores[identity] = value
    return scores


def _score(scores: dict[str, float] | None, identity: str, place: Location) -> dict[str, float]:
    if scores is None:
        return {}
    if identity not in scores:
        raise place.error("no score in the file score beside it", identity, "score")
    return {"score": scores[identity]}


def _fits(beginning: Beginning) -> bool:
    """Whether a folder has ``Nbest_recog`` folders, itself or in ``output.N``."""
    return beginning.is_folder and bool(_outputs(beginning.path))


FORMAT = Format(
    name="espnet",
    about="ESPnet's decoding folders: output.N with 1best_recog, 2best_recog, …, each with text and score",
    fits=_fits,
    read=plain(read_espnet),
    advice=ADVICE,
)
