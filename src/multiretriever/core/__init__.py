"""Elements, catalogs, encoders, the index and the retriever; free of any framework and of torch.

Every error of the package is in ``multiretriever.core.errors``; those that callers catch most are here too.
"""

from multiretriever.core.catalog import Catalog
from multiretriever.core.elements import (
    CatalogItem,
    Element,
    ElementType,
    Field,
    Step,
    Table,
    Workflow,
    element_type,
    element_types,
    natural_text,
    register_element_type,
    unregister_element_type,
)
from multiretriever.core.encoders import Encoder, OnnxEncoder, SentenceTransformerEncoder, load_encoder
from multiretriever.core.errors import (
    CatalogError,
    EncoderError,
    EncoderMismatchError,
    FlowError,
    IndexNotFoundError,
    MissingDependencyError,
    MultiRetrieverError,
    ParameterError,
    StoreError,
)
from multiretriever.core.example import Example
from multiretriever.core.flows import Flow, FlowStep, Trigger, read_flows, write_flows
from multiretriever.core.index import Index
from multiretriever.core.instructions import InstructionSet
from multiretriever.core.query import QueryContext, SearchOptions
from multiretriever.core.retriever import Grounding, Hit, MultiRetriever

__all__ = [
    "Catalog",
    "CatalogError",
    "CatalogItem",
    "Element",
    "ElementType",
    "Encoder",
    "EncoderError",
    "EncoderMismatchError",
    "Example",
    "Field",
    "Flow",
    "FlowError",
    "FlowStep",
    "Grounding",
    "Hit",
    "Index",
    "IndexNotFoundError",
    "InstructionSet",
    "MissingDependencyError",
    "MultiRetriever",
    "MultiRetrieverError",
    "OnnxEncoder",
    "ParameterError",
    "QueryContext",
    "SearchOptions",
    "SentenceTransformerEncoder",
    "Step",
    "StoreError",
    "Table",
    "Trigger",
    "Workflow",
    "element_type",
    "element_types",
    "load_encoder",
    "natural_text",
    "read_flows",
    "register_element_type",
    "unregister_element_type",
    "write_flows",
]
