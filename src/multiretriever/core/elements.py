"""The things that can be retrieved."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pydantic
from pydantic import ConfigDict, StringConstraints

from multiretriever.core.flows import Flow
from multiretriever.core.scalars import AS_TEXT, Text, resolve_scalars

Scalar = str | int | float | bool
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=512), AS_TEXT]
# Chroma turns larger integers into floats without a word.
MAX_INTEGER = 2**63 - 1
# Chroma keeps the text under this name and refuses it, as it does empty names and those that start with # or $.
_CHROMA_KEY = "chroma:document"


def _dotted(*parts: Any) -> str:
    return ".".join(text for text in (str(part or "").strip() for part in parts) if text)


class Element(pydantic.BaseModel):
    """One thing that can be retrieved. Immutable; equal when all its values are equal.

    Attributes:
        id: Unique among the elements of its type in a catalog. Made of scope and name when it is not given.
        element_type: Name of the element type.
        scope: Namespace that the element belongs to: a spoke, an app, a connector, a database.
        name: Name as the system knows it, such as ``look_up_records``.
        label: Name as people read it. Empty when the system has none.
        description: What it is or does, in words.
        metadata: Further values, each a string, number, boolean or a list of strings; the single values can be filtered on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Name
    element_type: Name
    scope: Text = ""
    name: Name
    label: Text = ""
    description: Text = ""
    metadata: dict[str, Scalar | list[str]] = pydantic.Field(default_factory=dict)

    @pydantic.model_validator(mode="before")
    @classmethod
    def _fill_id(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("name") and values.get("id") is None:
            return {**values, "id": cls.default_id(values)}
        return values

    @pydantic.field_validator("metadata", mode="before")
    @classmethod
    def _resolve_metadata(cls, value: Any) -> Any:
        return resolve_scalars(value)

    @pydantic.field_validator("metadata")
    @classmethod
    def _check_metadata(cls, value: dict[str, Scalar | list[str]]) -> dict[str, Scalar | list[str]]:
        for key, item in value.items():
            if isinstance(item, float) and not math.isfinite(item):
                raise ValueError(f"metadata {key!r} is {item}; only finite numbers can be stored")
            if isinstance(item, int) and abs(item) > MAX_INTEGER:
                raise ValueError(f"metadata {key!r} is larger than 64 bits; write it as a string")
            if not key or key.startswith(("_", "#", "$")) or key == _CHROMA_KEY:
                raise ValueError(
                    f"metadata {key!r}: empty names, {_CHROMA_KEY!r} and those that start with _, # or $ are reserved"
                )
        return value

    @classmethod
    def default_id(cls, values: Mapping[str, Any]) -> str:
        """Returns the id of an element that has none: ``scope.name``, or ``name`` without a scope."""
        return _dotted(values.get("scope"), values["name"])

    @property
    def title(self) -> str:
        """The label, or the name where there is no label."""
        return self.label or self.name


class StepInput(pydantic.BaseModel):
    """One input of a step.

    Attributes:
        name: Name as flows use it.
        type: ``string``, ``integer``, ``table``, ``field``, ``conditions``, ``values``, ``record``, ... or the source's own word.
        label: Name as people read it.
        description: What it is for.
        required: Whether a flow must give it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    type: Text = "string"
    label: Text = ""
    description: Text = ""
    required: bool = False


class Step(Element):
    """An action, a piece of flow logic or a trigger that a flow can be made of.

    Attributes:
        kind: ``action``, ``logic`` (for each, if, ...) or ``trigger``.
        inputs: What a flow can give to it.
    """

    element_type: Literal["step"] = "step"
    kind: Literal["action", "logic", "trigger"] = "action"
    inputs: tuple[StepInput, ...] = ()


class Table(Element):
    """A table of a database.

    Attributes:
        extends: Name of the table whose fields it inherits; None when it has no parent.
        fields: Titles of its own fields. A catalog fills them in from its fields where they are not given.
    """

    element_type: Literal["table"] = "table"
    extends: Name | None = None
    fields: tuple[Text, ...] = ()


class Field(Element):
    """A column of a table.

    Attributes:
        table: Name of its table.
        data_type: Type as the source names it.
        reference: Name of the table that its values point to; None when it is no reference.
        choices: Values that it can take, as people read them; empty when it is free.
    """

    element_type: Literal["field"] = "field"
    table: Name
    data_type: Text = ""
    reference: Name | None = None
    choices: tuple[Text, ...] = ()

    @classmethod
    def default_id(cls, values: Mapping[str, Any]) -> str:
        """Returns ``scope.table.name``, or ``table.name`` without a scope."""
        return _dotted(values.get("scope"), values.get("table"), values["name"])


class CatalogItem(Element):
    """Something that people can order or ask for."""

    element_type: Literal["catalog_item"] = "catalog_item"


class Workflow(Element):
    """A whole stored workflow.

    Attributes:
        flow: The flow itself; None when only its name is known.
    """

    element_type: Literal["workflow"] = "workflow"
    flow: Flow | None = None
