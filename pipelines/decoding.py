"""The work of ``decode``: sound or saved emissions in, a list out, a journal between."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

from asr_lm.acoustic.ctc_decoder import make_ctc_decoder
from asr_lm.acoustic.decoder import Decoder
from asr_lm.acoustic.decoding import DecodedSegment, decode_prepared, load_segments, sound_sources
from asr_lm.acoustic.finding import find_speech
from asr_lm.acoustic.first_pass_errors import FirstPassErrors
from asr_lm.acoustic.journal import Journal, Recognised
from asr_lm.acoustic.options import DecodingOptions, require_least, require_positive
from asr_lm.acoustic.registry import DEFAULT, open_recogniser
from asr_lm.acoustic.saved_emissions import Shards, beside, frame_seconds, saved_sources
from asr_lm.acoustic.segments import Failure, Segment, SegmentSource
from asr_lm.acoustic.sequences.ctranslate2 import PREFIX as CTRANSLATE2
from asr_lm.acoustic.tokens import Tokens
from asr_lm.counted import counted
from asr_lm.errors import InputError
from asr_lm.evaluation.normalized_rate import normalized_rate
from asr_lm.evaluation.word_errors import Unit, tokens
from asr_lm.files import write_text
from asr_lm.hypotheses.references import read_references
from asr_lm.hypotheses.utterance import timed_words
from asr_lm.hypotheses.writing import format_of, write_nbest
from asr_lm.lattice.oracle import oracle_path
from asr_lm.lattice.writing import write_lattices
from asr_lm.lm.device import resolve_device
from asr_lm.lm.folder import HUB
from asr_lm.text.normalizer import get_normalizer
from pipelines.command import check_outputs, console
from pipelines.decoding_options import Arguments, Handling, Lists, Search, Sound
from pipelines.display import LeftOut, Terminal, decoding_progress, warn
from pipelines.normalizing import warn_of_normalizers

_UNFINISHED = ".unfinished"
_FRAME_SECONDS = 0.02


def check(arguments: Arguments) -> None:
    """Refuse what cannot work before anything is read.

    Raises:
        InputError: an option is wrong.
    """
    _check_input(arguments)
    _check_values(arguments)
    if arguments.ctm is not None and not arguments.times:
        raise InputError("needs the times of words; leave out --no-times", parameter="ctm")
    for folder in (arguments.lattice, arguments.save_emissions):
        if folder is not None and folder.exists() and not folder.is_dir():
            raise InputError("is a file, a folder was expected", file=folder)
    format_of(arguments.out)
    inputs = [*arguments.audio, *arguments.emissions, arguments.lexicon, arguments.lm, arguments.references]
    check_outputs([arguments.out, arguments.ctm, _unfinished(arguments)], inputs)


def _check_input(arguments: Arguments) -> None:
    if bool(arguments.audio) == bool(arguments.emissions):
        raise InputError("give either --audio or --emissions")
    of_sound = {name: getattr(arguments, name) for name in ("model", "channel", "save_emissions", "batch_seconds")}
    of_emissions = {name: getattr(arguments, name) for name in ("tokens", "frame_seconds")}
    wrong, other = (of_sound, "sound") if arguments.emissions else (of_emissions, "saved emissions")
    for name, value in wrong.items():
        if value is not None:
            raise InputError(f"is for {other}", parameter=name)


def _check_values(arguments: Arguments) -> None:
    require_least("nbest", arguments.nbest, 1)
    require_least("longest", arguments.longest, 1.0)
    require_least("channel", 1 if arguments.channel is None else arguments.channel, 1)
    if arguments.frame_seconds is not None:
        require_positive("frame_seconds", arguments.frame_seconds)
    if arguments.free and arguments.lexicon:
        raise InputError("give either --free or --lexicon")
    _decoding_options(arguments, False)


def _decoding_options(search: Search, lattices: bool) -> DecodingOptions:
    return DecodingOptions(
        beam=search.beam,
        threshold=search.threshold,
        lm_weight=search.lm_weight,
        word_score=search.word_score,
        merging=search.merging,
        order=search.order,
        lexicon=search.lexicon,
        free=search.free,
        lm=search.lm,
        engine=search.search,
        batch_seconds=search.batch_seconds,
        times=search.times,
        lower=search.lower,
        language=search.language,
        task=search.task,
        lattices=lattices,
    )


@dataclass(frozen=True)
class _Work:
    """What is to be decoded and with what, and where emissions are kept."""

    sources: list[SegmentSource]
    decoder: Decoder
    shards: Shards | None = None


def decode_to_list(arguments: Arguments) -> int:
    """Recognise everything and write the list; the number of sources that could not be read.

    Raises:
        InputError: nothing could be read, or an option does not fit the recogniser.
    """
    options = _decoding_options(arguments, arguments.lattice is not None)
    if arguments.emissions:
        work = _saved(arguments, arguments, arguments.nbest, options)
    else:
        work = _spoken(arguments, arguments, arguments.nbest, options)
    for warning in work.decoder.warnings:
        warn(warning)
    if arguments.ctm is not None and not work.decoder.has_times:
        raise InputError("needs the times of words, which this recogniser does not give", parameter="ctm")
    references = read_references(arguments.references) if arguments.references is not None else {}
    journal = _open_journal(arguments)
    finished = False
    try:
        bad = _work_through(work, journal, _Bad(arguments.strict), references, arguments)
        finished = _write(arguments, journal, [source.id for source in work.sources], work.decoder.unit)
        if finished:
            _report(arguments, journal, [source.id for source in work.sources], work.decoder.unit)
    finally:
        journal.close(remove=finished or journal.is_empty)
    return bad


def _saved(sound: Sound, handling: Handling, nbest: int, options: DecodingOptions) -> _Work:
    """Decoding of saved emissions."""
    tokens = Tokens.read(sound.tokens or beside(sound.emissions[0]))
    sources = saved_sources(sound.emissions, tokens)
    seconds = handling.frame_seconds or frame_seconds(sound.emissions) or _FRAME_SECONDS
    return _Work(sources, make_ctc_decoder(nbest, options, tokens, seconds, device=resolve_device(handling.device)))


def _spoken(sound: Sound, handling: Handling, nbest: int, options: DecodingOptions) -> _Work:
    """Decoding of sound."""
    speeches = find_speech(sound.audio, note=warn)
    if sound.model is None:
        console().print(f"no --model given: using torchaudio's {DEFAULT}", markup=False, soft_wrap=True)
    recogniser = open_recogniser(sound.model or DEFAULT, resolve_device(handling.device))
    decoder = recogniser.decoder(nbest, options)
    sources = sound_sources(speeches, recogniser.sample_rate, handling.longest, sound.channel)
    if handling.save_emissions is None:
        return _Work(sources, decoder)
    shards = decoder.emissions_folder(handling.save_emissions)
    return _Work([shards.saved.get(source.id, source) for source in sources], decoder, shards)


def _unfinished(lists: Lists) -> Path:
    return lists.out.with_name(lists.out.name + _UNFINISHED)


def _open_journal(arguments: Arguments) -> Journal:
    left_out = ("out", "ctm", "strict", "device", "save_emissions", "batch_seconds", "wer_normalizer")
    options = {name: str(value) for name, value in asdict(arguments).items() if name not in left_out}
    model = arguments.model and arguments.model.removeprefix(HUB).removeprefix(CTRANSLATE2)
    read = [*arguments.audio, *arguments.emissions, arguments.lexicon, arguments.lm, model]
    paths = [Path(path) for path in read if path is not None]
    stamps = [path.stat().st_mtime_ns for path in paths if path.exists()]
    journal = Journal(_unfinished(arguments), {"options": options, "changed": stamps})
    if len(journal):
        console().print(f"going on: {len(journal):,} are finished", markup=False, soft_wrap=True)
    return journal


@dataclass
class _Bad:
    """Sources that could not be read, or not be recognised as a whole."""

    strict: bool
    sources: set[str] = field(default_factory=set)
    left_out: LeftOut = field(default_factory=LeftOut)

    def add(self, source: str, error: InputError) -> None:
        """Name one, or stop at it."""
        if self.strict:
            raise error
        if source not in self.sources:
            self.left_out.add(error)
        self.sources.add(source)


def _work_through(work: _Work, journal: Journal, bad: _Bad, references: Mapping[str, str], arguments: Arguments) -> int:
    """Recognise what is not finished; the number of sources that could not be read."""
    prepared = work.decoder.prepare(_unfinished_segments(work, journal, bad))
    kept = _kept(prepared, work.shards, journal)
    with decoding_progress(len(work.sources)) as show, closing(kept):
        for count, one in enumerate(decode_prepared(kept, work.decoder, references, arguments.lower), 1):
            if isinstance(one, Failure):
                bad.add(one.segment.source, one.located)
            else:
                _note(one, journal, work.decoder.unit, arguments.lattice)
            show(len(journal) + len(bad.sources), count)
    bad.left_out.finish()
    return len(bad.sources)


def _unfinished_segments(work: _Work, journal: Journal, bad: _Bad) -> Iterator[Segment]:
    """The segments of which the list or the emissions are lacking."""
    shards = work.shards
    sources = [s for s in work.sources if s.id not in journal or (shards is not None and s.id not in shards.saved)]
    for segment in load_segments(sources, bad.add, warn):
        is_saved = shards is None or segment.id in shards
        if not (is_saved and journal.has(segment.source, segment.number)):
            yield segment


def _kept(
    prepared: Iterable[Segment | Failure], shards: Shards | None, journal: Journal
) -> Generator[Segment | Failure, None, None]:
    """Keep emissions, and give what is not in the journal as it will be read again."""
    try:
        for segment in prepared:
            if shards is not None and isinstance(segment, Segment):
                segment = shards.keep(segment)
            if isinstance(segment, Failure) or not journal.has(segment.source, segment.number):
                yield segment
    finally:
        if shards is not None:
            shards.flush()


def _note(one: DecodedSegment, journal: Journal, unit: Unit, folder: Path | None) -> None:
    """Write a segment's lattice, and what was recognised into the journal."""
    segment, errors = one.segment, None
    if folder is not None and one.lattices is not None:
        write_lattices([one.lattices.words], folder, "slf")
        if one.utterance.reference is not None:
            errors = oracle_path(one.lattices.units, tokens(one.utterance.reference, unit)).errors
    journal.add(segment.source, segment.number, segment.of, Recognised(one.utterance, segment.offset, errors))


