"""The checker of flows finds each fault by itself, and nothing in sound flows."""

import pytest

from multiretriever.core import Flow
from multiretriever.datasets import Dataset, check_dataset
from multiretriever.datasets.checks import check_structure
from small_dataset import CHASE, QUERIES, write_dataset, write_queries


@pytest.fixture
def catalog(tmp_path):
    return Dataset.from_path(write_dataset(tmp_path)).catalog


def test_a_sound_dataset(tmp_path):
    assert list(check_dataset(Dataset.from_path(write_dataset(tmp_path)))) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "definition: core.for_each",
            "definition: core.for_all",
            "step 2: there is no step 'core.for_all' (near to it: core.for_each",
        ),
        ("{table: ticket, conditions", "{table: tickets, conditions", "step 1: there is no table 'tickets'"),
        ("values: {state: chased", "values: {stage: chased", "step 5: there is no field 'stage'"),
        ("definition: core.daily", "definition: core.if", "trigger: there is no trigger 'core.if'"),
        ("order: 4, block: 3", "order: 4, block: 1", "step 4: its block 1 is opened by an action"),
        ('records: "{{1.records}}"', 'records: "{{4.records}}"', "step 2: uses the output of step 4, which is not there yet"),
        ("definition: core.if, ", "definition: core.else, ", "step 3: core.else follows no if on its level"),
        ("annotation: one by one", 'annotation: " "', "step 2: has no annotation"),
        ("annotation: each day,", 'annotation: "",', "trigger: has no annotation"),
    ],
)
def test_each_fault_is_found(catalog, old, new, problem):
    assert old in CHASE
    found = list(check_structure(Flow.from_yaml(CHASE.replace(old, new)), catalog))
    assert any(item.startswith(problem) for item in found), found


def test_an_else_after_its_if(catalog):
    flow = CHASE + "  - {annotation: otherwise, definition: core.else, order: 6, block: 2}\n"
    assert list(check_structure(Flow.from_yaml(flow), catalog)) == []


def test_answers_that_do_not_exist(tmp_path):
    folder = write_dataset(tmp_path)
    write_queries(folder / "queries.jsonl", [{**QUERIES[0], "relevant": ["shop.laptop", "shop.lamp"]}])
    assert list(check_dataset(Dataset.from_path(folder))) == ["query 'q1': the catalog has no catalog_item 'shop.lamp'"]
