import pytest

from multiretriever.core.elements import Element, ElementType, register_element_type, unregister_element_type
from multiretriever.core.sources import CsvSource


def test_a_folder_of_files_with_metadata_and_lists(write, load, tmp_path):
    write("tables.csv", "\ufeffname,label,extends\ntask,Task,\nincident,Incident,task\n")
    write("field.csv", 'name;table;choices;"x;y,z"\nstate;incident;new | on hold|;7\n')
    write("Steps.CSV", 'name\tinputs\tdescription\na\tx|y\t"two\nlines"\nb\t[{"name": "z", "required": true}]\t\n')
    write("notes.txt", "not read")
    catalog = load(CsvSource(tmp_path))
    assert catalog.counts == {"step": 2, "field": 1, "table": 2}
    first, second = catalog.of("step")
    assert ([item.name for item in first.inputs], first.description) == (["x", "y"], "two\nlines")
    assert second.inputs[0].required
    (state,) = catalog.of("field")
    assert state.choices == ("new", "on hold")
    assert state.metadata == {"x;y,z": 7}
    assert catalog.of("table")[0].extends is None


def test_numbers_stay_text_where_text_is_due(write, load):
    text = "name,label,description,price,code,active,note\n1.10,007,null,1.50,1.5,true,null\nno,on,12:30,7,x,no,\n"
    first, second = load(CsvSource(write("catalog_items.csv", text))).of("catalog_item")
    assert (first.name, first.label, first.description) == ("1.10", "007", "null")
    assert first.metadata == {"price": "1.50", "code": 1.5, "active": True}
    assert (second.name, second.label, second.description) == ("no", "on", "12:30")
    assert second.metadata == {"price": 7, "code": "x", "active": "no"}


def test_blank_rows_and_all_kinds_of_line_ends_pass(write, load):
    catalog = load(CsvSource(write("steps.csv", "\r\nname,label\r\n\r\na,A\r\n,\r\n  \r\nb,B\n")))
    assert [step.label for step in catalog.of("step")] == ["A", "B"]
    assert len(load(CsvSource(write("steps.csv", "name\ra\rb\r")))) == 2


def test_rows_are_reported_at_the_line_that_they_start_on(write, expect):
    text = 'name,kind,label\na,action,"one\ntwo\nthree"\nb,wrong,B\nc,action\nd,action,D,more\n,action,E\na,logic,"A\n"\n'
    path = write("steps.csv", text)
    expect(
        CsvSource(path),
        (5, "kind", "wrong"),
        (6, None, "too few cells: 2, the header has 3"),
        (7, None, "too many cells: 4, the header has 3"),
        (8, "name", "missing"),
        (9, "id", f"first: {path}:2"),
    )


@pytest.mark.parametrize(
    "text",
    [
        'name,label\na,A\nb,"B\nc,C\nd,D\n',
        'name,label\na,A\nb,"B\nc,C\n"d",D\n',
        'name,label\na,A\nb,"B"x\nc,C\n',
        'name,label\na,A\nb,"B\n' + "".join(f"x{number},X\n" for number in range(20_000)),
    ],
)
def test_a_quote_that_is_not_closed_is_reported_at_its_row(text, write, expect):
    expect(CsvSource(write("steps.csv", text)), (3, None, "quote in this row is not closed"))


def test_reading_goes_on_after_a_broken_quote(write, expect):
    expect(
        CsvSource(write("steps.csv", 'name,kind\na,"x\nb,wrong\n"c,action\nd,worse\n')),
        (2, None, "quote"),
        (3, "kind", "wrong"),
        (4, None, "quote"),
        (5, "kind", "worse"),
    )


def test_a_file_of_broken_quotes_ends(write, refuse):
    problems = refuse(CsvSource(write("steps.csv", "name,label\n" + 'a,"x"y\n' * 5000)))
    assert len(problems) == 51
    assert "not checked" in problems[-1].message
    assert len(refuse(CsvSource(write("steps.csv", '"name,label\na,b\n')))) == 2


@pytest.mark.parametrize(
    ("header", "field", "message"),
    [
        ("name,,label", None, "column 2 has no header"),
        ("name,label,label", "label", "appears 2 times"),
        ("title,label", "name", "no column 'name' (found: title, label)"),
    ],
)
def test_headers_that_cannot_be_used_are_reported_once(header, field, message, write, expect):
    rows = "\n" + ",".join("x" * len(header.split(","))) + "\ny\n"
    line_of_short_row = (3, None, "too few")
    expect(CsvSource(write("steps.csv", header + rows)), (1, field, message), line_of_short_row)


def test_a_mistyped_header_is_reported_for_its_rows(write, expect):
    expect(CsvSource(write("steps.csv", "name,desciption\na,b\n")), (2, "desciption", "'description' meant"))


def test_cells_of_json_are_checked(write, expect):
    text = 'name,inputs,metadata\na,"[{""name"": 1}]",\nb,"[{",\nc,,"{""x"": NaN}"\nd,,text\n'
    expect(
        CsvSource(write("steps.csv", text)),
        (2, "inputs[0].name", "text"),
        (3, "inputs", "not JSON"),
        (4, "metadata", "NaN"),
        (5, "metadata", "not JSON"),
    )


def test_unknown_tables_and_circles_are_reported_at_their_rows(write, refuse, tmp_path):
    write("fields.csv", "name,table\na,t\nb,u\n")
    write("tables.csv", "name,extends\nt,t\n")
    found = [(item.source, item.line, item.field) for item in refuse(CsvSource(tmp_path))]
    assert found == [(str(tmp_path / "fields.csv"), 3, "table"), (str(tmp_path / "tables.csv"), 2, "extends")]


def test_a_file_named_after_no_type_is_a_problem(write, expect, tmp_path):
    path = write("stairs.csv", "name\na\n")
    expect(CsvSource(path), (None, None, "unknown element type 'stairs'; known are step, table"))
    expect(CsvSource(tmp_path), (None, None, "unknown element type 'stairs'"), path=path)


def test_a_folder_without_csv_files_is_a_problem(tmp_path, expect):
    expect(CsvSource(tmp_path), (None, None, "no CSV file"))


def test_lists_and_numbers_of_a_registered_type(write, load):
    class Report(Element):
        element_type: str = "report"
        pages: int = 1
        owners: list[str] | None = None

    register_element_type(ElementType("report", Report, "reports"))
    try:
        (report,) = load(CsvSource(write("reports.csv", "name,pages,owners\na,12,x|y\n"))).of("report")
        assert (report.pages, report.owners) == (12, ["x", "y"])
    finally:
        unregister_element_type("report")
