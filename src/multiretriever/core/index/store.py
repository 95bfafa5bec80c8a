"""A connection to Chroma: an embedded folder, memory, or a server; with bounded waits and errors of our own."""

from __future__ import annotations

import math
import os
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from multiretriever.core.errors import (
    IndexDamagedError,
    IndexNotFoundError,
    MultiRetrieverError,
    ParameterError,
    ServerUnavailableError,
    StoreError,
)
from multiretriever.core.index.folder import IndexFolder

if TYPE_CHECKING:
    import httpx
    from chromadb.api.models.Collection import Collection


# Chroma refuses more than 5,461 rows in one write and is fastest at about 1,000.
WRITE_BATCH = 1000
# One read holds documents and metadata of this many rows.
READ_BATCH = 5000
DEFAULT_TIMEOUT = 30.0
_HNSW = {"space": "cosine", "ef_construction": 200, "ef_search": 200, "max_neighbors": 32}
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
# Asked of a server before Chroma's client is made, which asks for the same.
_SERVER_CHECKS = ("heartbeat", "auth/identity", "tenants/default_tenant/databases/default_database")
_open_folders: dict[Path, Store] = {}
_open_lock = threading.RLock()


class Store:
    """A Chroma client that raises errors of ours. Made by ``open_store``.

    Attributes:
        location: Folder, URL or ``memory``, for messages.
    """

    def __init__(self, client: Any, location: str, folder: IndexFolder | None = None, prefix: str = "") -> None:
        self.location = location
        self._client = client
        self._folder = folder
        self._prefix = prefix
        self._pid = os.getpid()
        self._users = 1
        # One sync at a time: two at once would mix their catalogs, and each take the other's files for finished.
        self.sync_lock = threading.RLock()
        # Manifests read from here: when, and what. Shared by all indexes of the process on this store.
        self.manifests: dict[str, tuple[float, Any]] = {}

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turns what Chroma and httpx raise into errors of ours.

        Raises:
            IndexNotFoundError: A collection is not there.
            ServerUnavailableError: The server does not answer in time, or at all.
            StoreError: Anything else that Chroma refuses.
        """
        import httpx
        from chromadb.errors import NotFoundError

        if self._users <= 0:
            raise StoreError(f"the index at {self.location} was closed; open it again")
        if os.getpid() != self._pid:
            raise StoreError(f"the index at {self.location} was opened before a fork; open it again in the new process")
        try:
            yield
        except MultiRetrieverError:
            raise
        except NotFoundError as error:
            raise IndexNotFoundError(f"the index at {self.location} has lost a collection: {error}; sync it again") from error
        except httpx.TransportError as error:
            raise _unavailable(self.location, error) from error
        except BaseException as error:  # Chroma lets errors of its Rust core, sqlite and httpx through, without a common class
            if not isinstance(error, Exception) and not _is_panic(error):
                raise
            raise StoreError(f"Chroma failed on the index at {self.location}: {type(error).__name__}: {error}") from error

    def collection(self, name: str, *, create: bool = False) -> Collection:
        """Opens a collection.

        Raises:
            IndexNotFoundError: It is not there and is not to be made.
            StoreError: It was made by something else and brings an embedding function, which would run in this process.
        """
        with self.translated():
            if create:
                found = self._client.get_or_create_collection(
                    self._prefix + name, embedding_function=None, configuration={"hnsw": _HNSW}
                )
            else:
                found = self._client.get_collection(self._prefix + name, embedding_function=None)
            function = found.configuration_json.get("embedding_function") or {}
            if function.get("type", "legacy") not in ("legacy", "unknown"):
                raise StoreError(
                    f"collection {found.name!r} at {self.location} has an embedding function ({function.get('name')!r}) of its "
                    "own; it was not made by multiretriever and is not opened"
                )
            opened: Collection = found
            return opened

    def names(self) -> list[str]:
        """Returns the names of all collections of this store."""
        with self.translated():
            names = [item.name for item in self._client.list_collections()]
        return [name.removeprefix(self._prefix) for name in names if name.startswith(self._prefix)]

    def drop(self, name: str) -> None:
        """Deletes a collection; one that is not there is no error."""
        if name in self.names():
            with self.translated():
                self._client.delete_collection(self._prefix + name)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Brackets a write, so that an interrupted one is not taken for damage later."""
        if self._folder:
            self._folder.begin_write()
        yield
        if self._folder:
            self._folder.end_write()

    def close(self) -> None:
        """Closes the connection; a folder that is shared within the process closes with its last user."""
        if os.getpid() != self._pid:
            return  # connection and lock belong to the process that opened them
        with _open_lock:
            try:
                if self._users == 1:
                    self._close_client()
            finally:
                self._users -= 1

    def _close_client(self) -> None:
        try:
            if self._prefix:  # memory is shared by all clients of the process and would keep the collections
                for name in self.names():
                    self.drop(name)
            with self.translated():
                self._client.close()
                for session in http_sessions(self._client):  # which Chroma leaves open
                    session.close()
        finally:
            if self._folder:
                _open_folders.pop(self._folder.path, None)
                self._folder.release()

    def share(self) -> Store:
        """Counts one more user."""
        self._users += 1
        return self


