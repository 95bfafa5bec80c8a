"""The example of code generation, in both frameworks: with models that behave, that lie, and without any."""

import asyncio
import json

import pytest

from examples import load_example, run_example
from models import EndlessChatModel, EndlessLLM, langchain_model, llama_index_model
from multiretriever.core.errors import LLMError, QueryError
from multiretriever.grounding.sql_check import check_sql
from python_check import check_python

REQUEST = "Which open incidents of priority 1 have no assigned to? Show number and short description"
SQL = "SELECT number, short_description FROM incident WHERE active = 1 AND assigned_to IS NULL AND priority = '1 - Critical'"
PYTHON = 'for row in query("incident", fields=["number"]):\n    print(row["number"])'
FRAMEWORKS = {"with_langchain.py": (langchain_model, EndlessChatModel), "with_llama_index.py": (llama_index_model, EndlessLLM)}


@pytest.fixture(params=FRAMEWORKS)
def program(request):
    return request.param


@pytest.fixture
def write(program, bundled_retriever, bundled, database):
    """Runs the example with a model; ``write.lines`` holds what it tells on the way."""
    example = load_example(f"code_generation/{program}")

    def do(request, llm=None, **options):
        do.lines = []
        return asyncio.run(
            example.run(request, bundled_retriever, bundled, database, llm=llm, on_progress=do.lines.append, **options)
        )

    return do


def answers(program, *codes):
    return FRAMEWORKS[program][0](*[json.dumps({"code": code, "explanation": "x"}) for code in codes])


def test_without_a_model_what_is_found_is_selected(write, database, bundled):
    draft, rows = write(REQUEST)
    assert check_sql(draft.code, bundled).valid
    assert rows == database.run(draft.code)
    assert len(rows.rows) == 10
    assert write.lines == ["drafted by retrieval and checked: every name exists"]


def test_a_model_writes_and_the_query_is_run(write, program, database):
    draft, rows = write(REQUEST, answers(program, SQL))
    assert draft.code == SQL
    assert rows == database.run(SQL)
    assert write.lines[0].startswith("retrieved the tables ")
    assert write.lines[-1] == "checked: every name exists"


def test_a_faulty_answer_goes_back(write, program):
    llm = answers(program, "SELECT numbr FROM incident", SQL)
    draft, _ = write(REQUEST, llm)
    assert draft.code == SQL
    assert len(llm.asked) == 2
    assert any("there is no field 'numbr'" in line for line in write.lines)


def test_after_the_last_answer_names_are_repaired(write, program, bundled):
    draft, rows = write(REQUEST, answers(program, *["SELECT numbr FROM incidents"] * 3))
    assert draft.code == "SELECT number FROM incident"
    assert len(draft.changes) == 2
    assert check_sql(draft.code, bundled).valid
    assert rows.columns == ("number",)


@pytest.mark.parametrize("lie", ["DROP TABLE incident", "SELECT qqqqqq FROM incident", "SELECT 1; SELECT 2", "", "nonsense ((("])
def test_lies_come_to_an_error_of_ours(write, program, lie):
    with pytest.raises(LLMError):
        write(REQUEST, answers(program, lie, lie, lie))


def test_text_that_is_no_answer_comes_to_an_error_of_ours(write, program):
    with pytest.raises(LLMError):
        write(REQUEST, FRAMEWORKS[program][0]("{broken", "code: [", "Sorry."))


def test_endless_answers_are_cut(write, program):
    endless = FRAMEWORKS[program][1]
    llm = endless(messages=iter([]), asked=[]) if endless is EndlessChatModel else endless(answers=iter([]), asked=[])
    with pytest.raises(LLMError, match="longer than"):
        write(REQUEST, llm)


def test_a_script_is_checked_and_not_run(write, program, bundled):
    draft, rows = write(REQUEST, answers(program, PYTHON), language="python")
    assert (draft.code, rows) == (PYTHON, None)
    draft, rows = write(REQUEST, language="python")
    assert rows is None
    assert check_python(draft.code, bundled).valid


def test_a_request_that_cannot_be(write, program):
    with pytest.raises(QueryError):
        write(" ")
    with pytest.raises(QueryError):
        write(" ", answers(program, SQL))


def test_a_model_that_there_is_not(program, capsys):
    assert load_example(f"code_generation/{program}").main(["incidents", "--llm", " "]) == 1
    assert capsys.readouterr().err.startswith("error: ")


def test_as_a_program(program, tmp_path, shared_index):
    request = "Which incidents are open? Show number, priority and state"
    done = run_example(f"code_generation/{program}", request, "--index", shared_index, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    code, table = done.stdout.split("\n\n")
    assert code.startswith("SELECT ")
    assert {'"number"', '"priority"', '"state"'} <= set(code.replace(",", "").split())
    assert 'FROM "incident"' in code
    assert len(table.splitlines()) == 12
