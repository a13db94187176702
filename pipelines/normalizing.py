"""What a reader must know of how texts are normalised before errors are counted."""

from __future__ import annotations

from asr_lm.counted import counted
from asr_lm.evaluation.normalized_rate import NormalizedRate
from pipelines.display import Terminal


def warn_of_normalizers(
    normalized: NormalizedRate | None, lost: str | None, terminal: Terminal, *, place: str = ""
) -> None:
    """Warn where much of an error rate is how texts are written, or where a normaliser loses some of them."""
    if lost:
        terminal.warn(f"--wer-normalizer: {lost}")
    if normalized is not None:
        terminal.warn(
            f"{place}over {counted(normalized.utterances, 'utterance')} the first pass has {normalized.plain:.2f} % "
            f"errors as texts are compared, and {normalized.rate:.2f} % with --wer-normalizer {normalized.normalizer}: "
            "the rest is casing, punctuation, or how words and numbers are written"
        )
