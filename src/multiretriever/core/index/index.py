"""The index of one catalog: a Chroma collection per element type, and the manifest that names them."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from multiretriever.core.catalog import Catalog
from multiretriever.core.elements import Element, ElementType, element_type
from multiretriever.core.encoders import Encoder, EncoderSpec, Vectors, load_encoder
from multiretriever.core.errors import ElementTypeError, EncoderMismatchError, IndexNotFoundError, ParameterError, StoreError
from multiretriever.core.index.lexical import LexicalIndex
from multiretriever.core.index.schema import ELEMENT_KEY, Manifest, TypeEntry, read_manifest, restore
from multiretriever.core.index.store import DEFAULT_TIMEOUT, READ_BATCH, Store, open_store
from multiretriever.core.index.sync import SyncReport, sync_catalog

DEFAULT_NAME = "multiretriever"
# How long another process's sync on the same server may go unnoticed.
_MANIFEST_SECONDS = 1.0
# No hyphen: it separates the parts of the names of collections.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]{0,63}")
_T = TypeVar("_T")


def chroma_where(where: Mapping[str, Any]) -> dict[str, Any] | None:
    """Writes a checked filter the way Chroma takes it: no empty mapping, and several names only under ``$and``.

    A tuple means any of its values.
    """
    parts: list[dict[str, Any]] = [
        {name: {"$in": list(value)} if isinstance(value, tuple) else {"$eq": value}} for name, value in where.items()
    ]
    # Chroma takes 2.5 for equal to a stored 2 (it cuts the fraction off for whole numbers), so the 2 is ruled out.
    parts += [{name: {"$ne": int(value)}} for name, value in where.items() if isinstance(value, float) and value % 1]
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else {"$and": parts}


class Index:
    """The index of one catalog. Made by ``open`` or ``from_catalog``; safe to share between threads.

    Attributes:
        encoder: The encoder that it is read and written with.
    """

    def __init__(self, store: Store, encoder: Encoder, name: str) -> None:
        """Use ``open`` or ``from_catalog``."""
        self.encoder = encoder
        self._store = store
        self._name = name
        self._lexical: dict[tuple[str, int], LexicalIndex] = {}
        self._lock = threading.Lock()
        self._closed = False

    @classmethod
    def open(
        cls,
        location: str | Path | None,
        *,
        encoder: EncoderSpec = None,
        create: bool = False,
        name: str = DEFAULT_NAME,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> Index:
        """Opens an index.

        Args:
            location: Folder, URL of a Chroma server (``chroma run``), or None for a new one in memory.
            encoder: The encoder, or what ``load_encoder`` takes; None for the shipped one.
            create: Whether to start an empty index where there is none; another encoder is then accepted too, for ``sync``.
            name: Name of the index, where one server holds several.
            timeout: Seconds to wait for a server's answer.

        Raises:
            IndexNotFoundError: There is none.
            EncoderMismatchError: It was built with another encoder.
            IndexLockedError: Another process has the folder open.
            IndexDamagedError: Its files are missing or damaged.
            ServerUnavailableError: The server does not answer in time.
            EncoderError: The encoder cannot be loaded.
            ParameterError: The location or the name is not valid.
        """
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ParameterError(f"the name of an index is letters, digits and underscores, at most 64 (got {name!r})")
        loaded = load_encoder(encoder)
        index = cls(open_store(location, create=create, timeout=timeout), loaded, name)
        try:
            if not create and location is not None:
                _ = index.manifest
        except BaseException:
            index.close()
            raise
        return index

    @classmethod
    def from_catalog(
        cls,
        catalog: Catalog,
        location: str | Path | None = None,
        *,
        encoder: EncoderSpec = None,
        name: str = DEFAULT_NAME,
        progress: bool = False,
    ) -> Index:
        """Opens or makes an index and syncs it with a catalog; in memory without a location. Raises what these two raise."""
        index = cls.open(location, encoder=encoder, create=True, name=name)
        try:
            index.sync(catalog, progress=progress)
        except BaseException:
            index.close()
            raise
        return index

    @property
    def location(self) -> str:
        """Folder, URL or ``memory``."""
        return self._store.location

    @property
    def manifest(self) -> Manifest:
        """What the index holds.

        Raises:
            IndexNotFoundError: Nothing was synced yet.
            EncoderMismatchError: It was built with another encoder than ``encoder``.
        """
        manifest = self._current_manifest()
        if manifest is None or not manifest.revision:
            raise IndexNotFoundError(f"the index {self._name!r} at {self.location} is empty; sync a catalog into it first")
        if manifest.fingerprint != self.encoder.fingerprint:
            raise EncoderMismatchError(
                f"the index at {self.location} was built with {manifest.encoder!r} (fingerprint {manifest.fingerprint}) and is "
                f"opened with {self.encoder.name!r} (fingerprint {self.encoder.fingerprint}); open it with the first, or sync it "
                "again with the second"
            )
        return manifest

    def _current_manifest(self, *, fresh: bool = False) -> Manifest | None:
        cached = self._store.manifests.get(self._name)
        if cached is not None and not fresh and time.monotonic() - cached[0] < _MANIFEST_SECONDS:
            known: Manifest = cached[1]
            return known
        manifest = read_manifest(self._store, self._name)
        if manifest is not None:
            self._store.manifests[self._name] = (time.monotonic(), manifest)
        return manifest

    def entry(self, kind: str | ElementType) -> TypeEntry:
        """Returns what the index holds of an element type.

        Raises:
            ElementTypeError: The type is unknown, or the index holds none of it.
        """
        name = element_type(kind).name
        types = self.manifest.types
        if name not in types:
            held = ", ".join(types) or "nothing"
            raise ElementTypeError(f"the index at {self.location} holds no elements of type {name!r} (it holds {held})")
        return types[name]

    def sync(self, catalog: Catalog, *, allow_shrink: bool = False, progress: bool = False) -> SyncReport:
        """Makes the index hold just this catalog. Only what changed is embedded; what went is deleted.

        It can be killed at any time and run again, to the same end. With another encoder (or another text rule of a type) it
        builds new collections beside the old ones, which go on answering until all is ready.

        Args:
            catalog: The catalog.
            allow_shrink: Whether most of the elements of a type may go.
            progress: Whether to show a progress bar on standard error.

        Raises:
            ShrunkenCatalogError: The catalog is empty, or lacks most of what the index holds of a type.
            StoreError: Chroma failed.
            EncoderError: The encoder failed.
        """
        with self._store.sync_lock:
            old = self._current_manifest(fresh=True)
            try:
                return sync_catalog(
                    self._store, self._name, self.encoder, catalog, old, allow_shrink=allow_shrink, progress=progress
                )
            finally:
                self._store.manifests.pop(self._name, None)

    def search(
        self, kind: str | ElementType, vectors: Vectors, k: int, where: Mapping[str, Any]
    ) -> list[list[tuple[str, float]]]:
        """Returns for each vector the ids of the ``k`` nearest elements and their cosines, nearest first."""

        def query(entry: TypeEntry) -> list[list[tuple[str, float]]]:
            collection = self._store.collection(entry.collection)
            count = min(k, entry.count)
            with self._store.translated():
                found = collection.query(
                    query_embeddings=vectors, n_results=max(count, 1), where=chroma_where(where), include=["distances"]
                )
            # With a filter, fewer are no surprise.
            self._check_whole(kind, entry, min(map(len, found["ids"]), default=count), min(count, 1) if where else count)
            rows = zip(found["ids"], found["distances"] or [], strict=True)
            return [[(i, 1.0 - d) for i, d in zip(ids, distances, strict=True)] for ids, distances in rows]

        return self._retrying(kind, query)

    def vectors(self, kind: str | ElementType, ids: Sequence[str]) -> dict[str, Vectors]:
        """Returns the vectors of elements by id; ids that are not there are left out."""

        def get(entry: TypeEntry) -> dict[str, Vectors]:
            collection = self._store.collection(entry.collection)
            vectors: dict[str, Vectors] = {}
            for some in _chunks(ids):
                with self._store.translated():
                    found = collection.get(ids=some, include=["embeddings"])
                vectors.update(zip(found["ids"], np.asarray(found["embeddings"], dtype=np.float32), strict=True))
            self._check_whole(kind, entry, len(vectors), len(set(ids)))
            return vectors

        return self._retrying(kind, get) if ids else {}

    def elements(self, kind: str | ElementType, ids: Sequence[str]) -> dict[str, Element]:
        """Returns elements by id; ids that are not there are left out."""
        known = element_type(kind)

        def get(entry: TypeEntry) -> dict[str, Element]:
            collection = self._store.collection(entry.collection)
            elements: dict[str, Element] = {}
            for some in _chunks(ids):
                with self._store.translated():
                    found = collection.get(ids=some, include=["metadatas"])
                rows = zip(found["ids"], found["metadatas"] or [], strict=True)
                elements.update((element_id, restore(row, known)) for element_id, row in rows)
            self._check_whole(kind, entry, len(elements), len(set(ids)))
            return elements

        return self._retrying(kind, get) if ids else {}

    def catalog(self) -> Catalog:
        """Reads the whole catalog back."""
        return Catalog(element for name in self.manifest.types for element in self.all_elements(name))

    def all_elements(self, kind: str | ElementType) -> Iterator[Element]:
        """Iterates over the elements of a type."""
        known = element_type(kind)

        def read(entry: TypeEntry) -> list[Element]:
            elements = [restore(row, known) for _, rows, _ in self._pages(entry) for row in rows]
            self._check_whole(kind, entry, len(elements), entry.count)
            return elements

        return iter(self._retrying(kind, read))

    def lexical(self, kind: str | ElementType) -> LexicalIndex:
        """Returns the BM25 index of an element type, built from the texts in Chroma when it is first needed after a sync."""
        return self._retrying(kind, lambda entry: self._lexical_of(kind, entry))

    def _lexical_of(self, kind: str | ElementType, entry: TypeEntry) -> LexicalIndex:
        key = (entry.collection, self.manifest.revision)
        with self._lock:
            if key not in self._lexical:
                self._lexical = {k: v for k, v in self._lexical.items() if k[1] == key[1]}
                ids, texts, rows = [], [], []
                for page_ids, page_rows, page_texts in self._pages(entry):
                    ids += page_ids
                    texts += page_texts
                    rows += [{k: v for k, v in row.items() if k != ELEMENT_KEY} for row in page_rows]
                self._check_whole(kind, entry, len(ids), entry.count)
                # By id, since the order in Chroma is that in which they were written, and of equal scores the first rows win.
                order = sorted(range(len(ids)), key=ids.__getitem__)
                self._lexical[key] = LexicalIndex([ids[i] for i in order], [texts[i] for i in order], [rows[i] for i in order])
            return self._lexical[key]

    def _pages(self, entry: TypeEntry) -> Iterator[tuple[list[str], list[Mapping[str, Any]], list[str]]]:
        collection = self._store.collection(entry.collection)
        for offset in range(0, max(entry.count, 1), READ_BATCH):
            with self._store.translated():
                page = collection.get(limit=READ_BATCH, offset=offset, include=["metadatas", "documents"])
            yield page["ids"], list(page["metadatas"] or []), list(page["documents"] or [])

    def _retrying(self, kind: str | ElementType, action: Callable[[TypeEntry], _T]) -> _T:
        # A sync may have swapped the generation after the manifest was read; then it is read anew.
        entry = self.entry(kind)
        while True:
            try:
                return action(entry)
            except StoreError:
                # Chroma drops a collection piece by piece, and fails in several ways in between.
                before, entry = entry, self._fresh_entry(kind)
                if entry.collection == before.collection:
                    raise

    def _fresh_entry(self, kind: str | ElementType) -> TypeEntry:
        self._store.manifests.pop(self._name, None)
        return self.entry(kind)

    def _check_whole(self, kind: str | ElementType, entry: TypeEntry, found: int, expected: int) -> None:
        """Raises IndexNotFoundError where too little was read of a generation that was swapped meanwhile.

        Of a collection that is being dropped, Chroma returns what is left of it, without an error.
        """
        if found < expected and self._fresh_entry(kind).collection != entry.collection:
            raise IndexNotFoundError(f"the collection {entry.collection!r} at {self.location} was replaced while it was read")

    def close(self) -> None:
        """Closes the connection and releases the folder's lock. What is in memory is gone; closing twice does nothing."""
        with self._lock:
            closed, self._closed = self._closed, True
        if not closed:
            self._store.close()

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Index({self.location!r}, encoder={self.encoder.name!r})"


def _chunks(ids: Sequence[str]) -> Iterator[list[str]]:
    # SQLite takes about 32,000 values in one statement.
    return (list(ids[start : start + READ_BATCH]) for start in range(0, len(ids), READ_BATCH))
