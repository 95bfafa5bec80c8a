"""Any LlamaIndex embedding model as an encoder of the core."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from llama_index.core.base.embeddings.base import BaseEmbedding

from multiretriever.core.encoders import Vectors, make_fingerprint, unit_vectors
from multiretriever.core.errors import EncoderError, ParameterError
from multiretriever.core.instructions import InstructionSet

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
                given where the settings do not tell what the model is, or change without the vectors changing.

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
            EncoderError: The model failed, or gave vectors that cannot be used.
        """
        prompted = [self._prompt + text for text in texts]
        return self._unit(self._ask(self._model.get_text_embedding_batch, prompted), len(texts))

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encodes what is searched with. Returns float32 [len(texts), dimension], each row of length 1.

        Raises:
            EncoderError: The model failed, or gave vectors that cannot be used.
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
