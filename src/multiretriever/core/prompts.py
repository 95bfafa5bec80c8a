"""From a query and its context to what the encoder is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multiretriever.core.instructions import InstructionSet, Prompt
from multiretriever.core.query import QueryContext, check_context, check_query
from multiretriever.core.registry import element_type, element_types


def make_prompt(
    query: str,
    name: str,
    context: QueryContext | Mapping[str, Any] | None = None,
    *,
    instructions: InstructionSet | None,
) -> Prompt:
    """Makes the prompt of a query for an element type.

    Args:
        query: The query.
        name: Name of the element type.
        context: What else is known.
        instructions: Instructions of the encoder; None for one that was trained without, which is given the short values of the
            context and the query.

    Raises:
        QueryError: The query is empty, not text, or too long.
        ParameterError: The context is not valid.
        ElementTypeError: The type is unknown.
    """
    checked, known, kind = check_query(query), check_context(context), element_type(name)
    if instructions is None:
        # An encoder that never saw flows in training finds the next step worse with the flow or the requirement before the
        # annotation (Step@15 of 0.60 falls to 0.34 on the bundled flows), and fields much better with their table's name.
        return Prompt("", "\n".join([*known.words, checked]))
    # What the encoder was trained with, or the caller chose, stands before what a type brings along.
    known_ids = {template.id for template in instructions.templates}
    own = [template for item in element_types() for template in item.instructions if template.id not in known_ids]
    return (instructions.with_templates(own) if own else instructions).prompt(checked, kind.name, known)
