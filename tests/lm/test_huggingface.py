"""Laws of Hugging Face models as scorers: tree equals path by path, masks hide one token, padding changes nothing."""

from __future__ import annotations

import itertools
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

transformers = pytest.importorskip("transformers")

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers  # noqa: E402

from asr_lm.errors import InputError  # noqa: E402
from asr_lm.evaluation.perplexity import measure  # noqa: E402
from asr_lm.hypotheses.prefix_tree import PrefixTree  # noqa: E402
from asr_lm.lm.generation import Sampling, generate  # noqa: E402
from asr_lm.lm.loading import load_model  # noqa: E402
from asr_lm.lm.mixtures.linear import LinearMixture  # noqa: E402
from asr_lm.lm.mixtures.log_linear import LogLinearMixture  # noqa: E402
from asr_lm.lm.mixtures.members import Member  # noqa: E402
from asr_lm.lm.precision import IN_BFLOAT16  # noqa: E402
from asr_lm.lm.pretrained import huggingface  # noqa: E402
from asr_lm.lm.pretrained.huggingface import HuggingFaceCausalModel, HuggingFaceMaskedModel  # noqa: E402
from asr_lm.lm.protocol import LogProbs  # noqa: E402
from asr_lm.rescoring.scoring.models import RescoringModel, name_and_path  # noqa: E402
from asr_lm.text.huggingface_tokenizer import HuggingFaceVocabulary  # noqa: E402

TEXTS = ["the cat sat on the mat", "the cat sat on a mat", "the cat", "", "a dog sat", "the cat sat on the hat today"]
LINES = [*TEXTS, "dogs and cats sat on mats with hats", "a mat on a mat"] * 3


def tokenizer(kind: str) -> Any:
    """A tokeniser built here."""
    if kind == "wordpiece":
        return _wordpiece()
    special = {"gpt2": ["<|endoftext|>"], "opt": ["<s>", "<pad>", "</s>", "<unk>"], "llama": ["<unk>", "<s>", "</s>"]}[
        kind
    ]
    built = Tokenizer(models.BPE())
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    built.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    built.train_from_iterator(
        LINES,
        trainers.BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    roles = {
        "gpt2": {"eos_token": "<|endoftext|>", "bos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"},
        "opt": {"bos_token": "</s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"},
        # Neither padding nor a beginning.
        "llama": {"eos_token": "</s>", "unk_token": "<unk>"},
    }[kind]
    return transformers.PreTrainedTokenizerFast(tokenizer_object=built, **roles)


def _wordpiece() -> Any:
    built = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    built.normalizer = normalizers.BertNormalizer(lowercase=True)
    built.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    built.train_from_iterator(
        LINES, trainers.WordPieceTrainer(vocab_size=60, special_tokens=special, show_progress=False)
    )
    built.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"unk": "[UNK]", "pad": "[PAD]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=built, **{f"{role}_token": token for role, token in names.items()}
    )


def network(kind: str, size: int, window: int = 32) -> Any:
    """A small random network whose weights are large enough for contexts to matter."""
    torch.manual_seed(1)
    if kind == "gpt2":
        config = transformers.GPT2Config(
            vocab_size=size, n_positions=window, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
        )
        found = transformers.GPT2LMHeadModel(config)
    elif kind == "opt":
        config = transformers.OPTConfig(
            vocab_size=size, hidden_size=16, num_hidden_layers=2, ffn_dim=32, num_attention_heads=2,
            max_position_embeddings=window, word_embed_proj_dim=16, pad_token_id=1, bos_token_id=2, eos_token_id=2,
        )  # fmt: skip
        found = transformers.OPTForCausalLM(config)
    elif kind == "llama":
        config = transformers.LlamaConfig(
            vocab_size=size, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
            max_position_embeddings=window, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        )  # fmt: skip
        found = transformers.LlamaForCausalLM(config)
    elif kind == "bloom":
        config = transformers.BloomConfig(vocab_size=size, hidden_size=16, n_layer=2, n_head=2)
        found = transformers.BloomForCausalLM(config)
    else:
        config = transformers.BertConfig(
            vocab_size=size, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
            max_position_embeddings=window,
        )  # fmt: skip
        found = transformers.BertForMaskedLM(config)
    generator = torch.Generator().manual_seed(2)
    for name, parameter in found.named_parameters():
        if "norm" not in name.lower() and "ln_" not in name:
            torch.nn.init.normal_(parameter, std=0.4, generator=generator)
    return found.eval()


