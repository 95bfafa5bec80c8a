"""The data are as large and as varied as docs/data.md says."""

from collections import Counter

import pytest

from multiretriever.datasets.dataset import summary_row

LARGEST_MB = 12


def own(dataset, name):
    """Returns the elements that are not the platform's."""
    return [item for item in dataset.catalog.of(name) if item.scope != "core"]


def size_of(folder):
    """Returns the bytes of the files of the repository, without what some program left there."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return sum(
        file.stat().st_size
        for file in files
        if not any(part.startswith((".", "__pycache__")) for part in file.relative_to(folder).parts)
    )


def test_it_domain(it_service):
    row = summary_row(it_service)
    assert (row["scopes"] >= 30, row["steps"] >= 300, row["tables"] >= 120, row["fields"] >= 1000) == (True,) * 4
    assert (row["catalog_items"] >= 200, row["workflows"] >= 100, row["flows"] >= 600) == (True,) * 3
    train, dev = (list(it_service.flows(split)) for split in ("train", "dev"))
    assert len(dev) == 80
    assert not {flow.name for flow in train} & {flow.name for flow in dev}
    assert not {flow.requirement for flow in train} & {flow.requirement for flow in dev}


def test_about_twenty_core_steps_make_up_most_uses(it_service):
    uses = Counter(step.definition for flow in it_service.flows() for step in flow.steps)
    core = Counter({name: count for name, count in uses.items() if name.startswith("core.")})
    share = sum(count for _, count in core.most_common(20)) / sum(uses.values())
    assert 0.5 < share < 0.8


def test_every_step_and_table_of_the_it_domain_is_trained_on(it_service):
    flows = list(it_service.flows("train"))
    used = {step.definition for flow in flows for step in flow.steps} | {flow.trigger.definition for flow in flows}
    missing = [step.id for step in own(it_service, "step") if step.id not in used]
    assert missing == []


def test_ten_other_domains(domains):
    assert len(domains) == 10
    for name, dataset in domains.items():
        counts = {kind: len(own(dataset, kind)) for kind in ("step", "table", "field", "catalog_item")}
        assert counts["step"] >= 40, name
        assert counts["table"] >= 25, name
        assert counts["field"] >= 200, name
        assert counts["catalog_item"] >= 25, name
        flows = list(dataset.flows())
        assert len(flows) >= 50, name
        assert len(dataset.catalog.of("workflow")) == len(flows), name
        assert all(2 <= len(flow.steps) <= 15 for flow in flows), name
        used = {step.definition for flow in flows for step in flow.steps} | {flow.trigger.definition for flow in flows}
        assert [step.id for step in own(dataset, "step") if step.id not in used] == [], name


def test_steps_and_tables_of_a_domain_are_its_own(it_service, domains):
    for kind in ("step", "table"):
        seen = {item.name: "it_service" for item in own(it_service, kind)}
        for name, dataset in domains.items():
            found = {item.name for item in own(dataset, kind)}
            assert not found & {item for item, owner in seen.items() if owner == "it_service"}, name
    scopes = Counter(
        scope for dataset in (it_service, *domains.values()) for scope in {item.scope for item in own(dataset, "step")}
    )
    assert [scope for scope, count in scopes.items() if count > 1] == []


@pytest.mark.parametrize("language", ["de", "es", "fr", "he", "ja"])
def test_translations(it_service, language):
    queries = list(it_service.given("translations"))
    # A translation has the id of the English query, but for the language at its end.
    english, translated = (
        {item.id.partition("#")[0]: item for item in queries if item.language == code} for code in ("en", language)
    )
    assert len(translated) >= 150
    assert translated.keys() == english.keys()
    for key, item in translated.items():
        assert item.query != english[key].query, key
        assert (item.relevant, item.kind, item.context) == (english[key].relevant, english[key].kind, english[key].context), key
    script = {"he": ("\u0590", "\u05ff"), "ja": ("\u3040", "\u9fff")}.get(language)
    if script:
        assert all(any(script[0] <= letter <= script[1] for letter in item.query) for item in translated.values())


def test_size_in_the_repository(it_service):
    size = size_of(it_service.folder.parent)
    assert 1e6 < size < LARGEST_MB * 1e6
