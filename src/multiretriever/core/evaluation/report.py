"""What an evaluation found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pydantic
from pydantic import ConfigDict

from multiretriever.core.errors import ParameterError
from multiretriever.core.evaluation.leakage import Leak
from multiretriever.core.evaluation.measures import RECALL
from multiretriever.core.evaluation.systems import SystemInfo
from multiretriever.core.evaluation.tables import Table, make_table


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
        leaks: Queries that stand in an element that answers them, where that was allowed.
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
        """Writes it as JSON; ``load`` gives the same report back."""
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
