"""LLMs of LlamaIndex in dialogues."""

import pydantic
import pytest
from llama_index.core.base.llms.types import LLMMetadata
from llama_index.core.llms import MockLLM

from models import EndlessLLM, FakeLLM, llama_index_model
from multiretriever.core import MissingDependencyError
from multiretriever.core.errors import LLMError
from multiretriever.grounding.dialogue import MAX_ANSWER, Dialogue, aconverse, converse, read_answer
from multiretriever.llama_index import achat_with, chat_with, init_llm


class Order(pydantic.BaseModel):
    """What is ordered."""

    item: str
    number: int


USER = "Two pens, {{please}} {x}."
GOOD = '{"item": "pen", "number": 2}'


def dialogue(**options):
    return Dialogue("You take orders.", USER, lambda text: read_answer(text, Order), schema=Order, **options)


async def both(model):
    return converse(dialogue(), chat_with(model)), await aconverse(dialogue(), achat_with(model))


async def test_roles_and_braces_arrive_as_they_are():
    model = llama_index_model(GOOD, GOOD)
    for reading in await both(model):
        assert reading.value == Order(item="pen", number=2)
    for system, user in model.asked:
        assert (system.role, system.content) == ("system", "You take orders.")
        assert (user.role, user.content) == ("user", USER)


async def test_a_faulty_answer_is_sent_back_with_its_faults():
    model = llama_index_model("no idea", GOOD, "{}", GOOD)
    for reading in await both(model):
        assert reading.value.number == 2
    assert [item.role for item in model.asked[3]] == ["system", "user", "assistant", "user"]
    assert "number" in model.asked[3][-1].content


class Calling(FakeLLM):
    """Can be held to a form, as models that call functions are."""

    templates: list = []

    @property
    def metadata(self):
        return LLMMetadata(model_name="fake", is_function_calling_model=True)

    def structured_predict(self, output_cls, prompt, llm_kwargs=None, **values):
        self.templates.append(prompt.format_messages(**values))
        return output_cls.model_validate_json(next(self.answers))

    async def astructured_predict(self, output_cls, prompt, llm_kwargs=None, **values):
        return self.structured_predict(output_cls, prompt, **values)


async def test_a_model_that_calls_functions_is_held_to_the_form():
    model = Calling(answers=iter([GOOD, "{}", GOOD]), templates=[])
    for reading in await both(model):
        assert reading.value == Order(item="pen", number=2)
    assert [item.content for item in model.templates[0]] == ["You take orders.", USER]
    assert "number" in model.templates[2][-1].content


async def test_an_endless_answer_is_cut():
    model = EndlessLLM(answers=iter([]), asked=[])
    for reading in await both(model):
        assert reading.value is None
        assert "longer than" in reading.faults[0]
    assert model.chunks < 2 * 3 * (MAX_ANSWER / 100 + 2)


async def test_a_model_that_fails_is_a_typed_error():
    model = llama_index_model()
    with pytest.raises(LLMError, match="did not answer"):
        converse(dialogue(), chat_with(model))
    with pytest.raises(LLMError, match="did not answer"):
        await aconverse(dialogue(), achat_with(model))


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("", LLMError, "expected MODULE:CLASS:MODEL"),
        ("openai", LLMError, "expected MODULE:CLASS:MODEL"),
        ("no_such_module:LLM", MissingDependencyError, "pip install no-such-module"),
        ("llama_index.core.llms:ChatMessage", LLMError, "is no LLM"),
        ("llama_index.core.llms:CustomLLM", LLMError, "cannot be set up"),
    ],
)
def test_an_unknown_model_is_a_typed_error(name, error, words):
    with pytest.raises(error, match=words):
        init_llm(name)


def test_a_model_by_name():
    assert isinstance(init_llm("llama_index.core.llms:MockLLM"), MockLLM)
