import copy
import itertools
import pickle

import pytest
import yaml

from multiretriever.core import Flow, InstructionSet, QueryContext
from multiretriever.core.errors import InstructionError
from multiretriever.core.instructions import ANY_TYPE, Prompt, Template

DEFAULT = InstructionSet.default()
FLOW = {"requirement": "greet", "steps": [{"annotation": "find", "order": 1, "inputs": {"a": 1}}]}


def test_there_are_enough_templates_and_each_is_its_own():
    templates = DEFAULT.templates
    assert len(templates) >= 15
    assert len({template.instruction for template in templates}) == len(templates)
    assert {template.element_type for template in templates} == {"step", "table", "field", "catalog_item", "workflow", ANY_TYPE}


def test_every_template_can_be_chosen():
    for template in DEFAULT.templates:
        assert DEFAULT.choose(template.element_type, template.given) == template


@pytest.mark.parametrize(
    ("element_type", "context", "expected"),
    [
        ("step", {}, "step.requirement"),
        ("step", {"scope": "core"}, "step.requirement.scope"),
        ("step", {"scope": "core", "type": "action"}, "step.requirement.scope.type"),
        ("step", {"scope": "", "type": None}, "step.requirement"),
        ("step", {"text": "annotation"}, "step.annotation"),
        ("step", {"text": "annotation", "scope": "core"}, "step.annotation.scope"),
        ("step", {"requirement": "all of it"}, "step.annotation.requirement"),
        ("step", {"flow": FLOW}, "step.flow"),
        ("step", {"flow": FLOW, "scope": "core"}, "step.flow.scope"),
        ("step", {"colour": "red"}, "step.requirement"),
        ("table", {"text": "annotation"}, "table.annotation"),
        ("field", {"table": "incident"}, "field.table"),
        ("field", {"table": "incident", "flow": FLOW}, "field.table.flow"),
        ("field", {"table": "incident", "text": "annotation"}, "field.table.annotation"),
        ("catalog_item", {"scope": "it"}, "catalog_item.description.scope"),
        ("workflow", {"flow": FLOW}, "workflow.flow"),
        ("form", {}, "any"),
        ("form", {"scope": "it", "flow": FLOW}, "any.scope"),
    ],
)
def test_the_most_specific_template_is_chosen(element_type, context, expected):
    assert DEFAULT.prompt("x", element_type, QueryContext.model_validate(context)).template == expected


def test_of_equally_specific_ones_the_first():
    first, second = (Template(id=name, given=(name,), instruction=name) for name in ("scope", "table"))
    context = QueryContext(scope="a", table="b")
    assert InstructionSet([first, second]).prompt("x", "step", context).template == "scope"
    assert InstructionSet([second, first]).prompt("x", "step", context).template == "table"


def test_a_user_replaces_and_adds_templates():
    changed = DEFAULT.with_templates(
        [
            Template(id="step.requirement", element_type="step", instruction="Mine:", query_key="ask"),
            Template(id="step.colour", element_type="step", given=("colour",), instruction="By colour:"),
        ]
    )
    assert len(changed.templates) == len(DEFAULT.templates) + 1
    assert changed.prompt("x", "step", QueryContext()).text == "Mine:\nask: x"
    assert changed.prompt("x", "step", QueryContext.model_validate({"colour": "red"})).text == "By colour:\ncolour: red\nquery: x"
    assert DEFAULT.prompt("x", "step", QueryContext()).template == "step.requirement"


@pytest.mark.parametrize("text", ["{x}", "{0.__class__}", "{{}}", "%s %(a)s", "$HOME", "{", "\\n"])
def test_text_of_users_is_never_formatted(text):
    context = QueryContext.model_validate({"scope": text, "note": text, "flow": {"requirement": text}})
    mine = Template(id="step.flow.scope", element_type="step", given=("scope", "flow"), instruction=text, query_key="annotation")
    prompt = DEFAULT.with_templates([mine]).prompt(text, "step", context)
    assert prompt.text.startswith(text + "\n")
    assert yaml.safe_load(prompt.body) == {"scope": text, "note": text, "flow": {"requirement": text}, "annotation": text}


