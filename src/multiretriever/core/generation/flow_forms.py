"""Forms of a chat model's answers when it writes a flow."""

from __future__ import annotations

from typing import Annotated, Any

import pydantic
from pydantic import BeforeValidator, ConfigDict

from multiretriever.core.elements import Step
from multiretriever.core.yaml_io import Text, resolve_scalars

MAX_STEPS = 40


class OutlineStep(pydantic.BaseModel):
    """One step of an outline.

    Attributes:
        annotation: What it does, in words.
        block: Number of the step in whose block it stands; 0 outside of any.
    """

    annotation: Text
    block: int = 0


class Outline(pydantic.BaseModel):
    """What a flow is to do, before anything of it has a definition.

    Attributes:
        trigger: When it starts, in words; blank where the requirement does not say.
        steps: Its steps in order.
    """

    trigger: Text = ""
    steps: list[OutlineStep]


class Call(pydantic.BaseModel):
    """Definition of the trigger or of a step.

    Attributes:
        definition: Id of the catalog's step.
        table: Name of the table that it works on; blank where it works on none.
    """

    definition: Text
    table: Text = ""


class FieldValue(pydantic.BaseModel):
    """A value of a field.

    Attributes:
        field: Name of the field.
        value: Its value.
    """

    field: Text
    value: Text


def _as_pairs(value: Any) -> Any:
    # Models that are held to a form list pairs, since no form can name fields that it does not know; others write a mapping.
    if isinstance(value, dict):
        return [{"field": str(name), "value": _as_words(item)} for name, item in value.items()]
    return value


def _as_words(value: Any) -> Any:
    plain = resolve_scalars(value)
    if isinstance(plain, list):
        return ", ".join(str(item) for item in plain)
    return value if isinstance(value, str) else str(plain) if isinstance(plain, int | float) else plain


_Words = Annotated[Text | None, BeforeValidator(_as_words)]
_Values = Annotated[list[FieldValue] | None, BeforeValidator(_as_pairs)]


def inputs_form(step: Step) -> type[pydantic.BaseModel]:
    """Returns the form of a step's inputs: one key each; the table is not among them, it is chosen before."""
    fields: dict[str, Any] = {}
    for place, item in enumerate(step.inputs):
        if item.type == "table":
            continue
        kind = _Values if item.type == "values" else _Words
        words = f"{item.type}{', required' if item.required else ''}. {item.description}".strip()
        fields[f"input_{place}"] = (kind, pydantic.Field(default=None, alias=item.name, description=words))
    # A model that can be held to the form is held to its keys; of one that cannot, a wrong key must not cost the right ones.
    config = ConfigDict(extra="allow", title="Inputs", json_schema_extra={"additionalProperties": False})
    form: type[pydantic.BaseModel] = pydantic.create_model("Inputs", __config__=config, **fields)
    return form


def values_of(answer: pydantic.BaseModel) -> dict[str, Any]:
    """Returns the inputs of an answer as a flow has them, with keys that are no inputs."""
    given = {field.alias or name: getattr(answer, name) for name, field in type(answer).model_fields.items()}
    values = {name: _as_mapping(value) for name, value in given.items() if value is not None}
    return {**values, **(answer.model_extra or {})}


def _as_mapping(value: Any) -> Any:
    return {pair.field: pair.value for pair in value} if isinstance(value, list) else value
