"""A Hugging Face tokeniser as a vocabulary."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asr_lm.errors import InputError
from asr_lm.text.vocabulary import Tokens, Vocabulary

_COMMON = "the a of to in is 的 一"
_RARE = "ꙮ 𐍈 ☃ ﷽"
"""What only a tokeniser that spells out bytes is likely to know."""


_MOST_ENDS = 6
"""Special tokens that are looked at as beginnings and ends of texts."""


class HuggingFaceVocabulary(Vocabulary):
    """The tokens of a ``transformers`` tokeniser, which also decides how text is treated.

    Special tokens spelled in a text are text. ``<s>`` is the tokeniser's token for the beginning of a text (BOS, else
    CLS); where it has none, what separates texts (EOS, else SEP, else the padding). ``</s>`` is EOS, else SEP.
    """

    kind = "huggingface"

    def __init__(self, tokenizer: Any, name: str) -> None:
        """Args: tokenizer: from ``AutoTokenizer``; name: of the model, for messages.

        Raises:
            InputError: nothing in it ends a text, so the end of a hypothesis could not be scored; or it knows no words,
                as what ``transformers`` makes up where a tokeniser's files are missing.
        """
        self._tokenizer = tokenizer
        special = {role: getattr(tokenizer, f"{role}_token_id") for role in ("bos", "eos", "cls", "sep", "pad", "unk")}
        eos = _first(special, "eos", "sep")
        bos = _first(special, "bos", "cls", "eos", "sep", "pad")
        if eos is None or bos is None:
            raise InputError("the tokeniser has no token that ends a text (EOS or SEP)", file=name)
        self.bos_id, self.eos_id = bos, eos
        self.pad_id: int = eos if special["pad"] is None else special["pad"]
        # GPT-2's tokeniser calls the end of a text unknown, too, and never gives it.
        known = special["unk"] in (None, bos, eos)
        self._unk_id = None if known else special["unk"]
        self.unk_id = eos if self._unk_id is None else self._unk_id
        if not set(self.encode(_COMMON).tolist()) - {self.unk_id}:
            raise InputError("no tokeniser, or one that knows no letters", file=name)
        self._open = self._unk_id is None or self._unk_id not in self.encode(_RARE)

    @property
    def tokens(self) -> Sequence[str]:
        tokens: list[str] = self._tokenizer.convert_ids_to_tokens(range(len(self._tokenizer)))
        return tokens

    @property
    def size(self) -> int:
        return len(self._tokenizer)

    def encode_batch(self, texts: Sequence[str]) -> list[Tokens]:
        if not len(texts):
            return []
        encoded = self._tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True)
        return [np.array(ids, dtype=np.int32) for ids in encoded["input_ids"]]

    def decode(self, ids: Iterable[int]) -> str:
        text: str = self._tokenizer.decode([int(index) for index in ids], clean_up_tokenization_spaces=False)
        return text

    def unknown_words(self, text: str) -> int:
        if self._unk_id is None or self._unk_id not in self.encode(text):
            return 0
        return sum(self._unk_id in ids for ids in self.encode_batch(text.split()))

    def word_lengths(self, text: str) -> list[int]:
        words = text.split()
        if not self._tokenizer.is_fast:
            beginnings = [" ".join(words[:end]) for end in range(len(words) + 1)]
            return np.diff([len(ids) for ids in self.encode_batch(beginnings)]).tolist()
        lengths = [0] * len(words)
        ends = np.cumsum([len(word) + 1 for word in words]) - 1
        for end in self._ends(text) if words else []:
            lengths[min(int(np.searchsorted(ends, end)), len(words) - 1)] += 1
        return lengths

    def _ends(self, text: str) -> list[int]:
        """Where each token ends in the text; that of a bare space ends within the word after it."""
        offsets = self._tokenizer(
            text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True
        )["offset_mapping"]
        return [end + 1 if not text[begin:end].strip() else end for begin, end in offsets]

    def token_id(self, name: str) -> int:
        """The id of a token as the tokeniser spells it; ``\\n`` is a line's end.

        Raises:
            InputError: there is none.
        """
        text = name.replace("\\n", "\n")
        found = self._tokenizer.get_vocab().get(name)
        if found is None and len(ids := self.encode(text)) == 1:
            found = int(ids[0])
        if found is None or not name:
            raise InputError(f"the tokeniser has no token {name!r}", parameter="models")
        return int(found)

    @property
    def text_ends(self) -> tuple[str, ...]:
        """Tokens that may stand before or after a text: those with such a role, further special ones, a line's end."""
        named = [getattr(self._tokenizer, f"{role}_token") for role in ("bos", "eos", "cls", "sep")]
        found = [*filter(None, named), *self._tokenizer.all_special_tokens]
        # Where bytes spell every word, the token for unknown ones is free for something else.
        hidden = {self._tokenizer.mask_token, None if self._open else self._tokenizer.unk_token}
        ends = [token for token in dict.fromkeys(map(str, found)) if token not in hidden][:_MOST_ENDS]
        return (*ends, "\\n") if len(self.encode("\n")) == 1 else tuple(ends)

    def fingerprint(self) -> str:
        tokenizer = self._tokenizer
        rules = tokenizer.backend_tokenizer.to_str() if tokenizer.is_fast else json.dumps(tokenizer.get_vocab())
        parts = f"{type(tokenizer).__name__} {self.bos_id} {self.eos_id} {rules}"
        return hashlib.blake2b(parts.encode(), digest_size=16).hexdigest()

    def save(self, folder: Path) -> None:
        """Write the tokeniser's own files."""
        self._tokenizer.save_pretrained(folder)

    @property
    def is_open(self) -> bool:
        return self._open

    def around(self) -> tuple[list[int], list[int]]:
        """What the tokeniser puts before and after a text: ``[CLS]`` and ``[SEP]``, or whatever it is."""
        with_special = self._tokenizer("a b")["input_ids"]
        bare = self.encode("a b").tolist()
        for begin in range(len(with_special) - len(bare) + 1):
            if bare and with_special[begin : begin + len(bare)] == bare:
                return with_special[:begin], with_special[begin + len(bare) :]
        return [self.bos_id], [self.eos_id]

    @property
    def mask_id(self) -> int | None:
        """The token that hides another one."""
        found: int | None = self._tokenizer.mask_token_id
        return found


def _first(special: dict[str, int | None], *roles: str) -> int | None:
    return next((special[role] for role in roles if special[role] is not None), None)
