"""Taking requirements apart: triggers, clauses, conditions, loops."""

import time

import pytest

from multiretriever.core.drafting.outline import outline


@pytest.mark.parametrize(
    ("requirement", "trigger", "clauses"),
    [
        (
            "Every day, look up incident tasks that do not have assignees and close them.",
            "Every day",
            ["look up incident tasks that do not have assignees", "close them"],
        ),
        ("Close old tickets every Friday.", "every Friday", ["Close old tickets"]),
        ("When an incident is created, post it to Slack", "When an incident is created", ["post it to Slack"]),
        ("find servers, restart them, then tell the owner", "", ["find servers", "restart them", "tell the owner"]),
        ("Tidy up the shared drive", "", ["Tidy up the shared drive"]),
        (
            "Reset the password. Send it to the user!\nLog the call",
            "",
            ["Reset the password", "Send it to the user", "Log the call"],
        ),
        ("create a case, a mailbox and an account", "", ["create a case", "create a mailbox", "create an account"]),
    ],
)
def test_outline(requirement, trigger, clauses):
    found = outline(requirement)
    assert found.trigger == trigger
    assert [clause.text for clause in found.clauses] == clauses


@pytest.mark.parametrize(
    ("requirement", "trigger"),
    [
        ("Monday 7:00 print the list", "Monday 7:00"),
        ("print the list. Run it on the 25th.", "on the 25th"),
        ("Print the list. This should happen at the beginning of each month.", "at the beginning of each month"),
        ("Trigger: a visitor arrives\nWanted: greet the visitor", "a visitor arrives"),
        ("Whenever a gate breaks -> call the smith", "Whenever a gate breaks"),
        ("Order of a key - cut it, send it", "Order of a key"),
        ("Gate broken: call the smith", "Gate broken"),
        ("call the smith whenever a gate breaks", "whenever a gate breaks"),
        ("Tidy the yard (each time a tree falls), then call the smith", "each time a tree falls"),
        ("Hi all, once a week, print the list. Thanks, Kim", "once a week"),
        ("We do this by hand today. When a gate breaks, call the smith.", "When a gate breaks"),
        ("When a gate breaks the smith must be called", "When a gate breaks"),
        ("As soon as a gate breaks call the smith", "As soon as a gate breaks"),
        ("gates that nobody oiled for 5 days -> oil them every night", "every night"),
        ("check the gate every 10 min and call the smith if it is open", "every 10 min"),
    ],
)
def test_words_that_say_when_it_starts(requirement, trigger):
    assert outline(requirement).trigger == trigger


def test_conditions_actions_and_what_refers_back():
    first, second = outline("Look up alerts. If the host is down, page the engineer about it.").clauses
    assert (first.verb, first.action, first.refers) == ("look up", "find", False)
    assert (second.condition, second.refers, second.object) == ("the host is down", True, "the engineer about")


@pytest.mark.parametrize(
    "requirement",
    [
        "Ask the boss. If the gate is open, close it, otherwise call the smith.",
        "Ask the boss. If the gate is open close it; otherwise call the smith",
        "Ask the boss. The gate is open? Close it. If not, call the smith.",
        "1. ask the boss\n2. if the gate is open:\n  - close it\n3. otherwise:\n  - call the smith",
    ],
)
def test_if_and_otherwise(requirement):
    first, second, third = outline(requirement).clauses
    assert first.condition == ""
    assert second.condition.lower() == "the gate is open"
    assert second.text.lower() == "close it"
    assert (third.condition, third.text) == ("", "call the smith")
    assert third.otherwise


def test_a_condition_at_the_end_of_a_clause():
    clauses = outline("Every day, call the smith if the gate is open").clauses
    assert [(clause.text, clause.condition) for clause in clauses] == [("call the smith", "the gate is open")]


@pytest.mark.parametrize(
    ("requirement", "each"),
    [
        ("Find gates. For each of them: oil it", "For each of them"),
        ("Find gates. For every gate that is old, oil it", "For every gate that is old"),
        ("Find gates and for all gates open them", "for all gates"),
        ("Find gates. One by one: oil it", "One by one"),
        ("Find gates. Do this for each gate: oil it", "Do this for each gate"),
    ],
)
def test_loops(requirement, each):
    clauses = outline(requirement).clauses
    assert clauses[0].text == "Find gates"
    assert (clauses[-1].each, clauses[-1].text.split()[0]) in ((each, "oil"), (each, "open"))


@pytest.mark.parametrize(
    "requirement", ["call the smith, wait two days and call again", "call the smith. After 2 days call again"]
)
def test_waits(requirement):
    clauses = outline(requirement).clauses
    assert [clause.action for clause in clauses] == ["other", "wait", "other"]


def test_verbs_of_a_catalog_start_clauses():
    assert [clause.text for clause in outline("call the smith, galvanise the gate").clauses] == [
        "call the smith, galvanise the gate"
    ]
    found = outline("call the smith, galvanise the gate", verbs=["galvanise"]).clauses
    assert [clause.text for clause in found] == ["call the smith", "galvanise the gate"]


@pytest.mark.parametrize(
    "text",
    [
        "if ",
        "the ",
        "when the thing of the thing is done ",
        "find rows, ",
        "wait 5 days and ",
        "(",
        '"',
        "\n- ",
        "every ",
        "-> ",
        "x",
    ],
)
def test_no_text_takes_long(text):
    start = time.monotonic()
    outline(text * (40_000 // len(text)))
    assert time.monotonic() - start < 20


@pytest.mark.parametrize("text", ["?!...", "->", "- - -", "“”", ":::", "\n\n"])
def test_nothing_is_made_of_punctuation(text):
    assert outline(text) == outline("")
    assert outline(text).clauses == ()