TOKENIZERS = {"gpt2": "gpt2", "opt": "opt", "llama": "llama", "bloom": "opt"}
every_causal = pytest.mark.parametrize("kind", TOKENIZERS)


def causal(kind: str, window: int = 32) -> HuggingFaceCausalModel:
    tokens = tokenizer(TOKENIZERS[kind])
    # Rows beyond the tokeniser's, as many released models have them.
    return HuggingFaceCausalModel(network(kind, len(tokens) + 3, window), tokens)


def masked(window: int = 32) -> HuggingFaceMaskedModel:
    tokens = _wordpiece()
    return HuggingFaceMaskedModel(network("bert", len(tokens), window), tokens)


@torch.no_grad()
def by_hand(model: HuggingFaceCausalModel, text: str) -> LogProbs:
    """Each token from all before it, without mask, padding or batch."""
    ids = [model.vocabulary.bos_id, *model.vocabulary.encode(text).tolist(), model.vocabulary.eos_id]
    logits = model.network(input_ids=torch.tensor([ids[:-1]])).logits[0]
    values = torch.log_softmax(logits, dim=1)[torch.arange(len(ids) - 1), torch.tensor(ids[1:])]
    return values.double().numpy()


@every_causal
def test_what_may_follow_is_what_each_token_gets_as_the_next(kind: str) -> None:
    model = causal(kind)
    prefixes = [model.vocabulary.encode(text) for text in ("", "the cat", "a dog sat on the mat")]
    found = model.next_log_probs(prefixes)
    for text, prefix, values in zip(("", "the cat", "a dog sat on the mat"), prefixes, found, strict=True):
        assert values[model.vocabulary.eos_id] == pytest.approx(by_hand(model, text)[-1], abs=1e-4)
        for token in (5, 77, 120):
            (expected,) = model.token_log_probs([np.append(prefix, token).astype(np.int32)])
            assert values[token] == pytest.approx(expected[len(prefix)], abs=1e-4)


@every_causal
def test_it_writes_text(kind: str) -> None:
    model = causal(kind)
    for text in generate(model, "the cat", number=3, sampling=Sampling(longest=12)):
        begin = len(model.vocabulary.encode("the cat"))
        (values,) = model.token_log_probs([text.tokens])
        written = values[begin:] if text.ended else values[begin:-1]
        assert text.log_prob == pytest.approx(written.sum(), abs=1e-3)
        assert text.text.startswith("the cat")


