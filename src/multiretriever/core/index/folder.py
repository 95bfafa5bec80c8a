"""A folder with an embedded Chroma database: its lock, and whether its files are as the last sync left them.

Chroma allows one process per folder, readers included (a second one sees stale results, a second writer loses vectors), does not
notice missing vector files, and crashes the process on damaged ones. So a folder is locked, and its files are checked before
Chroma opens it.
"""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path

from filelock import FileLock, Timeout

from multiretriever.core.errors import IndexDamagedError, IndexLockedError, IndexNotFoundError, StoreError

DATABASE = "chroma.sqlite3"
_CHECKSUMS = "checksums.json"
_VECTOR_METADATA = "index_metadata.pickle"
_LOCK = "lock"
_HOLDER = "lock.holder"
_SQLITE_MAGIC = b"SQLite format 3\0"


class IndexFolder:
    """The folder of an embedded index."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # Not thread-local: the thread that closes an index need not be the one that opened it.
        self._lock = FileLock(str(path / _LOCK), timeout=0, thread_local=False)

    def prepare(self, *, create: bool) -> None:
        """Locks the folder and checks its files.

        Raises:
            IndexNotFoundError: There is no index, and none may be made.
            IndexLockedError: Another process has it open.
            IndexDamagedError: Files are missing or were changed from outside.
            StoreError: The folder cannot be written, or holds something else.
        """
        try:
            if not create and not self._begun():
                raise IndexNotFoundError(
                    f"there is no index at {self.path}; make one with: multiretriever index CATALOG --index {self.path}"
                )
            self.path.mkdir(parents=True, exist_ok=True)
            if create and not (self.path / DATABASE).exists() and set(os.listdir(self.path)) - {_LOCK, _HOLDER}:
                raise StoreError(f"{self.path} holds other files and no index; choose an empty or a new folder")
            self._acquire()
            self._check_files()
        except OSError as error:
            self.release()
            raise StoreError(f"the index folder {self.path} cannot be used: {error}") from error
        except IndexDamagedError:
            self.release()
            raise

    def _begun(self) -> bool:
        """Whether Chroma wrote anything: a first sync that is killed at once leaves an empty database, and nothing beside it."""
        database = self.path / DATABASE
        if not database.exists():
            return False
        return database.stat().st_size > 0 or any(file.is_dir() or file.name == _CHECKSUMS for file in self.path.iterdir())

    def _acquire(self) -> None:
        try:
            self._lock.acquire()
        except Timeout as error:
            raise IndexLockedError(
                f"the index at {self.path} is open in another process ({self._holder()}). A folder serves one process at a time: "
                f"close it, or serve the folder with `chroma run --path {self.path}` and give the server's URL to each process"
            ) from error
        (self.path / _HOLDER).write_text(str(os.getpid()), encoding="utf-8")

    def _holder(self) -> str:
        try:
            return f"pid {(self.path / _HOLDER).read_text(encoding='utf-8')}"
        except OSError:
            return "pid unknown"

    def release(self) -> None:
        """Yields the lock back."""
        self._lock.release()

    def begin_write(self) -> None:
        """Forgets the checksums: until the write has ended, the files may be anything."""
        (self.path / _CHECKSUMS).unlink(missing_ok=True)

    def end_write(self) -> None:
        """Notes the checksums of the vector files as they are now."""
        sums = {file.relative_to(self.path).as_posix(): _checksum(file) for file in self._vector_files()}
        temporary = self.path / f"{_CHECKSUMS}.new"
        temporary.write_text(json.dumps(sums, indent=1), encoding="utf-8")
        os.replace(temporary, self.path / _CHECKSUMS)

    def _vector_files(self) -> list[Path]:
        # Chroma writes a small collection's vectors to its database alone; its vector files, then without the file of metadata,
        # hold nothing yet and are made anew at each opening.
        written = [file.parent for file in self.path.glob(f"*/{_VECTOR_METADATA}")]
        return sorted(file for folder in written for file in folder.iterdir() if file.is_file())

    def _check_files(self) -> None:
        if self._begun():
            with (self.path / DATABASE).open("rb") as file:
                magic = file.read(len(_SQLITE_MAGIC))
            if magic != _SQLITE_MAGIC:
                raise self._damaged(f"{DATABASE} is {'empty' if not magic else 'no SQLite database'}")
        for name, expected in self._read_checksums().items():
            file_path = self.path / name
            if not file_path.is_file():
                raise self._damaged(f"{name} is missing")
            if _checksum(file_path) != expected:
                raise self._damaged(f"{name} is not as the last sync left it")

    def _read_checksums(self) -> dict[str, list[int]]:
        try:
            sums = json.loads((self.path / _CHECKSUMS).read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise self._damaged(f"{_CHECKSUMS} cannot be read ({error})") from error
        if not isinstance(sums, dict):
            raise self._damaged(f"{_CHECKSUMS} holds no mapping")
        return sums

    def _damaged(self, what: str) -> IndexDamagedError:
        return IndexDamagedError(
            f"the index at {self.path} is damaged: {what}. Delete the folder and build it again from the catalog "
            f"(multiretriever index CATALOG --index {self.path}), or restore it from a backup"
        )


def _checksum(path: Path) -> list[int]:
    value = 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            value = zlib.crc32(chunk, value)
    return [path.stat().st_size, value]
