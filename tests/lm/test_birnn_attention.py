from __future__ import annotations

import itertools
import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from asr_lm.errors import InputError
from asr_lm.lm.families.birnn_attention import BirnnAttentionConfig
from asr_lm.lm.families.birnn_attention.network import BirnnAttentionModel, BirnnAttentionNetwork
from asr_lm.lm.loading import load_model
from asr_lm.lm.scoring.conditional import Written
from asr_lm.lm.training.batches import IGNORED
from asr_lm.lm.training.pairs import ListedPairs, PairBatches, encode_sources, join_source, padded, pair_batch
from asr_lm.text.vocabulary import WordVocabulary

WORDS = WordVocabulary([f"w{number}" for number in range(9)])
SIZES = BirnnAttentionConfig(WORDS.size, 6, 5, 4, 6, dropout=0.3)


def make_network(sizes: BirnnAttentionConfig = SIZES, seed: int = 0) -> BirnnAttentionNetwork:
    torch.manual_seed(seed)
    network = BirnnAttentionNetwork(sizes)
    for parameter in network.parameters():
        parameter.data.normal_(std=0.5)
    return network.eval()


def make_model(seed: int = 0, **sizes: object) -> BirnnAttentionModel:
    network = make_network(replace(SIZES, **sizes), seed)
    return BirnnAttentionModel("birnn-attention", network, WORDS, "as-is")


def text(generator: random.Random, longest: int = 6) -> str:
    return " ".join(f"w{generator.randrange(9)}" for _ in range(generator.randrange(longest + 1)))


def lists(count: int, seed: int = 0) -> list[list[str]]:
    generator = random.Random(seed)
    return [[text(generator) for _ in range(generator.randrange(1, 4))] for _ in range(count)]


# The equations


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-x))


def plain_gru(x: NDArray[np.float64], weights: list[NDArray[np.float64]], n: int) -> NDArray[np.float64]:
    """Annotations of one direction; torch's gates are r, z, n, and its z is one minus the paper's."""
    w, u, b, c = weights
    h, states = np.zeros(n), []
    for step in x:
        i, r = w @ step + b, u @ h + c
        reset, keep = sigmoid(i[:n] + r[:n]), sigmoid(i[n : 2 * n] + r[n : 2 * n])
        h = keep * h + (1 - keep) * np.tanh(i[2 * n :] + reset * r[2 * n :])
        states.append(h)
    return np.array(states)


