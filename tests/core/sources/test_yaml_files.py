import pytest

from multiretriever.core.catalog import Catalog
from multiretriever.core.elements import Element, ElementType, register_element_type, unregister_element_type
from multiretriever.core.sources import YamlSource

CATALOG = """\
# A comment first.
scope: itsm
steps:
  - name: create_record
    label: Create Record
    kind: action
    description: Adds a row.
    inputs:
      - {name: table, type: table, required: true}
      - {name: values, type: values}
  - name: post_message
    scope: slack
tables:
  - name: task
    label: Task
  - name: incident
    extends: task
    description: Something broke.
    fields:
      - {name: state, label: State, data_type: choice, choices: [new, on, off]}
      - {name: caller, data_type: reference, reference: user}
catalog_items:
  - name: laptop
    category: hardware
    price: 1200.5
    sizes: [13, 1.10, no]
---
workflows:
  - name: onboard
"""


def test_all_types_are_read_with_scope_nested_fields_and_metadata(write, load):
    catalog = load(YamlSource(write("catalog.yaml", CATALOG)))
    assert catalog.counts == {"step": 2, "table": 2, "field": 2, "catalog_item": 1, "workflow": 1}
    step, message = catalog.of("step")
    assert (step.id, step.kind, step.description) == ("itsm.create_record", "action", "Adds a row.")
    assert [(item.name, item.type, item.required) for item in step.inputs] == [
        ("table", "table", True),
        ("values", "values", False),
    ]
    assert message.scope == "slack"
    state, caller = catalog.of("field")
    assert (state.id, state.table, state.scope) == ("itsm.incident.state", "incident", "itsm")
    assert state.choices == ("new", "on", "off")
    assert caller.reference == "user"
    assert catalog.of("table")[1].extends == "task"
    (laptop,) = catalog.of("catalog_item")
    assert laptop.metadata == {"category": "hardware", "price": 1200.5, "sizes": ["13", "1.10", "no"]}
    # The second document has no scope, and the first one's does not reach into it.
    assert catalog.of("workflow")[0].scope == ""


def test_names_that_yaml_would_turn_into_values_stay_text(write, load):
    names = ["no", "on", "1.10", "12:30", "12:30:45", "0x10", "1e3", "2024-01-01", "007"]
    text = "scope: off\nsteps:\n" + "".join(f"  - name: {name}\n" for name in names)
    catalog = load(YamlSource(write("catalog.yaml", text)))
    assert [step.name for step in catalog.of("step")] == names
    assert catalog.scopes == {"off": len(names)}


def test_a_list_of_texts_under_fields_belongs_to_the_table(write, load):
    catalog = load(YamlSource(write("catalog.yaml", "tables:\n  - {name: a, fields: [x, no]}\n  - {name: b, fields: []}\n")))
    assert [table.fields for table in catalog.of("table")] == [("x", "no"), ()]
    assert catalog.counts == {"table": 2}


def test_nulls_and_empty_lists_are_absent(write, load):
    catalog = load(YamlSource(write("c.yaml", "scope:\ntables:\nsteps:\n  - {name: a, label: , scope: ~, owner: null}\n---\n")))
    (step,) = catalog.of("step")
    assert (step.label, step.scope, step.metadata) == ("", "", {})


def test_every_problem_is_reported_with_line_and_field(write, expect):
    text = """\
scope: itsm
steps:
  - name: a
    kind: acton
    inputs:
      - {name: x, typ: string}
      - {name: y, required: maybe}
  - label: Without name
  - name: " "
  - just text
  - name: b
    desciption: x
    owner: {nested: true}
tabels: []
step: []
colour: blue
fields: text
tables:
  - name: t
    fields:
      - {name: f, data_type: [text]}
      - {name: g, table: other}
      - oops
  - {name: u, fields: text}
"""
    path = write("catalog.yaml", text)
    expect(
        YamlSource(path),
        (4, "kind", "'action'"),
        (6, "inputs[0].typ", "not a known key"),
        (7, "inputs[1].required", "maybe"),
        (8, "name", "missing"),
        (9, "name", "blank"),
        (10, "steps[3]", "'just text'"),
        (12, "desciption", "was 'description' meant"),
        (13, "owner", "metadata takes"),
        (14, "tabels", "was 'tables' meant"),
        (15, "step", "was 'steps' meant"),
        (16, "colour", "known are scope, steps"),
        (17, "fields", "expected a list, got 'text'"),
        (21, "data_type", "text"),
        (22, "fields[1].table", "'other' but belongs to table 't'"),
        (23, "fields[2]", "'oops'"),
        (24, "fields", "expected a list of fields"),
    )


