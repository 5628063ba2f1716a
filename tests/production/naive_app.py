"""The design that memapp replaces: an embedded Chroma, opened by each gunicorn worker."""

import os
import uuid
import zlib
from typing import Any

import chromadb
import numpy as np
from flask import Flask, request

app = Flask(__name__)
client = chromadb.PersistentClient(os.environ["NAIVE_FOLDER"])
worker = {"X-Memapp-Worker": str(os.getpid())}


def of(name: str) -> Any:
    cosine: Any = {"hnsw": {"space": "cosine"}}
    user, _, _ = name.partition(".")
    return client.get_or_create_collection(user, configuration=cosine)


def vector(text: str) -> Any:
    words = [zlib.crc32(word.encode()) % 256 for word in text.split()]
    return [np.bincount(words, minlength=256).astype(np.float32)]


def shape(name: str, text: str) -> dict[str, str]:
    return {"id": name, "text": text, "created_at": ""}


@app.route("/v1/memories", methods=["GET", "POST", "DELETE"])
def memories() -> Any:
    if request.method == "DELETE":
        client.delete_collection(request.args["user_id"])
        return "", 204, worker
    if request.method == "GET":
        found = of(request.args["user_id"]).get()
        rows = [*map(shape, found["ids"], found["documents"])]
        return {"data": rows, "next_cursor": None}, worker
    given = request.get_json()
    name = f"{given['user_id']}.{uuid.uuid4()}"
    of(name).add(name, vector(given["text"]), given["metadata"], given["text"])
    return shape(name, given["text"]), 201, worker


@app.route("/v1/memories/<name>", methods=["GET", "PATCH", "DELETE"])
def memory(name: str) -> Any:
    if request.method == "DELETE":
        of(name).delete([name])
        return "", 204, worker
    if request.method == "PATCH":
        text = request.get_json()["text"]
        of(name).update(name, vector(text), documents=text)
    texts = of(name).get(name)["documents"]
    return (shape(name, texts[0]), 200, worker) if texts else ({}, 404, worker)


@app.post("/v1/memories/search")
def search() -> Any:
    given = request.get_json()
    where = {key.split(".")[1]: value for key, value in given.get("filter", {}).items()}
    found = of(given["user_id"]).query(vector(given["query"]), n_results=5, where=where or None)
    return {"data": [*map(shape, found["ids"][0], found["documents"][0])]}, worker
