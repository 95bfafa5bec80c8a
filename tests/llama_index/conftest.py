import asyncio
import time

import pytest

from encoders import WordEncoder
from multiretriever.core import Catalog, CatalogItem, Field, Index, InstructionSet, MultiRetriever, Step, Table, Workflow


class SlowEncoder(WordEncoder):
    """Takes a while, as a large model does."""

    seconds = 0.0

    def _encode(self, texts):
        time.sleep(self.seconds)
        return super()._encode(texts)


@pytest.fixture(scope="session")
def catalog():
    return Catalog(
        [
            Step(scope="slack", name="post_message", label="Post message", description="Sends a message to a channel"),
            Step(scope="slack", name="create_channel", label="Create channel", description="Opens a new channel"),
            Step(scope="core", name="create_record", label="Create record", metadata={"tags": ["write"], "rank": 99}),
            Step(scope="core", name="look_up_records", label="Look up records", description="Finds records of a table"),
            Step(scope="core", name="for_each", label="For each", kind="logic"),
            Table(scope="core", name="incident", label="Incident", description="Something is broken", extends="task"),
            Table(scope="core", name="task", label="Task", description="Work to be done"),
            Field(scope="core", table="incident", name="priority", label="Priority", data_type="integer"),
            Field(scope="core", table="incident", name="caller", label="Caller", reference="user"),
            Field(scope="core", table="task", name="priority", label="Priority", data_type="integer"),
            Field(scope="core", table="task", name="state", label="State"),
            CatalogItem(scope="core", name="laptop", label="Laptop", description="Orders a laptop"),
            # The id of a table too, on purpose.
            CatalogItem(scope="core", name="incident", label="Report an incident", description="Something is broken"),
            Workflow(scope="core", name="onboard_user", label="Onboard user", description="Gives a laptop to a new user"),
        ]
    )


@pytest.fixture
def encoder():
    return SlowEncoder(instructions=InstructionSet.default())


@pytest.fixture
def multi(catalog, encoder):
    with MultiRetriever(Index.from_catalog(catalog, encoder=encoder)) as retriever:
        encoder.query_batches.clear()
        yield retriever


@pytest.fixture
def ticks():
    """Runs something asynchronous and counts how often another task has its turn meanwhile, every hundredth of a second."""

    async def run(awaitable):
        count = 0

        async def tick():
            nonlocal count
            while True:
                await asyncio.sleep(0.01)
                count += 1

        ticker = asyncio.create_task(tick())
        try:
            result = await awaitable
        finally:
            ticker.cancel()
        return result, count

    return run


@pytest.fixture
def ids():
    return lambda nodes: [node.node.node_id for node in nodes]
