"""How an element stands in a Chroma collection."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pydantic

from multiretriever.core.elements import Element, Scalar
from multiretriever.core.errors import IndexDamagedError
from multiretriever.core.registry import ElementType

ELEMENT_KEY = "_element"
TEXT_HASH_KEY = "_text_hash"


@dataclass(frozen=True)
class Row:
    """An element as it is stored: its text, the values that can be filtered on, and the element itself."""

    element: Element
    text: str
    kind: ElementType

    @cached_property
    def text_hash(self) -> str:
        """Digest of the text; the vector has to be made anew when it changes."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:32]

    @cached_property
    def metadata(self) -> dict[str, Scalar]:
        """Chroma's metadata: what can be filtered on, the hash, the element as JSON."""
        return {
            **filter_values(self.element, self.kind),
            TEXT_HASH_KEY: self.text_hash,
            ELEMENT_KEY: self.element.model_dump_json(exclude_defaults=True),
        }


def make_row(element: Element, kind: ElementType) -> Row:
    """Makes the row of an element; one without any words is embedded by its id."""
    return Row(element, kind.text(element) or element.id, kind)


def filter_values(element: Element, kind: ElementType) -> dict[str, Scalar]:
    """Returns the values of an element that a filter can name: its declared attributes and the single values of its metadata."""
    values: dict[str, Scalar] = {key: item for key, item in element.metadata.items() if not isinstance(item, list)}
    for name in kind.filter_names:
        value = getattr(element, name)
        if value is not None:
            values[name] = value
    return values


def filter_names(rows: Iterable[Row]) -> tuple[str, ...]:
    """Returns all names that a filter over these rows can use."""
    names: dict[str, None] = {}
    for row in rows:
        names.update(dict.fromkeys((*row.kind.filter_names, *filter_values(row.element, row.kind))))
    return tuple(names)


def restore(metadata: Mapping[str, Any] | None, kind: ElementType) -> Element:
    """Makes the element again of a row's metadata.

    Raises:
        IndexDamagedError: The row was not written by this package.
    """
    try:
        return kind.model.model_validate_json((metadata or {})[ELEMENT_KEY])
    except (KeyError, TypeError, pydantic.ValidationError) as error:
        raise IndexDamagedError(f"a {kind.name} of the index cannot be read back ({error}); build the index again") from error
