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
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from asr_lm.errors import InputError
from asr_lm.files import display_name
from pipelines.command import OptionalFloat, OptionalInt, OptionalPath, OptionalText

if TYPE_CHECKING:
    from asr_lm.hypotheses.utterance import Utterance
    from asr_lm.rescoring.recording_words import RecordingWords


@dataclass(kw_only=True)
class ListOptions:
    """How n-best lists are read.

    Attributes:
        format: Format of the lists, recognised by default; asr_lm/hypotheses/README.md lists them all.
        manifest: Manifest of the list reported on, where that is NeMo's beams.
        dev_manifest: Manifest of the development list, where that is NeMo's beams.
        beam_size: Lines an utterance in NeMo's beams.
        map: Where the fields of a list of no known format lie, as NAME=PATH: text=nbest[].text id=utt_id reference=ref
            acoustic=-0.1*nbest[].acwt; any other name is a score, log10(PATH) and probability(PATH) are turned into
            natural logarithms. Or a TOML file with the same names. May be given several times;
            asr_lm/hypotheses/README.md says more.
        costs: Name of a score of which smaller is better: its sign is turned. May be given several times.
        as_given: Take scores and the order of the hypotheses as they are, whatever they look like.
        acoustic_scale: What the recogniser multiplied acoustic scores by; by default what the file says, else 0.1 for
            Kaldi's lists and lattices and 1 for others.
        references: What was said, where lists or lattices do not say it: an utterance's id and its words on every line,
            TRN, STM, CSV or TSV with a header, or a JSON Lines manifest.
        together: The lists are of several recognisers for the same utterances: join them into one, in which each has
            scores of its own (and so those of --dev, in the same order).
        recording_words: Text, one sentence a line, in which words are as frequent as usual, such as that which models
            are trained on: every hypothesis gets a score, recording, for words that the recogniser heard more often
            in the rest of the recording. The lists must say which recording an utterance is of. May be given several
            times.
    """

    format: OptionalText = None
    manifest: OptionalPath = None
    dev_manifest: OptionalPath = None
    beam_size: OptionalInt = None
    map: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    costs: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    as_given: bool = False
    acoustic_scale: OptionalFloat = None
    references: OptionalPath = None
    together: bool = False
    recording_words: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()

    def files(self) -> list[Path]:
        """The files that these options name."""
        mappings = [Path(line.strip()) for line in self.map if line.strip().endswith(".toml")]
        named = (self.manifest, self.dev_manifest, self.references, *mappings)
        return [*(file for file in named if file is not None), *map(Path, self.recording_words)]


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
        InputError: as :func:`~asr_lm.hypotheses.reading.read_nbest` does; there are to be scores of the recording's
            words, and an utterance has no recording.
    """
    from asr_lm.hypotheses.reading import read_nbest

    manifest = options.dev_manifest if development else options.manifest
    beam_size = options.beam_size if manifest or not development else None
    reader = read_nbest(
        path,
        options.format,
        manifest=manifest,
        beam_size=beam_size,
        acoustic_scale=options.acoustic_scale,
        mapping=options.map,
        costs=options.costs,
        as_given=options.as_given,
        references=options.references,
    )
    yield from _with_recording_words(options.recording_words, list(reader), path) if options.recording_words else reader
    if say is not None:
        for notice in reader.notices:
            say(notice)


def _with_recording_words(texts: tuple[str, ...], utterances: list[Utterance], path: str) -> list[Utterance]:
    """The utterances of a list, with the score of the recording's words."""
    words = _recording_words(texts)
    try:
        return words.scored(utterances)
    except InputError as error:
        raise error.located(file=display_name(path)) from error


@cache
def _recording_words(texts: tuple[str, ...]) -> RecordingWords:
    """What scores lists by the words of their recordings; the texts are counted once a run."""
    from asr_lm.rescoring.recording_words import RecordingWords

    return RecordingWords.of_texts(texts)
