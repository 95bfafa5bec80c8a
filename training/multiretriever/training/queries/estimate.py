"""What letting a chat model write queries will cost, before anything is spent."""

from __future__ import annotations

from dataclasses import dataclass

CHARACTERS_PER_TOKEN = 4
"""English text has about four characters a token with the tokenizers of today; other scripts have fewer."""
TOKENS_PER_QUERY = 20
_FORM = 10


@dataclass(frozen=True)
class Estimate:
    """What is still to be asked. Tokens are estimated by the length of the text; retries are not counted.

    Attributes:
        calls: Calls of the model.
        held: Calls whose answer the journal holds: they cost nothing.
        given_up: Calls that had no good answer in as many trials as are allowed; they are not made again.
        prompt_tokens: Tokens of all prompts together.
        output_tokens: Tokens of all answers together.
    """

    calls: int
    held: int
    given_up: int
    prompt_tokens: int
    output_tokens: int

    def cost(self, price_in: float, price_out: float) -> float:
        """Returns the cost, by prices for a million tokens of prompt and of answer, in their currency."""
        return (self.prompt_tokens * price_in + self.output_tokens * price_out) / 1_000_000


def tokens_of(text: str) -> int:
    """Returns about how many tokens a text has."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def output_tokens(queries: int) -> int:
    """Returns about how many tokens an answer with so many queries has."""
    return _FORM + TOKENS_PER_QUERY * queries
