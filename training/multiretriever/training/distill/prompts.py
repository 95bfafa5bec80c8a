"""The query of a training pair taken apart again: instruction, body, and the plain words of both."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from multiretriever.core import Problem
from multiretriever.core.encoders import Encoder, Windowed, fit_prompt
from multiretriever.core.errors import QueryTruncatedWarning
from multiretriever.core.instructions import Prompt
from multiretriever.core.names import split_words
from multiretriever.core.yaml_io import parse_yaml

# Long parts of the context: no words to look up.
_LONG = ("requirement", "flow")


def split_prompt(text: str, template: str) -> Prompt:
    """Returns the prompt that a query text was made of: with a template its first line is the instruction."""
    if not template or "\n" not in text:
        return Prompt("", text)
    instruction, _, body = text.partition("\n")
    return Prompt(instruction, body, template)


def plain_query(prompt: Prompt) -> str:
    """Returns what BM25 and encoders without instructions are given: the short values of the context and the query's own text.

    This is what ``make_prompt`` gives without instructions.
    """
    if prompt.template is None:
        return prompt.body
    documents = parse_yaml(prompt.body, "query")
    value = None if isinstance(documents, Problem) or len(documents) != 1 else documents[0].value
    if not isinstance(value, Mapping) or not value:
        return prompt.body
    *context, (_, own) = value.items()  # the query's own text stands last
    words = [split_words(str(item)) for key, item in context if key not in _LONG and isinstance(item, str | int | float)]
    return "\n".join([*words, str(own)])


def fitted(encoder: Encoder | Windowed, prompt: Prompt) -> str:
    """Does what ``fit_prompt`` does, without a warning for each query: of many queries some are always too long."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QueryTruncatedWarning)
        return fit_prompt(encoder, prompt)
