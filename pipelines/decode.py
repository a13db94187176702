"""Recognise speech: ``python -m pipelines.decode --audio PATH --nbest 100 --out hyps.json``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import tyro

from asr_lm.errors import InputError
from pipelines import display
from pipelines.command import (
    OptionalFloat,
    OptionalInt,
    OptionalPath,
    OptionalText,
    check_outputs,
    console,
    option_name,
    parse,
    run,
)
from pipelines.display import decoding_progress

if TYPE_CHECKING:
    from asr_lm.acoustic.beam_search import Reading
    from asr_lm.acoustic.first_pass import FirstPass
    from asr_lm.acoustic.journal import Journal, Recognised
    from asr_lm.acoustic.listening import Failure
    from asr_lm.acoustic.pieces import Piece, Source
    from asr_lm.acoustic.recogniser import CtcRecogniser
    from asr_lm.acoustic.rnnt import RnntRecogniser
    from asr_lm.acoustic.saved_emissions import Shards
    from asr_lm.acoustic.tokens import Tokens
    from asr_lm.evaluation.word_errors import Unit
    from asr_lm.hypotheses.utterance import Hypothesis
    from asr_lm.lattice.lattice import Lattice

DESCRIPTION = """Recognise speech, and keep what it may have been as n-best lists for rescore and compare.

