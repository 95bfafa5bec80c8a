"""Loading modules that register element types of the user's own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from multiretriever.core import ElementType, ParameterError, register_element_type

ENTRY_POINTS = "multiretriever.element_types"
VARIABLE = "MULTIRETRIEVER_PLUGINS"


class PluginError(ParameterError):
    """A plugin cannot be loaded."""


def load_plugins(modules: Iterable[str] | None) -> None:
    """Imports installed plugins, those that the environment names, and ``modules``.

    An entry point names a module that registers types when it is imported, or an ``ElementType``.

    Raises:
        PluginError: One of them fails; the message is one line.
    """
    for point in entry_points(group=ENTRY_POINTS):
        loaded = _load(f"entry point {point.name!r} = {point.value!r} of group {ENTRY_POINTS}", point.load)
        if isinstance(loaded, ElementType):
            _load(f"element type of entry point {point.name!r}", partial(register_element_type, loaded))
    named = [name.strip() for name in [*os.environ.get(VARIABLE, "").split(","), *(modules or ())]]
    if any(named) and "" not in sys.path:
        # At the end, so that a file of the current folder takes the place of no library.
        sys.path.append("")
    for name in filter(None, named):
        hint = f"; give the module's name, {name.removesuffix('.py')!r}" if name.endswith(".py") else ""
        _load(f"plugin {name!r}", partial(import_module, name), hint)


def _load(what: str, action: Callable[[], Any], hint: str = "") -> Any:
    try:
        return action()
    except (Exception, SystemExit) as error:  # a plugin is anybody's code
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise PluginError(f"{what} cannot be loaded: {reason}{hint}") from error
