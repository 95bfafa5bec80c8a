"""Transcripts: what was asked and answered, kept, and answered again."""

import json

import pytest

from multiretriever.core import ParameterError
from multiretriever.core.errors import LLMError
from multiretriever.grounding.dialogue import Message
from multiretriever.grounding.journal import Transcript

ONE, OTHER = [Message("system", "s"), Message("user", "ü {x}")], [Message("user", "b")]


def model(*answers):
    left = list(answers)
    return lambda messages, schema: left.pop(0)


def test_answers_are_kept_and_given_again(tmp_path):
    path = tmp_path / "deep" / "kept.jsonl"
    first = Transcript(path, model("1", "2", "3"))
    assert [first(ONE), first(OTHER), first(ONE)] == ["1", "2", "3"]
    assert len(path.read_text(encoding="utf-8").splitlines()) == 3
    assert json.loads(path.read_text(encoding="utf-8").splitlines()[0])["messages"][1] == {"role": "user", "text": "ü {x}"}
    # The same question twice has its answers in their order, whatever stands between.
    again = Transcript(path)
    assert [again(ONE), again(ONE), again(OTHER)] == ["1", "3", "2"]


def test_what_is_not_there_is_asked_or_is_an_error(tmp_path):
    path = tmp_path / "kept.jsonl"
    Transcript(path, model("1"))(ONE)
    with pytest.raises(LLMError, match="no answer to this question"):
        Transcript(path)(OTHER)
    more = Transcript(path, model("2"))
    assert [more(ONE), more(OTHER)] == ["1", "2"]
    assert Transcript(path)(OTHER) == "2"


def test_a_line_that_a_killed_run_left_is_passed_over_and_another_is_an_error(tmp_path):
    path = tmp_path / "kept.jsonl"
    Transcript(path, model("1"))(ONE)
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole + whole[:20], encoding="utf-8")
    torn = Transcript(path, model("2"))
    assert torn(ONE) == "1"
    assert torn(OTHER) == "2"
    assert [Transcript(path)(ONE), Transcript(path)(OTHER)] == ["1", "2"]
    path.write_text("nonsense\n" + whole, encoding="utf-8")
    with pytest.raises(ParameterError, match=r"kept.jsonl:1"):
        Transcript(path)


def test_answers_of_two_models_do_not_mix(tmp_path):
    path = tmp_path / "kept.jsonl"
    Transcript(path, model("1"), model="one")(ONE)
    assert Transcript(path, model="one")(ONE) == "1"
    assert Transcript(path)(ONE) == "1"
    with pytest.raises(ParameterError, match="'two' needs a file of its own"):
        Transcript(path, model("2"), model="two")
