import pydantic
import pytest

from catalogs import small_catalog
from multiretriever.core import Catalog, CatalogItem, Element, Field, Step, Table, Workflow
from multiretriever.core.records import Record
from multiretriever.core.yaml_io import PlainScalar


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        (Step(scope="core", name="look_up"), "core.look_up"),
        (Step(name="look_up"), "look_up"),
        (Step(id="own", scope="core", name="look_up"), "own"),
        (Table(scope="db", name="incident"), "db.incident"),
        (Field(scope="db", table="incident", name="state"), "db.incident.state"),
        (Field(table="incident", name="state"), "incident.state"),
    ],
)
def test_ids(element, expected):
    assert element.id == expected


@pytest.mark.parametrize("element", list(small_catalog()), ids=lambda element: element.id)
def test_json_brings_an_equal_element_back(element):
    assert type(element).model_validate_json(element.model_dump_json(exclude_defaults=True)) == element


def test_names_are_stripped_before_they_are_counted():
    step = Step(scope=" core ", name="  look_up ")
    assert (step.name, step.id) == ("look_up", "core.look_up")
    assert Step(name=" " + "x" * 512).name == "x" * 512


def test_values_cannot_be_set():
    with pytest.raises(pydantic.ValidationError):
        Step(name="a").name = "b"


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"name": ""},
        {"name": "   "},
        {"name": None},
        {"name": 5},
        {"name": "x" * 513},
        {"name": "a", "unknown": 1},
        {"name": "a", "kind": "loop"},
        {"name": "a", "element_type": "table"},
        {"name": "a", "scope": None},
        {"name": "\ud800"},
        {"name": "a", "inputs": [{"name": ""}]},
    ],
)
def test_invalid_steps(values):
    with pytest.raises(pydantic.ValidationError):
        Step.model_validate(values)


@pytest.mark.parametrize(
    "metadata",
    [
        {"n": float("nan")},
        {"n": float("inf")},
        {"n": 2**63},
        {"n": -(2**63)},
        {"_element": "x"},
        {"#a": 1},
        {"$and": 1},
        {"chroma:document": "x"},
        {"": 1},
        {"a": {"nested": 1}},
        {"a": [1, 2]},
        {"a": None},
    ],
)
def test_metadata_that_chroma_cannot_store_is_refused(metadata):
    with pytest.raises(pydantic.ValidationError, match="metadata"):
        Step(name="a", metadata=metadata)


def test_metadata_keeps_types():
    metadata = {"i": 1, "f": 1.0, "b": True, "s": "1", "l": ["a"], "big": 2**63 - 1, "empty": ""}
    again = Step.model_validate_json(Step(name="a", metadata=metadata).model_dump_json()).metadata
    assert again == metadata
    assert [type(value) for value in again.values()] == [type(value) for value in metadata.values()]


def test_unquoted_yaml_is_text_in_names_and_values_in_metadata():
    values = {"name": PlainScalar("no"), "metadata": {"a": PlainScalar("true"), "b": PlainScalar("1.10")}}
    (step,) = Catalog.from_records([Record("step", values, "file")]).of("step")
    assert (step.name, type(step.name)) == ("no", str)
    assert step.metadata == {"a": True, "b": "1.10"}


def test_title_and_types():
    assert Step(name="a_b").title == "a_b"
    assert Step(name="a_b", label="A b").title == "A b"
    assert [kind(name="x").element_type for kind in (Step, Table, CatalogItem, Workflow)] == [
        "step",
        "table",
        "catalog_item",
        "workflow",
    ]
    assert Field(name="x", table="t").element_type == "field"
    with pytest.raises(pydantic.ValidationError):
        Element(name="x")
