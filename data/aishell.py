"""AISHELL-1 (Bu, Du, Na, Wu, Zheng 2017): ``python -m data.aishell --out DIR --parts dev test``.

``data_aishell.tgz`` of openslr.org/33 holds an archive for each speaker, in which the wav files lie by part
(``train/S0002/*.wav``), and ``transcript/aishell_transcript_v0.8.txt``: an id and its words on every line. Some
recordings have no transcript; they are left out and counted. The corpus's own site publishes no checksum; the MD5 sum
is the one that PaddleSpeech, among others, checks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from asr_lm.acoustic.speech import Speech
from asr_lm.corpora.download import Remote
from asr_lm.corpora.manifest import PartSummary
from asr_lm.errors import InputError
from asr_lm.files import iterate_text
from asr_lm.text.normalizer import Normalizer, NormalizerName, get_normalizer
from data import recipe
from data.recipe import ArchiveMember
from pipelines.command import parse, run

DESCRIPTION = """Get AISHELL-1 (Mandarin, read sentences, 16 kHz; Apache 2.0) and write manifests for decode.

PART.jsonl is a manifest with normalised references, PART.txt their text; --lm-text adds lm.txt.zst, the transcripts of
the part train."""

Part = Literal["train", "dev", "test"]

ARCHIVE = Remote("33/data_aishell.tgz", 15_582_913_665, "md5:2f494334227864a8a8fec932999db9d8")
TRANSCRIPTS = "data_aishell/transcript/aishell_transcript_v0.8.txt"

# 150, 18 and 10 hours of 32,000 bytes a second.
_SIZES = {"train": 17_300_000_000, "dev": 2_100_000_000, "test": 1_200_000_000}


@dataclass(kw_only=True)
class Options(recipe.Options):
    """Options of the recipe.

    Attributes:
        parts: Parts of the corpus.
        normalizer: How references and text are written: chinese makes every character a word, so that the word error
            rate is the character error rate; as-is keeps the words of the transcripts.
    """

    parts: tuple[Part, ...] = ("train", "dev", "test")
    normalizer: NormalizerName = "chinese"


def main() -> None:
    """Run the recipe."""
    options = parse(Options, "aishell", DESCRIPTION, package="data")
    recipe.check(options)
    if options.lm_text and "train" not in options.parts:
        raise InputError("is the transcripts of the part train; add it to --parts", parameter="lm_text")
    members = {part: ArchiveMember(f"data_aishell/wav/{part}", ARCHIVE, _SIZES[part]) for part in options.parts}
    found = recipe.obtain(options, [ArchiveMember(TRANSCRIPTS, ARCHIVE, 0), *members.values()])
    transcripts = read_transcripts(found[TRANSCRIPTS], get_normalizer(options.normalizer))
    parts: dict[str, PartSummary] = {}
    for part, member in members.items():
        utterances, silent = read_part(found[member.path], transcripts)
        recipe.note(part, len(silent), f"recordings have no transcript and are left out ({', '.join(silent[:3])})")
        parts[part] = recipe.write(options, part, utterances)
    if options.lm_text:
        recipe.write_lm_text(options, _sentences(options.out / "train.txt"), parts)
    recipe.finish(parts)


def read_transcripts(path: Path, normalize: Normalizer) -> dict[str, str]:
    """Normalised transcripts by utterance.

    Raises:
        InputError: a line has no words, or an id is there twice.
    """
    transcripts: dict[str, str] = {}
    for number, line in iterate_text(path):
        if not line.strip():
            continue
        identity, *words = line.split()
        text = normalize(" ".join(words))
        if not text:
            raise InputError("no transcript, expected an id and words", file=path, line=number)
        if identity in transcripts:
            raise InputError("two transcripts of this id", file=path, line=number, utterance=identity)
        transcripts[identity] = text
    return transcripts


def read_part(folder: Path, transcripts: Mapping[str, str]) -> tuple[list[Speech], list[str]]:
    """Utterances of a part, speaker by speaker, and the ids of those without transcript."""
    paths = sorted(folder.rglob("*.wav"))
    utterances = [
        Speech(path.stem, path, reference=transcripts[path.stem], recording=path.parent.name)
        for path in paths
        if path.stem in transcripts
    ]
    return utterances, [path.stem for path in paths if path.stem not in transcripts]


def _sentences(path: Path) -> Iterator[str]:
    return (line for _, line in iterate_text(path))


if __name__ == "__main__":
    run(main)