def plain_log_probs(network: BirnnAttentionNetwork, source: list[int], inputs: list[int]) -> NDArray[np.float64]:
    """The equations of the paper, one token at a time."""
    p = {name: value.detach().double().numpy() for name, value in network.named_parameters()}
    n, v = network.config.hidden, network.config.vocabulary_size
    embedding = p["embedding.weight"]
    x = embedding[source]
    kinds = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    forwards = plain_gru(x, [p[f"encoder.forwards.{kind}"] for kind in kinds], n)
    backwards = plain_gru(x[::-1], [p[f"encoder.backwards.{kind}"] for kind in kinds], n)[::-1]
    h = np.concatenate([forwards, backwards], axis=1)
    s = np.tanh(p["encoder.first_state.weight"] @ backwards[0] + p["encoder.first_state.bias"])
    alpha, covered = np.zeros(len(x)), np.zeros(len(x))
    rows = []
    for token in inputs:
        y = embedding[token]
        e = np.zeros(len(h))
        for j, some in enumerate(h):
            read = p["alignment.state.weight"] @ s + p["alignment.annotation.weight"] @ some
            read = read + p["alignment.annotation.bias"]
            if network.config.pointer:
                read = read + p["alignment.token.weight"] @ y
            if network.config.location:
                read = read + p["alignment.location.weight"] @ [alpha[j], alpha[j - 1] if j else 0.0, covered[j]]
            e[j] = p["alignment.energy"] @ np.tanh(read)
        alpha = np.exp(e) / np.exp(e).sum()
        covered = covered + alpha
        c = alpha @ h
        t = p["output.state.weight"] @ s + p["output.state.bias"]
        t = t + p["output.token.weight"] @ y + p["output.context.weight"] @ c
        t = maxima = np.array([max(t[2 * k], t[2 * k + 1]) for k in range(len(t) // 2)])
        if network.config.copy:
            t = t + p["output.copy.weight"] @ (alpha @ x)
        logits = p.get("output.weight", embedding)[:v] @ t + p["output.bias"]
        probabilities = np.exp(logits) / np.exp(logits).sum()
        if network.config.pointer:
            gate = sigmoid(p["pointer.gate.weight"][0] @ maxima + p["pointer.gate.bias"][0])
            probabilities = gate * probabilities
            copied = [j for j, token in enumerate(source) if token != network.separator]
            for j in copied:
                probabilities[source[j]] += (1 - gate) * alpha[j] / alpha[copied].sum()
        rows.append(np.log(probabilities))
        read = p["decoder.token.weight"] @ y + p["decoder.token.bias"] + p["decoder.context.weight"] @ c
        gates = p["decoder.gates.weight"] @ s
        z, r = sigmoid(read[:n] + gates[:n]), sigmoid(read[n : 2 * n] + gates[n:])
        s = (1 - z) * s + z * np.tanh(read[2 * n :] + p["decoder.proposal.weight"] @ (r * s))
    return np.array(rows)


@pytest.mark.parametrize("location", [False, True])
@pytest.mark.parametrize("pointer", [False, True])
@pytest.mark.parametrize(("tied", "copy"), [(True, True), (True, False), (False, False)])
def test_the_equations_of_the_papers(tied: bool, copy: bool, pointer: bool, location: bool) -> None:
    network = make_network(replace(SIZES, tied=tied, copy=copy, pointer=pointer, location=location))
    source, inputs = [4, 7, network.separator, 3, 2], [WORDS.bos_id, 5, 5, 8]
    with torch.no_grad():
        logits, _ = network(torch.tensor([source]), torch.tensor([inputs]))
    found = logits[0].double().log_softmax(-1).numpy()
    np.testing.assert_allclose(found, plain_log_probs(network, source, inputs), atol=1e-5)


def test_probabilities_and_attention_sum_to_one_and_padding_gets_none() -> None:
    network = make_network()
    source = padded([np.array([3, 4, 5, 2]), np.array([6, 2])], IGNORED)
    logits, weights = network(source, torch.tensor([[1, 3, 4], [1, 5, 2]]))
    assert logits.shape == (2, 3, WORDS.size)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3))
    assert (weights[1, :, 2:] == 0).all()
    encoded = network.encode(source)
    log_probs, _ = network.step(encoded, torch.tensor([1, 1]), network.first_state(encoded))
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(2))


@pytest.mark.parametrize("half", [False, True], ids=["float32", "bfloat16"])
def test_gradients_reach_every_parameter(half: bool) -> None:
    for tied in (True, False):
        network = make_network(replace(SIZES, tied=tied, copy=tied)).train()
        sources = encode_sources(lists(20), WORDS, "list")
        targets = WORDS.encode_batch([some[0] for some in lists(20, 1)])
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss, state = network.loss(pair_batch(sources, targets, WORDS))
        assert state is None
        loss.backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name


def test_label_smoothing_is_for_training_alone() -> None:
    plain, smooth = (
        make_network(replace(SIZES, dropout=0.0)),
        make_network(replace(SIZES, dropout=0.0, label_smoothing=0.2)),
    )
    batch = pair_batch([np.array([3, 2])], [np.array([4])], WORDS)
    with torch.no_grad():
        assert float(plain.loss(batch)[0]) == float(smooth.loss(batch)[0])
        assert float(plain.train().loss(batch)[0]) != float(smooth.train().loss(batch)[0])


