"""Options that several commands share, in groups: a function takes the group it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from asr_lm.evaluation.metrics.registry import METRICS
from asr_lm.lattice.limits import MAX_ARCS
from asr_lm.lm.precision import PrecisionChoice
from asr_lm.text.normalizer import NormalizerName
from pipelines.command import OptionalInt, OptionalPath, unless_given
from pipelines.list_options import ListOptions

if TYPE_CHECKING:
    from asr_lm.rescoring.correction import Correction

    Unit = str
else:
    _UNITS = "; ".join(f"{metric.unit} ({metric.short}: {metric.about})" for metric in METRICS.values())
    Unit = Annotated[
        tyro.extras.literal_type_from_choices(METRICS), tyro.conf.arg(help=f"What an error is counted in: {_UNITS}.")
    ]
Decision = Annotated[str | None, unless_given("RULE")]


@dataclass(kw_only=True)
class ModelOptions:
    """Which language models score, and how.

    Attributes:
        lm: Language model: a trained folder, an ARPA or KenLM file, a folder of Hugging Face's transformers, hf:NAME of
            their hub, a GGUF file, one of these three with a LoRA adapter as BASE+ADAPTER, or "default" (the packaged
            one); NAME=PATH names its column. PATH?normalizer=NAME says what texts go through before the model reads
            them, such as upper or librispeech-upper for an ARPA file in capitals. Models of transformers read texts
            as --dev makes likeliest; PATH?begin=TOKEN&end=TOKEN&casing=sentence says it (end=none: the end is not
            scored). May be given several times.
        unnormalised: Name of a model trained with --output nce that is to score without summing over the vocabulary:
            quicker, and the scores are log-probabilities only as far as its training made them so. The result says so.
        context: Causal models read so many utterances of the recording before each one: what the first pass heard,
            never the reference. The list must say which recording an utterance is of.
        cache: Keep scores and use those already computed.
        cache_folder: Where scores are kept; by default $ASR_LM_CACHE, or the user's cache folder.
        budget: Most prefix-tree nodes in memory at once; lower it where memory is short.
        device: cpu, cuda, or auto.
        precision: Of the matrix products of neural models. auto measures which is quicker here for large ones
            (transformers' and those of 20 million parameters or more), and says where it took bfloat16.
        recombine: Histories that end in the same so many words are taken for one by causal models: several times
            quicker for long lists, and the scores are no longer exact. 0 tells all apart; auto takes the fewest words
            with which the error rate on --dev moves by at most 0.05, and says which (with --weights those that were
            tuned with, else 4).
    """

    lm: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    unnormalised: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    context: int = 0
    cache: bool = True
    cache_folder: OptionalPath = None
    budget: OptionalInt = None
    device: str = "auto"
    precision: PrecisionChoice = "auto"
    recombine: int | Literal["auto"] = 0


@dataclass(kw_only=True)
class TuningOptions:
    """How weights are tuned and how they choose.

    Attributes:
        decision: How a text is chosen: best (the hypothesis with the best total), mbr (that with the fewest expected
            errors, minimum Bayes risk), or rover (the words that the hypotheses agree on); by default what --weights
            say, else best.
        subtract: Name of a model, or of a first-pass score, that may only count against a hypothesis. compare shows
            every system without a subtracted model and with it, as A and A - B: for the low-order density ratio (LODR)
            let B be a bigram (train ngram --order 2) of the transcripts that the acoustic model was trained on.
        force: Apply the weights of all models even where they do not win on held-out utterances of --dev. By default
            these choose among the first pass as it is, its own scores re-tuned, each model and all.
    """

    decision: Decision = None
    subtract: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    force: bool = False


@dataclass(kw_only=True)
class MeasuringOptions:
    """How errors are counted.

    Attributes:
        unit: What an error is counted in; the metrics say it.
        wer_normalizer: Normalise references and hypotheses before they are compared; as-is leaves texts as they are
            but for white space, unicode leaves out casing and punctuation, english (Whisper's) contractions, spelling
            variants and numbers in words, too.
        resample: What the bootstrap intervals are drawn over.
    """

    unit: Unit = "word"
    wer_normalizer: NormalizerName = "as-is"
    resample: Literal["utterance", "recording"] = "utterance"


@dataclass(kw_only=True)
class ReportOptions:
    """What is written besides what is printed.

    Attributes:
        json: Write what is printed to this file, too.
        report: Write a report to this file: one HTML page with everything in it, to be opened in a browser. A report
            holds all features of the list in memory, some 0.6 kB a hypothesis.
        plots: Write the report's figures into this folder, each as SVG and PNG.
        markdown: Write the table to this file as Markdown.
    """

    json: OptionalPath = None
    report: OptionalPath = None
    plots: OptionalPath = None
    markdown: OptionalPath = None


def rows_of(mbr: bool, also: Sequence[str]) -> tuple[str, ...]:
    """The decision rules that get a row of their own, each once."""
    return tuple(dict.fromkeys((*(("mbr",) if mbr else ()), *also)))


@dataclass(kw_only=True)
class AcousticOptions:
    """What the recogniser says of every text.

    Attributes:
        emissions: Emissions that decode saved, of every utterance of all lists: a safetensors file, or a folder of
            them. Every hypothesis, also what was written by --correct or for --phrases, then has its exact CTC score,
            called acoustic, in place of the list's or of one that it borrows, and --confidence hears each word. May be
            given several times.
        tokens: The tokens that emissions are of; by default tokens.txt beside them.
        lexicon: Words of the first pass with their spellings, where some have several; other words are spelt with the
            fewest tokens.
        first_pass_lm: The first pass's n-gram model of words (ARPA or KenLM): its scores, called lm, in place of the
            list's.
        near_texts: Texts near the best hypothesis join every list, at most so many an utterance: what its hypotheses
            differ in, put together anew, and words of --lexicon that are close by letters. All are scored exactly.
    """

    emissions: Annotated[tuple[Path, ...], tyro.conf.UseAppendAction] = ()
    tokens: OptionalPath = None
    lexicon: OptionalPath = None
    first_pass_lm: OptionalPath = None
    near_texts: int = 0

    def heard(self) -> list[Path | None]:
        """The files that these options name."""
        return [*self.emissions, self.tokens, self.lexicon, self.first_pass_lm]


@dataclass(kw_only=True)
class CorrectionOptions:
    """What models write.

    Attributes:
        correct: Let the models that can (birnn-attention) write transcripts, which join the list as further hypotheses,
            for a row of their own; needs weights that were tuned so (--dev, or rescore --weights).
        beam: Width of the beam search that writes.
        corrections: How many transcripts each of them writes for an utterance.
    """

    correct: bool = False
    beam: int = 8
    corrections: int = 1

    def correction(self) -> Correction | None:
        """How correctors write, where they are to.

        Raises:
            InputError: a number that is not above 0.
        """
        from asr_lm.rescoring.correction import Correction

        return Correction(self.beam, self.corrections) if self.correct else None


@dataclass(kw_only=True)
class Common(
    CorrectionOptions, ReportOptions, MeasuringOptions, ListOptions, TuningOptions, AcousticOptions, ModelOptions
):
    """Options of ``rescore`` and ``compare``."""


@dataclass(kw_only=True)
class LatticeOptions:
    """Options of ``rescore`` for lattices.

    Attributes:
        lattice: Lattices to rescore instead of --nbest: a file, an archive or a folder of them (HTK, Kaldi, OpenFst,
            k2).
        dev_lattice: Development lattices, on which weights are tuned.
        words: Table of words (words.txt), where the labels of lattices are numbers.
        frame_shift: Seconds from one frame to the next, where lattices count frames.
        lattice_nbest: Hypotheses taken from a lattice.
        lattice_beam: Width of the search: a path is given up once it promises so much less than the best, in units of
            the natural logarithm. Wider is slower and loses fewer good paths.
        lattice_history: Paths that end in the same so many words are taken for one, which a model of long memory then
            reads on from the better of them; 0 merges only what the model cannot tell apart.
        lattice_states: The search of a lattice ends after so many states, so that no lattice takes for ever.
        lattice_out: Write the rescored lattices here, too (HTK): lm is then the weighted sum of all that is not
            acoustic.
        mbr_out: Write the words with the fewest expected errors of every rescored lattice here (minimum Bayes
            risk; .json, .jsonl, .trn).
        max_arcs: A lattice of more arcs is refused; 2,000,000 take up to 2 GB while they are read.
        trust: Read a k2 file even where torch cannot read it without running what is in it.
        strict: Stop at a lattice that cannot be read, instead of naming it and going on.
    """

    lattice: OptionalPath = None
    dev_lattice: OptionalPath = None
    words: OptionalPath = None
    frame_shift: float = 0.01
    lattice_nbest: int = 100
    lattice_beam: float = 12.0
    lattice_history: int = 3
    lattice_states: int = 20_000
    lattice_out: OptionalPath = None
    mbr_out: OptionalPath = None
    max_arcs: int = MAX_ARCS
    trust: bool = False
    strict: bool = False
