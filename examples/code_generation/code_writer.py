"""From a request to a query in SQL or a script in Python that names only tables and fields of the catalog.

A chat model is shown the tables and fields that were retrieved, and its faulty answers go back to it (``write_code``, or
``CodeWriting`` in single steps); without one, what was retrieved is selected (``draft_code``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pydantic

from multiretriever.core.catalog import Catalog
from multiretriever.core.clauses import split_clauses
from multiretriever.core.elements import Field, Table
from multiretriever.core.errors import LLMError, ParameterError, QueryError
from multiretriever.core.retriever import Hit, MultiRetriever
from multiretriever.grounding.code_check import CodeCheck
from multiretriever.grounding.dialogue import (
    MAX_TRIALS,
    AsyncChat,
    Chat,
    Dialogue,
    Reading,
    aconverse,
    converse,
    data_block,
    entry,
    read_answer,
)
from multiretriever.grounding.flow_check import Change
from multiretriever.grounding.sql_check import check_sql, repair_sql
from multiretriever.grounding.sql_schema import Column, Relation, RelationalSchema
from python_check import check_python, repair_python
from sqlite_sample import SampleDatabase, SqlRunError, quoted

Language = Literal["sql", "python"]
LANGUAGES: tuple[Language, ...] = ("sql", "python")
TABLES, FIELDS = 5, 8
_STATES = ("state", "status", "active")  # they say what is open and what is done, in words that no request is near to
_OF_CLAUSE, _QUERIES = 2, 16
_DRAFTED_ROWS = 10
_FENCE = re.compile(r"```(?:sql|sqlite|python|py)[ \t]*\n(.*?)```", re.DOTALL | re.IGNORECASE)


class CodeAnswer(pydantic.BaseModel):
    """Form of a chat model's answer.

    Attributes:
        code: The query or script.
        explanation: What it returns, in words.
    """

    code: str
    explanation: str = ""


@dataclass(frozen=True)
class ShownTable:
    """A table as a chat model is shown it.

    Attributes:
        relation: The table.
        fields: Its fields that are shown.
    """

    relation: Relation
    fields: tuple[Column, ...]

    @property
    def entry(self) -> dict[str, Any]:
        """What is shown of it."""
        return {**entry(self.relation.table), "name": self.relation.name, "fields": [_field_entry(item) for item in self.fields]}


@dataclass(frozen=True)
class CodeDraft:
    """Code whose names all exist.

    Attributes:
        language: ``sql`` or ``python``.
        code: The code.
        check: The result of checking it; it has no findings.
        explanation: What a chat model said of it, unchecked; empty without one.
        changes: Names that did not exist and were replaced.
    """

    language: Language
    code: str
    check: CodeCheck
    explanation: str = ""
    changes: tuple[Change, ...] = ()


def show_tables(found: Iterable[tuple[Table, Sequence[Field]]], schema: RelationalSchema) -> tuple[ShownTable, ...]:
    """Makes of retrieved tables and fields what a chat model is shown.

    The key of each table, its state, and what links the tables come on top.

    Args:
        found: Tables, each with the fields of it that were retrieved.
        schema: The schema of the catalog.
    """
    pairs = [(schema.of(table), {field.id for field in fields}) for table, fields in found]
    names = {relation.name for relation, _ in pairs}
    shown = []
    for relation, ids in pairs:
        columns = tuple(
            item
            for item in relation.columns
            if item.name in (relation.key, *_STATES) or item.references in names or (item.field and item.field.id in ids)
        )
        shown.append(ShownTable(relation, columns))
    return tuple(shown)


def retrieve_tables(
    retriever: MultiRetriever, request: str, schema: RelationalSchema, *, tables: int = TABLES, fields: int = FIELDS
) -> tuple[ShownTable, ...]:
    """Retrieves the tables that a request may be about, and of each the fields.

    Args:
        retriever: Retriever over an index with tables and fields.
        request: What is asked for.
        schema: The schema of the index's catalog.
        tables: Tables at most.
        fields: Fields of each table for the whole request; two for each clause of it, the key, and references between the tables
            come on top.

    Raises:
        QueryError: The request is empty, not text, or too long.
        StoreError: The index cannot be read.
    """
    found: list[Table] = [hit.element for hit in retriever.retrieve(request, "table", k=tables)]
    queries = field_queries(request)
    shown = []
    for table in found:
        # Without the table as context, which speaks for its own fields and against those that it inherits.
        rows = retriever.retrieve_batch(queries, "field", k=fields, where={"table": table.name})
        shown.append(
            (table, [hit.element for place, hits in enumerate(rows) for hit in (hits if place == 0 else hits[:_OF_CLAUSE])])
        )
    return show_tables(shown, schema)


def field_queries(request: str) -> list[str]:
    """Returns what fields are searched by: the whole request, and its clauses, since each speaks of other fields."""
    return list(dict.fromkeys([request, *(clause.text for clause in split_clauses(request))]))[:_QUERIES]


@dataclass
class CodeWriting:
    """The writing of one piece of code by a chat model: what it is asked, how its answers are read, what comes of them.

    Attributes:
        request: What is asked for.
        tables: What the model is shown.
        schema: The schema that names are checked against.
        language: ``sql`` or ``python``.
        database: Database on which queries are planned, which finds what no check of names does; None for an empty one of the
            schema.
        trials: Answers at most.
    """

    request: str
    tables: Sequence[ShownTable]
    schema: RelationalSchema
    language: Language = "sql"
    database: SampleDatabase | None = None
    trials: int = MAX_TRIALS
    dialogue: Dialogue[CodeAnswer] = field(init=False)
    _answers: list[CodeAnswer] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        """Opens the dialogue.

        Raises:
            ParameterError: There is no such language, or ``trials`` is below 1.
        """
        if self.language not in LANGUAGES:
            raise ParameterError(f"expected one of the languages {', '.join(LANGUAGES)}, got {self.language!r}")
        if self.language == "sql" and self.database is None:
            self.database = SampleDatabase.from_catalog(self.schema, rows=0)
        blocks = [data_block("request", self.request), data_block("tables", [item.entry for item in self.tables])]
        self.dialogue = Dialogue(
            Path(__file__).with_name(f"{self.language}.md").read_text(encoding="utf-8"),
            "\n\n".join(blocks),
            self._read,
            schema=CodeAnswer,
            trials=self.trials,
        )

    def faults(self, code: str) -> tuple[str, ...]:
        """Returns what is wrong with code: its findings, and what the database says of a query without any."""
        check = _CHECKS[self.language](code, self.schema)
        if check.findings or self.database is None:
            return tuple(str(item) for item in check.findings)
        try:
            self.database.explain(code)
        except SqlRunError as error:
            return (str(error),)
        return ()

    def finish(self) -> CodeDraft:
        """Returns what came of the dialogue; names in it that do not exist become the nearest real ones.

        Raises:
            LLMError: No answer was code that can be used, nor can be made so.
        """
        best = self.dialogue.result()
        if not self.dialogue.reading.faults:
            return self._draft(best, best.code)
        for answer in (best, *reversed(self._answers)):
            code, changes = _REPAIRS[self.language](answer.code, self.schema)
            if not self.faults(code):
                return self._draft(answer, code, changes)
        faults = "; ".join(self.faults(best.code))
        raise LLMError(f"none of {self.dialogue.answers} answers of the model could be used; of the best: {faults}")

    def _draft(self, answer: CodeAnswer, code: str, changes: tuple[Change, ...] = ()) -> CodeDraft:
        return CodeDraft(self.language, code, _CHECKS[self.language](code, self.schema), answer.explanation, changes)

    def _read(self, text: str) -> Reading[CodeAnswer]:
        fence = _FENCE.search(text)
        bare = self.language == "sql" and re.match(r"\s*(?:SELECT|WITH)\b", text, re.IGNORECASE)
        reading = Reading(CodeAnswer(code=fence[1] if fence else text)) if fence or bare else read_answer(text, CodeAnswer)
        if reading.value is None:
            return reading
        answer = reading.value.model_copy(update={"code": reading.value.code.strip()})
        self._answers.append(answer)
        return Reading(answer, self.faults(answer.code))


def write_code(
    retriever: MultiRetriever,
    request: str,
    chat: Chat,
    *,
    language: Language = "sql",
    schema: Catalog | RelationalSchema | None = None,
    database: SampleDatabase | None = None,
    trials: int = MAX_TRIALS,
) -> CodeDraft:
    """Lets a chat model write code from the retrieved tables and fields; asks again while something in it is wrong.

    Args:
        retriever: Retriever over an index with tables and fields.
        request: What is asked for.
        chat: The chat model, such as ``chat_with(model)`` of either framework returns.
        language: ``sql`` or ``python``. Neither is run here.
        schema: The catalog of the index, or the schema made of it; None to read it back from the index.
        database: As for ``CodeWriting``.
        trials: Answers at most.

    Raises:
        QueryError: The request is empty, not text, or too long.
        LLMError: The model cannot be reached, or none of its answers can be used or repaired.
    """
    writing = _writing(retriever, request, language, schema, database, trials)
    converse(writing.dialogue, chat)
    return writing.finish()


async def awrite_code(
    retriever: MultiRetriever,
    request: str,
    chat: AsyncChat,
    *,
    language: Language = "sql",
    schema: Catalog | RelationalSchema | None = None,
    database: SampleDatabase | None = None,
    trials: int = MAX_TRIALS,
) -> CodeDraft:
    """``write_code`` for an awaited model."""
    writing = _writing(retriever, request, language, schema, database, trials)
    await aconverse(writing.dialogue, chat)
    return writing.finish()


def draft_code(
    retriever: MultiRetriever, request: str, *, language: Language = "sql", schema: Catalog | RelationalSchema | None = None
) -> CodeDraft:
    """Drafts code without a chat model: the fields that were found for the request, of the table that was found for it.

    It has no conditions, order or counts, whatever the request says of them.

    Args:
        retriever: Retriever over an index with tables and fields.
        request: What is asked for.
        language: ``sql`` or ``python``. Neither is run here.
        schema: As for ``write_code``.

    Raises:
        QueryError: The request is empty, not text, or too long; or no table with fields was found for it.
        ParameterError: There is no such language.
    """
    if language not in LANGUAGES:
        raise ParameterError(f"expected one of the languages {', '.join(LANGUAGES)}, got {language!r}")
    known = _schema(retriever, schema)
    rows: list[list[Hit]] = []
    tables: list[Table] = [hit.element for hit in retriever.retrieve(request, "table", k=1)]
    for table in tables:
        rows = retriever.retrieve_batch(field_queries(request), "field", k=_OF_CLAUSE, where={"table": table.name})
    found = {hit.id for hits in rows for hit in hits}
    if not found:
        raise QueryError("expected a request that a table with fields is found for, got one without")
    relation = known.of(tables[0])
    names = [column.name for column in relation.columns if column.field and column.field.id in found]
    code = _DRAFTS[language](relation.name, names)
    return CodeDraft(language, code, _CHECKS[language](code, known))


def _draft_sql(table: str, fields: Sequence[str]) -> str:
    return f"SELECT {', '.join(map(quoted, fields))}\nFROM {quoted(table)}\nLIMIT {_DRAFTED_ROWS}"


def _draft_python(table: str, fields: Sequence[str]) -> str:
    names = [json.dumps(name, ensure_ascii=False) for name in fields]
    values = ", ".join(f"record[{name}]" for name in names)
    asked = f"query({json.dumps(table, ensure_ascii=False)}, fields=[{', '.join(names)}], limit={_DRAFTED_ROWS})"
    return f"for record in {asked}:\n    print({values})\n"


_DRAFTS: dict[Language, Callable[[str, Sequence[str]], str]] = {"sql": _draft_sql, "python": _draft_python}
_CHECKS: dict[Language, Callable[[str, Catalog | RelationalSchema], CodeCheck]] = {"sql": check_sql, "python": check_python}
_REPAIRS: dict[Language, Callable[[str, Catalog | RelationalSchema], tuple[str, tuple[Change, ...]]]] = {
    "sql": repair_sql,
    "python": repair_python,
}


def _writing(
    retriever: MultiRetriever,
    request: str,
    language: Language,
    schema: Catalog | RelationalSchema | None,
    database: SampleDatabase | None,
    trials: int,
) -> CodeWriting:
    known = _schema(retriever, schema)
    return CodeWriting(request, retrieve_tables(retriever, request, known), known, language, database, trials)


def _schema(retriever: MultiRetriever, schema: Catalog | RelationalSchema | None) -> RelationalSchema:
    if isinstance(schema, RelationalSchema):
        return schema
    return RelationalSchema(schema if schema is not None else retriever.index.catalog())


def _field_entry(column: Column) -> dict[str, Any]:
    shown = entry(column.field) if column.field is not None else {"name": column.name, "description": "Key of the record"}
    return {**shown, **({"references": f"{column.references}.{column.target_key}"} if column.references else {})}
