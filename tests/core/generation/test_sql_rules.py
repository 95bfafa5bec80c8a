"""Queries and scripts drafted by rules: what they say, and that all of them check and run."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders import WordEncoder
from multiretriever.core import Catalog, Field, Index, MultiRetriever, ParameterError, QueryError, Table
from multiretriever.core.catalog import IT_SERVICE
from multiretriever.core.generation.code import draft_code
from multiretriever.core.generation.sql_rules import plan_query
from multiretriever.core.sqlite_sample import SampleDatabase
from multiretriever.grounding.sql_schema import RelationalSchema

CATALOG = Catalog.from_path(IT_SERVICE)
SCHEMA = RelationalSchema(CATALOG)

# Requests with the names of the fields, as the catalog has them: no retrieval is needed for the fields, nor a tuned encoder.
DRAFTS = {
    "Which open incidents of priority 1 have no assigned to? Show number, short description and opened date": (
        "SELECT number, short_description, opened_at FROM incident "
        "WHERE assigned_to IS NULL AND priority = '1 - Critical' AND active = 1"
    ),
    "How many open incidents are there per assignment group?": (
        "SELECT assignment_group, COUNT(*) AS total FROM incident WHERE active = 1 GROUP BY assignment_group ORDER BY total DESC"
    ),
    "How many users are there?": "SELECT COUNT(*) AS total FROM user",
    "Show the latest 10 change requests with their number, risk and planned start": (
        "SELECT number, risk, planned_start FROM change_request ORDER BY opened_at DESC LIMIT 10"
    ),
    "List the number and the caller's email of incidents opened in the last 30 days": (
        "SELECT incident.number, caller.email AS caller_email FROM incident "
        "LEFT JOIN user AS caller ON caller.id = incident.caller WHERE incident.opened_at >= datetime('now', '-30 days')"
    ),
    "top 5 incidents by reopen count": "SELECT number, short_description, state FROM incident ORDER BY reopen_count DESC LIMIT 5",
    "Which incidents have a reopen count above 3?": (
        "SELECT number, short_description, state FROM incident WHERE reopen_count > 3"
    ),
    "Which incidents with priority 1 or 2 are in progress": (
        "SELECT number, short_description, state FROM incident "
        "WHERE priority IN ('1 - Critical', '2 - High') AND state = 'in_progress'"
    ),
    "incidents whose short description contains 'o''clock'": None,
    "Show number and short description of incidents whose short description contains 'printer'": (
        "SELECT number, short_description FROM incident WHERE short_description LIKE '%printer%'"
    ),
    "Which major incidents were closed in the last 2 weeks? Show number, closed and resolved by": (
        "SELECT number, closed_at, resolved_by FROM incident "
        "WHERE major_incident = 1 AND closed_at >= datetime('now', '-14 days')"
    ),
    "certificates sorted by expires descending, show name": None,
    "List the incidents with assignment group \u201cNetwork\u201d": (
        "SELECT incident.number, incident.short_description, incident.state FROM incident "
        "LEFT JOIN user_group AS assignment_group ON assignment_group.id = incident.assignment_group "
        "WHERE assignment_group.name = 'Network'"
    ),
    "overdue change tasks": (
        "SELECT number, short_description, state FROM change_task WHERE due_date < datetime('now') AND active = 1"
    ),
}


@pytest.fixture(scope="module")
def retriever():
    with Index.from_catalog(CATALOG, encoder=WordEncoder()) as index:
        yield MultiRetriever(index)


@pytest.fixture(scope="module")
def database():
    with SampleDatabase.from_catalog(SCHEMA, rows=5, today=date(2026, 1, 15)) as made:
        yield made


@pytest.mark.parametrize("request_", [item for item in DRAFTS if DRAFTS[item]])
def test_what_is_drafted(retriever, database, request_):
    draft = draft_code(retriever, request_, schema=SCHEMA)
    assert " ".join(draft.code.split()) == DRAFTS[request_]
    database.run(draft.code)


@pytest.mark.parametrize("request_", DRAFTS)
def test_both_languages_say_the_same_plan(retriever, database, request_):
    plan = plan_query(retriever, request_, schema=SCHEMA)
    script = draft_code(retriever, request_, language="python", schema=SCHEMA)
    assert script.check.valid
    assert f'query(\n    "{plan.relation.name}"' in script.code
    for path in plan.fields if not plan.count else ():
        assert f'"{path.name}"' in script.code
    database.run(draft_code(retriever, request_, schema=SCHEMA).code)


WORDS = st.sampled_from(
    "show|how many|per|latest|10|top 3|without|no|is empty|open|closed|older than|30 days|in the last week|sorted by|descending|"
    "and|or|,|.|?|'it''s'|\"x\"|above 3|incidents|users|number|priority 1|state|caller|caller's email|of|with|assigned to|"
    "opened|department|the|today|\u2019|%|;|DROP TABLE incident|--".split("|")
)  # fmt: skip


@given(st.lists(WORDS, min_size=1, max_size=12))
@settings(max_examples=150, deadline=None)
def test_whatever_is_asked_the_query_runs(retriever, database, words):
    request = " ".join(words)
    database.run(draft_code(retriever, request, schema=SCHEMA).code)
    assert draft_code(retriever, request, language="python", schema=SCHEMA).check.valid


def test_what_was_guessed_or_not_read_is_noted(retriever):
    notes = draft_code(retriever, "Show incidents that smell of smoke", schema=SCHEMA).notes
    assert notes == ("not read: smell smoke",)
    notes = draft_code(retriever, "what do people pay us", schema=SCHEMA).notes
    assert notes[0].startswith("table by retrieval: ")


def test_names_that_are_words_of_sql():
    catalog = Catalog(
        [
            Table(name="order"),
            Field(table="order", name="group", label="Group", data_type="string"),
            Field(table="order", name="select me", label="From", data_type="date"),
            Field(table="order", name="parent", label="Parent", reference="order"),
        ]
    )
    with Index.from_catalog(catalog, encoder=WordEncoder()) as index, SampleDatabase.from_catalog(catalog) as database:
        retriever = MultiRetriever(index)
        for request in ("show group and from of orders", "orders, show the parent's group", "how many orders per group"):
            draft = draft_code(retriever, request)
            assert '"order"' in draft.code
            database.run(draft.code)


@pytest.mark.parametrize("request_", ["", "  ", "x" * 3_000])
def test_a_request_that_cannot_be(retriever, request_):
    with pytest.raises(QueryError):
        draft_code(retriever, request_, schema=SCHEMA)


def test_a_language_that_there_is_not(retriever):
    with pytest.raises(ParameterError, match="sql, python"):
        draft_code(retriever, "incidents", language="cobol", schema=SCHEMA)
