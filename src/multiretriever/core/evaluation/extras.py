"""The packages that evaluation needs beside those of the core: the extra ``eval``."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from multiretriever.core.errors import MissingDependencyError

PACKAGES = ("ranx", "scipy", "matplotlib")


def check_extras() -> None:
    """Looks whether all packages of the extra are there, before anything is done that takes minutes.

    Raises:
        MissingDependencyError: One is not installed.
    """
    for package in PACKAGES:
        try:
            found = find_spec(package)
        except ImportError:
            found = None
        if found is None:
            raise _missing(package)


def extra(module: str) -> Any:
    """Imports a module of the extra ``eval`` when it is first needed, since these take seconds to load.

    Raises:
        MissingDependencyError: It is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise _missing(module.partition(".")[0]) from error


def _missing(package: str) -> MissingDependencyError:
    return MissingDependencyError(f'evaluation needs {package}: pip install "multiretriever[eval]"')
