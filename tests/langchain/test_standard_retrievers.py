"""LangChain's own suite for retrievers, unmodified, for every class."""

import pytest
from langchain_tests.integration_tests import RetrieversIntegrationTests

from encoders import WordEncoder
from multiretriever.core import Catalog, CatalogItem, Field, Index, MultiRetriever, Step, Table, Workflow
from multiretriever.langchain import (
    CatalogItemRetriever,
    ElementRetriever,
    FieldRetriever,
    StepRetriever,
    TableRetriever,
    WorkflowRetriever,
)


@pytest.fixture(scope="module", autouse=True)
def shared():
    """One retriever of core for all suites, which take no fixtures for their parameters."""
    names = ("laptop", "phone", "desk", "chair", "user")
    elements = [kind(name=name, label=f"The {name}") for kind in (Step, Table, CatalogItem, Workflow) for name in names]
    elements += [Field(name=f"{name}_id", table="laptop") for name in names]
    with MultiRetriever(Index.from_catalog(Catalog(elements), encoder=WordEncoder())) as _Suite.core:
        yield


class _Suite(RetrieversIntegrationTests):
    core = None
    params = {}

    @property
    def retriever_constructor(self):
        return self.kind

    @property
    def retriever_constructor_params(self):
        return {"retriever": self.core, **self.params}

    @property
    def retriever_query_example(self):
        return "a laptop for the new user"


class TestElementRetriever(_Suite):
    kind = ElementRetriever
    params = {"element_type": "table"}


class TestStepRetriever(_Suite):
    kind = StepRetriever


class TestTableRetriever(_Suite):
    kind = TableRetriever


class TestFieldRetriever(_Suite):
    kind = FieldRetriever


class TestFieldRetrieverOfTable(_Suite):
    kind = FieldRetriever
    params = {"table": "laptop"}


class TestCatalogItemRetriever(_Suite):
    kind = CatalogItemRetriever


class TestWorkflowRetriever(_Suite):
    kind = WorkflowRetriever
