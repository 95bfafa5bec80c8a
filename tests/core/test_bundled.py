"""The bundled catalog holds what it is said to hold."""

from collections import Counter

import pytest

from multiretriever.core import Catalog
from multiretriever.core.catalog import IT_SERVICE


@pytest.fixture(scope="module")
def catalog():
    return Catalog.from_path(IT_SERVICE)


def test_amounts(catalog):
    least = {"step": 120, "table": 50, "field": 450, "catalog_item": 60, "workflow": 60}
    assert {name: catalog.counts[name] >= count for name, count in least.items()} == dict.fromkeys(least, True)
    assert len({step.scope for step in catalog.of("step")}) >= 15


def test_every_element_is_described_in_words_of_its_own(catalog):
    described = [item for item in catalog if item.element_type != "workflow"]
    assert [item.id for item in described if not item.description] == []
    repeated = [text for text, count in Counter(item.description.casefold() for item in described).items() if count > 1]
    assert repeated == []


def test_references_and_parents_name_tables(catalog):
    tables = {table.name for table in catalog.of("table")}
    assert {field.reference for field in catalog.of("field") if field.reference} <= tables
    assert {table.extends for table in catalog.of("table") if table.extends} <= tables


def test_flows_are_of_many_shapes(catalog):
    lengths = [len(workflow.flow.steps) for workflow in catalog.of("workflow")]
    assert min(lengths) >= 2
    assert max(lengths) >= 10
    assert sum(any(step.block for step in workflow.flow.steps) for workflow in catalog.of("workflow")) >= 20
    requirements = [workflow.flow.requirement for workflow in catalog.of("workflow")]
    assert len(set(requirements)) == len(requirements)
