"""Feed-forward scoring of n-best lists, distinct contexts once, against the usual way: padded batches.

Both sides have the same weights (random: the arithmetic does not depend on them), the same threads, and the same
distinct hypotheses of LibriSpeech CTC 100-best lists, so what differs is the method alone.
"""

from __future__ import annotations

import itertools
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asr_lm.hypotheses.prefix_tree import PrefixTree
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.lm.families.nnlm import NnlmConfig
from asr_lm.lm.families.nnlm.network import NnlmNetwork, distinct_contexts
from asr_lm.lm.neural import NeuralLanguageModel
from asr_lm.lm.output.layer import SoftmaxOutput
from asr_lm.lm.training.batches import IGNORED, SentenceBatches
from asr_lm.lm.training.corpus import TokenCorpus, read_sentences
from asr_lm.text.vocabulary import SentencePieceVocabulary
from tests.benchmarks._turns import in_turn, ratio, timed

DATA = Path(__file__).parents[2] / "../shared/data"
PIECES, ORDER, EMBEDDING, UNITS = 5000, 5, 128, 400
UTTERANCES = 20
BATCH_TOKENS = (512, 1024, 2048, 4096)


def run() -> list[dict[str, Any]]:
    """Seconds of both, as a ratio; nothing where the lists are missing."""
    lists = DATA / "nbest/librispeech-ctc/test.jsonl.zst"
    if not lists.exists():
        return []
    model = _model()
    utterances = itertools.islice(read_nbest(lists), UTTERANCES)
    texts = list(dict.fromkeys(h.text for utterance in utterances for h in utterance.hypotheses))
    sentences = model.vocabulary.encode_batch(texts)
    size = min(BATCH_TOKENS, key=lambda size: timed(lambda: padded_score(model, sentences[:500], size))[0])
    sides = {"tree": lambda: model.score_tokens(sentences), "padded": lambda: padded_score(model, sentences, size)}
    seconds, scores = in_turn(sides)
    ours, theirs = (statistics.median(seconds[side]) for side in sides)
    tree_scores, padded = scores["tree"], scores["padded"]
    tokens = sum(len(sentence) + 1 for sentence in sentences)
    difference = abs(float(tree_scores.sum()) - padded) / tokens
    assert difference < 1e-4, f"the two ways differ by {difference} nats a token"
    tree = PrefixTree.build([np.append(s, model.vocabulary.eos_id).astype(np.int32) for s in sentences], 1)
    contexts = len(distinct_contexts(tree, ORDER - 1)[0])
    notes = (
        f"[{len(texts)} hypotheses, {ours:.2f} s against {theirs:.2f} s (batches of {size} tokens), {tokens} tokens, "
        f"{len(np.unique(tree.parent[1:]))} prefixes, {contexts} distinct contexts, {torch.get_num_threads()} threads]"
    )
    against = "padded batches of the same network"
    return [
        {
            "name": "NNLM prefix tree",
            "ratio": ratio(seconds, "tree", "padded"),
            "against": against,
            "limit": 12.0,
            "notes": notes,
        }
    ]


def _model() -> NeuralLanguageModel:
    lines = itertools.islice(read_sentences([DATA / "text/books.valid.txt.zst"], "librispeech"), 10_000)
    vocabulary = SentencePieceVocabulary.train(lines, PIECES)
    torch.manual_seed(1)
    network = NnlmNetwork(NnlmConfig(PIECES, order=ORDER, embedding=EMBEDDING, hidden=UNITS, direct=True))
    return NeuralLanguageModel("nnlm", network, vocabulary, "librispeech")


@torch.inference_mode()
def padded_score(model: NeuralLanguageModel, sentences: list[Any], size: int) -> float:
    """The usual way: batches of like length, every position computed, log-softmax over the vocabulary, gather."""
    offsets = np.cumsum([0, *map(len, sentences)], dtype=np.int64)
    corpus = TokenCorpus(np.concatenate(sentences), offsets, 0, 0, "")
    network, total = model.network.eval(), 0.0
    assert isinstance(network, NnlmNetwork)
    assert isinstance(network.output, SoftmaxOutput)
    for batch in SentenceBatches(corpus, model.vocabulary, size, None).batches(0):
        hidden, _ = network(batch.inputs)
        logits = torch.nn.functional.linear(hidden, network.output.weight, network.output.bias)
        targets = batch.targets.clamp(min=0)
        values = torch.log_softmax(logits, dim=2).gather(2, targets[:, :, None])[:, :, 0]
        total += float((values * (batch.targets != IGNORED)).double().sum())
    return total
