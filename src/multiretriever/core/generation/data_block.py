"""Text of catalogs and users in prompts: delimited, so that it stays data.

What stands in a block cannot close it: its angle brackets are escaped. It goes into the user's message only; the system's message
is the package's own text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multiretriever.core.elements import Element, Field, Step, Table, Workflow
from multiretriever.core.yaml_io import dump_yaml

_LONGEST = 600


def data_block(name: str, value: Any) -> str:
    """Returns a value as a block ``<name> ... </name>``: text as it is, all else as YAML.

    Args:
        name: Name of the block, a word of ours.
        value: Text, or plain values (mappings, lists, scalars).
    """
    text = value.strip() if isinstance(value, str) else dump_yaml(value).strip()
    return f"<{name}>\n{text.replace('<', '&lt;').replace('>', '&gt;')}\n</{name}>"


def entry(element: Element) -> dict[str, Any]:
    """Returns what a chat model is shown of an element: the name that it is to be called by first, then what it is for."""
    shown: dict[str, Any] = {"name": element.name} if isinstance(element, Table | Field) else {"id": element.id}
    if isinstance(element, Field):
        shown |= {"type": element.data_type} if element.data_type else {}
        shown |= {"choices": list(element.choices)} if element.choices else {}
    shown |= {"label": element.label} if element.label else {}
    shown |= {"description": element.description[:_LONGEST]} if element.description else {}
    if isinstance(element, Step) and element.inputs:
        shown["inputs"] = {item.name: item.type + (" (required)" if item.required else "") for item in element.inputs}
    if isinstance(element, Workflow) and element.flow is not None:
        shown["steps"] = [step.definition or step.annotation for step in element.flow.steps]
    return shown


def data_blocks(values: Mapping[str, Any]) -> str:
    """Returns the values that are not empty as blocks, one after the other."""
    return "\n\n".join(data_block(name, value) for name, value in values.items() if value)
