import pytest

from multiretriever.core import Catalog, Field, Flow, Step, Table, Workflow
from multiretriever.core.errors import LeakageError
from multiretriever.core.example import Example
from multiretriever.datasets import Dataset
from multiretriever.datasets.checks import find_leaks
from multiretriever.evaluation import evaluate

CATALOG = Catalog(
    [
        Step(
            scope="chat",
            name="post",
            label="Post message to channel",
            description="Writes a text; to everybody in a team.\nFast!",
        ),
        Step(scope="chat", name="mail", label="Send mail", description="Sends mail"),
        Table(scope="hr", name="leave_request", label="Leave request", description="A wish for days off."),
        Field(scope="hr", table="leave_request", name="start_date", label="Start date", description="First day."),
        Workflow(
            name="away",
            flow=Flow(
                name="away",
                requirement="Tell the team who is away",
                steps=[{"annotation": "ask the calendar", "definition": "x"}],
            ),
        ),
    ]
)


def leaks(query, element_type, relevant):
    return find_leaks(Dataset(CATALOG), [Example("q", element_type, query, (relevant,))])


@pytest.mark.parametrize(
    ("query", "element_type", "relevant"),
    [
        ("writes a TEXT, to   everybody", "step", "chat.post"),  # case, punctuation and white space do not count
        ("everybody in a team. fast", "step", "chat.post"),  # over the end of a line
        ("First day", "field", "hr.leave_request.start_date"),  # short, and a whole sentence
        ("fast", "step", "chat.post"),
        ("Tell the team who is away", "workflow", "away"),
        ("ask the calendar", "workflow", "away"),
    ],
)
def test_refused(query, element_type, relevant):
    (leak,) = leaks(query, element_type, relevant)
    assert (leak.dataset, leak.query_id, leak.element_type, leak.element_id) == ("dataset", "q", element_type, relevant)


@pytest.mark.parametrize(
    ("query", "element_type", "relevant"),
    [
        ("Post message to channel", "step", "chat.post"),  # people search by names
        ("start_date", "field", "hr.leave_request.start_date"),
        ("leave request", "field", "hr.leave_request.start_date"),  # the name of its table
        ("a text", "step", "chat.post"),  # short, and part of a sentence
        ("everybody in a teamwork", "step", "chat.post"),  # another word
        ("to everybody a team", "step", "chat.post"),  # not side by side
        ("Send mail", "step", "chat.mail"),
        ("Start date", "table", "hr.leave_request"),
        ("???", "step", "chat.post"),
    ],
)
def test_let_pass(query, element_type, relevant):
    assert leaks(query, element_type, relevant) == []


def test_any_document_that_is_searched_counts():
    (leak,) = leaks("writes a text to everybody", "step", "chat.mail")
    assert leak.element_id == "chat.post"
    # Steps are not searched for tables.
    assert leaks("writes a text to everybody", "table", "hr.leave_request") == []


def test_a_description_that_repeats_the_label_is_a_name():
    catalog = Catalog([Step(name="close", label="Close the whole record", description="close the whole record.")])
    assert find_leaks(Dataset(catalog), [Example("q", "step", "close the whole record", ("close",))]) == []


def test_evaluation_refuses_or_counts(fixed):
    queries = [Example("q1", "step", "writes a text to everybody", ("chat.post",)), Example("q2", "step", "mail", ("chat.mail",))]
    dataset = Dataset(CATALOG, name="leaky", queries=queries)
    system = fixed("any", {"q1": ["chat.post"]})
    with pytest.raises(LeakageError) as caught:
        evaluate(dataset, [system])
    assert [problem.field for problem in caught.value.problems] == ["query 'q1'"]
    assert "leaky" in str(caught.value)
    assert "'chat.post'" in str(caught.value)
    assert system.chunks == []
    report = evaluate(dataset, [system], allow_leakage=True)
    assert [leak.query_id for leak in report.leaks] == ["q1"]
    assert len(report.queries) == 2
