"""The retrievers in LlamaIndex's own engines and retrievers."""

import pytest
from llama_index.core.base.base_selector import BaseSelector, SelectorResult, SingleSelection
from llama_index.core.llms import MockLLM
from llama_index.core.objects import ObjectRetriever, SimpleToolNodeMapping
from llama_index.core.postprocessor import SimilarityPostprocessor
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.retrievers import QueryFusionRetriever, RouterRetriever
from llama_index.core.tools import FunctionTool

from multiretriever.llama_index import (
    FieldRetriever,
    GroundingRetriever,
    StepRetriever,
    TableRetriever,
    catalog_from_tools,
    retriever_tool,
)

QUERY = "post a message to the channel"


class WordSelector(BaseSelector):
    """Chooses the tools whose name has a word of the query."""

    def _select(self, choices, query):
        found = [i for i, choice in enumerate(choices) if set(choice.name.split("_")) & set(query.query_str.split())]
        return SelectorResult(selections=[SingleSelection(index=i, reason="its name") for i in found])

    async def _aselect(self, choices, query):
        return self._select(choices, query)

    def _get_prompts(self):
        return {}

    def _update_prompts(self, prompts):
        return None


async def test_query_engine(multi, ids):
    engine = RetrieverQueryEngine.from_args(StepRetriever(multi, k=2), llm=MockLLM())
    for response in (engine.query(QUERY), await engine.aquery(QUERY)):
        assert ids(response.source_nodes) == [hit.id for hit in multi.retrieve(QUERY, "step", k=2)]
        assert "name: post_message" in response.response
        assert "rank:" not in response.response


def test_query_engine_over_several_types_with_a_postprocessor(multi, ids):
    engine = RetrieverQueryEngine.from_args(
        GroundingRetriever(multi, {"table": 1, "step": 2}),
        llm=MockLLM(),
        node_postprocessors=[SimilarityPostprocessor(similarity_cutoff=-1.0)],
    )
    assert len(engine.query(QUERY).source_nodes) == 3


async def test_router(multi, ids):
    tools = [retriever_tool(cls(multi, k=2)) for cls in (StepRetriever, TableRetriever, FieldRetriever)]
    router = RouterRetriever(selector=WordSelector(), retriever_tools=tools, llm=MockLLM())
    expected = [hit.id for hit in multi.retrieve("tables of incidents", "table", k=2)]
    assert ids(router.retrieve("tables of incidents")) == expected
    assert ids(await router.aretrieve("tables of incidents")) == expected
    both = await router.aretrieve("tables and fields of incidents")
    assert [node.node.metadata["element_type"] for node in both] == ["table"] * 2 + ["field"] * 2


@pytest.mark.parametrize("mode", ["reciprocal_rerank", "relative_score", "dist_based_score", "simple"])
@pytest.mark.parametrize("use_async", [False, True])
def test_fusion_knows_an_element_again_however_it_was_found(multi, ids, mode, use_async):
    retrievers = [StepRetriever(multi, mode=way, k=5) for way in ("dense", "lexical")]
    fusion = QueryFusionRetriever(retrievers, llm=MockLLM(), num_queries=1, mode=mode, similarity_top_k=5, use_async=use_async)
    found = ids(fusion.retrieve(QUERY))
    # Without one hash for an element, those found twice take two of the five places each.
    assert len(set(found)) == len(found) == 5
    assert found[0] == "slack.post_message"


async def test_fusion_of_several_types(multi):
    fusion = QueryFusionRetriever(
        [StepRetriever(multi, k=2), TableRetriever(multi, k=2)], llm=MockLLM(), num_queries=1, similarity_top_k=10
    )
    found = await fusion.aretrieve("look up the incident")
    assert sorted(node.node.metadata["element_type"] for node in found) == ["step"] * 2 + ["table"] * 2


async def test_object_retriever(encoder):
    tools = [
        FunctionTool.from_defaults(lambda x: x, name=name, description=name.replace("_", " "))
        for name in ("post_message", "close_ticket")
    ]
    retriever = StepRetriever.from_catalog(catalog_from_tools(tools), encoder=encoder, k=1)
    objects = ObjectRetriever(retriever, SimpleToolNodeMapping.from_objects(tools))
    assert objects.retrieve("close the ticket") == [tools[1]]
    assert await objects.aretrieve("post the message") == [tools[0]]
