"""Using index folders from another process, which they might crash."""

import json

from processes import run_python

# Opens, reads and queries each folder, and tells what came of it: a line each.
USE = """
import json, sys
from encoders import WordEncoder
from multiretriever.core import Index, MultiRetriever, MultiRetrieverError
for folder in sys.argv[1:]:
    try:
        with Index.open(folder, encoder=WordEncoder()) as index:
            hits = MultiRetriever(index, mode="dense").retrieve("number7", "step", k=3)
            print(json.dumps(["ok", [hit.id for hit in hits]]), flush=True)
    except MultiRetrieverError as error:
        print(json.dumps([type(error).__name__, str(error)]), flush=True)
"""


def use_all(folders):
    """Uses folders in another process, which must survive them; returns kind and message of each."""
    status, out, err = run_python(USE, *folders)
    assert status == 0, (out, err)
    return [json.loads(line) for line in out.splitlines()]


def use(folder):
    (found,) = use_all([folder])
    return found
