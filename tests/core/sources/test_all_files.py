"""What every source of a text file must refuse."""

import codecs

import pytest
import yaml

from multiretriever.core import yaml_io
from multiretriever.core.errors import Problem
from multiretriever.core.sources import CsvSource, FlowSource, JsonSource, OpenApiSource, ToolSource, YamlSource, source_of

SOURCES = [
    (YamlSource, "catalog.yaml"),
    (FlowSource, "flow.yaml"),
    (JsonSource, "steps.json"),
    (JsonSource, "steps.jsonl"),
    (CsvSource, "steps.csv"),
    (OpenApiSource, "api.yaml"),
    (OpenApiSource, "api.json"),
    (ToolSource, "tools.json"),
]
CONTENTS = [
    (b"", None, "empty"),
    (b" \n\n", None, "empty"),
    (codecs.BOM_UTF8, None, "empty"),
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", None, "binary"),
    ("steps:\n".encode("utf-16"), None, "UTF-16"),
    ("steps:\n".encode("utf-16-le"), None, "UTF-16"),
    (b"steps:\n  - name: caf\xe9\n", 2, "0xe9 is not UTF-8"),
]


@pytest.mark.parametrize(("kind", "name"), SOURCES)
@pytest.mark.parametrize(("content", "line", "message"), CONTENTS)
def test_what_is_no_text_is_refused_with_its_file(kind, name, content, line, message, write, expect):
    expect(kind(write(name, content)), (line, None, message))


@pytest.mark.parametrize(("kind", "name"), SOURCES)
def test_a_missing_file_is_a_problem(kind, name, tmp_path, expect):
    expect(kind(tmp_path / name), (None, None, "no such file"))


@pytest.mark.parametrize(("kind", "name"), SOURCES)
def test_a_source_shows_its_origin(kind, name, tmp_path):
    assert str(kind(tmp_path / name)) == str(tmp_path / name)


@pytest.mark.parametrize("name", ["catalog.yaml", "steps.json", "steps.jsonl", "steps.csv"])
def test_what_is_no_text_is_refused_by_detection_too(name, write, expect):
    expect(source_of(write(name, b"")), (None, None, "empty"))


@pytest.mark.parametrize(("kind", "name"), [item for item in SOURCES if item[1].endswith(".yaml")])
def test_an_alias_bomb_is_refused_at_its_line(kind, name, write, expect):
    lines = ["a: &a [x, x, x]"] + [f"{b}: &{b} [*{a}, *{a}, *{a}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    expect(kind(write(name, "\n".join(lines))), (2, None, "aliases"))


@pytest.mark.parametrize(("kind", "name"), [item for item in SOURCES if item[1].endswith(".yaml")])
@pytest.mark.parametrize("deep", ["[" * 200_000, "- " * 200_000, "{a: " * 100_000])
def test_deep_yaml_neither_crashes_nor_leaks(kind, name, deep, write, expect):
    expect(kind(write(name, "steps: 1\nmore: " + deep if deep[0] != "-" else deep)), (2 if deep[0] != "-" else 1, None, "nested"))


@pytest.mark.parametrize(("kind", "name"), [item for item in SOURCES if item[1].endswith((".json", ".jsonl"))])
@pytest.mark.parametrize("depth", [60, 200_000])
def test_deep_json_neither_crashes_nor_leaks(kind, name, depth, write, expect):
    line = 1 if name.endswith(".jsonl") else None
    expect(kind(write(name, "[" * depth + "]" * depth)), (line, None, "nested"))


@pytest.mark.parametrize(("kind", "name"), [item for item in SOURCES if item[1].endswith(".yaml")])
def test_duplicate_keys_and_tags_are_refused_at_their_line(kind, name, write, expect):
    expect(kind(write(name, "a: 1\nb: 2\na: 3\n")), (3, None, "'a' appears twice"))
    expect(kind(write(name, "a: 1\nb: !!python/object:os.system x\n")), (2, None, "tag"))
    expect(kind(write(name, "a: 1\nb: !ours {c: 1}\n")), (2, None, "tag"))
    expect(kind(write(name, 'a: 1\nb: "\\ud800"\n')), (2, None, "not YAML"))
    expect(kind(write(name, "a: 1\nb: \a\n")), (2, None, "#x0007"))
    expect(kind(write(name, "a: [1\n")), (2, None, "not YAML"))


@pytest.mark.parametrize(("kind", "name"), [item for item in SOURCES if item[1].endswith(".json")])
def test_json_that_python_lets_pass_is_refused_with_its_path(kind, name, write, expect):
    text = '{"a": 1,\n "b": [NaN,\n  1e999, "\\ud800", "\\ud83d\\ude00"],\n "c": {"x": 1,\n  "x": -Infinity}}'
    expect(
        kind(write(name, text)),
        (None, "b[0]", "NaN"),
        (None, "b[1]", "1e999"),
        (None, "b[2]", "surrogate"),
        (None, "c.x", "'x' appears twice"),
        (None, "c.x", "-Infinity"),
    )


@pytest.mark.parametrize(("kind", "name"), [item for item in SOURCES if item[1].endswith(".json")])
def test_broken_json_is_refused_at_its_line(kind, name, write, expect):
    expect(kind(write(name, '{"a": 1,\n"b": }')), (2, None, "not JSON"))
    expect(kind(write(name, '{"a": NaN,\n"b": ')), (2, None, "not JSON"))
    expect(kind(write(name, "9" * 5000)), (None, None, "not JSON"))


@pytest.mark.parametrize("text", ["a: \a", "[" * 50_000, "a: \ud800", "a: &x 1\nb: *x", "a: 1\na: 2"])
def test_yaml_without_its_c_library_is_refused_as_well(text, monkeypatch):
    monkeypatch.setattr(yaml_io, "_LOADER", yaml.SafeLoader)
    problem = yaml_io.parse_yaml(text, "x.yaml")
    assert isinstance(problem, Problem)
    assert problem.line == text.count("\n") + 1
