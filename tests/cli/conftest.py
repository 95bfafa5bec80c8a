"""A small catalog, and the command line in this process (``invoke``) and in one of its own (``run``)."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from encoders import WordEncoder
from multiretriever.cli.app import app

SUPPORT = Path(__file__).parents[1] / "support"

CATALOG = """\
scope: itsm
steps:
  - name: notify_on_call
    label: Notify On-Call Engineer
    description: Tells the engineer who is on call about an incident.
    metadata: {approved: true, level: 3, version: "3"}
  - name: assign_incident
    label: Assign Incident
    description: Gives an incident to a group or to one engineer.
    metadata: {approved: false, level: 5, version: "4"}
  - {name: for_each, label: For Each, kind: logic, description: Repeats the steps of its block for every record.}
  - {scope: slack, name: post_message, label: Post Message, description: "Writes a message to a channel of the team."}
tables:
  - name: incident
    label: Incident
    description: An unplanned interruption of a service.
    fields:
      - {name: caller, label: Caller, data_type: reference, reference: user, description: Person who reported it}
      - {name: state, label: State, data_type: choice, description: How far the work has come}
  - name: user
    label: User
    description: Everybody with a login.
    fields:
      - {name: manager, label: Manager, data_type: reference, reference: user, description: Line manager}
catalog_items:
  - {name: laptop, label: Laptop, description: A portable computer for new colleagues.}
"""
TOOLS = """\
{"tools": [{"name": "get_weather", "description": "Tells the weather of a city.",
            "inputSchema": {"type": "object", "properties": {"city": {"type": "string"}}}}]}
"""
FLOW = """\
name: tell_team
requirement: When an incident is opened, tell the team.
trigger: {annotation: an incident is opened}
steps:
  - {annotation: tell the on-call engineer, definition: itsm.notify_on_call, order: 1, block: 0}
"""
WORDS_PLUGIN = """\
import multiretriever.core.index
from encoders import WordEncoder

multiretriever.core.index.index.load_encoder = lambda spec=None: WordEncoder(spec or "words")
"""


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    """A current folder with a catalog, tools and a flow; no setting of the person who runs the tests reaches them."""
    for name in [name for name in os.environ if name.startswith("MULTIRETRIEVER_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "work"
    folder.mkdir()
    texts = {"catalog.yaml": CATALOG, "tools.json": TOOLS, "flow.yaml": FLOW, "words_plugin.py": WORDS_PLUGIN}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def words(monkeypatch):
    """Puts a small encoder in the place of the shipped one."""

    def load(spec=None):
        return WordEncoder(spec or "words") if isinstance(spec, str | None) else spec

    monkeypatch.setattr("multiretriever.core.index.index.load_encoder", load)


@pytest.fixture
def plainly():
    """Runs a command in this process, with the shipped encoder."""
    # Older runners mix the two streams unless they are told not to; newer ones know no such option.
    apart = {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}

    def invoked(*arguments, **options):
        return CliRunner(**apart).invoke(app, [str(argument) for argument in arguments], **options)

    return invoked


@pytest.fixture
def invoke(words, plainly):
    """Runs a command in this process, with the small encoder."""
    return plainly


@pytest.fixture
def indexed(invoke):
    """The catalog, indexed at the default place."""
    result = invoke("index", "catalog.yaml")
    assert result.exit_code == 0, result.stderr


@pytest.fixture
def environment():
    """Environment of a process that finds the package, the test support and the small encoder."""
    path = os.pathsep.join(
        filter(None, [os.environ.get("PYTHONPATH"), *(p for p in sys.path if "site-packages" not in p), str(SUPPORT)])
    )
    absolute = os.pathsep.join(str(Path(part).absolute()) for part in path.split(os.pathsep))
    return {**os.environ, "PYTHONPATH": absolute, "MULTIRETRIEVER_PLUGINS": "words_plugin"}


@pytest.fixture
def run(environment):
    """Runs a command in a process of its own."""

    def ran(*arguments, env=None, **options):
        command = [sys.executable, "-m", "multiretriever", *map(str, arguments)]
        options = {"capture_output": True, "text": True, "timeout": 120, "encoding": "utf-8", **options}
        return subprocess.run(command, env={**environment, **(env or {})}, check=False, **options)

    return ran
