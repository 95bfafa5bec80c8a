from typing import Literal

import pytest

from encoders import WordEncoder
from multiretriever.core import (
    Catalog,
    CatalogError,
    Element,
    ElementType,
    Field,
    Flow,
    Index,
    InstructionSet,
    MultiRetriever,
    Step,
    Workflow,
    element_type,
    element_types,
    natural_text,
    register_element_type,
    unregister_element_type,
)
from multiretriever.core.errors import ElementTypeError, FilterError
from multiretriever.core.instructions import Template
from multiretriever.core.names import split_words


class Form(Element):
    element_type: Literal["form"] = "form"
    audience: str | None = None
    questions: tuple[str, ...] = ()


def form_text(form):
    return natural_text(form, "asks: " + "; ".join(form.questions))


FORM = ElementType(
    "form",
    Form,
    "forms",
    text=form_text,
    default_k=2,
    filters=("audience",),
    instructions=(
        Template(
            id="form.requirement", element_type="form", instruction="Represent this wish for searching forms:", query_key="wish"
        ),
    ),
)
CATALOG = """\
forms:
  - {name: travel_request, scope: hr, audience: staff, questions: [Where to?, When?]}
  - {name: badge_loss, scope: security, audience: staff, questions: [Where was it lost?]}
  - {name: visitor_pass, scope: security, audience: guest, questions: [Who comes?]}
steps:
  - {name: send_mail}
"""


@pytest.fixture
def form_type():
    register_element_type(FORM)
    yield FORM
    unregister_element_type("form")


@pytest.fixture
def form_retriever(form_type, tmp_path):
    (tmp_path / "catalog.yaml").write_text(CATALOG)
    encoder = WordEncoder(instructions=InstructionSet.default())
    with Index.from_catalog(Catalog.from_path(tmp_path / "catalog.yaml"), encoder=encoder) as index:
        yield MultiRetriever(index, dense_weight=0.5)


def test_a_registered_type_works_in_catalog_and_index(form_retriever):
    index = form_retriever.index
    assert index.manifest.types["form"].filters == ("scope", "audience")
    assert index.lexical("form").scores("lost", {}).argmax() == index.lexical("form").row["security.badge_loss"]
    form = index.catalog().get("form", "hr.travel_request")
    assert form == Form(scope="hr", name="travel_request", audience="staff", questions=("Where to?", "When?"))


def test_a_registered_type_works_in_the_retriever(form_retriever):
    hits = form_retriever.retrieve("my badge was lost", "form")
    assert hits[0].id == "security.badge_loss"
    assert len(hits) == FORM.default_k
    assert form_retriever.retrieve("who comes", "forms", k=1)[0].id == "security.visitor_pass"
    assert form_retriever.index.encoder.query_batches[0] == ["Represent this wish for searching forms:\nwish: my badge was lost"]


def test_a_registered_type_can_be_filtered(form_retriever):
    hits = form_retriever.retrieve("travel", "form", k=5, where={"audience": "guest"})
    assert [hit.id for hit in hits] == ["security.visitor_pass"]
    with pytest.raises(FilterError, match="questions"):
        form_retriever.retrieve("travel", "form", where={"questions": "When?"})


def test_a_registered_type_works_in_ground(form_retriever):
    grounding = form_retriever.ground("who comes to visit and send mail")
    assert set(grounding) == {"form", "step"}
    assert grounding["form"][0].id == "security.visitor_pass"
    assert [text.splitlines()[0] for text in form_retriever.index.encoder.query_batches[-1]] == [
        "Represent this wish for searching forms:",
        "Represent this requirement for searching relevant steps:",
    ]


def test_instructions_of_the_caller_stand_before_those_of_the_type(form_retriever):
    own = Template(id="form.requirement", element_type="form", instruction="Mine:")
    changed = MultiRetriever(form_retriever.index, instructions=InstructionSet.default().with_templates([own]))
    assert changed.prompt("x", "form").text == "Mine:\nquery: x"


def test_the_text_of_a_form_holds_its_questions(form_type):
    assert (
        form_type.text(Form(scope="hr", name="travelRequest", questions=("Where to?",))) == "travel Request\nasks: Where to?\nhr"
    )


