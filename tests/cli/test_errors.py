import json
import warnings

import pytest

from encoders import WordEncoder
from multiretriever.cli.command import exit_code
from multiretriever.core import Index, errors
from multiretriever.core.errors import MultiRetrieverError, Problem

CODES = {
    "ParameterError": 2,
    "QueryError": 2,
    "FilterError": 2,
    "ElementTypeError": 2,
    "StoreError": 3,
    "IndexNotFoundError": 3,
    "IndexLockedError": 3,
    "IndexDamagedError": 3,
    "EncoderMismatchError": 3,
    "ServerUnavailableError": 3,
}
CLASSES = [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, MultiRetrieverError)]


@pytest.mark.parametrize("error_class", CLASSES, ids=lambda item: item.__name__)
def test_exit_code_of_every_error(error_class, plainly, monkeypatch):
    error = error_class([Problem("bad", "a.yaml", 3)]) if issubclass(error_class, errors.ProblemsError) else error_class("bad")

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(Index, "open", fail)
    result = plainly("status")
    assert result.exit_code == exit_code(error) == CODES.get(error_class.__name__, 1)
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert "bad" in result.stderr
    assert "Traceback" not in result.stderr


def test_debug_shows_the_traceback(invoke):
    plain = invoke("status")
    assert plain.exit_code == 3
    assert "Traceback" not in plain.stderr
    for shown in (
        invoke("status", "--debug"),
        invoke("--debug", "status"),
        invoke("status", env={"MULTIRETRIEVER_DEBUG": "1"}),
    ):
        assert shown.exit_code == 3
        assert "Traceback" in shown.stderr
        assert "IndexNotFoundError" in shown.stderr
        assert shown.stderr.splitlines()[-1].startswith("error: there is no index")
        assert shown.stdout == ""


def test_index_that_another_process_has_open(run, indexed):
    with Index.open(".multiretriever/index", encoder=WordEncoder("words")):
        for command in (["search", "x"], ["index", "catalog.yaml"]):
            done = run(*command)
            assert (done.returncode, done.stdout) == (3, "")
            assert "open in another process (pid " in done.stderr
    assert run("search", "x").returncode == 0


def test_server_that_is_down(invoke):
    result = invoke("status", "--index", "http://127.0.0.1:9")
    assert result.exit_code == 3
    assert "does not answer" in result.stderr


def test_encoder_that_is_missing(run):
    done = run("search", "x", "--encoder", "no/such/folder", env={"MULTIRETRIEVER_PLUGINS": ""})
    assert done.returncode == 1
    assert "no/such/folder" in done.stderr
    assert "Traceback" not in done.stderr


class WindowEncoder(WordEncoder):
    window = 8

    def token_starts(self, text):
        return [place for place in range(len(text)) if place == 0 or text[place - 1] == " "]


def test_warning_is_shown_once(invoke, indexed, monkeypatch):
    monkeypatch.setattr("multiretriever.core.index.index.load_encoder", lambda spec=None: WindowEncoder("words"))
    for arguments in (["search", "word " * 30, "--json"], ["ground", "word " * 30, "--json"]):
        result = invoke(*arguments)
        assert result.exit_code == 0
        json.loads(result.stdout)
        assert result.stderr.count("warning: the query has ") == 1
        assert ".py:" not in result.stderr


def test_warnings_of_others_are_left_alone(invoke, monkeypatch):
    def warn(*_, **__):
        warnings.warn("from elsewhere", UserWarning, stacklevel=1)
        raise errors.StoreError("bad")

    monkeypatch.setattr(Index, "open", warn)
    with pytest.warns(UserWarning, match="from elsewhere"):
        assert invoke("status").exit_code == 3


@pytest.mark.parametrize("command", [["status"], ["index", "catalog.yaml"], ["search", "x"]])
def test_ctrl_c(invoke, monkeypatch, command):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Index, "open", interrupt)
    result = invoke(*command)
    assert (result.exit_code, result.stdout) == (130, "")
    assert "run the same command again" in result.stderr