def test_the_context_stands_as_yaml_lines_and_the_query_last():
    context = QueryContext.model_validate({"scope": "core", "type": "action", "table": "incident", "priority": 1, "flow": FLOW})
    prompt = DEFAULT.prompt("update\nthe record", "step", context)
    key = next(template for template in DEFAULT.templates if template.id == prompt.template).query_key
    assert list(yaml.safe_load(prompt.body)) == ["scope", "type", "table", "priority", "flow", key]
    assert prompt.body.endswith(f"{key}: |-\n  update\n  the record")
    assert Flow.model_validate(yaml.safe_load(prompt.body)["flow"]) == Flow.model_validate(FLOW)


@pytest.mark.parametrize("element_type", ["step", "table", "field", "catalog_item", "workflow", "form"])
def test_nothing_that_was_given_is_left_out(element_type):
    given = {"scope": "core", "type": "action", "table": "incident", "requirement": "all of it", "flow": FLOW}
    for size in range(len(given) + 1):
        for names in itertools.combinations(given, size):
            context = {name: given[name] for name in names}
            written = yaml.safe_load(DEFAULT.prompt("the query", element_type, QueryContext.model_validate(context)).body)
            assert list(written.values())[-1] == "the query"
            assert len(written) == len(context) + 1
            assert {name: written[name] for name in names if name != "flow"} == {k: v for k, v in context.items() if k != "flow"}


def test_one_line_is_the_form_of_the_paper():
    prompt = DEFAULT.prompt("notify the caller", "step", QueryContext())
    assert prompt.text == "Represent this requirement for searching relevant steps:\nrequirement: notify the caller"


def test_files(tmp_path):
    path = tmp_path / "instructions.yaml"
    path.write_text("templates:\n  - {id: a, instruction: 'Look:', given: [scope]}\n  - {id: b, instruction: 'Find:'}\n")
    read = InstructionSet.from_path(path)
    assert [(item.id, item.element_type, item.given) for item in read.templates] == [("a", "*", ("scope",)), ("b", "*", ())]
    assert read.query_tokens is None
    path.write_text("query_tokens: 128\n" + path.read_text())
    assert InstructionSet.from_path(path).query_tokens == 128
    path.write_text(InstructionSet.from_path(path).to_yaml())
    assert InstructionSet.from_path(path).query_tokens == 128
    assert InstructionSet.from_path(path).templates == read.templates


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "templates"),
        ("templates: {}", "templates"),
        ("templates: []", "at least one"),
        ("templates:\n  - {id: a}\n", "instructions.yaml:2: instruction"),
        ("templates:\n  - {id: a, instruction: x}\n  - {id: b, instruction: x, gven: [scope]}\n", "instructions.yaml:3: gven"),
        ("templates: [", "not YAML"),
        ("query_tokens: few\ntemplates:\n  - {id: a, instruction: x}\n", "query_tokens"),
        ("query_tokens: 2\ntemplates:\n  - {id: a, instruction: x}\n", "query_tokens"),
        ("- a", "templates"),
    ],
)
def test_invalid_files_tell_where(tmp_path, text, words):
    (tmp_path / "instructions.yaml").write_text(text)
    with pytest.raises(InstructionError, match=words):
        InstructionSet.from_path(tmp_path / "instructions.yaml")


def test_missing_file_and_empty_set(tmp_path):
    with pytest.raises(InstructionError, match="no such file"):
        InstructionSet.from_path(tmp_path / "none.yaml")
    with pytest.raises(InstructionError, match="at least one"):
        InstructionSet([])


def test_a_type_without_template_is_an_error_that_says_what_to_add():
    only = InstructionSet([Template(id="a", element_type="table", given=("scope",), instruction="x")])
    with pytest.raises(InstructionError, match="empty 'given'"):
        only.prompt("x", "table", QueryContext())
    with pytest.raises(InstructionError, match="'step'"):
        only.prompt("x", "step", QueryContext(scope="a"))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda prompt: pickle.loads(pickle.dumps(prompt))])
def test_a_prompt_can_be_copied_and_sent_to_another_process(copied):
    prompt = Prompt("Find:", "scope: slack\nquery: post", "step.scope", bare="slack\npost")
    made = copied(prompt)
    assert (made, type(made)) == (prompt, Prompt)
    assert vars(made) == vars(prompt)
