"""How a foreign model is shown texts: as it was trained, which the likelihood of references finds out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

transformers = pytest.importorskip("transformers")

from test_huggingface import LINES, masked, network, tokenizer  # noqa: E402

import asr_lm  # noqa: E402
from asr_lm.errors import InputError  # noqa: E402
from asr_lm.hypotheses.utterance import Hypothesis, Utterance  # noqa: E402
from asr_lm.lm.pretrained.huggingface import HuggingFaceCausalModel  # noqa: E402
from asr_lm.progress import Logged  # noqa: E402
from asr_lm.rescoring.default_model import FOREIGN_SHARE, read_default_weights  # noqa: E402
from asr_lm.rescoring.framing import choose_framings  # noqa: E402
from asr_lm.rescoring.scoring.models import RescoringModel  # noqa: E402
from asr_lm.rescoring.scoring.specification import ReadingOptions, name_and_path, reading_options  # noqa: E402
from asr_lm.text.huggingface_tokenizer import HuggingFaceVocabulary  # noqa: E402
from asr_lm.text.normalizer import as_sentence, get_normalizer  # noqa: E402

REFERENCES = list(dict.fromkeys(filter(None, LINES)))


def with_chat_turns() -> Any:
    """A tokeniser whose beginning is that of a turn, and which has a token for texts, too."""
    found = tokenizer("llama")
    found.add_special_tokens({"bos_token": "<turn>", "additional_special_tokens": ["<text>"]})
    return found


def trained(*, begin: str = "<text>", end: str | None = "<text>", sentences: bool = True) -> HuggingFaceCausalModel:
    """A model that was trained on texts between two tokens; without an end, text goes on for ever."""
    words = with_chat_turns()
    found = network("llama", len(words), 64)
    lines = [as_sentence(line) if sentences else line for line in REFERENCES]
    if end is None:
        lines = [" ".join([line] * 6) for line in lines]
    rows = [begin + line + (end or "") for line in lines]
    words.pad_token = "<unk>"
    batch = words(rows, add_special_tokens=False, return_tensors="pt", padding=True, truncation=True, max_length=60)
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    optimizer = torch.optim.Adam(found.parameters(), 0.02)
    found.train()
    for _ in range(40):
        optimizer.zero_grad()
        found(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=labels).loss.backward()
        optimizer.step()
    return HuggingFaceCausalModel(found, words)


def chosen(model: HuggingFaceCausalModel, **given: str) -> ReadingOptions:
    column = RescoringModel.of(model, "chat")
    column._options = ReadingOptions(**given)
    return choose_framings([column], REFERENCES)["chat"].options


@pytest.fixture(scope="module")
def texts() -> HuggingFaceCausalModel:
    return trained()


def test_the_tokens_and_the_casing_of_the_training_are_found(texts: HuggingFaceCausalModel) -> None:
    column = RescoringModel.of(texts, "chat")
    framing = choose_framings([column], REFERENCES)["chat"]
    assert framing.options == ReadingOptions(None, "<text>", "<text>", "sentence")
    assert framing.log_prob > framing.before + 1
    assert texts.vocabulary.bos_id == texts.vocabulary.eos_id == texts.vocabulary.token_id("<text>")
    assert texts.normalizer == "as-is-sentence"
    mean = float(np.mean(column.log_prob(REFERENCES)))
    assert mean == pytest.approx(framing.log_prob, abs=1e-3)


def test_texts_that_were_read_as_they_are_stay_so() -> None:
    plain = trained(begin="<turn>", end="</s>", sentences=False)
    assert chosen(plain) == ReadingOptions(None, "<turn>", "</s>", "as-is")


def test_what_is_called_unknown_may_begin_a_text_where_bytes_spell_everything() -> None:
    """A chat model's tokeniser calls the token between texts unknown."""
    found = HuggingFaceVocabulary(with_chat_turns(), "chat")
    assert found.text_ends[:2] == ("<turn>", "</s>")
    assert {"<unk>", "<text>"} <= set(found.text_ends)
    assert not {"[UNK]", "[MASK]"} & set(masked().vocabulary.text_ends)


def test_an_end_that_is_less_likely_than_chance_is_not_scored() -> None:
    endless = trained(end=None, sentences=False)
    assert chosen(endless).end == "none"
    assert not endless.scores_end
    assert all(row[-1] == 0 for row in endless.token_log_probs(endless.encode(REFERENCES)))


