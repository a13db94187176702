"""Windows over texts that are longer than what a network can read at once.

A window begins half a window after the one before, and predicts only what that one does not see: every token is
predicted from at least half a window (where so much comes before it), none is cut off, none is predicted twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from asr_lm.lm.neural import CausalNetwork, TextStream
from asr_lm.lm.protocol import LogProbs, Tokens
from asr_lm.text.vocabulary import Vocabulary


def windows(length: int, width: int) -> Iterator[tuple[int, int]]:
    """Windows of ``width`` over ``length`` positions: where each begins, and from which position on it predicts."""
    step = max(1, width // 2)
    yield 0, 0
    for begin in range(step, length - width + step, step):
        yield begin, begin - step + width


class WindowStream(TextStream):
    """Consecutive sentences read as one text, in windows.

    The text is ``<s> w1 … wn`` for each sentence, one after another; ``</s>`` is predicted in the place of the next
    ``<s>``. How the sentences are handed over, all at once or a few at a time, changes nothing.

    Args:
        network: reads texts of any length, in the windows of :func:`windows`.
        vocabulary: knows ``<s>`` and ``</s>``.
        width: the network's window.
    """

    def __init__(self, network: CausalNetwork, vocabulary: Vocabulary, width: int) -> None:
        super().__init__(network, vocabulary)
        self._width = width
        self._before = np.zeros(0, dtype=np.int64)

    @torch.inference_mode()
    def token_log_probs(self, sentences: Sequence[Tokens]) -> list[LogProbs]:
        """Log-probability of every token of the next sentences, ``</s>`` included."""
        if not sentences:
            return []
        self._network.eval()
        read, predicted = self._framed(sentences)
        inputs, targets = np.concatenate([self._before, *read]), np.concatenate(predicted)
        device = self._network.device
        hidden, _ = self._network(torch.from_numpy(inputs)[None].to(device))
        new = hidden[0, len(self._before) :]
        rows = torch.arange(len(targets), device=device)
        values = self._network.output.log_probs(new, rows, torch.from_numpy(targets).long().to(device))
        *_, (begin, _) = windows(len(inputs) + 1, self._width)
        self._before = inputs[begin:]
        lengths = [len(sentence) + 1 for sentence in sentences]
        return np.split(values.double().cpu().numpy(), np.cumsum(lengths)[:-1])
