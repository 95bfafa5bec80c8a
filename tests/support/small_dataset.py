"""A small dataset folder: a catalog, two flows and three queries, whose answers can be told by hand."""

import json

CATALOG = """\
scope: core
steps:
  - {name: record_created, kind: trigger, inputs: [{name: table, type: table}, {name: conditions, type: conditions}]}
  - {name: daily, kind: trigger, inputs: [{name: time}]}
  - {name: if, kind: logic, inputs: [{name: condition}]}
  - {name: else, kind: logic}
  - {name: for_each, kind: logic, inputs: [{name: records, type: records}]}
  - {name: look_up_records, inputs: [{name: table, type: table}, {name: conditions, type: conditions}]}
  - {name: update_record, inputs: [{name: table, type: table}, {name: record}, {name: values, type: values}]}
  - {scope: chat, name: post_message, description: Writes into a channel., inputs: [{name: channel}, {name: text}]}
  - {scope: chat, name: open_channel, description: Makes a channel., inputs: [{name: name}]}
tables:
  - name: task
    fields: [{name: state, label: State}, {name: owner, label: Owner}]
  - name: ticket
    extends: task
    fields: [{name: caller, label: Caller}, {name: state, label: Ticket state}]
  - {name: person, fields: [{name: mail, label: Mail}]}
catalog_items:
  - {scope: shop, name: laptop, label: Laptop, description: A computer to carry around., category: hardware}
  - {scope: shop, name: screen, label: Screen, description: A display for a desk., category: hardware}
  - {scope: shop, name: badge, label: Badge, category: access}
"""

GREET = """\
name: greet
label: Greet callers
scope: chat
description: Welcomes whoever reports something.
requirement: new ticket, say hello to the caller
paraphrases: [greet people who open tickets]
trigger: {annotation: new ticket, definition: core.record_created, inputs: {table: ticket, conditions: callerISNOTEMPTY}}
steps:
  - annotation: say hello
    paraphrases: [greet them]
    definition: chat.post_message
    order: 1
    inputs: {channel: desk, text: Hello}
"""

CHASE = """\
name: chase
label: Chase owners
scope: core
description: Reminds owners every day.
requirement: each day look for open tickets and if they have an owner tell them and mark the ticket
trigger: {annotation: each day, definition: core.daily, inputs: {time: "08:00"}}
steps:
  - annotation: look for open tickets
    definition: core.look_up_records
    order: 1
    inputs: {table: ticket, conditions: "state=open"}
  - {annotation: one by one, definition: core.for_each, order: 2, inputs: {records: "{{1.records}}"}}
  - {annotation: if they have an owner, definition: core.if, order: 3, block: 2, inputs: {condition: "{{2.item.owner}} is set"}}
  - {annotation: tell them, definition: chat.post_message, order: 4, block: 3, inputs: {channel: owners, text: Look}}
  - annotation: mark the ticket
    definition: core.update_record
    order: 5
    block: 3
    inputs: {table: ticket, record: "{{2.item}}", values: {state: chased, owner: "{{2.item.owner}}"}}
"""

QUERIES = [
    {"id": "q1", "element_type": "catalog_item", "query": "something to work on in the train", "relevant": ["shop.laptop"]},
    {
        "id": "q2",
        "element_type": "field",
        "query": "who reported it",
        "context": {"table": "ticket"},
        "relevant": ["core.ticket.caller"],
    },
    {"id": "q3", "element_type": "step", "query": "schreib ihnen", "relevant": ["chat.post_message"], "language": "de"},
]


def write_dataset(folder, *, settings="licence: MIT\nflows: flows\nworkflows: flows\n"):
    """Writes the dataset and returns its folder."""
    for name, text in {"catalog/all.yaml": CATALOG, "flows/a_greet.yaml": GREET, "flows/b_chase.yaml": CHASE}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (folder / "dataset.yaml").write_text(settings, encoding="utf-8")
    write_queries(folder / "queries.jsonl", QUERIES)
    return folder


def write_queries(path, queries):
    """Writes queries, one a line."""
    path.write_text("".join(json.dumps(query) + "\n" for query in queries), encoding="utf-8")