def _write(lists: Lists, journal: Journal, order: Sequence[str], unit: Unit) -> bool:
    """Write the list, and say how good it is; whether there was anything to write."""
    if not len(journal):
        raise InputError("nothing could be read")
    number = write_nbest(lists.out, (one.utterance for one in journal.read(order)))
    if lists.ctm is not None:
        write_text(lists.ctm, "".join(_ctm_lines(journal.read(order))))
    console().print(f"{counted(number, 'utterance is', 'utterances are')} in {lists.out}", markup=False, soft_wrap=True)
    return True


def _report(search: Search, journal: Journal, order: Sequence[str], unit: Unit) -> None:
    """Say how good the list is, where references are known."""
    name = search.wer_normalizer
    normalize = None if name == "as-is" else get_normalizer(name)
    errors = FirstPassErrors.of(journal.read(order), unit, normalize)
    if not errors.length:
        return
    console().print(str(errors), markup=False, soft_wrap=True)
    said = [(one.utterance.reference, one.utterance.hypotheses[0].text) for one in journal.read(order)]
    references, heard = zip(*said, strict=True)
    warn_of_normalizers(normalized_rate(references, heard, unit, name), None, Terminal())


def _ctm_lines(recognised: Iterable[Recognised]) -> Iterator[str]:
    """``recording 1 start duration word``, sorted as sclite wants it."""
    rows: list[tuple[str, float, str]] = []
    for one in recognised:
        best, name = one.utterance.hypotheses[0], one.utterance.recording or one.utterance.id
        for word, (start, end) in zip(timed_words(best), best.times or (), strict=True):
            begin = one.offset + start
            rows.append((name, begin, f"{name} 1 {begin:.3f} {end - start:.3f} {word}\n"))
    return (line for _, _, line in sorted(rows))
