"""Reading the phrase banks (format: ``banks/README.md``)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from multiretriever.core import Catalog


class _Loader(yaml.SafeLoader):
    """A loader for which ``on``, ``yes``, ``no`` and dates are plain text."""


_DROPPED = ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _DROPPED]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), list("tf"))


@dataclass
class Bank:
    """All wording, and the catalog it is about.

    Attributes:
        steps: Wording of single steps, by the step's id.
        triggers: Wording of triggers outside the scope ``core``.
        tables: Nouns, conditions, updates and new records of each table.
        plots: Whole flows.
        common: Wording that every flow may use.
        catalog: The steps, tables and items that the flows are made of.
    """

    steps: dict[str, Any] = field(default_factory=dict)
    triggers: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, Any] = field(default_factory=dict)
    plots: dict[str, Any] = field(default_factory=dict)
    common: dict[str, Any] = field(default_factory=dict)
    catalog: Catalog = field(default_factory=lambda: Catalog([]))

    def label(self, kind: str, name: str) -> str:
        """Returns the label of a step, table or item, or its bare name."""
        found = next(iter(self.catalog.find(kind, name)), None)
        return found.label if found is not None else name.replace("_", " ")


def read_bank(folder: Path, catalog: Catalog) -> Bank:
    """Reads every bank of a folder.

    Raises:
        ValueError: Two files word the same element.
    """
    bank = Bank(catalog=catalog)
    for path in sorted(folder.glob("*.yaml")):
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
        for part, entries in content.items():
            known = getattr(bank, part)
            doubled = sorted(set(known) & set(entries))
            if doubled:
                raise ValueError(f"{path}: {part} worded twice: {', '.join(doubled)}")
            known.update(entries)
    return bank
