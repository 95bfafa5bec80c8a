"""Scripts are checked against the catalog, and may do nothing but ask for records and compute."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiretriever.core import Catalog
from multiretriever.core.catalog import IT_SERVICE
from multiretriever.grounding.sql_schema import RelationalSchema
from python_check import check_python, repair_python

SCHEMA = RelationalSchema(Catalog.from_path(IT_SERVICE))

GOOD = """
from datetime import datetime, timedelta
import json, statistics
since = datetime.now() - timedelta(days=30)
records = query(
    "incident",
    fields=["number", "opened_at", "assigned_to.email", "caller.manager.email"],
    where=[("active", "=", True), ("assigned_to", "is empty"), ("opened_at", ">", since)],
    order_by="opened_at", descending=True, limit=10,
)
counts = {}
for record in records:
    print(record["number"], record["assigned_to.email"], record.get("caller.manager.email"))
    counts[record["number"]] = counts.get(record["number"], 0) + 1
rows = sorted(records, key=lambda row: row["opened_at"])
print(json.dumps([{"a": row["number"]} for row in rows]), rows[0]["number"].upper(), f"{rows[0]['number']:>10}")
print(statistics.median([counts[key] for key in counts]))
"""

MADE_UP = {
    'query("incidents")': ("table", "incidents"),
    'query("incident", fields=["zzz"])': ("field", "zzz"),
    'query("incident", where=[("zzz", "=", 1)])': ("field", "zzz"),
    'query("incident", order_by="zzz")': ("field", "zzz"),
    'query("incident", fields=["assigned_to.zzz"])': ("field", "assigned_to.zzz"),
    'query("incident", fields=["state.name"])': ("field", "state.name"),
    'for r in query("incident", fields=["number"]): print(r["state"])': ("field", "state"),
    'for r in query("incident", fields=["number"]): print(r.get("state"))': ("field", "state"),
    'print([[r["zzz"] for r in query("incident", fields=["number"])] for x in [1]])': ("field", "zzz"),
}

REFUSED = [
    't = "incident"; query(t)', 'query(f"incident")', "q = query; q('zzz')", "query = 1", 'query(*["zzz"])', "def query(x): pass",
    'query("incident", **{"fields": ["zzz"]})', 'query("incident", fields=[x for x in ["zzz"]])', "map(query, ['zzz'])",
    'query("incident", where=[("state", "DROP", 1)])', 'query("incident", where=[("state",)])', 'query("incident", what=1)',
    "import os", "import collections.abc", "from statistics import sys", "from . import json", "from json import *",
    "import statistics; statistics.sys.modules", "import json; json.codecs.open('x')", "import json as j; j.codecs",
    "exec('1')", "eval('1')", "open('x')", "__import__('os')", "getattr(1, 'x')", "print(__builtins__)", "breakpoint()",
    "().__class__.__bases__", "'{0.__class__}'.format(1)", "(x for x in [1]).gi_frame", "f'{print.__self__}'",
    "def f(print): pass",
    "class A: pass", "while True: pass", "x = 1\nwith x: pass", "global x", "x = 1\ndel x", "async def f(): pass",
    "try:\n    x = 1\nexcept: pass", "match 1:\n    case int(__class__=x): pass", "(y := 5)", "lambda: (yield)", "x = 1; x.y = 2",
    "", "#", "(", "\0", "(" * 500, "-" * 9_000 + "1", "'\ud800'", "x = 1\n" * 9_000,
]  # fmt: skip


def test_a_script_that_asks_and_computes_is_accepted():
    check = check_python(GOOD, SCHEMA)
    assert check.findings == ()
    assert (check.tables, check.fields) == (1, 17)


@pytest.mark.parametrize("source", MADE_UP)
def test_hallucinated_names_are_found(source):
    assert MADE_UP[source] in [(item.kind, item.name) for item in check_python(source, SCHEMA).hallucinated]


@pytest.mark.parametrize("source", REFUSED)
def test_everything_else_is_refused(source):
    assert not check_python(source, SCHEMA).valid
    assert repair_python(source, SCHEMA)[1] == ()


def test_every_table_and_field_is_accepted():
    for relation in SCHEMA:
        source = f"query({relation.name!r}, fields={list(relation.names)!r}, order_by={relation.key!r})"
        assert check_python(source, SCHEMA).valid


def test_a_column_that_leads_nowhere_ends_its_path_and_others_go_on():
    source, changes = repair_python('query("incidents", fields=["state.name", "assigned_too.email"])', SCHEMA)
    assert source == "query('incident', fields=['state', 'assigned_to.email'])"
    assert [(item.was, item.now) for item in changes] == [
        ("incidents", "incident"), ("state.name", "state"), ("assigned_too.email", "assigned_to.email")
    ]  # fmt: skip


def test_what_reads_a_renamed_field_is_renamed_with_it():
    source = 'for row in query("incident", fields=["numbr"]):\n    print(row["numbr"])  # shown'
    repaired, changes = repair_python(source, SCHEMA)
    assert repaired == "for row in query('incident', fields=['number']):\n    print(row['number'])"
    assert check_python(repaired, SCHEMA).valid
    assert len(changes) == 2


@given(st.text(alphabet="query(\"incident\", fields=['x']).[]{}:\n lambdaexec_", max_size=60))
@settings(max_examples=150, deadline=None)
def test_no_text_makes_the_check_fail(text):
    check_python(text, SCHEMA)
    repair_python(text, SCHEMA)