def open_store(location: str | Path | None, *, create: bool = False, timeout: float = DEFAULT_TIMEOUT) -> Store:
    """Connects to Chroma.

    Args:
        location: Folder; ``http://`` or ``https://`` URL of a server started by ``chroma run``; None for memory.
        create: Whether a folder may be made.
        timeout: Seconds to wait for a server's answer.

    Raises:
        IndexNotFoundError, IndexLockedError, IndexDamagedError: See ``IndexFolder.prepare``.
        ServerUnavailableError: The server does not answer in time.
        ParameterError: The location is neither a path nor a URL.
    """
    if location is None:
        return _open_memory()
    if not isinstance(location, str | Path) or not str(location).strip():
        raise ParameterError(f"the location of an index is a folder, a URL or None for memory (got {location!r})")
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout < math.inf:
        raise ParameterError(f"timeout is a number of seconds above 0 (got {timeout!r})")
    if isinstance(location, str) and _URL.match(location):
        return _open_server(location, timeout)
    if "\0" in str(location):
        raise ParameterError(f"the location of an index cannot hold a NUL character (got {str(location)!r})")
    return _open_folder(Path(location), create)


def chroma_settings() -> Any:
    """Returns the settings of every client of Chroma: no telemetry."""
    from chromadb.config import Settings

    return Settings(anonymized_telemetry=False)


def _open_memory() -> Store:
    import chromadb

    try:
        # Settings of our own would clash with the in-memory clients that others open by default, such as langchain-chroma.
        client = chromadb.EphemeralClient()
    except ValueError as error:
        raise StoreError(
            f"this process has an in-memory Chroma client with settings of its own ({error}); give this index a folder"
        ) from error
    # All in-memory clients of a process share their collections.
    return Store(client, "memory", prefix=f"m{uuid.uuid4().hex[:12]}-")


def _open_folder(path: Path, create: bool) -> Store:
    import chromadb

    path = path.expanduser().resolve()
    with _open_lock:
        if path in _open_folders:
            return _open_folders[path].share()
        folder = IndexFolder(path)
        folder.prepare(create=create)
        try:
            client = chromadb.PersistentClient(str(path), settings=chroma_settings())
        except BaseException as error:  # the Rust core panics as a BaseException
            folder.release()
            if not isinstance(error, Exception) and not _is_panic(error):
                raise
            _forget_failed(str(path))
            if isinstance(error, ValueError) and "different settings" in str(error):
                raise StoreError(f"the folder {path} is open in this process in another Chroma client; close it") from error
            raise IndexDamagedError(
                f"Chroma cannot open the index at {path} ({error}); delete the folder and build it again from the catalog"
            ) from error
        store = Store(client, str(path), folder)
        _open_folders[path] = store
        return store


def _is_panic(error: BaseException) -> bool:
    return type(error).__name__ == "PanicException"  # made by pyo3, which does not export it


def _forget_failed(identifier: str) -> None:
    # Chroma keeps a client that failed to start, and would hand it out again when the folder has been made anew.
    from chromadb.api.shared_system_client import SharedSystemClient

    if not SharedSystemClient._identifier_to_refcount.get(identifier):
        SharedSystemClient._identifier_to_system.pop(identifier, None)


def _open_server(url: str, timeout: float) -> Store:
    import chromadb
    import httpx

    parts, port = _split_url(url)
    # Chroma's own client waits for ever, so a server that hangs is found out before it is asked to connect.
    try:
        for path in _SERVER_CHECKS:
            httpx.get(f"{url.rstrip('/')}/api/v2/{path}", timeout=timeout).raise_for_status()
        client = chromadb.HttpClient(
            host=parts.hostname or "",
            port=port,
            ssl=parts.scheme == "https",
            settings=chroma_settings(),
        )
        _bound_waits(client, timeout)
    except Exception as error:  # httpx's classes, and ValueError of Chroma for a server that is down
        raise _unavailable(url, error) from error
    return Store(client, url)


def _split_url(url: str) -> tuple[SplitResult, int]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ParameterError(f"the URL of a Chroma server is http(s)://HOST[:PORT] (got {url!r}: {error})") from error
    if parts.username is not None or parts.password is not None:
        raise ParameterError(
            "the URL of a Chroma server takes no user and password (chroma run knows none); give http(s)://HOST[:PORT]"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        raise ParameterError(f"the URL of a Chroma server is http(s)://HOST[:PORT] (got {url!r})")
    return parts, port or (443 if parts.scheme == "https" else 80)


def http_sessions(client: Any) -> list[httpx.Client]:
    """Returns the HTTP sessions that a client of a Chroma server holds open."""
    import httpx

    servers = (getattr(part, "_server", None) for part in (client, getattr(client, "_admin_client", None)))
    sessions = (getattr(server, "_session", None) for server in servers)
    return [session for session in sessions if isinstance(session, httpx.Client)]


def _bound_waits(client: Any, timeout: float) -> None:
    import httpx

    sessions = http_sessions(client)
    if not sessions:
        raise StoreError("this version of chromadb keeps its HTTP session elsewhere; waits cannot be bounded")
    for session in sessions:
        session.timeout = httpx.Timeout(timeout)


def _unavailable(location: str, error: Exception) -> ServerUnavailableError:
    return ServerUnavailableError(
        f"the Chroma server at {location} does not answer ({type(error).__name__}: {error}). "
        "Is it running (chroma run --path FOLDER --port PORT), and is the URL right?"
    )
