"""``train huggingface``: from a causal model of transformers and lists to an adapter that makes fewer errors."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from msgspec.structs import replace
from toy_language import Command, Toy, changed, config, kill_at_first_checkpoint

transformers = pytest.importorskip("transformers")
peft = pytest.importorskip("peft")

from tokenizers import Tokenizer, models, pre_tokenizers, trainers  # noqa: E402

from asr_lm.hypotheses.reading import read_nbest  # noqa: E402
from asr_lm.hypotheses.writing import write_nbest  # noqa: E402
from asr_lm.lm.loading import load_model  # noqa: E402
from asr_lm.lm.pretrained.huggingface import HuggingFaceCausalModel, HuggingFaceMaskedModel  # noqa: E402
from asr_lm.rescoring.scoring.models import RescoringModel  # noqa: E402

PACE = ("--epochs", 3, "--learning-rate", 0.01, "--batch-tokens", 512, "--validations", 3, "--precision", "float32")


def word_tokenizer(lines: Sequence[str]) -> Any:
    built = Tokenizer(models.WordLevel(unk_token="<unk>"))
    built.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    built.train_from_iterator(lines, trainers.WordLevelTrainer(special_tokens=["<unk>", "</s>"]))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=built, eos_token="</s>", unk_token="<unk>")


@pytest.fixture(scope="module")
def base(toy: Toy) -> Path:
    """A small GPT-2 that has read a part of the training text for a moment."""
    lines = toy.train.read_text().splitlines()
    tokens = word_tokenizer(lines)
    torch.manual_seed(2)
    sizes = transformers.GPT2Config(
        vocab_size=len(tokens), n_positions=32, n_embd=32, n_layer=1, n_head=2, bos_token_id=1, eos_token_id=1
    )
    model = HuggingFaceCausalModel(transformers.GPT2LMHeadModel(sizes), tokens)
    optimizer = torch.optim.AdamW(model.network.parameters(), lr=0.01)
    texts = [[1, *ids.tolist(), 1] for ids in model.encode(lines[:10])]
    width = max(map(len, texts))
    labels = torch.tensor([text + [-100] * (width - len(text)) for text in texts])
    for _ in range(2):
        loss = model.network(input_ids=labels.clamp(min=0), labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save(toy.folder / "small")
    return toy.folder / "small"


@pytest.fixture
def arguments(toy: Toy, base: Path) -> tuple[object, ...]:
    return ("train", "huggingface", "--init-from", base, "--nbest", toy.dev, "--out", "m", *PACE)


def test_it_makes_fewer_expected_errors_and_is_a_model_like_any_other(
    command: Command, arguments: tuple[object, ...], toy: Toy, base: Path
) -> None:
    line = (*arguments, "--valid-nbest", toy.test, "--objective", "mwer")
    finished = command(*line)
    assert finished.code == 0, finished.err
    assert "small reads texts as" in finished.err
    assert "weights tuned on the lists to train on: acoustic" in finished.err
    facts = config("m")["training"]
    assert (facts["objective"], facts["best_step"] > 0) == ("mwer", True)
    curve = [json.loads(row)["valid_loss"] for row in Path("m/training.jsonl").read_text().splitlines()]
    assert min(curve) == pytest.approx(facts["best_loss"])
    assert (Path("m/training.svg")).exists()
    assert command(*line).err.endswith("done already, by the same command\n")
    assert "another --lora-rank" in command(*line, "--lora-rank", 4).err
    lists = ("rescore", "--nbest", toy.test, "--dev", toy.dev, "--force")
    for number, model in enumerate(("m", f"{base}+m")):
        finished = command(*lists, "--lm", model, "--out", f"{number}.json")
        assert finished.code == 0, finished.err
        assert ("100.0 % of the development references are in the training text" in finished.err) == (model == "m")
    by_folder, by_both = ([said.hypotheses[0].text for said in read_nbest(Path(f"{number}.json"))] for number in (0, 1))
    assert by_folder == by_both


def test_another_adapted_model_may_count_beside_it(
    command: Command, arguments: tuple[object, ...], toy: Toy, base: Path
) -> None:
    peft.get_peft_model(
        transformers.GPT2LMHeadModel.from_pretrained(base),
        peft.LoraConfig(r=2, target_modules=["c_attn"], fan_in_fan_out=True),
    ).save_pretrained("other")
    line = (*changed(arguments, "--epochs", 1), "--valid-nbest", toy.test, "--lm", f"other={base}+other")
    finished = command(*line)
    assert finished.code == 0, finished.err
    assert command(*line).err.endswith("done already, by the same command\n")
    weights = Path("other/adapter_model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    assert "another --lm" in command(*line).complaint


def test_the_adapter_is_one_of_peft(command: Command, arguments: tuple[object, ...], toy: Toy, base: Path) -> None:
    assert (
        command(*arguments, "--valid-nbest", toy.test, "--lora-targets", "c_attn", "c_fc", "--lora-rank", 2).code == 0
    )
    written = json.loads(Path("m/adapter_config.json").read_text())
    assert (written["peft_type"], written["r"], written["target_modules"]) == ("LORA", 2, ["c_attn", "c_fc"])
    assert written["base_model_name_or_path"] == str(base.resolve())
    wrapped = peft.PeftModel.from_pretrained(transformers.GPT2LMHeadModel.from_pretrained(base), "m")
    assert sum("lora_A" in name for name in wrapped.state_dict()) == 2


def test_jackknife_models_have_not_seen_their_part(command: Command, arguments: tuple[object, ...], toy: Toy) -> None:
    finished = command(*changed(arguments, "--epochs", 1), "--valid-nbest", toy.test, "--jackknife", 2)
    assert finished.code == 0, finished.err
    model = RescoringModel.open("m")
    references = [utterance.reference or "" for utterance in toy.utterances("dev")]
    parts = [hashes.contains(references) for _, hashes in model.folds]
    assert len(parts) == 2
    assert (parts[0] != parts[1]).all()
    tuned = command("compare", "--dev", toy.dev, "--test", toy.test, "--lm", "m", "--json", "c.json")
    assert tuned.code == 0, tuned.err
    assert "train it with --jackknife" not in tuned.err


def test_a_killed_run_goes_on(command: Command, arguments: tuple[object, ...], toy: Toy) -> None:
    line = (*changed(arguments, "--epochs", 4, "--validations", 4), "--valid-nbest", toy.test, "--lora-dropout", 0.1)
    kill_at_first_checkpoint(line)
    assert not Path("m/config.json").exists()
    assert command(*line).code == 0
    assert command(*changed(line, "--out", "whole")).code == 0
    assert Path("m/adapter_model.safetensors").read_bytes() == Path("whole/adapter_model.safetensors").read_bytes()


def test_texts_are_read_as_the_weights_say(
    command: Command, arguments: tuple[object, ...], toy: Toy, base: Path
) -> None:
    lists = ("rescore", "--nbest", toy.test, "--dev", toy.dev, "--lm", base, "--force")
    assert command(*lists, "--save-weights", "w.json", "--out", "x.json").code == 0
    record = json.loads(Path("w.json").read_text())
    record["reading"]["small"] = "begin=</s>&end=none&casing=as-is"
    Path("w.json").write_text(json.dumps(record))
    assert command(*arguments, "--weights", "w.json").code == 0
    assert (config("m")["adapted"]["begin"], config("m")["adapted"]["end"]) == ("</s>", "none")
    assert load_model("m").text_ends == ()


class TestRefusals:
    def test_models(
        self, command: Command, arguments: tuple[object, ...], toy: Toy, base: Path, lstm: Path, ngram: Path
    ) -> None:
        bert = _masked(toy, Path("bert"))
        shutil.copytree(base, "both")
        shutil.copy(base / "config.json", "both/adapter_config.json")
        for given, complaint in (
            (lstm, "not a model of family 'lstm' (train lstm --objective mwer)"),
            (ngram, "not a model of family 'ngram'"),
            (bert, "not a masked model"),
            ("nowhere", "no such file"),
            ("both", "has an adapter already"),
            (f"{base}+both", "has an adapter already"),
        ):
            assert complaint in command(*changed(arguments, "--init-from", given)).complaint, given
        assert (
            "family 'huggingface', not 'lstm'"
            in command(
                *changed(arguments, "--objective", "mwer")[:1], "lstm", "--objective", "mwer", *arguments[2:]
            ).complaint
        )

    def test_lists(self, command: Command, arguments: tuple[object, ...], toy: Toy) -> None:
        utterances = toy.utterances("dev")
        write_nbest("no.json", [replace(utterance, reference=None) for utterance in utterances])
        Path("empty.json").write_text("[]")
        for name, complaint in (("no.json", "no reference"), ("empty.json", "empty list")):
            assert complaint in command(*changed(arguments, "--nbest", name)).complaint, name

    def test_a_model_that_is_gone(self, command: Command, arguments: tuple[object, ...], toy: Toy, base: Path) -> None:
        shutil.copytree(base, "away")
        assert command(*changed(arguments, "--init-from", "away", "--epochs", 1), "--valid-nbest", toy.test).code == 0
        shutil.rmtree("away")
        finished = command("rescore", "--nbest", toy.test, "--dev", toy.dev, "--lm", "m", "--out", "x.json")
        assert "the model that this adapter is for is missing: expected ../away or " in finished.complaint

    def test_peft_is_missing(
        self, command: Command, arguments: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "peft", None)
        assert "--init-from: adapters need peft: pip install" in command(*arguments).complaint

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            (("--lora-rank", 0), "--lora-rank: expected a number above 0"),
            (("--lora-alpha", -1), "--lora-alpha: expected a number above 0"),
            (("--lora-dropout", 1), "--lora-dropout: expected a share"),
            (("--hypotheses", 1), "--hypotheses: expected 2 or more"),
            (("--context", "stream"), "--context: lists are no stream"),
            (("--objective", "likelihood"), "--objective"),
            (("--dropout", 0.1), "--dropout"),
        ],
    )
    def test_options(
        self, command: Command, arguments: tuple[object, ...], options: tuple[object, ...], complaint: str
    ) -> None:
        assert complaint in command(*changed(arguments, *options)).complaint

    def test_a_layer_that_is_not_there(self, command: Command, arguments: tuple[object, ...]) -> None:
        finished = command(*arguments, "--lora-targets", "q_proj")
        assert finished.code == 2
        assert finished.err.splitlines()[-1].startswith(
            "error: --lora-targets: the model cannot be adapted so (it has no"
        )
        assert not finished.written


def _masked(toy: Toy, folder: Path) -> Path:
    tokens = word_tokenizer(toy.train.read_text().splitlines())
    tokens.add_special_tokens({"mask_token": "<mask>", "pad_token": "<pad>"})
    sizes = transformers.BertConfig(
        vocab_size=len(tokens), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    HuggingFaceMaskedModel(transformers.BertForMaskedLM(sizes), tokens).save(folder)
    return folder


def test_help_tells_of_it(command: Command) -> None:
    assert "--lora-rank" in command("train", "huggingface", "--help").out
