"""What the encoder reads: the text of an element, and of a query with its instruction and context."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from multiretriever.core import Element, Flow, InstructionSet, element_type
from multiretriever.core.datasets import Example
from multiretriever.core.instructions import Prompt
from multiretriever.core.prompts import make_prompt

# What somebody who builds a flow may not have filled in yet. None stands first: half of the flows are left as they are.
_LEFT_OUT: tuple[tuple[str, ...], ...] = ((), (), (), ("name", "label"), ("requirement",), ("name", "label", "scope"))


def element_text(element: Element, hidden: tuple[str, ...] = ()) -> str:
    """Returns the text that is embedded for an element.

    Args:
        element: The element.
        hidden: Attributes to leave out, since the query was made of them.
    """
    if hidden:
        element = element.model_copy(update={name: type(element).model_fields[name].get_default() for name in hidden})
    return element_type(element.element_type).text(element)


def query_text(example: Example, instructions: InstructionSet | None, rng: random.Random) -> Prompt:
    """Returns the query as the encoder reads it.

    A flow in its context is varied: parts of its head are left out of some, and inputs of steps out of some, as in flows that
    people are still building.
    """
    context = {key: _varied(value, rng) if isinstance(value, Flow) else value for key, value in example.context.items()}
    return make_prompt(example.query, example.element_type, context, instructions=instructions)


def _varied(flow: Flow, rng: random.Random) -> Flow:
    changes: Mapping[str, Any] = {name: "" for name in rng.choice(_LEFT_OUT)}
    flow = flow.model_copy(update=changes)
    if rng.random() < 1 / 3:
        steps = tuple(step.model_copy(update={"inputs": {}}) for step in flow.steps)
        flow = flow.model_copy(update={"steps": steps})
    return flow
