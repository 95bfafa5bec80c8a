"""How near a generated flow is to the one that a person made for the same requirement.

Shares of hallucinated names, trigger match and bag of steps are measures of "Reducing hallucination in structured outputs via
Retrieval-Augmented Generation" (Béchard and Ayala, arXiv 2404.08189, section 4.2); the bag is an F1 here, so that a flow of many
steps is not better for that.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from multiretriever.core.catalog import Catalog
from multiretriever.core.elements import Step
from multiretriever.core.flow_references import fields_named, tables_named
from multiretriever.core.flows import Flow, FlowStep, Trigger
from multiretriever.grounding.flow_check import check_flow

MEASURES = (
    "valid",
    "hallucinated_steps",
    "hallucinated_tables",
    "hallucinated_fields",
    "trigger_match",
    "bag_of_steps",
    "order_similarity",
    "fields_given_table",
)


@dataclass(frozen=True)
class FlowScores:
    """Measures of one generated flow, each 0 to 1; None where a flow has nothing that the measure is of.

    Attributes:
        valid: 1 where the answer was a flow, 0 where it was not (then all else counts as missed).
        hallucinated_steps: Share of its steps whose definition does not exist.
        hallucinated_tables: Share of the tables that it names that do not exist.
        hallucinated_fields: Share of the fields that it names, of tables that exist, that do not exist.
        trigger_match: 1 where the trigger is the expected one.
        bag_of_steps: F1 of the steps, whatever their order.
        order_similarity: F1 of the steps in the longest order that both flows have.
        fields_given_table: F1 of the fields, on the tables that both flows name.
    """

    valid: float
    hallucinated_steps: float | None
    hallucinated_tables: float | None
    hallucinated_fields: float | None
    trigger_match: float | None
    bag_of_steps: float
    order_similarity: float
    fields_given_table: float | None


def score_flow(generated: Flow | None, expected: Flow, catalog: Catalog) -> FlowScores:
    """Measures a generated flow.

    Args:
        generated: The flow; None where what was generated is no flow.
        expected: What a person made for the same requirement.
        catalog: The catalog of both.
    """
    no_trigger = None if expected.trigger is None else 0.0
    if generated is None:
        return FlowScores(0.0, None, None, None, no_trigger, 0.0, 0.0, None)
    check = check_flow(generated, catalog)
    return FlowScores(
        valid=1.0,
        hallucinated_steps=check.hallucinated_step_share if check.steps else None,
        hallucinated_tables=check.hallucinated_table_share if check.tables else None,
        hallucinated_fields=check.hallucinated_field_share if check.fields else None,
        trigger_match=None if expected.trigger is None else float(trigger_match(generated, expected)),
        bag_of_steps=bag_of_steps(generated, expected),
        order_similarity=order_similarity(generated, expected),
        fields_given_table=fields_given_table(generated, expected, catalog),
    )


def trigger_match(generated: Flow, expected: Flow) -> bool:
    """Returns whether both flows have the same trigger, or none."""
    one, other = (flow.trigger and flow.trigger.definition for flow in (generated, expected))
    return (one or None) == (other or None)


def bag_of_steps(generated: Flow, expected: Flow) -> float:
    """Returns the F1 of the definitions of the steps as multisets, 0 to 1; 1 where both flows have no steps."""
    bags = [Counter(_definitions(flow)) for flow in (generated, expected)]
    return _f1((bags[0] & bags[1]).total(), bags[0].total(), bags[1].total())


def order_similarity(generated: Flow, expected: Flow) -> float:
    """Returns the F1 of the definitions in the longest common subsequence, 0 to 1; 1 where both flows have no steps."""
    one, other = _definitions(generated), _definitions(expected)
    return _f1(_longest_common_subsequence(one, other), len(one), len(other))


def fields_given_table(generated: Flow, expected: Flow, catalog: Catalog) -> float | None:
    """Returns the F1 of the fields over the tables that both flows name, 0 to 1; None where neither names a field of those."""
    one, other = (_fields_by_table(flow, catalog) for flow in (generated, expected))
    shared = one.keys() & other.keys()
    found = sum(len(one[table] & other[table]) for table in shared)
    counts = [sum(len(fields[table]) for table in shared) for fields in (one, other)]
    return _f1(found, *counts) if any(counts) else None


def _definitions(flow: Flow) -> list[str]:
    return [step.definition or "" for step in flow.steps]


def _f1(found: int, given: int, expected: int) -> float:
    return 2 * found / (given + expected) if given + expected else 1.0


def _longest_common_subsequence(one: Sequence[Hashable], other: Sequence[Hashable]) -> int:
    lengths = [0] * (len(other) + 1)
    for left in one:
        before = 0
        for place, right in enumerate(other, start=1):
            kept = lengths[place]
            lengths[place] = before + 1 if left == right else max(kept, lengths[place - 1])
            before = kept
    return lengths[-1]


def _fields_by_table(flow: Flow, catalog: Catalog) -> dict[str, set[str]]:
    """Returns the fields that a flow names by the id of their table, tables without fields included."""
    found: dict[str, set[str]] = defaultdict(set)
    called: list[FlowStep | Trigger] = [*([flow.trigger] if flow.trigger else []), *flow.steps]
    for item in called:
        step: Step | None = next(iter(catalog.find("step", item.definition)), None) if item.definition else None
        if step is None:
            continue
        for name in tables_named(item, step):
            for table in catalog.find("table", name)[:1]:
                known = [field.name for field in catalog.fields_of(table)]
                found[table.id] |= set(fields_named(item, step, known))
    return found
