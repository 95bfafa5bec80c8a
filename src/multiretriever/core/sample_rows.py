"""Made-up rows for the tables of a catalog: plausible, always the same for the same seed, with references that lead somewhere."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta

from multiretriever.core.elements import Field
from multiretriever.grounding.sql_schema import Column, Relation

Value = str | int | float | None
_FIRST = ("Amara", "Bruno", "Chloe", "Dmitri", "Elena", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Keiko", "Luca")
_LAST = ("Abara", "Berg", "Castro", "Dubois", "Eriksen", "Fontaine", "Garcia", "Haddad", "Ito", "Jansen", "Kowalski", "Lind")
_THINGS = ("Printer", "Payroll run", "Network drive", "Badge reader", "Video call", "Order form", "Data sync", "Mail queue")
_STATES = ("is slow", "does not start", "needs a check", "was replaced", "asks for access", "has a wrong date", "is to be moved")
_DONE = re.compile(r"clos|complet|cancel|resolv|done|reject|retir|inactive|finish")
_BEGINS = re.compile(r"open|creat|start|begin|report|order|install|received|planned|hired|purchas")
_AHEAD = re.compile(r"due|expir|end|until|next|renew|valid|deadline")
_HISTORY, _FUTURE = 240, 120  # days


class SampleRows:
    """Makes rows."""

    def __init__(self, seed: int, today: date) -> None:
        """Makes a maker of rows.

        Args:
            seed: Whole number that decides all values.
            today: Day that all dates are counted from.
        """
        self._seed = seed
        self._today = datetime.combine(today, time(9))

    def row(self, relation: Relation, key: int, keys: Mapping[str, Sequence[int]]) -> dict[str, Value]:
        """Makes a row.

        Args:
            relation: Its table.
            key: Its key.
            keys: Keys of the rows of every table, for references.

        Returns:
            Values by the names of the columns.
        """
        rng = random.Random(f"{self._seed}\0{relation.name}\0{key}")
        begun = self._today - timedelta(days=rng.randrange(1, _HISTORY), minutes=rng.randrange(0, 480))
        row: dict[str, Value] = {}
        for column in relation.columns:
            if column.name == relation.key:
                row[column.name] = key
            elif column.references is not None:
                row[column.name] = _reference(rng, keys.get(column.references, ()))
            elif column.field is not None:
                row[column.name] = self._value(rng, column.field, relation, key, begun)
        _agree(row, relation)
        return row

    def _value(self, rng: random.Random, field: Field, relation: Relation, key: int, begun: datetime) -> Value:
        kind = affinity(Column(field.name, field))
        if field.choices:
            return rng.choice(field.choices)
        if "bool" in field.data_type.lower():
            return int(rng.random() < 0.5)
        if is_date(field):
            moment = self._moment(rng, field, begun)
            day = field.data_type.lower() == "date"
            return moment.strftime("%Y-%m-%d" if day else "%Y-%m-%d %H:%M:%S") if moment else None
        if kind == "INTEGER":
            return rng.randrange(0, 60)
        if kind == "REAL":
            return round(rng.uniform(1, 5_000), 2)
        return _text(rng, field, relation, key)

    def _moment(self, rng: random.Random, field: Field, begun: datetime) -> datetime | None:
        name = field.name.lower()
        if _BEGINS.search(name):
            return begun
        if _AHEAD.search(name):
            return begun + timedelta(days=rng.randrange(1, _HISTORY // 2 + _FUTURE))
        later = begun + timedelta(hours=rng.randrange(1, 24 * 40))
        return later if later <= self._today else None


def affinity(column: Column) -> str:
    """Returns the type of a column in SQLite: ``INTEGER``, ``REAL`` or ``TEXT``."""
    kind = column.field.data_type.lower() if column.field else "integer"
    if column.references is not None or re.search(r"bool|duration|(?<!po)int", kind):
        return "INTEGER"
    return "REAL" if re.search(r"decimal|float|double|real|numeric|currency|number|money|percent", kind) else "TEXT"


def is_date(field: Field) -> bool:
    """Tells whether a field holds days or moments."""
    return bool(re.search(r"date|timestamp", field.data_type.lower()))


def _reference(rng: random.Random, keys: Sequence[int]) -> int | None:
    return rng.choice(keys) if keys and rng.random() < 0.75 else None


def _text(rng: random.Random, field: Field, relation: Relation, key: int) -> str:
    name, kind = field.name.lower(), field.data_type.lower()
    if kind == "json":
        return "{}"
    if kind == "url" or name.endswith("url"):
        return f"https://example.com/{relation.name}/{key}"
    if kind == "email" or "email" in name:
        return f"person{key}@example.com"
    for part, choices in (("first_name", _FIRST), ("last_name", _LAST)):
        if part in name:
            return rng.choice(choices)
    if name == "number" or name.endswith("_number"):
        words = [word for word in relation.name.split("_") if word]
        prefix = ("".join(word[0] for word in words) if len(words) > 1 else relation.name[:3]).upper()
        return f"{prefix}{key:07d}"
    if kind in ("text", "journal") or "description" in name or "notes" in name:
        return f"{rng.choice(_THINGS)} {rng.choice(_STATES)}"
    return f"{relation.table.title} {field.title.lower()} {key}" if "name" not in name else f"{relation.table.title} {key}"


def _agree(row: dict[str, Value], relation: Relation) -> None:
    """Lets a row not contradict itself: what is done is not active, and what is not done was not closed."""
    state = row.get("state", row.get("status"))
    if not isinstance(state, str):
        return
    done = bool(_DONE.search(state))
    if row.get("active") is not None:
        row["active"] = int(not done)
    for column in relation.columns:
        if not done and column.name.startswith(("closed", "resolved", "close_")):
            row[column.name] = None
