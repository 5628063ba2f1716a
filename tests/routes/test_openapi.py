"""The OpenAPI document and its reading page."""

from collections.abc import Callable

from flask import Flask
from openapi_spec_validator import validate

from tests.openapi import document_of

MakeApp = Callable[..., Flask]


def test_the_document_is_valid_openapi_3_1(app: Flask) -> None:
    document = document_of(app)
    assert document["openapi"] == "3.1.0"
    validate(document)


def test_every_route_is_in_the_document_with_all_that_it_may_answer(app: Flask) -> None:
    document = document_of(app)
    operations = [
        (path, operation) for path, item in document["paths"].items() for operation in item.values()
    ]
    served = [r for r in app.url_map.iter_rules() if r.rule not in {"/docs", "/openapi.json"}]
    assert len(operations) == len(served)
    for path, operation in operations:
        statuses = set(operation["responses"])
        assert operation["summary"]
        assert statuses & {"200", "201", "204"}
        assert statuses >= {"400", "422", "500"}
        if path.startswith("/v1"):
            assert statuses >= {"401", "403", "409", "503"}
            assert operation["security"] == [{"key": []}]
        if "requestBody" in operation:
            assert statuses >= {"413", "415"}
        for parameter in operation.get("parameters", []):
            assert parameter["description"] != parameter["name"]


def test_the_document_has_the_limits_of_its_own_app(make_app: MakeApp, app: Flask) -> None:
    def most(of: Flask) -> int:
        schema = document_of(of)["components"]["schemas"]["NewMemory"]
        limit: int = schema["properties"]["text"]["maxLength"]
        return limit

    assert (most(make_app(MAX_TEXT_CHARACTERS=99)), most(app)) == (99, 32_000)
    assert "x-limit" not in str(document_of(app))
    assert "x-component" not in str(document_of(app))


def test_every_body_has_an_example_that_the_api_takes(app: Flask) -> None:
    schemas = document_of(app)["components"]["schemas"]
    client = app.test_client()
    taken = {
        "NewMemory": "/v1/memories",
        "MemoryBatch": "/v1/memories/batch",
        "Search": "/v1/memories/search",
        "NewDocument": "/v1/rag/documents",
        "RetrievalQuestion": "/v1/rag/retrieve",
    }
    for name, path in taken.items():
        for example in schemas[name]["examples"]:
            assert client.post(path, json=example).status_code in {200, 201}, name
    memory = client.post(taken["NewMemory"], json=schemas["NewMemory"]["examples"][0]).get_json()
    for example in schemas["ChangedMemory"]["examples"]:
        assert client.patch(f"/v1/memories/{memory['id']}", json=example).status_code == 200


def test_the_page_needs_nothing_from_elsewhere(app: Flask) -> None:
    page = app.test_client().get("/docs")
    assert page.mimetype == "text/html"
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "innerHTML" not in page.text
