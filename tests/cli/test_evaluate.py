import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from encoders import WordEncoder
from multiretriever.evaluation import EvaluationReport

QUERIES = [
    {"id": "s1", "element_type": "step", "query": "tell whoever is on call", "relevant": ["itsm.notify_on_call"]},
    {"id": "s2", "element_type": "step", "query": "write to the team", "relevant": ["slack.post_message"], "language": "de"},
    {"id": "f1", "element_type": "field", "query": "who reported it", "relevant": ["itsm.incident.caller"],
     "context": {"table": "incident"}},
    {"id": "i1", "element_type": "catalog_item", "query": "something unheard of", "relevant": ["itsm.laptop"]},
]  # fmt: skip


@pytest.fixture(autouse=True)
def dataset(workplace, monkeypatch):
    """The folder ``my-dataset``; encoders are small ones named after their specs."""
    folder = workplace / "my-dataset"
    (folder / "catalog").mkdir(parents=True)
    (folder / "dataset.yaml").write_text("queries: {test: queries.jsonl}", encoding="utf-8")
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, QUERIES)), encoding="utf-8")
    (workplace / "catalog.yaml").rename(folder / "catalog" / "catalog.yaml")
    more = workplace / "more-data"
    more.mkdir()
    (more / "dataset.yaml").write_text("catalog: ../my-dataset/catalog\nqueries: {test: ../my-dataset/queries.jsonl}", "utf-8")
    monkeypatch.setattr("multiretriever.evaluation.systems.load_encoder", lambda spec=None: WordEncoder(spec or "shipped"))
    return folder


def test_tables(plainly):
    result = plainly("evaluate", "my-dataset")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "Recall@k by dataset, element type"
    assert lines[1].split() == ["DATASET", "ELEMENT", "TYPE", "QUERIES", "K", "LEXICAL", "DENSE", "HYBRID"]
    assert re.match(r"my-dataset +step +2 +15 +1\.000 \[1\.000, 1\.000\]", lines[2])
    assert re.match(r"mean +4 +", lines[5])
    titles = [line for line in lines if " by " in line]
    assert titles[1:] == [
        "nDCG@10 by dataset, element type",
        "MRR@10 by dataset, element type",
        "Recall@k by language",
        "nDCG@10 by language",
        "MRR@10 by language",
    ]
    assert "p < 0.05" in result.stderr


def test_one_split_of_a_dataset(plainly):
    result = plainly("evaluate", "my-dataset@test", "more-data", "--json")
    assert result.exit_code == 0, result.stderr
    rows = json.loads(result.stdout)["tables"][0]["rows"]
    assert {row["keys"][0] for row in rows} == {"my-dataset/test", "more-data"}
    result = plainly("evaluate", "my-dataset@dev")
    assert (result.exit_code, "has no split 'dev'; its splits are test" in result.stderr) == (2, True)


def test_json_is_one_object(plainly):
    given = ["--mode", "dense", "--mode", "lexical", "--by", "language", "--k", "1", "--split", "test"]
    result = plainly("evaluate", "my-dataset", *given, "--json", "--sample", "1", "--seed", "2", "--baseline", "dense")
    assert result.exit_code == 0, result.stderr
    answer = json.loads(result.stdout)
    assert (answer["queries"], answer["sample"], answer["seed"], answer["split"]) == (3, 1, 2, "test")
    assert [item["name"] for item in answer["systems"]] == ["lexical", "dense"]
    assert answer["baseline"] == "dense"
    assert [(table["by"], table["measure"]) for table in answer["tables"]] == [
        (["language"], name) for name in ("recall", "ndcg@10", "mrr@10")
    ]
    assert set(answer["k"].values()) == {1}
    assert "values" not in answer


def test_selection(plainly):
    given = ["--element-type", "steps", "--language", "en", "--kind", "given", "--mode", "lexical", "--json"]
    answer = json.loads(plainly("evaluate", "my-dataset", *given).stdout)
    assert (answer["queries"], list(answer["k"])) == (1, ["step"])


def test_several_encoders_and_datasets(plainly):
    given = ["--encoder", "shipped", "--encoder", "new=./folder/checkpoint", "--encoder", "models/other", "--mode", "dense"]
    answer = json.loads(plainly("evaluate", "my-dataset", "more-data", *given, "--json").stdout)
    assert [(item["name"], item["encoder"]) for item in answer["systems"]] == [
        ("shipped/dense", "shipped"),
        ("new/dense", "./folder/checkpoint"),
        ("other/dense", "models/other"),
    ]
    assert [row["keys"][0] for row in answer["tables"][0]["rows"]] == ["my-dataset"] * 3 + ["more-data"] * 3


