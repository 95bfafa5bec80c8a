import pytest
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import QueryBundle

from multiretriever.core import ParameterError
from multiretriever.core.errors import ElementTypeError, FilterError, QueryError
from multiretriever.llama_index import GroundingRetriever

QUERY = "report an incident: something is broken"


def test_class():
    assert issubclass(GroundingRetriever, BaseRetriever)
    assert GroundingRetriever._aretrieve is not BaseRetriever._aretrieve


async def test_all_types_in_one_pass_in_the_order_asked_for(multi, encoder, ids):
    retriever = GroundingRetriever(multi, {"table": 2, "step": 3, "catalog_items": 1})
    nodes = retriever.retrieve(QUERY)
    assert [node.node.metadata["element_type"] for node in nodes] == ["table"] * 2 + ["step"] * 3 + ["catalog_item"]
    assert [len(batch) for batch in encoder.query_batches] == [3]
    expected = multi.ground(QUERY, {"table": 2, "step": 3, "catalog_item": 1})
    assert ids(nodes) == [hit.id for hits in expected.values() for hit in hits]
    assert ids(await retriever.aretrieve(QUERY)) == ids(nodes)


async def test_grounding_by_type(multi, ids):
    retriever = GroundingRetriever(multi, ["table", "step"])
    found = retriever.ground(QUERY)
    assert list(found) == ["table", "step"]
    assert ids(found["table"]) == [hit.id for hit in multi.retrieve(QUERY, "table")]
    again = await retriever.aground(QueryBundle(QUERY))
    assert {name: ids(nodes) for name, nodes in again.items()} == {name: ids(nodes) for name, nodes in found.items()}


def test_all_types_of_the_index_by_default(multi):
    assert list(GroundingRetriever(multi).ground(QUERY)) == ["step", "table", "field", "catalog_item", "workflow"]


def test_a_type_without_hits_is_there(multi):
    found = GroundingRetriever(multi, ["step", "table"], mode="lexical").ground("laptop")
    assert found == {"step": [], "table": []}


async def test_elements_of_two_types_with_one_id_are_both_there(multi, ids):
    retriever = GroundingRetriever(multi, {"table": 1, "catalog_item": 1})
    assert ids(retriever.retrieve(QUERY)) == ["core.incident", "core.incident"]
    assert ids(await retriever.aretrieve(QUERY)) == ["core.incident", "core.incident"]
    assert [len(nodes) for nodes in retriever.ground(QUERY).values()] == [1, 1]


def test_context_and_where_and_mode(multi, encoder):
    found = GroundingRetriever(multi, ["step", "field"], context={"scope": "core"}, where={"table": "task"}, mode="dense").ground(
        "priority"
    )
    assert {node.node.metadata["table"] for node in found["field"]} == {"task"}
    assert len(found["step"]) == 5
    assert all("scope: core" in text for text in encoder.query_batches[0])
    assert found["step"][0].node.metadata["mode"] == "dense"


async def test_the_event_loop_goes_on(multi, encoder, ticks):
    encoder.seconds = 0.3
    found, count = await ticks(GroundingRetriever(multi).aground(QUERY))
    assert found["table"]
    assert count >= 10


def test_opening(tmp_path, catalog, encoder, ids):
    made = GroundingRetriever.from_catalog(catalog, tmp_path / "index", encoder=encoder, k=["step"])
    expected = ids(made.retrieve(QUERY))
    made.close()
    opened = GroundingRetriever.from_path(tmp_path / "index", encoder=encoder, k="step")
    assert ids(opened.retrieve(QUERY)) == expected
    opened.close()


def test_errors_are_typed(multi):
    with pytest.raises(ElementTypeError, match="gadget"):
        GroundingRetriever(multi, {"gadget": 3})
    with pytest.raises(ParameterError, match="got 5"):
        GroundingRetriever(multi, 5)
    with pytest.raises(ParameterError):
        GroundingRetriever(multi, {"step": 0}).retrieve(QUERY)
    with pytest.raises(ParameterError):
        GroundingRetriever(multi, mode="best")
    with pytest.raises(QueryError):
        GroundingRetriever(multi).ground("")
    with pytest.raises(FilterError):
        GroundingRetriever(multi, where={"nothing": "x"}).ground(QUERY)
