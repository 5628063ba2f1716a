"""A service that answers as OpenAI does, in a thread; its next answers can be scripted."""

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from memapp.embedders.hashing import HashEmbedder


@dataclass(frozen=True)
class Answer:
    """What is sent back; `truncated_to` announces the whole content but sends only so much."""

    content: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    truncated_to: int | None = None

    @classmethod
    def of_json(cls, value: object, status: int = 200, **headers: str) -> "Answer":
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return cls(json.dumps(value).encode(), status, named)


Behaviour = Callable[[dict[str, Any]], Answer]


def honest(body: dict[str, Any]) -> Answer:
    """Answer with the hash embedder's vectors, in reverse order, which OpenAI's API allows."""
    vectors = HashEmbedder().embed_documents(body["input"])
    data = [
        {"object": "embedding", "index": index, "embedding": vector.tolist()}
        for index, vector in enumerate(vectors)
    ]
    return Answer.of_json({"object": "list", "model": body["model"], "data": data[::-1]})


class OpenAIServer:
    """The server; an honest one unless told otherwise.

    Attributes:
        script: Behaviours for the next requests, one each.
        afterwards: The behaviour once the script is at its end.
        requests: The bodies received.
        headers: The headers received.
        released: Set when the server stops; a behaviour may wait for it.
    """

    def __init__(self) -> None:
        self.script: deque[Behaviour] = deque()
        self.afterwards: Behaviour = honest
        self.requests: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.released = threading.Event()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                owner.requests.append({"path": self.path, **body})
                owner.headers.append(dict(self.headers))
                behaviour = owner.script.popleft() if owner.script else owner.afterwards
                self._send(behaviour(body))

            def _send(self, answer: Answer) -> None:
                self.send_response(answer.status)
                self.send_header("Content-Length", str(len(answer.content)))
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.content[: answer.truncated_to])
                self.close_connection = answer.truncated_to is not None

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """Say nothing: clients that gave up are part of the tests."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
