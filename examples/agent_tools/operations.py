"""What both agents share: the operations of the company as tools, their index, and the command line.

Nothing here knows a framework.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from company import FakeBackend, write_documents
from multiretriever.core import Catalog, Encoder, Hit, Index, MultiRetriever
from multiretriever.core.errors import MultiRetrieverError
from multiretriever.core.names import split_words
from multiretriever.core.query import MAX_QUERY, Mode
from multiretriever.grounding.tool_check import step_tools
from toolbox import Outcome, Toolbox

SYSTEM = (Path(__file__).parent / "system.md").read_text(encoding="utf-8")
APIS, INDEX = ".multiretriever/agent-apis", ".multiretriever/agent-tools"
MAX_ROUNDS = 5
STOPPED = f"I stopped: after {MAX_ROUNDS} rounds of calls this was not done."
CONVERSATION = (
    "The invoice went out twice, please void it: invoice id INV-2041, reason duplicate",
    "Add somebody to the members of a channel: channel id CHA-7, email kim@company.example, role reader",
    "Restart the server with the web shop on it.",
)


@dataclass
class Operations:
    """The operations as tools, and what finds them.

    Attributes:
        toolbox: All tools, and the way to run them.
        retriever: Finds the steps that tools are made of.
        backend: What answers.
        k: How many tools are offered in a turn.
        mode: How they are ranked.
    """

    toolbox: Toolbox
    retriever: MultiRetriever
    backend: FakeBackend
    k: int = 10
    mode: Mode = "hybrid"

    def offer(self, queries: Sequence[str]) -> list[str]:
        """Returns the names of the tools that fit best; those for several queries by turns."""
        return self._names(self.retriever.retrieve_batch(list(queries), "step", k=self.k, mode=self.mode))

    async def aoffer(self, queries: Sequence[str]) -> list[str]:
        """Does ``offer`` without blocking the event loop."""
        return self._names(await self.retriever.aretrieve_batch(list(queries), "step", k=self.k, mode=self.mode))

    def _names(self, found: Sequence[Sequence[Hit]]) -> list[str]:
        by_turns = [hit.id for hits in zip_longest(*found) for hit in hits if hit is not None]
        return self.toolbox.names(list(dict.fromkeys(by_turns))[: self.k])


@dataclass
class Turn:
    """What came of one message of the user.

    Attributes:
        request: What the user wrote.
        offered: Names of the tools that the model was offered, best first.
        outcomes: What came of each call, in order.
        answer: What the model said in the end.
    """

    request: str
    offered: list[str] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    answer: str = ""


def open_operations(
    apis: str | Path, index: str | Path | None, *, services: int | None = None, k: int = 10, encoder: Encoder | None = None
) -> Operations:
    """Makes tools of the OpenAPI documents in a folder, and an index of them.

    Args:
        apis: The folder; where there is none, the documents of the company are written into it.
        index: Folder of the index, made in its first use; None for one in memory.
        services: How many services the company has; None for all.
        k: Tools to offer.
        encoder: The encoder; None for the shipped one.
    """
    folder = Path(apis)
    paths = sorted(folder.glob("*.json")) or sorted(write_documents(folder, services))
    catalog = Catalog.from_path(*paths)
    backend = FakeBackend(paths)
    toolbox = Toolbox(step_tools(catalog, backend.call, acall=backend.acall))
    retriever = MultiRetriever(Index.from_catalog(catalog, index, encoder=encoder, progress=encoder is None))
    return Operations(toolbox, retriever, backend, k)


def queries_of(said: Sequence[tuple[str, str]]) -> list[str]:
    """Returns what tools are looked for by: the user's newest message; before it, where it may answer a question, both together.

    Args:
        said: The conversation so far: who (``user``, ``assistant``, ``tool``) and what.
    """
    start = max((place for place, (who, _) in enumerate(said) if who == "tool"), default=-1)
    texts = [text for who, text in said[start + 1 :] if who == "user" and text.strip()]
    questioned = any(who == "assistant" and text.rstrip().endswith("?") for who, text in said[-2:-1])
    queries = ["\n".join(texts[-2:]), texts[-1]] if questioned and len(texts) > 1 else texts[-1:]
    return [query[-MAX_QUERY:] for query in queries]


@dataclass(frozen=True)
class Move:
    """What is done next: a tool is called, or, where none is named, something is said."""

    text: str = ""
    name: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)


def next_move(said: Sequence[tuple[str, str]], tool: tuple[str, Mapping[str, Any]] | None) -> Move:
    """Shows the loop where there is no chat model: calls the first tool with what follows its arguments' names.

    It understands nothing. What comes back, an answer of the service or the refusal of the call, it repeats.

    Args:
        said: The conversation so far: who (``user``, ``assistant``, ``tool``) and what.
        tool: Name and JSON schema of the arguments of the first tool that is offered; None where none is.
    """
    if tool is None or said[-1][0] == "tool":
        return Move(text=said[-1][1] if tool else "No tool was found for that.")
    name, parameters = tool
    found = (
        (key, re.search(rf"\b{re.escape(split_words(key))}:? ([^,]+)", said[-1][1], re.IGNORECASE))
        for key in parameters["properties"]
    )
    return Move(name=name, arguments={key: match[1].strip() for key, match in found if match})


def arguments_of(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line of both examples."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("request", nargs="*", default=list(CONVERSATION), help="what the user writes, one message each")
    parser.add_argument("--llm", help="a chat model; without one, the first tool that is offered is called")
    parser.add_argument("--apis", default=APIS, help="folder of OpenAPI documents in JSON; made where it is missing")
    parser.add_argument("--index", default=INDEX, help="folder of the index, or 'memory'")
    parser.add_argument("--services", type=int, help="how many services the company has, where its documents are made")
    parser.add_argument("-k", type=int, default=10, help="how many tools are offered in a turn")
    return parser.parse_args(argv)


def report(text: str) -> None:
    """Reports on stderr what is going on."""
    print(text, file=sys.stderr, flush=True)


def show(turn: Turn, tools: int) -> None:
    """Prints a turn."""
    print(f"\nuser      {turn.request}")
    print(f"offered   {len(turn.offered)} of {tools}: {', '.join(turn.offered)}")
    for outcome in turn.outcomes:
        print(f"{'called' if outcome.fault is None else outcome.fault:9} {outcome.call.name} {outcome.call.arguments}")
    print(f"agent     {turn.answer}")


def converse(argv: Sequence[str] | None, run: Callable[..., list[Turn]], init: Callable[[str], Any]) -> int:
    """Does what the command line of an example says.

    Args:
        argv: Its arguments; None for those of the program.
        run: Holds a conversation: requests, a chat model or None, and the operations.
        init: Makes a chat model of its name.
    """
    options = arguments_of(argv)
    try:
        llm = init(options.llm) if options.llm else None
        index = None if options.index == "memory" else options.index
        operations = open_operations(options.apis, index, services=options.services, k=options.k)
        try:
            for turn in run(options.request, llm, operations=operations):
                show(turn, len(operations.toolbox.tools))
        finally:
            operations.retriever.close()
    except MultiRetrieverError as error:
        report(f"error: {error}")
        return 1
    return 0