def test_encoder_of_the_environment(plainly, monkeypatch):
    monkeypatch.setenv("MULTIRETRIEVER_ENCODER", "tuned=./elsewhere")
    answer = json.loads(plainly("evaluate", "my-dataset", "--mode", "dense", "--json").stdout)
    assert [(item["name"], item["encoder"]) for item in answer["systems"]] == [("tuned/dense", "./elsewhere")]


def test_output(plainly):
    result = plainly("evaluate", "my-dataset", "--output", "out/report")
    assert result.exit_code == 0, result.stderr
    folder = Path("out/report")
    assert sorted(path.name for path in folder.iterdir()) == ["misses.jsonl", "report.json", "report.md", "report.png"]
    report = EvaluationReport.load(folder / "report.json")
    assert len(report.queries) == 4
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "## Recall@k by dataset, element type" in text
    assert (folder / "report.png").read_bytes().startswith(b"\x89PNG")
    found = [json.loads(line) for line in (folder / "misses.jsonl").read_text(encoding="utf-8").splitlines()]
    lexical = {item["id"]: item["systems"]["lexical"]["rank"] for item in found}
    assert lexical == {"i1": None}
    assert str(folder) in result.stderr


def test_leakage_is_refused_or_told(plainly, dataset):
    leak = {"id": "x", "element_type": "step", "query": "gives an incident to a group", "relevant": ["itsm.assign_incident"]}
    with (dataset / "queries.jsonl").open("a", encoding="utf-8") as file:
        file.write("\n" + json.dumps(leak))
    refused = plainly("evaluate", "my-dataset", "--mode", "lexical")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "query 'x'" in refused.stderr
    allowed = plainly("evaluate", "my-dataset", "--mode", "lexical", "--allow-leakage", "--json")
    assert [item["query_id"] for item in json.loads(allowed.stdout)["leaks"]] == ["x"]
    assert "1 of 5 queries" in plainly("evaluate", "my-dataset", "--mode", "lexical", "--allow-leakage").stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, ["FOLDER"]),
        (["nosuch"], 1, ["nosuch"]),
        (["my-dataset", "my-dataset"], 2, ["'my-dataset'", "unique"]),
        (["my-dataset", "--mode", "fuzzy"], 2, ["'fuzzy'", "lexical"]),
        (["my-dataset", "--split", "train"], 2, ["'train'", "test"]),
        (["my-dataset", "--by", "colour"], 2, ["colour", "language"]),
        (["my-dataset", "--element-type", "form"], 2, ["'form'", "--plugin"]),
        (["my-dataset", "--language", "fr"], 2, ["no query"]),
        (["my-dataset", "--baseline", "best"], 2, ["'best'", "hybrid"]),
        (["my-dataset", "--k", "0"], 2, ["--k"]),
        (["my-dataset", "--encoder", "a/x", "--encoder", "b/x"], 2, ["'x'", "NAME=SPEC"]),
        (["my-dataset", "--output", "flow.yaml"], 2, ["flow.yaml"]),
    ],
)
def test_wrong_arguments(plainly, arguments, code, words):
    result = plainly("evaluate", *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert all(word in result.stderr for word in words)
    assert "Traceback" not in result.stderr


def test_interruption(plainly, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("multiretriever.evaluation.systems.RetrieverSystem.search", interrupt)
    result = plainly("evaluate", "my-dataset", "--output", "out")
    assert (result.exit_code, result.stdout) == (130, "")
    assert "interrupted" in result.stderr
    assert list(Path("out").iterdir()) == []


def test_progress_is_on_standard_error(plainly):
    result = plainly("evaluate", "my-dataset", "--mode", "dense", "--progress", "--json")
    assert result.exit_code == 0, result.stderr
    json.loads(result.stdout)


def test_help_and_its_examples(plainly):
    text = plainly("evaluate", "--help").stdout
    assert "Exit codes:" in text
    examples = re.findall(r"^ +(multiretriever .*)$", text.partition("Examples:")[2], re.MULTILINE)
    assert len(examples) >= 2
    for example in examples:
        result = plainly(*shlex.split(example)[1:])
        assert result.exit_code == 0, (example, result.stderr)
        assert result.stdout.strip()


def test_help_imports_nothing_heavy(environment):
    script = (
        "import sys\nfrom multiretriever.cli.app import main\nsys.argv[1:] = ['evaluate', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('numpy', 'scipy', 'multiretriever.core') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.strip() == "[]"


def test_in_a_process_of_its_own(run):
    done = run("evaluate", "my-dataset", "--mode", "lexical", "--json", env={"MULTIRETRIEVER_PLUGINS": ""})
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert json.loads(done.stdout)["queries"] == 4
