"""From a request to a query in SQL or a script in Python that names only tables and fields of the catalog.

Needs the extra ``code``: ``pip install "multiretriever[code]"``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pydantic

from multiretriever.core.catalog import Catalog
from multiretriever.core.elements import Field, Table
from multiretriever.core.errors import LLMError, ParameterError
from multiretriever.core.generation.prompting import system_prompt
from multiretriever.core.generation.query_plan import to_python, to_sql
from multiretriever.core.generation.sql_rules import plan_query
from multiretriever.core.retriever import MultiRetriever
from multiretriever.core.sqlite_sample import SampleDatabase, SqlRunError
from multiretriever.core.yaml_io import Text
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
from multiretriever.grounding.python_check import check_python, repair_python
from multiretriever.grounding.sql_check import check_sql, repair_sql
from multiretriever.grounding.sql_schema import Column, Relation, RelationalSchema

Language = Literal["sql", "python"]
LANGUAGES: tuple[Language, ...] = ("sql", "python")
TABLES, FIELDS = 5, 8
_STATES = ("state", "status", "active")  # by which open and done records are told apart, in words that no field is near to
_OF_PART, _QUERIES = 2, 16
_PARTS = re.compile(
    r"[,.;:?!\n]+|\b(?:and|or|with|without|have|has|of|by|per|that|whose|where|which|show|list|no|not)\b", re.IGNORECASE
)
_FENCE = re.compile(r"```(?:sql|sqlite|python|py)[ \t]*\n(.*?)```", re.DOTALL | re.IGNORECASE)


class CodeAnswer(pydantic.BaseModel):
    """Form of a chat model's answer.

    Attributes:
        code: The query or script.
        explanation: What it gives, in words.
    """

    code: Text
    explanation: Text = ""


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
    """Code that names nothing made up.

    Attributes:
        language: ``sql`` or ``python``.
        code: The code.
        check: What checking it gave; it has no findings.
        explanation: What a chat model said of it, unchecked; empty without one.
        changes: Names that did not exist and were replaced.
        notes: What a person should look at, where it was drafted by rules.
    """

    language: Language
    code: str
    check: CodeCheck
    explanation: str = ""
    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()


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
        fields: Fields of each table for the whole request; two for each part of it, the key, and references between the tables
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
            (table, [hit.element for place, hits in enumerate(rows) for hit in (hits if place == 0 else hits[:_OF_PART])])
        )
    return show_tables(shown, schema)


def field_queries(request: str) -> list[str]:
    """Returns what fields are looked for by: the whole request, and its parts, since each speaks of another field."""
    parts = [part.strip() for part in _PARTS.split(request)]
    return list(dict.fromkeys([request, *(part for part in parts if len(part) > 2)]))[:_QUERIES]


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
            raise ParameterError(f"language is one of {', '.join(LANGUAGES)} (got {self.language!r})")
        if self.language == "sql" and self.database is None:
            self.database = SampleDatabase.from_catalog(self.schema, rows=0)
        blocks = [data_block("request", self.request), data_block("tables", [item.entry for item in self.tables])]
        self.dialogue = Dialogue(
            system_prompt(self.language), "\n\n".join(blocks), self._read, schema=CodeAnswer, trials=self.trials
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
        chat: The chat model, such as ``chat_with(model)`` of either framework gives.
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
    """Drafts code by rules, without any language model (see ``plan_query``).

    Raises:
        QueryError: The request is empty, not text, or too long.
        ParameterError: There is no such language.
        LLMError: What the rules made does not pass the check.
    """
    if language not in LANGUAGES:
        raise ParameterError(f"language is one of {', '.join(LANGUAGES)} (got {language!r})")
    known = _schema(retriever, schema)
    plan = plan_query(retriever, request, schema=known)
    code = to_sql(plan) if language == "sql" else to_python(plan)
    check = _CHECKS[language](code, known)
    if not check.valid:
        raise LLMError(f"the request could not be drafted by rules: {'; '.join(map(str, check.findings))}")
    return CodeDraft(language, code, check, notes=plan.notes)


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
