import warnings

import pytest

from encoders import WindowEncoder, WordEncoder
from multiretriever.core import Catalog, Index, InstructionSet, MultiRetriever, Step
from multiretriever.core.errors import QueryTruncatedWarning
from multiretriever.core.instructions import Prompt
from multiretriever.core.prompts import fit_prompt

STEPS = [{"annotation": f"do thing {order}", "definition": f"core.step_{order}", "order": order} for order in range(1, 61)]


@pytest.fixture
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_a_short_query_is_left_alone_without_a_warning(quiet):
    prompt = Prompt("Find:", "annotation: do it")
    assert fit_prompt(WindowEncoder(4), prompt) == prompt.text
    assert fit_prompt(WordEncoder(), Prompt("Find:", "x " * 100_000)) == Prompt("Find:", "x " * 100_000).text


def test_the_oldest_lines_go_and_the_instruction_stays():
    prompt = Prompt("Find this:", "one a\ntwo b\nthree c\nfour d")
    with pytest.warns(QueryTruncatedWarning, match="8 tokens.* reads 5 "):
        text = fit_prompt(WindowEncoder(7), prompt)
    assert text == "Find this:\nthree c\nfour d"


def test_one_long_line_is_cut_at_a_token():
    with pytest.warns(QueryTruncatedWarning):
        text = fit_prompt(WindowEncoder(4), Prompt("Find:", "a b c d e f"))
    assert text == "Find:\nd e f"


@pytest.mark.parametrize("window", [1, 2, 3])
def test_an_instruction_that_fills_the_window_leaves_the_end_of_the_query(window):
    with pytest.warns(QueryTruncatedWarning):
        text = fit_prompt(WindowEncoder(window), Prompt("Find the thing:", "a b c d"))
    assert text.splitlines()[0] == "Find the thing:"
    assert text.endswith("d")
    assert "a" not in text.splitlines()[1]


def test_a_long_flow_keeps_its_newest_part():
    encoder = WindowEncoder(60, instructions=InstructionSet.default())
    with Index.from_catalog(Catalog([Step(name="a")]), encoder=encoder) as index:
        retriever = MultiRetriever(index)
        with pytest.warns(QueryTruncatedWarning, match="left out"):
            retriever.retrieve("now close it", "step", context={"flow": {"requirement": "all", "steps": STEPS}})
        (text,) = encoder.query_batches[-1]
    lines = text.splitlines()
    assert lines[0] == "Represent this flow for searching the step that comes last:"
    assert lines[-1] == "annotation: now close it"
    assert "do thing 60" in text
    assert "do thing 1\n" not in text
    assert len(encoder.token_starts(text)) <= encoder.window


def test_a_query_is_cut_to_what_the_encoder_was_trained_to_read(quiet):
    trained = InstructionSet(InstructionSet.default().templates, query_tokens=9)
    prompt = Prompt("Find this:", "one a\ntwo b\nthree c\nfour d")
    # 9 tokens with the two special ones: 5 beside the instruction. All 8 would fit the window, so that nothing is amiss.
    assert fit_prompt(WindowEncoder(60, instructions=trained), prompt) == "Find this:\nthree c\nfour d"
    assert fit_prompt(WindowEncoder(60, instructions=InstructionSet.default()), prompt) == prompt.text
    assert trained.with_templates([]).query_tokens == 9


def test_a_query_that_fits_neither_is_warned_of():
    trained = InstructionSet(InstructionSet.default().templates, query_tokens=9)
    with pytest.warns(QueryTruncatedWarning, match="8 tokens"):
        fit_prompt(WindowEncoder(8, instructions=trained), Prompt("Find this:", "one a\ntwo b\nthree c\nfour d"))


def test_a_flow_that_fits_gives_no_warning(quiet):
    encoder = WindowEncoder(60, instructions=InstructionSet.default())
    with Index.from_catalog(Catalog([Step(name="a")]), encoder=encoder) as index:
        MultiRetriever(index).retrieve("now close it", "step", context={"flow": {"steps": STEPS[:3]}})
    assert "do thing 1\n" in encoder.query_batches[-1][0]


def test_characters_of_several_bytes_are_counted_with_care():
    class ByteEncoder(WindowEncoder):
        def token_starts(self, text):
            return [index for index, character in enumerate(text) for _ in character.encode()]

    with pytest.warns(QueryTruncatedWarning):
        text = fit_prompt(ByteEncoder(12), Prompt("", "äöüäöüäöüä"))
    assert text == "öüäöüä"
