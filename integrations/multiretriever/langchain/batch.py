"""The runs of a batch: one for every query, as LangChain's callbacks and tracers expect them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from langchain_core.callbacks import (
    AsyncCallbackManager,
    AsyncCallbackManagerForRetrieverRun,
    CallbackManager,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import get_config_list

Configs: TypeAlias = RunnableConfig | list[RunnableConfig] | None
Answer: TypeAlias = list[Document] | Exception
_Manager = TypeVar("_Manager", CallbackManager, AsyncCallbackManager)


def start_runs(
    retriever: BaseRetriever, queries: Sequence[str], config: Configs, options: Mapping[str, Any]
) -> list[CallbackManagerForRetrieverRun]:
    """Tells the callbacks that each query starts."""
    return [
        _manager(CallbackManager, retriever, item, options).on_retriever_start(None, query, **_identity(retriever, item))
        for query, item in zip(queries, get_config_list(config, len(queries)), strict=True)
    ]


def end_runs(runs: Sequence[CallbackManagerForRetrieverRun], answers: Sequence[Answer]) -> None:
    """Tells the callbacks what each query came to."""
    for run, answer in zip(runs, answers, strict=True):
        if isinstance(answer, Exception):
            run.on_retriever_error(answer)
        else:
            run.on_retriever_end(answer)


async def astart_runs(
    retriever: BaseRetriever, queries: Sequence[str], config: Configs, options: Mapping[str, Any]
) -> list[AsyncCallbackManagerForRetrieverRun]:
    """Does ``start_runs`` for callbacks that may be asynchronous."""
    starts = [
        _manager(AsyncCallbackManager, retriever, item, options).on_retriever_start(None, query, **_identity(retriever, item))
        for query, item in zip(queries, get_config_list(config, len(queries)), strict=True)
    ]
    return list(await asyncio.gather(*starts))


async def aend_runs(runs: Sequence[AsyncCallbackManagerForRetrieverRun], answers: Sequence[Answer]) -> None:
    """Does ``end_runs`` for callbacks that may be asynchronous."""
    await asyncio.gather(
        *(
            run.on_retriever_error(answer) if isinstance(answer, Exception) else run.on_retriever_end(answer)
            for run, answer in zip(runs, answers, strict=True)
        )
    )


def raise_first(answers: Sequence[Answer]) -> None:
    """Raises the first exception among the answers, if any."""
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer


def _manager(kind: type[_Manager], retriever: BaseRetriever, config: RunnableConfig, options: Mapping[str, Any]) -> _Manager:
    return kind.configure(
        config.get("callbacks"),
        None,
        verbose=bool(options.get("verbose", False)),
        inheritable_tags=config.get("tags"),
        local_tags=retriever.tags,
        inheritable_metadata={**(config.get("metadata") or {}), **retriever._get_ls_params(**options)},
        local_metadata=retriever.metadata,
    )


def _identity(retriever: BaseRetriever, config: RunnableConfig) -> dict[str, Any]:
    return {"name": config.get("run_name") or retriever.get_name(), "run_id": config.get("run_id")}
