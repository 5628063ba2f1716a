"""What the OpenAI-compatible embedder asks for, puts up with, and refuses."""

import logging
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memapp.embedders import openai
from memapp.embedders.hashing import HashEmbedder
from memapp.errors import EmbedderUnavailable
from memapp.records import EmbedderIdentity
from tests.embedders.openai_server import Answer, Behaviour, OpenAIServer, honest

KEY = "sk-do-not-show-me"


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, in seconds; nobody really waits."""
    made: list[float] = []
    monkeypatch.setattr(time, "sleep", made.append)
    return made


def failing(status: int, **headers: str) -> Behaviour:
    return lambda _body: Answer.of_json({"error": {"message": "no"}}, status, **headers)


def answering(*embeddings: object) -> Behaviour:
    data = [{"index": index, "embedding": value} for index, value in enumerate(embeddings)]
    return lambda _body: Answer.of_json({"data": data})


def test_it_asks_for_the_model_in_batches(
    openai_config: dict[str, Any], openai_server: OpenAIServer
) -> None:
    openai.create(openai_config).embed_documents(["a", "b", "c", "d"])

    assert openai_server.requests == [
        {"path": "/v1/embeddings", "model": "words", "input": ["a", "b", "c"]},
        {"path": "/v1/embeddings", "model": "words", "input": ["d"]},
    ]


def test_it_sends_the_key_as_a_bearer_token(
    openai_config: dict[str, Any], openai_server: OpenAIServer
) -> None:
    openai.create(openai_config).embed_query("a")

    assert openai_server.headers[0]["Authorization"] == f"Bearer {KEY}"


def test_a_netrc_file_does_not_replace_the_key(
    openai_config: dict[str, Any],
    openai_server: OpenAIServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))

    openai.create(openai_config).embed_query("a")
    openai.create(openai_config | {"OPENAI_API_KEY": ""}).embed_query("a")

    assert openai_server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert "Authorization" not in openai_server.headers[1]


def test_an_empty_text_is_sent_as_a_space(
    openai_config: dict[str, Any], openai_server: OpenAIServer
) -> None:
    openai.create(openai_config).embed_documents(["", "b"])

    assert openai_server.requests[0]["input"] == [" ", "b"]


def test_vectors_of_any_length_are_brought_to_unit_length(
    openai_config: dict[str, Any], openai_server: OpenAIServer
) -> None:
    openai_server.script.append(answering([3.0, 4.0], [1e300, 0], [0, -2]))

    vectors = openai.create(openai_config).embed_documents(["a", "b", "c"])

    assert vectors.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [1, 0], [0, -1]]


def test_the_identity_is_asked_for_once(
    openai_config: dict[str, Any], openai_server: OpenAIServer
) -> None:
    embedder = openai.create(openai_config)

    assert embedder.identity == EmbedderIdentity("openai", "words", 256, "-")
    assert embedder.identity.dimensions == 256
    assert len(openai_server.requests) == 1


def test_dimensions_that_are_set_are_asked_for(
    openai_config: dict[str, Any], openai_server: OpenAIServer
) -> None:
    embedder = openai.create(openai_config | {"OPENAI_DIMENSIONS": 256})

    assert embedder.identity.dimensions == 256
    assert openai_server.requests == []
    embedder.embed_query("a")
    assert openai_server.requests[0]["dimensions"] == 256


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_a_passing_failure_is_tried_again(
    status: int, openai_config: dict[str, Any], openai_server: OpenAIServer
) -> None:
    openai_server.script.append(failing(status))

    vector = openai.create(openai_config).embed_query("a")

    np.testing.assert_allclose(vector, HashEmbedder().embed_query("a"), atol=1e-6)
    assert len(openai_server.requests) == 2


def test_a_truncated_answer_is_tried_again(
    openai_config: dict[str, Any], openai_server: OpenAIServer
) -> None:
    content = honest({"input": ["a"], "model": "words"}).content
    openai_server.script.append(lambda _body: Answer(content, truncated_to=100))

    openai.create(openai_config).embed_query("a")

    assert len(openai_server.requests) == 2


def test_broken_json_is_tried_again(
    openai_config: dict[str, Any], openai_server: OpenAIServer
) -> None:
    openai_server.script.append(lambda _body: Answer(b'{"data": [{"index": 0, "embed'))

    openai.create(openai_config).embed_query("a")

    assert len(openai_server.requests) == 2


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        (failing(500), "answered 500"),
        (failing(429), "answered 429"),
        (lambda _body: Answer(b"<html>"), "answered with broken JSON"),
        (lambda _body: Answer(b'{"data": []}', truncated_to=3), "cannot be reached"),
    ],
)
def test_a_failure_that_does_not_pass_is_given_up(
    behaviour: Behaviour,
    message: str,
    openai_config: dict[str, Any],
    openai_server: OpenAIServer,
) -> None:
    openai_server.afterwards = behaviour
    embedder = openai.create(openai_config | {"OPENAI_RETRIES": 2})

    with pytest.raises(EmbedderUnavailable, match=message):
        embedder.embed_query("a")

    assert len(openai_server.requests) == 3


def test_pauses_grow_and_are_jittered(
    openai_config: dict[str, Any], openai_server: OpenAIServer, pauses: list[float]
) -> None:
    openai_server.afterwards = failing(503)
    embedder = openai.create(openai_config | {"OPENAI_RETRIES": 6})

    with pytest.raises(EmbedderUnavailable):
        embedder.embed_query("a")

    longest = [0.5, 1, 2, 4, 8, 8]
    assert all(most / 2 <= pause <= most for pause, most in zip(pauses, longest, strict=True))
    assert pauses != longest


def test_the_pause_asked_for_is_made(
    openai_config: dict[str, Any], openai_server: OpenAIServer, pauses: list[float]
) -> None:
    openai_server.script.append(failing(429, Retry_After="7"))

    openai.create(openai_config).embed_query("a")

    assert pauses == [7.0]


def test_a_pause_until_a_date_is_made(
    openai_config: dict[str, Any], openai_server: OpenAIServer, pauses: list[float]
) -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=8), usegmt=True)
    openai_server.script.append(failing(503, Retry_After=moment))

    openai.create(openai_config).embed_query("a")

    assert len(pauses) == 1
    assert 5 < pauses[0] <= 8


@pytest.mark.parametrize("header", ["soon", "-5", "Mon, 01 Jan 2024 00:00:00 -0000"])
def test_an_absurd_pause_is_replaced_by_our_own(
    header: str, openai_config: dict[str, Any], openai_server: OpenAIServer, pauses: list[float]
) -> None:
    openai_server.script.append(failing(503, Retry_After=header))

    openai.create(openai_config).embed_query("a")

    assert len(pauses) == 1
    assert 0.25 <= pauses[0] <= 0.5


def test_a_pause_longer_than_the_timeout_is_not_waited_for(
    openai_config: dict[str, Any], openai_server: OpenAIServer, pauses: list[float]
) -> None:
    openai_server.afterwards = failing(429, Retry_After="3600")

    with pytest.raises(EmbedderUnavailable, match="answered 429"):
        openai.create(openai_config).embed_query("a")

    assert pauses == []
    assert len(openai_server.requests) == 1


def test_a_service_that_does_not_answer_is_given_up(
    openai_config: dict[str, Any], openai_server: OpenAIServer
) -> None:
    def hang(_body: dict[str, Any]) -> Answer:
        openai_server.released.wait()
        return Answer(b"")

    openai_server.afterwards = hang
    embedder = openai.create(openai_config | {"OPENAI_TIMEOUT": 0.1, "OPENAI_RETRIES": 0})

    start = time.monotonic()

    with pytest.raises(EmbedderUnavailable, match=r"did not answer within 0\.1 s"):
        embedder.embed_query("a")

    assert time.monotonic() - start < 5


def test_a_service_that_is_not_there_is_named(openai_config: dict[str, Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    embedder = openai.create(openai_config | {"OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1"})

    with pytest.raises(EmbedderUnavailable, match=f"at 127.0.0.1:{port} cannot be reached"):
        embedder.embed_query("a")


@pytest.mark.parametrize(
    ("status", "mend"),
    [(401, "OPENAI_API_KEY"), (403, "OPENAI_API_KEY"), (400, "OPENAI_MODEL"), (302, "BASE_URL")],
)
def test_a_refusal_is_not_tried_again(
    status: int, mend: str, openai_config: dict[str, Any], openai_server: OpenAIServer
) -> None:
    openai_server.afterwards = failing(status, Location="/v1/elsewhere")

    with pytest.raises(EmbedderUnavailable, match=rf"answered {status}.*{mend}"):
        openai.create(openai_config).embed_query("a")

    assert len(openai_server.requests) == 1


def test_the_services_own_code_is_told(
    openai_config: dict[str, Any], openai_server: OpenAIServer
) -> None:
    openai_server.afterwards = lambda _body: Answer.of_json(
        {"error": {"code": "model_not_found"}}, 404
    )

    with pytest.raises(EmbedderUnavailable, match=r"answered 404 \(model_not_found\)"):
        openai.create(openai_config).embed_query("a")


@pytest.mark.parametrize(
    "behaviour",
    [
        answering([1.0, 2.0]),
        answering([1.0, 2.0], [1.0, 2.0], [1.0, 2.0]),
        answering([1.0, 2.0], [1.0]),
        answering([1.0, 2.0], None),
        answering([1.0, 2.0], ["1", "2"]),
        answering([], []),
        answering(1.0, 2.0),
        answering([1.0, float("nan")], [1.0, 2.0]),
        answering([1.0, float("inf")], [1.0, 2.0]),
        answering([0.0, 0.0], [1.0, 2.0]),
        lambda _body: Answer.of_json({"data": [{"index": 0, "embedding": [1.0]}] * 2}),
        lambda _body: Answer.of_json({"data": [{"index": 1, "embedding": [1.0]}] * 2}),
        lambda _body: Answer.of_json({"data": [{"embedding": [1.0]}] * 2}),
        lambda _body: Answer.of_json({"data": 7}),
        lambda _body: Answer.of_json({"data": None}),
        lambda _body: Answer.of_json([]),
        lambda _body: Answer.of_json(None),
    ],
)
def test_nonsense_is_refused(
    behaviour: Behaviour, openai_config: dict[str, Any], openai_server: OpenAIServer
) -> None:
    openai_server.script.append(behaviour)

    with pytest.raises(EmbedderUnavailable):
        openai.create(openai_config).embed_documents(["a", "b"])


def test_vectors_of_another_length_than_set_are_refused(
    openai_config: dict[str, Any], openai_server: OpenAIServer
) -> None:
    embedder = openai.create(openai_config | {"OPENAI_DIMENSIONS": 512})

    with pytest.raises(EmbedderUnavailable, match="256 numbers where 512 are expected; compare "):
        embedder.embed_query("a")

    assert len(openai_server.requests) == 1


def test_vectors_of_another_length_than_before_are_refused(
    openai_config: dict[str, Any], openai_server: OpenAIServer
) -> None:
    embedder = openai.create(openai_config)
    embedder.embed_query("a")
    openai_server.script.append(answering([1.0, 2.0]))

    with pytest.raises(EmbedderUnavailable, match="2 numbers where 256 are expected"):
        embedder.embed_query("a")


def _quoting(status: int) -> Callable[[dict[str, Any]], Answer]:
    error = {"message": f"Incorrect API key: {KEY}", "code": "sk_secret_word", "type": KEY}
    return lambda _body: Answer.of_json({"error": error, "data": KEY}, status)


@pytest.mark.parametrize("status", [200, 302, 400, 401, 429, 500])
@pytest.mark.parametrize("key", [KEY, "sk_secret_word"])
def test_the_key_is_never_shown(
    key: str,
    status: int,
    openai_config: dict[str, Any],
    openai_server: OpenAIServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    openai_server.afterwards = _quoting(status)
    embedder = openai.create(openai_config | {"OPENAI_API_KEY": key})

    with caplog.at_level(logging.DEBUG), pytest.raises(EmbedderUnavailable) as failure:
        embedder.embed_query("a")

    chain: list[BaseException] = [failure.value]
    while cause := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(cause)
    assert not any(key in f"{error} {error!r}" for error in chain)
    assert key not in caplog.text
    assert key not in f"{embedder!r} {vars(embedder)!r} {vars(embedder).values()!r}"
