import pytest

from multiretriever.core import Catalog, ParameterError, Step
from multiretriever.core.errors import DatasetError, ElementTypeError
from multiretriever.core.example import Example
from multiretriever.datasets import Dataset
from multiretriever.evaluation import EvaluationReport, Selection, evaluate
from processes import run_python


def test_values_of_each_query(dataset, good, poor):
    report = evaluate(dataset, [good, poor])
    assert [query.id for query in report.queries][-2:] == ["q1", "q2"]
    assert report.values["good"]["recall"] == (1, 1, 1, 1, 1)
    assert report.values["poor"]["recall"] == (0, 1, 0.5, 1, 0)
    assert report.values["poor"]["mrr@10"] == pytest.approx((0, 1 / 2, 1 / 3, 1, 0))
    assert report.ranks["poor"] == (None, 2, 3, 1, None)
    assert report.found["poor"][2] == (("a", 1.0), ("b", 0.99), ("c", 0.98))
    assert report.k == {"step": 15, "table": 5}
    assert report.baseline == "good"
    assert [query.unit for query in report.queries] == ["flow-0", "flow-0", "flow-1", "q1", "q2"]


def test_tables(dataset, good, poor):
    report = evaluate(dataset, [poor, good])
    assert [(table.by, table.measure) for table in report.tables[::3]] == [
        (("dataset", "element_type"), "recall"),
        (("kind",), "recall"),
        (("language",), "recall"),
    ]
    table = report.tables[0]
    assert [(row.keys, row.queries, row.units, row.k) for row in table.all_rows] == [
        (("tiny", "step"), 3, 2, 15),
        (("tiny", "table"), 2, 2, 5),
        (("mean",), 5, 4, None),
    ]
    assert [round(row.cells["poor"].value, 4) for row in table.all_rows] == [0.5, 0.5, 0.5]
    assert (table.title, report.tables[1].title, report.tables[2].title) == ("Recall@k", "nDCG@10", "MRR@10")
    assert table.rows[0].cells["poor"].p is None
    assert table.rows[0].cells["good"].p == 1


def test_tables_that_are_asked_for(dataset, good):
    report = evaluate(dataset, [good], by=["language", "element-type,kind"], k=3)
    assert [table.by for table in report.tables[::3]] == [("language",), ("element_type", "kind")]
    assert report.tables[0].title == "Recall@3"
    assert report.table(["kind"], "mrr@10").rows[0].cells["good"].value == 1
    for wrong in ("colour", "", "kind,kind"):
        with pytest.raises(ParameterError, match="language"):
            evaluate(dataset, [good], by=[wrong])
    with pytest.raises(ParameterError, match="'map'"):
        report.table("kind", "map")
    with pytest.raises(ParameterError, match="'nobody'"):
        report.table("kind", baseline="nobody")


def test_a_large_cut_ranks_deeper(dataset, good):
    report = evaluate(dataset, [good], k=80, selection=Selection(element_types=["table"]))
    assert (report.depth, report.k) == (80, {"table": 80})
    assert good.chunks == [("tiny", "table", 2, 80)]


def test_differences_are_tested(fixed):
    ids = [f"s{number}" for number in range(40)]
    catalog = Catalog(Step(name=name) for name in ids)
    dataset = Dataset(catalog, queries=[Example(f"q-{name}", "step", f"query for {name}", (name,)) for name in ids])
    all_found = fixed("all", {f"q-{name}": [name] for name in ids})
    most = fixed("most", {f"q-{name}": [name] for name in ids[1:]})
    half = fixed("half", {f"q-{name}": [name] for name in ids[::2]})
    cells = evaluate(dataset, [half, most, all_found], baseline="all").table("dataset").rows[0].cells
    assert cells["half"].p < 0.001
    assert cells["most"].p == 1
    assert cells["half"].low < 0.5 < cells["half"].high


def test_json_round_trip(dataset, good, poor, tmp_path):
    report = evaluate(dataset, [good, poor], selection=Selection(sample=2, seed=5), allow_leakage=True)
    report.save(tmp_path / "report.json")
    assert EvaluationReport.load(tmp_path / "report.json") == report
    assert evaluate(dataset, [good, poor], selection=Selection(sample=2, seed=5), allow_leakage=True) == report


@pytest.mark.parametrize("text", [None, "", "{}", '{"format": 2}', "[1]"])
def test_what_is_no_report(tmp_path, text):
    if text is not None:
        (tmp_path / "report.json").write_text(text, encoding="utf-8")
    with pytest.raises(ParameterError, match="report"):
        EvaluationReport.load(tmp_path / "report.json")


