"""A catalog of a zoo, whose general steps have other names than those of the bundled one, and a retriever by words alone."""

import pytest

from encoders import WordEncoder
from multiretriever.core import Catalog, Field, Index, MultiRetriever, Step, Table
from multiretriever.core.elements import StepInput


def step(name, kind="action", description="", **inputs):
    # ``name="type!"`` is an input that must be given.
    made = tuple(StepInput(name=key, type=value.rstrip("!"), required=value.endswith("!")) for key, value in inputs.items())
    scope, _, short = name.rpartition(".")
    return Step(scope=scope, name=short, kind=kind, description=description, inputs=made)


STEPS = (
    step("base.find_rows", description="Gives the rows of a table that fit", source="table!", filter="conditions"),
    step("base.fetch_row", description="Gives one row", source="table!", filter="conditions!"),
    step("base.count_rows", description="Says how many rows fit", source="table!", filter="conditions"),
    step("base.add_row", description="Puts a new row into a table", target="table!", content="values!"),
    step("base.change_row", description="Changes a row", row="record!", target="table!", content="values!"),
    step("base.erase_row", description="Takes a row away for good", row="record!"),
    step("base.request_approval", description="Asks somebody to approve", row="record", who="user"),
    step("radio.call_keeper", description="Calls a keeper over the radio", text="string!"),
    step("radio.play_announcement", description="Plays an announcement to visitors", text="string!"),
    step("kitchen.weigh_food", description="Weighs food", amount="integer"),
    step("kitchen.print_feeding_plan", description="Prints the feeding plan", rows="records!"),
    step("base.loop", "logic", "Repeats the nested steps for every entry of a list", rows="records!"),
    step("base.condition", "logic", "Runs the nested steps when it holds", test="string!"),
    step("base.otherwise", "logic", "Runs when the condition before did not hold"),
    step("base.pause", "logic", "Waits for a while", time="duration!"),
    step("base.terminate", "logic", "Ends the flow"),
    step("base.every_day", "trigger", "Daily, at a time of day", time="string!"),
    step("base.every_week", "trigger", "Weekly, on a day of the week", day="choice!"),
    step("base.row_added", "trigger", "A new row was created in a table", source="table!", filter="conditions"),
    step("base.row_changed", "trigger", "A row of a table was updated", source="table!", filter="conditions"),
    step("radio.distress_call", "trigger", "A keeper sends a distress call over the radio"),
)
TABLES = (
    Table(scope="zoo", name="animal", label="Animal", description="Everything that lives here"),
    Table(scope="zoo", name="enclosure", label="Enclosure", description="Where animals live"),
    Table(scope="zoo", name="feeding_round", label="Feeding round", description="One feeding of an enclosure"),
)


def field(table, name, data_type, label="", choices=(), reference=None):
    return Field(
        scope="zoo", table=table, name=name, data_type=data_type, label=label, choices=tuple(choices), reference=reference
    )


FIELDS = (
    field("animal", "name", "string", "Name"),
    field("animal", "keeper", "reference", "Keeper", reference="keeper"),
    field("animal", "health", "choice", "Health", ["healthy", "ill", "in_quarantine"]),
    field("animal", "weight", "decimal", "Weight"),
    field("animal", "vaccinated", "boolean", "Vaccinated"),
    field("animal", "last_checked_on", "date", "Last checked"),
    field("enclosure", "name", "string", "Name"),
    field("enclosure", "state", "choice", "State", ["open", "closed_for_repair", "empty"]),
    field("feeding_round", "title", "string", "Title"),
    field("feeding_round", "state", "choice", "State", ["planned", "done", "cancelled"]),
    field("feeding_round", "assigned_team", "reference", "Assigned team", reference="team"),
)


@pytest.fixture(scope="module")
def draft():
    """Drafts over all of the zoo or a part of it."""
    opened = []

    def make(requirement, elements=(*STEPS, *TABLES, *FIELDS)):
        from multiretriever.core.drafting import draft_flow

        key = tuple(item.id for item in elements)
        retriever = next((held for name, held in opened if name == key), None)
        if retriever is None:
            index = Index.from_catalog(Catalog(elements), encoder=WordEncoder())
            retriever = MultiRetriever(index, mode="lexical")
            opened.append((key, retriever))
        return draft_flow(retriever, requirement, catalog=Catalog(elements))

    yield make
    for _, retriever in opened:
        retriever.close()
