"""Prefix-tree scoring of n-best lists against the usual way: padded batches through ``nn.LSTM``.

Both sides have the same weights (random: the arithmetic does not depend on them), the same threads, and the same
distinct hypotheses of the LibriSpeech CTC 100-best lists, so what differs is the method alone.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asr_lm.hypotheses.prefix_tree import PrefixTree
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.lm.families.lstm import LstmConfig
from asr_lm.lm.families.lstm.network import LstmNetwork
from asr_lm.lm.neural import NeuralLanguageModel
from asr_lm.lm.training.corpus import read_sentences
from asr_lm.text.vocabulary import SentencePieceVocabulary
from tests.benchmarks._turns import in_turn, ratio, timed

DATA = Path(__file__).parents[2] / "../shared/data"
PIECES, UNITS, EVERY = 5000, 512, 6
"""Of the lists' utterances every sixth is scored: whole trees of 100 hypotheses, in a sixth of the time."""

BATCH_SIZES = (16, 32, 64, 128)


def run() -> list[dict[str, Any]]:
    """Seconds of both, as a ratio; nothing where the lists are missing."""
    lists = DATA / "nbest/librispeech-ctc/test.jsonl.zst"
    if not lists.exists():
        return []
    model = _model()
    chosen = list(read_nbest(lists))[::EVERY]
    texts = list(dict.fromkeys(h.text for utterance in chosen for h in utterance.hypotheses))
    sentences = model.vocabulary.encode_batch(texts)
    size = min(BATCH_SIZES, key=lambda size: timed(lambda: padded_scores(model, sentences[:1000], size))[0])
    sides = {
        "tree": lambda: model.score_tokens(sentences),
        "padded": lambda: padded_scores(model, sentences, size),
    }
    seconds, scores = in_turn(sides)
    ours, theirs = (statistics.median(seconds[side]) for side in sides)
    tree_scores, padded = scores["tree"], scores["padded"]
    difference = float(np.max(np.abs(tree_scores - padded) / [len(s) + 1 for s in sentences]))
    assert difference < 1e-4, f"the two ways differ by {difference} nats a token"
    contexts, sharing = _contexts(sentences)
    work = contexts * 2 * (UNITS * 4 * UNITS + UNITS * PIECES)
    share = work / ours / _peak()
    notes = (
        f"[{len(texts)} hypotheses, {ours:.2f} s against {theirs:.2f} s (batches of {size}), tokens / distinct "
        f"prefixes {sharing:.2f}, {100 * share:.0f} % of the matrix-product peak, {torch.get_num_threads()} threads]"
    )
    against = "padded batches through nn.LSTM"
    return [
        {
            "name": "LSTM prefix tree",
            "ratio": ratio(seconds, "tree", "padded"),
            "against": against,
            "limit": 4.5,
            "notes": notes,
        }
    ]


def _model() -> NeuralLanguageModel:
    lines = read_sentences([DATA / "text/books.valid.txt.zst"], "librispeech")
    vocabulary = SentencePieceVocabulary.train(lines, PIECES)
    torch.manual_seed(1)
    network = LstmNetwork(LstmConfig(vocabulary_size=PIECES, embedding=UNITS, hidden=UNITS))
    return NeuralLanguageModel("lstm", network, vocabulary, "librispeech")


@torch.inference_mode()
def padded_scores(model: NeuralLanguageModel, sentences: list[Any], size: int) -> np.ndarray:
    """The usual way: sorted by length, padded, ``nn.LSTM``, log-softmax over the vocabulary, gather."""
    network: Any = model.network.eval()
    scores = np.empty(len(sentences))
    order = sorted(range(len(sentences)), key=lambda index: len(sentences[index]))
    for begin in range(0, len(order), size):
        rows = order[begin : begin + size]
        width = len(sentences[rows[-1]]) + 1
        inputs = torch.full((len(rows), width), model.vocabulary.eos_id)
        targets = torch.full((len(rows), width), model.vocabulary.eos_id)
        lengths = torch.tensor([len(sentences[row]) for row in rows])
        inputs[:, 0] = model.vocabulary.bos_id
        for line, row in enumerate(rows):
            ids = torch.from_numpy(sentences[row])
            inputs[line, 1 : len(ids) + 1] = ids
            targets[line, : len(ids)] = ids
        hidden, _ = network.lstm(network.embedding(inputs))
        logits = torch.nn.functional.linear(hidden, network.output.weight, network.output.bias)
        values = torch.log_softmax(logits, dim=2).gather(2, targets[:, :, None])[:, :, 0]
        kept = torch.arange(width)[None] <= lengths[:, None]
        scores[rows] = (values * kept).sum(1).numpy()
    return scores


def _contexts(sentences: list[Any]) -> tuple[int, float]:
    """Prefixes a token is predicted from, and tokens divided by them."""
    tree = PrefixTree.build([np.append(sentence, 2).astype(np.int32) for sentence in sentences], 1)
    contexts = sum(len(tree.inner_nodes(level)) for level in range(tree.depth))
    return contexts, len(tree.path) / contexts


def _peak() -> float:
    """Floating-point operations a second of a large matrix product on this machine."""
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    return 2 * 2048**3 / min(timed(lambda: a @ b)[0] for _ in range(10))
