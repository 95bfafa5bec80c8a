"""Drafts by retrieval: what is found for each clause, and a flow in which every name exists, whatever is asked of any catalog."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from encoders import WordEncoder
from multiretriever.core import Catalog, Field, Flow, Index, MultiRetriever, Step, Table
from multiretriever.core.catalog import IT_SERVICE
from multiretriever.core.elements import StepInput
from multiretriever.core.errors import QueryError
from multiretriever.grounding.draft import MAX_CLAUSES, draft_flow
from multiretriever.grounding.flow_check import check_flow

REQUIREMENT = "Every day, find rows of animal. For every animal: change row health of animal, otherwise call keeper over radio."


def step(name, kind="action", description="", **inputs):
    # ``name="type!"`` is a required input.
    made = tuple(StepInput(name=key, type=value.rstrip("!"), required=value.endswith("!")) for key, value in inputs.items())
    scope, _, short = name.rpartition(".")
    return Step(scope=scope, name=short, kind=kind, description=description, inputs=made)


STEPS = (
    step("base.find_rows", description="Finds the rows of a table", source="table!", filter="conditions"),
    step("base.change_row", description="Changes a row", row="record!", target="table!", content="values!"),
    step("base.sort_rows", description="Sorts by a column", rows="records!", source="table!", column="field!"),
    step("radio.call_keeper", description="Calls a keeper over the radio", text="string!"),
    step("base.loop", "logic", "Repeats the nested steps for every entry of a list", rows="records!"),
    step("base.every_day", "trigger", "Daily, at a time of day", time="string!"),
    step("base.row_added", "trigger", "A new row was created in a table", source="table!", filter="conditions"),
)
TABLES = (
    Table(scope="zoo", name="animal", label="Animal", description="Everything that lives here"),
    Table(scope="zoo", name="enclosure", label="Enclosure", description="Where animals live"),
)
FIELDS = (
    Field(scope="zoo", table="animal", name="health", label="Health"),
    Field(scope="zoo", table="animal", name="keeper", label="Keeper"),
    Field(scope="zoo", table="enclosure", name="state", label="State"),
)
ZOO = (*STEPS, *TABLES, *FIELDS)


def drafted(requirement, elements=ZOO):
    catalog = Catalog(elements)
    with Index.from_catalog(catalog, encoder=WordEncoder()) as index:
        return draft_flow(MultiRetriever(index), requirement, catalog=catalog)


@pytest.fixture(scope="module")
def zoo():
    with Index.from_catalog(Catalog(ZOO), encoder=WordEncoder()) as index:
        yield MultiRetriever(index)


def test_what_was_found_for_each_clause(zoo):
    parts = draft_flow(zoo, REQUIREMENT).parts
    assert [part.clause.text for part in parts] == [
        "Every day",
        "find rows of animal",
        "For every animal",
        "change row health of animal",
        "otherwise call keeper over radio",
    ]
    assert [part.step.id for part in parts] == [
        "base.every_day",
        "base.find_rows",
        "base.loop",
        "base.change_row",
        "radio.call_keeper",
    ]
    assert [part.table and part.table.id for part in parts] == [None, "zoo.animal", None, "zoo.animal", None]
    assert parts[3].fields[0].id == "zoo.animal.health"
    assert parts[0].fields == parts[4].fields == ()
    assert all(REQUIREMENT[part.clause.start : part.clause.end] == part.clause.text for part in parts)


def test_the_flow_puts_it_together_and_leaves_open_what_nobody_said(zoo):
    flow = draft_flow(zoo, REQUIREMENT).flow
    assert flow.requirement == REQUIREMENT
    assert (flow.trigger.annotation, flow.trigger.inputs) == ("Every day", {"time": "{{input.time}}"})
    assert [(step.definition, step.block) for step in flow.steps] == [
        ("base.find_rows", 0),
        ("base.loop", 0),
        ("base.change_row", 2),
        ("radio.call_keeper", 2),
    ]
    find, loop, change, call = flow.steps
    assert find.inputs["source"] == "animal"
    assert loop.inputs == {"rows": "{{1.records}}"}
    assert (change.inputs["row"], change.inputs["target"]) == ("{{2.item}}", "animal")
    assert change.inputs["content"]["health"] == "{{input.health}}"
    assert call.inputs == {"text": "{{input.text}}"}


def test_a_field_and_conditions_of_the_table(zoo):
    sort = draft_flow(zoo, "sort rows of enclosure by column state").flow.steps[0]
    assert sort.inputs == {"rows": "{{input.rows}}", "source": "enclosure", "column": "state"}
    find = draft_flow(zoo, "find rows of enclosure with state").flow.steps[0]
    assert find.inputs == {"source": "enclosure", "filter": "state={{input.state}}"}


@pytest.mark.parametrize(
    ("requirement", "trigger", "steps"),
    [
        ("Every day, call the keeper", "Every day", ["radio.call_keeper"]),
        ("Call the keeper; when a new row was created", "when a new row was created", ["radio.call_keeper"]),
        ("Call the keeper every day", "Call the keeper every day", ["radio.call_keeper"]),
        ("A new row was created in a table: call the keeper", "A new row was created in a table", ["radio.call_keeper"]),
        ("call the keeper", None, ["radio.call_keeper"]),
    ],
)
def test_the_clause_that_says_when_it_starts(zoo, requirement, trigger, steps):
    flow = draft_flow(zoo, requirement).flow
    assert (flow.trigger and flow.trigger.annotation) == trigger
    assert [step.definition for step in flow.steps] == steps


def test_a_word_for_each_opens_a_loop_over_what_came_before(zoo):
    flow = draft_flow(zoo, "find rows of animal, change each row of animal").flow
    assert [(step.definition, step.block) for step in flow.steps] == [
        ("base.find_rows", 0),
        ("base.loop", 0),
        ("base.change_row", 2),
    ]
    alone = drafted("find rows of animal, change each row of animal", [item for item in ZOO if item.id != "base.loop"])
    assert [step.definition for step in alone.flow.steps] == ["base.find_rows", "base.change_row"]
    first = draft_flow(zoo, "change each row of animal").flow
    assert [step.definition for step in first.steps] == ["base.change_row"]


def test_the_clauses_of_a_requirement_are_encoded_together(zoo):
    encoder = zoo.index.encoder
    encoder.query_batches.clear()
    draft_flow(zoo, "find rows of animal, " * 20)
    assert len(encoder.query_batches) <= 4  # steps, tables, and the fields of the one table


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
        "for each animal",
        "\x00\x1b[31m find animals",
        "half a surrogate \ud800 pair",
    ],
)
def test_hostile_requirements(zoo, requirement):
    assert draft_flow(zoo, requirement).check.valid


def test_a_very_long_requirement(zoo):
    made = draft_flow(zoo, "find animals that are ill, call the keeper, " * 2000)
    assert made.check.valid
    assert len(made.parts) == MAX_CLAUSES
    assert 0 < len(made.flow.steps) <= MAX_CLAUSES


@pytest.mark.parametrize("requirement", ["", "  ", None, 5])
def test_a_bad_requirement_is_refused(zoo, requirement):
    with pytest.raises(QueryError):
        draft_flow(zoo, requirement)


def test_a_clause_that_says_when_asks_for_no_action_where_the_catalog_has_no_trigger():
    made = drafted("Every day, find rows of animal.", [item for item in ZOO if getattr(item, "kind", "") != "trigger"])
    assert [part.step and part.step.id for part in made.parts] == [None, "base.find_rows"]
    assert [part.annotation for part in made.flow.steps] == ["find rows of animal"]


def test_half_of_a_character_is_none(zoo):
    flow = draft_flow(zoo, "find rows of animal \ud800").flow
    assert Flow.from_yaml(flow.to_yaml()) == flow


@pytest.mark.parametrize("left_out", ["trigger", "logic", "action"])
def test_a_catalog_without_a_kind_of_step(left_out):
    made = drafted(REQUIREMENT, (*(step for step in STEPS if step.kind != left_out), *TABLES, *FIELDS))
    assert {step.definition for step in made.flow.steps} <= {step.id for step in STEPS if step.kind != left_out}
    assert made.check.valid
    assert (made.flow.trigger is None) == (left_out == "trigger")


@pytest.mark.parametrize("elements", [(*STEPS,), (*STEPS, *TABLES), (*TABLES, *FIELDS), STEPS[:1], STEPS[-1:]])
def test_a_catalog_without_tables_fields_or_steps(elements):
    made = drafted(REQUIREMENT, elements)
    assert {step.definition for step in made.flow.steps} <= {step.id for step in STEPS if step in elements}
    assert made.check.valid


def test_tables_of_one_name_in_two_scopes_stay_apart():
    twin = (
        Table(scope="farm", name="animal", description="find rows animal milk"),
        Field(scope="farm", table="animal", name="milk"),
    )
    made = drafted("find rows of animal of the farm with milk", (*ZOO, *twin))
    assert made.flow.steps[0].inputs == {"source": "farm.animal", "filter": "milk={{input.milk}}"}
    assert made.check.valid


def test_the_same_draft_comes_every_time_and_from_the_catalog_of_the_index(zoo):
    assert draft_flow(zoo, REQUIREMENT) == draft_flow(zoo, REQUIREMENT, catalog=Catalog(ZOO))


# Names that read as operators, references and markup; words of the requirement, so that they are found.
NAMES = st.sampled_from(["ISEMPTY^x", "a=b", "{{z}}", "^OR", "x>", "each", "INstate", "find", "every day", "</x>", "state", "ab"])
TYPES = st.sampled_from(["table", "conditions", "values", "field", "record", "records", "string"])
ODD_STEPS = st.lists(
    st.builds(
        lambda name, kind, inputs: step(name.replace(".", ""), kind, "find each", **{}).model_copy(
            update={"inputs": tuple(StepInput(name=key, type=kind, required=must) for key, (kind, must) in inputs.items())}
        ),
        NAMES,
        st.sampled_from(["action", "logic", "trigger"]),
        st.dictionaries(NAMES, st.tuples(TYPES, st.booleans()), max_size=4),
    ),
    max_size=5,
    unique_by=lambda item: item.id,
)
ODD_TABLES = st.dictionaries(NAMES, st.sets(NAMES, max_size=3), max_size=3)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=ODD_STEPS, tables=ODD_TABLES, words=st.lists(st.one_of(NAMES, st.text(max_size=6)), min_size=1, max_size=12))
def test_whatever_is_asked_of_any_catalog_a_draft_has_no_findings(steps, tables, words):
    elements = [*steps, *(Table(name=name) for name in tables)]
    elements += [Field(table=name, name=field) for name, fields in tables.items() for field in sorted(fields)]
    requirement = ", ".join(["find", *words])
    made = drafted(requirement, elements or STEPS[:1])
    assert made.check.findings == ()
    assert check_flow(made.flow, Catalog(elements or STEPS[:1])).valid
    assert Flow.from_yaml(made.flow.to_yaml()).steps == made.flow.steps


def test_drafts_of_bundled_requirements_have_no_finding(bundled_index):
    catalog = Catalog.from_path(IT_SERVICE)
    with MultiRetriever.open(bundled_index) as retriever:
        for workflow in catalog.of("workflow")[::4]:
            draft = draft_flow(retriever, workflow.flow.requirement, catalog=catalog)
            assert draft.check.findings == (), workflow.name
            assert draft.flow.steps
