"""The things that can be retrieved, and the registry of their types.

A type that is registered here works in catalogs, the index, the retrievers of both frameworks, the command line and evaluation.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pydantic
from pydantic import ConfigDict, StringConstraints

from multiretriever.core.errors import ElementTypeError
from multiretriever.core.flows import Flow
from multiretriever.core.input_schema import STORED, BoundedSchema, bounded_schema
from multiretriever.core.instructions import Template
from multiretriever.core.names import split_words
from multiretriever.core.query import MAX_INTEGER

Scalar = str | int | float | bool
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=512)]
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
    scope: str = ""
    name: Name
    label: str = ""
    description: str = ""
    metadata: dict[str, Scalar | list[str]] = pydantic.Field(default_factory=dict)

    @pydantic.model_validator(mode="before")
    @classmethod
    def _fill_id(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("name") and values.get("id") is None:
            return {**values, "id": cls.default_id(values)}
        return values

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
    type: str = "string"
    label: str = ""
    description: str = ""
    required: bool = False


class Step(Element):
    """An action, a piece of flow logic or a trigger that a flow can be made of.

    Attributes:
        kind: ``action``, ``logic`` (for each, if, ...) or ``trigger``.
        inputs: What a flow can give to it.
        input_schema: JSON schema of an object that holds the inputs, as their source states it, at most 64 kB of JSON (see
            ``input_schema``); None when the source has none.
    """

    element_type: Literal["step"] = "step"
    kind: Literal["action", "logic", "trigger"] = "action"
    inputs: tuple[StepInput, ...] = ()
    input_schema: dict[str, Any] | None = None

    @pydantic.field_validator("input_schema", mode="before")
    @classmethod
    def _bound_schema(cls, value: Any, info: pydantic.ValidationInfo) -> Any:
        # What a source or an index hands over was bounded before; to do so again takes longer than a search.
        is_bounded = isinstance(value, BoundedSchema) or info.context == STORED
        return bounded_schema(value) if isinstance(value, Mapping) and not is_bounded else value


class Table(Element):
    """A table of a database.

    Attributes:
        extends: Name of the table whose fields it inherits; None when it has no parent.
        fields: Titles of its own fields. A catalog fills them in from its fields where they are not given.
    """

    element_type: Literal["table"] = "table"
    extends: Name | None = None
    fields: tuple[str, ...] = ()


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
    data_type: str = ""
    reference: Name | None = None
    choices: tuple[str, ...] = ()

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


_FIELDS_SHOWN = 10
# Chroma's collection names take these characters, and the names become keys of files and options of commands.
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


def natural_text(element: Element, *more: str) -> str:
    """Returns the lines that are embedded for an element: natural words first.

    The label, the name's words where they differ from it, ``more``, the scope's words, the description.
    """
    label, words = element.label, split_words(element.name)
    if label and words.casefold() == label.casefold():
        words = ""
    lines = [label, words, *more, split_words(element.scope), element.description]
    return "\n".join(line for line in lines if line)


def _field_text(element: Any) -> str:
    return natural_text(element, split_words(element.table))


def _table_text(element: Any) -> str:
    # On development sets the first ten say what a table is about as well as all of them do, and leave room in the window.
    fields = ", ".join(split_words(name) for name in element.fields[:_FIELDS_SHOWN])
    return f"{natural_text(element)}\n{fields}" if fields else natural_text(element)


def _workflow_text(element: Any) -> str:
    if element.flow is None:
        return natural_text(element)
    annotations = [step.annotation for step in element.flow.steps]
    return natural_text(element, element.flow.requirement, "; ".join(filter(None, annotations)))


@dataclass(frozen=True)
class ElementType:
    """What the package knows of an element type.

    Attributes:
        name: Name in code and files: small letters, digits, underscores.
        model: Class of its elements; its ``element_type`` defaults to the name.
        plural: Key of its list in catalog files.
        text: Turns an element into the text that is embedded, natural words first.
        default_k: How many hits a retriever returns when no k is given.
        filters: Attributes of the model, beside ``scope``, that a filter may name. Single values of ``metadata`` always can.
        instructions: Query templates of its own; without any, the general ones are used.
        text_version: To be changed with the rule ``text``, so that an index is built anew beside the old one.
    """

    name: str
    model: type[Element]
    plural: str
    text: Callable[[Any], str] = natural_text
    default_k: int = 5
    filters: tuple[str, ...] = ()
    instructions: tuple[Template, ...] = ()
    text_version: str = "1"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or not _NAME.fullmatch(self.plural):
            raise ElementTypeError(
                f"element type {self.name!r} (plural {self.plural!r}): use small letters, digits and underscores, a letter first"
            )
        if not isinstance(self.model, type) or not issubclass(self.model, Element):
            raise ElementTypeError(f"element type {self.name!r}: its model must be a subclass of Element (got {self.model!r})")
        if self.model.model_fields["element_type"].default != self.name:
            raise ElementTypeError(
                f'{self.model.__name__} must have the attribute element_type: Literal["{self.name}"] = "{self.name}"'
            )
        unknown = [name for name in self.filters if name not in self.model.model_fields]
        if unknown:
            raise ElementTypeError(f"element type {self.name!r}: filters {unknown} are not attributes of {self.model.__name__}")
        if isinstance(self.default_k, bool) or not isinstance(self.default_k, int) or self.default_k < 1:
            raise ElementTypeError(f"element type {self.name!r}: default_k is a whole number from 1 (got {self.default_k!r})")
        # One of another type, or of "*", would change the queries of other types and not be chosen for this one.
        foreign = [template.id for template in self.instructions if template.element_type != self.name]
        if foreign:
            raise ElementTypeError(f"element type {self.name!r}: templates {foreign} need element_type={self.name!r}")

    @property
    def filter_names(self) -> tuple[str, ...]:
        """Attributes that every index of this type can filter on."""
        return ("scope", *self.filters)


BUILT_IN = (
    ElementType("step", Step, "steps", default_k=15, filters=("kind",)),
    ElementType("table", Table, "tables", text=_table_text, filters=("extends",)),
    ElementType("field", Field, "fields", text=_field_text, filters=("table", "data_type", "reference")),
    ElementType("catalog_item", CatalogItem, "catalog_items"),
    ElementType("workflow", Workflow, "workflows", text=_workflow_text),
)
_registry: dict[str, ElementType] = {kind.name: kind for kind in BUILT_IN}


def register_element_type(kind: ElementType, *, replace: bool = False) -> ElementType:
    """Makes a type known to the whole package.

    Args:
        kind: The type.
        replace: Whether it may take the place of a type of the same name.

    Raises:
        ElementTypeError: Its name or plural is taken.
    """
    for other in _registry.values():
        if other == kind or (replace and other.name == kind.name):
            continue
        if {kind.name, kind.plural} & {other.name, other.plural}:
            raise ElementTypeError(
                f"element type {kind.name!r} (plural {kind.plural!r}) collides with {other.name!r} (plural {other.plural!r}); "
                "choose other names, or replace=True to take its place"
            )
    _registry[kind.name] = kind
    return kind


def unregister_element_type(name: str) -> None:
    """Forgets a type that was registered; a built-in type gets its own definition back."""
    built_in = next((kind for kind in BUILT_IN if kind.name == name), None)
    if built_in is not None:
        _registry[name] = built_in
    else:
        _registry.pop(name, None)


def element_type(name: str | ElementType) -> ElementType:
    """Returns the type of a name, or of its plural; a type is returned as it is.

    Raises:
        ElementTypeError: There is none; the message lists those that there are.
    """
    if isinstance(name, ElementType):
        return name
    if isinstance(name, str):
        for kind in _registry.values():
            if name in (kind.name, kind.plural):
                return kind
    raise ElementTypeError(
        f"unknown element type {name!r}; known are {', '.join(_registry)} (others are added by register_element_type)"
    )


def element_types() -> Iterator[ElementType]:
    """Iterates over all types, built-in ones first."""
    return iter(tuple(_registry.values()))
