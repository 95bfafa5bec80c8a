import pytest

from encoders import WordEncoder
from multiretriever.core import Catalog, InstructionSet, Step, Table
from multiretriever.core.example import Example
from multiretriever.datasets import Dataset
from multiretriever.evaluation import evaluate, retriever_systems
from scripts import load_script, run_script

script = load_script("benchmarks/paper.py")

FILE = """\
title: A paper
url: https://example.org
like: {BM25: lexical, theirs: tuned, base: untuned}
figures:
  - {table: 4, row: BM25, column: Step Recall@15, value: 0.82, note: far}
  - {table: 4, row: theirs, column: Step Recall@15, value: 0.9}
  - {table: 4, row: base, column: Table Recall@5, value: 0.6}
  - {table: 5, row: BM25, column: Table Recall@10, value: 0.7}
  - {table: 5, row: BM25, column: Accuracy, value: 0.7}
  - {table: 6, row: others, column: Step Recall@15, value: 0.5}
  - {table: 6, row: BM25, column: Catalog item Recall@5, value: 0.5}
"""


@pytest.fixture
def report():
    catalog = Catalog([Step(name="send_mail"), Table(name="people")])
    queries = [Example("q", "step", "send a mail", ("send_mail",)), Example("r", "table", "people", ("people",))]
    encoders = {"old": WordEncoder("old"), "new": WordEncoder("new", instructions=InstructionSet.default())}
    return evaluate(Dataset(catalog, queries=queries), retriever_systems(encoders, ["lexical", "dense"]))


@pytest.fixture
def paper(tmp_path):
    (tmp_path / "paper.yaml").write_text(FILE, encoding="utf-8")
    return script.Paper.from_path(tmp_path / "paper.yaml")


def test_like_beside_like(report, paper):
    assert [ours for _, ours in script.compare(report, paper)] == [
        {"lexical": 1.0},
        {"new/dense": 1.0},
        {"old/dense": 1.0},
        {},  # another cut
        {},  # another measure
        {},  # nothing of ours is like it
        {},  # a type that was not evaluated
    ]


def test_markdown(report, paper):
    text = script.paper_markdown(report, paper)
    assert "[A paper](https://example.org)" in text
    assert "| 4 | BM25 | Step Recall@15 | far | 0.82 | lexical 1.00 |" in text
    assert "different data" in text


def test_the_shipped_figures():
    paper = script.Paper.from_path()
    known = {(item.table, item.row, item.column): item.value for item in paper.figures}
    assert known[4, "BM25", "Step Recall@15"] == 0.82
    assert set(paper.like) <= {item.row for item in paper.figures}


def test_the_program(report, tmp_path):
    report.save(tmp_path / "report.json")
    done = run_script("benchmarks/paper.py", tmp_path / "report.json")
    assert done.returncode == 0, done.stderr
    assert "| 4 | BM25 | Step Recall@15 | out of domain | 0.82 | lexical 1.00 |" in done.stdout
