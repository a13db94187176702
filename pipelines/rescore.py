"""Rescore n-best lists with language models: ``python -m pipelines.rescore --nbest hyps.json``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from pipelines.command import OptionalInt, OptionalPath, OptionalText, parse, run, unless_given
from pipelines.options import Common, LatticeOptions, rows_of

DESCRIPTION = """Rescore n-best lists with language models.

With --dev the weights are tuned there and applied to --nbest; with --weights they come from an earlier tuning; with
neither the packaged default weights are used. Weights are never tuned on the list they are reported on."""


@dataclass(kw_only=True)
class _Main:
    """The options that stand first in the help.

    Attributes:
        nbest: n-best list to rescore (file, folder, or - for standard input); may be given several times.
        dev: Development list with references, on which weights are tuned; may be given several times.
        weights: Weights of an earlier tuning.
        save_weights: Write the tuned weights here.
        out: Where the rescored list goes (.json, .jsonl, .parquet, .trn, .ctm; .gz, .zst), or the folder it goes to as
            NAME.rescored.json (several lists need one); by default the current folder, or standard output for a list
            from standard input.
    """

    nbest: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    dev: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    weights: OptionalPath = None
    save_weights: OptionalPath = None
    out: OptionalText = None


@dataclass(kw_only=True)
class Arguments(LatticeOptions, Common, _Main):
    """Options of ``rescore``.

    Attributes:
        also: Add a row for choosing by this decision rule, too: mbr or rover. May be given several times. With
            --lattice there are rows for what the rescored lattices say so, by minimum Bayes risk and by their
            confusion networks.
        mbr: The same as --also mbr.
        features: Write the feature table of the list into this folder, too: Parquet, one row a hypothesis with its
            scores and errors.
        score_kind: What the first-pass scores are, for the default weights: log-probability of the utterance, average a
            token, or none; recognised by default.
        confidence: Give every word of the output a confidence, and every utterance one, calibrated on --dev (or with
            --weights that were): in JSON as confidences and confidence, in CTM behind the word.
        phrases: Names and other words that are expected, one phrase a line, with a tab and a weight behind it if it
            counts more or less than others: hypotheses that hold one gain, and what is close by letters may become
            it. With --lattice they guide the search, and the best path through each joins the list. Utterances may list
            more in their field phrases, which counts with this option (the file may be empty).
        trust_phrases: Weigh phrases as --dev does, whatever they would cost where none of them is said; by default
            their weight is lowered until that is at most 0.1 points on --dev.
        plot_attention: Draw into this folder what an attentive model looked at.
        plot_utterances: Utterances to draw, by id; by default the first twelve whose output is not the recogniser's
            first hypothesis.
        plot_format: Format of these pictures.
        engine: Who rescores: this process, or workers of a Ray cluster (extra ray): they read JSON Lines or Parquet,
            a file or a folder of them, also in an object store (s3://…); an --out with / at its end gets a folder of
            parts. The same command goes on where it was stopped. A row that is no utterance is left out and written to
            OUT.bad.jsonl, and the exit code is 1.
        address: Ray cluster to join, such as auto or HOST:6379; by default one of this machine is started.
        workers: Most workers of Ray; by default one for each CPU (each GPU with --device cuda).
    """

    also: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    mbr: bool = False
    features: OptionalPath = None
    score_kind: Annotated[Literal["sum", "mean", "rank"] | None, unless_given("{sum,mean,rank}")] = None
    confidence: bool = False
    phrases: OptionalPath = None
    trust_phrases: bool = False
    plot_attention: OptionalPath = None
    plot_utterances: Annotated[tuple[str, ...], unless_given("ID [ID ...]")] = ()
    plot_format: Literal["svg", "png"] = "svg"
    engine: Literal["process", "ray"] = "process"
    address: OptionalText = None
    workers: OptionalInt = None

    @property
    def rules(self) -> tuple[str, ...]:
        """Decision rules that get a row of their own."""
        return rows_of(self.mbr, self.also)


def main() -> None:
    """Run the command."""
    arguments = parse(Arguments, "rescore", DESCRIPTION)
    from pipelines.rescoring import rescore

    rescore(arguments)


if __name__ == "__main__":
    run(main)
