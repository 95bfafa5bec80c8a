"""A tiny dataset whose measures can be worked out by hand, and a system that gives what it is told."""

import pytest

from multiretriever.core import Catalog, Step, Table
from multiretriever.core.example import Example
from multiretriever.datasets import Dataset


class FixedSystem:
    """Gives chosen answers, by id of the query."""

    def __init__(self, name, answers):
        self.name = name
        self.answers = answers
        self.chunks = []

    def search(self, dataset, element_type, examples, depth):
        self.chunks.append((dataset.name, element_type, len(examples), depth))
        return [[(item, 1.0 - place / 100) for place, item in enumerate(self.answers.get(x.id, ()))] for x in examples]


def steps(*names):
    return [Step(name=name, label=name.title(), description=f"does the work of {name} every day") for name in names]


@pytest.fixture
def dataset():
    """Two kinds of steps' queries (of two flows and written down) and two tables' queries, in two languages."""
    catalog = Catalog([*steps("a", "b", "c", "d", "e", "f"), Table(name="t"), Table(name="u")])
    examples = [
        Example("flow-0#step.annotation#0", "step", "first thing to do", ("a",), {"text": "annotation"}, "step.annotation"),
        Example("flow-0#step.annotation#1", "step", "second thing to do", ("b",), {"text": "annotation"}, "step.annotation"),
        Example("flow-1#step.annotation#0", "step", "drittens", ("c", "d"), {}, "step.annotation", "de"),
        Example("q1", "table", "which table", ("t",)),
        Example("q2", "table", "which other table", ("u",)),
    ]
    return Dataset(catalog, name="tiny", queries=examples)


@pytest.fixture
def good():
    """Finds everything at once."""
    return FixedSystem(
        "good",
        {
            "flow-0#step.annotation#0": ["a", "b"],
            "flow-0#step.annotation#1": ["b"],
            "flow-1#step.annotation#0": ["c", "d"],
            "q1": ["t"],
            "q2": ["u", "t"],
        },
    )


@pytest.fixture
def poor():
    """Finds b in the second place, c alone in the third, and of the tables t alone."""
    return FixedSystem(
        "poor", {"flow-0#step.annotation#1": ["a", "b"], "flow-1#step.annotation#0": ["a", "b", "c"], "q1": ["t"], "q2": ["t"]}
    )


@pytest.fixture
def fixed():
    return FixedSystem
