"""What an evaluation found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pydantic
from pydantic import ConfigDict

from multiretriever.core.errors import ParameterError
from multiretriever.datasets.checks import Leak
from multiretriever.evaluation.measures import MEASURES, PERMUTATIONS, RECALL, TITLES, Sample, holm, interval, p_value
from multiretriever.evaluation.systems import SystemInfo

KEYS = ("dataset", "element_type", "kind", "language")
MEAN = "mean"
# Below it a difference is marked.
SIGNIFICANT = 0.05
_DRAWS_PER_COMPARISON = 100


class Cell(pydantic.BaseModel):
    """A measure of one system over a group of queries.

    Attributes:
        value: Mean, 0 to 1: over the queries of each dataset and element type, then over these.
        low: Lower end of the 95% bootstrap interval; None where there are too few queries.
        high: Its upper end.
        p: How likely the difference to the baseline is by luck, corrected by Holm over all comparisons of the table; None for
            the baseline itself.
    """

    model_config = ConfigDict(frozen=True)

    value: float
    low: float | None = None
    high: float | None = None
    p: float | None = None


class Row(pydantic.BaseModel):
    """A group of queries.

    Attributes:
        keys: Values that its queries share, as the table's ``by`` names them; ``mean`` alone for the mean of all.
        queries: How many there are.
        units: How many of them are independent: those of one flow count once.
        k: Cut of the recall; None where types with different cuts are in it.
        cells: By name of the system.
    """

    model_config = ConfigDict(frozen=True)

    keys: tuple[str, ...]
    queries: int
    units: int
    k: int | None
    cells: dict[str, Cell]

    @property
    def label(self) -> str:
        """The keys in one line."""
        return ", ".join(self.keys)

    def head(self, table: Table) -> list[str]:
        """Returns the texts before its cells: keys, number of queries, and the cut of the recall."""
        keys = [*self.keys, *[""] * (len(table.by) - len(self.keys))]
        return [*keys, str(self.queries), *(["" if self.k is None else str(self.k)] if table.measure == RECALL else [])]


class Table(pydantic.BaseModel):
    """A measure of all systems by groups of queries.

    Attributes:
        by: What the queries of a row share: some of ``KEYS``.
        measure: One of ``MEASURES``.
        baseline: The system that the others are tested against.
        rows: One for each group, in the order in which they come in the data.
        mean: All queries; None where there is only one row.
    """

    model_config = ConfigDict(frozen=True)

    by: tuple[str, ...]
    measure: str
    baseline: str
    rows: tuple[Row, ...]
    mean: Row | None = None

    @property
    def all_rows(self) -> tuple[Row, ...]:
        """The rows, the mean last."""
        return self.rows if self.mean is None else (*self.rows, self.mean)

    @property
    def header(self) -> list[str]:
        """Names of the columns, the systems last."""
        names = [key.replace("_", " ") for key in self.by]
        return [*names, "queries", *(["k"] if self.measure == RECALL else []), *self.systems]

    @property
    def systems(self) -> tuple[str, ...]:
        """Names of the systems."""
        return tuple(self.rows[0].cells)

    @property
    def title(self) -> str:
        """The measure with its cut."""
        cuts = {row.k for row in self.rows}
        if self.measure != RECALL:
            return TITLES[self.measure]
        return f"Recall@{cuts.pop()}" if len(cuts) == 1 and None not in cuts else "Recall@k"


def check_by(by: str | Sequence[str]) -> tuple[str, ...]:
    """Returns the keys of a table: a sequence, or names with commas between them.

    Raises:
        ParameterError: There is no such key, none, or one appears twice.
    """
    keys = tuple(part.strip().replace("-", "_") for part in by.split(",")) if isinstance(by, str) else tuple(by)
    if not keys or len(set(keys)) != len(keys) or not set(keys) <= set(KEYS):
        raise ParameterError(f"a table is by some of {', '.join(KEYS)}, each once (got {', '.join(map(str, keys)) or 'none'})")
    return keys


def make_table(report: EvaluationReport, by: str | Sequence[str], measure: str = RECALL, baseline: str | None = None) -> Table:
    """Makes a table of a report.

    Args:
        report: The report.
        by: What the queries of a row share (see ``KEYS``).
        measure: One of ``MEASURES``.
        baseline: What the others are tested against; None for the report's.

    Raises:
        ParameterError: There is no such key, measure or system.
        MissingDependencyError: scipy is not installed.
    """
    keys = check_by(by)
    baseline = report.baseline if baseline is None else baseline
    if measure not in MEASURES:
        raise ParameterError(f"a measure is one of {', '.join(MEASURES)} (got {measure!r})")
    if baseline not in report.values:
        raise ParameterError(f"there is no system {baseline!r} to compare with; there are {', '.join(report.values)}")
    groups: dict[tuple[str, ...], list[int]] = {}
    for place, query in enumerate(report.queries):
        groups.setdefault(tuple(str(getattr(query, key)) for key in keys), []).append(place)
    if len(groups) > 1:
        groups[(MEAN,)] = list(range(len(report.queries)))
    # So many that a p value can still be small when it is multiplied by the number of comparisons.
    permutations = max(PERMUTATIONS, _DRAWS_PER_COMPARISON * len(groups) * len(report.systems))
    maker = _RowMaker(report, measure, baseline, permutations)
    rows = _corrected([maker.row(group, places) for group, places in groups.items()])
    mean = rows.pop() if len(groups) > 1 else None
    return Table(by=keys, measure=measure, baseline=baseline, rows=tuple(rows), mean=mean)


class _RowMaker:
    """Makes the rows of a table; the p values are not corrected yet."""

    def __init__(self, report: EvaluationReport, measure: str, baseline: str, permutations: int) -> None:
        self._report = report
        self._baseline = baseline
        self._permutations = permutations
        self._values = {name: np.array(found[measure], dtype=np.float64) for name, found in report.values.items()}

    def row(self, keys: tuple[str, ...], places: Sequence[int]) -> Row:
        queries = [self._report.queries[place] for place in places]
        sample = Sample(
            np.array(places, dtype=np.intp),
            tuple((query.dataset, query.element_type) for query in queries),
            tuple((query.dataset, query.unit) for query in queries),
        )
        cuts = {self._report.k[query.element_type] for query in queries}
        return Row(
            keys=keys,
            queries=len(queries),
            units=len(set(sample.units)),
            k=cuts.pop() if len(cuts) == 1 else None,
            cells={name: self._cell(name, sample) for name in self._values},
        )

    def _cell(self, name: str, sample: Sample) -> Cell:
        values, base, seed = self._values[name], self._values[self._baseline], self._report.seed
        low, high = interval(sample, values, seed=seed) or (None, None)
        p = None if name == self._baseline else p_value(sample, values, base, permutations=self._permutations, seed=seed)
        return Cell(value=sample.mean(values), low=low, high=high, p=p)


def _corrected(rows: Sequence[Row]) -> list[Row]:
    """Corrects the p values of all rows and systems together."""
    places = [(row, name) for row, item in enumerate(rows) for name, cell in item.cells.items() if cell.p is not None]
    values = holm([rows[row].cells[name].p or 0.0 for row, name in places])
    corrected: list[dict[str, Cell]] = [dict(row.cells) for row in rows]
    for (row, name), p in zip(places, values, strict=True):
        corrected[row][name] = corrected[row][name].model_copy(update={"p": p})
    return [row.model_copy(update={"cells": cells}) for row, cells in zip(rows, corrected, strict=True)]


def mark(cell: Cell, baseline: Cell) -> str:
    """Returns ``+`` for a value that is surely above the baseline, ``-`` for one below, else nothing."""
    if cell.p is None or cell.p >= SIGNIFICANT:
        return ""
    return "+" if cell.value > baseline.value else "-"


def best(cells: Mapping[str, Cell]) -> set[str]:
    """Returns the systems with the highest value as it is shown."""
    highest = max(round(cell.value, 3) for cell in cells.values())
    return {name for name, cell in cells.items() if round(cell.value, 3) == highest}


class QueryInfo(pydantic.BaseModel):
    """A query that was evaluated.

    Attributes:
        id: Its id in the dataset.
        dataset: Name of the dataset.
        element_type: Type that was looked for.
        kind: Id of the instruction template that its kind is for, or ``given``.
        language: Its language.
        unit: What it was drawn with: its flow, or itself.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    dataset: str
    element_type: str
    kind: str
    language: str
    unit: str