def test_selection(dataset, good):
    def ids(**options):
        return [query.id for query in evaluate(dataset, [good], selection=Selection(**options)).queries]

    assert ids(element_types=["tables"]) == ["q1", "q2"]
    assert ids(kinds=["given"])[-2:] == ["q1", "q2"]
    assert ids(languages=["de"]) == ["flow-1#step.annotation#0"]
    drawn = ids(sample=1, seed=3)
    assert len(drawn) == 2
    assert drawn == ids(sample=1, seed=3)
    with pytest.raises(ParameterError, match="no query is left"):
        ids(languages=["fr"])
    with pytest.raises(ParameterError, match="no split 'test'"):
        ids(split="test")
    with pytest.raises(ElementTypeError, match="'form'"):
        ids(element_types=["form"])
    for wrong in (0, True):
        with pytest.raises(ParameterError, match="sample"):
            Selection(sample=wrong)
    with pytest.raises(ParameterError, match="from 1"):
        evaluate(dataset, [good], k=0)


def test_names_are_unique_and_known(dataset, good):
    with pytest.raises(ParameterError, match="two systems have the name 'good'"):
        evaluate(dataset, [good, good])
    with pytest.raises(ParameterError, match="two datasets have the name 'tiny'"):
        evaluate([dataset, dataset], [good])
    with pytest.raises(ParameterError, match="no system 'best'"):
        evaluate(dataset, [good], baseline="best")
    with pytest.raises(ParameterError, match="at least one system"):
        evaluate(dataset, [])
    with pytest.raises(ParameterError, match="at least one dataset"):
        evaluate([], [good])


def test_queries_are_checked_before_anything_is_searched(dataset, good):
    wrong = [Example("q", "step", "x", ("a",)), Example("q", "step", "y", ("a",)), Example("r", "step", "z", ("nosuch",))]
    with pytest.raises(DatasetError) as caught:
        evaluate(Dataset(dataset.catalog, name="wrong", queries=wrong), [good])
    assert [problem.field for problem in caught.value.problems] == ["query 'q'", "query 'r'"]
    assert "twice" in str(caught.value)
    assert "'nosuch'" in str(caught.value)
    assert good.chunks == []


def test_systems_are_given_chunks_and_checked(fixed, monkeypatch):
    monkeypatch.setattr("multiretriever.evaluation.run.CHUNK", 2)
    catalog = Catalog([Step(name="a")])
    dataset = Dataset(catalog, queries=[Example(f"q{n}", "step", f"words {n}", ("a",)) for n in range(5)])
    system = fixed("x", {"q4": ["a"]})
    report = evaluate(dataset, [system])
    assert [count for _, _, count, _ in system.chunks] == [2, 2, 1]
    assert report.values["x"]["recall"] == (0, 0, 0, 0, 1)
    with pytest.raises(ParameterError, match="'a' twice"):
        evaluate(dataset, [fixed("x", {"q0": ["a", "a"]})])
    system.search = lambda *_: []
    with pytest.raises(ParameterError, match="0 answers to 2 queries"):
        evaluate(dataset, [system])


def test_means_over_datasets(dataset, good, poor, fixed):
    easy = Dataset(dataset.catalog, name="easy", queries=[Example("z", "step", "any", ("a",))])
    poor.answers["z"] = ["a"]
    report = evaluate([dataset, easy], [poor])
    assert report.datasets == ("tiny", "easy")
    values = {row.label: row.cells["poor"].value for row in report.table("element_type").all_rows}
    assert values == pytest.approx({"step": (0.5 + 1) / 2, "table": 0.5, "mean": (0.5 + 0.5 + 1) / 3})


def test_without_the_extra():
    code = """
import importlib.abc, sys
class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("scipy", "matplotlib"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
from multiretriever.core import Catalog, Step
from multiretriever.core.example import Example
from multiretriever.datasets import Dataset
from multiretriever.evaluation import evaluate
try:
    evaluate(Dataset(Catalog([Step(name="a")]), queries=[Example("q", "step", "x", ("a",))]), [])
except ImportError as error:
    print(type(error).__name__, error)
"""
    status, out, err = run_python(code)
    assert status == 0, err
    assert out.startswith("MissingDependencyError")
    assert 'pip install "multiretriever[eval]"' in out
