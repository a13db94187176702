"""Decodes the sample's dev and test speech to n-best lists with exact acoustic scores.

First pass: torchaudio's ``ctc_decoder`` (flashlight-text) with a word list and no language model, so a list holds
whatever words sound alike. Every text it found is then scored exactly: ``acoustic`` is the natural logarithm of the
CTC probability of the text's letters, all alignments summed, words joined by ``|`` with a final ``|`` and no first one
(``recogniser.letters``). That score alone orders the list.

Written: ``OUT/dev.json`` and ``OUT/test.json`` (canonical n-best JSON, one utterance a line) and, with ``--audio``, the
first utterance of every test recording as ``OUT/audio/ID.flac`` with ``OUT/audio/manifest.jsonl``.

    python data/sample/make/decoding.py --work /tmp/sample --model data/sample/model --out data/sample --audio
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jiwer
import msgspec
import soundfile
import torch
from lexicon import decoder_lexicon
from recogniser import BLANK, WORD_END, Recogniser, ctc_scores, load
from torchaudio.models.decoder import CTCDecoder, ctc_decoder

from asr_lm.files import atomic_write, write_text
from asr_lm.hypotheses.utterance import Hypothesis, Utterance

LENGTH = 50  # hypotheses in a list
BEAM = 400
DECIMALS = 3


def read_manifest(work: Path, split: str) -> list[dict[str, Any]]:
    """The utterances of ``WORK/SPLIT.jsonl`` (written by voices.py), in spoken order."""
    return [json.loads(line) for line in (work / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()]


def beam_search(model: Path, words: Path) -> CTCDecoder:
    """The first pass: best paths over a word list, probabilities of merging alignments added, no language model."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as lexicon:
        lexicon.write(decoder_lexicon(words))
        lexicon.flush()
        return ctc_decoder(
            lexicon=lexicon.name,
            tokens=str(model / "tokens.txt"),
            nbest=BEAM,
            beam_size=BEAM,
            beam_threshold=30,
            log_add=True,
            blank_token=BLANK,
            sil_token=WORD_END,
        )


def hypotheses(emissions: torch.Tensor, decoder: CTCDecoder) -> tuple[Hypothesis, ...]:
    """The distinct texts of the beam, best exact score first, at most ``LENGTH``; emissions ``[frames, tokens]``."""
    texts = list(dict.fromkeys(" ".join(found.words) for found in decoder(emissions[None])[0]))
    scored = sorted(zip(ctc_scores(emissions, texts), texts, strict=True), reverse=True)
    return tuple(Hypothesis(text, {"acoustic": round(score, DECIMALS)}) for score, text in scored[:LENGTH])


def decoded(model: Recogniser, decoder: CTCDecoder, work: Path, split: str) -> Iterator[Utterance]:
    """The split's utterances with their lists, in spoken order."""
    for line in read_manifest(work, split):
        signal, _ = soundfile.read(work / line["audio"], dtype="float32")
        found = hypotheses(model.emissions(torch.from_numpy(signal)), decoder)
        yield Utterance(line["id"], found, line["reference"], line["recording"])


def write_list(path: Path, utterances: Sequence[Utterance]) -> None:
    """Write canonical n-best JSON in its array form, one utterance a line."""
    lines = b",\n".join(msgspec.json.encode(utterance) for utterance in utterances)
    with atomic_write(path) as stream:
        stream.write(b"[\n" + lines + b"\n]\n")


def word_errors(utterances: Sequence[Utterance]) -> tuple[float, float]:
    """Word error rate of the first hypotheses and of the best ones (oracle), in percent."""
    references = [str(utterance.reference) for utterance in utterances]
    first = [utterance.hypotheses[0].text for utterance in utterances]
    best = [min((h.text for h in u.hypotheses), key=lambda text: _errors(str(u.reference), text)) for u in utterances]
    return 100 * jiwer.wer(references, first), 100 * jiwer.wer(references, best)


def _errors(reference: str, text: str) -> int:
    counts = jiwer.process_words(reference, text)
    return int(counts.substitutions + counts.deletions + counts.insertions)


def copy_audio(work: Path, out: Path) -> None:
    """Copy the first utterance of every test recording to ``OUT/audio``, with a manifest of their references."""
    folder = out / "audio"
    folder.mkdir(exist_ok=True)
    first: dict[str, dict[str, Any]] = {}
    for line in read_manifest(work, "test"):
        first.setdefault(line["recording"], line)
    lines = []
    for line in first.values():
        shutil.copyfile(work / line["audio"], folder / f"{line['id']}.flac")
        lines.append(json.dumps(line | {"audio": f"{line['id']}.flac"}) + "\n")
    write_text(folder / "manifest.jsonl", "".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder that voices.py wrote")
    parser.add_argument("--model", type=Path, required=True, help="model folder, words.txt.gz in it")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--splits", nargs="+", default=["dev", "test"])
    parser.add_argument("--audio", action="store_true", help="also copy ten test utterances")
    arguments = parser.parse_args()
    model = load(arguments.model)
    decoder = beam_search(arguments.model, arguments.model / "words.txt.gz")
    for split in arguments.splits:
        utterances = list(decoded(model, decoder, arguments.work, split))
        write_list(arguments.out / f"{split}.json", utterances)
        first, oracle = word_errors(utterances)
        print(f"{split}: {len(utterances)} utterances, first pass {first:.2f} %, oracle {oracle:.2f} %")
    if arguments.audio:
        copy_audio(arguments.work, arguments.out)


if __name__ == "__main__":
    main()
