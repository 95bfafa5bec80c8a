import pytest

from multiretriever.core.sources.detection import DatasetSource


@pytest.fixture
def dataset(write, tmp_path):
    write("dataset.yaml", 'licence: "MIT"\nsource: "ours"\n')
    write("catalog/table.jsonl", '{"id": "db/t", "element_type": "table", "scope": "db", "name": "t", "fields": ["a", "b"]}\n')
    write("catalog/field.jsonl", '{"id": "db/t.a", "element_type": "field", "scope": "db", "name": "a", "table": "t"}\n')
    write("catalog/workflow.jsonl", '{"name": "w", "kind": "flow"}\n')
    write("catalog/step.jsonl", '{"name": "s", "category": "c"}\n')
    write("catalog/.step.jsonl.swp", "x")
    write("queries.jsonl", '{"id": "q", "query": "not an element"}\n')
    return tmp_path


def test_the_catalog_of_a_dataset_is_read(dataset, load):
    catalog = load(DatasetSource(dataset))
    assert catalog.counts == {"field": 1, "step": 1, "table": 1, "workflow": 1}
    assert catalog.get("table", "db/t").fields == ("a", "b")
    assert catalog.of("workflow")[0].metadata == {"kind": "flow"}
    assert catalog.of("step")[0].metadata == {"category": "c"}
    assert str(DatasetSource(dataset)) == str(dataset)


def test_problems_have_the_file_and_line(dataset, write, refuse):
    write("catalog/step.jsonl", '{"name": "s"}\n\n{"name": "s"}\n{"name": "t", "element_type": "table"}\n')
    write("catalog/field.jsonl", '{"name": "a", "table": "none"}\n')
    write("catalog/things.jsonl", '{"name": "a"}\n')
    write("catalog/catalog_item.jsonl", "")
    write("dataset.yaml", "- a\n")
    catalog = dataset / "catalog"
    found = [(item.source, item.line, item.field) for item in refuse(DatasetSource(dataset))]
    assert found == [
        (str(dataset / "dataset.yaml"), 1, None),
        (str(catalog / "catalog_item.jsonl"), None, None),
        (str(catalog / "things.jsonl"), None, None),
        (str(catalog / "step.jsonl"), 3, "id"),
        (str(catalog / "step.jsonl"), 4, "element_type"),
        (str(catalog / "field.jsonl"), 1, "table"),
    ]


def test_a_folder_without_a_catalog_is_a_problem(write, tmp_path, expect):
    write("dataset.yaml", "licence: MIT\n")
    expect(DatasetSource(tmp_path), (None, None, "no folder 'catalog'"))
    (tmp_path / "catalog").mkdir()
    expect(DatasetSource(tmp_path), (None, None, "no file"), path=tmp_path / "catalog")


def test_a_broken_description_is_a_problem(dataset, write, expect):
    path = write("dataset.yaml", "licence: [\n")
    expect(DatasetSource(dataset), (2, None, "not YAML"), path=path)
