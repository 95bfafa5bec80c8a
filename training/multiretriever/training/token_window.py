"""What of a query is read in training: the same part that retrieval would keep."""

from __future__ import annotations

import warnings
from typing import Any

from multiretriever.core.encoders import Encoder, Windowed
from multiretriever.core.errors import QueryTruncatedWarning
from multiretriever.core.instructions import Prompt
from multiretriever.core.prompts import fit_prompt


def fitted(encoder: Encoder | Windowed, prompt: Prompt) -> str:
    """Does what ``fit_prompt`` does, without a warning for each query: of thousands some are always too long."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QueryTruncatedWarning)
        return fit_prompt(encoder, prompt)


class TokenWindow:
    """Cuts queries as ``fit_prompt`` does, by a tokenizer alone: the instruction stays, and of flows the newest steps."""

    name = "training"

    def __init__(self, tokenizer: Any, max_tokens: int) -> None:
        """Makes the window of ``max_tokens`` tokens, special ones included, of a fast tokenizer of transformers."""
        self._tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.window = max_tokens - tokenizer.num_special_tokens_to_add()

    def token_starts(self, text: str) -> list[int]:
        """Returns the offset in ``text`` of each of its tokens, special tokens left out."""
        encoding = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return [start for start, _ in encoding["offset_mapping"]]

    def cut(self, prompt: Prompt) -> str:
        """Returns the text of a prompt, cut."""
        return fitted(self, prompt)
