import json
from pathlib import Path

from encoders import WordEncoder
from indexes import collection_of
from multiretriever.core import Index


def test_status(invoke, indexed):
    result = invoke("status")
    assert result.exit_code == 0
    assert str(Path(".multiretriever/index").resolve()) in result.stdout
    assert "words (64 dimensions, fingerprint " in result.stdout
    rows = [line.split(maxsplit=2) for line in result.stdout.splitlines()]
    assert ["step", "4", "scope, kind, approved, level, version"] in rows
    assert result.stderr == ""


def test_status_as_json(invoke, indexed):
    found = json.loads(invoke("status", "--json").stdout)
    assert found["counts"] == {"step": 4, "table": 2, "field": 3, "catalog_item": 1}
    assert (found["encoder"], found["dimension"], found["revision"], found["complete"]) == ("words", 64, 1, True)
    assert "approved" in found["filters"]["step"]


def test_sound_index(invoke, indexed):
    result = invoke("verify")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "is sound" in result.stdout
    assert json.loads(invoke("verify", "--json").stdout)["ok"] is True


def test_verify_lists_what_is_wrong(invoke, indexed):
    with Index.open(".multiretriever/index", encoder=WordEncoder("words")) as index:
        collection = collection_of(index, "table")
        collection.delete(ids=["itsm.user"])
        collection.update(ids=["itsm.incident"], embeddings=[[1.0] + [0.0] * 63])
    result = invoke("verify")
    assert result.exit_code == 1
    problems = result.stdout.splitlines()
    assert len(problems) == 2
    assert all(line.startswith("problem: table: ") for line in problems)
    answer = invoke("verify", "--json")
    assert answer.exit_code == 1
    assert json.loads(answer.stdout) == {
        "location": str(Path(".multiretriever/index").resolve()),
        "ok": False,
        "problems": [line.removeprefix("problem: ") for line in problems],
    }


def test_damaged_and_missing_indexes_are_exit_code_3(invoke, indexed):
    for command in ("status", "verify"):
        assert invoke(command, "--index", "nosuch").exit_code == 3
    Path(".multiretriever/index/chroma.sqlite3").write_bytes(b"")
    for command in ("status", "verify"):
        result = invoke(command)
        assert (result.exit_code, result.stdout) == (3, "")
        assert "damaged" in result.stderr
