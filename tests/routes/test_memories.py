"""The memory routes, over a real embedded Chroma."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask

from memapp import rfc3339
from tests.openapi import CheckedClient, checked_client


def test_a_memory_that_was_stored_is_found_by_its_meaning(client: CheckedClient, user: str) -> None:
    stored = client.post("/v1/memories", json={"user_id": user, "text": "I drink green tea"})
    found = client.post("/v1/memories/search", json={"user_id": user, "query": "green tea"})
    assert stored.status_code == 201
    assert [m["id"] for m in found.get_json()["data"]] == [stored.get_json()["id"]]


def test_a_stored_memory_comes_back_with_everything_that_was_sent(
    client: CheckedClient, user: str
) -> None:
    sent = {
        "user_id": user,
        "text": "Line one\n\tline two, 日本 🙂",
        "speaker": "Åsa",
        "occurred_at": "2025-03-01T12:00:00.5+02:00",
        "agent_id": "a/b",
        "session_id": "s 1",
        "metadata": {"tags": ["x", "y"], "n": 3, "f": 0.5, "yes": True, "ns": [1, 2.5]},
        "expires_at": "2999-01-01T00:00:00Z",
    }
    stored = client.post("/v1/memories", json=sent).get_json()
    assert client.get(f"/v1/memories/{stored['id']}").get_json() == stored
    assert stored == {
        **sent,
        "id": stored["id"],
        "occurred_at": "2025-03-01T10:00:00.500000Z",
        "expires_at": "2999-01-01T00:00:00.000000Z",
        "created_at": stored["created_at"],
        "updated_at": stored["created_at"],
        "version": 1,
    }


def test_null_means_the_same_as_leaving_an_optional_field_out(
    client: CheckedClient, user: str
) -> None:
    optional = ("speaker", "occurred_at", "agent_id", "session_id", "expires_at", "ttl_seconds")
    body = {"user_id": user, "text": "nothing", **dict.fromkeys(optional)}
    first = client.post("/v1/memories", json=body)
    second = client.post("/v1/memories", json={"user_id": user, "text": "nothing"})
    assert (first.status_code, second.status_code) == (201, 200)


def test_the_same_text_in_the_same_scope_is_stored_once(client: CheckedClient, user: str) -> None:
    first = client.post("/v1/memories", json={"user_id": user, "text": "I like  rain"})
    second = client.post("/v1/memories", json={"user_id": user, "text": "I like rain "})
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.get_json() == {**first.get_json(), "deduplicated": True}


def test_times_at_the_ends_of_the_calendar_are_kept_and_found(
    client: CheckedClient, user: str
) -> None:
    times = ["0001-01-01T00:00:00.000000Z", "1969-12-31T23:59:59.999999Z"]
    times.append("9999-12-31T23:59:59.999999Z")
    for time in times:
        body = {"user_id": user, "text": time, "occurred_at": time, "expires_at": times[-1]}
        assert client.post("/v1/memories", json=body).get_json()["occurred_at"] == time
    for time in times:
        question = {"user_id": user, "query": "x", "filter": {"occurred_at": time}}
        found = client.post("/v1/memories/search", json=question).get_json()["data"]
        assert [memory["text"] for memory in found] == [time]


def test_ttl_seconds_sets_when_a_memory_expires(client: CheckedClient, user: str) -> None:
    before = datetime.now(UTC)
    body = {"user_id": user, "text": "soon gone", "ttl_seconds": 60}
    expires = rfc3339.parse(client.post("/v1/memories", json=body).get_json()["expires_at"])
    assert before + timedelta(seconds=60) <= expires <= datetime.now(UTC) + timedelta(seconds=60)


def test_one_idempotency_key_used_by_ten_requests_at_once_makes_one_memory(
    app: Flask, user: str
) -> None:
    body = {"user_id": user, "text": "only once", "ttl_seconds": 3600}
    headers = {"Idempotency-Key": f"key of {user}"}

    def send(_: int) -> tuple[int, str]:
        response = checked_client(app).post("/v1/memories", json=body, headers=headers)
        return response.status_code, response.get_json()["id"]

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(send, range(10)))
    assert len({memory_id for _, memory_id in answers}) == 1
    assert {status for status, _ in answers} <= {200, 201}
    listed = checked_client(app).get(f"/v1/memories?user_id={user}").get_json()["data"]
    assert len(listed) == 1


def test_an_idempotency_key_with_another_body_is_a_conflict(
    client: CheckedClient, user: str
) -> None:
    headers = {"Idempotency-Key": f"key of {user}"}
    client.post("/v1/memories", json={"user_id": user, "text": "one"}, headers=headers)
    other = client.post("/v1/memories", json={"user_id": user, "text": "two"}, headers=headers)
    assert (other.status_code, other.get_json()["code"]) == (409, "idempotency_key_reused")
    assert len(client.get(f"/v1/memories?user_id={user}").get_json()["data"]) == 1


def test_what_is_left_out_and_what_is_said_to_be_null_are_the_same_request(
    client: CheckedClient, user: str
) -> None:
    headers = {"Idempotency-Key": f"key of {user}"}
    body: dict[str, Any] = {"user_id": user, "text": "one"}
    client.post("/v1/memories", json=body, headers=headers)
    spelled_out = body | {"speaker": None, "metadata": {}, "expires_at": None}
    again = client.post("/v1/memories", json=spelled_out, headers=headers)
    assert (again.status_code, again.get_json()["deduplicated"]) == (200, True)


def test_a_bad_item_of_a_batch_does_not_lose_the_others(client: CheckedClient, user: str) -> None:
    items = [
        {"user_id": user, "text": "first"},
        {"user_id": user, "text": " ", "colour": "red", "metadata": {"n": [1, "a"]}},
        "not an object",
        {"user_id": user, "text": "last"},
        {"user_id": user, "text": "first"},
    ]
    answer = client.post("/v1/memories/batch", json={"memories": items})
    assert [r["status"] for r in answer.get_json()["results"]] == [
        "created",
        "invalid",
        "invalid",
        "created",
        "deduplicated",
    ]
    assert [e["pointer"] for e in answer.get_json()["results"][1]["errors"]] == [
        "/memories/1/text",
        "/memories/1/metadata/n",
        "/memories/1/colour",
    ]
    assert answer.get_json()["results"][2]["errors"] == [
        {"pointer": "/memories/2", "detail": "must be a JSON object"}
    ]
    listed = client.get(f"/v1/memories?user_id={user}").get_json()["data"]
    assert {m["text"] for m in listed} == {"first", "last"}


def test_values_that_programs_read_differently_spoil_only_their_own_item(
    client: CheckedClient, user: str
) -> None:
    good = f'{{"user_id": "{user}", "text": "good"}}'
    bad = f'{{"user_id": "{user}", "text": "bad", "metadata": {{"n": 1e999, "m": 1, "m": 2}}}}'
    answer = client.post(
        "/v1/memories/batch",
        data=f'{{"memories": [{bad}, {good}]}}',
        content_type="application/json",
    )
    assert [r["status"] for r in answer.get_json()["results"]] == ["invalid", "created"]
    assert [e["pointer"] for e in answer.get_json()["results"][0]["errors"]] == [
        "/memories/0/metadata/m",
        "/memories/0/metadata/n",
    ]


def test_pages_follow_each_other_without_repeats_or_gaps(client: CheckedClient, user: str) -> None:
    items = [{"user_id": user, "text": f"memory {n}"} for n in range(5)]
    for item in items:
        client.post("/v1/memories", json=item)
    texts: list[str] = []
    cursor = ""
    while True:
        page = client.get(f"/v1/memories?user_id={user}&limit=2{cursor}").get_json()
        texts += [m["text"] for m in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert texts == ["memory 4", "memory 3", "memory 2", "memory 1", "memory 0"]


def test_a_list_keeps_to_its_scope_and_its_filter(client: CheckedClient, user: str) -> None:
    for session, stars in (("s1", 1), ("s1", 5), ("s2", 5)):
        body = {"user_id": user, "text": f"{session} {stars}", "session_id": session}
        client.post("/v1/memories", json={**body, "metadata": {"stars": stars}})
    listed = client.get(
        "/v1/memories",
        query_string={
            "user_id": user,
            "session_id": "s1",
            "filter": '{"metadata.stars": {"gte": 4}}',
        },
    )
    assert [m["text"] for m in listed.get_json()["data"]] == ["s1 5"]


def test_a_search_keeps_to_its_scope_its_filter_and_its_limit(
    client: CheckedClient, user: str
) -> None:
    for number in range(4):
        speaker = "Ann" if number % 2 else "Bob"
        body = {"user_id": user, "text": f"tea number {number}", "speaker": speaker}
        client.post("/v1/memories", json=body)
    question = {"user_id": user, "query": "tea", "filter": {"speaker": "Ann"}, "limit": 1}
    found = client.post("/v1/memories/search", json=question).get_json()["data"]
    assert [m["speaker"] for m in found] == ["Ann"]


def test_every_mode_is_accepted_and_explains_itself_when_asked(
    client: CheckedClient, user: str
) -> None:
    client.post("/v1/memories", json={"user_id": user, "text": "the red house"})
    for mode in ("hybrid", "semantic", "keyword"):
        question = {"user_id": user, "query": "red house", "mode": mode, "explain": True}
        best = client.post("/v1/memories/search", json=question).get_json()["data"][0]
        assert 0 <= best["score"] <= 1
        assert best["explanation"]
    plain = client.post("/v1/memories/search", json={"user_id": user, "query": "red house"})
    assert "explanation" not in plain.get_json()["data"][0]


def test_a_change_makes_a_version_and_the_history_tells_what_changed(
    client: CheckedClient, user: str
) -> None:
    body = {"user_id": user, "text": "I live in Rome", "metadata": {"a": 1, "b": 2}}
    memory = client.post("/v1/memories", json=body).get_json()
    path = f"/v1/memories/{memory['id']}"
    changed = client.patch(path, json={"text": "I live in Oslo"}).get_json()
    client.patch(path, json={"metadata": {"a": 1}, "expires_at": "2999-01-01T00:00:00Z"})
    last = client.patch(path, json={"expires_at": None}).get_json()
    versions = client.get(f"{path}/history").get_json()["data"]
    assert (changed["version"], changed["text"]) == (2, "I live in Oslo")
    assert (last["metadata"], last["expires_at"]) == ({"a": 1}, None)
    assert [v["version"] for v in versions] == [1, 2, 3, 4]
    assert [v["changed"] for v in versions] == [
        [],
        ["text"],
        ["metadata", "expires_at"],
        ["expires_at"],
    ]


def test_a_deleted_memory_is_gone_for_every_route(client: CheckedClient, user: str) -> None:
    memory = client.post("/v1/memories", json={"user_id": user, "text": "forget me"}).get_json()
    path = f"/v1/memories/{memory['id']}"
    deleted = client.delete(path)
    assert (deleted.status_code, deleted.data) == (204, b"")
    assert "Content-Type" not in deleted.headers
    answers = [
        client.get(path),
        client.delete(path),
        client.get(f"{path}/history"),
        client.patch(path, json={"text": "again"}),
    ]
    assert [a.status_code for a in answers] == [404] * 4
    assert client.get(f"/v1/memories?user_id={user}").get_json()["data"] == []


def test_forgetting_a_user_counts_first_and_then_removes_everything(
    client: CheckedClient, user: str
) -> None:
    memory = client.post("/v1/memories", json={"user_id": user, "text": "one"}).get_json()
    client.post("/v1/memories", json={"user_id": user, "text": "two"})
    client.patch(f"/v1/memories/{memory['id']}", json={"text": "uno"})
    expected = {"deleted": {"memories": 2, "versions": 1}}
    assert client.delete(f"/v1/memories?user_id={user}&dry_run=true").get_json() == expected
    assert len(client.get(f"/v1/memories?user_id={user}").get_json()["data"]) == 2
    assert client.delete(f"/v1/memories?user_id={user}").get_json() == expected
    assert client.get(f"/v1/memories?user_id={user}").get_json()["data"] == []


def test_a_user_never_sees_another_users_memory(client: CheckedClient, user: str) -> None:
    client.post("/v1/memories", json={"user_id": user, "text": "my secret"})
    question = {"user_id": f"{user}x", "query": "my secret"}
    assert client.post("/v1/memories/search", json=question).get_json()["data"] == []
    assert client.get(f"/v1/memories?user_id={user}x").get_json()["data"] == []


def test_two_apps_in_one_process_share_nothing(
    client: CheckedClient, make_app: Callable[..., Flask], user: str
) -> None:
    client.post("/v1/memories", json={"user_id": user, "text": "here"})
    other = checked_client(make_app(MAX_TEXT_CHARACTERS=3))
    assert other.get(f"/v1/memories?user_id={user}").get_json()["data"] == []
    assert other.post("/v1/memories", json={"user_id": user, "text": "four"}).status_code == 422
