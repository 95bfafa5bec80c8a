"""Stages in the words of a requirement."""

import time

import pytest

from multiretriever.core.generation.playbook_stages import take_apart


@pytest.mark.parametrize(
    ("requirement", "title", "stages"),
    [
        (
            "Leaver:\n1. announce\n2. disable the\n   accounts\n3. collect",
            "Leaver",
            ["announce", "disable the accounts", "collect"],
        ),
        ("Leaver\n- announce\n* disable", "Leaver", ["announce", "disable"]),
        ("a) order it\nb) build it", "", ["order it", "build it"]),
        ("Phishing: 1) forward it 2) remove it", "Phishing", ["forward it", "remove it"]),
        ("Dismissal: first lock, then collect, and finally free seats.", "Dismissal", ["lock", "collect", "free seats"]),
        ("We need a server. First order it. Afterwards watch it.", "We need a server", ["order it", "watch it"]),
        (
            "On the first day a badge. Also a key. Within a month a class.",
            "",
            ["on the first day a badge; also a key", "within a month a class"],
        ),
        ("Lost. Immediately: report it. Next day: hand out another.", "Lost", ["report it", "hand out another"]),
        ("Every night retry, every month test", "", ["every night retry", "every month test"]),
        ("a site in the first week; a cloud in the second week", "", ["a site in the first week", "a cloud in the second week"]),
        ("plan it; swap it; page them", "", ["plan it", "swap it", "page them"]),
        ("Do this. Do that.", "", ["do this", "do that"]),
        ("Order a laptop", "", ["order a laptop"]),
    ],
)
def test_take_apart(requirement, title, stages):
    parts = take_apart(requirement)
    assert parts.title == title
    assert [item.purpose.lower() for item in parts.stages] == stages


@pytest.mark.parametrize(
    ("requirement", "names"),
    [
        ("On the first day a badge. Within a month a class.", ["On the first day", "Within a month"]),
        ("a site in the first week; a cloud in the second week", ["In the first week", "In the second week"]),
        ("X:\n- eight weeks ahead: the line\n- opening day: guests", ["Eight weeks ahead", "Opening day"]),
        ("first order a big new server for us all, then watch", ["Order a big new server", "Watch"]),
    ],
)
def test_names(requirement, names):
    assert [item.name for item in take_apart(requirement).stages] == names


@pytest.mark.parametrize("text", ["", "  \n ", "...", "- \n- ", ":", ";;;", "1. 2. 3."])
def test_odd_text_is_no_error(text):
    assert len(take_apart(text).stages) <= 3


LONG = ["a" * 100_000, " " * 99_999 + "a", "on " * 33_000, "- a\n" * 25_000, "a, and " * 14_000, ". " * 50_000]
LONG += ["first " * 16_000, "a:" * 50_000, "\n" * 99_999 + "a", "1) " * 33_000, "and\t" * 25_000]


@pytest.mark.parametrize("text", LONG)
def test_long_text_is_taken_apart_in_no_time(text):
    started = time.perf_counter()
    parts = take_apart(text)
    assert time.perf_counter() - started < 5
    assert len(parts.stages) <= 50_000
