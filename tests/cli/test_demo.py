"""``multiretriever demo``, with the shipped encoder and the bundled catalog."""

import json
import os
import subprocess
import sys

import pytest

from encoders import WordEncoder
from multiretriever.cli.demo import REQUIREMENT
from multiretriever.core import Catalog, Flow
from multiretriever.core.catalog import IT_SERVICE
from multiretriever.grounding import check_flow


def demo(folder, *arguments):
    command = [sys.executable, "-m", "multiretriever", "demo", *arguments]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MULTIRETRIEVER_")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    first = demo(folder)
    assert first.returncode == 0, first.stderr
    (folder / "first.txt").write_text(first.stdout + first.stderr)
    return folder


def test_it_shows_what_it_found_and_a_valid_flow(folder):
    shown = (folder / "first.txt").read_text()
    for words in (
        REQUIREMENT,
        "core.look_up_records",
        "itsm.incident_task",
        "core.task.assigned_to",
        "assigned_toISEMPTY",
        "Valid:",
    ):
        assert words in shown


def test_the_second_time_nothing_is_embedded_and_json_holds_a_flow_that_the_catalog_bears_out(folder):
    second = demo(folder, "--json", "When an incident is created, post a message to the Slack channel.")
    assert second.returncode == 0, second.stderr
    assert ", 0 of them embedded now" in second.stderr
    answer = json.loads(second.stdout)
    assert answer["valid"] is True
    assert set(answer["hits"]) == {"step", "table", "field"}
    flow = Flow.model_validate(answer["flow"])
    assert [step.definition for step in flow.steps] == ["slack.post_message"]
    assert check_flow(flow, Catalog.from_path(IT_SERVICE)).valid


def test_an_empty_requirement_and_an_unknown_model_are_one_line(folder):
    empty = demo(folder, " ")
    assert (empty.returncode, empty.stdout) == (2, "")
    assert empty.stderr.splitlines()[-1].startswith("error: the query is empty")
    unknown = demo(folder, "--llm", "nonsense")
    assert unknown.returncode == 1
    assert "Traceback" not in unknown.stderr
    assert "nonsense" in unknown.stderr


def test_the_flow_can_come_from_a_chat_model(monkeypatch, tmp_path):
    from typer.testing import CliRunner

    import multiretriever.core.index.index
    import multiretriever.langchain
    from models import langchain_model
    from multiretriever.cli.app import app

    outline = '{"trigger": "", "steps": [{"annotation": "post a message to the channel"}]}'
    lie, inputs = '{"definition": "slack.shout_message"}', '{"channel": "it-team", "text": "Good morning"}'
    fake = langchain_model(outline, lie, lie, lie, inputs)
    monkeypatch.setattr(multiretriever.langchain, "init_model", lambda name: fake)
    monkeypatch.setattr(multiretriever.core.index.index, "load_encoder", lambda spec: WordEncoder())
    result = CliRunner().invoke(
        app, ["demo", "--llm", "fake:model", "--index", str(tmp_path / "index"), "Say good morning in Slack."]
    )
    # The model lies until its last trial, and the demo says so.
    assert result.exit_code == 0, result.output
    assert "definition: slack.shout_message" not in result.stdout
    assert "changed: step 1: there is no step 'slack.shout_message'; it became 'slack." in result.stdout
    assert "Valid: every one of its 1 steps" in result.stdout
    assert "step 1 of 1 (post a message to the channel)" in result.stderr
