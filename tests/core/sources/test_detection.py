import json
import os
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from multiretriever.core.catalog import Catalog
from multiretriever.core.errors import CatalogError
from multiretriever.core.sources import (
    CsvSource,
    FlowSource,
    JsonSource,
    OpenApiSource,
    SqlSource,
    ToolSource,
    YamlSource,
    detection,
    files,
    source_of,
)
from multiretriever.core.sources.detection import DatasetSource, FolderSource, RefusedSource


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.yaml", "steps:\n  - {name: a, kind: action}\n", YamlSource),
        ("a.YML", "# Nothing that tells.\n", YamlSource),
        ("a.yaml", "steps: [", YamlSource),
        ("a.yaml", "openapi: 3.0.0\n", OpenApiSource),
        ("a.yml", "swagger: 2.0\n", OpenApiSource),
        ("a.yaml", "requirement: r\n", FlowSource),
        ("a.yaml", "trigger: {}\nname: a\n", FlowSource),
        ("a.yaml", "steps:\n  - {annotation: a}\n", FlowSource),
        ("a.yaml", "scope: x\nsteps:\n  - {order: 1}\n", FlowSource),
        ("a.yaml", "- {name: a, requirement: r}\n", FlowSource),
        ("a.yaml", "---\n---\nname: a\nrequirement: r\n", FlowSource),
        ("a.json", '{"openapi": "3.0.0"}', OpenApiSource),
        ("a.json", '{"tools": []}', ToolSource),
        ("a.json", '{"result": {"tools": []}}', ToolSource),
        ("a.json", '[{"name": "a", "inputSchema": {}}]', ToolSource),
        ("a.json", '[{"name": "a"}]', JsonSource),
        ("a.json", '{"steps": []}', JsonSource),
        ("a.json", "{", JsonSource),
        ("a.jsonl", "{}", JsonSource),
        ("a.ndjson", "{}", JsonSource),
        ("steps.CSV", "name\n", CsvSource),
        ("a.db", "text", SqlSource),
        ("a.sqlite", "", SqlSource),
        ("a.sqlite3", "", SqlSource),
        ("flows/a.yaml", "name: only\n", FlowSource),
        ("a.txt", "", RefusedSource),
        ("dataset.yaml", "licence: MIT\n", DatasetSource),
    ],
)
def test_the_kind_of_a_file(name, content, kind, write):
    path = write(name, content)
    assert type(source_of(path)) is kind
    assert type(source_of(str(path))) is kind


def test_the_kind_of_a_folder(write, tmp_path):
    write("csv/steps.csv", "name\n")
    write("csv/README.md", "x")
    write("mixed/steps.csv", "name\n")
    write("mixed/tables.yaml", "tables: []\n")
    write("below/deeper/steps.csv", "name\n")
    write("data/dataset.yaml", "licence: x\n")
    write("data/steps.csv", "name\n")
    kinds = [type(source_of(tmp_path / name)) for name in ("csv", "mixed", "below", "data")]
    assert kinds == [FolderSource, FolderSource, FolderSource, DatasetSource]
    assert type(source_of("postgresql://host/db")) is SqlSource


def test_a_folder_is_walked_by_name_and_nothing_is_passed_over(write, tmp_path, load):
    write("b/catalog.yaml", "scope: b\nsteps:\n  - name: from_yaml\n")
    write("a/steps.csv", "name\nfrom_csv\n")
    write("a/steps.jsonl", '{"name": "from_jsonl"}\n')
    write("flows/hr/onboard.yaml", "label: Onboard\nsteps: []\n")
    write("data/dataset.yaml", "licence: x\n")
    write("data/catalog/step.jsonl", '{"name": "from_dataset"}\n')
    write("data/queries.jsonl", '{"query": "q"}\n')
    write("api/tools.json", json.dumps({"tools": [{"name": "from_tools"}]}))
    write("README.md", "not read")
    write("Thumbs.db", b"\xd0\xcf\x11\xe0 not SQLite")
    write(".git/config.yaml", "broken: [")
    write("~$lock.csv", "broken")
    connection = sqlite3.connect(tmp_path / "shop.db")
    connection.execute("create table orders (id integer)")
    connection.close()
    catalog = load(source_of(tmp_path))
    assert [step.name for step in catalog.of("step")] == ["from_csv", "from_jsonl", "from_tools", "from_yaml", "from_dataset"]
    assert [table.id for table in catalog.of("table")] == ["shop.orders"]
    assert catalog.of("workflow")[0].label == "Onboard"
    assert list(Catalog.from_path(str(tmp_path))) == list(catalog)


