"""What all runnables of this package are given, at construction and at every call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import pydantic

from multiretriever.core.errors import MultiRetrieverError, ParameterError
from multiretriever.core.filters import Where, check_where
from multiretriever.core.query import Mode, QueryContext, check_context, check_mode, check_query
from multiretriever.core.retriever import Context, MultiRetriever

OPTIONS = ("k", "context", "where", "mode")
# LangChain takes these out of a call's arguments only after it has handed them on.
_OF_LANGCHAIN = ("verbose",)


class SearchFields(pydantic.BaseModel):
    """Fields that a retriever and a grounding have in common. What is wrong with a field is raised as core's own error.

    Attributes:
        retriever: The retriever of core.
        context: What else is known of every query.
        where: Values that hits must have.
        mode: How to rank; None for the retriever's own.
    """

    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    retriever: MultiRetriever
    context: QueryContext | None = None
    where: Where | None = None
    mode: Mode | None = None

    # Type checkers are to see the fields as arguments.
    if not TYPE_CHECKING:

        def __init__(self, **values: Any) -> None:
            try:
                super().__init__(**values)
            except pydantic.ValidationError as error:
                raise _core_error(type(self), error) from error

    @pydantic.field_validator("context", mode="before")
    @classmethod
    def _check_context(cls, value: Any) -> Any:
        return None if value is None else check_context(value)

    @pydantic.field_validator("where", mode="before")
    @classmethod
    def _check_where(cls, value: Any) -> Any:
        # Which names there are is known only to the index, and checked there.
        return None if value is None else check_where(value, tuple(value) if isinstance(value, Mapping) else (), "any")

    @pydantic.field_validator("mode", mode="before")
    @classmethod
    def _check_mode(cls, value: Any) -> Any:
        return None if value is None else check_mode(value)

    def _options(self, given: Mapping[str, Any], known: Sequence[str] = OPTIONS) -> dict[str, Any]:
        """Returns the options of one call: those given to it, and the own ones for the others.

        Args:
            given: Arguments of the call; None stands for not given.
            known: Names that it may have.

        Raises:
            ParameterError: A name is unknown.
        """
        unknown = [name for name in given if name not in (*known, *_OF_LANGCHAIN)]
        if unknown:
            raise ParameterError(f"a call of {type(self).__name__} takes no {unknown[0]!r}; it takes {', '.join(known)}")
        return {name: getattr(self, name) if given.get(name) is None else given[name] for name in known}


def _core_error(owner: type, error: pydantic.ValidationError) -> MultiRetrieverError:
    """Returns what a validator raised, or else the first thing that is wrong as an error of core."""
    first = error.errors(include_url=False)[0]
    raised = first.get("ctx", {}).get("error")
    if isinstance(raised, MultiRetrieverError):
        return raised
    field = ".".join(str(part) for part in first["loc"])
    return ParameterError(f"{owner.__name__}: {field}: {first['msg']}")


def one_each(context: Context | Sequence[Context], count: int) -> list[Context]:
    """Returns the context of each of ``count`` queries.

    Raises:
        ParameterError: There are not as many contexts as queries.
    """
    if not _are_several(context):
        return [cast(Context, context)] * count
    contexts = list(cast(Sequence[Context], context))
    if len(contexts) != count:
        raise ParameterError(f"context is one for all queries, or a list of {count}, one for each (got {len(contexts)})")
    return contexts


def check_table(table: Any) -> str:
    """Returns the name of a table.

    Raises:
        ParameterError: It is no text, or blank.
    """
    if not isinstance(table, str) or not table.strip():
        raise ParameterError(f"table is the name of a table (got {table!r})")
    return table


def within_table(options: Mapping[str, Any], table: str) -> dict[str, Any]:
    """Returns options with the table in the context and in the filter.

    Raises:
        ParameterError: The filter names another table.
    """
    context, where = options["context"], options["where"] or {}
    if not isinstance(where, Mapping) or where.get("table", table) != table:
        raise ParameterError(f"table is {table!r} and where is {where!r}; give the table once")
    several = _are_several(context)
    contexts = [check_context(item).model_copy(update={"table": table}) for item in (context if several else [context])]
    return {**options, "context": contexts if several else contexts[0], "where": {**where, "table": table}}


def _are_several(context: Any) -> bool:
    return isinstance(context, Sequence) and not isinstance(context, str)


def fault_of(query: Any, context: Context) -> Exception | None:
    """Returns what is wrong with one query of a batch, or None."""
    try:
        check_query(query)
        check_context(context)
    except ParameterError as error:
        return error
    return None
