"""LibriSpeech (Panayotov, Chen, Povey, Khudanpur 2015): ``python -m data.librispeech --out DIR --parts dev-clean``.

Archives ``PART.tar.gz`` of openslr.org/12 hold ``LibriSpeech/PART/speaker/chapter/``: FLAC files and a ``*.trans.txt``
with an utterance a line. The text for language models is openslr.org/11's, which has no book of the development and
test parts. Checksums: torchaudio's (the archives) and TensorFlow Datasets' (sizes, the text).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from asr_lm.acoustic.finding import find_speech
from asr_lm.acoustic.speech import Speech
from asr_lm.corpora.download import Remote
from asr_lm.corpora.manifest import PartSummary
from asr_lm.errors import InputError
from asr_lm.files import iterate_text
from asr_lm.text.normalizer import Normalizer, NormalizerName, get_normalizer
from data import recipe
from data.recipe import ArchiveMember
from pipelines.command import parse, run

DESCRIPTION = """Get LibriSpeech (English, read books, 16 kHz; CC BY 4.0) and write manifests for decode.

PART.jsonl is a manifest with normalised references, PART.txt their text; --lm-text adds lm.txt.zst, the 803 million
words that are published for language models."""

Part = Literal[
    "dev-clean", "dev-other", "test-clean", "test-other", "train-clean-100", "train-clean-360", "train-other-500"
]

ARCHIVES = {
    part: Remote(f"12/{part}.tar.gz", size, f"sha256:{checksum}")
    for part, size, checksum in (
        ("dev-clean", 337_926_286, "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3"),
        ("dev-other", 314_305_928, "12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365"),
        ("test-clean", 346_663_984, "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23"),
        ("test-other", 328_757_843, "d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29"),
        ("train-clean-100", 6_387_309_499, "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2"),
        ("train-clean-360", 23_049_477_885, "146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf"),
        ("train-other-500", 30_593_501_606, "ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2"),
    )
}
LM_TEXT = Remote(
    "11/librispeech-lm-norm.txt.gz",
    1_507_274_412,
    "sha256:927d47656638c2ca93566640e56bcbeb2aa4ca237b8490fe1eff7d6e610a53c7",
)
_LM_TEXT_SIZE = 1_600_000_000


@dataclass(kw_only=True)
class Options(recipe.Options):
    """Options of the recipe.

    Attributes:
        parts: Parts of the corpus.
        normalizer: How references and text are written: librispeech is lower case, letters a to z, apostrophes and
            digits.
    """

    parts: tuple[Part, ...] = ("dev-clean", "test-clean")
    normalizer: NormalizerName = "librispeech"


def main() -> None:
    """Run the recipe."""
    options = parse(Options, "librispeech", DESCRIPTION, package="data")
    recipe.check(options)
    normalize = get_normalizer(options.normalizer)
    # FLAC does not grow when it is unpacked.
    members = {
        part: ArchiveMember(f"LibriSpeech/{part}", ARCHIVES[part], ARCHIVES[part].size) for part in options.parts
    }
    folders = recipe.obtain(options, list(members.values()))
    text = recipe.fetch(options, LM_TEXT, room=_LM_TEXT_SIZE) if options.lm_text else None
    parts: dict[str, PartSummary] = {}
    for part, member in members.items():
        utterances, lost = read_part(folders[member.path], normalize)
        parts[part] = recipe.write(options, part, utterances, lost=lost)
    if text is not None:
        recipe.write_lm_text(options, _sentences(text, normalize), parts)
    recipe.finish(parts)


def read_part(folder: Path, normalize: Normalizer) -> tuple[list[Speech], list[str]]:
    """Utterances of a part with normalised references, and why others have none.

    Raises:
        InputError: there are no transcripts, or one is malformed.
    """
    if not next(folder.rglob("*.trans.txt"), None):
        raise InputError("no *.trans.txt in this folder, expected a part of LibriSpeech", file=folder)
    utterances = [replace(one, reference=normalize(one.reference or "")) for one in find_speech([folder])]
    transcribed = {one.path for one in utterances}
    sounds = sorted(folder.rglob("*.flac"))
    return utterances, [f"{path.stem}: {path}: no transcript" for path in sounds if path not in transcribed]


def _sentences(path: Path, normalize: Normalizer) -> Iterator[str]:
    return (normalize(line) for _, line in iterate_text(path))


if __name__ == "__main__":
    run(main)
