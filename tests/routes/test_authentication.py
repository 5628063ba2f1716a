"""Who gets in, and to what."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint, Flask
from werkzeug.routing import Rule

from memapp import keys
from memapp.routes.authentication import is_open, needs, scope_of
from tests.openapi import CheckedClient, checked_client

OPEN = {"/health", "/health/chromadb", "/health/ready", "/openapi.json", "/docs"}

plug_in = Blueprint("plug_in", __name__)


@plug_in.get("/plug-in/undeclared")
def undeclared() -> dict[str, str]:
    return {"answer": "undeclared"}


@plug_in.get("/plug-in/reading")
@needs("memory:read")
def reading() -> dict[str, str]:
    return {"answer": "reading"}


@plug_in.get("/plug-in/open")
@is_open
def open_to_all() -> dict[str, str]:
    return {"answer": "open"}


class Keys:
    """Keys of two tenants, and the entries that let them in."""

    def __init__(self) -> None:
        self.entries: list[str] = []

    def make(self, tenant: str, *scopes: str) -> dict[str, str]:
        """Return the header of a new key."""
        key = keys.new_key()
        self.entries.append(keys.entry_for(key, tenant=tenant, scopes=scopes))
        return {"Authorization": f"Bearer {key}"}


@pytest.fixture(scope="module")
def ring() -> Keys:
    return Keys()


def test_every_route_declares_its_scope_or_is_one_of_the_open_ones(app: Flask) -> None:
    scopes = {
        rule.rule: vars(app.view_functions[rule.endpoint]).get("memapp_scope", "undeclared")
        for rule in app.url_map.iter_rules()
    }
    assert {path for path, scope in scopes.items() if scope is None} == OPEN
    assert {scope for scope in scopes.values() if scope} <= set(keys.SCOPES)
    assert len(scopes) > 15


def _client(make_app: Callable[..., Flask], ring: Keys, **overrides: Any) -> CheckedClient:
    return checked_client(make_app(AUTH="keys", API_KEYS=ring.entries, **overrides))


def _requests(rule: Rule) -> list[tuple[str, str]]:
    path = re.sub("<[^>]*>", "x", rule.rule)
    return [(method, path) for method in sorted(rule.methods or ()) if method != "HEAD"]


def test_no_key_and_a_bad_key_are_401_on_every_guarded_route(
    make_app: Callable[..., Flask], ring: Keys
) -> None:
    good = ring.make("acme", "all")["Authorization"].removeprefix("Bearer ")
    client = _client(make_app, ring)
    bad = ["", "Bearer", "Bearer ", f"Bearer {good[:-1]}", f"Basic {good}", good, "Bearer \xe9"]
    offers: list[dict[str, str]] = [{}, *({"Authorization": value} for value in bad)]
    for rule in client.application.url_map.iter_rules():
        if rule.rule in OPEN:
            continue
        for method, path in _requests(rule):
            for headers in offers:
                response = client.open(path, method=method, headers=headers)
                assert (response.status_code, response.get_json()["code"]) == (401, "unauthorized")
                assert response.headers["WWW-Authenticate"].startswith("Bearer")
                assert good not in response.text


def test_a_key_without_the_scope_is_403_and_the_scope_is_named(
    make_app: Callable[..., Flask], ring: Keys
) -> None:
    scoped = {scope: ring.make("acme", scope) for scope in keys.SCOPES}
    client = _client(make_app, ring)
    for rule in client.application.url_map.iter_rules():
        needed = scope_of(client.application.view_functions[rule.endpoint])
        if needed is None:
            continue
        for method, path in _requests(rule):
            for scope, headers in scoped.items():
                response = client.open(path, method=method, headers=headers)
                assert (response.status_code == 403) == (scope != needed), (path, method, scope)
                if scope != needed:
                    assert needed in response.get_json()["detail"]


def test_a_tenant_never_sees_what_another_tenant_has(
    make_app: Callable[..., Flask], ring: Keys
) -> None:
    ours, theirs = ring.make("ours", "all"), ring.make("theirs", "all")
    client = _client(make_app, ring)
    memory = client.post(
        "/v1/memories", json={"user_id": "u", "text": "our secret"}, headers=ours
    ).get_json()
    client.post("/v1/rag/documents", json={"id": "d", "text": "our file"}, headers=ours)
    path = f"/v1/memories/{memory['id']}"
    foreign = [
        client.get(path, headers=theirs),
        client.get(f"{path}/history", headers=theirs),
        client.patch(path, json={"text": "mine"}, headers=theirs),
        client.delete(path, headers=theirs),
        client.get("/v1/rag/documents/d", headers=theirs),
        client.get("/v1/rag/documents/d/text", headers=theirs),
        client.delete("/v1/rag/documents/d", headers=theirs),
    ]
    assert [response.status_code for response in foreign] == [404] * 7
    question = {"user_id": "u", "query": "our secret"}
    found = client.post("/v1/memories/search", json=question, headers=theirs).get_json()
    assert found["data"] == []
    passages = client.post("/v1/rag/retrieve", json={"query": "file"}, headers=theirs).get_json()
    assert passages["data"] == []
    counts = client.get("/health/chromadb", headers=theirs).get_json()
    assert (counts["memories"], counts["documents"], counts["chunks"]) == (0, 0, 0)
    forgotten = client.delete("/v1/memories?user_id=u", headers=theirs).get_json()
    assert forgotten == {"deleted": {"memories": 0, "versions": 0}}
    assert client.get(path, headers=ours).get_json()["text"] == "our secret"


def test_the_same_idempotency_key_of_two_tenants_makes_two_memories(
    make_app: Callable[..., Flask], ring: Keys
) -> None:
    ours, theirs = ring.make("ours", "all"), ring.make("theirs", "all")
    client = _client(make_app, ring)
    body = {"user_id": "u", "text": "one each"}
    for headers in (ours, theirs):
        with_key = {**headers, "Idempotency-Key": "the same"}
        assert client.post("/v1/memories", json=body, headers=with_key).status_code == 201


def test_counts_are_shown_to_admins_only(make_app: Callable[..., Flask], ring: Keys) -> None:
    admin, reader = ring.make("acme", "admin"), ring.make("acme", "memory:read")
    client = _client(make_app, ring)
    assert "memories" in client.get("/health/chromadb", headers=admin).get_json()
    assert "memories" not in client.get("/health/chromadb", headers=reader).get_json()
    assert "memories" not in client.get("/health/chromadb").get_json()


def test_a_route_of_a_plug_in_needs_admin_unless_it_says_otherwise(
    make_app: Callable[..., Flask], ring: Keys
) -> None:
    admin, reader = ring.make("acme", "admin"), ring.make("acme", "memory:read")
    app = make_app(AUTH="keys", API_KEYS=ring.entries, BLUEPRINTS=[f"{__name__}:plug_in"])
    client = app.test_client()
    statuses = [
        client.get(f"/plug-in/{path}", headers=headers).status_code
        for path in ("undeclared", "reading", "open")
        for headers in (admin, reader, {})
    ]
    assert statuses == [200, 403, 401, 403, 200, 401, 200, 200, 200]


def test_a_scope_that_does_not_exist_cannot_be_declared() -> None:
    with pytest.raises(ValueError, match="memory:destroy"):
        needs("memory:destroy")