class EvaluationReport(pydantic.BaseModel):
    """Measures of systems on datasets, down to the single query. The lists of one system are in the order of ``queries``.

    Attributes:
        systems: What was evaluated.
        baseline: Name of the system that the others are tested against.
        k: Cut of the recall by element type.
        depth: How many elements were ranked.
        split: The split; None for all.
        sample: How many queries of each dataset and type were drawn at most; None for all.
        seed: Seed of that draw, and of intervals and tests.
        queries: The queries.
        values: Measures of each query, by system and measure; 0 to 1.
        ranks: Place of the first relevant element of each query, by system; None where it is past ``depth``.
        found: The first elements found for each query with their scores, by system.
        leaks: Queries that appear in an element that answers them, where that was allowed.
        tables: The tables that were asked for, in all measures.
    """

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    systems: tuple[SystemInfo, ...]
    baseline: str
    k: dict[str, int]
    depth: int
    split: str | None = None
    sample: int | None = None
    seed: int = 0
    queries: tuple[QueryInfo, ...]
    values: dict[str, dict[str, tuple[float, ...]]]
    ranks: dict[str, tuple[int | None, ...]]
    found: dict[str, tuple[tuple[tuple[str, float], ...], ...]]
    leaks: tuple[Leak, ...] = ()
    tables: tuple[Table, ...] = ()

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the datasets."""
        return tuple(dict.fromkeys(query.dataset for query in self.queries))

    def table(self, by: str | Sequence[str], measure: str = RECALL, *, baseline: str | None = None) -> Table:
        """Makes a table, with intervals and tests.

        Args:
            by: What the queries of a row share: some of ``dataset``, ``element_type``, ``kind``, ``language``.
            measure: ``recall``, ``ndcg@10`` or ``mrr@10``.
            baseline: The system that others are tested against; None for the report's.

        Raises:
            ParameterError: There is no such key, measure or system.
            MissingDependencyError: scipy is not installed.
        """
        return make_table(self, by, measure, baseline)

    def save(self, path: str | Path) -> None:
        """Writes it as JSON; ``load`` reads it back."""
        Path(path).write_text(self.model_dump_json() + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> EvaluationReport:
        """Reads a report.

        Raises:
            ParameterError: There is no such file, or it holds no report of this form.
        """
        try:
            return cls.model_validate_json(Path(path).read_bytes())
        except OSError as error:
            raise ParameterError(f"the report {path} cannot be read: {error.strerror or error}") from error
        except pydantic.ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise ParameterError(f"{path} holds no evaluation report: {where}: {first['msg']}") from error
