"""Measures of generated flows, by hand-computed numbers."""

import pytest

from multiretriever.core import Catalog, Field, Flow, Step, Table
from multiretriever.core.elements import StepInput
from multiretriever.grounding.flow_measures import (
    MEASURES,
    bag_of_steps,
    fields_given_table,
    order_similarity,
    score_flow,
    trigger_match,
)


def flow(steps="", trigger=None, **inputs):
    """A flow with a step for each letter, all with the same inputs."""
    calls = [{"definition": f"core.{letter}", "inputs": inputs} for letter in steps]
    return Flow.model_validate({"steps": calls, "trigger": {"definition": trigger} if trigger else None})


@pytest.fixture(scope="module")
def catalog():
    inputs = [StepInput(name="table", type="table"), StepInput(name="values", type="values")]
    tables = [Table(scope="core", name=name) for name in ("task", "order")]
    fields = [Field(table=table.name, scope="core", name=name) for table in tables for name in ("state", "owner", "due")]
    steps = [Step(scope="core", name=name, inputs=inputs) for name in "abcd"]
    return Catalog([*steps, Step(scope="core", name="daily", kind="trigger"), *tables, *fields])


@pytest.mark.parametrize(
    ("generated", "expected", "bag", "order"),
    [
        ("abc", "abc", 1, 1),
        ("cba", "abc", 1, 1 / 3),  # one letter is in order
        ("ab", "abc", 4 / 5, 4 / 5),
        ("aab", "abb", 2 / 3, 2 / 3),
        ("abcd", "dabc", 1, 3 / 4),
        ("aaaa", "a", 2 / 5, 2 / 5),  # many of one step are no better than one
        ("", "abc", 0, 0),
        ("", "", 1, 1),
        ("d", "abc", 0, 0),
    ],
)
def test_steps_with_and_without_their_order(generated, expected, bag, order):
    for one, other in ((generated, expected), (expected, generated)):
        assert bag_of_steps(flow(one), flow(other)) == pytest.approx(bag)
        assert order_similarity(flow(one), flow(other)) == pytest.approx(order)


def test_triggers():
    assert trigger_match(flow(trigger="core.daily"), flow(trigger="core.daily"))
    assert not trigger_match(flow(trigger="core.weekly"), flow(trigger="core.daily"))
    assert not trigger_match(flow(), flow(trigger="core.daily"))
    assert trigger_match(flow(), flow())


@pytest.mark.parametrize(
    ("generated", "expected", "due"),
    [
        (("task", "state owner"), ("task", "state owner"), 1),
        (("task", "state"), ("task", "state owner"), 2 / 3),
        (("task", ""), ("task", "state"), 0),
        (("task", "state"), ("task", ""), 0),
        (("task", "hallucinated state"), ("task", "state"), 2 / 3),
        (("order", "state"), ("task", "state"), None),  # another table: nothing is given
        (("task", ""), ("task", ""), None),
        (("{{1.table}}", "state"), ("task", "state"), None),
    ],
)
def test_fields_on_tables_that_both_name(catalog, generated, expected, due):
    one, other = (flow("a", table=table, values=dict.fromkeys(fields.split(), 1)) for table, fields in (generated, expected))
    found = fields_given_table(one, other, catalog)
    assert found == (due if due is None else pytest.approx(due))


def test_fields_of_several_tables_count_together(catalog):
    def both(task, order):
        parts = {"task": task, "order": order}
        return Flow.model_validate(
            {"steps": [{"definition": "core.a", "inputs": {"table": t, "values": dict.fromkeys(f, 1)}} for t, f in parts.items()]}
        )

    assert fields_given_table(both(["state"], ["due"]), both(["state", "owner"], ["owner"]), catalog) == pytest.approx(2 / 5)


def test_all_measures_of_a_flow(catalog):
    expected = flow("ab", "core.daily", table="task", values={"state": 1})
    made = flow("ax", "core.gone", table="task", values={"state": 1, "colour": 2})
    scores = score_flow(made, expected, catalog)
    assert (scores.valid, scores.hallucinated_steps, scores.hallucinated_tables, scores.hallucinated_fields) == (1, 0.5, 0, 0.5)
    assert (scores.trigger_match, scores.bag_of_steps, scores.order_similarity) == (0, 0.5, 0.5)
    assert scores.fields_given_table == pytest.approx(2 / 3)
    assert tuple(vars(scores)) == MEASURES


def test_what_is_no_flow_misses_everything_and_makes_nothing_up(catalog):
    scores = score_flow(None, flow("ab", "core.daily"), catalog)
    assert (scores.valid, scores.trigger_match, scores.bag_of_steps, scores.order_similarity) == (0, 0, 0, 0)
    assert (
        scores.hallucinated_steps is scores.hallucinated_tables is scores.hallucinated_fields is scores.fields_given_table is None
    )


def test_a_flow_that_names_nothing_has_no_shares(catalog):
    scores = score_flow(flow(), flow("a"), catalog)
    assert scores.hallucinated_steps is scores.hallucinated_tables is scores.hallucinated_fields is scores.trigger_match is None