@every_causal
def test_the_tree_gives_what_each_sentence_alone_gives(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = causal(kind)
    assert model.heeds_tree == (kind != "bloom")
    sentences = model.vocabulary.encode_batch(TEXTS)
    expected = [by_hand(model, text) for text in TEXTS]
    assert len(expected[3]) == 1
    for block, logits, budget in ((512, 25_000_000, None), (3, 1, None), (512, 4000, 5)):
        monkeypatch.setattr(huggingface, "_PACKED", block)
        monkeypatch.setitem(huggingface._LOGITS, "cpu", logits)
        for found, wanted in zip(model.token_log_probs(sentences, budget), expected, strict=True):
            np.testing.assert_allclose(found, wanted, atol=2e-4)


@pytest.mark.parametrize("kind", ["gpt2", "opt"])
def test_padded_batches_give_what_the_tree_gives(kind: str) -> None:
    model = causal(kind)
    tree = PrefixTree.build([np.append(s, 0) for s in model.vocabulary.encode_batch(TEXTS)], model.vocabulary.bos_id)
    packed = model.node_log_probs(tree)
    model.__dict__["heeds_tree"] = False
    np.testing.assert_allclose(model.node_log_probs(tree), packed, atol=2e-4)


def test_a_model_that_does_not_heed_the_mask_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    model = causal("gpt2")
    forward = model.network.forward

    def deaf(input_ids: Any = None, attention_mask: Any = None, position_ids: Any = None) -> Any:
        heeded = attention_mask if attention_mask is not None and attention_mask.dim() == 2 else None
        return forward(input_ids=input_ids, attention_mask=heeded, position_ids=position_ids)

    monkeypatch.setattr(model.network, "forward", deaf)
    assert not model.heeds_tree
    np.testing.assert_allclose(
        model.token_log_probs(model.vocabulary.encode_batch(TEXTS[:1]))[0], by_hand(model, TEXTS[0]), atol=2e-4
    )


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
@pytest.mark.parametrize("window", [7, 8])
@pytest.mark.parametrize("heeds_tree", [True, False])
@torch.no_grad()
def test_what_is_longer_than_the_window_rolls(kind: str, window: int, heeds_tree: bool) -> None:
    model = causal(kind, window)
    model.__dict__["heeds_tree"] = heeds_tree
    texts = [
        "the cat sat on the mat with a hat and a dog sat on a mat with a hat today",
        "the cat sat on the mat with a hat and a dog sat on two mats",
        "a cat",
    ]
    for text, found in zip(texts, model.token_log_probs(model.vocabulary.encode_batch(texts)), strict=True):
        ids = [model.vocabulary.bos_id, *model.vocabulary.encode(text).tolist(), model.vocabulary.eos_id]
        assert len(found) == len(ids) - 1
        assert len(ids) > 2 * window or text == "a cat"
        for place in range(1, len(ids)):
            # Windows begin every half window; a token is read in the first that has it.
            half = window // 2
            first = max(0, -(-(place - window) // half)) * half
            assert place - first >= min(place, half)
            row = model.network(input_ids=torch.tensor([ids[first:place]])).logits[0, -1]
            assert found[place - 1] == pytest.approx(float(torch.log_softmax(row, 0)[ids[place]]), abs=2e-4)


@every_causal
def test_every_context_has_a_distribution(kind: str) -> None:
    model = causal(kind)
    size = model.network.config.vocab_size
    context = model.vocabulary.encode("the cat").tolist()
    tree = PrefixTree.build([np.array([*context, token]) for token in range(size)], model.vocabulary.bos_id)
    values = model.node_log_probs(tree)
    last = values[tree.path[tree.offsets[1:] - 1]]
    assert np.exp(last).sum() == pytest.approx(1, abs=1e-5)


@every_causal
def test_the_pad_token_and_its_side_change_nothing(kind: str) -> None:
    model = causal(kind)
    sentences = model.vocabulary.encode_batch(TEXTS)
    before = model.token_log_probs(sentences)
    tokens = tokenizer(TOKENIZERS[kind])
    tokens.padding_side = "left"
    tokens.pad_token = "t"  # as low as any, and within the texts
    other = HuggingFaceCausalModel(model.network, tokens)
    assert other.vocabulary.pad_id != model.vocabulary.pad_id
    for heeds_tree in (model.heeds_tree, False):
        other.__dict__["heeds_tree"] = heeds_tree
        for one, another in zip(before, other.token_log_probs(sentences), strict=True):
            np.testing.assert_allclose(one, another, atol=2e-4)


def test_the_beginning_is_what_the_tokeniser_has_for_it() -> None:
    gpt2, opt, llama, bert = (
        HuggingFaceVocabulary(tokenizer(kind), kind) for kind in ("gpt2", "opt", "llama", "wordpiece")
    )
    assert (gpt2.bos_id, gpt2.eos_id) == (0, 0)
    assert (opt.bos_id, opt.eos_id, opt.pad_id) == (2, 2, 1)
    assert (llama.bos_id, llama.eos_id) == (2, 2)
    assert (bert.bos_id, bert.eos_id, bert.mask_id) == (2, 3, 4)
    assert bert.around() == ([2], [3])
    endless = tokenizer("llama")
    endless.eos_token = None
    with pytest.raises(InputError, match="no token that ends a text"):
        HuggingFaceVocabulary(endless, "endless")


@pytest.mark.parametrize("kind", ["gpt2", "opt", "wordpiece"])
def test_tokens_add_up_to_words_and_special_tokens_are_text(kind: str) -> None:
    vocabulary = HuggingFaceVocabulary(tokenizer(kind), kind)
    for text in [*TEXTS, "dogs unfamiliar mats", "</s> <|endoftext|> [MASK] the"]:
        lengths = vocabulary.word_lengths(text)
        assert len(lengths) == len(text.split())
        assert sum(lengths) == len(vocabulary.encode(text))
        assert not {vocabulary.eos_id, vocabulary.bos_id, vocabulary.mask_id} & set(vocabulary.encode(text).tolist())
    assert vocabulary.decode(vocabulary.encode("the cat")) == "the cat"
    assert vocabulary.is_open == (kind != "wordpiece")
    assert vocabulary.unknown_words("the ☃ cat") == int(kind == "wordpiece")
    assert vocabulary.encode_batch([]) == []


def test_a_slow_tokeniser_counts_the_same() -> None:
    fast = tokenizer("gpt2")
    vocabulary = HuggingFaceVocabulary(fast, "gpt2")
    expected = [vocabulary.word_lengths(text) for text in TEXTS]

    class Slow:
        is_fast = False

        def __getattr__(self, name: str) -> Any:
            return getattr(fast, name)

        def __call__(self, *arguments: Any, **options: Any) -> Any:
            return fast(*arguments, **options)

    assert [HuggingFaceVocabulary(Slow(), "slow").word_lengths(text) for text in TEXTS] == expected


@torch.no_grad()
def pseudo(model: HuggingFaceMaskedModel, text: str) -> list[float]:
    """By hand: one token masked at a time, one sentence at a time."""
    ids = [2, *model.vocabulary.encode(text).tolist(), 3]
    values = []
    for place in range(1, len(ids) - 1):
        hidden = torch.tensor([[*ids[:place], 4, *ids[place + 1 :]]])
        values.append(float(torch.log_softmax(model.network(input_ids=hidden).logits[0, place], 0)[ids[place]]))
    return [*values, 0.0]


def test_a_masked_model_scores_each_token_from_all_others() -> None:
    model = masked()
    expected = [pseudo(model, text) for text in TEXTS]
    for budget in (1, 40, None):
        for found, wanted in zip(
            model.token_log_probs(model.vocabulary.encode_batch(TEXTS), budget), expected, strict=True
        ):
            np.testing.assert_allclose(found, wanted, atol=2e-4)
    assert model.context_rule == "none"


@torch.no_grad()
def test_a_masked_model_reads_long_texts_around_each_token() -> None:
    model = masked(window=8)
    tokens = model.vocabulary.encode("the cat sat on the mat with a hat")
    found = model.token_log_probs([tokens])[0]
    assert len(tokens) > 8
    for place, value in enumerate(found[:-1].tolist()):
        first = min(max(place - 3, 0), len(tokens) - 6)
        ids = [2, *tokens[first : first + 6].tolist(), 3]
        ids[1 + place - first] = 4
        row = model.network(input_ids=torch.tensor([ids])).logits[0, 1 + place - first]
        assert value == pytest.approx(float(torch.log_softmax(row, 0)[tokens[place]]), abs=2e-4)


def test_positions_behind_the_padding_are_no_window() -> None:
    config = transformers.RobertaConfig(
        vocab_size=60, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=12, pad_token_id=1,
    )  # fmt: skip
    model = HuggingFaceMaskedModel(transformers.RobertaForMaskedLM(config), _wordpiece())
    assert model.window == 10
    assert np.isfinite(
        model.score_tokens(model.vocabulary.encode_batch(["the cat sat on the mat with a hat today"]))
    ).all()


@pytest.mark.parametrize("kind", ["gpt2", "bert"])
def test_saved_and_loaded_from_a_folder_of_transformers(kind: str, tmp_path: Path) -> None:
    model: Any = masked() if kind == "bert" else causal(kind)
    model.save(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert type(loaded) is type(model)
    assert loaded.fingerprint() == model.fingerprint()
    assert load_model(f"hf:{tmp_path / 'model'}").fingerprint() == model.fingerprint()
    sentences = model.vocabulary.encode_batch(TEXTS)
    for one, other in zip(loaded.token_log_probs(sentences), model.token_log_probs(sentences), strict=True):
        np.testing.assert_array_equal(one, other)
    torch.nn.init.normal_(next(model.network.parameters()))
    changed: Any = type(model)(model.network, tokenizer("wordpiece" if kind == "bert" else kind))
    assert changed.fingerprint() != loaded.fingerprint()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_weight_is_in_the_fingerprint(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface, "_COLUMNS", 16)
    weights = torch.randn(37, 29, generator=torch.Generator().manual_seed(0)).to(dtype)
    known = {huggingface._summary(weights)}
    for row, column in itertools.product((0, 1, 36), (0, 14, 28)):
        changed, swapped = weights.clone(), weights.clone()
        changed[row, column] *= -1
        swapped[row, column], swapped[17, 3] = weights[17, 3], weights[row, column]
        known |= {huggingface._summary(changed), huggingface._summary(swapped)}
    known |= {huggingface._summary(weights.roll(1, dim)) for dim in (0, 1)}
    assert len(known) == 1 + 9 + 9 + 2


def test_a_model_without_a_head_is_refused(tmp_path: Path) -> None:
    model = masked()
    model.save(tmp_path)
    whole = (tmp_path / "config.json").read_text()
    model.network.bert.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="BertModel is no causal or masked language model"):
        load_model(tmp_path)
    (tmp_path / "config.json").write_text(whole)
    with pytest.raises(InputError, match="no weights for cls"):
        load_model(tmp_path)


@pytest.mark.parametrize("damage", ["weights", "tokenizer", "type", "t5"])
def test_folders_that_make_no_scorer_are_refused(damage: str, tmp_path: Path) -> None:
    causal("gpt2").save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    if damage == "weights":
        (tmp_path / "model.safetensors").unlink()
    elif damage == "tokenizer":
        for name in ("tokenizer.json", "tokenizer_config.json"):
            (tmp_path / name).unlink()
    else:
        config = {"model_type": "nonsense"} if damage == "type" else {"model_type": "t5", "is_encoder_decoder": True}
        (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError):
        load_model(tmp_path)


def test_a_tokeniser_of_another_model_is_refused() -> None:
    with pytest.raises(InputError, match="do not go together"):
        HuggingFaceCausalModel(network("gpt2", 20), tokenizer("gpt2"))


def test_what_is_said_where_the_hub_is_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def unreachable(name: str, **options: Any) -> None:
        asked.append(options)
        raise OSError("We couldn't connect to 'https://example.org' to load the files.\nMore lines.")

    monkeypatch.setattr(transformers.PreTrainedConfig, "get_config_dict", unreachable)
    with pytest.raises(InputError, match=r"hf:some/model: .*hub.*hf download some/model .*give that folder"):
        load_model("hf:some/model")
    assert asked == [{"local_files_only": True}, {}]


def test_what_is_said_where_transformers_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"pip install 'asr_lm\[hf\]'"):
        load_model("hf:some/model")


def test_names_and_columns() -> None:
    assert name_and_path("hf:openai-community/gpt2") == ("gpt2", Path("hf:openai-community/gpt2"))
    assert name_and_path("hf:gpt2")[0] == "gpt2"
    assert name_and_path("big=hf:a/b") == ("big", Path("hf:a/b"))


def test_it_rescores_measures_reads_context_and_mixes(tmp_path: Path) -> None:
    model = causal("gpt2")
    model.save(tmp_path / "gpt2")
    column = RescoringModel.open(f"net={tmp_path / 'gpt2'}")
    scores = column.scorer.score(["the cat", "the  cat", "a dog"])
    assert scores.log_prob[0] == scores.log_prob[1] == pytest.approx(by_hand(model, "the cat").sum(), abs=1e-3)
    after = column.scorer.score(["the cat"], [("a dog sat",)])
    ids = model.vocabulary.encode("a dog sat\n").tolist()
    read = [0, *ids, *model.vocabulary.encode("the cat").tolist(), 0]
    with torch.no_grad():
        values = torch.log_softmax(model.network(input_ids=torch.tensor([read[:-1]])).logits[0], dim=1)
    expected = sum(float(values[at - 1, read[at]]) for at in range(1 + len(ids), len(read)))
    assert after.log_prob[0] == pytest.approx(expected, abs=1e-3)
    result = measure([model], TEXTS)[0]
    assert result.unknown == 0
    assert result.words == sum(len(text.split()) + 1 for text in TEXTS if text)
    other = causal("opt")
    members = [Member("one", model), Member("two", other)]
    mixture = LinearMixture(members, [0.5, 0.5])
    found = mixture.token_log_probs(mixture.vocabulary.encode_batch(["the cat"]))[0]
    assert len(found) == 3
    same = LogLinearMixture([members[0], members[0]], [0.5, 0.5])
    sentence = model.vocabulary.encode("the cat")
    size, spare = model.vocabulary.size, 3
    assert size + spare == model.network.config.vocab_size
    np.testing.assert_allclose(same.token_log_probs([sentence])[0], by_hand(model, "the cat"), atol=0.5)


def test_a_folder_of_ours_is_not_taken_for_one_of_theirs(tmp_path: Path) -> None:
    causal("gpt2").save(tmp_path / "theirs")
    shutil.copytree(tmp_path / "theirs", tmp_path / "ours")
    config = json.loads((tmp_path / "ours" / "config.json").read_text())
    (tmp_path / "ours" / "config.json").write_text(
        json.dumps({**config, "format": 1, "family": "x", "normalizer": "as-is"})
    )
    with pytest.raises(InputError, match="unknown model family 'x'"):
        load_model(tmp_path / "ours")


class TestPrecision:
    @every_causal
    def test_bfloat16_keeps_the_tree_and_scores_as_each_sentence_alone(self, kind: str) -> None:
        model = causal(kind)
        exact, digest, heeds = model.log_prob(TEXTS), model.fingerprint(), model.heeds_tree
        model.compute_in("bfloat16")
        assert model.dtype == torch.bfloat16
        assert model.heeds_tree == heeds
        assert model.fingerprint() != digest
        assert model.remarks[0] == IN_BFLOAT16
        expected = [by_hand(model, text).sum() for text in TEXTS]
        np.testing.assert_allclose(model.log_prob(TEXTS), expected, atol=0.5)
        np.testing.assert_allclose(model.log_prob(TEXTS), exact, atol=2.0)

    def test_a_model_without_a_tree_says_so(self) -> None:
        assert causal("gpt2").remarks == []
        (remark,) = causal("bloom").remarks
        assert "several times slower" in remark

    def test_auto_measures(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(huggingface, "resolve_precision", lambda asked, network: "bfloat16")
        model = causal("gpt2")
        model.compute_in("auto")
        assert model.dtype == torch.bfloat16


class TestFingerprint:
    @pytest.mark.parametrize("place", [0, 12_345, -1])
    def test_one_value_of_a_large_tensor_changes_it(self, place: int) -> None:
        tensor = torch.randn(200, 300)
        before = huggingface._summary(tensor)
        tensor.view(-1)[place] += 1e-3
        assert huggingface._summary(tensor) != before

    def test_so_does_their_order(self) -> None:
        tensor = torch.randn(50, 60)
        assert huggingface._summary(tensor) != huggingface._summary(tensor.flip(0))

    def test_shards_take_about_as_long_for_every_size(self) -> None:
        model = causal("gpt2")
        assert model.shard_hypotheses == int(4e10 / model.parameters)


def test_the_window_is_that_of_the_layers_that_look_furthest() -> None:
    settings = {
        "vocab_size": 50, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 2, "max_position_embeddings": 64, "sliding_window": 8,
    }  # fmt: skip
    for layers, window in ((["sliding_attention"] * 2, 8), (["sliding_attention", "full_attention"], 64)):
        config = transformers.Qwen2Config(**settings, layer_types=layers, use_sliding_window=True)
        network = transformers.Qwen2ForCausalLM(config)
        assert huggingface._window(network) == window
    gemma = transformers.Gemma3TextConfig(**settings, head_dim=8, sliding_window_pattern=2)
    assert set(gemma.layer_types) == {"sliding_attention", "full_attention"}
    assert huggingface._window(transformers.Gemma3ForCausalLM(gemma)) == 64