def test_metadata_is_checked_at_its_own_lines(write, expect):
    text = "steps:\n  - name: a\n    metadata:\n      owner: x\n      list: [a, {b: 1}]\n      gone: ~\n    owner: y\n"
    expect(YamlSource(write("c.yaml", text)), (5, "metadata.list", "metadata takes"), (7, "owner", "appears both"))


def test_duplicate_ids_name_both_places(write, expect, refuse):
    path = write("c.yaml", "steps:\n  - name: a\n  - name: b\n  - name: a\n")
    expect(YamlSource(path), (4, "id", f"first: {path}:2"))
    other = write("d.yaml", "steps:\n  - name: b\n")
    problems = refuse(YamlSource(path), YamlSource(other))
    assert [(item.source, item.line) for item in problems] == [(str(path), 4), (str(other), 2)]


def test_an_unknown_table_is_reported_with_the_nearest_one(write, expect):
    text = "tables:\n  - {name: incident}\nfields:\n  - name: state\n    table: incidnet\n  - {name: x, table: qqq}\n"
    expect(YamlSource(write("c.yaml", text)), (5, "table", "was 'incident' meant"), (6, "table", "add the table"))


def test_fields_of_a_table_that_was_refused_are_not_reported_as_well(write, expect):
    text = "tables:\n  - name: incident\n    labl: x\n    fields:\n      - {name: state}\n  - {name: t, extends: incident}\n"
    expect(YamlSource(write("c.yaml", text)), (3, "labl", "was 'label' meant"))


def test_tables_that_extend_each_other_in_a_circle_are_refused(write, expect):
    text = (
        "tables:\n  - name: a\n    extends: b\n  - {name: b, extends: a}\n  - {name: c, extends: c}\n  - {name: d, extends: a}\n"
    )
    expect(
        YamlSource(write("c.yaml", text)),
        (3, "extends", "a -> b -> a"),
        (4, "extends", "b -> a -> b"),
        (5, "extends", "c -> c"),
    )


def test_a_circle_in_one_scope_is_found_though_another_scope_has_tables_of_the_names(write, refuse):
    circle = "scope: one\ntables:\n  - {name: a, extends: b}\n  - {name: b, extends: a}\n"
    plain = "scope: two\ntables:\n  - {name: a}\n  - {name: b}\n"
    problems = refuse(YamlSource(write("c.yaml", circle + "---\n" + plain)))
    assert [item.line for item in problems] == [3, 4]


def test_fields_go_to_the_table_of_their_scope(write, load):
    text = "scope: {0}\ntables:\n  - name: a\n    fields: [{{name: {0}_field}}]\n"
    catalog = load(YamlSource(write("c.yaml", text.format("one") + "---\n" + text.format("two"))))
    assert [[field.name for field in catalog.fields_of(table)] for table in catalog.of("table")] == [["one_field"], ["two_field"]]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("- name: a\n", 1, "expected a mapping with lists"),
        ("just text\n", 1, "expected a mapping with lists"),
        ("# only a comment\n", None, "expected a catalog, got only comments"),
        ("---\n---\n", None, "expected a catalog, got only comments"),
        ("steps: []\n", None, "no element"),
    ],
)
def test_files_that_are_no_catalog(text, line, message, write, expect):
    expect(YamlSource(write("c.yaml", text)), (line, None, message))


def test_a_scope_that_is_no_text_is_a_problem(write, expect):
    expect(YamlSource(write("c.yaml", "steps:\n  - name: a\nscope: [x]\n")), (3, "scope", "must be text"))


def test_a_registered_type_has_its_own_list(write, load):
    class Dashboard(Element):
        element_type: str = "dashboard"

    register_element_type(ElementType("dashboard", Dashboard, "dashboards"))
    try:
        assert load(YamlSource(write("c.yaml", "dashboards:\n  - name: sales\n"))).counts == {"dashboard": 1}
    finally:
        unregister_element_type("dashboard")


def test_a_problem_in_one_source_does_not_hide_those_of_the_next(write, refuse):
    first, second = write("a.yaml", "steps: ["), write("b.yaml", "steps:\n  - kind: trigger\n")
    assert [item.source for item in refuse(YamlSource(first), YamlSource(second))] == [str(first), str(second)]


def test_many_unknown_tables_are_reported_in_seconds(write, refuse):
    fields = "".join(f"  - {{name: f, id: i{number}, table: missing_{number}}}\n" for number in range(3000))
    tables = "".join(f"  - {{name: table_{number}}}\n" for number in range(500))
    assert len(refuse(YamlSource(write("c.yaml", f"tables:\n{tables}fields:\n{fields}")))) == 3000


def test_the_bundled_form_gives_the_same_catalog_from_a_path(write):
    path = write("catalog.yaml", CATALOG)
    assert list(Catalog.from_path(path)) == list(Catalog.from_source(YamlSource(str(path))))
