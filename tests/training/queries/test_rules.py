"""Queries written by rules: repeatable, varied, in English, and no copies of what they look for."""

import random
import re

import pytest

from multiretriever.core import CatalogItem, Field, ParameterError, Step, Table
from multiretriever.core.catalog import IT_SERVICE
from multiretriever.datasets import Dataset
from multiretriever.datasets.checks import find_leaks
from multiretriever.training.queries import RULE_KINDS, Document, RuleQueryWriter, WriterSettings, documents_of
from multiretriever.training.queries.documents import fault
from multiretriever.training.queries.english import (
    bank,
    base_form,
    first_clause,
    gerund,
    plural,
    third_person,
    with_article,
    words_of_name,
)
from multiretriever.training.queries.slots import slots_of


def write(documents, **values):
    return list(RuleQueryWriter(WriterSettings(**values)).write(documents))


@pytest.fixture(scope="module")
def bundled():
    return Dataset.from_path(IT_SERVICE)


@pytest.mark.parametrize(
    ("verb", "third", "ing"),
    [("post", "posts", "posting"), ("write", "writes", "writing"), ("copy", "copies", "copying"), ("run", "runs", "running"),
     ("pass", "passes", "passing"), ("free", "frees", "freeing"), ("close", "closes", "closing"), ("be", "is", "being")],
)  # fmt: skip
def test_verbs(verb, third, ing):
    assert (third_person(verb), base_form(third), gerund(verb)) == (third, verb, ing)


def test_phrases():
    assert base_form("status") is None
    assert [plural(noun) for noun in ("backup job", "policy", "patch", "news", "office chair")] == [
        "backup jobs",
        "policies",
        "patches",
        "news",
        "office chairs",
    ]
    assert " ".join(with_article("message to channel".split())) == "a message to a channel"
    assert " ".join(with_article("users to open HR case".split())) == "users to an open HR case"
    assert words_of_name("lookUpRecords") == ["look", "up", "records"]
    assert words_of_name("Guest Wi-Fi for HR") == ["guest", "wi-fi", "for", "HR"]
    assert first_clause("Writes to a channel. Then it waits.") == ["writes", "to", "a", "channel"]
    # Never cut within a subordinate clause.
    assert first_clause("Sends word to the owner after whatever was broken by the last change that went in")[-1] == "owner"


def test_slots_of_a_step():
    step = Step(scope="slack", name="post_message", label="Post Message", description="Writes to a channel, as a bot.")
    found = slots_of(step, random.Random(3))
    assert found["scope"] == "slack"
    assert re.fullmatch(r"(post|write|put|publish) a (message|note|line)", found["act"])
    assert re.fullmatch(r"(writing|posting|putting) to a channel", found["doing"])
    trigger = Step(scope="x", name="spoken", kind="trigger", description="Starts when somebody types a word; it comes along.")
    assert re.fullmatch(r"when (somebody|someone|a person) types a word", slots_of(trigger, random.Random(1))["when"])


def test_slots_of_fields_and_items():
    field = Field(scope="x", table="ticket", name="closed_at", label="Closed at", data_type="datetime")
    assert slots_of(field, random.Random(0))["fact"] == "when it was closed"
    assert "field" not in slots_of(field, random.Random(0))
    assert slots_of(field.model_copy(update={"label": "Uploaded by"}), random.Random(0))["fact"] == "who it was uploaded by"
    item = CatalogItem(scope="s", name="pc", label="Office PC", description="Everything about it.")
    assert slots_of(item, random.Random(0)).get("what") is None
    assert slots_of(item, random.Random(0))["items"] == "office PCs"


def test_all_banks_have_all_kinds_and_known_slots():
    known = {
        "step": "act acts acting do does doing thing input scope",
        "trigger": "when thing scope",
        "table": "table tables a_table what a_what f1 f2 f3 a_f1 a_f2 a_f3 scope",
        "field": "field a_field fact table a_table tables what choice ask target a_target scope",
        "catalog_item": "item items a_item what do does doing category scope",
        "workflow": "name do does doing scope",
        "any": "name k1 k2 k3 scope",
    }
    for name, slots in known.items():
        patterns = bank(name, "\n")
        assert {*patterns, "keywords"} == set(RULE_KINDS)
        for pattern in (item for items in patterns.values() for item in items):
            assert set(re.findall(r"\{(.*?)\}", pattern)) <= set(slots.split()), pattern


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
        assert not re.search(r"\ba (?!one)[aeio]|\s\s|\ban [bcdfgjkpqtvwz]", example.query), example.query


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


def test_kinds_that_rules_cannot_write():
    with pytest.raises(ParameterError, match="does not write the kinds refine"):
        RuleQueryWriter(WriterSettings(kinds=("refine",)))
    with pytest.raises(ParameterError, match="per_element"):
        WriterSettings.of(per_element=0)
