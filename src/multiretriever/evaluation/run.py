"""Running systems on datasets."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from multiretriever.core.elements import element_type
from multiretriever.core.errors import ParameterError
from multiretriever.core.example import GIVEN, Example
from multiretriever.core.progress import counted
from multiretriever.core.query import check_k
from multiretriever.datasets import Dataset
from multiretriever.datasets.checks import Leak, check_examples, check_leakage
from multiretriever.evaluation.measures import MEASURES, check_extras, first_rank, measure
from multiretriever.evaluation.report import EvaluationReport, QueryInfo, check_by
from multiretriever.evaluation.systems import Indexing, Ranked, System, SystemInfo, retriever_systems


@dataclass(frozen=True)
class Selection:
    """What queries must be to be evaluated; None leaves a choice open.

    Attributes:
        split: Split of the dataset.
        kinds: Kinds of queries; None for those that the dataset has for evaluation.
        element_types: Types that are looked for.
        languages: Languages of queries.
        sample: How many of each dataset and element type at most.
        seed: Seed by which they are drawn.
    """

    split: str | None = None
    kinds: Sequence[str] | None = None
    element_types: Sequence[str] | None = None
    languages: Sequence[str] | None = None
    sample: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.sample is not None and (isinstance(self.sample, bool) or not isinstance(self.sample, int) or self.sample < 1):
            raise ParameterError(f"a sample is a whole number of queries from 1 (got {self.sample!r})")
        for name in ("kinds", "element_types", "languages"):
            given = getattr(self, name)
            chosen = (given,) if isinstance(given, str) else tuple(given or ())
            if name == "element_types":
                chosen = tuple(element_type(item).name for item in chosen)
            object.__setattr__(self, name, chosen or None)

    def examples(self, dataset: Dataset) -> dict[str, list[Example]]:
        """Returns the queries of a dataset by element type.

        Raises:
            ParameterError: There is no such split.
            DatasetError, FlowError: A file of the dataset is not valid.
        """
        found: dict[str, list[Example]] = {}
        for example in dataset.examples(self.split, self.kinds):
            if _in(example.element_type, self.element_types) and _in(example.language, self.languages):
                found.setdefault(example.element_type, []).append(example)
        return {name: self._drawn(examples) for name, examples in found.items()}

    def _drawn(self, examples: list[Example]) -> list[Example]:
        if self.sample is None or len(examples) <= self.sample:
            return examples
        chosen = set(random.Random(self.seed).sample(range(len(examples)), self.sample))
        return [example for place, example in enumerate(examples) if place in chosen]


def _in(value: str, wanted: Collection[str] | None) -> bool:
    return wanted is None or value in wanted


def unit_of(example: Example) -> str:
    """Returns what a query must be drawn with: the flow that it was made of, which its id starts with, or itself."""
    return example.id if example.kind == GIVEN else example.id.partition("#")[0]


# Deep enough for reciprocal ranks and for the place of what was missed.
DEPTH = 50
CHUNK = 512
SHOWN = 5


def evaluate(
    datasets: Dataset | Iterable[Dataset],
    systems: Sequence[System] | None = None,
    *,
    selection: Selection | None = None,
    by: Sequence[str | Sequence[str]] | None = None,
    k: int | None = None,
    baseline: str | None = None,
    allow_leakage: bool = False,
    progress: bool = False,
) -> EvaluationReport:
    """Measures how well systems find the elements that answer queries.

    Candidates are all elements of the type in the dataset.

    Args:
        datasets: The datasets, with different names.
        systems: What is evaluated; None for the shipped encoder in all three modes (see ``retriever_systems``).
        selection: Which queries; None for all. Its seed is also that of intervals and tests.
        by: Tables of the report: of each, the keys that the queries of a row share, such as ``dataset,element_type``. None for
            that one, and one by kind and by language where there are several.
        k: Cut of the recall; None for each type's own (15 for steps, 5 for the others).
        baseline: Name of the system that others are tested against; None for the first.
        allow_leakage: Whether queries that appear in a document are counted in the report instead of refused.
        progress: Whether to show a progress bar on standard error.

    Raises:
        LeakageError: A query appears in the text of an element of the type that it looks for.
        DatasetError: A query's id appears twice, an answer is not in the catalog, or a file is not valid.
        ParameterError: No query is left, names are not unique, or another argument is not valid.
        MissingDependencyError: The extra ``eval`` is not installed.
    """
    check_extras()
    everything = [datasets] if isinstance(datasets, Dataset) else list(datasets)
    chosen = list(retriever_systems()) if systems is None else list(systems)
    _check_names(everything, chosen, baseline)
    tables = None if by is None else [check_by(item) for item in by]
    selection = selection or Selection()
    work = [_Work.of(dataset, selection, allow_leakage=allow_leakage) for dataset in everything]
    if not any(item.examples for item in work):
        raise ParameterError("no query is left to evaluate; loosen split, kinds, element types or languages")
    cuts = {name: check_k(k, element_type(name).default_k) for item in work for name in item.examples}
    depth = max(DEPTH, *cuts.values())
    taken = _Results(cuts, [system.name for system in chosen])
    for item in work:
        _run(item, chosen, depth, taken, progress=progress)
    report = EvaluationReport(
        systems=tuple(_info(system) for system in chosen),
        baseline=baseline or chosen[0].name,
        k=cuts,
        depth=depth,
        split=selection.split,
        sample=selection.sample,
        seed=selection.seed,
        queries=tuple(taken.queries),
        values={name: {key: tuple(found) for key, found in values.items()} for name, values in taken.values.items()},
        ranks={name: tuple(ranks) for name, ranks in taken.ranks.items()},
        found={name: tuple(found) for name, found in taken.found.items()},
        leaks=tuple(leak for item in work for leak in item.leaks),
    )
    wanted = _usual(report) if tables is None else tables
    return report.model_copy(update={"tables": tuple(report.table(item, name) for item in wanted for name in MEASURES)})


@dataclass
class _Work:
    """The queries of a dataset, checked."""

    dataset: Dataset
    examples: dict[str, list[Example]]
    leaks: list[Leak]

    @classmethod
    def of(cls, dataset: Dataset, selection: Selection, *, allow_leakage: bool) -> _Work:
        examples = selection.examples(dataset)
        flat = [example for found in examples.values() for example in found]
        check_examples(dataset, flat)
        return cls(dataset, examples, check_leakage(dataset, flat, allow=allow_leakage))

    def grades(self, example: Example) -> Mapping[str, int]:
        """Returns how relevant the answers of a query are: as a BEIR folder says, else all alike."""
        graded: Mapping[str, Mapping[str, int]] = getattr(self.dataset, "grades", {})
        return graded.get(example.id) or dict.fromkeys(example.relevant, 1)


@dataclass
class _Results:
    """What was measured so far."""

    cuts: Mapping[str, int]
    names: Sequence[str]
    queries: list[QueryInfo] = field(default_factory=list)
    values: dict[str, dict[str, list[float]]] = field(init=False)
    ranks: dict[str, list[int | None]] = field(init=False)
    found: dict[str, list[tuple[tuple[str, float], ...]]] = field(init=False)

    def __post_init__(self) -> None:
        self.values = {name: {key: [] for key in MEASURES} for name in self.names}
        self.ranks = {name: [] for name in self.names}
        self.found = {name: [] for name in self.names}

    def add(self, name: str, ranked: Sequence[Ranked], grades: Sequence[Mapping[str, int]], element_type: str) -> None:
        ids = [[element_id for element_id, _ in found] for found in ranked]
        for key, values in measure(ids, grades, self.cuts[element_type]).items():
            self.values[name][key] += values.tolist()
        self.ranks[name] += [first_rank(found, known) for found, known in zip(ids, grades, strict=True)]
        self.found[name] += [tuple((item, round(float(score), 6)) for item, score in found[:SHOWN]) for found in ranked]


def _run(work: _Work, systems: Sequence[System], depth: int, taken: _Results, *, progress: bool) -> None:
    keeping = [system for system in systems if isinstance(system, Indexing)]
    try:
        for name, examples in work.examples.items():
            for system in keeping:
                system.prepare(work.dataset, name, progress=progress)
            with counted(f"{work.dataset.name} {name}", len(examples) * len(systems), shown=progress) as advance:
                for start in range(0, len(examples), CHUNK):
                    _search(work, name, examples[start : start + CHUNK], systems, depth, taken, advance)
    finally:
        for system in keeping:
            system.release()


def _search(
    work: _Work,
    name: str,
    examples: Sequence[Example],
    systems: Sequence[System],
    depth: int,
    taken: _Results,
    advance: Callable[[int], None],
) -> None:
    grades = [work.grades(example) for example in examples]
    taken.queries += [_described(work.dataset, example) for example in examples]
    for system in systems:
        ranked = _checked(system, system.search(work.dataset, name, examples, depth), len(examples), depth)
        taken.add(system.name, ranked, grades, name)
        advance(len(examples))


def _described(dataset: Dataset, example: Example) -> QueryInfo:
    return QueryInfo(
        id=example.id,
        dataset=dataset.name,
        element_type=example.element_type,
        kind=example.kind,
        language=example.language,
        unit=unit_of(example),
    )


def _checked(system: System, ranked: Sequence[Ranked], count: int, depth: int) -> list[Ranked]:
    if len(ranked) != count:
        raise ParameterError(f"system {system.name!r} returned {len(ranked)} answers to {count} queries")
    for found in ranked:
        ids = [element_id for element_id, _ in found]
        if len(set(ids)) != len(ids):
            twice = next(item for item in ids if ids.count(item) > 1)
            raise ParameterError(f"system {system.name!r} returned {twice!r} twice in one answer; each element is ranked once")
    return [found[:depth] for found in ranked]


def _check_names(datasets: Sequence[Dataset], systems: Sequence[System], baseline: str | None) -> None:
    for what, names in (("dataset", [item.name for item in datasets]), ("system", [item.name for item in systems])):
        if not names:
            raise ParameterError(f"an evaluation needs at least one {what}")
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ParameterError(f"two {what}s have the name {twice!r}; names must be unique")
    if baseline is not None and baseline not in (known := [item.name for item in systems]):
        raise ParameterError(f"there is no system {baseline!r} to compare with; there are {', '.join(known)}")


def _info(system: System) -> SystemInfo:
    info = getattr(system, "info", None)
    return info if isinstance(info, SystemInfo) else SystemInfo(system.name)


def _usual(report: EvaluationReport) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = [("dataset", "element_type")]
    found += [(key,) for key in ("kind", "language") if len({getattr(query, key) for query in report.queries}) > 1]
    return found
