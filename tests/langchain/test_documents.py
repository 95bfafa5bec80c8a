from multiretriever.core.retriever import Hit
from multiretriever.langchain.retrievers import to_document


def test_values(catalog):
    document = to_document(Hit(catalog.get("step", "slack.send_message"), 0.5, 2, "hybrid"))
    assert document.id == "slack.send_message"
    assert document.page_content == "Send message\nslack\nPosts a text to a channel"
    assert document.metadata == {
        "id": "slack.send_message", "element_type": "step", "scope": "slack", "name": "send_message", "label": "Send message",
        "description": "Posts a text to a channel", "kind": "action", "score": 0.5, "rank": 2, "mode": "hybrid",
        "owner": "chat team", "tags": ["chat", "text"],
    }  # fmt: skip


def test_table_of_a_field(catalog):
    metadata = to_document(Hit(catalog.get("field", "core.user.email"), 1, 1, "dense")).metadata
    assert metadata["table"] == "user"
    assert metadata["data_type"] == "string"
    assert "reference" not in metadata
    assert isinstance(metadata["score"], float)


def test_no_table_where_there_is_none(catalog):
    assert "table" not in to_document(Hit(catalog.get("table", "core.user"), 1.0, 1, "dense")).metadata


def test_documents_share_nothing(catalog):
    hit = Hit(catalog.get("step", "slack.send_message"), 0.5, 1, "dense")
    first = to_document(hit)
    first.metadata["tags"].append("changed")
    first.metadata["owner"] = "changed"
    assert to_document(hit).metadata["tags"] == ["chat", "text"]
    assert hit.element.metadata["owner"] == "chat team"