def test_what_was_given_is_not_chosen(texts: HuggingFaceCausalModel) -> None:
    found = chosen(texts, begin="<turn>", casing="as-is")
    assert (found.begin, found.casing) == ("<turn>", "as-is")
    assert chosen(texts, end="none").end == "none"
    column = RescoringModel.of(texts, "chat")
    column._options = ReadingOptions(None, "<turn>", "none", "as-is")
    assert choose_framings([column], REFERENCES) == {}


def test_options_stand_behind_the_path(tmp_path: Path, texts: HuggingFaceCausalModel) -> None:
    texts.save(tmp_path / "chat")
    given = f"big={tmp_path / 'chat'}?begin=<text>&end=none&casing=sentence&normalizer=lower"
    assert name_and_path(given) == ("big", tmp_path / "chat")
    assert reading_options(given) == ReadingOptions("lower", "<text>", "none", "sentence")
    assert ReadingOptions.parse(str(reading_options(given))) == reading_options(given)
    opened, said = RescoringModel.open(given), ["THE CAT SAT"]
    expected = asr_lm.load(f"{tmp_path / 'chat'}", begin="<text>", end="none").log_prob(["The cat sat."])
    assert opened.log_prob(said) == pytest.approx(expected, abs=1e-4)
    by_name = asr_lm.load(tmp_path / "chat", begin="<text>", end="none", casing="sentence", normalizer="lower")
    assert by_name.model.fingerprint() == opened.model.fingerprint()
    plain, line = asr_lm.load(tmp_path / "chat"), asr_lm.load(tmp_path / "chat", end=r"\n")
    assert len({plain.model.fingerprint(), line.model.fingerprint(), opened.model.fingerprint()}) == 3


@pytest.mark.parametrize("options", ["begin=<nothing>", "end=", "casing=loud", "normalizer=loud"])
def test_what_is_no_token_and_no_casing_is_refused(options: str, tmp_path: Path, texts: HuggingFaceCausalModel) -> None:
    texts.save(tmp_path / "chat")
    with pytest.raises(InputError, match=r"no token|no casing|unknown normaliser") as caught:
        RescoringModel.open(f"{tmp_path / 'chat'}?{options}")
    assert caught.value.parameter == "models"


def test_models_that_know_how_texts_begin_refuse_to_be_told() -> None:
    for specification in ("default?begin=<s>", "default?end=none"):
        with pytest.raises(InputError, match="knows how texts begin and end"):
            RescoringModel.open(specification)
    with pytest.raises(InputError, match="knows how texts begin and end"):
        masked().frame("[CLS]")


def test_weights_remember_it(tmp_path: Path, texts: HuggingFaceCausalModel) -> None:
    texts.save(tmp_path / "chat")
    lists = [
        Utterance(f"u{number}", (Hypothesis(said[::-1], {"am": 0.0}), Hypothesis(said, {"am": -0.1})), said)
        for number, said in enumerate(REFERENCES)
    ]
    column = asr_lm.load(tmp_path / "chat")
    tuned = asr_lm.tune(lists, column)
    assert tuned.weights.reading == {"chat": "begin=<text>&end=<text>&casing=sentence"}
    tuned.save(tmp_path / "weights.json")
    fresh = asr_lm.load(tmp_path / "chat")
    assert fresh.model.fingerprint() != tuned.models["chat"]
    asr_lm.Rescorer(fresh, tmp_path / "weights.json")
    assert fresh.model.fingerprint() == tuned.models["chat"]


def test_without_weights_of_its_own_it_gets_a_part_of_the_packaged_models_and_a_warning(
    texts: HuggingFaceCausalModel,
) -> None:
    class Warned(Logged):
        def __init__(self) -> None:
            self.heard: list[str] = []

        def warn(self, message: str) -> None:
            self.heard.append(message)

    heard = Warned()
    lists = [Utterance("u", tuple(Hypothesis(text, {"am": -float(n)}) for n, text in enumerate(REFERENCES[:3])))]
    done = asr_lm.rescore(lists, RescoringModel.of(texts, "chat"), score_kind="sum", progress=heard)
    packaged = read_default_weights()["sum"]
    assert done.tuned.weights.values["chat"] == pytest.approx(FOREIGN_SHARE * packaged.model)
    assert done.tuned.weights.values["characters"] == pytest.approx(FOREIGN_SHARE * packaged.characters)
    assert done.tuned.weights.values["first_pass_total"] == packaged.first_pass
    assert [message for message in heard.heard if "were not tuned for chat" in message]


def test_sentences() -> None:
    written = get_normalizer("lower-sentence")
    assert [written(text) for text in ("THE cat", "is it?", "", "42 cats", "the cats'")] == [
        "The cat.",
        "Is it?",
        "",
        "42 cats.",
        "The cats'.",
    ]
