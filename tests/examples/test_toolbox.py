import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from multiretriever.core import Catalog, ParameterError, Step
from multiretriever.core.elements import StepInput
from multiretriever.grounding.tool_check import MAX_RESULT, OperationError, ToolCall, step_tools
from toolbox import Toolbox

STEPS = [Step(scope="shop", name=name, inputs=(StepInput(name="id", required=True),)) for name in ("open", "close", "wipe")]


class Service:
    def __init__(self, answer=None, error=None):
        self.called = []
        self.answer = answer
        self.error = error

    def __call__(self, step, arguments):
        self.called.append((step.id, arguments))
        if self.error is not None:
            raise self.error
        return self.answer if self.answer is not None else {"id": arguments["id"]}


def toolbox(service, acall=None, **options):
    return Toolbox(step_tools(Catalog(STEPS), service, acall=acall), **options)


def call(name="shop_open", arguments=None, number="1"):
    return ToolCall(number, name, {"id": "7"} if arguments is None else arguments)


OFFERED = ["shop_open", "shop_close"]
NOW = "the tools that can be called now are shop_open, shop_close"


@pytest.mark.parametrize(
    ("wrong", "fault", "told"),
    [
        (call("shop_burn"), "unknown", f"there is no tool 'shop_burn'; nothing was run; {NOW}"),
        (call(""), "unknown", "no tool ''"),
        (call("shop_wipe"), "not_offered", f"not offered in this turn; nothing was run; {NOW}"),
        (call("shop.open"), "unknown", "no tool"),
        (call(arguments={}), "arguments", "'id' is a required property"),
        (call(arguments={"id": 7}), "arguments", "id: 7 is not of type 'string'"),
        (call(arguments={"id": "7", "force": True}), "arguments", "force"),
        (call(arguments='{"id": "7'), "arguments", "expected one object of JSON"),
        (call(arguments=["7"]), "arguments", "object"),
    ],
)  # fmt: skip
async def test_nothing_runs_that_is_unknown_or_does_not_fit(wrong, fault, told):
    service = Service()
    box = toolbox(service)
    for outcomes in (box.run([wrong], OFFERED), await box.arun([wrong], OFFERED)):
        (outcome,) = outcomes
        assert (outcome.fault, outcome.step, outcome.call) == (fault, None, wrong)
        assert told in outcome.text
    assert service.called == []


async def test_what_fits_runs_once_and_in_order():
    service = Service()
    box = toolbox(service)
    calls = [call(), call("nothing", number="2"), call("shop_close", {"id": "8"}, "3")]
    outcomes = box.run(calls, OFFERED)
    assert [outcome.fault for outcome in outcomes] == [None, "unknown", None]
    assert service.called == [("shop.open", {"id": "7"}), ("shop.close", {"id": "8"})]
    assert outcomes[0].text == '{"id": "7"}'
    assert outcomes[0].step.id == "shop.open"
    assert await box.arun(calls, OFFERED) == outcomes
    assert len(service.called) == 4


async def test_an_awaited_service_is_awaited():
    async def acall(step, arguments):
        await asyncio.sleep(0)
        return f"awaited {step.name}"

    box = toolbox(Service(), acall=acall)
    assert [outcome.text for outcome in await box.arun([call()], OFFERED)] == ["awaited open"]


async def test_too_many_calls_in_one_answer():
    service = Service()
    box = toolbox(service, max_calls=2)
    calls = [call(number=str(number)) for number in range(500)]
    for outcomes in (box.run(calls, OFFERED), await box.arun(calls, OFFERED)):
        assert [outcome.fault for outcome in outcomes] == [None, None, *["too_many"] * 498]
        assert [outcome.call.id for outcome in outcomes] == [item.id for item in calls]
    assert len(service.called) == 4
    with pytest.raises(ParameterError, match="max_calls"):
        toolbox(service, max_calls=0)


async def test_errors_of_the_service():
    refused = toolbox(Service(error=OperationError("404: there is no 7")))
    broken = toolbox(Service(error=RuntimeError("password=secret at https://inside")))
    for box, told in ((refused, "the call failed: 404: there is no 7"), (broken, "the call failed: RuntimeError")):
        for outcome in (*box.run([call()], OFFERED), *(await box.arun([call()], OFFERED))):
            assert (outcome.fault, outcome.text, outcome.step.id) == ("failed", told, "shop.open")


def test_results_are_json_and_cut():
    assert toolbox(Service(answer={"a": object})).run([call()], OFFERED)[0].fault is None
    (outcome,) = toolbox(Service(answer="x" * 1_000_000)).run([call()], OFFERED)
    assert len(outcome.text) < MAX_RESULT + 100
    circle = []
    circle.append(circle)
    assert toolbox(Service(answer=circle)).run([call()], OFFERED)[0].fault == "failed"


def test_arguments_are_handed_over_as_a_copy():
    def service(step, arguments):
        arguments.clear()

    arguments = {"id": "7"}
    toolbox(service).run([call(arguments=arguments)], OFFERED)
    assert arguments == {"id": "7"}


def test_many_threads():
    barrier = threading.Barrier(4)

    def service(step, arguments):
        barrier.wait(timeout=30)
        return arguments["id"]

    box = toolbox(service)
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(box.run, [call(arguments={"id": str(number)})], OFFERED) for number in range(4)]
        assert [job.result()[0].text for job in jobs] == ["0", "1", "2", "3"]


def test_names_of_steps():
    box = toolbox(Service())
    assert box.names(["shop.wipe", "shop.nothing", "shop.open"]) == ["shop_wipe", "shop_open"]
