"""What all sources of files share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from multiretriever.core.errors import Problem
from multiretriever.core.records import ProblemLog
from multiretriever.core.textfile import read_text


def text_of(path: Path, log: ProblemLog) -> str | None:
    """Reads a text file; None when it cannot be read or holds nothing, which then stands in the log."""
    text = read_text(path)
    if isinstance(text, Problem):
        log.problems.append(text)
        return None
    if not text.strip():
        log.add("the file is empty", str(path))
        return None
    return text


def is_hidden(path: Path) -> bool:
    """Tells whether a file or folder is one that people do not see, such as ``.git`` or an editor's backup."""
    return path.name.startswith((".", "~$"))


def list_folder(folder: Path, log: ProblemLog) -> list[Path]:
    """Returns what is in a folder, by name, without what is hidden."""
    try:
        return sorted(folder / name for name in os.listdir(folder) if not is_hidden(Path(name)))
    except OSError as error:
        log.add(f"the folder cannot be read: {error.strerror or error}", str(folder))
        return []


def walk(root: Path, log: ProblemLog, *, stop_at: str | None = None) -> Iterator[tuple[Path, list[Path]]]:
    """Gives every folder from ``root`` down with its files, by name, without what is hidden.

    What links reach twice comes once. Nothing below a folder that holds a file named ``stop_at`` is visited.
    """
    waiting, seen = [root], {os.path.realpath(root)}
    while waiting:
        folder = waiting.pop()
        entries = [entry for entry in list_folder(folder, log) if _is_new(entry, seen)]
        # A broken link counts as a file, so that its name is reported and not passed over.
        files = [entry for entry in entries if entry.is_file() or not entry.exists()]
        yield folder, files
        if not any(file.name == stop_at for file in files):
            waiting.extend(reversed([entry for entry in entries if entry.is_dir()]))


def _is_new(path: Path, seen: set[str]) -> bool:
    real = os.path.realpath(path)
    known = real in seen
    seen.add(real)
    return not known
