import pytest
from llama_index.core.schema import MetadataMode, NodeWithScore, TextNode

from multiretriever.core import Field, Hit, Step, Table, element_type
from multiretriever.core.elements import Element
from multiretriever.core.errors import ElementTypeError
from multiretriever.llama_index.retrievers import to_node

STEP = Step(
    scope="slack",
    name="post_message",
    label="Post message",
    description="Sends a message",
    metadata={"tags": ["chat"], "rank": 99, "vendor": "Slack"},
)


def test_a_hit_becomes_a_node_with_the_text_that_was_embedded():
    node = to_node(Hit(STEP, 0.5, 2, "hybrid"))
    assert isinstance(node, NodeWithScore)
    assert isinstance(node.node, TextNode)
    assert node.score == 0.5
    assert node.node.node_id == "slack.post_message"
    assert node.node.text == element_type("step").text(STEP)
    assert node.node.metadata == {
        "rank": 2,
        "mode": "hybrid",
        "id": "slack.post_message",
        "element_type": "step",
        "scope": "slack",
        "name": "post_message",
        "label": "Post message",
        "description": "Sends a message",
        "kind": "action",
        "tags": ["chat"],
        "vendor": "Slack",
    }


def test_a_field_says_its_table():
    field = Field(scope="core", table="incident", name="caller", reference="user")
    metadata = to_node(Hit(field, 1.0, 1, "dense")).node.metadata
    assert metadata["table"] == "incident"
    assert metadata["reference"] == "user"
    assert "data_type" not in metadata


def test_a_chat_model_reads_the_name_and_not_how_it_was_found():
    text = to_node(Hit(STEP, 0.5, 2, "hybrid")).node.get_content(MetadataMode.LLM)
    assert "name: post_message" in text
    assert "id: slack.post_message" in text
    assert "vendor: Slack" in text
    assert "rank" not in text
    assert "hybrid" not in text
    assert text.count("Sends a message") == 1


def test_embedding_the_node_again_embeds_just_its_text():
    node = to_node(Hit(STEP, 0.5, 2, "hybrid")).node
    assert node.get_content(MetadataMode.EMBED) == node.text


def test_nothing_is_shared_with_the_hit_or_between_nodes():
    hit = Hit(STEP, 0.5, 2, "hybrid")
    first, second = to_node(hit), to_node(hit)
    first.node.metadata["tags"].append("changed")
    first.node.metadata["name"] = "changed"
    first.node.excluded_llm_metadata_keys.append("changed")
    assert STEP.metadata["tags"] == ["chat"]
    assert second.node.metadata["tags"] == ["chat"]
    assert "changed" not in second.node.excluded_llm_metadata_keys
    assert "changed" not in to_node(hit).node.excluded_llm_metadata_keys


def test_the_hash_tells_the_element_and_not_its_rank():
    same = to_node(Hit(STEP, 0.1, 9, "lexical")).node
    assert to_node(Hit(STEP, 0.5, 2, "hybrid")).node.hash == same.hash
    table = Table(id=STEP.id, scope="slack", name="post_message")
    assert to_node(Hit(table, 0.5, 2, "hybrid")).node.hash != same.hash
    assert to_node(Hit(STEP.model_copy(update={"id": "x"}), 0.5, 2, "hybrid")).node.hash != same.hash


def test_a_type_that_is_not_registered_is_a_typed_error():
    with pytest.raises(ElementTypeError, match="gadget"):
        to_node(Hit(Element(id="x", name="x", element_type="gadget"), 0.5, 1, "dense"))
