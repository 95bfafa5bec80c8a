"""From a query and its context to the prompt that an encoder reads, fitted into its window."""

from __future__ import annotations

import warnings

from multiretriever.core.elements import ElementType, element_type, element_types
from multiretriever.core.encoders.base import Encoder, Windowed
from multiretriever.core.errors import QueryTruncatedWarning
from multiretriever.core.instructions import InstructionSet, Prompt
from multiretriever.core.query import Context, check_context, check_query

SPECIAL_TOKENS = 2


def make_prompt(
    query: str,
    kind: ElementType | str,
    context: Context = None,
    *,
    instructions: InstructionSet | None,
) -> Prompt:
    """Makes the prompt of a query for an element type.

    Args:
        query: The query.
        kind: The element type, or its name.
        context: What else is known.
        instructions: Instructions of the encoder; None for one that was trained without, which is given the short values of the
            context and the query.

    Raises:
        QueryError: The query is empty, not text, or too long.
        ParameterError: The context is not valid.
        ElementTypeError: The type is unknown.
    """
    checked, known, kind = check_query(query), check_context(context), element_type(kind)
    if instructions is None:
        # An encoder that never saw flows in training finds the next step worse with the flow or the requirement before the
        # annotation (Step@15 of 0.60 falls to 0.34 on the bundled flows), and fields much better with their table's name.
        return Prompt("", known.before(checked))
    # What the encoder was trained with, or the caller chose, comes before what a type brings along.
    known_ids = {template.id for template in instructions.templates}
    own = [template for item in element_types() for template in item.instructions if template.id not in known_ids]
    return (instructions.with_templates(own) if own else instructions).prompt(checked, kind.name, known)


def fit_prompt(encoder: Encoder | Windowed, prompt: Prompt) -> Prompt:
    """Returns a prompt, shortened from its oldest side where it does not fit the encoder's window.

    The instruction is always kept; of the body the newest part stays, that is its end: the last steps of a flow, and the
    query's own text. Whole lines are dropped where that leaves any. Encoders that do not know their window get the whole text.

    Warns:
        QueryTruncatedWarning: Something that the encoder could have read no part of was left out; it says how much. That an
            encoder was trained on the newest part of flows alone (``InstructionSet.query_tokens``) is no reason to warn.
    """
    # A token is never shorter than a byte, so that most queries need not be tokenised twice.
    if not isinstance(encoder, Windowed) or len(prompt.encode()) <= (window := _window(encoder)):
        return prompt
    starts = encoder.token_starts(prompt.body)
    # An instruction that fills the window by itself is cut by the encoder; the query's last token is then as good as any.
    room = max(1, window - len(encoder.token_starts(prompt.instruction)))
    if len(starts) <= room:
        return prompt
    kept = _newest(prompt.body, starts[-room])
    if len(starts) <= room + encoder.window - window:
        return prompt.with_body(kept)
    warnings.warn(
        f"the query has {len(starts)} tokens and {encoder.name!r} reads {room} beside the instruction: "
        f"the first {len(prompt.body) - len(kept)} of its {len(prompt.body)} characters were left out",
        QueryTruncatedWarning,
        stacklevel=3,
    )
    return prompt.with_body(kept)


def _window(encoder: Windowed) -> int:
    """Returns how many tokens of a query the encoder reads, or was trained to read; special tokens not counted.

    What is past the positions that queries had in training is worse than nothing: an encoder that was tuned at 128 tokens
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