@pytest.mark.parametrize("name", ["step", "steps", "form", "forms"])
@pytest.mark.parametrize("which", ["name", "plural"])
def test_a_taken_name_is_refused(form_type, name, which):
    class Other(Element):
        element_type: Literal["step", "steps", "form", "forms", "other"] = name if which == "name" else "other"

    values = {"name": "other", "plural": "others", which: name}
    with pytest.raises(ElementTypeError, match=f"{name}"):
        register_element_type(ElementType(values["name"], Other, values["plural"]))
    assert element_type("form") is FORM
    assert element_type("step").model is Step


def test_replacing_and_forgetting_a_built_in_type():
    terse = ElementType("step", Step, "steps", text=lambda step: step.name, default_k=3)
    try:
        with pytest.raises(ElementTypeError, match="replace=True"):
            register_element_type(terse)
        register_element_type(terse, replace=True)
        assert element_type("step").default_k == 3
    finally:
        unregister_element_type("step")
    assert element_type("step").default_k == 15


def test_an_equal_registration_is_no_conflict(form_type):
    assert register_element_type(FORM) is FORM
    assert [kind.name for kind in element_types()].count("form") == 1


class Untyped(Element):
    element_type: str = "something"


@pytest.mark.parametrize(
    "make",
    [
        lambda: ElementType("Form", Form, "forms"),
        lambda: ElementType("form", Form, "for ms"),
        lambda: ElementType("", Form, "forms"),
        lambda: ElementType("f" * 65, Form, "forms"),
        lambda: ElementType("form", Step, "forms"),
        lambda: ElementType("form", Untyped, "forms"),
        lambda: ElementType("form", dict, "forms"),
        lambda: ElementType("form", Form, "forms", filters=("colour",)),
        lambda: ElementType("form", Form, "forms", default_k=0),
        lambda: ElementType("form", Form, "forms", default_k=True),
        lambda: ElementType("form", Form, "forms", instructions=(Template(id="a", instruction="x"),)),
        lambda: ElementType("form", Form, "forms", instructions=(Template(id="a", element_type="step", instruction="x"),)),
    ],
)
def test_an_inconsistent_type_is_refused(make):
    with pytest.raises(ElementTypeError):
        make()


def test_an_unknown_type_is_named_with_those_that_are_known(retriever):
    for name in ("form", "", None, 5, ["step"]):
        with pytest.raises(ElementTypeError, match="catalog_item"):
            element_type(name)
        with pytest.raises(ElementTypeError):
            retriever.retrieve("x", name)


def test_an_index_outlives_the_registration_of_its_types(tmp_path, form_type):
    path, encoder = tmp_path / "index", WordEncoder()
    Index.from_catalog(Catalog([Form(name="a"), Step(name="b")]), path, encoder=encoder).close()
    unregister_element_type("form")
    with MultiRetriever.open(path, encoder=encoder) as retriever:
        assert retriever.retrieve("b", "step")[0].id == "b"
        with pytest.raises(ElementTypeError, match="'form'"):
            retriever.ground("b")
        with pytest.raises(ElementTypeError, match="'form'"):
            retriever.index.catalog()


def test_a_catalog_with_an_unknown_key_is_refused(tmp_path):
    (tmp_path / "catalog.yaml").write_text(CATALOG)
    with pytest.raises(CatalogError, match="forms"):
        Catalog.from_path(tmp_path / "catalog.yaml")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("look_up_records", "look up records"),
        ("lookUpRecords", "look Up Records"),
        ("HTTPServer", "HTTP Server"),
        ("core.look-up/now:soon", "core look up now soon"),
        ("v2Api", "v2 Api"),
        ("___", ""),
    ],
)
def test_names_become_words(name, words):
    assert split_words(name) == words


def test_natural_words_stand_first_and_are_not_repeated():
    step = Step(scope="serviceDesk", name="look_up", label="Look up", description="Finds.\nFast.")
    assert element_type("step").text(step) == "Look up\nservice Desk\nFinds.\nFast."
    assert element_type("field").text(Field(table="sys_user", name="e_mail", label="Mail")) == "Mail\ne mail\nsys user"
    flow = Flow(requirement="greet", steps=[{"annotation": "say hi", "order": 1}, {"annotation": "", "order": 2}])
    assert element_type("workflow").text(Workflow(name="w", flow=flow)) == "w\ngreet\nsay hi"
