"""What is taken is kept as it is, whatever Chroma can and cannot say."""

import json
from typing import Any
from uuid import uuid4

from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.openapi import checked_client

_TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)
_NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
_KEYS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(
    str.strip
) | st.sampled_from(
    ["$and", "#document", "chroma:document", "a.b", "x" * 64, "user_id", "metadata"]
)
_METADATA = st.dictionaries(
    _KEYS,
    _TEXTS
    | _NUMBERS
    | st.booleans()
    | st.lists(_TEXTS, min_size=1, max_size=4)
    | st.lists(_NUMBERS, min_size=1, max_size=4)
    | st.lists(st.booleans(), min_size=1, max_size=4),
    max_size=6,
)
_quickly = settings(
    max_examples=15,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@_quickly
@given(metadata=_METADATA, changed=_METADATA)
def test_metadata_comes_back_as_it_was_sent_and_can_be_filtered_by(
    app: Flask, metadata: dict[str, Any], changed: dict[str, Any]
) -> None:
    client, user = checked_client(app), uuid4().hex
    sent = {"user_id": user, "text": "some text", "metadata": metadata}
    stored = client.post("/v1/memories", json=sent)
    assert stored.status_code == 201
    assert stored.get_json()["metadata"] == metadata
    path = f"/v1/memories/{stored.get_json()['id']}"
    assert client.patch(path, json={"metadata": changed}).get_json()["metadata"] == changed
    assert client.get(path).get_json()["metadata"] == changed
    for key, value in changed.items():
        wanted = {"contains": value[0]} if isinstance(value, list) else {"eq": value}
        condition = {f"metadata.{key}": wanted}
        question = {"user_id": user, "query": "text", "filter": condition}
        found = client.post("/v1/memories/search", json=question).get_json()["data"]
        listed = client.get(
            "/v1/memories", query_string={"user_id": user, "filter": json.dumps(condition)}
        ).get_json()["data"]
        assert (len(found), len(listed)) == (1, 1), condition


@_quickly
@given(metadata=_METADATA)
def test_metadata_of_documents_comes_back_and_can_be_filtered_by(
    app: Flask, metadata: dict[str, Any]
) -> None:
    client = checked_client(app)
    sent = {"collection": "roundtrip", "id": "d", "text": uuid4().hex, "metadata": metadata}
    assert client.post("/v1/rag/documents", json=sent).status_code in {200, 201}
    got = client.get("/v1/rag/documents/d?collection=roundtrip").get_json()
    assert got["metadata"] == metadata
    for key, value in metadata.items():
        wanted = {"contains": value[0]} if isinstance(value, list) else {"eq": value}
        question = {"collection": "roundtrip", "query": "x", "filter": {f"metadata.{key}": wanted}}
        found = client.post("/v1/rag/retrieve", json=question).get_json()["data"]
        assert [passage["metadata"] for passage in found] == [metadata]
