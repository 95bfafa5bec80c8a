"""Reading a file that holds one document, in YAML or JSON."""

from __future__ import annotations

from pathlib import Path

from multiretriever.core.errors import Problem
from multiretriever.core.records import ProblemLog
from multiretriever.core.sources.files import text_of
from multiretriever.core.sources.json_text import Located, parse_json
from multiretriever.core.yaml_io import parse_yaml


def read_document(path: Path, log: ProblemLog) -> Located | None:
    """Reads the document of a file; None where the log says why there is none."""
    text = text_of(path, log)
    if text is None:
        return None
    if path.suffix.lower() == ".json":
        parsed = parse_json(text, str(path))
        if not isinstance(parsed, list):
            return parsed
        log.problems.extend(parsed)
        return None
    documents = parse_yaml(text, str(path))
    if isinstance(documents, Problem):
        log.problems.append(documents)
        return None
    if len(documents) != 1:
        log.add(f"one document is due (got {len(documents)})", str(path))
        return None
    return documents[0]
