"""Small catalogs for tests in which the catalog is not the subject."""

from multiretriever.core import Catalog, CatalogItem, Field, Flow, Step, Table, Workflow
from multiretriever.core.elements import StepInput

_VERBS = ("look up", "create", "update", "delete", "send", "approve", "close")
_NOUNS = ("incident", "change", "problem", "user", "asset", "message", "record", "contract", "invoice", "server", "ticket")


def make_steps(count, *, scope="core", prefix="step", note=""):
    """Makes steps that differ in words, so that each of them is found by its own."""
    return [
        Step(
            scope=scope,
            name=f"{prefix}_{index}",
            description=f"{_VERBS[index % 7]} {_NOUNS[index % 11]} number{index} {note}".strip(),
        )
        for index in range(count)
    ]


def small_catalog():
    """Makes a catalog with elements of every built-in type."""
    flow = Flow(
        name="greet",
        requirement="greet a new colleague",
        steps=[
            {"annotation": "post a message", "definition": "slack.post_message", "order": 1, "inputs": {"text": "Hi: {name}"}}
        ],
    )
    return Catalog(
        [
            Step(
                scope="slack",
                name="post_message",
                label="Post message",
                description="Sends a message to a channel.",
                inputs=(StepInput(name="channel", required=True), StepInput(name="text")),
                metadata={"version": 2, "beta": False, "tags": ["chat", "send"]},
            ),
            Step(scope="core", name="look_up_records", description="Finds records of a table."),
            Step(scope="core", name="create_record", description="Makes a record in a table."),
            Step(scope="core", name="for_each", kind="logic", description="Repeats steps for each item of a list."),
            Step(scope="core", name="record_created", kind="trigger", description="Starts when a record is created."),
            Table(scope="core", name="task", description="Work to be done."),
            Table(scope="core", name="incident", label="Incident", description="An interruption of a service.", extends="task"),
            Table(scope="core", name="sys_user", label="User", description="A person who can log in."),
            Field(scope="core", table="incident", name="caller_id", label="Caller", data_type="reference", reference="sys_user"),
            Field(scope="core", table="incident", name="priority", data_type="integer", choices=("Critical", "High")),
            Field(scope="core", table="sys_user", name="email", data_type="string", description="Address for mail."),
            CatalogItem(
                scope="it", name="new_laptop", label="New laptop", description="A laptop for work.", metadata={"price": 999.5}
            ),
            CatalogItem(scope="it", name="vpn_access", description="Access to the network from home."),
            Workflow(scope="hr", name="greet", flow=flow),
        ]
    )