def test_sizes_that_make_no_network_are_refused() -> None:
    with pytest.raises(InputError, match="maxout"):
        BirnnAttentionConfig(10, embedding=4, maxout=5)
    with pytest.raises(InputError, match="heard"):
        BirnnAttentionConfig(10, heard="all")  # type: ignore[arg-type]


# Scoring


def teacher_forced(model: BirnnAttentionModel, source: NDArray[np.int32], sentence: NDArray[np.int32]) -> np.ndarray:
    batch = pair_batch([source], [sentence], WORDS)
    with torch.no_grad():
        logits, _ = model.network(batch.source, batch.inputs)
    log_probs = logits[0].double().log_softmax(-1)
    return log_probs.gather(1, batch.targets[0][:, None])[:, 0].numpy()


@pytest.mark.parametrize("additions", [True, False])
def test_the_tree_gives_what_each_sentence_alone_gives_whatever_the_budget(additions: bool) -> None:
    model = make_model(pointer=additions, location=additions)
    sources, sentences = model.sources(lists(30)), [WORDS.encode_batch(some) for some in lists(30, 5)]
    whole = model.token_log_probs_given(sources, sentences)
    for source, some, found in zip(sources, sentences, whole, strict=True):
        for sentence, values in zip(some, found, strict=True):
            np.testing.assert_allclose(values, teacher_forced(model, source, sentence), atol=1e-5)
    for budget in (1, 60, 200):
        for one, other in zip(whole, model.token_log_probs_given(sources, sentences, budget), strict=True):
            for values, others in zip(one, other, strict=True):
                np.testing.assert_allclose(values, others, atol=1e-5)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model()
    sources, sentences = model.sources(lists(12)), [WORDS.encode_batch(some) for some in lists(12, 5)]
    whole = model.token_log_probs_given(sources, sentences)
    monkeypatch.setattr("asr_lm.lm.families.birnn_attention.network._BLOCK_VALUES", 1)
    for one, other in zip(whole, model.token_log_probs_given(sources, sentences), strict=True):
        for values, others in zip(one, other, strict=True):
            np.testing.assert_allclose(values, others, atol=1e-5)


def test_the_probabilities_of_all_sentences_sum_to_one() -> None:
    model = make_model()
    (source,) = model.sources([["w1 w2"]])
    total, begun = 0.0, [np.zeros(0, np.int32)]
    for _ in range(3):
        (values,) = model.token_log_probs_given([source], [begun])
        total += sum(float(np.exp(value.sum())) for value in values)
        begun = [np.append(some, token).astype(np.int32) for some in begun for token in range(WORDS.size) if token != 2]
    (values,) = model.token_log_probs_given([source], [begun])
    left = sum(float(np.exp(value[:-1].sum())) for value in values)
    assert total + left == pytest.approx(1, abs=1e-4)


def test_a_source_is_the_distinct_hypotheses_or_the_first() -> None:
    heard = [["w1 w2", "w3", "w1 w2"], [""]]
    assert [some.tolist() for some in make_model().sources(heard)] == [[4, 5, WORDS.size, 6, 2], [2]]
    assert [some.tolist() for some in make_model(heard="first").sources(heard)] == [[4, 5, 2], [2]]
    assert join_source([np.array([7])], 12, 2).tolist() == [7, 2]


def test_it_cannot_score_a_text_without_a_list() -> None:
    with pytest.raises(InputError, match="given what the recogniser heard"):
        make_model().score_tokens([np.array([3], np.int32)])


