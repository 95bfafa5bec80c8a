"""The instruction that is put before a query, chosen by rule from the element type and the context that is given.

The form is that of the multi-task retriever paper (arXiv 2501.04652): a sentence that says what is looked for, then what is
known as lines of YAML. Text of users and catalogs is only ever concatenated, never formatted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path

import pydantic
from pydantic import ConfigDict

from multiretriever.core.errors import InstructionError, Problem
from multiretriever.core.query import QueryContext
from multiretriever.core.records import problems_of
from multiretriever.core.yaml_io import decode_text, dump_yaml, parse_yaml, read_text

ANY_TYPE = "*"
LEAST_TOKENS = 8


class Template(pydantic.BaseModel):
    """One instruction and the rule that chooses it.

    Attributes:
        id: Unique name, such as ``step.annotation.scope``.
        element_type: Type that it is for; ``*`` for types that have none of their own.
        given: Context keys that must be there for it to be chosen. Of several that fit, the one with the most keys wins,
            then the first.
        instruction: The sentence before the query.
        query_key: Key under which the query's own text is written in the YAML lines.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = pydantic.Field(min_length=1)
    element_type: str = ANY_TYPE
    given: tuple[str, ...] = ()
    instruction: str = pydantic.Field(min_length=1)
    query_key: str = "query"


class Prompt(str):
    """A query made ready for an encoder: the text that it reads, which knows its parts, so that nobody takes it apart again.

    Attributes:
        instruction: The sentence before the query; empty for an encoder that was trained without.
        body: The context and the query as YAML lines, the query last; or the bare query.
        template: Id of the template that was chosen; None for the bare query.
        bare: The query and the short values of its context, for an encoder that was trained without instructions.
    """

    instruction: str
    body: str
    template: str | None
    bare: str

    def __new__(cls, instruction: str, body: str, template: str | None = None, *, bare: str | None = None) -> Prompt:
        """Puts the parts together; ``bare`` is the body where it is not given."""
        prompt = super().__new__(cls, f"{instruction}\n{body}" if instruction else body)
        prompt.instruction, prompt.body, prompt.template = instruction, body, template
        prompt.bare = body if bare is None else bare
        return prompt

    def __getnewargs_ex__(self) -> tuple[tuple[str, str, str | None], dict[str, str]]:
        """Returns what copies and pickles are made of."""
        return (self.instruction, self.body, self.template), {"bare": self.bare}

    @property
    def text(self) -> str:
        """What the encoder reads, as plain text."""
        return str.__str__(self)

    def with_body(self, body: str) -> Prompt:
        """Returns the prompt with another body, say a shortened one."""
        return Prompt(self.instruction, body, self.template, bare=self.bare if self.instruction else body)


class InstructionSet:
    """Templates, and the rule that chooses one of them."""

    def __init__(self, templates: Iterable[Template], *, query_tokens: int | None = None) -> None:
        """Makes a set; of two templates with one id the later one replaces the earlier.

        Args:
            templates: The templates.
            query_tokens: Tokens of a query, its instruction and special tokens included, that the encoder was trained to read;
                longer queries are cut to it. None for as many as the encoder takes.

        Raises:
            InstructionError: There is no template at all.
        """
        self.query_tokens = query_tokens
        self._templates = {template.id: template for template in templates}
        if not self._templates:
            raise InstructionError("an instruction set needs at least one template")

    @property
    def templates(self) -> tuple[Template, ...]:
        """All templates, in the order in which they are tried."""
        return tuple(self._templates.values())

    def with_templates(self, templates: Iterable[Template]) -> InstructionSet:
        """Returns a set with more templates; one with a known id replaces it."""
        return InstructionSet([*self.templates, *templates], query_tokens=self.query_tokens)

    def choose(self, element_type: str, given: Iterable[str]) -> Template:
        """Returns the template of the type with the most context keys that are all given; general ones where the type has none.

        Raises:
            InstructionError: No template fits.
        """
        keys = set(given)
        for name in (element_type, ANY_TYPE):
            fitting = [item for item in self.templates if item.element_type == name and keys.issuperset(item.given)]
            if fitting:
                return max(fitting, key=lambda item: len(item.given))
        raise InstructionError(
            f"no instruction for element type {element_type!r} with {sorted(keys) or 'no context'}; "
            f"add a template with that element_type (or {ANY_TYPE!r}) and an empty 'given'"
        )

    def prompt(self, query: str, element_type: str, context: QueryContext) -> Prompt:
        """Chooses a template and writes the query with its context."""
        template = self.choose(element_type, context.given)
        lines = context.lines
        key = template.query_key if template.query_key not in lines else "query"
        body = dump_yaml({**lines, key: query}).rstrip("\n")
        return Prompt(template.instruction, body, template.id, bare=context.before(query))

    @property
    def prompts(self) -> dict[str, str]:
        """What is put before a query, by the template's id: the form in which sentence-transformers keeps it."""
        return {item.id: f"{item.instruction}\n" for item in self.templates}

    def to_yaml(self) -> str:
        """Returns the file that ``from_path`` reads."""
        content = {} if self.query_tokens is None else {"query_tokens": self.query_tokens}
        templates = [item.model_dump(mode="json", exclude_defaults=True) for item in self.templates]
        return dump_yaml({**content, "templates": templates})

    @classmethod
    def from_path(cls, path: str | Path) -> InstructionSet:
        """Reads a YAML file with the key ``templates``, and ``query_tokens`` where queries are to be cut.

        Raises:
            InstructionError: The file is not valid; the message lists every problem with its line.
        """
        templates, query_tokens = _parse(read_text(Path(path)), str(path))
        return cls(templates, query_tokens=query_tokens)

    @classmethod
    @lru_cache(maxsize=1)
    def default(cls) -> InstructionSet:
        """Returns the templates that the package ships."""
        data = resources.files("multiretriever.core").joinpath("instructions.yaml").read_bytes()
        return cls(_parse(decode_text(data, "instructions.yaml"), "instructions.yaml")[0])


def _parse(text: str | Problem, source: str) -> tuple[Sequence[Template], int | None]:
    documents = text if isinstance(text, Problem) else parse_yaml(text, source)
    if isinstance(documents, Problem):
        raise InstructionError(str(documents))
    value = documents[0].value if documents else None
    if not isinstance(value, dict) or not isinstance(value.get("templates"), list):
        raise InstructionError(f"{source}: expected a mapping with a list under 'templates'")
    tokens = str(value.get("query_tokens", ""))
    if tokens and not (tokens.isdecimal() and int(tokens) >= LEAST_TOKENS):
        raise InstructionError(f"{source}: query_tokens: expected a whole number from {LEAST_TOKENS} (got {tokens!r})")
    templates: list[Template] = []
    problems: list[Problem] = []
    for index, item in enumerate(value["templates"]):
        try:
            templates.append(Template.model_validate(item))
        except pydantic.ValidationError as error:
            problems.extend(problems_of(error, source=source, line=documents[0].line, prefix=("templates", index)))
    if problems:
        raise InstructionError("\n".join(str(problem) for problem in problems))
    return templates, int(tokens) if tokens else None
