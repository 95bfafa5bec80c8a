"""How an index is stored: the manifest, and an element as a row of a Chroma collection.

The manifest says what the index holds and points to the current generation. It is a single row of a collection of its own, so
that writing it is one atomic operation in a folder and on a server alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pydantic
from pydantic import ConfigDict

from multiretriever.core.elements import Element, ElementType, Scalar
from multiretriever.core.errors import IndexDamagedError, IndexNotFoundError
from multiretriever.core.index.store import Store
from multiretriever.core.input_schema import STORED
from multiretriever.core.records import problems_of

FORMAT = 1
_ROW = "manifest"


class TypeEntry(pydantic.BaseModel):
    """What the index holds of one element type.

    Attributes:
        collection: Name of the collection of its current generation.
        count: Number of elements.
        filters: Names that a filter may use.
        text_version: Version of the rule that made the texts.
    """

    model_config = ConfigDict(frozen=True)

    collection: str
    count: int
    filters: tuple[str, ...]
    text_version: str


class Manifest(pydantic.BaseModel):
    """What an index holds.

    Attributes:
        encoder: Name of the encoder that it was built with.
        fingerprint: Fingerprint of that encoder.
        dimension: Length of its vectors.
        revision: Counts the syncs.
        updated: When the last sync ended (ISO 8601, UTC).
        complete: False while a sync runs, or after one was interrupted.
        types: What it holds, by element type.
        extends: Names of the tables that tables of a name extend; several where scopes have tables of one name.
    """

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    encoder: str
    fingerprint: str
    dimension: int
    revision: int = 0
    updated: str = ""
    complete: bool = True
    types: dict[str, TypeEntry] = {}
    extends: dict[str, tuple[str, ...]] = {}

    def lineage(self, table: str) -> tuple[str, ...]:
        """Returns the name of a table and of those that it extends, directly or by others."""
        names: dict[str, None] = {}
        rest = [table]
        while rest:
            current = rest.pop(0)
            if current not in names:
                names[current] = None
                rest += self.extends.get(current, ())
        return tuple(names)


def collection_name(name: str) -> str:
    """Returns the name of the collection that holds the manifest of the index ``name``."""
    return f"{name}-manifest"


def read_manifest(store: Store, name: str) -> Manifest | None:
    """Reads the manifest; None where there is none yet.

    Raises:
        IndexDamagedError: There is one, but it cannot be read.
    """
    try:
        collection = store.collection(collection_name(name))
    except IndexNotFoundError:
        return None
    with store.translated():
        documents = collection.get(ids=[_ROW], include=["documents"])["documents"]
    if not documents:
        return None
    try:
        manifest = Manifest.model_validate_json(documents[0])
    except pydantic.ValidationError as error:
        first = problems_of(error, source="manifest")[0]
        raise IndexDamagedError(
            f"the manifest of the index at {store.location} was damaged, or written by another version ({first}); build it again"
        ) from error
    if manifest.format != FORMAT:
        raise IndexDamagedError(
            f"the index at {store.location} has format {manifest.format}, and this version reads {FORMAT}; build it again"
        )
    return manifest


def write_manifest(store: Store, name: str, manifest: Manifest) -> None:
    """Writes the manifest; from then on readers see what it names."""
    collection = store.collection(collection_name(name), create=True)
    with store.translated():
        collection.upsert(ids=[_ROW], embeddings=np.ones((1, 1), dtype=np.float32), documents=[manifest.model_dump_json()])


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
        return kind.model.model_validate_json((metadata or {})[ELEMENT_KEY], context=STORED)
    except (KeyError, TypeError, pydantic.ValidationError) as error:
        raise IndexDamagedError(f"a {kind.name} of the index cannot be read back ({error}); build the index again") from error