def test_files_below_a_folder_named_flows_that_is_itself_given(write, load):
    folder = write("flows/a.yaml", "label: A\nsteps: []\n").parent
    assert load(source_of(folder)).counts == {"workflow": 1}


@pytest.fixture
def link(tmp_path):
    """Makes symbolic links, where the system lets one."""

    def make(target, path):
        try:
            os.symlink(tmp_path / target, tmp_path / path)
        except OSError as error:
            pytest.skip(f"no symbolic links here: {error}")
        return tmp_path / path

    return make


def test_links_are_followed_once(write, tmp_path, load, link):
    write("real/catalog.yaml", "steps:\n  - name: a\n")
    link("real", "real/loop")
    link("real", "again")
    link("real/catalog.yaml", "copy.yaml")
    assert len(load(source_of(tmp_path))) == 1


def test_a_broken_link_is_a_problem(write, tmp_path, expect, link):
    write("a.yaml", "steps:\n  - name: a\n")
    broken = link("gone.yaml", "b.yaml")
    expect(source_of(tmp_path), (None, None, "no such file"), path=broken)


@pytest.mark.parametrize("name", ["gone", "gone.yaml", "notes.txt", "empty", "LICENSE", "a\0b"])
def test_what_is_not_read_is_a_problem_that_lists_what_is(name, write, tmp_path, expect):
    write("notes.txt", "x")
    write("LICENSE", "x")
    (tmp_path / "empty").mkdir()
    message = "no such file" if name == "gone.yaml" else "read are .yaml and .yml"
    expect(source_of(tmp_path / name), (None, None, message), path=tmp_path / name)


def test_all_problems_of_all_paths_are_reported_together(write, tmp_path):
    bad = write("bad.yaml", "steps:\n  - kind: x\n")
    with pytest.raises(CatalogError) as caught:
        Catalog.from_path(tmp_path / "gone", bad, "nonsense://u:geheim@host/db")
    assert [(item.source, item.line) for item in caught.value.problems] == [
        (str(tmp_path / "gone"), None),
        ("nonsense://u:***@host/db", None),
        (str(bad), 2),
        (str(bad), 2),
    ]


@pytest.fixture
def readings(monkeypatch):
    """Counts how often each file is opened, and how often a text is parsed."""
    opened, parsed = Counter(), Counter()

    def count(module, name, counter):
        original = getattr(module, name)

        def counted(first, *args, **kwargs):
            counter[str(first)] += 1
            return original(first, *args, **kwargs)

        monkeypatch.setattr(module, name, counted)

    count(Path, "open", opened)
    for module, name in ((files, "parse_yaml"), (files, "parse_json"), (detection, "parse_yaml")):
        count(module, name, parsed)
    return opened, parsed


FILES = {
    "catalog.yaml": "steps:\n  - name: a\n",
    "api.yaml": "openapi: 3.0.0\npaths: {/a: {get: {operationId: b}}}\n",
    "api.json": '{"openapi": "3.0.0", "paths": {"/a": {"get": {"operationId": "c"}}}}',
    "flow.yaml": "name: d\nrequirement: r\n",
    "tools.json": '{"tools": [{"name": "e"}]}',
    "steps.json": '[{"name": "f"}]',
    "step.jsonl": '{"name": "g"}',
    "tables.csv": "name\nh\n",
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_opened_and_parsed_once(name, write, readings):
    path = write(name, FILES[name])
    opened, parsed = readings
    opened.clear()
    assert len(Catalog.from_path(path)) == 1
    assert opened == {str(path): 1}
    assert sum(parsed.values()) == (not name.endswith(".csv"))


@pytest.mark.parametrize("data", [False, True])
def test_the_files_of_a_folder_are_opened_and_parsed_once(data, write, readings, tmp_path):
    folder = "catalog/" if data else ""
    paths = [write(f"{folder}{name}", text) for name, text in FILES.items()]
    paths += [write("dataset.yaml", "licence: x\n")] if data else []
    opened, parsed = readings
    opened.clear()
    assert len(Catalog.from_path(tmp_path)) == len(FILES)
    assert opened == {str(path): 1 for path in paths}
    assert sum(parsed.values()) == len(paths) - 1


def test_what_was_parsed_is_let_go_of(write):
    source = source_of(write("a.yaml", "steps:\n  - name: a\n"))
    assert [step.name for step in Catalog.from_source(source)] == ["a"]
    write("a.yaml", "steps:\n  - name: b\n")
    assert [step.name for step in Catalog.from_source(source)] == ["b"]
