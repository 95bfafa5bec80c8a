"""Planning a query from a request without any language model: rules over what is retrieved.

The table is the one that is named, or the best that is retrieved; fields are those that are named, or the best of the table.
All of them stand in the catalog, so that nothing is made up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from multiretriever.core.catalog import Catalog
from multiretriever.core.errors import QueryError
from multiretriever.core.generation.query_plan import Path, QueryPlan
from multiretriever.core.generation.query_tests import TestReader
from multiretriever.core.generation.query_words import FieldFinder, names_of, table_named
from multiretriever.core.names import split_words
from multiretriever.core.retriever import MultiRetriever
from multiretriever.grounding.sql_schema import Relation, RelationalSchema

_VERBS = r"(?:show|list|display|return|give|get|find|select|print|include|fetch|tell)"
_ASK = re.compile(rf"^\W*(?:(?:please|can you|could you)\s+)*{_VERBS}\b(?:\s+(?:me|us|only))*\s*", re.IGNORECASE)
_SHOW = re.compile(
    rf"(?:[.?!;]\s*|,?\s+and\s+|,\s*)(?:please\s+)?{_VERBS}(?:\s+(?:me|us|only|just|for each|of each))*\s+"
    rf"(?:their |its |the )?([^.?!;]+)[.?!;]*\s*$",
    re.IGNORECASE,
)
_THEIR = re.compile(r"[,\s]+with\s+(?:their|its|the)\s+([^.?!;]+)[.?!;]*\s*$", re.IGNORECASE)
_ITEMS_OF = re.compile(
    rf"^\W*(?:{_VERBS}(?:\s+(?:me|us))?|what (?:is|are))\s+(?:the\s+)?(.+?)\s+(?:of|for)\s+(?=.+)", re.IGNORECASE
)
_SPLIT = re.compile(r"\s*(?:,\s*and\s+|,\s*|\s+and\s+)\s*", re.IGNORECASE)
_COUNT = re.compile(
    r"\b(?:how many|(?:the )?(?:number|count) of (?=\w+(?: \w+)?s\b))|^\W*(?:please )?count(?: of)?(?: the)?\b", re.IGNORECASE
)
_IDLE = frozenset(
    "a all also an and any are as at be been by can do does each every find for from get give has have how i in is it its just "
    "list many me my no of on only or our please shall show that the their them there these they this those to was we were what "
    "when where which who whose with would you your still been being right now currently".split()
)
_GROUP = re.compile(
    r"\b(?:per|for each|for every|in each|of each|with each|grouped by|group by|broken down by|by)\s+"
    r"([\w' -]+?)(?=$|[,.;?!]| that | which | where | with )",
    re.IGNORECASE,
)
_SORT = re.compile(
    r",?\s*\b(?:sort(?:ed)?|order(?:ed)?)\s+(?:them\s+)?by\s+([\w' -]+?)(?:\s+(descending|ascending|desc|asc|"
    r"(?:newest|latest|highest|largest) first|(?:oldest|lowest|smallest) first))?(?=$|[,.;?!])",
    re.IGNORECASE,
)
_BY = re.compile(r"\bby\s+(?:the\s+)?([\w' -]+?)(?=$|[,.;?!])", re.IGNORECASE)
_NEWEST = r"latest|newest|most recent(?:ly)?|last"
_OLDEST = r"oldest|earliest|first"
_NUMBERS = {word: place for place, word in enumerate("zero one two three four five six seven eight nine ten".split())}
_HOW_MANY = r"\d{1,4}|" + "|".join(_NUMBERS)
_RANKED = re.compile(
    rf"\b(?:(?P<before>{_HOW_MANY})\s+)?(?P<end>{_NEWEST}|{_OLDEST}|top)\s+(?:(?P<after>{_HOW_MANY})\s+)?(?!(?:{_HOW_MANY})\b)"
    r"(?!(?:day|week|month|year|hour|name)s?\b)",
    re.IGNORECASE,
)
_MAX_CHARACTERS = 2_000
_QUOTES = {0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"'}


def plan_query(retriever: MultiRetriever, request: str, *, schema: Catalog | RelationalSchema | None = None) -> QueryPlan:
    """Plans a query.

    Args:
        retriever: Retriever over an index with tables and fields.
        request: What is asked for, in English words.
        schema: The catalog of the index, or the schema made of it; None to read it back from the index.

    Raises:
        QueryError: The request is empty, not text, or too long.
        ElementTypeError: The index has no tables or no fields.
        StoreError: The index cannot be read.
    """
    retriever.prompt(request, "table")  # Checks the request as every query is checked.
    if len(request) > _MAX_CHARACTERS:
        raise QueryError(f"a request of at most {_MAX_CHARACTERS} characters can be planned by rules (got {len(request)})")
    if not isinstance(schema, RelationalSchema):
        schema = RelationalSchema(schema if schema is not None else retriever.index.catalog())
    return _Planner(retriever, schema, " ".join(request.translate(_QUOTES).split())).plan()


@dataclass
class _Planner:
    retriever: MultiRetriever
    schema: RelationalSchema
    text: str
    guesses: list[str] = field(default_factory=list)

    def plan(self) -> QueryPlan:
        relation = self._table()
        finder = FieldFinder(relation, self.schema, self.retriever)
        count = bool(_COUNT.search(self.text))
        shown = self._listed(finder)
        order, descending, limit = self._order(finder)
        group = self._group(finder) if count else None
        reader = TestReader(finder, self.text)
        reader.flags(of_table=True)
        reader.text = _without_table(reader.text, relation, self.schema)
        tests = reader.read()
        mentioned = finder.mentioned(reader.text)
        if not shown:
            named = {item.path.name for item in tests}
            shown = tuple(path for _, path in mentioned if path.name not in named)
        shown = tuple({path.name: path for path in (shown or finder.usual)}.values())
        notes = _notes(finder, " ".join([*reader.dropped, reader.text]), [path for _, path in mentioned])
        return QueryPlan(relation, shown, tests, count, group, order, descending, limit, (*self.guesses, *notes))

    def _table(self) -> Relation:
        """The table that is named; what is to be shown of it is looked at last, since fields are called like tables."""
        head = _SHOW.sub("", self.text) if _SHOW.search(self.text) else self.text
        named = self._after_items(head) or table_named(head, self.schema) or table_named(self.text, self.schema)
        if named is not None:
            return named[0]
        hits = self.retriever.retrieve(self.text, "table", k=1)
        if not hits:
            raise QueryError("there is no table in the index that the request could be about")
        self.guesses.append(f"table by retrieval: {hits[0].element.name}")
        return self.schema.of(hits[0].element)

    def _after_items(self, text: str) -> tuple[Relation, int] | None:
        match = _ITEMS_OF.match(text)
        return table_named(text[match.end() :], self.schema) if match and not _COUNT.search(text[: match.end()]) else None

    def _listed(self, finder: FieldFinder) -> tuple[Path, ...]:
        """The fields that the request asks to see; their words are cut out of it."""
        for pattern in (_SHOW, _THEIR):
            match = pattern.search(self.text)
            named_there = table_named(match[1], self.schema) if match else None
            if match and (named_there is None or named_there[0].name != finder.relation.name):
                items = _SPLIT.split(match[1])
                found = [path for item in items if (path := finder.find(item))]
                self.text = self.text[: match.start()]
                return (*(finder.usual[:1] if pattern is _THEIR else ()), *found)
        match = _ITEMS_OF.match(self.text)
        if match and not _COUNT.search(match[0]):
            items = _SPLIT.split(match[1])
            named = [finder.named(item) or finder.over_reference(item) for item in items]
            if named and all(named):
                self.text = self.text[match.end() :]
                return tuple(path for path in named if path)
        self.text = _ASK.sub("", self.text)
        return ()

    def _order(self, finder: FieldFinder) -> tuple[Path | None, bool, int | None]:
        order: Path | None = None
        descending, limit = False, None
        if match := _RANKED.search(self.text):
            number = (match["before"] or match["after"] or "").lower()
            if number or match["end"].lower() not in ("first", "last", "top"):
                limit = _NUMBERS.get(number) or (int(number) if number else 1 if _one(self.text, match.end()) else None)
                order, descending = finder.begun, not re.fullmatch(_OLDEST, match["end"], re.IGNORECASE)
                self.text = f"{self.text[: match.start()]}{self.text[match.end() :]}"
        if match := _SORT.search(self.text) or (_BY.search(self.text) if limit else None):
            order = finder.find(match[1]) or order
            if "sort" in match[0] or "order" in match[0]:
                descending = bool(re.match(r"desc|newest|latest|highest|largest", match[2] or "", re.IGNORECASE))
            self.text = f"{self.text[: match.start()]} {self.text[match.end() :]}"
        return order, descending, limit

    def _group(self, finder: FieldFinder) -> Path | None:
        self.text = _COUNT.sub("", self.text, count=1)
        match = _GROUP.search(self.text)
        if match is None:
            return None
        self.text = f"{self.text[: match.start()]} {self.text[match.end() :]}"
        return finder.find(match[1])


def _without_table(text: str, relation: Relation, schema: RelationalSchema) -> str:
    """Cuts out the table's own name, which is no condition on its fields."""
    found = table_named(text, schema)
    if found is None or found[0].name != relation.name:
        return text
    words = len(split_words(relation.table.title).split())
    return f"{' '.join(text[: found[1]].split()[:-words])} {text[found[1] :]}"


def _notes(finder: FieldFinder, text: str, mentioned: list[Path]) -> tuple[str, ...]:
    known = {word.lower() for word in _relation_words(finder.relation)}
    known |= {word for path in mentioned for name in names_of(path.column) for word in name.split()}
    left = [
        word for word in re.findall(r"[\w'-]+", text.lower()) if word not in _IDLE | known and word.removesuffix("s") not in known
    ]
    taken = [f"read by retrieval: {guess}" for guess in dict.fromkeys(finder.guesses)]
    return (*taken, *([f"not read: {' '.join(left)}"] if left else []))


def _relation_words(relation: Relation) -> set[str]:
    words = split_words(relation.table.title).split()
    return {*words, *(f"{word}s" for word in words)}


def _one(text: str, place: int) -> bool:
    """Whether what is ranked stands in the singular: ``the latest incident``."""
    return not re.search(r"s\b", " ".join(text[place:].split()[:3]))
