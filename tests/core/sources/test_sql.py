import sqlite3
import sys

import pytest

from multiretriever.core.errors import MissingDependencyError, ParameterError
from multiretriever.core.sources import SqlSource
from multiretriever.core.sources.sql import masked, without_secrets

sqlalchemy = pytest.importorskip("sqlalchemy")

SCHEMA = """
create table customer (id integer primary key, fullName text not null, "e-mail address" varchar(80));
create table orders (
    id integer primary key,
    customer_id integer not null references customer (id),
    "12:30" decimal(10, 2),
    untyped
);
create table order_item (order_id integer, line integer, product text, primary key (order_id, line),
    foreign key (order_id) references orders (id));
create table "no" ("select" text, "größe" real);
create view open_orders as select id, customer_id from orders;
create index by_customer on orders (customer_id);
"""


@pytest.fixture
def database(tmp_path):
    return make(tmp_path / "shop.db", SCHEMA)


def make(path, script):
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()
    return path


def test_tables_views_and_columns_of_a_database(database, load):
    catalog = load(SqlSource(f"sqlite:///{database}"))
    assert [table.name for table in catalog.of("table")] == ["customer", "no", "open_orders", "order_item", "orders"]
    assert catalog.scopes == {"shop": len(catalog)}
    assert catalog.get("table", "shop.open_orders").metadata == {"kind": "view"}
    assert catalog.get("table", "shop.order_item").label == "order item"
    name = catalog.get("field", "shop.customer.fullName")
    assert (name.label, name.data_type, name.reference) == ("full Name", "TEXT", None)
    assert name.metadata == {"primary_key": False, "nullable": False}
    link = catalog.get("field", "shop.orders.customer_id")
    assert (link.reference, link.data_type, link.table) == ("customer", "INTEGER", "orders")
    assert catalog.get("field", "shop.order_item.line").metadata["primary_key"] is True
    assert catalog.get("field", "shop.order_item.product").metadata["primary_key"] is False
    assert catalog.get("field", "shop.orders.12:30").data_type == "DECIMAL(10, 2)"
    assert catalog.get("field", "shop.orders.untyped").data_type == ""
    assert {field.name for field in catalog.fields_of(catalog.get("table", "shop.no"))} == {"select", "größe"}
    assert {field.name for field in catalog.fields_of(catalog.get("table", "shop.open_orders"))} == {"id", "customer_id"}


def test_a_path_an_engine_and_a_url_object_give_the_same(database, load):
    url = sqlalchemy.URL.create("sqlite", database=str(database))
    engine = sqlalchemy.create_engine(url)
    catalogs = [list(load(SqlSource(origin))) for origin in (database, str(database), url, engine)]
    assert all(catalog == catalogs[0] for catalog in catalogs)
    # The caller's engine still works.
    with engine.connect() as connection:
        assert connection.exec_driver_sql("select count(*) from orders").scalar() == 0


def test_an_engine_of_a_database_in_memory(load):
    engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.StaticPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("create table t (a text)")
    catalog = load(SqlSource(engine))
    assert catalog.scopes == {"sqlite": 2}


def test_scope_schemas_and_exclude(database, tmp_path, load):
    assert load(SqlSource(database, scope="crm")).scopes == {"crm": 19}
    assert load(SqlSource(database, scope="")).get("table", "orders") is not None
    other = make(tmp_path / "other.db", "create table orders (id integer);")
    engine = sqlalchemy.create_engine(f"sqlite:///{database}", poolclass=sqlalchemy.StaticPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"attach database '{other}' as other")
    catalog = load(SqlSource(engine, schemas=["main", "other"], exclude=["order_*", "no", "open*"]))
    assert [table.id for table in catalog.of("table")] == ["shop.main.customer", "shop.main.orders", "shop.other.orders"]


