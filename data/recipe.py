"""What the recipes share: options, getting hold of a corpus, and telling what was written of it."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from asr_lm.acoustic.speech import Speech
from asr_lm.corpora.archive import unpack
from asr_lm.corpora.download import Remote, download, missing_bytes, partial_path, require_space, verify
from asr_lm.corpora.manifest import PartSummary, write_part
from asr_lm.corpora.training_text import write_training_text
from asr_lm.counted import counted
from asr_lm.errors import InputError
from asr_lm.files import make_folder
from pipelines import display
from pipelines.command import OptionalPath, console
from pipelines.display import byte_progress, item_progress

MIRRORS = ("https://www.openslr.org/resources", "https://openslr.elda.org/resources")
LM_TEXT = "lm.txt.zst"


_ARCHIVES = "archives"
_EXAMPLES = 3


@dataclass(kw_only=True)
class Options:
    """Options of every recipe.

    Attributes:
        out: Folder in which the corpus lies or is unpacked, and where PART.jsonl and PART.txt are written.
        source: Folder with the archives as they were published, or the corpus unpacked; nothing is downloaded then.
        mirror: Address to download from instead of openslr.org and its European mirror, as
            https://openslr.magicdatatech.com/resources; may be given several times, and is tried in this order.
        lm_text: Write text for language models, too (lm.txt.zst).
        lm_share: Share of its sentences that is written, chosen by their hashes, up to 1.
        strict: Stop at sound that is missing or damaged, instead of naming it and going on.
        delete_archives: Delete a downloaded archive when it is unpacked.
    """

    out: Path
    source: Annotated[OptionalPath, tyro.conf.arg(name="from")] = None
    mirror: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    lm_text: bool = False
    lm_share: float = 1.0
    strict: bool = False
    delete_archives: bool = False


@dataclass(frozen=True)
class ArchiveMember:
    """A file or folder of a corpus.

    Attributes:
        path: in its archive.
        archive: the archive.
        size: bytes when it is unpacked, roughly.
    """

    path: str
    archive: Remote
    size: int


def check(options: Options) -> None:
    """Refuse what cannot work before anything is done.

    Raises:
        InputError: an option is wrong.
    """
    if not 0 < options.lm_share <= 1:
        raise InputError(f"expected more than 0 and no more than 1, not {options.lm_share:g}", parameter="lm_share")
    if options.source is not None and not options.source.is_dir():
        raise InputError("no such folder", file=options.source)
    if options.source is not None and options.mirror:
        raise InputError("give either --from or --mirror")


def obtain(options: Options, members: Sequence[ArchiveMember]) -> dict[str, Path]:
    """Where members of a corpus lie, each by its path in the archive; what is not there is downloaded and unpacked.

    Raises:
        InputError: something cannot be had, is not the published one, or does not fit on the disk.
    """
    lacking = [member for member in members if _found(options, member) is None]
    archives = list(dict.fromkeys(member.archive for member in lacking))
    _check_space(options, lacking, archives)
    for remote in archives:
        wanted = [member.path for member in lacking if member.archive == remote]
        if options.source is not None and not (options.source / remote.name).exists():
            raise InputError(f"holds neither {remote.name} nor {wanted[0]}", file=options.source)
        path = fetch(options, remote)
        with byte_progress(f"unpacking {remote.name}") as report:
            unpack(path, options.out, wanted, report)
        if options.delete_archives and options.source is None:
            path.unlink()
    found = {member.path: _found(options, member) for member in members}
    return {name: path for name, path in found.items() if path is not None}


def fetch(options: Options, remote: Remote, room: int = 0) -> Path:
    """A published file, checked: from ``--from``, downloaded before, or downloaded now.

    Args:
        room: bytes that what is made of it needs on the disk.

    Raises:
        InputError: it cannot be had, is not the published one, or does not fit on the disk.
    """
    folder = options.out / _ARCHIVES if options.source is None else options.source
    path = folder / remote.name
    if path.exists():
        with byte_progress(f"checking {remote.name}") as report:
            verify(path, remote, report)
        return path
    if options.source is not None:
        raise InputError(f"holds no {remote.name}", file=options.source)
    require_space(options.out, missing_bytes(remote, folder) + room)
    try:
        with byte_progress(f"downloading {remote.name}") as report:
            return download(remote, folder, options.mirror or MIRRORS, report)
    except InputError as error:
        if error.file == remote.name:
            error.message += "; try again where there is a network, or give what you have with --from FOLDER"
        raise
    except KeyboardInterrupt:
        if (part := partial_path(remote, folder)).exists():
            _say(f"what has come is kept in {part}; start again and it goes on")
        raise


def _found(options: Options, member: ArchiveMember) -> Path | None:
    """Where a member lies; the folder given by ``--from`` may be one within the corpus."""
    steps = Path(member.path).parts
    places = [options.out / member.path]
    if options.source is not None:
        places = [options.source.joinpath(*steps[first:]) for first in range(len(steps))] + places
    return next((place for place in places if place.exists()), None)


def _check_space(options: Options, members: Sequence[ArchiveMember], archives: Sequence[Remote]) -> None:
    wanted = sum(member.size for member in members)
    if options.source is None:
        wanted += sum(missing_bytes(remote, options.out / _ARCHIVES) for remote in archives)
    require_space(options.out, wanted)


def write(
    options: Options,
    part: str,
    utterances: Sequence[Speech],
    incomplete: Collection[str] = (),
    lost: Sequence[str] = (),
) -> PartSummary:
    """Write a part and say what it holds.

    Args:
        incomplete: ids whose reference lacks a word.
        lost: why further utterances cannot be written.

    Raises:
        InputError: nothing can be written, or something is lost in strict mode.
    """
    if lost and options.strict:
        raise InputError(lost[0])
    make_folder(options.out)
    with item_progress(f"reading {part}", "utterances") as report:
        contents = write_part(
            options.out, part, utterances, incomplete=incomplete, strict=options.strict, report=report
        )
    contents.left_out += lost
    _tell(options, part, contents)
    return contents


def _tell(options: Options, part: str, contents: PartSummary) -> None:
    hours, manifest = contents.seconds / 3600, options.out / f"{part}.jsonl"
    words = counted(contents.words, "word")
    _say(f"{part}: {counted(contents.utterances, 'utterance')}, {hours:,.2f} hours, {words} in {manifest}")
    if contents.shortened:
        ends = "utterance ends with its recording, and was", "utterances end with their recording, and were"
        _say(f"{part}: {counted(contents.shortened, *ends)} said to end after it")
    for reason in contents.left_out[:_EXAMPLES]:
        display.warn(f"left out: {reason}")
    if len(contents.left_out) > _EXAMPLES:
        display.warn(f"{part}: {counted(len(contents.left_out), 'utterance is', 'utterances are')} left out")


def write_lm_text(options: Options, sentences: Iterable[str], parts: Mapping[str, PartSummary]) -> None:
    """Write the text for language models, and say how much of it is what development and test parts say.

    Raises:
        InputError: there is no text, or it cannot be written.
    """
    tested = {part: contents.references for part, contents in parts.items() if not part.startswith("train")}
    path = options.out / LM_TEXT
    with item_progress(f"writing {LM_TEXT}", "sentences") as report:
        count, met = write_training_text(path, sentences, tested, share=options.lm_share, report=report)
    _say(f"{counted(count, 'sentence')} in {path}")
    for part, number in met.items():
        _say(f"of the {len(tested[part]):,} distinct references of {part}, {number:,} are in it word for word")


def note(part: str, number: int, what: str) -> None:
    """Say that something is there a number of times, if it is."""
    if number:
        _say(f"{part}: {number:,} {what}")


def finish(parts: Mapping[str, PartSummary]) -> None:
    """End with exit code 1 if utterances were left out for want of sound or words."""
    if any(contents.left_out for contents in parts.values()):
        sys.exit(1)


def _say(text: str) -> None:
    console(stderr=False).print(text, markup=False, soft_wrap=True)