A sound file that cannot be read is named, and the rest is recognised; the exit code is then 1. A decoding that was
killed goes on where it was when it is started again."""

_UNFINISHED = ".unfinished"


@dataclass(kw_only=True)
class Arguments:
    """Options of ``decode``.

    Attributes:
        audio: What to recognise: a sound file (wav, flac, mp3, ogg), a folder of them at any depth, a LibriSpeech
            folder (its *.trans.txt are the references), a manifest (JSON Lines: audio, and id, start, duration,
            reference, recording) or a Kaldi folder (wav.scp, segments, text); may be given several times.
        emissions: Saved emissions to decode instead of sound: a safetensors file, or a folder of them.
        model: The recogniser: a folder, or a name of torchaudio.pipelines (WAV2VEC2_ASR_*, HUBERT_ASR_*,
            VOXPOPULI_ASR_*, EMFORMER_RNNT_*), whose weights are downloaded once; by default WAV2VEC2_ASR_BASE_960H.
        tokens: The tokens that saved emissions are of, one a line, written as tokens in config.json beside them says;
            by default tokens.txt beside the emissions.
        nbest: Hypotheses in a list, at most.
        out: Where the list goes (.json, .jsonl, .trn, .ctm; .gz, .zst).
        lattice: Write into this folder a lattice of every utterance, too (HTK: ID.slf), of all that the search found;
            for rescore --lattice. Its acoustic scores are of single alignments.
        ctm: Write the words of the first hypotheses here, too, with their times in the recording.
        lexicon: Words that may be found, one a line, alone or with their tokens; by default what the model brings.
        free: Find any spelling, even if the model brings words.
        lm: n-gram model for the search (ARPA or KenLM): of words with a lexicon, else of tokens.
        lm_weight: Weight of its score.
        word_score: Added for every word.
        beam: Hypotheses kept from frame to frame; by default 400, and --nbest (at least 10) of an RNN-T recogniser.
        threshold: How much worse than the best one they may be, natural logarithm.
        merging: Whether the search adds up alignments of the same hypothesis, or takes the best.
        order: The order of a list: by the exact scores, or as the search, which leaves alignments out, found the
            hypotheses.
        times: Write when each word was said, in seconds from the beginning of its utterance.
        lower: Write hypotheses and references in lower case.
        references: What is said: an utterance's id and its words on every line.
        batch_seconds: Seconds of sound that a CTC recogniser computes together, padding counted; the result is the
            same. By default 320 on a GPU, and 0, which is one utterance at a time, on a processor. Some recognisers,
            WAV2VEC2_ASR_BASE_* and VOXPOPULI_ASR_* among them, only take utterances of one length together.
        search: What searches: torchaudio's ctc_decoder on the processor, or its cuda_ctc_decoder on a GPU, which takes
            neither lexicon nor --lm, wants the blank to be token 0, and finds at most 128 hypotheses and no more than
            there are tokens; auto takes the latter where it can give --nbest hypotheses.
        longest: Seconds of sound recognised at a time; longer recordings are cut where they are quietest.
        frame_seconds: Seconds from one frame of saved emissions to the next; by default what they say, else 0.02.
        save_emissions: Keep the emissions in this folder (safetensors, float16).
        strict: Stop at sound that cannot be read, instead of naming it and going on.
        device: Where the recogniser computes: cpu, cuda, or auto.
    """

    audio: Annotated[tuple[Path, ...], tyro.conf.UseAppendAction] = ()
    emissions: Annotated[tuple[Path, ...], tyro.conf.UseAppendAction] = ()
    model: OptionalText = None
    tokens: OptionalPath = None
    nbest: int = 100
    out: Path
    lattice: OptionalPath = None
    ctm: OptionalPath = None
    lexicon: OptionalPath = None
    free: bool = False
    lm: OptionalPath = None
    lm_weight: float = 1.0
    word_score: float = 0.0
    beam: OptionalInt = None
    threshold: float = 30.0
    merging: Literal["sum", "max"] = "sum"
    order: Literal["exact", "search"] = "exact"
    times: bool = True
    lower: bool = False
    references: OptionalPath = None
    batch_seconds: OptionalFloat = None
    search: Literal["auto", "cpu", "cuda"] = "auto"
    longest: float = 40.0
    frame_seconds: OptionalFloat = None
    save_emissions: OptionalPath = None
    strict: bool = False
    device: str = "auto"


def main() -> None:
    """Run the command."""
    arguments = parse(Arguments, "decode", DESCRIPTION)
    _check(arguments)
    if _decode(arguments):
        sys.exit(1)


def _check(arguments: Arguments) -> None:
    """Refuse what cannot work before anything is read."""
    from asr_lm.hypotheses.writing import format_of

    if bool(arguments.audio) == bool(arguments.emissions):
        raise InputError("give either --audio or --emissions")
    of_sound, of_emissions = ("model", "save_emissions", "batch_seconds"), ("tokens", "frame_seconds")
    for name, wanted in [(name, False) for name in of_sound] + [(name, True) for name in of_emissions]:
        if getattr(arguments, name) is not None and bool(arguments.emissions) != wanted:
            other = "saved emissions" if wanted else "sound"
            raise InputError(f"is for {other}", field=option_name(name))
    for name, least in (("nbest", 1), ("beam", 1), ("longest", 1.0), ("batch_seconds", 0)):
        if getattr(arguments, name) is not None and getattr(arguments, name) < least:
            raise InputError(f"expected {least:g} or more, not {getattr(arguments, name):g}", field=option_name(name))
    for name in ("frame_seconds", "threshold"):
        value = getattr(arguments, name)
        if value is not None and value <= 0:
            raise InputError(f"expected more than 0, not {value:g}", field=option_name(name))
    if arguments.free and arguments.lexicon:
        raise InputError("give either --free or --lexicon")
    if arguments.ctm is not None and not arguments.times:
        raise InputError("needs the times of words; leave out --no-times", field="--ctm")
    for folder in (arguments.lattice, arguments.save_emissions):
        if folder is not None and folder.exists() and not folder.is_dir():
            raise InputError("is a file, a folder was expected", file=folder)
    format_of(arguments.out)
    inputs = [*arguments.audio, *arguments.emissions, arguments.lexicon, arguments.lm, arguments.references]
    check_outputs([arguments.out, arguments.ctm, _unfinished(arguments)], inputs)


def _unfinished(arguments: Arguments) -> Path:
    return arguments.out.with_name(arguments.out.name + _UNFINISHED)


class _Heard(NamedTuple):
    """The hypotheses of a piece, and the lattice to count errors in, with words or characters for its words."""

    hypotheses: Sequence[Hypothesis]
    lattice: Lattice | None = None


@dataclass(frozen=True)
class _Work:
    """What is to be decoded, how (first what is heard, then what may be said), and where emissions are kept."""

    sources: list[Source]
    hypotheses: Callable[[Piece], _Heard]
    unit: Unit
    listen: Callable[[Iterable[Piece]], Iterable[Piece | Failure]] = iter
    shards: Shards | None = None


def _decode(arguments: Arguments) -> int:
    """Recognise everything and write the list; the number of sources that could not be read."""
    work = _saved(arguments) if arguments.emissions else _spoken(arguments)
    journal = _journal(arguments)
    recognise = partial(_recognised, arguments, work, _references(arguments))
    finished = False
    try:
        bad = _work_through(arguments, work, journal, recognise)
        finished = _write(arguments, journal, [source.id for source in work.sources], work.unit)
    finally:
        journal.close(remove=finished or journal.is_empty)
    return bad


def _saved(arguments: Arguments) -> _Work:
    """Decoding of saved emissions."""
    from asr_lm.acoustic.saved_emissions import frame_seconds, saved_sources
    from asr_lm.acoustic.tokens import Tokens

    first = arguments.emissions[0]
    tokens = Tokens.read(arguments.tokens or (first if first.is_dir() else first.parent) / "tokens.txt")
    sources = saved_sources(arguments.emissions, tokens)
    seconds = arguments.frame_seconds or frame_seconds(arguments.emissions) or 0.02
    return _Work(sources, partial(_ctc_list, arguments, _first_pass(arguments, tokens, None), seconds), _unit(tokens))


def _spoken(arguments: Arguments) -> _Work:
    """Decoding of sound."""
    from asr_lm.acoustic.listening import listen
    from asr_lm.acoustic.model_folder import folder_words
    from asr_lm.acoustic.pieces import Source, pieces
    from asr_lm.acoustic.rnnt import RnntRecogniser
    from asr_lm.acoustic.saved_emissions import Shards
    from asr_lm.acoustic.speech import find_speech

    speeches = find_speech(arguments.audio)
    recogniser, device = _recogniser(arguments)
    sources = [
        Source(speech.id, partial(pieces, speech, recogniser.sample_rate, arguments.longest)) for speech in speeches
    ]
    if isinstance(recogniser, RnntRecogniser):
        _check_rnnt(arguments)
        beam = arguments.beam or max(arguments.nbest, 10)
        return _Work(sources, lambda piece: _Heard(recogniser.hypotheses(piece.content, arguments.nbest, beam)), "word")
    shards = None
    if arguments.save_emissions is not None:
        shards = Shards(arguments.save_emissions, recogniser.name, recogniser.tokens, recogniser.frame_seconds)
        sources = [shards.saved.get(source.id, source) for source in sources]
    first_pass = _first_pass(arguments, recogniser.tokens, folder_words(Path(recogniser.name)), device)
    seconds = arguments.batch_seconds
    if seconds is None:
        seconds = 320.0 if device.startswith("cuda") else 0.0
    return _Work(
        sources,
        partial(_ctc_list, arguments, first_pass, recogniser.frame_seconds),
        _unit(recogniser.tokens),
        partial(listen, recogniser=recogniser, seconds=seconds),
        shards,
    )


def _recogniser(arguments: Arguments) -> tuple[CtcRecogniser | RnntRecogniser, str]:
    from asr_lm.acoustic.bundles import DEFAULT, load_bundle
    from asr_lm.acoustic.model_folder import load_recogniser
    from asr_lm.acoustic.rnnt import RnntRecogniser
    from asr_lm.lm.loading import resolve_device

    device = resolve_device(arguments.device)
    if arguments.model is None:
        console().print(f"no --model given: using torchaudio's {DEFAULT}", markup=False, soft_wrap=True)
    name = arguments.model or DEFAULT
    recogniser = load_recogniser(Path(name)) if Path(name).is_dir() else load_bundle(name)
    (recogniser.decoder if isinstance(recogniser, RnntRecogniser) else recogniser.network).to(device)
    return recogniser, device


def _check_rnnt(arguments: Arguments) -> None:

    for name in ("lexicon", "lm", "save_emissions", "lattice", "ctm", "free", "batch_seconds"):
        if getattr(arguments, name):
            raise InputError("is for CTC recognisers, and this is an RNN-T", field=option_name(name))
    if arguments.search == "cuda":
        raise InputError("cuda is for CTC recognisers, and this is an RNN-T", field="--search")


def _first_pass(arguments: Arguments, tokens: Tokens, words: Path | None, device: str | None = None) -> FirstPass:
    from asr_lm.acoustic.beam_search import Search
    from asr_lm.acoustic.first_pass import FirstPass
    from asr_lm.acoustic.lexicon import Lexicon

    path = None if arguments.free else arguments.lexicon or words
    lexicon = Lexicon.read(path, tokens) if path else None
    if lexicon and lexicon.unspelt:
        few = ", ".join(lexicon.unspelt[:3])
        display.warn(f"{path}: {len(lexicon.unspelt):,} words have letters that are no tokens and are left out ({few})")
    search = Search(
        arguments.beam or Search().beam,
        arguments.threshold,
        arguments.lm_weight,
        arguments.word_score,
        arguments.merging,
        arguments.order,
    )
    gpu = _searching_gpu(arguments, tokens, lexicon is not None, device)
    return FirstPass(tokens, lexicon, arguments.lm, search, gpu)


def _searching_gpu(arguments: Arguments, tokens: Tokens, has_words: bool, device: str | None) -> str | None:
    """The GPU to search on, if one is to."""
    from asr_lm.acoustic.beam_search import cuda_beam
    from asr_lm.lm.loading import resolve_device

    if arguments.search == "cpu":
        return None
    device = device or resolve_device(arguments.device)
    can = not has_words and arguments.lm is None and tokens.blank_number == 0
    if arguments.search == "auto":
        enough = cuda_beam(tokens, arguments.nbest) == arguments.nbest
        return device if can and enough and device.startswith("cuda") else None
    if not device.startswith("cuda"):
        raise InputError(f"there is no GPU to search on, the device is {device}", field="--search")
    if has_words or arguments.lm is not None:
        raise InputError(
            "cuda takes no --lm and no words (--free leaves out those that a model brings)", field="--search"
        )
    most = cuda_beam(tokens, arguments.nbest)
    if most < arguments.nbest:
        display.warn(f"--search cuda finds at most {most} hypotheses with these {len(tokens):,} tokens")
    return device


def _journal(arguments: Arguments) -> Journal:
    from asr_lm.acoustic.journal import Journal

    left_out = ("out", "ctm", "strict", "device", "save_emissions", "batch_seconds")
    options = {name: str(value) for name, value in asdict(arguments).items() if name not in left_out}
    read = [*arguments.audio, *arguments.emissions, arguments.lexicon, arguments.lm, arguments.model]
    stamps = [
        path.stat().st_mtime_ns for path in map(Path, filter(None, map(str, filter(None, read)))) if path.exists()
    ]
    journal = Journal(_unfinished(arguments), {"options": options, "changed": stamps})
    if len(journal):
        console().print(f"going on: {len(journal):,} are finished", markup=False, soft_wrap=True)
    return journal


def _references(arguments: Arguments) -> dict[str, str]:
    from asr_lm.files import iterate_text

    if arguments.references is None:
        return {}
    rows = [line.split(maxsplit=1) for _, line in iterate_text(arguments.references) if line.strip()]
    return {row[0]: " ".join(row[1].split()) if len(row) > 1 else "" for row in rows}


def _unit(tokens: Tokens) -> Unit:
    return "character" if tokens.words == "characters" else "word"


def _ctc_list(arguments: Arguments, first_pass: FirstPass, frame_seconds: float, piece: Piece) -> _Heard:
    """The hypotheses of emissions; their lattice is written."""
    from asr_lm.acoustic.first_pass import hypotheses
    from asr_lm.lattice.writing import write_lattices

    found = first_pass.texts(piece.content)
    seconds = frame_seconds if arguments.times else None
    listed = hypotheses(found[: arguments.nbest], piece.content, first_pass.tokens, seconds)
    if arguments.lattice is None:
        return _Heard(listed)
    tokens = first_pass.tokens
    # A model of tokens says nothing of words.
    ngram = first_pass.ngram if first_pass.lexicon is not None else None
    readings = [(_cased(arguments, one.words), one.spelt) for one in found]
    graph = _graph(piece, readings, tokens, frame_seconds, ngram=ngram, lm_weight=arguments.lm_weight)
    write_lattices([graph], arguments.lattice, "slf")
    if tokens.words == "characters":
        readings = [(_cased(arguments, tuple(one.text)), tokens.units(one.spelt)) for one in found]
        graph = _graph(piece, readings, tokens, frame_seconds)
    return _Heard(listed, graph)


def _graph(piece: Piece, readings: Sequence[Reading], tokens: Tokens, seconds: float, **lm: Any) -> Lattice:
    from asr_lm.acoustic.word_graph import word_graph

    return word_graph(piece.id, piece.content, readings, tokens, seconds, **lm)


def _cased(arguments: Arguments, words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(str.lower, words)) if arguments.lower else words


def _recognised(arguments: Arguments, work: _Work, references: dict[str, str], piece: Piece) -> Recognised:
    """The list of a piece."""
    from asr_lm.acoustic.journal import Recognised
    from asr_lm.evaluation.word_errors import tokens
    from asr_lm.hypotheses.utterance import Utterance
    from asr_lm.lattice.oracle import oracle_path

    listed, lattice = work.hypotheses(piece)
    reference = piece.reference if piece.reference is not None else references.get(piece.id)
    if arguments.lower:
        listed, reference = _lowered(listed), None if reference is None else reference.lower()
    utterance = Utterance(piece.id, tuple(listed), reference, piece.recording)
    if lattice is None or reference is None:
        return Recognised(utterance, piece.offset)
    return Recognised(utterance, piece.offset, oracle_path(lattice, tokens(reference, work.unit)).errors)


def _lowered(hypotheses: Iterable[Hypothesis]) -> list[Hypothesis]:
    """In lower case; of those that are one then the first stays."""
    import msgspec

    lowered: dict[str, Hypothesis] = {}
    for hypothesis in hypotheses:
        text = hypothesis.text.lower()
        lowered.setdefault(text, msgspec.structs.replace(hypothesis, text=text))
    return list(lowered.values())


def _work_through(
    arguments: Arguments,
    work: _Work,
    journal: Journal,
    recognise: Callable[[Piece], Recognised],
) -> int:
    """Recognise what is not finished; the number of sources that could not be read."""
    from asr_lm.acoustic.listening import Failure

    shards, bad, count = work.shards, _Bad(arguments.strict), 0
    with decoding_progress(len(work.sources)) as show:
        try:
            for piece in work.listen(_unheard(work, journal, bad)):
                if isinstance(piece, Failure):
                    bad.add(piece.piece.source, piece.error, piece.piece)
                    continue
                if shards is not None:
                    piece = shards.keep(piece)
                if not journal.has(piece.source, piece.number):
                    try:
                        journal.add(piece.source, piece.number, piece.of, recognise(piece))
                    except InputError as error:
                        bad.add(piece.source, error, piece)
                count += 1
                show(len(journal) + len(bad.sources), count)
        finally:
            if shards is not None:
                shards.flush()
    return len(bad.sources)


@dataclass
class _Bad:
    """Sources that could not be read, or not be recognised as a whole."""

    strict: bool
    sources: set[str] = field(default_factory=set)

    def add(self, source: str, error: InputError, piece: Piece | None = None) -> None:
        """Name one, or stop at it."""
        if piece is not None:
            error.file, error.utterance = error.file or piece.file, error.utterance or piece.id
        if self.strict:
            raise error
        if source not in self.sources:
            display.warn(f"left out: {error}")
        self.sources.add(source)


def _unheard(work: _Work, journal: Journal, bad: _Bad) -> Iterator[Piece]:
    """The pieces that are not finished."""
    for source in work.sources:
        if source.id in journal and (work.shards is None or source.id in work.shards.saved):
            continue
        try:
            for piece in source.load():
                is_saved = work.shards is None or piece.id in work.shards
                if not (is_saved and journal.has(piece.source, piece.number)):
                    yield piece
        except InputError as error:
            bad.add(source.id, error)


def _write(arguments: Arguments, journal: Journal, order: Sequence[str], unit: Unit) -> bool:
    """Write the list, and say how good it is; whether there was anything to write."""
    from asr_lm.acoustic.first_pass_errors import FirstPassErrors
    from asr_lm.files import write_text
    from asr_lm.hypotheses.writing import write_nbest

    if not len(journal):
        raise InputError("nothing could be read")
    number = write_nbest(arguments.out, (one.utterance for one in journal.read(order)))
    if arguments.ctm is not None:
        write_text(arguments.ctm, "".join(_ctm_lines(journal.read(order))))
    console().print(f"{number:,} utterances are in {arguments.out}", markup=False, soft_wrap=True)
    errors = FirstPassErrors.of(journal.read(order), unit)
    if errors.length:
        console().print(str(errors), markup=False, soft_wrap=True)
    return True


def _ctm_lines(recognised: Iterable[Recognised]) -> Iterator[str]:
    """``recording 1 start duration word``, sorted as sclite wants it."""
    from asr_lm.hypotheses.utterance import timed_words

    rows: list[tuple[str, float, str]] = []
    for one in recognised:
        best, name = one.utterance.hypotheses[0], one.utterance.recording or one.utterance.id
        for word, (start, end) in zip(timed_words(best), best.times or (), strict=True):
            begin = one.offset + start
            rows.append((name, begin, f"{name} 1 {begin:.3f} {end - start:.3f} {word}\n"))
    return (line for _, _, line in sorted(rows))


if __name__ == "__main__":
    run(main)
