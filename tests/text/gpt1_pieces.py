"""A small vocabulary in the form of OpenAI's, learnt from generated text."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from functools import cache

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from asr_lm.text.gpt1_bpe import Gpt1BpeVocabulary

SYLLABLES = (
    *("ba", "ke", "di", "lo", "mu", "ra", "sen", "tor", "ving", "ship", "har", "bour", "the", "an", "ing", "er", "st"),
    *("wel", "né", "zür", "ñó", "çe", "ÅL", "Σο", "Кни"),
)
ODDITIES = (
    *("it's", "“quoted”", "rock'n'roll", "3.14", "$1,000.50", "A.B.C.", "naïve", "CAFÉ", "Straße", "ﬁne", "ΟΔΟΣ", "İi"),
    *(
        "中文",
        "日本語テキスト",
        "한국어",
        "привет",
        "مرحبا",
        "नमस्ते",
        "e\u0301",
        "🙂",
        "👩\u200d🚀",
        "x²",
        "½",
        "—",
        "…",
    ),
    *("//", "a_b", "#tag", "zero\u200bwidth", "soft\u00adhyphen", "non\u00a0break", "tab\tbed", "\u2028", "\ufeffbom"),
    *("\x07bell", "bad\ufffd", "<unk>", "a<unk>b", "<UNK>", "</w>", "<s>", "###", "co-op", "e-mail@host.org", "C++"),
    *("100%", "a\x0bb", "豈", "ǅ", "ﷺ"),
)


def generated_lines(count: int, seed: int = 1) -> Iterator[str]:
    """Lines of made-up words, with punctuation, numbers, accents and characters of many scripts."""
    chosen = random.Random(seed)
    for _ in range(count):
        words = []
        for _ in range(chosen.randrange(14)):
            word = "".join(chosen.choices(SYLLABLES, k=chosen.randint(1, 3)))
            word = chosen.choice([word, word, word.upper(), word.capitalize(), chosen.choice(ODDITIES)])
            words.append(word + chosen.choice(["", "", "", ",", ".", "!", "?)", "'s", str(chosen.randrange(1000))]))
        yield chosen.choice([" ", " ", "  "]).join(words)


@cache
def small_pieces(size: int = 300) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Ids and merges; learnt once, since the trainer orders its alphabet at random."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=["<unk>"], end_of_word_suffix="</w>", min_frequency=2, limit_alphabet=60,
        show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator([*generated_lines(400, seed=9), "a . b ."], trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model["merges"]]


def small_vocabulary() -> Gpt1BpeVocabulary:
    """A vocabulary with some merges, and without many of the characters that texts have."""
    return Gpt1BpeVocabulary(*small_pieces())
