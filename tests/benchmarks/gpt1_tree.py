"""GPT-1 on the prefix trees of n-best lists against the usual way: padded batches through fused attention.

Both sides have the same weights (random: the arithmetic does not depend on them), the same threads, and the same
distinct hypotheses of LibriSpeech CTC 100-best lists, so what differs is the method alone.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import linear, log_softmax

from asr_lm.hypotheses.prefix_tree import PrefixTree
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.lm.families.gpt1 import Gpt1Config
from asr_lm.lm.families.gpt1.network import Gpt1Model, Gpt1Network
from asr_lm.lm.training.corpus import read_sentences
from asr_lm.text.vocabulary import SentencePieceVocabulary
from tests.benchmarks._turns import in_turn, ratio, timed

DATA = Path(__file__).parents[2] / "../shared/data"
PIECES, LAYERS, WIDTH, HEADS = 5000, 6, 384, 6
UTTERANCES = 20
BATCH_SIZES = (16, 32, 64, 128)


def run() -> list[dict[str, Any]]:
    """Seconds of both, as a ratio; nothing where the lists are missing."""
    lists = DATA / "nbest/librispeech-ctc/test.jsonl.zst"
    if not lists.exists():
        return []
    model = _model()
    utterances = list(read_nbest(lists))
    chosen = utterances[:: len(utterances) // UTTERANCES]
    texts = list(dict.fromkeys(hypothesis.text for utterance in chosen for hypothesis in utterance.hypotheses))
    sentences = model.vocabulary.encode_batch(texts)
    model.score_tokens(sentences[:200])  # the first products of a process are slow
    trial = sentences[:: max(1, len(sentences) // 500)]
    size = min(BATCH_SIZES, key=lambda size: min(timed(lambda: padded_scores(model, trial, size))[0] for _ in "ab"))
    sides = {
        "tree": lambda: model.score_tokens(sentences),
        "padded": lambda: padded_scores(model, sentences, size),
    }
    seconds, scores = in_turn(sides)
    tree_scores, padded = scores["tree"], scores["padded"]
    difference = float(np.max(np.abs(tree_scores - padded) / [len(s) + 1 for s in sentences]))
    assert difference < 1e-4, f"the two ways differ by {difference} nats a token"
    ours, theirs = (statistics.median(seconds[side]) for side in sides)
    tree = PrefixTree.build([np.append(s, model.vocabulary.eos_id).astype(np.int32) for s in sentences], 1)
    contexts = len(np.unique(tree.parent[1:]))
    notes = (
        f"[{len(texts)} hypotheses, {ours:.2f} s against {theirs:.2f} s (batches of {size}), tokens / distinct "
        f"prefixes {len(tree.path) / contexts:.2f}, {torch.get_num_threads()} threads]"
    )
    against = "padded batches of the same network"
    return [
        {
            "name": "GPT-1 prefix tree",
            "ratio": ratio(seconds, "tree", "padded"),
            "against": against,
            "limit": 3.5,
            "notes": notes,
        }
    ]


def _model() -> Gpt1Model:
    lines = read_sentences([DATA / "text/books.valid.txt.zst"], "librispeech")
    vocabulary = SentencePieceVocabulary.train(lines, PIECES)
    torch.manual_seed(1)
    network = Gpt1Network(Gpt1Config(PIECES, layers=LAYERS, width=WIDTH, heads=HEADS))
    return Gpt1Model("gpt1", network, vocabulary, "librispeech")


@torch.inference_mode()
def padded_scores(model: Gpt1Model, sentences: list[Any], size: int) -> np.ndarray:
    """The usual way: sorted by length, padded, causal attention, log-softmax over the vocabulary, gather."""
    network = model.network.eval()
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
        hidden, _ = network(inputs)
        logits = linear(hidden, network.embedding.weight)
        values = log_softmax(logits, dim=2).gather(2, targets[:, :, None])[:, :, 0]
        kept = torch.arange(width)[None] <= lengths[:, None]
        scores[rows] = (values * kept).sum(1).numpy()
    return scores
