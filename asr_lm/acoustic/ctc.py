"""What a CTC network says of a token sequence: its probability, and when each word was spoken.

Graves et al. 2006. A text's tokens are those of its words; where the recogniser has a word end, one stands after each
and none before the first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from asr_lm.acoustic.tokens import Spelt, Tokens

_LATTICE_CELLS = 20_000_000


def forward_scores(emissions: Tensor, sequences: Sequence[Sequence[int]], blank: int) -> list[float]:
    """Exact natural-log probability of each token sequence, all alignments summed, in float64.

    Args:
        emissions: log-probabilities ``[frames, tokens]``.
        sequences: token numbers, no blanks. One that needs more frames than there are scores minus infinity.
        blank: number of the blank.
    """
    longest = 2 * max(map(len, sequences), default=0) + 1
    size = max(1, _LATTICE_CELLS // (longest * len(emissions)))
    normal = emissions.double().log_softmax(-1)[:, None]
    scores: list[float] = []
    for start in range(0, len(sequences), size):
        targets = [torch.tensor(sequence, dtype=torch.long) for sequence in sequences[start : start + size]]
        losses = nn.functional.ctc_loss(
            normal.expand(-1, len(targets), -1),
            nn.utils.rnn.pad_sequence(targets, batch_first=True),
            torch.full((len(targets),), len(emissions)),
            torch.tensor([len(target) for target in targets]),
            blank=blank,
            reduction="none",
        )
        scores += [-loss for loss in losses.tolist()]
    return scores


def best_alignment(emissions: Tensor, sequence: Sequence[int], blank: int) -> NDArray[np.int64]:
    """The best alignment of a token sequence: for every frame the place of its token in the sequence, -1 for blank.

    Args:
        emissions: log-probabilities ``[frames, tokens]``.
        sequence: token numbers, no blanks; it must fit into the frames.
        blank: number of the blank.
    """
    if not len(sequence):
        return np.full(len(emissions), -1)
    from torchaudio.functional import forced_align

    targets = torch.tensor([list(sequence)], dtype=torch.int32)
    found = forced_align(emissions.float()[None], targets, blank=blank)[0][0].numpy()
    spoken = found != blank
    begins = spoken & (found != np.concatenate([[blank], found[:-1]]))
    return np.where(spoken, np.cumsum(begins) - 1, -1)


def word_times(
    emissions: Tensor, spelt: Spelt, tokens: Tokens, frame_seconds: float
) -> tuple[tuple[float, float], ...]:
    """Start and end of every word in seconds: from its first token's first frame to the end of its last one's last."""
    places = best_alignment(emissions, tokens.sequence(spelt), tokens.blank_number)
    frames = np.flatnonzero(places >= 0)
    times, place = [], 0
    for word in spelt:
        first = frames[np.searchsorted(places[frames], place)]
        last = frames[np.searchsorted(places[frames], place + len(word) - 1, side="right") - 1]
        times.append((round(float(first) * frame_seconds, 3), round(float(last + 1) * frame_seconds, 3)))
        place += len(tokens.marked(word))
    return tuple(times)
