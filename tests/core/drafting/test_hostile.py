"""Requirements and catalogs that nobody would want: a draft comes out all the same, and every name in it exists."""

import pytest

from encoders import WordEncoder
from multiretriever.core import Catalog, Field, Index, MultiRetriever, QueryError, Table
from multiretriever.core.drafting import MAX_CLAUSES, draft_flow, iter_draft
from multiretriever.core.flows import FlowStep, Trigger

from .conftest import FIELDS, STEPS, TABLES

REQUIREMENT = (
    "Every day, find animals that are ill. If they have no keeper, call the keeper, otherwise change the health to healthy."
)


@pytest.mark.parametrize(
    "requirement",
    [
        "?!...",
        "->",
        "{{trigger.record}} ^OR ISEMPTY",
        "Finde jeden Tag alle kranken Tiere und rufe den Pfleger an.",
        "毎日、病気の動物を探して飼育員に連絡する。",
        "מצא חיות חולות",
        "find animals^ORhealth=ill with keeper={{x}} and set the health to {{evil}} ^ x=1",
        "if if if otherwise otherwise for each for each",
        "otherwise call the keeper",
        "for each animal",
        "stop",
        "\x00\x1b[31m find animals",
        "half a surrogate \ud800 pair",
    ],
)
def test_hostile_requirements(draft, requirement):
    assert draft(requirement).check.valid


def test_a_very_long_requirement(draft):
    made = draft("find animals that are ill, call the keeper, " * 2000)
    assert made.check.valid
    assert 0 < len(made.flow.steps) <= 3 * MAX_CLAUSES


@pytest.mark.parametrize("requirement", ["", "  ", None, 5])
def test_a_bad_requirement_is_refused(draft, requirement):
    with pytest.raises(QueryError):
        draft(requirement)


@pytest.mark.parametrize("left_out", ["trigger", "logic", "action"])
def test_a_catalog_without_a_kind_of_step(draft, left_out):
    made = draft(REQUIREMENT, (*(step for step in STEPS if step.kind != left_out), *TABLES, *FIELDS))
    known = {step.id for step in STEPS if step.kind != left_out}
    assert {step.definition for step in made.flow.steps} <= known
    assert made.check.valid
    assert (made.flow.trigger is None) == (left_out == "trigger")


@pytest.mark.parametrize("elements", [(*STEPS,), (*STEPS, *TABLES), (*TABLES, *FIELDS), STEPS[:1], STEPS[-1:]])
def test_a_catalog_without_tables_fields_or_steps(draft, elements):
    made = draft(REQUIREMENT, elements)
    known = {step.id for step in STEPS if step in elements}
    assert {step.definition for step in made.flow.steps} <= known
    assert made.check.valid


def test_names_and_choices_that_look_like_operators_or_references(draft):
    table = Table(name="ISEMPTY^x", label="Ill {{thing}}")
    field = Field(table="ISEMPTY^x", name="a=b", data_type="choice", choices=("x^ORy", "{{z}}", "= > <"))
    made = draft("Every day, find ill thing with x ory and {{z}} and close it", (*STEPS, table, field))
    assert all(step.definition in {item.id for item in STEPS} for step in made.flow.steps)


def test_the_same_draft_comes_every_time_and_part_by_part(draft):
    elements = (*STEPS, *TABLES, *FIELDS)
    with Index.from_catalog(Catalog(elements), encoder=WordEncoder()) as index:
        retriever = MultiRetriever(index)
        made = draft_flow(retriever, REQUIREMENT)
        assert made == draft_flow(retriever, REQUIREMENT, catalog=Catalog(elements))
        parts = list(iter_draft(retriever, REQUIREMENT))
    assert parts == [made.flow.trigger, *made.flow.steps]
    assert isinstance(parts[0], Trigger)
    assert all(isinstance(part, FlowStep) for part in parts[1:])


def test_parts_come_as_they_are_made_and_a_bad_requirement_is_refused_at_once():
    with Index.from_catalog(Catalog((*STEPS, *TABLES, *FIELDS)), encoder=WordEncoder()) as index:
        retriever = MultiRetriever(index, mode="lexical")
        parts = iter_draft(retriever, REQUIREMENT)
        assert isinstance(next(parts), Trigger)
        assert next(parts).order == 1
        with pytest.raises(QueryError):
            iter_draft(retriever, " ")
