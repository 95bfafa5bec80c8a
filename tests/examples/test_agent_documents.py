"""The OpenAPI documents that the agents' operations come from."""

import pytest
from jsonschema import Draft202012Validator

import company
from multiretriever.core import Catalog


class TestDocuments:
    def test_a_whole_company(self, tmp_path):
        paths = company.write_documents(tmp_path)
        steps = Catalog.from_path(*paths).of("step")
        assert len(steps) >= 2_000
        assert len(paths) == len({step.scope for step in steps}) >= 40
        assert all(step.label and step.description and step.metadata["path"].startswith("/") for step in steps)
        schemas = {step.id: step.input_schema for step in steps}
        for schema in schemas.values():
            Draft202012Validator.check_schema(schema)
        assert sum(any("enum" in part for part in schema["properties"].values()) for schema in schemas.values()) > 200
        assert schemas["Billing.createInvoice"]["required"] == ["customer_email", "amount"]

    def test_the_same_every_time(self, tmp_path):
        first, second = (company.write_documents(tmp_path / name, 3) for name in "ab")
        assert [path.read_text() for path in first] == [path.read_text() for path in second]

    @pytest.mark.parametrize(
        ("name", "many", "one"),
        [
            ("salary", "salaries", "a salary"),
            ("nda", "ndas", "an nda"),
            ("tax_code", "tax codes", "a tax code"),
            ("user", "users", "a user"),
        ],
    )
    def test_words(self, name, many, one):
        resource = company.Resource(name, "", "", ())
        assert (resource.many, resource.one) == (many, one)