def test_save_and_load_change_nothing(tmp_path: Path) -> None:
    model = make_model(heard="first")
    model.save(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert isinstance(loaded, BirnnAttentionModel)
    assert loaded.fingerprint() == model.fingerprint()
    assert loaded.network.config == model.network.config
    sources, sentences = model.sources(lists(5)), [WORDS.encode_batch(some) for some in lists(5, 2)]
    before = model.token_log_probs_given(sources, sentences)
    found = zip(before, loaded.token_log_probs_given(sources, sentences), strict=True)
    for one, other in found:
        for values, others in zip(one, other, strict=True):
            np.testing.assert_array_equal(values, others)


def test_a_folder_from_before_pointer_and_location_has_neither(tmp_path: Path) -> None:
    model = make_model(pointer=False, location=False)
    model.save(tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    del config["network"]["pointer"], config["network"]["location"]
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    loaded = load_model(tmp_path / "model")
    assert isinstance(loaded, BirnnAttentionModel)
    assert loaded.network.config == model.network.config


def test_what_is_copied_is_no_separator_and_may_be_the_end() -> None:
    network = make_network()
    assert network.pointer is not None
    network.pointer.gate.bias.data.fill_(-100)  # it copies everything
    source = [4, 7, network.separator, 4, 2]
    with torch.no_grad():
        logits, weights = network(torch.tensor([source]), torch.tensor([[WORDS.bos_id, 5]]))
    copied = weights[0][:, [0, 1, 3, 4]]
    expected = torch.zeros(2, WORDS.size)
    expected[:, 4], expected[:, 7], expected[:, 2] = copied[:, 0] + copied[:, 2], copied[:, 1], copied[:, 3]
    torch.testing.assert_close(logits[0].exp(), expected / copied.sum(1, keepdim=True))


# Writing


@pytest.mark.parametrize("width", [1, 4])
def test_the_beam_scores_its_sentences_as_scoring_does(width: int) -> None:
    model = make_model(3)
    sources = model.sources(lists(8))
    written = model.write(sources, width=width, best=min(width, 2))
    scored = model.token_log_probs_given(sources, [[sentence.tokens for sentence in some] for some in written])
    for some, values in zip(written, scored, strict=True):
        for sentence, log_probs in zip(some, values, strict=True):
            assert sentence.log_prob == pytest.approx(log_probs.sum(), abs=1e-4)


def test_what_is_written_does_not_depend_on_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model(3)
    sources = model.sources(lists(8))
    together = model.write(sources, width=3)
    monkeypatch.setattr(BirnnAttentionModel, "default_budget", 1)
    assert [texts(some) for some in model.write(sources, width=3)] == [texts(some) for some in together]


def test_no_text_is_much_longer_than_what_was_heard() -> None:
    model = make_model(pointer=False)  # which would copy the end
    model.network.output.bias.data[WORDS.eos_id] = -100  # it never wants to end
    sources = model.sources([["w1 w2 w3", "w4"], ["", "w1"], [""]])
    assert [len(some[0].tokens) for some in model.write(sources, width=2)] == [13, 11, 10]


def texts(some: list[Written]) -> list[list[int]]:
    return [sentence.tokens.tolist() for sentence in some]


def test_alignments_are_those_of_the_forward_pass() -> None:
    model = make_model()
    (source,) = model.sources([["w1 w2", "w3"]])
    weights = model.alignments(source, WORDS.encode("w4 w5 w6"))
    assert weights.shape == (4, len(source))
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)


def test_it_learns_to_reverse() -> None:
    generator = random.Random(1)
    every = [" ".join(words) for length in range(1, 5) for words in itertools.product(WORDS.tokens[3:7], repeat=length)]
    said = generator.sample(every, 200)
    sources = encode_sources([[line] for line in said], WORDS, "list")
    targets = WORDS.encode_batch([" ".join(reversed(line.split())) for line in said])
    torch.manual_seed(1)
    network = BirnnAttentionNetwork(BirnnAttentionConfig(WORDS.size, 24, 24, 24, 24, dropout=0.0))
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.015, weight_decay=0.0)
    batches = PairBatches(ListedPairs(sources, targets), WORDS, 160, 1)
    for epoch in range(18):
        for batch in batches.batches(epoch):
            loss, _ = network.loss(batch)
            (loss / batch.tokens).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
    model = BirnnAttentionModel("birnn-attention", network, WORDS, "as-is")
    written = model.write(sources, width=2)
    right = sum(some[0].tokens.tolist() == target.tolist() for some, target in zip(written, targets, strict=True))
    assert right >= 196
