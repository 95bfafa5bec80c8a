import json

import pytest

from multiretriever.core import Catalog, CatalogError, Flow, FlowError, InstructionSet, ParameterError
from multiretriever.core.catalog import IT_SERVICE
from multiretriever.core.errors import DatasetError
from multiretriever.core.example import Example
from multiretriever.core.prompts import make_prompt
from multiretriever.datasets import Dataset, check_dataset
from multiretriever.datasets.dataset import summary_row
from small_dataset import CHASE, GREET, QUERIES, write_dataset, write_queries


@pytest.fixture
def folder(tmp_path):
    return write_dataset(tmp_path / "small")


def test_a_folder_with_everything(folder):
    dataset = Dataset.from_path(folder)
    assert (dataset.name, dataset.splits, dataset.settings.licence) == ("small", (), "MIT")
    assert dataset.catalog.counts == {"step": 9, "table": 3, "field": 5, "catalog_item": 3, "workflow": 2}
    assert [flow.name for flow in dataset.flows()] == ["greet", "chase"]
    assert [item.id for item in dataset.given()] == ["q1", "q2", "q3"]
    assert [(item.language, item.kind, dict(item.context)) for item in dataset.given()] == [
        ("en", "given", {}),
        ("en", "given", {"table": "ticket"}),
        ("de", "given", {}),
    ]
    assert Dataset.from_path(folder / "dataset.yaml").catalog.counts == dataset.catalog.counts


def test_stored_workflows_are_known_by_label_and_description_alone(folder):
    workflow = Dataset.from_path(folder).catalog.get("workflow", "chat.greet")
    assert (workflow.label, workflow.description, workflow.flow) == ("Greet callers", "Welcomes whoever reports something.", None)


def test_splits_and_paths(folder):
    (folder / "more").mkdir()
    (folder / "flows" / "b_chase.yaml").rename(folder / "more" / "chase.yaml")
    write_queries(folder / "extra.jsonl", [{**QUERIES[0], "id": "q9"}])
    settings = "name: parts\nlanguage: fr\nflows: {train: flows, dev: [more]}\nqueries: {dev: [queries.jsonl, extra.jsonl]}\n"
    (folder / "dataset.yaml").write_text(settings)
    dataset = Dataset.from_path(folder)
    assert (dataset.name, dataset.splits) == ("parts", ("train", "dev"))
    assert [flow.name for flow in dataset.flows("train")] == ["greet"]
    assert [flow.name for flow in dataset.flows("dev")] == ["chase"]
    assert [flow.name for flow in dataset.flows()] == ["greet", "chase"]
    assert list(dataset.given("train")) == []
    assert [(item.id, item.language) for item in dataset.given("dev")] == [("q1", "fr"), ("q2", "fr"), ("q3", "de"), ("q9", "fr")]
    assert next(iter(dataset.stream("train"))).language == "fr"
    with pytest.raises(ParameterError, match=r"has no split 'test'; its splits are train, dev"):
        list(dataset.flows("test"))
    dev = dataset.only("dev")
    assert (dev.name, dev.splits, dev.catalog is dataset.catalog) == ("parts/dev", (), True)
    assert ([flow.name for flow in dev.flows()], len(list(dev.given()))) == (["chase"], 4)
    assert list(dataset.only("train").given()) == []
    with pytest.raises(ParameterError, match="has no split 'test'"):
        dataset.only("test")


