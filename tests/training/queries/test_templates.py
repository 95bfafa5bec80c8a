"""Queries made of templates: repeatable, of all kinds, and no copies of what they look for."""

import pytest

from multiretriever.core import CatalogItem, ParameterError, Step, Table
from multiretriever.core.catalog import IT_SERVICE
from multiretriever.datasets import Dataset
from multiretriever.datasets.checks import find_leaks
from multiretriever.training.queries import Document, TemplateQueryWriter, WriterSettings, documents_of
from multiretriever.training.queries.documents import TEMPLATE_KINDS, fault


def write(documents, **values):
    return list(TemplateQueryWriter(WriterSettings(**values)).write(documents))


@pytest.fixture(scope="module")
def bundled():
    return Dataset.from_path(IT_SERVICE)


def test_the_bundled_catalog(bundled):
    documents = documents_of(bundled, sample=60, seed=1)
    examples = write(documents, per_element=2)
    per_document = len(examples) / len(documents)
    assert per_document > 9, "nearly two of each of five kinds"
    assert len({example.id for example in examples}) == len(examples)
    assert len({example.query.lower() for example in examples}) > 0.9 * len(examples)
    assert len(find_leaks(bundled, examples)) < 0.005 * len(examples)
    for example in examples:
        element = bundled.catalog.get(example.element_type, example.relevant[0])
        assert fault(example.query, Document(element, "")) is None
        assert "{" not in example.query
        assert "  " not in example.query
    assert {example.kind for example in examples} == set(TEMPLATE_KINDS)


def test_repeatable_and_independent_of_the_rest(bundled):
    documents = documents_of(bundled, ["table"])
    first = write(documents, seed=5)
    assert first == write(documents, seed=5) != write(documents, seed=6)
    assert [item for item in first if item.relevant == (documents[7].element.id,)] == write(documents[7:8], seed=5)


def test_contexts(documents, dataset):
    contexts = {item.element_type: item.context for item in write(documents_of(dataset))}
    assert contexts["step"] == {"text": "annotation"}
    assert set(contexts["field"]) == {"table", "text"}
    assert contexts["catalog_item"] == contexts["workflow"] == {}


def test_hostile_and_empty_names():
    elements = [
        Table(scope="x", name="___", description="{act} {0} %s a {table}"),
        Step(scope="{scope}", name="send_{thing}", label="Send {thing}", description="Sends {0} on."),
        CatalogItem(scope="s", name="😀"),
    ]
    for example in write([Document(element, "") for element in elements]):
        assert example.query.strip()


def test_faults():
    item = CatalogItem(
        scope="s", name="loan_laptop", label="Loan laptop", description="One two three four five six seven eight nine."
    )
    document = Document(item, "")
    assert fault("...", document) == "empty"
    assert fault("loan  LAPTOP!", document) == "name"
    assert fault("two three, four", document) == "copy"
    assert fault("well one two three four five six seven eight nine and more", document) == "copy"
    assert fault("one two three four for me", document) is None
    assert fault("x" * 401, document) == "long"


def test_kinds_that_there_are_no_templates_for():
    with pytest.raises(ParameterError, match="does not write the kinds refine"):
        TemplateQueryWriter(WriterSettings(kinds=("refine",)))
    with pytest.raises(ParameterError, match="per_element"):
        WriterSettings.of(per_element=0)
