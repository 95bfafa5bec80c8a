"""The result of checking generated code against the catalog, whatever language it is in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from multiretriever.core.names import similar_names

CodeKind = Literal["table", "field", "alias", "function", "import", "name", "attribute", "statement", "syntax"]
_MADE_UP: tuple[CodeKind, ...] = ("table", "field", "alias")
_NEAREST = 3


@dataclass(frozen=True)
class CodeFinding:
    """One name in generated code that is not in the catalog, or one thing that such code may not do.

    Attributes:
        kind: ``table``, ``field`` and ``alias`` (of a table, in the query) for names that do not exist; ``function``, ``import``,
            ``name`` and ``attribute`` for what such code may not use; ``statement`` for what it may not do; ``syntax`` where it
            cannot be read.
        name: The name; for a statement or the syntax, what is wrong in words.
        where: Its place: ``line 2``.
        nearest: The most similar real names, most similar first.
    """

    kind: CodeKind
    name: str
    where: str
    nearest: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.kind in ("statement", "syntax"):
            return f"{self.where}: {self.name}"
        hint = f" (near to it: {', '.join(self.nearest)})" if self.nearest else ""
        if self.kind in _MADE_UP:
            return f"{self.where}: there is no {self.kind} {self.name!r}{hint}"
        return f"{self.where}: the {self.kind} {self.name!r} may not be used{hint}"


@dataclass(frozen=True)
class CodeCheck:
    """The result of checking generated code.

    Attributes:
        findings: All that is wrong with it.
        tables: Number of times that it names a table.
        fields: Number of times that it names a field, of tables that exist.
    """

    findings: tuple[CodeFinding, ...]
    tables: int = 0
    fields: int = 0

    @property
    def valid(self) -> bool:
        """Whether every name exists and the code does only what it may."""
        return not self.findings

    @property
    def hallucinated(self) -> tuple[CodeFinding, ...]:
        """Names of tables and fields that do not exist."""
        return tuple(item for item in self.findings if item.kind in _MADE_UP)

    @property
    def hallucinated_table_share(self) -> float:
        """Share of the named tables that do not exist, 0 to 1; 0 for code without tables."""
        return hallucinated_shares([self])[0]

    @property
    def hallucinated_field_share(self) -> float:
        """Share of the named fields that do not exist, 0 to 1; 0 for code without fields."""
        return hallucinated_shares([self])[1]


def hallucinated_shares(checks: Sequence[CodeCheck]) -> tuple[float, float]:
    """Returns the shares of hallucinated tables and fields among all that some pieces of code name, each 0 to 1.

    A field of a table that is not in the query (``u.name`` without a ``u``) counts as hallucinated.
    """
    findings = [item for check in checks for item in check.findings]
    tables = sum(check.tables for check in checks)
    fields = sum(check.fields for check in checks)
    wrong_tables = sum(item.kind == "table" for item in findings)
    wrong_fields = sum(item.kind in ("field", "alias") for item in findings)
    return (wrong_tables / tables if tables else 0.0, wrong_fields / fields if fields else 0.0)


def nearest_names(name: str, known: Iterable[str], *, number: int = _NEAREST, cutoff: float = 0.5) -> tuple[str, ...]:
    """Returns the known names that are most similar, capitals aside, most similar first.

    Args:
        name: The name.
        known: Names that exist.
        number: How many at most.
        cutoff: Least similarity (Ratcliff-Obershelp), 0 to 1.
    """
    spelled = {item.lower(): item for item in known}
    return tuple(spelled[item] for item in similar_names(name.lower(), spelled, number=number, cutoff=cutoff))
