"""Queries are checked against the catalog: what is real is let through, what is made up is found wherever it stands."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiretriever.core import Catalog, Field, Table
from multiretriever.core.catalog import IT_SERVICE
from multiretriever.grounding.code_check import hallucinated_shares
from multiretriever.grounding.sql_check import check_sql, repair_sql
from multiretriever.grounding.sql_schema import RelationalSchema

CATALOG = Catalog.from_path(IT_SERVICE)
SCHEMA = RelationalSchema(CATALOG)
RELATIONS = {relation.name: relation for relation in SCHEMA}

VALID = """
SELECT I.NUMBER FROM Incident AS I;
SELECT i.number, u.email AS mail FROM incident i JOIN user u ON u.id = i.assigned_to ORDER BY mail
SELECT number FROM incident i WHERE EXISTS (SELECT 1 FROM task t WHERE t.number = i.number)
SELECT number FROM incident i WHERE opened_at = (SELECT max(opened_at) FROM incident WHERE state = i.state)
WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT n FROM r ORDER BY n
WITH r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT n FROM r
WITH a AS (SELECT * FROM incident), b AS (SELECT number FROM a) SELECT * FROM b
SELECT number FROM incident UNION SELECT number FROM task ORDER BY number LIMIT 3
SELECT s.y, s.state FROM (SELECT number AS y, * FROM incident) s JOIN task USING (state)
SELECT count(*) FILTER (WHERE active = 1) OVER w FROM incident WINDOW w AS (PARTITION BY state ORDER BY opened_at)
SELECT incident.number FROM ((incident JOIN incident_task ON 1 = 1) JOIN user ON 1 = 1)
SELECT state, count(*) AS total FROM main.incident GROUP BY state HAVING total > 1 ORDER BY total DESC
SELECT number FROM incident WHERE date(opened_at) > date('now', '-30 days') AND short_description COLLATE NOCASE LIKE 'a%'
SELECT column1 FROM (VALUES (1), (2)) v
(SELECT number FROM incident)
""".strip().splitlines()

# Each with the kind and name of what is made up in it.
MADE_UP = {
    "SELECT zzz FROM incident": ("field", "zzz"),
    "SELECT zzz AS zzz FROM incident ORDER BY zzz": ("field", "zzz"),
    "SELECT (SELECT max(zzz) FROM user) AS zzz FROM incident": ("field", "zzz"),
    "SELECT number FROM incident WHERE zzz = 1": ("field", "zzz"),
    'SELECT number FROM incident WHERE state = "zzz"': ("field", "zzz"),
    "SELECT number FROM incident WHERE state IN (SELECT zzz FROM user)": ("field", "zzz"),
    "SELECT i.number FROM incident i JOIN user u ON u.zzz = i.caller": ("field", "zzz"),
    "SELECT i.number FROM incident i JOIN user u ON u.id = i.caller AND u.number = 1": ("field", "number"),
    "SELECT i.number FROM incident i JOIN problem p USING (zzz)": ("field", "zzz"),
    "SELECT count(*) FROM incident GROUP BY zzz": ("field", "zzz"),
    "SELECT state FROM incident GROUP BY state HAVING count(zzz) > 1": ("field", "zzz"),
    "SELECT number FROM incident ORDER BY zzz": ("field", "zzz"),
    "SELECT number FROM incident LIMIT (SELECT zzz FROM user)": ("field", "zzz"),
    "SELECT count(*) OVER (PARTITION BY zzz) FROM incident": ("field", "zzz"),
    "SELECT count(*) OVER w FROM incident WINDOW w AS (ORDER BY zzz)": ("field", "zzz"),
    "SELECT CASE state WHEN 'new' THEN zzz END FROM incident": ("field", "zzz"),
    "SELECT number FROM incident UNION SELECT zzz FROM problem": ("field", "zzz"),
    "SELECT number FROM incident UNION SELECT number FROM problem ORDER BY zzz": ("field", "zzz"),
    "WITH a AS (SELECT zzz FROM incident) SELECT * FROM a": ("field", "zzz"),
    "WITH a AS (SELECT number FROM incident) SELECT state FROM a": ("field", "state"),
    "WITH incident AS (SELECT zzz FROM incident) SELECT zzz FROM incident": ("field", "zzz"),
    "SELECT a.zzz FROM (SELECT number FROM incident) a": ("field", "zzz"),
    "SELECT 1 FROM incident, (SELECT short_description FROM user) u": ("field", "short_description"),
    "SELECT rowid FROM incident": ("field", "rowid"),
    "SELECT u.number FROM incident": ("alias", "u"),
    "SELECT u.* FROM incident": ("alias", "u"),
    "SELECT number FROM zzz": ("table", "zzz"),
    "SELECT number FROM incident JOIN zzz ON 1 = 1": ("table", "zzz"),
    "SELECT number FROM incident WHERE caller IN (SELECT id FROM zzz)": ("table", "zzz"),
    "WITH a AS (SELECT 1 FROM zzz) SELECT * FROM a": ("table", "zzz"),
    "WITH r AS (SELECT number FROM r UNION SELECT number FROM r) SELECT number FROM r": ("table", "r"),
    "SELECT number FROM itsm.incident": ("table", "itsm.incident"),
    "SELECT name FROM sqlite_master": ("table", "sqlite_master"),
}

REFUSED = """
SELECT 1; DROP TABLE incident
DROP TABLE incident
ATTACH 'file' AS other
PRAGMA table_info(incident)
VACUUM INTO 'file'
EXPLAIN SELECT 1
INSERT INTO incident SELECT * FROM incident
WITH x AS (SELECT 1) DELETE FROM incident
UPDATE incident SET number = 1
REPLACE INTO incident VALUES (1)
SELECT 1 INTO other FROM incident
SELECT load_extension('x')
SELECT randomblob(1000000000)
SELECT * FROM pragma_table_info('incident')
SELECT * FROM json_each('[]')
SELECT ?
""".strip().splitlines()


@pytest.mark.parametrize("sql", VALID)
def test_real_names_are_let_through(sql):
    assert check_sql(sql, SCHEMA).findings == ()


@pytest.mark.parametrize("name", sorted(RELATIONS))
def test_every_table_and_field_is_accepted_in_every_clause(name):
    for column in RELATIONS[name].names:
        sql = (
            f'WITH c AS (SELECT "{column}" FROM "{name}") SELECT t."{column}", max("{column}") FROM "{name}" AS t '
            f'JOIN c ON c."{column}" = t."{column}" WHERE t."{column}" IN (SELECT "{column}" FROM "{name}") '
            f'GROUP BY t."{column}" HAVING count(t."{column}") > 0 ORDER BY t."{column}"'
        )
        check = check_sql(sql, SCHEMA)
        assert check.valid, check.findings
        assert check.tables == 3


@pytest.mark.parametrize("sql", MADE_UP)
def test_hallucinated_names_are_found_wherever_they_stand(sql):
    found = [(item.kind, item.name) for item in check_sql(sql, SCHEMA).findings]
    assert MADE_UP[sql] in found


@given(table=st.sampled_from(sorted(RELATIONS)), name=st.from_regex(r"[a-z]{1,12}", fullmatch=True), data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_name_is_accepted_just_where_its_table_has_it(table, name, data):
    column = data.draw(st.sampled_from([name, *RELATIONS[table].names, *RELATIONS["user"].names]))
    check = check_sql(f'SELECT 1 FROM "{table}" WHERE "{column}" IS NULL', SCHEMA)
    assert check.valid == (column in RELATIONS[table].names)


@pytest.mark.parametrize("sql", REFUSED)
def test_only_one_query_that_reads_is_accepted(sql):
    assert any(item.kind in ("statement", "function", "table") for item in check_sql(sql, SCHEMA).findings)


@pytest.mark.parametrize(
    "sql",
    ["", "-- nothing", "SELEC 1", 'SELECT "', "\0", "SELECT '\ud800", "SELECT " + "NOT " * 1_900 + "1",
     "SELECT " + "(" * 900 + "1", "SELECT " + "- " * 1_900 + "1",
     "SELECT 1" + " UNION SELECT 1" * 900, "SELECT " + "x, " * 5_000 + "x"],
)  # fmt: skip
def test_what_cannot_be_read_is_a_finding_and_no_exception(sql):
    check = check_sql(sql, SCHEMA)
    assert not check.valid
    assert repair_sql(sql, SCHEMA)[1] == ()


@given(st.text(alphabet="SELECTFROMincident ()*,.'\";-=1\n", max_size=60))
@settings(max_examples=150, deadline=None)
def test_no_text_makes_the_check_fail(text):
    check_sql(text, SCHEMA)
    repair_sql(text, SCHEMA)


def test_a_finding_tells_its_line_and_what_is_near():
    [finding] = check_sql("SELECT number\nFROM incident\nWHERE assigned_too IS NULL", SCHEMA).findings
    assert (finding.kind, finding.where) == ("field", "line 3")
    assert finding.nearest[0] == "assigned_to"
    assert str(finding).startswith("line 3: there is no field 'assigned_too' (near to it: assigned_to")


def test_shares_of_hallucinated_names():
    check = check_sql("SELECT number, zzz, state, u.email FROM incident JOIN yyy ON 1 = 1", SCHEMA)
    assert check.hallucinated_table_share == 0.5
    # With a hallucinated table in the query nobody can say that zzz is not of it.
    assert check.hallucinated_field_share == pytest.approx(1 / 3)
    assert check_sql("SELECT number, zzz FROM incident", SCHEMA).hallucinated_field_share == 0.5
    together = hallucinated_shares([check, check_sql("SELECT number FROM incident", SCHEMA)])
    assert together == (pytest.approx(1 / 3), pytest.approx(1 / 4))
    assert hallucinated_shares([]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("sql", "repaired"),
    [
        ("SELECT numbr FROM incidents", "SELECT number FROM incident"),
        ("SELECT incidents.numbr FROM incidents", "SELECT incident.number FROM incident"),
        ("SELECT incident.number FROM itsm.incident", "SELECT incident.number FROM incident"),
        ("SELECT i.numbr FROM incident AS i", "SELECT i.number FROM incident AS i"),
        ("SELECT usr.email FROM user", "SELECT user.email FROM user"),
        ('SELECT number FROM incident WHERE state = "new"', "SELECT number FROM incident WHERE state = 'new'"),
        ("SELECT number FROM incident JOIN problem USING (stat)", "SELECT number FROM incident JOIN problem USING (state)"),
    ],
)
def test_repair_takes_the_nearest_real_names(sql, repaired):
    found, changes = repair_sql(sql, SCHEMA)
    assert found == repaired
    assert changes
    assert check_sql(found, SCHEMA).valid


def test_what_nothing_is_near_to_stays_a_finding():
    sql, changes = repair_sql("SELECT qqqqqq FROM incident", SCHEMA)
    assert (sql, changes) == ("SELECT qqqqqq FROM incident", ())


def test_tables_of_one_name_are_told_apart_by_their_scope():
    tables = [Table(scope=scope, name="person") for scope in ("a", "b")]
    fields = [Field(scope=scope, table="person", name=f"field_{scope}") for scope in ("a", "b")]
    catalog = Catalog([*tables, *fields])
    assert check_sql("SELECT field_a FROM a_person", catalog).valid
    assert not check_sql("SELECT field_b FROM a_person", catalog).valid
    assert not check_sql("SELECT field_a FROM person", catalog).valid


def test_other_dialects_can_be_checked():
    assert check_sql("SELECT TOP 3 [number] FROM incident", SCHEMA, dialect="tsql").valid
    assert not check_sql("SELECT TOP 3 [numbr] FROM incident", SCHEMA, dialect="tsql").valid


def test_without_sqlglot_the_command_that_installs_it_is_told():
    code = (
        "import sys; sys.modules['sqlglot'] = None\n"
        "import multiretriever.grounding.code_check, multiretriever.grounding\n"
        "try:\n    import multiretriever.grounding.sql_check\n"
        "except multiretriever.core.errors.MissingDependencyError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", "import multiretriever.core.errors\n" + code], capture_output=True, text=True)
    assert 'pip install "multiretriever[code]"' in done.stdout, done.stderr
