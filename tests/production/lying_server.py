"""A perfect store of memories in one process, which can be told to lie."""

import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask, Response, jsonify, request
from werkzeug.serving import make_server

LIES = {
    "none": "",
    "forgets a write it has acknowledged": "lost",
    "finds a memory only when asked again": "stale",
    "reads the text before the change": "stale",
    "finds the text before the change": "stale",
    "lists without the newest memory": "stale",
    "finds what was deleted": "ghost",
    "reads what was deleted": "ghost",
    "lists what was deleted": "ghost",
    "keeps a memory of a forgotten user": "ghost",
    "shows a memory twice": "duplicate",
    "stores a memory twice": "duplicate",
    "ignores the filter": "duplicate",
    "answers every tenth request with 500": "failed",
    "answers every tenth request with a page": "failed",
    "hangs up on every tenth request": "failed",
}
"""What it does, and what the check must call it."""


class LyingStore:
    """Memories in order of arrival; deleted ones are kept to lie with."""

    def __init__(self, lie: str) -> None:
        assert lie in LIES
        self.forbids = ""
        self.lie = lie
        self.present: dict[str, dict[str, Any]] = {}
        self.former: dict[str, dict[str, Any]] = {}
        self.deleted: dict[str, dict[str, Any]] = {}
        self.asked: set[str] = set()
        self.requests = 0

    def write(self, given: dict[str, Any]) -> dict[str, Any]:
        number = given["metadata"]["number"]
        memory = {**given, "id": uuid.uuid4().hex, "created_at": f"{number:06}"}
        forgets = self.lie == "forgets a write it has acknowledged" and number == 0
        if not forgets:
            self.present[memory["id"]] = memory
        if self.lie == "stores a memory twice" and number == 0:
            again = {**memory, "id": uuid.uuid4().hex}
            self.present[again["id"]] = again
        return memory

    def search(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        known = dict(self.present)
        if self.lie == "finds what was deleted":
            known |= self.deleted
        if self.lie == "finds the text before the change":
            known |= {f"former {name}": row for name, row in self.former.items()}
        rows = [row for row in known.values() if row["user_id"] == given["user_id"]]
        narrowed = given.get("filter")
        if narrowed and self.lie != "ignores the filter":
            rows = [row for row in rows if row["metadata"]["number"] == narrowed["metadata.number"]]
        if given["query"] not in self.asked and self.lie == "finds a memory only when asked again":
            self.asked.add(given["query"])
            return []
        rows.sort(key=lambda row: row["text"] != given["query"])
        return rows[:1] * 2 + rows[1:3] if self.lie == "shows a memory twice" else rows[:5]

    def everything(self, user: str) -> list[dict[str, Any]]:
        known = {**self.present}
        if self.lie == "lists what was deleted":
            known |= self.deleted
        rows = [row for row in known.values() if row["user_id"] == user]
        rows.sort(key=lambda row: row["created_at"], reverse=True)
        # Without a limit it is the walk at the end, which is to be right here.
        is_page = request.args.get("limit") == "50"
        return rows[1:] if is_page and self.lie == "lists without the newest memory" else rows

    def read(self, name: str) -> dict[str, Any] | None:
        if self.lie == "reads what was deleted" and name in self.deleted:
            return self.deleted[name]
        if self.lie == "reads the text before the change" and name in self.former:
            return self.former[name]
        return self.present.get(name)

    def change(self, name: str, text: str) -> dict[str, Any]:
        self.former[name] = self.present[name]
        self.present[name] = {**self.present[name], "text": text}
        return self.present[name]

    def delete(self, name: str) -> None:
        self.deleted[name] = self.present.pop(name)

    def forget(self, user: str) -> None:
        names = [name for name, row in self.present.items() if row["user_id"] == user]
        kept = 1 if self.lie == "keeps a memory of a forgotten user" else 0
        for name in names[kept:]:
            del self.present[name]
        self.deleted = {}


def make_app(store: LyingStore) -> Flask:
    """Serve a store as memapp serves its memories."""
    app = Flask("lying")
    _break_every_tenth(app, store)

    @app.route("/v1/memories", methods=["GET", "POST", "DELETE"])
    def memories() -> Any:
        if request.method == "POST":
            return store.write(request.get_json()), 201
        if request.method == "GET":
            return {"data": store.everything(request.args["user_id"]), "next_cursor": None}
        store.forget(request.args["user_id"])
        return {"deleted": {}}

    @app.route("/v1/memories/<name>", methods=["GET", "PATCH", "DELETE"])
    def memory(name: str) -> Any:
        if request.method == "PATCH":
            return store.change(name, request.get_json()["text"])
        if request.method == "DELETE":
            store.delete(name)
            return "", 204
        row = store.read(name)
        return jsonify(row), 200 if row else 404

    @app.post("/v1/memories/search")
    def search() -> Any:
        return {"data": store.search(request.get_json())}

    @app.after_request
    def name_worker(response: Response) -> Response:
        response.headers["X-Memapp-Worker"] = "the only one"
        return response

    return app


def _break_every_tenth(app: Flask, store: LyingStore) -> None:
    lock = threading.Lock()

    @app.before_request
    def count() -> Response | None:
        with lock:
            store.requests += 1
            is_tenth = store.requests % 10 == 0
        if request.method == store.forbids:
            return Response("forbidden", 403)
        if is_tenth and store.lie.endswith("with 500"):
            return Response("broken", 500)
        if is_tenth and store.lie.endswith("with a page"):
            return Response("<html>Back soon</html>")
        if is_tenth and store.lie.startswith("hangs up"):
            request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            return Response("to nobody")
        return None


@contextmanager
def lying_server(lie: str, *, forbids: str = "") -> Iterator[str]:
    """Serve while the block runs, `forbids` a method of HTTP perhaps; give the address."""
    store = LyingStore(lie)
    store.forbids = forbids
    with served(make_app(store)) as url:
        yield url


@contextmanager
def another_server(page: str) -> Iterator[str]:
    """Answer everything with one page while the block runs; give the address."""
    app = Flask("another")
    app.before_request(lambda: page)
    with served(app) as url:
        yield url


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """Serve an app while the block runs; give its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
