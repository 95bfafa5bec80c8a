"""Embeddings both ways: an encoder of the core as a LlamaIndex embedding model, and any such model as an encoder."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import Field, PrivateAttr

from multiretriever.core.elements import element_type as registered_type
from multiretriever.core.encoders import Encoder, EncoderSpec, Vectors, load_encoder, make_fingerprint, unit_vectors
from multiretriever.core.errors import EncoderError, EncoderMismatchError, ParameterError
from multiretriever.core.instructions import InstructionSet
from multiretriever.core.prompts import fit_prompt, make_prompt
from multiretriever.core.query import QueryContext, check_context

# The encoder makes batches of its own; this is the largest that LlamaIndex hands over in one call.
_BATCH = 2048
_PICKLED = ("element_type", "context", "instruction", "fingerprint", "model_name", "embed_batch_size", "num_workers")


class InstructionEmbeddings(BaseEmbedding):
    """Embeds texts as they are, and queries below the instruction of an element type, for LlamaIndex's own indexes and pipelines.

    The fields are by what an ingestion cache tells two of them apart.

    Attributes:
        element_type: Element type that queries look for.
        context: What is known beside the query's text; it goes into every query.
        instruction: The sentence put before queries; empty for an encoder that was trained without.
        fingerprint: Fingerprint of the encoder.
    """

    element_type: str = Field(description="Element type that queries look for.")
    context: dict[str, Any] = Field(description="What is known beside the query's text.")
    instruction: str = Field(description="The sentence put before queries.")
    fingerprint: str = Field(description="Fingerprint of the encoder.")
    _encoder: Encoder = PrivateAttr()
    _source: EncoderSpec = PrivateAttr()

    def __init__(
        self,
        encoder: EncoderSpec = None,
        *,
        element_type: str,
        context: QueryContext | Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        """Makes an embedding model.

        Args:
            encoder: The encoder, or what ``load_encoder`` takes; None for the shipped one.
            element_type: Name of the element type that queries look for, such as ``step``.
            context: What else is known (see ``QueryContext``).
            options: ``embed_batch_size``, ``callback_manager`` and others of ``BaseEmbedding``.

        Raises:
            EncoderError: The encoder cannot be loaded.
            EncoderMismatchError: The options are those of ``to_dict()`` and were made with another encoder.
            ElementTypeError: The type is unknown.
            ParameterError: The context is not valid.
        """
        loaded, kind = load_encoder(encoder), registered_type(element_type).name
        checked = check_context(context)
        derived = {
            "fingerprint": loaded.fingerprint,
            "model_name": loaded.name,
            "instruction": make_prompt("x", kind, checked, instructions=loaded.instructions).instruction,
        }
        for key, value in derived.items():
            if options.setdefault(key, value) != value:
                raise EncoderMismatchError(f"expected the {key} {options[key]!r}, got the encoder's {value!r}")
        values = checked.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        super().__init__(element_type=kind, context=values, **{"embed_batch_size": _BATCH, **options})
        self._encoder = loaded
        self._source = encoder

    @classmethod
    def class_name(cls) -> str:
        """Name in ``to_dict()``."""
        return "InstructionEmbeddings"

    def __reduce__(self) -> tuple[Any, ...]:
        # BaseComponent would leave out an encoder that cannot be pickled, and load the shipped one in its place.
        values = {name: getattr(self, name) for name in _PICKLED}
        return _restore, (type(self), self._source, values)

    def get_query_embedding(self, query: str) -> list[float]:
        """Embeds a query, with the instruction. Queries are not looked up in ``embeddings_cache``, nor put there.

        Raises:
            QueryError: The query is empty, not text, or too long.
            EncoderError: The encoder failed.
        """
        return super(InstructionEmbeddings, self._uncached()).get_query_embedding(query)

    async def aget_query_embedding(self, query: str) -> list[float]:
        """Does ``get_query_embedding`` without blocking the event loop."""
        return await super(InstructionEmbeddings, self._uncached()).aget_query_embedding(query)

    def _uncached(self) -> InstructionEmbeddings:
        # That cache keys on the bare text, under which the vector of a document may be stored.
        return self if self.embeddings_cache is None else self.model_copy(update={"embeddings_cache": None})

    def _get_query_embedding(self, query: str) -> list[float]:
        prompt = make_prompt(query, self.element_type, self.context, instructions=self._encoder.instructions)
        return _lists(self._encoder.encode_queries([fit_prompt(self._encoder, prompt)]))[0]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return await asyncio.to_thread(self._get_query_embedding, query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return await asyncio.to_thread(self._get_text_embedding, text)

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return _lists(self._encoder.encode_documents(texts))

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)


def _restore(cls: type[InstructionEmbeddings], source: EncoderSpec, values: dict[str, Any]) -> Any:
    return cls(source, **values)


def _lists(vectors: Vectors) -> list[list[float]]:
    rows: list[list[float]] = vectors.tolist()
    return rows


_T = TypeVar("_T")
_PROBE = "dimension"
# Settings of the known integrations that say who asks, how fast and from where, and nothing of the vectors.
_IRRELEVANT = frozenset(
    """
    api_key cohere_api_key auth_token token credentials aws_access_key_id aws_secret_access_key aws_session_token profile_name
    timeout max_retries reuse_client default_headers headers num_workers embed_batch_size batch_size parallel_process
    device target_devices cache_folder cache_dir show_progress show_progress_bar embeddings_cache callback_manager rate_limiter
    """.split()
)


class LlamaIndexEncoder:
    """Encodes with a LlamaIndex embedding model: a hosted one, one behind an endpoint, or one in this process.

    LlamaIndex embeds queries one at a time, so a batch of queries is not one pass here.

    Attributes:
        embedding: The model.
    """

    def __init__(
        self,
        embedding: BaseEmbedding,
        *,
        name: str | None = None,
        instructions: InstructionSet | None = None,
        document_prompt: str = "",
        fingerprint: str | None = None,
    ) -> None:
        """Wraps an embedding model. Nothing is embedded yet.

        Args:
            embedding: The model.
            name: Name for people; None for the model's.
            instructions: Instructions to put before queries; None for the bare query.
            document_prompt: Text that the model wants before documents, such as ``"passage: "``.
            fingerprint: What tells this model from others; None to make it of class, model name, settings and dimension. To be
                given where the settings do not say what the model is, or change without the vectors changing.

        Raises:
            ParameterError: ``embedding`` is no LlamaIndex embedding model.
        """
        if not isinstance(embedding, BaseEmbedding):
            raise ParameterError(f"embedding is a LlamaIndex BaseEmbedding object (got {type(embedding).__name__})")
        # That cache keys on the bare text: a query's vector would come back for a document, and the other way round.
        cached = embedding.embeddings_cache is not None
        self.embedding = embedding
        self._model = embedding.model_copy(update={"embeddings_cache": None}) if cached else embedding
        self._prompt = document_prompt
        self._instructions = instructions
        self._name = name or (embedding.model_name if embedding.model_name != "unknown" else type(embedding).__name__)
        self._fingerprint = fingerprint
        self._dimension: int | None = None
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """Name for people."""
        return self._name

    @property
    def dimension(self) -> int:
        """Length of a vector; the first time it is asked for, one text is embedded to see.

        Raises:
            EncoderError: The model failed.
        """
        with self._lock:
            if self._dimension is None:
                vector = self._ask(self._model.get_text_embedding, _PROBE)
                self._dimension = unit_vectors([vector], 1, None, self._name).shape[1]
            return self._dimension

    @property
    def fingerprint(self) -> str:
        """Digest of class, model name, settings, document prompt and dimension; or what was given.

        Raises:
            EncoderError: The model failed when its dimension was looked up.
        """
        if self._fingerprint is None:
            self._fingerprint = make_fingerprint({**self._facts(), "dimension": self.dimension})
        return self._fingerprint

    def _facts(self) -> dict[str, Any]:
        model = type(self._model)
        shown = {name for name, field in model.model_fields.items() if not field.exclude} - _IRRELEVANT
        settings = {name: getattr(self._model, name) for name in shown}
        return {
            "kind": "llama-index",
            "class": f"{model.__module__}.{model.__qualname__}",
            "settings": {name: value for name, value in settings.items() if _is_plain(value)},
            "document_prompt": self._prompt,
        }

    @property
    def instructions(self) -> InstructionSet | None:
        """Instructions for queries, if any."""
        return self._instructions

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Encodes what is searched. Returns float32 [len(texts), dimension], each row of length 1.

        Raises:
            EncoderError: The model failed, or returned vectors that cannot be used.
        """
        prompted = [self._prompt + text for text in texts]
        return self._unit(self._ask(self._model.get_text_embedding_batch, prompted), len(texts))

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encodes what is searched with. Returns float32 [len(texts), dimension], each row of length 1.

        Raises:
            EncoderError: The model failed, or returned vectors that cannot be used.
        """
        return self._unit([self._ask(self._model.get_query_embedding, text) for text in texts], len(texts))

    def _ask(self, embed: Callable[[_T], Any], what: _T) -> Any:
        try:
            return embed(what)
        except Exception as error:  # every integration lets the errors of its own client through
            raise EncoderError(
                f"the LlamaIndex embedding model {self._name!r} failed: {type(error).__name__}: {error}"
            ) from error

    def _unit(self, values: Any, count: int) -> Vectors:
        return unit_vectors(values, count, self.dimension, self._name)


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, str | int | float | bool)
