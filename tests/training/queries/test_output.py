"""What is written is a dataset that everything else reads."""

import json

import pytest

from multiretriever.core import ParameterError
from multiretriever.core.catalog import IT_SERVICE
from multiretriever.core.example import Example
from multiretriever.datasets import BeirDataset, Dataset, check_dataset, open_dataset
from multiretriever.training.pairs import PairBuilder
from multiretriever.training.queries import TemplateQueryWriter, WriterSettings, documents_of, save_queries
from multiretriever.training.recipe import PairSettings


def written(dataset, **values):
    return list(TemplateQueryWriter(WriterSettings(**values)).write(documents_of(dataset)))


def test_it_reads_back_as_a_dataset_and_makes_pairs(dataset, tmp_path):
    examples = written(dataset)
    report = save_queries(tmp_path / "out", dataset, examples, writer="templates")
    again = Dataset.from_path(tmp_path / "out")
    assert report.total == len(list(again.given())) > 100
    assert list(check_dataset(again)) == []
    for name in dataset.catalog.types:
        assert again.catalog.of(name) == dataset.catalog.of(name)
    pairs = list(PairBuilder(again, PairSettings(descriptions=())).build())
    assert {pair.kind for pair in pairs} == {"question", "claim", "title", "keywords", "free"}
    # Queries that write one element in the same words as another know all their answers.
    assert len(pairs) == report.total
    by_id = {example.id: example for example in examples}
    assert all(by_id[pair.query_id].relevant == (pair.positive_id,) for pair in pairs)


def test_a_whole_catalog_is_carried_over(tmp_path):
    dataset = Dataset.from_path(IT_SERVICE)
    save_queries(tmp_path / "out", dataset, [], writer="templates")
    again = Dataset.from_path(tmp_path / "out").catalog
    assert {name: again.of(name) for name in again.types} == {name: dataset.catalog.of(name) for name in dataset.catalog.types}


def test_copies_and_doubles_are_left_out(dataset, tmp_path):
    laptop, screen = "shop.laptop", "shop.screen"
    examples = [
        Example("a", "catalog_item", "for the train", (laptop,)),
        Example("b", "catalog_item", "For the train!", (laptop,)),
        Example("c", "catalog_item", "for the train", (screen,)),
        Example("d", "catalog_item", "A computer to carry around", (screen,)),
    ]
    report = save_queries(tmp_path / "out", dataset, examples, writer="templates")
    assert (report.total, report.dropped) == (2, {"twice": 1, "leak": 1})
    assert [item.id for item in Dataset.from_path(tmp_path / "out").given()] == ["a", "c"]


def test_it_replaces_only_what_it_wrote(dataset, tmp_path):
    save_queries(tmp_path / "out", dataset, written(dataset, per_element=1), writer="templates")
    save_queries(tmp_path / "out", dataset, written(dataset, kinds=("claim",)), writer="templates")
    assert {item.kind for item in Dataset.from_path(tmp_path / "out").given()} == {"claim"}
    with pytest.raises(ParameterError, match="something else"):
        save_queries(dataset.folder, dataset, [], writer="templates")
    (tmp_path / "file").write_text("x")
    with pytest.raises(ParameterError, match="is a file"):
        save_queries(tmp_path / "file", dataset, [], writer="templates")


def test_a_beir_folder_gives_a_beir_folder(tmp_path):
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    texts = {"p1": "Rain makes rivers rise.", "p2": "Snow melts in spring and feeds the lakes."}
    (folder / "corpus.jsonl").write_text(
        "".join(json.dumps({"_id": key, "title": key.upper(), "text": text}) + "\n" for key, text in texts.items())
    )
    (folder / "queries.jsonl").write_text('{"_id": "q", "text": "floods"}\n')
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\tp1\t1\n")
    dataset = open_dataset(folder)
    report = save_queries(tmp_path / "out", dataset, written(dataset), writer="templates")
    again = open_dataset(tmp_path / "out")
    assert isinstance(again, BeirDataset)
    assert again.catalog.of("passage") == dataset.catalog.of("passage")
    found = list(again.given("train"))
    assert report.total == len(found) >= 10
    assert all(item.id.startswith(f"passage:{item.relevant[0]}#") for item in found)


def test_documents(dataset):
    assert {item.element.element_type for item in documents_of(dataset, ["steps"])} == {"step"}
    assert "inputs: table, conditions" in documents_of(dataset, ["step"])[0].text
    drawn = documents_of(dataset, sample=2, seed=3)
    assert drawn == documents_of(dataset, sample=2, seed=3)
    assert len(drawn) == 2 * len(dataset.catalog.types)
    with pytest.raises(ParameterError, match="expected a sample"):
        documents_of(dataset, sample=0)
    with pytest.raises(ParameterError, match="no elements of passage"):
        documents_of(dataset, ["passage"])
