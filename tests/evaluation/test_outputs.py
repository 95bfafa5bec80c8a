import json

import pytest

from multiretriever.core import Flow, ParameterError
from multiretriever.core.example import Example
from multiretriever.datasets import Dataset
from multiretriever.evaluation import Selection, evaluate, plot_table, report_markdown, write_misses
from multiretriever.evaluation.report import Cell, Row, Table
from multiretriever.evaluation.report_files import misses, table_markdown


def test_markdown_of_a_table():
    cells = {"base": Cell(value=0.5, low=0.4, high=0.6), "new|er": Cell(value=0.75, p=0.004)}
    rows = [Row(keys=("a|b",), queries=12, units=10, k=5, cells=cells)]
    mean = Row(keys=("mean",), queries=20, units=10, k=None, cells=cells)
    table = Table(by=("element_type",), measure="recall", baseline="base", rows=tuple(rows), mean=mean)
    assert table_markdown(table).splitlines() == [
        r"| element type | queries | k | base | new\|er |",
        "| --- | ---: | ---: | ---: | ---: |",
        r"| a\|b | 12 | 5 | 0.500 [0.400, 0.600] | **0.750** + |",
        "| mean | 20 |  | 0.500 [0.400, 0.600] | **0.750** + |",
    ]


def test_markdown_of_a_report(dataset, good, poor):
    text = report_markdown(evaluate(dataset, [poor, good], selection=Selection(sample=2)))
    for part in (
        "# Evaluation",
        "4 queries of `tiny`; at most 2 of each dataset and type, seed 0",
        "baseline `poor`",
        "## Recall@k by dataset, element type",
        "| dataset | element type | queries | k | poor | good |",
        "## MRR@10 by dataset, element type",
        "Differences to `poor`, with p:",
        "| mean |  | +",
    ):
        assert part in text
    assert "Leakage" not in text


def test_leakage_stands_in_the_markdown(dataset, good):
    queries = [Example("q", "step", "does the work of a every day", ("a",))]
    report = evaluate(Dataset(dataset.catalog, queries=queries), [good], allow_leakage=True)
    assert "1 of 1 queries" in report_markdown(report)


def test_plot(dataset, good, poor, tmp_path):
    table = evaluate(dataset, [poor, good]).tables[0]
    plot_table(table, tmp_path / "plot.png")
    data = (tmp_path / "plot.png").read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    assert 1000 < width < 2000
    assert 300 < height < 2000
    assert 5_000 < len(data) < 200_000
    with pytest.raises(ParameterError, match="nosuch"):
        plot_table(table, tmp_path / "nosuch" / "plot.png")


def test_plot_takes_any_text_and_many_rows(tmp_path):
    cells = {"_$x": Cell(value=1.0, low=1.0, high=1.0), "$\\frac$": Cell(value=0.0)}
    rows = tuple(Row(keys=(f"$_{n}",), queries=1, units=1, k=1, cells=cells) for n in range(500))
    plot_table(Table(by=("kind",), measure="recall", baseline="_$x", rows=rows), tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size < 2_000_000


def test_misses(dataset, good, poor, tmp_path):
    report = evaluate(dataset, [good, poor])
    found = list(misses(report, dataset))
    assert [item["id"] for item in found] == ["flow-0#step.annotation#0", "flow-1#step.annotation#0", "q2"]
    second = found[1]
    assert second["query"] == "drittens"
    assert (second["kind"], second["language"], second["element_type"], second["dataset"]) == (
        "step.annotation",
        "de",
        "step",
        "tiny",
    )
    assert second["relevant"] == [{"id": "c", "label": "C"}, {"id": "d", "label": "D"}]
    assert second["systems"]["good"]["rank"] == 1
    assert second["systems"]["poor"] == {
        "recall": 0.5,
        "rank": 3,
        "found": [{"id": name, "label": name.upper(), "score": score} for name, score in (("a", 1.0), ("b", 0.99), ("c", 0.98))],
    }
    assert found[0]["systems"]["poor"]["rank"] is None
    assert write_misses(tmp_path / "misses.jsonl", report, dataset) == 3
    lines = (tmp_path / "misses.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == found


def test_misses_show_the_end_of_a_flow(dataset, poor):
    steps = [{"annotation": f"do {n}", "definition": f"d{n}", "inputs": {"x": "y" * 500}} for n in range(30)]
    flow = Flow(name="long", requirement="do much", steps=steps)
    queries = [Example("q", "step", "now", ("a",), {"flow": context, "scope": "s"}) for context in (flow,)]
    queries += [Example("r", "step", "then", ("a",), {"flow": flow.to_yaml()})]
    whole = Dataset(dataset.catalog, queries=queries)
    first, second = misses(evaluate(whole, [poor]), whole)
    assert first["context"] == {
        "flow": {"requirement": "do much", "steps": 30, "last": ["d27: do 27", "d28: do 28", "d29: do 29"]},
        "scope": "s",
    }
    assert second["context"]["flow"] == first["context"]["flow"]


def test_misses_need_the_datasets_of_the_report(dataset, poor):
    report = evaluate(dataset, [poor])
    with pytest.raises(ParameterError, match="tiny"):
        list(misses(report, []))
    with pytest.raises(ParameterError, match="no query"):
        list(misses(report, Dataset(dataset.catalog, name="tiny")))
