"""Chat models of LangChain in dialogues."""

import pydantic
import pytest

from models import EndlessChatModel, ToolCallingChatModel, langchain_model
from multiretriever.core.errors import LLMError
from multiretriever.grounding.dialogue import MAX_ANSWER, Dialogue, Reading, aconverse, converse, read_answer
from multiretriever.langchain import achat_with, chat_with, init_model


class Order(pydantic.BaseModel):
    """What is ordered."""

    item: str
    number: int


def dialogue(**options):
    return Dialogue("You take orders.", "Two pens, {{please}}.", lambda text: read_answer(text, Order), schema=Order, **options)


GOOD = '{"item": "pen", "number": 2}'


async def both(model):
    """Holds the dialogue at once and awaited."""
    return converse(dialogue(), chat_with(model)), await aconverse(dialogue(), achat_with(model))


async def test_roles_and_braces_arrive_as_they_are():
    model = langchain_model(GOOD, GOOD)
    for reading in await both(model):
        assert reading.value == Order(item="pen", number=2)
    for system, user in model.asked:
        assert (system.type, system.text) == ("system", "You take orders.")
        assert (user.type, user.text) == ("human", "Two pens, {{please}}.")


async def test_a_faulty_answer_is_sent_back_with_its_faults():
    model = langchain_model("no idea", GOOD, "{}", GOOD)
    for reading in await both(model):
        assert reading.value.number == 2
    assert [item.type for item in model.asked[3]] == ["system", "human", "ai", "human"]
    assert "number" in model.asked[3][-1].text


def tooled(*arguments):
    return ToolCallingChatModel(messages=iter(arguments), asked=[], bound=[])


async def test_a_model_with_tool_calls_is_held_to_the_form():
    model = tooled(GOOD, GOOD)
    for reading in await both(model):
        assert reading.value == Order(item="pen", number=2)
    assert model.bound == [[Order], [Order]]


def test_arguments_that_do_not_fit_the_form_are_faults():
    model = tooled('{"item": "pen"}', '{"item": "pen", "number": 1}')
    assert converse(dialogue(), chat_with(model)).value.number == 1
    assert "number" in model.asked[1][-1].text


async def test_half_an_answer_is_not_completed_by_guessing():
    # LangChain reads {"item": "pe as {"item": "pe"}.
    half = '{"number": 2, "item": "pe'
    model = tooled(half, GOOD, half, GOOD)
    for reading in await both(model):
        assert reading.value == Order(item="pen", number=2)
    assert len(model.asked) == 4


async def test_an_endless_call_is_ended():
    model = tooled(*['{"item": "' + "n" * 40_000] * 6)
    for reading in await both(model):
        assert reading.value is None
        assert "longer than" in reading.faults[0]


async def test_an_endless_answer_is_cut():
    model = EndlessChatModel(messages=iter([]), asked=[])
    for reading in await both(model):
        assert reading.value is None
        assert "longer than" in reading.faults[0]
    assert model.chunks < 2 * 3 * (MAX_ANSWER / 100 + 2)


async def test_a_model_that_fails_is_a_typed_error():
    model = langchain_model()
    with pytest.raises(LLMError, match="did not answer"):
        converse(dialogue(), chat_with(model))
    with pytest.raises(LLMError, match="did not answer"):
        await aconverse(dialogue(), achat_with(model))


def test_without_a_form_text_is_text():
    reading = converse(Dialogue("s", "u", lambda text: Reading(text)), chat_with(langchain_model("some  text\n")))
    assert reading.value == "some  text\n"


@pytest.mark.parametrize("name", ["nonsense", "no-such-provider:model", ""])
def test_an_unknown_model_is_a_typed_error(name):
    with pytest.raises((LLMError, ImportError)) as caught:
        init_model(name)
    assert type(caught.value).__module__ == "multiretriever.core.errors"
