"""What one process tells Prometheus, and whom it tells."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from flask import Blueprint, Flask, Response
from openapi_spec_validator import validate

from memapp import instruments, keys
from memapp.embedders.hashing import HashEmbedder
from memapp.errors import ConfigurationError, EmbedderUnavailable
from memapp.records import Vectors
from memapp.routes.authentication import is_open
from tests import scrapes
from tests.chroma_server import free_port
from tests.fresh_interpreter import printed
from tests.openapi import CheckedClient, checked_client, document_of

MakeApp = Callable[..., Flask]

failing = Blueprint("failing", __name__)


@failing.get("/broken-answer")
@is_open
def broken_answer() -> str:
    return "never sent"


@failing.after_request
def break_it(_response: Response) -> Response:
    message = "a plug-in fails"
    raise RuntimeError(message)


def measured(make_app: MakeApp, **overrides: object) -> CheckedClient:
    return checked_client(make_app(METRICS=True, **overrides))


def scrape(client: CheckedClient) -> str:
    response = client.get("/metrics")
    assert response.status_code == 200
    return response.text


EMBEDDING = "memapp_embedding_duration_seconds"


def texts_embedded(told: str, kind: str) -> float:
    return scrapes.value(told, "memapp_embedded_texts_total", kind=kind)


def calls_to_chroma(told: str) -> float:
    return scrapes.value(told, "memapp_chroma_call_duration_seconds_count")


def test_without_the_setting_the_path_is_unknown_and_the_library_not_imported(
    tmp_path: Path,
) -> None:
    script = (
        "import sys, pathlib; from memapp.app import create_app; "
        f"app = create_app(pathlib.Path({str(tmp_path)!r}), EMBEDDER='hash', AUTH='off'); "
        "client = app.test_client(); client.get('/health'); "
        "answers = [client.get(path) for path in ('/metrics', '/nowhere')]; "
        "print(*[answer.status_code for answer in answers],"
        " *{answer.get_json()['detail'] for answer in answers},"
        " 'prometheus_client' in sys.modules, sep='|')"
    )
    statuses, detail, is_imported = printed(script, folder=tmp_path).rsplit("|", 2)
    assert (statuses, is_imported) == ("404|404", "False")
    assert detail.startswith("there is no such path")


def test_without_the_library_the_setting_is_refused_with_the_command(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instruments, "find_spec", lambda _: None)

    with pytest.raises(ConfigurationError, match=r"pip install 'memapp\[metrics\]'"):
        make_app(METRICS=True)


def test_requests_are_counted_by_method_template_and_status(make_app: MakeApp) -> None:
    client = measured(make_app)
    for name in ("one", "two", "three"):
        client.get(f"/v1/memories/{name}")
    client.delete("/v1/memories/one")
    client.get("/health")

    told = scrape(client)

    route = "/v1/memories/{memory_id}"
    assert scrapes.answered(told, route, 404) == 3
    assert scrapes.answered(told, route, 404, "DELETE") == 1
    assert scrapes.answered(told, "/health") == 1
    assert len(scrapes.counted(told)) == 3


def test_every_request_is_timed_in_one_bucket(make_app: MakeApp) -> None:
    client = measured(make_app)
    for _ in range(4):
        client.get("/health")

    told = scrape(client)

    timed = {"method": "GET", "route": "/health"}
    assert scrapes.value(told, f"{scrapes.DURATIONS}_count", **timed) == 4
    assert scrapes.value(told, f"{scrapes.DURATIONS}_bucket", le="+Inf", **timed) == 4
    assert 0 < scrapes.value(told, f"{scrapes.DURATIONS}_sum", **timed) < 4


def test_calls_to_chroma_are_timed_failed_ones_too(make_app: MakeApp) -> None:
    client = measured(make_app)
    assert calls_to_chroma(scrape(client)) == 0
    client.post("/v1/memories", json={"user_id": "u", "text": "one"})
    assert calls_to_chroma(scrape(client)) > 0

    away = measured(make_app, CHROMA_MODE="http", CHROMA_PORT=free_port())
    assert away.get("/health/ready").status_code == 503
    assert calls_to_chroma(scrape(away)) == 1


def test_embedding_is_timed_but_for_questions_that_are_remembered(make_app: MakeApp) -> None:
    client = measured(make_app)
    assert texts_embedded(scrape(client), "document") == 0
    items = [{"user_id": "u", "text": text} for text in ("one", "two", "three")]
    client.post("/v1/memories/batch", json={"memories": items})
    for query in ("one", "one", "two"):
        client.post("/v1/memories/search", json={"user_id": "u", "query": query})

    told = scrape(client)

    assert texts_embedded(told, "document") == 3
    assert texts_embedded(told, "query") == 2
    assert scrapes.value(told, f"{EMBEDDING}_count", kind="document") == 1
    assert scrapes.value(told, f"{EMBEDDING}_count", kind="query") == 2
    assert scrapes.value(told, f"{EMBEDDING}_sum", kind="query") > 0


def test_embedding_that_fails_is_timed_and_no_text_counted(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_self: HashEmbedder, _texts: Sequence[str]) -> Vectors:
        message = "the provider is down"
        raise EmbedderUnavailable(message)

    monkeypatch.setattr(HashEmbedder, "embed_documents", fail)
    client = measured(make_app)
    body = {"user_id": "u", "text": "one"}
    assert client.post("/v1/memories", json=body).status_code == 503

    told = scrape(client)

    assert scrapes.value(told, f"{EMBEDDING}_count", kind="document") == 1
    assert texts_embedded(told, "document") == 0


def test_whatever_callers_send_makes_no_further_series(make_app: MakeApp) -> None:
    client = measured(make_app)
    for number in range(5):
        client.open(f"/secret-{number}", method=f"MADE-UP-{number}")
        client.open("/health", method=f"MADE-UP-{number}")
        client.get(f"/v1/nothing/{number}", headers={"Host": f"host-{number}"})
    client.put("/health")

    told = scrape(client)

    assert scrapes.counted(told) == [
        ("GET", "unmatched", "404"),
        ("PUT", "unmatched", "405"),
        ("other", "unmatched", "404"),
        ("other", "unmatched", "405"),
    ]
    assert "secret" not in told
    assert "MADE" not in told


def test_no_tenant_user_key_or_text_is_told(make_app: MakeApp) -> None:
    key = keys.new_key()
    entry = keys.entry_for(key, tenant="acme-tenant", scopes=["all"])
    client = measured(make_app, AUTH="keys", API_KEYS=[entry])
    headers = {"Authorization": f"Bearer {key}"}
    body = {"user_id": "ann-the-user", "text": "walnuts-in-a-text"}
    client.post("/v1/memories", json=body, headers=headers)
    client.get("/v1/memories?user_id=ann-the-user", headers=headers)

    told = client.get("/metrics", headers=headers).text

    assert scrapes.answered(told, "/v1/memories", 201, "POST") == 1
    assert [w for w in ("acme", "ann-the", "walnuts", key, key[-8:]) if w in told] == []


def test_scrapes_and_refused_ones_are_not_counted(make_app: MakeApp) -> None:
    client = measured(make_app)
    client.get("/metrics?name=x")
    scrape(client)

    told = scrape(client)

    assert scrapes.counted(told) == []
    assert scrapes.in_progress(told) == 0


def test_refused_keys_are_counted_on_the_route_that_they_were_for(make_app: MakeApp) -> None:
    key = keys.new_key()
    entry = keys.entry_for(key, tenant="acme", scopes=["admin"])
    client = measured(make_app, AUTH="keys", API_KEYS=[entry])
    client.get("/v1/memories?user_id=u")

    told = client.get("/metrics", headers={"Authorization": f"Bearer {key}"}).text

    assert scrapes.answered(told, "/v1/memories", 401) == 1


def test_only_an_admin_may_read_where_keys_are_needed(make_app: MakeApp) -> None:
    by_scope = {scope: keys.new_key() for scope in keys.SCOPES}
    entries = [keys.entry_for(key, tenant="t", scopes=[s]) for s, key in by_scope.items()]
    client = measured(make_app, AUTH="keys", API_KEYS=entries)

    statuses = {
        scope: client.get("/metrics", headers={"Authorization": f"Bearer {key}"}).status_code
        for scope, key in by_scope.items()
    }

    assert client.get("/metrics").status_code == 401
    assert statuses.pop("admin") == 200
    assert set(statuses.values()) == {403}


def test_other_methods_than_get_are_refused(make_app: MakeApp) -> None:
    client = measured(make_app)
    assert client.post("/metrics").status_code == 405
    assert client.delete("/metrics").status_code == 405


def test_a_stream_is_in_progress_until_it_has_ended(make_app: MakeApp) -> None:
    client = measured(make_app)
    stream = client.application.test_client().post(
        "/v1/rag/documents",
        json={"text": "a document"},
        headers={"Accept": "application/x-ndjson"},
    )
    during = scrape(client)
    assert stream.data
    stream.close()

    after = scrape(client)

    assert (scrapes.in_progress(during), scrapes.in_progress(after)) == (1, 0)
    assert scrapes.counted(during) == []
    assert scrapes.answered(after, "/v1/rag/documents", 200, "POST") == 1


def test_an_answer_that_a_plug_in_breaks_is_counted_as_failed_and_not_in_progress(
    make_app: MakeApp,
) -> None:
    app = make_app(METRICS=True, BLUEPRINTS=[f"{__name__}:failing"])
    assert app.test_client().get("/broken-answer").status_code == 500

    told = app.test_client().get("/metrics").text

    assert scrapes.answered(told, "/broken-answer", 500) == 1
    assert scrapes.in_progress(told) == 0


def test_two_apps_of_a_process_share_no_counts(
    make_app: MakeApp, tmp_path_factory: pytest.TempPathFactory
) -> None:
    one, other = measured(make_app), measured(make_app)
    one.get("/health")
    assert scrapes.answered(scrape(one), "/health") == 1
    assert scrapes.answered(scrape(other), "/health") == 0


def test_two_apps_of_a_worker_count_together_in_its_place(tmp_path: Path) -> None:
    script = (
        "import os, pathlib; from memapp import worker_places; from memapp.app import create_app; "
        f"root = pathlib.Path({str(tmp_path)!r}); "
        "worker_places.share_with_forks(root, user=os.getuid(), group=os.getgid()); "
        "worker_places.take([]); "
        "apps = [create_app(root, AUTH='off', METRICS=True) for _ in range(2)]; "
        "clients = [app.test_client() for app in apps]; "
        "[client.get('/health') for client in clients * 3]; "
        "print(clients[0].get('/metrics').text)"
    )
    assert scrapes.answered(printed(script), "/health") == 6


def test_a_folder_of_others_in_the_environment_is_left_alone(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    script = (
        "import pathlib; from memapp.app import create_app; "
        f"app = create_app(pathlib.Path({str(tmp_path)!r}), AUTH='off', METRICS=True); "
        "client = app.test_client(); client.get('/health'); print(client.get('/metrics').text)"
    )
    told = printed(script, folder=tmp_path, environment={"PROMETHEUS_MULTIPROC_DIR": str(theirs)})
    assert scrapes.answered(told, "/health") == 1
    assert list(theirs.iterdir()) == []


def test_the_document_describes_the_route_where_it_is_served(make_app: MakeApp, app: Flask) -> None:
    document = document_of(make_app(METRICS=True))
    validate(document)
    operation = document["paths"]["/metrics"]["get"]
    assert operation["security"] == [{"key": []}]
    assert set(operation["responses"]["200"]["content"]) == {"text/plain"}
    assert "/metrics" not in document_of(app)["paths"]
