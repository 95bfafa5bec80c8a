"""Fitting a query into the encoder's window."""

from __future__ import annotations

import warnings

from multiretriever.core.encoders.base import Encoder, Windowed
from multiretriever.core.errors import QueryTruncatedWarning
from multiretriever.core.instructions import Prompt

SPECIAL_TOKENS = 2


def fit_prompt(encoder: Encoder | Windowed, prompt: Prompt) -> str:
    """Returns the text of a prompt, shortened from its oldest side where it does not fit the encoder's window.

    The instruction is always kept; of the body the newest part stays, that is its end: the last steps of a flow, and the
    query's own text. Whole lines are dropped where that leaves any. Encoders that cannot tell their window get the whole text.

    Warns:
        QueryTruncatedWarning: Something that the encoder could have read no part of was left out; it says how much. That an
            encoder was trained on the newest part of flows alone (``InstructionSet.query_tokens``) is no reason to warn.
    """
    # A token is never shorter than a byte, so that most queries need not be tokenised twice.
    if not isinstance(encoder, Windowed) or len(prompt.text.encode()) <= (window := _window(encoder)):
        return prompt.text
    starts = encoder.token_starts(prompt.body)
    # An instruction that fills the window by itself is cut by the encoder; the query's last token is then as good as any.
    room = max(1, window - len(encoder.token_starts(prompt.instruction)))
    if len(starts) <= room:
        return prompt.text
    kept = _newest(prompt.body, starts[-room])
    if len(starts) <= room + encoder.window - window:
        return Prompt(prompt.instruction, kept).text
    warnings.warn(
        f"the query has {len(starts)} tokens and {encoder.name!r} reads {room} beside the instruction: "
        f"the first {len(prompt.body) - len(kept)} of its {len(prompt.body)} characters were left out",
        QueryTruncatedWarning,
        stacklevel=3,
    )
    return Prompt(prompt.instruction, kept).text


def _window(encoder: Windowed) -> int:
    """Returns how many tokens of a query the encoder reads, or was trained to read; special tokens not counted.

    What stands past the positions that queries had in training is worse than nothing: an encoder that was tuned at 128 tokens
    finds the next step less often when it is given 256 of the flow.
    """
    instructions = encoder.instructions if isinstance(encoder, Encoder) else None
    if instructions is None or instructions.query_tokens is None:
        return encoder.window
    return min(encoder.window, instructions.query_tokens - SPECIAL_TOKENS)


def _newest(body: str, start: int) -> str:
    """Cuts at ``start``, or at the next line where at least half of the room is left for it."""
    line_end = body.find("\n", start)
    whole_lines = 0 <= line_end < start + (len(body) - start) // 2
    return body[line_end + 1 :] if whole_lines else body[start:]