def test_flows_as_lines_are_read_one_by_one(folder):
    lines = [Flow.from_yaml(text).to_dict() for text in (GREET, CHASE)]
    (folder / "flows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + "{broken\n")
    (folder / "dataset.yaml").write_text("flows: flows.jsonl\n")
    flows = Dataset.from_path(folder).flows()
    assert [next(flows).name, next(flows).name] == ["greet", "chase"]
    with pytest.raises(FlowError, match=r"flows\.jsonl:3: not JSON"):
        next(flows)


def test_usual_names_need_no_settings(folder):
    (folder / "dataset.yaml").write_text("licence: MIT\n")
    dataset = Dataset.from_path(folder)
    assert (sum(1 for _ in dataset.flows()), sum(1 for _ in dataset.given())) == (2, 3)
    assert dataset.catalog.of("workflow") == ()


def test_a_catalog_with_flows_among_it():
    dataset = Dataset.from_path(IT_SERVICE)
    assert dataset.name == "it_service"
    assert sum(1 for _ in dataset.flows()) == 80
    assert all(item.flow is None for item in dataset.catalog.of("workflow"))
    assert list(check_dataset(dataset)) == []


def test_equal_queries_are_one_with_all_answers(folder):
    again = Flow(
        name="again", requirement="x", steps=[{"annotation": "Tell  them", "definition": "chat.open_channel", "order": 1}]
    )
    dataset = Dataset(Dataset.from_path(folder).catalog, flows=[Flow.from_yaml(CHASE), again])
    streamed = [item.relevant for item in dataset.stream(kinds=["step.annotation"]) if "tell" in item.query.casefold()]
    assert streamed == [("chat.post_message",), ("chat.open_channel",)]
    merged = [item.relevant for item in dataset.examples(kinds=["step.annotation"]) if "tell" in item.query.casefold()]
    assert merged == [("chat.post_message", "chat.open_channel")]
    # With the flow before them they are two queries.
    assert len([item for item in dataset.examples(kinds=["step.flow"]) if "tell" in item.query.casefold()]) == 2


def test_given_queries_can_be_left_out(folder):
    dataset = Dataset.from_path(folder)
    assert {item.kind for item in dataset.examples(kinds=["table.flow"])} == {"table.flow"}
    assert [item.id for item in dataset.examples(kinds=["given"])] == ["q1", "q2", "q3"]
    assert {"given", "step.flow"} < {item.kind for item in dataset.examples()}


def test_descriptions_become_queries_and_are_hidden(folder):
    dataset = Dataset.from_path(folder)
    found = [item for item in dataset.stream(kinds=[], descriptions=["catalog_item", "step"])]
    assert found[0] == Example(
        "shop.laptop#description",
        "catalog_item",
        "A computer to carry around.",
        ("shop.laptop",),
        kind="catalog_item.description",
        hidden=("description",),
    )
    # The badge has no description.
    assert [(item.kind, item.relevant) for item in found] == [
        ("catalog_item.description", ("shop.laptop",)),
        ("catalog_item.description.scope", ("shop.laptop",)),
        ("catalog_item.description", ("shop.screen",)),
        ("catalog_item.description.scope", ("shop.screen",)),
        ("step.annotation", ("chat.post_message",)),
        ("step.annotation", ("chat.open_channel",)),
    ]
    assert [dict(item.context) for item in found[:2]] == [{}, {"scope": "shop"}]
    assert len({item.id for item in found}) == len(found)


def test_each_description_is_asked_with_its_own_template(folder):
    dataset = Dataset.from_path(folder)
    for item in dataset.stream(kinds=[], descriptions=["catalog_item", "step", "workflow", "field", "table"]):
        prompt = make_prompt(item.query, item.element_type, item.context, instructions=InstructionSet.default())
        assert prompt.template == item.kind


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "a"', "queries.jsonl:4: not JSON"),
        ('{"id": "a", "element_type": "step", "query": "x"}', "queries.jsonl:4: relevant: is missing"),
        ('{"id": "a", "element_type": "step", "query": " ", "relevant": ["b"]}', "queries.jsonl:4: the query is empty"),
        (
            '{"id": "a", "element_type": "thing", "query": "x", "relevant": ["b"]}',
            "queries.jsonl:4: element_type: unknown element type",
        ),
        ('{"id": "a", "element_type": "step", "query": "x", "relevant": []}', "queries.jsonl:4: relevant"),
        (
            '{"id": "a", "element_type": "step", "query": "x", "relevant": ["b"], "context": {"scope": 1}}',
            "queries.jsonl:4: context scope",
        ),
    ],
)
def test_problems_in_queries_have_their_line(folder, line, message):
    with (folder / "queries.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DatasetError) as caught:
        list(Dataset.from_path(folder).given())
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ("flows: [[a]]\n", DatasetError, "dataset.yaml:1: flows"),
        ("catalog: nowhere\n", CatalogError, "there is no such file or folder"),
        ("", DatasetError, "the file is empty"),
    ],
)
def test_problems_in_settings(folder, settings, error, message):
    (folder / "dataset.yaml").write_text(settings)
    with pytest.raises(error, match=message):
        Dataset.from_path(folder)


def test_a_missing_file_of_flows(folder):
    (folder / "dataset.yaml").write_text("flows: nowhere.yaml\n")
    with pytest.raises(FlowError, match=r"nowhere\.yaml: there is no such file"):
        list(Dataset.from_path(folder).flows())
    (folder / "empty").mkdir()
    (folder / "dataset.yaml").write_text("flows: empty\n")
    with pytest.raises(FlowError, match=r"no flow .* is there"):
        list(Dataset.from_path(folder).flows())


def test_summary(folder):
    row = summary_row(Dataset.from_path(folder))
    assert {key: row[key] for key in ("dataset", "scopes", "steps", "fields", "workflows", "flows", "steps_in_flows")} == {
        "dataset": "small",
        "scopes": 2,
        "steps": 9,
        "fields": 5,
        "workflows": 2,
        "flows": 2,
        "steps_in_flows": 6,
    }
    assert (row["catalog_item_queries"], row["workflow_queries"]) == (1, 3)


def test_a_dataset_without_folder():
    dataset = Dataset(Catalog(), queries=[Example("a", "step", "x", ("b",))])
    assert [item.id for item in dataset.examples()] == ["a"]
    assert repr(dataset) == "Dataset('dataset', Catalog())"
