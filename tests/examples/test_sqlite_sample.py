"""The database of a catalog: filled with plausible rows, read-only, and within bounds."""

import threading
import time
from datetime import date

import pytest

from multiretriever.core import Catalog, Field, ParameterError, Table
from multiretriever.core.catalog import IT_SERVICE
from multiretriever.grounding.sql_schema import RelationalSchema
from sqlite_sample import SampleDatabase, SqlLimitError, SqlRefusedError, SqlRunError, quoted

TODAY = date(2026, 1, 15)
SCHEMA = RelationalSchema(Catalog.from_path(IT_SERVICE))


def test_every_table_has_its_fields_and_rows(database):
    for relation in SCHEMA:
        found = database.run(f"SELECT * FROM {quoted(relation.name)}", max_rows=1)
        assert found.columns == relation.names
        assert len(found.rows) == 1


def test_rows_are_the_same_for_the_same_seed_only(database):
    sql = "SELECT number, state, opened_at, caller FROM incident ORDER BY number"
    with SampleDatabase.from_catalog(SCHEMA, rows=20, today=TODAY) as same:
        assert same.run(sql) == database.run(sql)
    with SampleDatabase.from_catalog(SCHEMA, rows=20, today=TODAY, seed=8) as other:
        assert other.run(sql) != database.run(sql)


def test_references_lead_to_rows_and_choices_are_kept(database):
    for relation in SCHEMA:
        table = quoted(relation.name)
        for column in relation.columns:
            name = quoted(column.name)
            if column.references:
                target, key = quoted(column.references), quoted(column.target_key)
                lost = f"SELECT count(*) FROM {table} WHERE {name} IS NOT NULL AND {name} NOT IN (SELECT {key} FROM {target})"
                assert database.run(lost).rows == ((0,),)
            elif column.field and column.field.choices:
                values = {row[0] for row in database.run(f"SELECT DISTINCT {name} FROM {table}").rows}
                assert values <= set(column.field.choices)


def test_a_row_stands_in_the_tables_that_its_table_extends(database):
    lost = "SELECT count(*) FROM incident i LEFT JOIN task t ON t.id = i.id AND t.number = i.number WHERE t.id IS NULL"
    assert database.run(lost).rows == ((0,),)
    assert database.run("SELECT count(*) FROM task").rows[0][0] > 20


def test_what_is_closed_is_not_active(database):
    done = "'resolved', 'closed_complete', 'closed_incomplete', 'cancelled'"
    assert database.run(f"SELECT count(*) FROM incident WHERE active = (state IN ({done}))").rows == ((0,),)


@pytest.mark.parametrize(
    "sql",
    ["DROP TABLE incident", "DELETE FROM incident", "UPDATE incident SET number = 1", "INSERT INTO incident (number) VALUES (1)",
     "CREATE TABLE x (y)", "SELECT 1; SELECT 2", "PRAGMA query_only = OFF", "PRAGMA table_info(incident)",
     "ATTACH 'file' AS other", "VACUUM INTO 'file'", "SELECT name FROM sqlite_master", "SELECT load_extension('x')",
     "SELECT randomblob(10)", "SELECT zeroblob(10)", "SELECT printf('%s', 1)", "BEGIN", ""],
)  # fmt: skip
def test_it_does_nothing_but_read_its_tables(database, sql):
    before = database.run("SELECT count(*) FROM incident")
    with pytest.raises(SqlRefusedError):
        database.run(sql)
    assert database.run("SELECT count(*) FROM incident") == before


@pytest.mark.parametrize(
    "sql",
    ["SELECT zzz FROM incident", "SELECT number, FROM incident", "SELECT ?", "SELECT '\ud800'", "SELECT \0",
     "SELECT * FROM json_each('[]')", "SELECT number ->> 'a' FROM incident"],
)  # fmt: skip
def test_what_sqlite_finds_fault_with_is_an_error_of_ours(database, sql):
    with pytest.raises(SqlRunError):
        database.run(sql)


@pytest.mark.parametrize(
    "sql",
    ["WITH r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r",
     "SELECT count(*) FROM incident a, incident b, incident c, incident d, incident e, incident f, incident g"],
)  # fmt: skip
def test_a_query_without_an_end_is_interrupted(database, sql):
    started = time.monotonic()
    with pytest.raises(SqlLimitError, match=r"interrupted after 0\.2 seconds"):
        database.run(sql, max_seconds=0.2)
    assert time.monotonic() - started < 5
    assert database.run("SELECT 1").rows == ((1,),)


def test_rows_are_read_up_to_a_number(database):
    endless = "WITH r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT n FROM r"
    found = database.run(endless, max_rows=3)
    assert found.rows == ((1,), (2,), (3,))
    assert found.more
    assert found.records == [{"n": 1}, {"n": 2}, {"n": 3}]


def test_text_that_doubles_itself_is_stopped(database):
    with pytest.raises(SqlRunError):
        database.run("WITH r(s) AS (SELECT 'aaaaaaaa' UNION ALL SELECT s || s FROM r) SELECT length(s) FROM r")


def test_a_plan_finds_faults_without_running(database):
    database.explain("WITH r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r")
    with pytest.raises(SqlRunError, match="no such column: zzz"):
        database.explain("SELECT zzz FROM incident")


def test_threads_share_it(database):
    found = []
    threads = [threading.Thread(target=lambda: found.append(database.run("SELECT count(*) FROM task").rows)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_hostile_names_and_keys_of_the_source_are_taken_as_they_are():
    catalog = Catalog(
        [
            Table(name='odd "table"; DROP'), Table(name="sqlite_odd", scope="s"), Table(name="order"),
            Field(table='odd "table"; DROP', name="a b", data_type="integer"),
            Field(table="order", name="ORDER_ID", data_type="INTEGER", metadata={"primary_key": True}),
            Field(table="order", name="id", reference="order"),
        ]
    )  # fmt: skip
    with SampleDatabase.from_catalog(catalog, rows=2, today=TODAY) as made:
        schema = RelationalSchema(catalog)
        assert set(schema.names) == {'odd "table"; DROP', "s_sqlite_odd", "order"}
        assert schema.get("ORDER").key == "ORDER_ID"
        assert made.run('SELECT count(*) FROM "order" a LEFT JOIN "order" b ON a.id = b.ORDER_ID').rows == ((2,),)
        assert made.run('SELECT "a b" FROM "odd ""table""; DROP"').columns == ("a b",)


def test_a_table_of_rows():
    with SampleDatabase.from_catalog(Catalog([Table(name="t")]), rows=1) as made:
        assert made.run("SELECT 1 AS one, 'a|b' AS two, NULL AS none").to_markdown() == (
            "| one | two  | none |\n| --- | ---- | ---- |\n| 1   | a\\|b |      |"
        )


@pytest.mark.parametrize("rows", [-1, 10_001])
def test_a_number_of_rows_that_cannot_be(rows):
    with pytest.raises(ParameterError):
        SampleDatabase.from_catalog(SCHEMA, rows=rows)
