"""Chance looks for what nobody thought of: no request may ever be answered by a 5xx."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memapp.app import create_app
from tests.openapi import checked_client
from tests.routes.test_bad_input import GOOD_BODIES, GOOD_QUERIES, TARGETS, Target

_EDGES: st.SearchStrategy[Any] = st.sampled_from(
    [
        0,
        -1,
        2**63 - 1,
        -(2**63),
        2**63,
        1e308,
        5e-324,
        -0.0,
        "",
        " ",
        "\x00",
        "\x7f",
        "\u2028",
        "\ufeff",
        "\U0010ffff",
        "e\u0301" * 50,
        "x" * 300,
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999Z",
        "1969-12-31T23:59:59Z",
        "$and",
        "chroma:document",
        "../..",
        "a/text",
        [],
        {},
        None,
        True,
    ]
)
_NAMES = st.sampled_from(
    [
        *["eq", "in", "gt", "contains", "exists", "and", "or", "not", "speaker", "created_at"],
        *["title", "metadata.x", "metadata.$and", "metadata.a.b", "#document", "chroma:document"],
    ]
)
_VALUES = st.recursive(
    _EDGES | st.text(max_size=20) | st.integers() | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(_NAMES | st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
_HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Accept": st.sampled_from(["application/x-ndjson", "*/*", "text/html;q=2,,", ""]),
        "Content-Type": st.sampled_from(["application/json", "application/json;;;", "x/y", ""]),
        "Idempotency-Key": st.text(st.characters(max_codepoint=255, categories=["L", "N", "P"])),
        "Authorization": st.sampled_from(["Bearer", "Bearer x", "Basic !!!", "Digest a=b"]),
    },
)


@st.composite
def _requests(draw: st.DrawFn) -> tuple[Target, dict[str, Any]]:
    target = draw(st.sampled_from(TARGETS))
    options: dict[str, Any] = {"headers": draw(_HEADERS)}
    names = [p["name"] for p in target.operation.get("parameters", []) if p["in"] == "query"]
    query: dict[str, str] = dict(GOOD_QUERIES.get(target.name, {}))
    for name in draw(st.lists(st.sampled_from(names), max_size=2)) if names else []:
        value = draw(_VALUES)
        query[name] = value if isinstance(value, str) else json.dumps(value)
    options["query_string"] = {
        name: value.encode("utf-8", "replace").decode() for name, value in query.items()
    }
    if target.name in GOOD_BODIES:
        options["data"] = draw(_bodies(target))
        options.setdefault("content_type", "application/json")
    return target, options


@st.composite
def _bodies(draw: st.DrawFn, target: Target) -> bytes:
    body = dict(GOOD_BODIES[target.name])
    fields = list(target.fields)
    for field in draw(st.lists(st.sampled_from(fields), max_size=3)):
        body[field] = draw(_VALUES)
    raw = json.dumps(body).encode()
    if draw(st.integers(0, 5)) == 0:
        place = draw(st.integers(0, len(raw)))
        raw = raw[:place] + draw(st.binary(max_size=6)) + raw[place + draw(st.integers(0, 6)) :]
    return raw


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """An app whose store no other test looks into."""
    return create_app(tmp_path_factory.mktemp("fuzzed"), EMBEDDER="hash", AUTH="off")


@settings(
    max_examples=250,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(request=_requests(), ids=st.tuples(_EDGES, st.text(max_size=20)))
def test_no_request_is_ever_answered_by_a_5xx(
    fuzzed: Flask, request: tuple[Target, dict[str, Any]], ids: tuple[object, str]
) -> None:
    target, options = request
    part = str(ids[0]) or ids[1] or "x"
    part = quote(part.encode("utf-8", "replace"), safe="")
    response = checked_client(fuzzed).open(
        target.url(part, other=part), method=target.method, **options
    )
    assert response.status_code < 500, response.text
