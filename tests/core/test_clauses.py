"""Cutting requirements into clauses."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiretriever.core.clauses import split_clauses

ITEM = r"(?:\A|\n)[ \t]*(?:\d{1,3}|[A-Za-z])[.)][ \t]+"


def texts(requirement):
    return [clause.text for clause in split_clauses(requirement)]


@pytest.mark.parametrize(
    ("requirement", "clauses"),
    [
        ("Tidy up the shared drive", ["Tidy up the shared drive"]),
        ("Every day, look up open tasks.", ["Every day", "look up open tasks"]),
        ("find servers; restart them, then tell the owner", ["find servers", "restart them", "then tell the owner"]),
        ("Reset it. Send it to the user!\nLog the call?", ["Reset it", "Send it to the user", "Log the call"]),
        ("Gate broken: call the smith", ["Gate broken", "call the smith"]),
        ("a gate breaks -> call the smith → log it", ["a gate breaks", "call the smith", "log it"]),
        ("- ask the boss\n  * close it\n\n• log it", ["ask the boss", "close it", "log it"]),
        ("1. ask the boss\n2) close it\na) log it", ["ask the boss", "close it", "log it"]),
        ("毎日、病気の動物を探す。飼育員に連絡する。", ["毎日", "病気の動物を探す", "飼育員に連絡する"]),
    ],
)
def test_sentences_items_and_commas(requirement, clauses):
    assert texts(requirement) == clauses


@pytest.mark.parametrize(
    "whole",
    [
        "raise it by 1.5 or 1,000 at 8:30",
        "post to a channel e.g. Slack",
        "wait until 5 p.m. on Friday",
        'send "Hello, you. Come; now!" to them',
        "send 'Hello, you. Come now!' to the user's mail",
        "send “Hello, you.” and «a, b» to them",
        "ask everybody (the boss, the smith; all) for it",
        "log {{1.record, x}} and `a, b`",
        "restart web-01.example.org",
    ],
)
def test_what_is_not_cut(whole):
    assert texts(whole) == [whole]


@pytest.mark.parametrize("empty", ["", "  ", "?!...", "->", "\n- \n"])
def test_text_without_words_has_no_clauses(empty):
    assert split_clauses(empty) == ()


def test_an_opening_that_nothing_closes_keeps_nothing_together():
    assert texts('say "hello, close it') == ['say "hello', "close it"]
    assert texts("(a, b") == ["(a", "b"]


@given(st.text(alphabet=st.sampled_from("ab1 .,;:!?\n-'\"(){}“”。、→>\ud800"), max_size=80))
def test_a_clause_tells_its_place_and_no_word_is_lost(requirement):
    clauses = split_clauses(requirement)
    end = 0
    for clause in clauses:
        assert clause.text == requirement[clause.start : clause.end] != ""
        assert not re.search(r"\w", re.sub(ITEM, "", requirement[end : clause.start]))
        assert clause.start >= end
        end = clause.end


@pytest.mark.parametrize("part", ['"', "“", "(", "{{", "'", "a, ", " ' a", "1. ", "\n- "])
def test_a_long_text_takes_no_longer_for_what_is_in_it(part):
    started = time.perf_counter()
    split_clauses(part * (100_000 // len(part)))
    assert time.perf_counter() - started < 3
