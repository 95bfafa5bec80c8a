import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

CATALOG_SIZES = {"step": 4, "table": 2, "field": 3, "catalog_item": 1}


def test_table_tells_what_was_done(invoke):
    result = invoke("index", "catalog.yaml")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == ["TYPE", "EMBEDDED", "UPDATED", "DELETED", "UNCHANGED"]
    assert lines[1:] == [[name, str(count), "0", "0", "0"] for name, count in CATALOG_SIZES.items()]
    assert "holds 10 elements (revision 1)" in result.stderr
    assert Path(".multiretriever/index").is_dir()


def test_only_changes_are_embedded(invoke, indexed):
    text = Path("catalog.yaml").read_text(encoding="utf-8")
    Path("catalog.yaml").write_text(text.replace("Line manager", "The boss").replace("level: 5", "level: 6"), encoding="utf-8")
    report = json.loads(invoke("index", "catalog.yaml", "--json").stdout)
    assert report["types"]["field"] == {"embedded": 1, "updated": 0, "deleted": 0, "unchanged": 2}
    assert report["types"]["step"] == {"embedded": 0, "updated": 1, "deleted": 0, "unchanged": 3}
    assert report["revision"] == 2
    assert report["rebuilt"] == []
    assert Path(report["location"]) == Path(".multiretriever/index").resolve()


def test_several_catalogs_make_one(invoke):
    with sqlite3.connect("crm.sqlite") as database:
        database.execute("create table customer (id integer primary key, name text)")
    database.close()
    result = invoke("index", "catalog.yaml", "tools.json", "crm.sqlite", "sqlite:///crm.sqlite", "--json")
    assert result.exit_code == 1  # the same table twice
    assert "appears twice" in result.stderr
    report = json.loads(invoke("index", "catalog.yaml", "tools.json", "sqlite:///crm.sqlite", "--json").stdout)
    assert report["types"]["step"]["embedded"] == CATALOG_SIZES["step"] + 1
    assert report["types"]["table"]["embedded"] == CATALOG_SIZES["table"] + 1


def test_quiet_writes_nothing_but_json(invoke):
    result = invoke("index", "catalog.yaml", "--quiet")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    result = invoke("index", "catalog.yaml", "--quiet", "--json")
    assert json.loads(result.stdout)["types"]["step"]["unchanged"] == CATALOG_SIZES["step"]
    assert result.stderr == ""


def test_place_and_name(invoke, monkeypatch):
    monkeypatch.setenv("MULTIRETRIEVER_INDEX", "from_environment")
    assert invoke("index", "catalog.yaml", "--name", "one").exit_code == 0
    assert invoke("index", "tools.json", "--name", "two").exit_code == 0
    assert not Path(".multiretriever/index").exists()
    counts = [json.loads(invoke("status", "--name", name, "--json").stdout)["counts"] for name in ("one", "two")]
    assert counts == [CATALOG_SIZES, {"step": 1}]
    assert invoke("status", "--index", "elsewhere").exit_code == 3


def test_shrunken_catalog_is_refused_until_allowed(invoke, indexed):
    result = invoke("index", "tools.json")
    assert result.exit_code == 1
    assert "--allow-shrink" in result.stderr
    assert invoke("index", "tools.json", "--allow-shrink").exit_code == 0
    assert json.loads(invoke("status", "--json").stdout)["counts"] == {"step": 1}


def test_wrong_catalog_lists_all_problems_and_makes_no_index(invoke):
    Path("bad.yaml").write_text("scope: x\nstepps: []\ntables:\n  - {label: Nameless}\n", encoding="utf-8")
    result = invoke("index", "bad.yaml", "nosuch.yaml")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert "bad.yaml:2" in result.stderr
    assert "bad.yaml:4" in result.stderr
    assert "nosuch.yaml: there is no such file" in result.stderr
    assert "Traceback" not in result.stderr
    assert not Path(".multiretriever/index").exists()


def test_another_encoder_builds_anew(invoke, indexed):
    mismatch = invoke("search", "x", "--encoder", "other")
    assert mismatch.exit_code == 3
    assert "'words'" in mismatch.stderr
    assert "'other'" in mismatch.stderr
    result = invoke("index", "catalog.yaml", "--encoder", "other")
    assert result.exit_code == 0
    assert "built anew" in result.stderr
    assert invoke("search", "incident", "--encoder", "other").exit_code == 0


SLOW_PLUGIN = """\
import time
from pathlib import Path

import multiretriever.core.index
from encoders import WordEncoder


class SlowEncoder(WordEncoder):
    def encode_documents(self, texts):
        if self.documents:
            Path("started").touch()
            time.sleep(60)
        return super().encode_documents(texts)


multiretriever.core.index.index.load_encoder = lambda spec=None: SlowEncoder()
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to a whole console, not to one process")
def test_interrupted_sync_is_continued_by_the_same_command(run, environment):
    Path("slow_plugin.py").write_text(SLOW_PLUGIN, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "multiretriever", "index", "catalog.yaml"],
        env={**environment, "MULTIRETRIEVER_PLUGINS": "slow_plugin"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # A test run in the background ignores Ctrl-C, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    end = time.monotonic() + 60
    while not Path("started").exists():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (130, "")
    assert "run the same command again" in stderr
    assert "Traceback" not in stderr

    assert run("status").returncode == 3  # nothing half done is shown
    again = run("index", "catalog.yaml", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["types"]["step"]["unchanged"] == CATALOG_SIZES["step"]
    assert run("verify").returncode == 0
