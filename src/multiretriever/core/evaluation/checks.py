"""What must hold of queries before anything is measured with them."""

from __future__ import annotations

from collections.abc import Sequence

from multiretriever.core.datasets import Dataset, Example
from multiretriever.core.errors import DatasetError, LeakageError, Problem
from multiretriever.core.evaluation.leakage import LEAST_WORDS, Leak, find_leaks


def check_examples(dataset: Dataset, examples: Sequence[Example]) -> None:
    """Checks that ids of queries are unique and that all answers are in the catalog.

    Raises:
        DatasetError: Otherwise; it lists every problem with the id of its query.
    """
    problems = []
    seen: set[str] = set()
    for example in examples:
        place = f"query {example.id!r}"
        if example.id in seen:
            problems.append(Problem("the id stands twice; ids must be unique", dataset.name, field=place))
        seen.add(example.id)
        for element_id in example.relevant:
            if dataset.catalog.get(example.element_type, element_id) is None:
                message = f"there is no {example.element_type} {element_id!r} in the catalog"
                problems.append(Problem(message, dataset.name, field=place))
        if not example.relevant:
            problems.append(Problem("it has no relevant element", dataset.name, field=place))
    if problems:
        raise DatasetError(problems)


def check_leakage(dataset: Dataset, examples: Sequence[Example], *, allow: bool) -> list[Leak]:
    """Returns the queries that stand in an element that is searched (see ``leakage``).

    Raises:
        LeakageError: There are any, and they are not allowed.
    """
    leaks = find_leaks(dataset, examples)
    if leaks and not allow:
        rule = f"at least {LEAST_WORDS} words of it side by side, or a whole sentence"
        raise LeakageError(
            [
                Problem(
                    f"its text stands in the {leak.element_type} {leak.element_id!r} ({rule}); such a query "
                    "measures nothing: leave the text out of the catalog, or allow leakage to have it counted only",
                    dataset.name,
                    field=f"query {leak.query_id!r}",
                )
                for leak in leaks
            ]
        )
    return leaks