def test_a_missing_file_is_a_problem_and_is_not_created(tmp_path, expect):
    path = tmp_path / "none.db"
    for source in (SqlSource(path), SqlSource(f"sqlite:///{path}"), SqlSource(f"sqlite:///file:{path}?mode=rwc&uri=true")):
        expect(source, (None, None, "no such file"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "the file is empty"), (b"just text", "no SQLite"), (b"SQLite format 3\0" + b"\1" * 4000, "cannot be read")],
)
def test_a_file_that_is_no_database_is_a_problem(content, message, write, expect):
    path = write("x.db", content)
    expect(SqlSource(path), (None, None, message))
    assert path.read_bytes() == content


def test_a_folder_is_no_database(tmp_path, expect):
    expect(SqlSource(tmp_path), (None, None, "cannot be read"))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense://u:geheim@host/db", "'nonsense' is no database"),
        ("postgresql+psycopg://u:geheim@host:port/db", "no database URL"),
        ("postgresql+nodriver://u:geheim@host/db", "no database that is known"),
        ("://u:geheim@host/db", "no database URL"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("nonsense://host/db?password=geheim&sslkey=geheim", "'nonsense'"),
        ("nonsense://u:ge/he@im:geheim@host:x/db?api_token=geheim", "no database URL"),
    ],
)
def test_a_bad_url_is_a_problem_without_its_password(url, message, expect, refuse):
    source = SqlSource(url)
    expect(source, (None, None, message))
    assert "geheim" not in str(source)
    assert "geheim" not in str(refuse(source))


def test_a_missing_driver_is_a_problem(refuse, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    (problem,) = refuse(SqlSource("postgresql+psycopg://u:geheim@host/db"))
    assert "driver" in problem.message
    assert problem.source == "postgresql+psycopg://u:***@host/db"


def test_an_unreachable_database_is_a_problem(expect):
    def connect():
        raise OSError("no route to host\nand more that nobody needs")

    expect(SqlSource(sqlalchemy.create_engine("sqlite://", creator=connect)), (None, None, "cannot be read: no route to host"))


def test_an_error_is_shown_without_the_secrets_that_it_repeats():
    url = sqlalchemy.make_url("postgresql+x://u:ge%20heim@host/db?sslpassword=zwei")
    error = OSError("no route for u:ge heim or u:ge%20heim or ge+heim with zwei at host\nmore")
    assert without_secrets(error, url) == "no route for u:*** or u:*** or *** with *** at host"
    assert masked(url) == "postgresql+x://u:***@host/db?sslpassword=***"


def test_a_view_that_is_broken_is_reported_and_can_be_left_out(tmp_path, expect, load):
    path = make(tmp_path / "x.db", "create table a (id integer primary key); create view broken as select * from gone;")
    expect(SqlSource(path), (None, "broken", "no such table"))
    assert load(SqlSource(path, exclude=["broken"])).get("field", "x.a.id").metadata["primary_key"] is True


def test_names_that_are_blank_are_reported_with_their_place(tmp_path, refuse):
    path = make(tmp_path / "x.db", 'create table a (" " text, b text); create table "x.y" ("" text);')
    found = [(item.source, item.field, item.message) for item in refuse(SqlSource(path))]
    assert found == [
        (f"{path}: field 'a. '", "name", "is blank (got ' ')"),
        (f"{path}: field 'x.y.'", "name", "is blank (got '')"),
    ]


def test_a_database_without_tables_is_a_problem(tmp_path, expect):
    path = make(tmp_path / "x.db", "create table a (id integer); drop table a;")
    expect(SqlSource(path), (None, None, "no table and no view"))


def test_wrong_arguments_are_parameter_errors():
    with pytest.raises(ParameterError, match="got int"):
        SqlSource(5)
    with pytest.raises(ParameterError, match="schemas: expected a list, got 'main'"):
        SqlSource("sqlite:///x", schemas="main")


def test_without_sqlalchemy_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "multiretriever\[sql\]"'):
        SqlSource(tmp_path / "x.db")


def test_five_hundred_tables_are_read_in_seconds(tmp_path, load):
    script = "".join(
        f"create table t{number} (id integer primary key, parent integer references t0 (id));" for number in range(500)
    )
    assert len(load(SqlSource(make(tmp_path / "x.db", "begin;" + script + "commit;")))) == 1500
