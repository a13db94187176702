"""A causal model of ``transformers`` in bfloat16 on the prefix tree, against the tree in float32 and plain batches.

The network has the shape of SmolLM2-135M (30 layers of 576, 49,152 tokens) and random weights, on which the arithmetic
does not depend; ``MODEL=FOLDER`` takes a real one. All sides have the same threads and the same distinct hypotheses of
LibriSpeech CTC 100-best lists. Where the processor is no quicker in bfloat16 there is nothing to measure.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from asr_lm.hypotheses.prefix_tree import PrefixTree
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.lm.loading import load_model
from asr_lm.lm.pretrained.extras import import_transformers
from asr_lm.lm.pretrained.huggingface import HuggingFaceCausalModel
from asr_lm.lm.protocol import Tokens
from asr_lm.lm.training.corpus import read_sentences
from tests.benchmarks._turns import in_turn, ratio, timed

DATA = Path(__file__).parents[2] / "../shared/data"
MODEL = os.environ.get("MODEL")
PIECES, ROWS = 8000, 49152
UTTERANCES = 2
BATCH_SIZES = (8, 16, 32, 64)


def run() -> list[dict[str, Any]]:
    """Seconds of all, as ratios; nothing where the lists are missing or bfloat16 is slow."""
    lists = DATA / "nbest/librispeech-ctc/test.jsonl.zst"
    if not lists.exists():
        return []
    model, texts = _model(), _texts(lists)
    model.compute_in("auto")
    if model.precision == "float32":
        return []
    sentences = model.encode(texts)
    model.score_tokens(sentences[:50])  # the first products of a process are slow
    trial = sentences[:: max(1, len(sentences) // 100)]
    size = min(BATCH_SIZES, key=lambda size: timed(lambda: padded_scores(model, trial, size))[0])
    exact = _model()
    sides = {
        "tree": lambda: model.score_tokens(sentences),
        "exact": lambda: exact.score_tokens(sentences),
        "padded": lambda: padded_scores(model, sentences, size),
    }
    seconds, scores = in_turn(sides)
    lengths = [len(sentence) + 1 for sentence in sentences]
    assert float(np.mean(np.abs(scores["tree"] - scores["padded"]) / lengths)) < 0.03, "the two ways differ"
    tree = PrefixTree.build(
        [np.append(sentence, model.vocabulary.eos_id).astype(np.int32) for sentence in sentences], 1
    )
    notes = (
        f"{len(texts)} hypotheses, "
        + ", ".join(f"{side} {statistics.median(found):.2f} s" for side, found in seconds.items())
        + f" (batches of {size}), tokens / distinct prefixes {len(tree.path) / len(np.unique(tree.parent[1:])):.2f}, "
        f"{torch.get_num_threads()} threads"
    )
    name = "135 million parameters of transformers, prefix tree in bfloat16"
    return [
        {
            "name": name,
            "ratio": ratio(seconds, "tree", other),
            "against": against,
            "limit": limit,
            "notes": notes,
        }
        for other, against, limit in [
            ("exact", "the same in float32", 2.5),
            ("padded", "padded batches in bfloat16", 3.0),
        ]
    ]


def _texts(lists: Path) -> list[str]:
    utterances = list(read_nbest(lists))
    chosen = utterances[:: len(utterances) // UTTERANCES][:UTTERANCES]
    return list(dict.fromkeys(hypothesis.text for utterance in chosen for hypothesis in utterance.hypotheses))


def _model() -> HuggingFaceCausalModel:
    if MODEL is not None:
        model = load_model(MODEL)
        assert isinstance(model, HuggingFaceCausalModel)
        return model
    transformers = import_transformers()
    torch.manual_seed(1)
    config = transformers.LlamaConfig(
        vocab_size=ROWS,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        tie_word_embeddings=True,
        max_position_embeddings=8192,
    )
    return HuggingFaceCausalModel(transformers.LlamaForCausalLM(config), _tokenizer(transformers))


def _tokenizer(transformers: Any) -> Any:
    """A byte-level BPE of the books' validation text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    built = Tokenizer(models.BPE())
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    built.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=PIECES, special_tokens=["<|endoftext|>"], show_progress=False)
    built.train_from_iterator(read_sentences([DATA / "text/books.valid.txt.zst"], "as-is"), trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=built, bos_token="<|endoftext|>", eos_token="<|endoftext|>", unk_token="<|endoftext|>"
    )


@torch.inference_mode()
def padded_scores(model: HuggingFaceCausalModel, sentences: Sequence[Tokens], size: int) -> np.ndarray:
    """The usual way: sorted by length, padded on the right, cross-entropy with what follows."""
    scores = np.empty(len(sentences))
    order = sorted(range(len(sentences)), key=lambda index: len(sentences[index]))
    vocabulary = model.vocabulary
    for begin in range(0, len(order), size):
        rows = order[begin : begin + size]
        width = len(sentences[rows[-1]]) + 1
        inputs = torch.full((len(rows), width), vocabulary.eos_id)
        targets = torch.full((len(rows), width), vocabulary.eos_id)
        inputs[:, 0] = vocabulary.bos_id
        for line, row in enumerate(rows):
            ids = torch.from_numpy(np.asarray(sentences[row], dtype=np.int64))
            inputs[line, 1 : len(ids) + 1] = ids
            targets[line, : len(ids)] = ids
        # Rows are padded on the right and every token looks back only, so no mask is needed: the quickest attention.
        logits = model.network(input_ids=inputs, use_cache=False).logits
        values = -cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view_as(targets).float()
        kept = torch.arange(width)[None] <= torch.tensor([len(sentences[row]) for row in rows])[:, None]
        scores[rows] = (values * kept).sum(1).double().numpy()
    return scores
