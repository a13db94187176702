"""Options that say how n-best lists are read, and the one function that reads a list as they say.

A command inherits :class:`ListOptions` beside its own options and reads every list through :func:`read`::

    @dataclass(kw_only=True)
    class Arguments(ListOptions, …):
        …

    for utterance in read(arguments, path, say=print_line):                  # a list that is reported on
        …
    development = list(read(arguments, path, development=True, say=print_line))

``say`` is called with each notice (what the reader took, left or changed) once the list is read to its end.
:meth:`ListOptions.files` are the files that the options name, for the check that no output replaces an input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.command import OptionalInt, OptionalPath, OptionalText

if TYPE_CHECKING:
    from asr_lm.hypotheses.utterance import Utterance


@dataclass(kw_only=True)
class ListOptions:
    """How n-best lists are read.

    Attributes:
        format: Format of the lists, recognised by default; asr_lm/hypotheses/README.md lists them all.
        manifest: Manifest of the list reported on, where that is NeMo's beams.
        dev_manifest: Manifest of the development list, where that is NeMo's beams.
        beam_size: Lines an utterance in NeMo's beams.
    """

    format: OptionalText = None
    manifest: OptionalPath = None
    dev_manifest: OptionalPath = None
    beam_size: OptionalInt = None

    def files(self) -> list[Path]:
        """The files that these options name."""
        return [file for file in (self.manifest, self.dev_manifest) if file is not None]


def read(
    options: ListOptions, path: str, *, development: bool = False, say: Callable[[str], None] | None = None
) -> Iterator[Utterance]:
    """The utterances of a list, one by one.

    Args:
        options: how to read it.
        path: file or folder, ``-`` for standard input.
        development: it is a development list, which has its own manifest.
        say: takes what there is to say about the list, once it is read.

    Raises:
        InputError: as :func:`~asr_lm.hypotheses.reading.read_nbest` does.
    """
    from asr_lm.hypotheses.reading import read_nbest

    manifest = options.dev_manifest if development else options.manifest
    beam_size = options.beam_size if manifest or not development else None
    reader = read_nbest(path, options.format, manifest=manifest, beam_size=beam_size)
    yield from reader
    if say is not None:
        for notice in reader.notices:
            say(notice)
