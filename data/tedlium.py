"""TED-LIUM 3 (Hernandez, Nguyen, Ghannay, Tomashenko, Estève 2018): ``python -m data.tedlium --out DIR``.

``TEDLIUM_release-3.tgz`` of openslr.org/51 holds talks as NIST sphere files (``sph/``) and what is said in them as STM
files (``stm/``): ``legacy/dev`` and ``legacy/test``, the same talks as in the earlier releases, and ``data``, the 2,351
talks for training, which are those of the legacy distribution. ``LM/*.en.gz`` is text for language models. Checksum:
torchaudio's.

A reference is what the STM file says, without what is no word (``{NOISE}``, ``<sil>``), stretches that are not to be
scored left out, and "it 's" written as "it's". ``<unk>`` stands for a word that the transcribers' aligner did not know:
it is removed from a reference, and sentences with it are not in PART.txt and lm.txt.zst.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from asr_lm.acoustic.speech import Speech
from asr_lm.corpora.download import Remote
from asr_lm.corpora.manifest import PartSummary
from asr_lm.corpora.stm import TimeMark, read_stm
from asr_lm.errors import InputError
from asr_lm.files import iterate_text
from asr_lm.text.normalizer import Normalizer, NormalizerName, get_normalizer
from data import recipe
from data.recipe import ArchiveMember
from pipelines.command import parse, run

DESCRIPTION = """Get TED-LIUM 3 (English, talks, 16 kHz; CC BY-NC-ND 3.0) and write manifests for decode.

PART.jsonl is a manifest of stretches of the talks with normalised references, PART.txt their text; --lm-text adds
lm.txt.zst, the corpus's own text for language models."""

Part = Literal["train", "dev", "test"]

ARCHIVE = Remote(
    "51/TEDLIUM_release-3.tgz",
    54_320_173_876,
    "sha256:ad1e454d14d1ad550bc2564c462d87c7a7ec83d4dc2b9210f22ab4973b9eccdb",
)
LM_FOLDER = ArchiveMember("TEDLIUM_release-3/LM", ARCHIVE, 2_000_000_000)
MEMBERS = {
    "train": ArchiveMember("TEDLIUM_release-3/data", ARCHIVE, 60_000_000_000),
    "dev": ArchiveMember("TEDLIUM_release-3/legacy/dev", ARCHIVE, 200_000_000),
    "test": ArchiveMember("TEDLIUM_release-3/legacy/test", ARCHIVE, 350_000_000),
}
UNKNOWN = "<unk>"

_CLITIC = re.compile(r" (?='(?:s|t|re|ve|ll|d|m|clock)(?: |$))", re.IGNORECASE)
_VARIANT = re.compile(r"(?<=\S)\(\d+\)")
_NO_WORD = re.compile(r"\{.*\}|\[.*\]|\(.*\)|</?s>|<sil>", re.IGNORECASE)


@dataclass(kw_only=True)
class Options(recipe.Options):
    """Options of the recipe.

    Attributes:
        parts: Parts of the corpus.
        normalizer: How references and text are written: librispeech is lower case, letters a to z, apostrophes and
            digits.
    """

    parts: tuple[Part, ...] = ("dev", "test")
    normalizer: NormalizerName = "librispeech"


def main() -> None:
    """Run the recipe."""
    options = parse(Options, "tedlium", DESCRIPTION, package="data")
    recipe.check(options)
    normalize = get_normalizer(options.normalizer)
    members = [MEMBERS[part] for part in options.parts] + [LM_FOLDER] * options.lm_text
    found = recipe.obtain(options, members)
    parts: dict[str, PartSummary] = {}
    for part in options.parts:
        spoken = read_part(found[MEMBERS[part].path], normalize)
        recipe.note(part, spoken.unscored, "stretches are not to be scored and are left out")
        recipe.note(part, spoken.wordless, "stretches without a word are left out")
        recipe.note(part, len(spoken.incomplete), f"references lack a word ({UNKNOWN})")
        parts[part] = recipe.write(options, part, spoken.utterances, spoken.incomplete, spoken.lost)
    if options.lm_text:
        recipe.write_lm_text(options, sentences(found[LM_FOLDER.path], normalize), parts)
    recipe.finish(parts)


@dataclass
class Spoken:
    """What is said in a part.

    Attributes:
        utterances: in spoken order.
        incomplete: ids of those whose reference lacks an unknown word.
        unscored: stretches that are not to be scored.
        wordless: stretches in which nothing is said.
        lost: talks without transcript.
    """

    utterances: list[Speech] = field(default_factory=list)
    incomplete: set[str] = field(default_factory=set)
    unscored: int = 0
    wordless: int = 0
    lost: list[str] = field(default_factory=list)

    def add(self, mark: TimeMark, path: Path, normalize: Normalizer) -> None:
        """Add a stretch of a talk."""
        words, complete = words_of(mark.text)
        reference = normalize(words)
        if not mark.scored:
            self.unscored += 1
        elif not reference:
            self.wordless += 1
        else:
            identity = f"{mark.recording}-{round(mark.start * 1000):08}-{round(mark.end * 1000):08}"
            duration = mark.end - mark.start
            self.utterances.append(Speech(identity, path, mark.start, duration, reference, mark.recording))
            if not complete:
                self.incomplete.add(identity)


def read_part(folder: Path, normalize: Normalizer) -> Spoken:
    """What is said in a folder with ``stm`` and ``sph``.

    Raises:
        InputError: there are no transcripts, a line of one is malformed, or a stretch is there twice.
    """
    spoken = Spoken()
    transcripts = sorted((folder / "stm").glob("*.stm"))
    if not transcripts:
        raise InputError("no stm/*.stm in this folder, expected a part of TED-LIUM 3", file=folder)
    for transcript in transcripts:
        marks = sorted(read_stm(transcript), key=lambda mark: (mark.recording, mark.start, mark.end))
        before = len(spoken.utterances)
        for mark in marks:
            spoken.add(mark, folder / "sph" / f"{mark.recording}.sph", normalize)
        added = [one.id for one in spoken.utterances[before:]]
        if twice := next((one for one in added if added.count(one) > 1), None):
            raise InputError("two lines for the same stretch", file=transcript, utterance=twice)
    told = {path.stem for path in transcripts}
    talks = sorted((folder / "sph").glob("*.sph"))
    spoken.lost = [f"{path.stem}: {path}: no transcript" for path in talks if path.stem not in told]
    return spoken


def words_of(text: str) -> tuple[str, bool]:
    """The words of a transcript as they are usually written, and whether none of them is unknown."""
    tokens = _VARIANT.sub("", _CLITIC.sub("", " ".join(text.split()))).split()
    words = [token for token in tokens if not _NO_WORD.fullmatch(token)]
    known = [word for word in words if UNKNOWN not in word.lower()]
    return " ".join(known), len(known) == len(words)


def sentences(folder: Path, normalize: Normalizer) -> Iterator[str]:
    """Sentences of the text for language models, without those that have an unknown word.

    Raises:
        InputError: there is none.
    """
    paths = sorted(folder.glob("*.en.gz"))
    if not paths:
        raise InputError("no *.en.gz in this folder, expected the text of TED-LIUM 3", file=folder)
    for path in paths:
        for _, line in iterate_text(path):
            words, complete = words_of(line)
            if complete:
                yield normalize(words)


if __name__ == "__main__":
    run(main)
