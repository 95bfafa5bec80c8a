"""What a query is made of - text, context, k, filter, mode - and checking it before anything is done with it."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, cast

import pydantic
from pydantic import ConfigDict

from multiretriever.core.errors import FilterError, ParameterError, QueryError
from multiretriever.core.flows import Flow
from multiretriever.core.names import split_words

Mode = Literal["dense", "lexical", "hybrid"]
MODES: tuple[Mode, ...] = ("dense", "lexical", "hybrid")
MAX_QUERY = 100_000
# Chroma turns larger integers into floats without a word.
MAX_INTEGER = 2**63 - 1
Where = Mapping[str, str | int | float | bool]
_MAX_FLOW = 1_000_000


class QueryContext(pydantic.BaseModel):
    """What is known at query time beside the text. Keys that are not listed are kept and written into the query too.

    It says more to the encoder about the query; it does not limit the hits: that is what a filter does.

    Attributes:
        text: What the query's text is: a whole ``requirement``, or the ``annotation`` of one step.
        requirement: The requirement that an annotation belongs to.
        scope: Scope that is looked for.
        type: Kind of step or other type that is looked for.
        table: Table whose fields are looked for.
        flow: The flow so far, for its last step: a ``Flow``, its values, or its YAML.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    text: Literal["requirement", "annotation"] = "requirement"
    requirement: str | None = None
    scope: str | None = None
    type: str | None = None
    table: str | None = None
    flow: Flow | None = None

    @pydantic.field_validator("flow", mode="before")
    @classmethod
    def _read_flow(cls, value: Any) -> Any:
        if isinstance(value, str):
            if len(value) > _MAX_FLOW:
                raise ValueError(f"the flow has {len(value):,} characters; at most {_MAX_FLOW:,} are read")
            return Flow.from_yaml(value, source="context.flow")
        return value

    @pydantic.model_validator(mode="after")
    def _check_extra(self) -> QueryContext:
        for key, value in (self.model_extra or {}).items():
            if not _is_plain(value):
                raise ValueError(f"{key!r} is of type {type(value).__name__}; expected plain values (text, numbers, lists, ...)")
        return self

    @property
    def given(self) -> frozenset[str]:
        """Keys by which a template is chosen."""
        return frozenset(self.lines) | ({"annotation"} if self.text == "annotation" else set())

    @property
    def words(self) -> tuple[str, ...]:
        """The short values (scope, type, table, and what else was given) as words: what helps without any instruction too."""
        values = (self.scope, self.type, self.table, *(self.model_extra or {}).values())
        return tuple(split_words(str(value)) for value in values if isinstance(value, str | int | float) and value != "")

    def before(self, query: str) -> str:
        """Returns the short values and the query, a line each: what BM25 and an encoder without instructions read."""
        return "\n".join([*self.words, query])

    @property
    def lines(self) -> dict[str, Any]:
        """What is written above the query, the flow last, since it is its newest part that is kept when room is short."""
        values = {name: getattr(self, name) for name in ("scope", "type", "table", "requirement")}
        values.update(self.model_extra or {})
        if self.flow is not None:
            values["flow"] = self.flow.to_dict()
        return {key: value for key, value in values.items() if value not in (None, "")}


Context = QueryContext | Mapping[str, Any] | None


@dataclass(frozen=True)
class SearchOptions:
    """How to search, beside the query and the element type. Checked as far as that is possible without an index.

    Attributes:
        k: Hits at most; None for the type's default (15 steps, 5 of the others).
        context: What else is known (see ``QueryContext``). It goes into the query and does not limit the hits.
        where: Values that hits must have, such as ``{"scope": "core"}``.
        mode: How to rank: ``dense``, ``lexical`` or ``hybrid``; None for the retriever's own.

    Raises:
        ParameterError: ``k``, ``context`` or ``mode`` is not valid.
        FilterError: ``where`` is not a mapping.
    """

    k: int | None = None
    context: Context = None
    where: Where | None = None
    mode: Mode | None = None

    def __post_init__(self) -> None:
        """Checks what is given."""
        check_k(self.k, 1)
        object.__setattr__(self, "context", check_context(self.context))
        if self.where is not None:
            if not isinstance(self.where, Mapping):
                raise _not_a_filter(self.where)
            object.__setattr__(self, "where", dict(self.where))
        if self.mode is not None:
            check_mode(self.mode)

    def within_table(self, table: Any) -> SearchOptions:
        """Returns options for the fields of one table: it goes into the context, and other tables' fields are left out.

        Raises:
            ParameterError: The table is no name, or the filter names another one.
        """
        if not isinstance(table, str) or not table.strip():
            raise ParameterError(f"table is the name of a table (got {table!r})")
        where = self.where or {}
        if where.get("table", table) != table:
            raise ParameterError(f"table is {table!r} and where is {where!r}; give the table once")
        context = check_context(self.context).model_copy(update={"table": table})
        return replace(self, context=context, where={**where, "table": table})

    def replaced(self, given: Mapping[str, Any], *, beside: Sequence[str] = ()) -> SearchOptions:
        """Returns these options with those of one call in their place; None means not given.

        Args:
            given: The options of the call.
            beside: Names of what else the call takes, for the message.

        Raises:
            ParameterError: A name is unknown, or a value is not valid.
        """
        known = [field.name for field in fields(self)]
        unknown = next((name for name in given if name not in known), None)
        if unknown is not None:
            raise ParameterError(f"a search takes no {unknown!r}; it takes {', '.join([*known, *beside])}")
        return replace(self, **{name: value for name, value in given.items() if value is not None})


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | int | float)


