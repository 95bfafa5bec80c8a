"""Making the index hold just the catalog: embed what changed, delete what went."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from typing import Any

from multiretriever.core.catalog import Catalog
from multiretriever.core.elements import element_type
from multiretriever.core.encoders import Encoder, make_fingerprint, unit_vectors
from multiretriever.core.errors import ParameterError, ShrunkenCatalogError
from multiretriever.core.index.schema import (
    TEXT_HASH_KEY,
    Manifest,
    Row,
    TypeEntry,
    collection_name,
    filter_names,
    make_row,
    write_manifest,
)
from multiretriever.core.index.store import READ_BATCH, WRITE_BATCH, Store
from multiretriever.core.progress import bars

# A catalog with less than this share of what the index holds is more likely a broken export than a wish.
SHRINK_LIMIT = 0.5
# Texts encoded at once: small enough that the bar moves and little is lost when the process is killed.
_ENCODE_BATCH = 256


@dataclass
class TypeReport:
    """What a sync did to one element type, in numbers of elements.

    Attributes:
        embedded: New ones and those whose text changed.
        updated: Those of which only other values changed; their vectors were kept.
        deleted: Those that the catalog has no more.
        unchanged: All others.
    """

    embedded: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0


@dataclass(frozen=True)
class SyncReport:
    """What a sync did.

    Attributes:
        types: By element type.
        rebuilt: Element types whose collection was built anew beside the old one, for another encoder or text rule.
        revision: Number of this sync.
    """

    types: Mapping[str, TypeReport] = field(default_factory=dict)
    rebuilt: tuple[str, ...] = ()
    revision: int = 0

    def total(self, what: str) -> int:
        """Returns the sum over all types of ``embedded``, ``updated``, ``deleted`` or ``unchanged``."""
        return sum(getattr(report, what) for report in self.types.values())


def sync_catalog(
    store: Store,
    name: str,
    encoder: Encoder,
    catalog: Catalog,
    old: Manifest | None,
    *,
    allow_shrink: bool,
    progress: bool,
) -> SyncReport:
    """Makes the index ``name`` in ``store`` hold just ``catalog``. See ``Index.sync``."""
    if not isinstance(catalog, Catalog):
        raise ParameterError(f"expected a Catalog, got {type(catalog).__name__}; read one by Catalog.from_path")
    _check_shrink(catalog, old, allow_shrink)
    rows = {kind: [make_row(element, element_type(kind)) for element in catalog.of(kind)] for kind in catalog.types}
    new = _plan(name, encoder, catalog, rows, old)
    kept = old.types if old else {}
    rebuilt = tuple(k for k in new.types if k in kept and kept[k].collection != new.types[k].collection)
    reports: dict[str, TypeReport] = {}
    with store.writing(), bars(shown=progress) as show:
        if old is not None:
            write_manifest(store, name, old.model_copy(update={"complete": False}))
        for kind, entry in new.types.items():
            reports[kind] = _TypeSync(store, entry.collection, encoder, partial(show, kind)).run(rows[kind])
        write_manifest(store, name, new)
        _drop_stale(store, name, new)
    for kind in kept.keys() - new.types.keys():
        reports[kind] = TypeReport(deleted=kept[kind].count)
    return SyncReport(reports, rebuilt, new.revision)


def _check_shrink(catalog: Catalog, old: Manifest | None, allow_shrink: bool) -> None:
    if allow_shrink:
        return
    if not len(catalog):
        raise ShrunkenCatalogError("the catalog is empty; nothing was changed (allow_shrink=True empties the index)")
    for kind, entry in (old.types if old else {}).items():
        count = len(catalog.of(kind))
        if count < entry.count * SHRINK_LIMIT:
            raise ShrunkenCatalogError(
                f"the index holds {entry.count} elements of type {kind!r} and the catalog has {count}; nothing was changed. "
                "If the rest is really to be deleted, sync with allow_shrink=True (--allow-shrink)"
            )


def _plan(name: str, encoder: Encoder, catalog: Catalog, rows: Mapping[str, Sequence[Row]], old: Manifest | None) -> Manifest:
    types = {}
    for kind, items in rows.items():
        version = element_type(kind).text_version
        # The name follows from what decides the vectors: an interrupted build is found again and continued.
        generation = make_fingerprint({"encoder": encoder.fingerprint, "text": version})
        types[kind] = TypeEntry(
            collection=f"{name}-{kind}-{generation}", count=len(items), filters=filter_names(items), text_version=version
        )
    return Manifest(
        encoder=encoder.name,
        fingerprint=encoder.fingerprint,
        dimension=encoder.dimension,
        revision=(old.revision if old else 0) + 1,
        updated=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        types=types,
        extends=_parents(catalog),
    )


def _parents(catalog: Catalog) -> dict[str, tuple[str, ...]]:
    parents: dict[str, tuple[str, ...]] = {}
    for table in catalog.of("table"):
        if table.extends:
            parents[table.name] = tuple(dict.fromkeys((*parents.get(table.name, ()), table.extends)))
    return parents


def _drop_stale(store: Store, name: str, manifest: Manifest) -> None:
    current = {collection_name(name), *(entry.collection for entry in manifest.types.values())}
    ours = re.compile(rf"{re.escape(name)}-[a-z0-9_]+-[0-9a-f]{{16}}")
    for other in store.names():
        if ours.fullmatch(other) and other not in current:
            store.drop(other)


class _TypeSync:
    """The sync of one collection."""

    def __init__(self, store: Store, collection: str, encoder: Encoder, show: Callable[[int, int], object]) -> None:
        self._store = store
        self._collection = store.collection(collection, create=True)
        self._encoder = encoder
        self._show = show
        self._done = self._total = 0

    def _advance(self, count: int) -> None:
        self._done += count
        self._show(self._done, self._total)

    def run(self, rows: Sequence[Row]) -> TypeReport:
        stored = dict(self._stored())
        new, changed, same = [], [], 0
        for row in rows:
            before = stored.get(row.element.id)
            if before is None or before.get(TEXT_HASH_KEY) != row.text_hash:
                new.append(row)
            elif dict(before) != row.metadata:
                changed.append(row)
            else:
                same += 1
        self._total = len(rows)
        self._advance(same)
        self._embed(new, stored)
        self._update(changed, stored)
        gone = sorted(stored.keys() - {row.element.id for row in rows})
        for start in range(0, len(gone), WRITE_BATCH):
            with self._store.translated():
                self._collection.delete(ids=gone[start : start + WRITE_BATCH])
        return TypeReport(len(new), len(changed), len(gone), same)

    def _stored(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        with self._store.translated():
            count = self._collection.count()
        for offset in range(0, count, READ_BATCH):
            with self._store.translated():
                page = self._collection.get(limit=READ_BATCH, offset=offset, include=["metadatas"])
            yield from zip(page["ids"], (row or {} for row in page["metadatas"] or []), strict=True)

    def _embed(self, rows: Sequence[Row], stored: Mapping[str, Mapping[str, Any]]) -> None:
        # Texts of like length side by side make batches without padding.
        ordered = sorted(rows, key=lambda row: len(row.text))
        for start in range(0, len(ordered), _ENCODE_BATCH):
            chunk = ordered[start : start + _ENCODE_BATCH]
            # Checked for every encoder, one of a user's own too: Chroma stores NaN, and finds it never again.
            vectors = unit_vectors(
                self._encoder.encode_documents([row.text for row in chunk]),
                len(chunk),
                self._encoder.dimension,
                self._encoder.name,
            )
            with self._store.translated():
                self._collection.upsert(
                    ids=[row.element.id for row in chunk],
                    embeddings=vectors,
                    documents=[row.text for row in chunk],
                    metadatas=[_overwriting(row, stored) for row in chunk],
                )
            self._advance(len(chunk))

    def _update(self, rows: Sequence[Row], stored: Mapping[str, Mapping[str, Any]]) -> None:
        for start in range(0, len(rows), WRITE_BATCH):
            chunk = rows[start : start + WRITE_BATCH]
            with self._store.translated():
                self._collection.update(
                    ids=[row.element.id for row in chunk], metadatas=[_overwriting(row, stored) for row in chunk]
                )
            self._advance(len(chunk))


def _overwriting(row: Row, stored: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the metadata, with None for keys that went: Chroma merges, and an old key would survive."""
    return {**dict.fromkeys(stored.get(row.element.id, ())), **row.metadata}
