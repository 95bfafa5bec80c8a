"""What of a query is read in training: the same part that retrieval would keep."""

from __future__ import annotations

import warnings
from typing import Any

from multiretriever.core.encoders import fit_prompt
from multiretriever.core.errors import QueryTruncatedWarning
from multiretriever.core.instructions import Prompt
from multiretriever.training.pairs import Pair


class TrainingWindow:
    """Cuts queries as ``fit_prompt`` does: the instruction stays, and of flows the newest steps."""

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

    def fit(self, pair: Pair) -> str:
        """Returns the query of a pair, cut."""
        instruction, _, body = pair.query.partition("\n") if pair.template else ("", "", pair.query)
        return self.cut(Prompt(instruction, body))

    def cut(self, prompt: Prompt) -> str:
        """Returns the text of a prompt, cut."""
        with warnings.catch_warnings():
            # Training on the end of a long flow is meant; a warning for each of thousands would say nothing.
            warnings.simplefilter("ignore", QueryTruncatedWarning)
            return fit_prompt(self, prompt)
