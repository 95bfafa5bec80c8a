"""Where catalogs come from: files, folders, databases, API documents and tool lists.

``source_of`` recognises the kind of a file or folder by its content; each kind of file can be asked for by its class as well.
"""

from multiretriever.core.sources.catalog_files import JsonSource, YamlSource
from multiretriever.core.sources.csv_files import CsvSource
from multiretriever.core.sources.detection import source_of
from multiretriever.core.sources.flow_files import FlowSource
from multiretriever.core.sources.openapi import OpenApiSource
from multiretriever.core.sources.sql import SqlSource
from multiretriever.core.sources.tool_lists import ToolSource

__all__ = [
    "CsvSource",
    "FlowSource",
    "JsonSource",
    "OpenApiSource",
    "SqlSource",
    "ToolSource",
    "YamlSource",
    "source_of",
]