def check_context(context: QueryContext | Mapping[str, Any] | None) -> QueryContext:
    """Returns the context as a ``QueryContext``.

    Raises:
        ParameterError: It is neither a mapping nor a context, or a value has a wrong type.
    """
    if context is None:
        return QueryContext()
    if isinstance(context, QueryContext):
        return context
    if not isinstance(context, Mapping):
        raise ParameterError(
            f"a context maps keys such as scope, table or flow to values (got {type(context).__name__}: {context!r:.60})"
        )
    try:
        return QueryContext.model_validate(dict(context))
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ParameterError(f"context {where}: {first['msg']}") from error


def check_query(query: Any) -> str:
    """Returns the query.

    Raises:
        QueryError: It is not text, blank, or longer than ``MAX_QUERY`` characters.
    """
    if not isinstance(query, str):
        raise QueryError(f"a query is text (got {type(query).__name__}: {query!r:.60})")
    if not query.strip():
        raise QueryError("the query is empty; give a requirement, an annotation or a description")
    if len(query) > MAX_QUERY:
        raise QueryError(
            f"the query has {len(query):,} characters; at most {MAX_QUERY:,} are taken. A flow belongs in context={{'flow': ...}}"
        )
    # A lone surrogate is no character; encoders and Chroma fail on it with errors of their own.
    return query.encode("utf-8", "replace").decode("utf-8")


def check_k(k: Any, default: int) -> int:
    """Returns how many hits are wanted.

    Raises:
        ParameterError: It is not a whole number above 0.
    """
    if k is None:
        return default
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise ParameterError(f"k is the number of hits, a whole number from 1 (got {k!r})")
    return k


def check_mode(mode: Any) -> Mode:
    """Returns the mode.

    Raises:
        ParameterError: There is no such mode.
    """
    if mode not in MODES:
        raise ParameterError(f"mode is one of {', '.join(MODES)} (got {mode!r})")
    return cast(Mode, mode)


def check_where(where: Any, names: Sequence[str], element_type: str) -> dict[str, str | int | float | bool]:
    """Checks a filter.

    Args:
        where: Values by name; an element must have all of them. None or empty for no filter.
        names: Names that the index can filter on.
        element_type: For messages.

    Raises:
        FilterError: A name is unknown, or a value is no string, number or boolean (Chroma's operators are not taken).
    """
    if where is None:
        return {}
    if not isinstance(where, Mapping):
        raise _not_a_filter(where)
    for name, value in where.items():
        if name not in names:
            near = difflib.get_close_matches(str(name), names, n=1)
            hint = f"; was {near[0]!r} meant?" if near else ""
            raise FilterError(
                f"elements of type {element_type!r} cannot be filtered on {name!r}{hint} (known: {', '.join(names)})"
            )
        if not _comparable(value):
            raise FilterError(f"the filter on {name!r} needs one string, finite number of 64 bits or boolean (got {value!r})")
    return dict(where)


def _not_a_filter(where: Any) -> FilterError:
    return FilterError(f"a filter maps names to values, such as {{'scope': 'core'}} (got {type(where).__name__}: {where!r:.60})")


def _comparable(value: Any) -> bool:
    if isinstance(value, str):
        return value.isascii() or value.encode("utf-8", "ignore").decode() == value  # Chroma refuses lone surrogates
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and abs(value) <= MAX_INTEGER
