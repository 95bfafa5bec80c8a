"""The rules over a catalog with names of its own: nothing in them may depend on the ids of one catalog."""

import pytest


def steps_of(draft):
    return [(step.definition.split(".")[1], step.block) for step in draft.flow.steps]


@pytest.mark.parametrize(
    ("words", "trigger"),
    [
        ("Every morning, ", "base.every_day"),
        ("Each weekday at 8:30, ", "base.every_day"),
        ("Every Friday, ", "base.every_week"),
        ("When a new animal is registered, ", "base.row_added"),
        ("As soon as the health of an animal is set to ill, ", "base.row_changed"),
        ("When a keeper sends a distress call, ", "radio.distress_call"),
    ],
)
def test_triggers(draft, words, trigger):
    made = draft(f"{words}call the keeper over the radio")
    assert made.flow.trigger.definition == trigger
    assert [name for name, _ in steps_of(made)] == ["call_keeper"]
    assert made.check.valid


def test_what_a_trigger_is_given(draft):
    assert draft("Each weekday at 8:30, call the keeper").flow.trigger.inputs == {"time": "08:30"}
    assert draft("Every Friday, call the keeper").flow.trigger.inputs == {"day": "friday"}
    changed = draft("As soon as the health of an animal is set to ill, call the keeper").flow.trigger
    assert changed.inputs == {"source": "animal", "filter": "health=ill"}


@pytest.mark.parametrize(
    ("words", "conditions"),
    [
        ("without a keeper", "keeperISEMPTY"),
        ("that do not have a keeper", "keeperISEMPTY"),
        ("that are in quarantine", "health=in_quarantine"),
        ("that are ill or in quarantine", "healthINill,in_quarantine"),
        ("that are not healthy", "health!=healthy"),
        ("that are vaccinated", "vaccinated=true"),
        ("that are not vaccinated", "vaccinated=false"),
        ("not checked for 30 days", "last_checked_onBEFORE30 days ago"),
        ("last checked more than two weeks ago", "last_checked_onBEFORE2 weeks ago"),
        ("checked in the last 5 days", "last_checked_onAFTER5 days ago"),
        ("with a weight of more than 1,000", "weight>1000"),
        ("with a weight below 20", "weight<20"),
        ("with a weight of at least five", "weight>=5"),
    ],
)
def test_conditions(draft, words, conditions):
    found = draft(f"Every day, find animals {words} and call the keeper").flow.steps[0]
    assert found.definition == "base.find_rows"
    assert found.inputs == {"source": "animal", "filter": conditions}


@pytest.mark.parametrize(
    "requirement",
    [
        "Every day, find animals that are ill. For each of them: call the keeper",
        "Every day, find animals that are ill and call the keeper of each",
        "animals that are ill -> call the keeper, every day",
        "Every day, for all animals that are ill, call the keeper",
        "Every day: animals that are ill. Call the keeper.",
    ],
)
def test_loops(draft, requirement):
    made = draft(requirement)
    assert steps_of(made) == [("find_rows", 0), ("loop", 0), ("call_keeper", 2)]
    assert made.flow.steps[1].inputs == {"rows": "{{1.records}}"}
    assert made.check.valid


def test_a_step_that_takes_the_list_stands_in_no_loop(draft):
    made = draft("Every day, find animals that are ill and print the feeding plan")
    assert steps_of(made) == [("find_rows", 0), ("print_feeding_plan", 0)]
    assert made.flow.steps[1].inputs == {"rows": "{{1.records}}"}


def test_if_and_otherwise(draft):
    made = draft("When a new animal is registered, weigh food. If it is ill, call the keeper, otherwise play an announcement.")
    assert steps_of(made) == [("weigh_food", 0), ("condition", 0), ("call_keeper", 2), ("otherwise", 0), ("play_announcement", 4)]
    assert made.flow.steps[1].inputs == {"test": "it is ill"}
    assert made.flow.steps[1].annotation == "if it is ill"


def test_blocks_in_a_loop(draft):
    made = draft("Every day, find animals not checked for 5 days. If it is ill, call the keeper, else weigh food.")
    assert made.flow.steps[0].definition == "base.find_rows"
    assert {"condition", "otherwise", "call_keeper", "weigh_food"} <= {name for name, _ in steps_of(made)}
    assert made.check.valid


def test_what_follows_an_approval_depends_on_it(draft):
    made = draft("When a new animal is registered, request approval of the director, then call the keeper.")
    assert steps_of(made) == [("request_approval", 0), ("condition", 0), ("call_keeper", 2)]


def test_waiting_and_ending(draft):
    made = draft("When a new animal is registered, weigh food, wait two days, call the keeper. If nobody answers, stop.")
    assert [name for name, _ in steps_of(made)] == ["weigh_food", "pause", "call_keeper", "condition", "terminate"]
    assert made.flow.steps[1].inputs == {"time": "2 days"}


@pytest.mark.parametrize(
    ("clause", "values"),
    [
        ("cancel it", {"state": "cancelled"}),
        ("set the state to done", {"state": "done"}),
        ("mark it as done", {"state": "done"}),
        ("assign it to the night team", {"assigned_team": "night team"}),
        ("set the title to Evening round", {"title": "Evening round"}),
    ],
)
def test_values_of_a_changed_record(draft, clause, values):
    step = draft(f"When a new feeding round is created, {clause}").flow.steps[0]
    assert step.definition == "base.change_row"
    assert step.inputs == {"row": "{{trigger.record}}", "target": "feeding_round", "content": values}


def test_values_of_a_new_record(draft):
    step = draft("Every Friday, create a planned feeding round for the night team").flow.steps[0]
    assert step.definition == "base.add_row"
    assert step.inputs["target"] == "feeding_round"
    assert step.inputs["content"]["state"] == "planned"
    assert step.inputs["content"]["assigned_team"] == "night team"


def test_counting_and_deleting(draft):
    made = draft("Every Friday, count the animals that are ill")
    assert steps_of(made) == [("count_rows", 0)]
    assert made.flow.steps[0].inputs == {"source": "animal", "filter": "health=ill"}
    made = draft("Every Friday, find feeding rounds that are cancelled and delete them")
    assert steps_of(made) == [("find_rows", 0), ("loop", 0), ("erase_row", 2)]
    assert made.flow.steps[2].inputs == {"row": "{{2.item}}"}


def test_what_nothing_is_said_of_is_left_open(draft):
    made = draft("Every Friday, weigh food and call the keeper")
    assert made.flow.steps[1].inputs == {"text": "{{input.text}}"}
    assert draft('Every Friday, call the keeper "Feed the seals"').flow.steps[0].inputs == {"text": "Feed the seals"}
