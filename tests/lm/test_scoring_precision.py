"""Laws of scoring in bfloat16: near to float32, told, and kept apart in the cache."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from asr_lm.lm import neural
from asr_lm.lm.families.gpt1 import Gpt1Config
from asr_lm.lm.families.gpt1.network import Gpt1Model, Gpt1Network
from asr_lm.lm.families.gru import GruConfig
from asr_lm.lm.families.gru.network import GruNetwork
from asr_lm.lm.families.lstm import LstmConfig
from asr_lm.lm.families.lstm.network import LstmNetwork
from asr_lm.lm.families.nnlm import NnlmConfig
from asr_lm.lm.families.nnlm.network import NnlmNetwork
from asr_lm.lm.families.rnnlm import RnnlmConfig
from asr_lm.lm.families.rnnlm.network import RnnlmNetwork
from asr_lm.lm.neural import NeuralLanguageModel
from asr_lm.lm.output.layer import softmax_log_probs
from asr_lm.lm.precision import IN_BFLOAT16
from asr_lm.lm.scoring.matrix_product import linear, products_in
from asr_lm.text.vocabulary import WordVocabulary

VOCABULARY = WordVocabulary([f"w{number}" for number in range(30)])
SIZE = VOCABULARY.size
NETWORKS = {
    "lstm": lambda: LstmNetwork(LstmConfig(SIZE, 24, 24, layers=2)),
    "adaptive": lambda: LstmNetwork(LstmConfig(SIZE, 24, 24, tied=False, output="adaptive")),
    "class": lambda: LstmNetwork(LstmConfig(SIZE, 24, 24, tied=False, output="class", classes=5)),
    "gru": lambda: GruNetwork(GruConfig(SIZE, 24, 24)),
    "nnlm": lambda: NnlmNetwork(NnlmConfig(SIZE, embedding=24, hidden=24)),
    "rnnlm": lambda: RnnlmNetwork(RnnlmConfig(SIZE, hidden=24)),
    "gpt1": lambda: Gpt1Network(Gpt1Config(SIZE, layers=2, width=24, heads=2, positions=16)),
}


def model(kind: str) -> NeuralLanguageModel:
    torch.manual_seed(4)
    network = NETWORKS[kind]()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad and parameter.dim() == 2:
                parameter.mul_(2.0)  # so that what was read matters
    kind_of_model = Gpt1Model if kind == "gpt1" else NeuralLanguageModel
    return kind_of_model(kind, network, VOCABULARY, "as-is")


TEXTS = [" ".join(f"w{word}" for word in np.random.default_rng(seed).integers(30, size=12)) for seed in range(20)]


@pytest.mark.parametrize("kind", NETWORKS)
def test_scores_are_near_those_of_float32(kind: str) -> None:
    scorer = model(kind)
    exact = scorer.log_prob(TEXTS)
    scorer.compute_in("bfloat16")
    rounded = scorer.log_prob(TEXTS)
    assert not np.array_equal(exact, rounded)
    np.testing.assert_allclose(rounded, exact, atol=0.02 * 13)
    assert float(np.abs(rounded - exact).mean()) < 0.1
    scorer.compute_in("float32")
    np.testing.assert_array_equal(scorer.log_prob(TEXTS), exact)


def test_it_is_told_and_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = model("lstm")
    exact = scorer.fingerprint()
    assert scorer.remarks == []
    scorer.compute_in("auto")  # a small network stays as it is
    assert (scorer.remarks, scorer.fingerprint(), scorer.shard_hypotheses) == ([], exact, None)
    scorer.compute_in("bfloat16")
    assert scorer.remarks == [IN_BFLOAT16]
    assert scorer.fingerprint() != exact
    monkeypatch.setattr(neural, "_LARGE", 10)
    monkeypatch.setattr(neural, "resolve_precision", lambda asked, network: "bfloat16")
    scorer.compute_in("auto")
    assert scorer.remarks == [IN_BFLOAT16]
    assert scorer.shard_hypotheses == int(4e10 / scorer.parameters)


def test_the_token_asked_for_is_exact_but_for_the_sum() -> None:
    """Its own logit is not rounded: only the sum over the vocabulary is."""
    torch.manual_seed(1)
    hidden, weight, bias = torch.randn(9, 32), torch.randn(500, 32), torch.randn(500)
    context, tokens = torch.arange(9).repeat_interleave(3), torch.randint(500, (27,))
    exact = softmax_log_probs(hidden, context, tokens, weight, bias)
    with products_in("bfloat16"):
        rounded = softmax_log_probs(hidden, context, tokens, weight, bias)
        assert not torch.equal(linear(hidden, weight, bias), torch.addmm(bias, hidden, weight.T))
    # Logits of this size are rounded by up to 0.06.
    assert float((exact - rounded).abs().max()) < 0.07
    for row in range(9):
        some = slice(3 * row, 3 * row + 3)
        differences = (exact[some] - rounded[some]).diff()
        torch.testing.assert_close(differences, torch.zeros(2), atol=0.02, rtol=0)
