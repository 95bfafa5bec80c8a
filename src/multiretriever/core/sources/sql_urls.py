"""Addresses of databases: which file they name, and how they are shown without what is secret."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, unquote

if TYPE_CHECKING:
    from sqlalchemy import URL

NO_SQLITE = "the file is no SQLite database"
SQLITE_MAGIC = b"SQLite format 3\0"
_SECRET_KEY = re.compile(r"pass|pwd|secret|token|key", re.IGNORECASE)
_SECRET_OPTION = re.compile(r"([?&][^=&]*(?:pass|pwd|secret|token|key)[^=&]*=)[^&]*", re.IGNORECASE)


def masked(url: URL | str) -> str:
    """Writes a URL without its password and other secrets, also one that cannot be parsed."""
    text = url if isinstance(url, str) else url.render_as_string(hide_password=True)
    if isinstance(url, str):
        # Up to the last "@": an unquoted password may hold any of the characters that divide a URL.
        text = re.sub(r"://.*@", "://***@", text, flags=re.DOTALL)
    return _SECRET_OPTION.sub(r"\1***", text)


def without_secrets(error: BaseException, url: URL) -> str:
    """Returns the first line of an error's message, without the secrets of the URL that it may repeat."""
    cause = getattr(error, "orig", None) or error
    text = next(iter(str(cause).strip().splitlines()), "") or type(cause).__name__
    secrets = [str(url.password)] if url.password else []
    for key, value in url.query.items():
        if _SECRET_KEY.search(key):
            secrets += [value] if isinstance(value, str) else value
    for secret in filter(None, secrets):
        for form in (secret, quote(secret), quote_plus(secret)):
            text = text.replace(form, "***")
    return text


def sqlite_fault(url: URL) -> str | None:
    """Says what is wrong with the file that an SQLite URL names; connecting would create one that is missing."""
    database = url.database or ""
    if database.startswith("file:"):
        database = unquote(database.removeprefix("file:"))
    if database in ("", ":memory:") or url.query.get("mode") == "memory":
        return "a new database in memory holds nothing; give the engine of the one that is meant"
    return sqlite_file_fault(Path(database), encrypted="cipher" in url.drivername)


def sqlite_file_fault(path: Path, *, encrypted: bool = False) -> str | None:
    """Says what is wrong with an SQLite file, told by its first bytes."""
    try:
        with path.open("rb") as file:
            start = file.read(len(SQLITE_MAGIC))
    except FileNotFoundError:
        return "there is no such file"
    except (OSError, ValueError) as error:
        return f"the file cannot be read: {getattr(error, 'strerror', None) or error}"
    if not start:
        return "the file is empty"
    if start != SQLITE_MAGIC and not encrypted:
        return NO_SQLITE
    return None
