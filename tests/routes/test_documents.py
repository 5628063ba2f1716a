"""The document routes, over a real embedded Chroma."""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask

from memapp.embedders.hashing import HashEmbedder
from memapp.errors import EmbedderUnavailable
from memapp.ports import Embedder
from memapp.records import Vectors
from tests.openapi import CheckedClient, checked_client

TEXT = (
    "# Tea\n\nGreen tea is steeped at 70 degrees.\n\n# Coffee\n\nCoffee is brewed at 95 degrees.\n"
)


def _lines(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]


def test_a_document_that_was_ingested_is_cited(client: CheckedClient, collection: str) -> None:
    body: dict[str, Any] = {
        "collection": collection,
        "id": "drinks",
        "text": TEXT,
        "format": "markdown",
        "title": "Drinks",
        "source": "https://example.com/drinks",
        "metadata": {"year": 2025},
    }
    ingested = client.post("/v1/rag/documents", json=body)
    question = {"query": "How hot is green tea?", "collection": collection, "limit": 1}
    answer = client.post("/v1/rag/retrieve", json=question).get_json()
    passage = answer["data"][0]
    text = client.get(f"/v1/rag/documents/drinks/text?collection={collection}").get_json()["text"]
    assert ingested.status_code == 201
    assert "70 degrees" in passage["text"]
    assert text[passage["start"] : passage["end"]] == passage["text"]
    assert (passage["document_id"], passage["source"]) == ("drinks", "https://example.com/drinks")
    assert (passage["title"], passage["metadata"]) == ("Drinks", {"year": 2025})
    assert passage["text"].strip().splitlines()[-1] in answer["context"]


def test_chunks_come_in_order_and_are_cut_from_the_text(
    client: CheckedClient, collection: str
) -> None:
    text = "\n\n".join(f"Paragraph {n}. " + "word " * 60 for n in range(20))
    client.post("/v1/rag/documents", json={"collection": collection, "id": "d", "text": text})
    stored = client.get(f"/v1/rag/documents/d/text?collection={collection}").get_json()["text"]
    chunks = client.get(f"/v1/rag/documents/d/chunks?collection={collection}").get_json()["data"]
    document = client.get(f"/v1/rag/documents/d?collection={collection}").get_json()
    assert [c["index"] for c in chunks] == list(range(document["chunks"]))
    assert all(stored[c["start"] : c["end"]] == c["text"] for c in chunks)
    assert document["characters"] == len(stored)


def test_the_same_content_again_is_unchanged_and_other_content_a_new_revision(
    client: CheckedClient, collection: str
) -> None:
    body = {"collection": collection, "id": "d", "text": "one"}
    first = client.post("/v1/rag/documents", json=body)
    again = client.post("/v1/rag/documents", json=body)
    other = client.post("/v1/rag/documents", json={**body, "text": "two"})
    assert [first.status_code, again.status_code, other.status_code] == [201, 200, 200]
    assert again.get_json() == {**first.get_json(), "unchanged": True}
    assert (other.get_json()["revision"], "unchanged" in other.get_json()) == (2, False)
    stored = client.get(f"/v1/rag/documents/d/text?collection={collection}").get_json()
    assert stored == {"text": "two"}


def test_a_file_is_uploaded_with_the_same_fields(client: CheckedClient, collection: str) -> None:
    form = {
        "file": (io.BytesIO(TEXT.encode()), "drinks.md"),
        "collection": collection,
        "id": "drinks.md",
        "title": "Drinks",
        "source": "upload",
        "metadata": '{"tags": ["a", "b"], "n": 1}',
    }
    uploaded = client.post("/v1/rag/documents", data=form)
    assert uploaded.status_code == 201
    assert uploaded.get_json()["metadata"] == {"tags": ["a", "b"], "n": 1}
    question = {"query": "coffee", "collection": collection}
    passages = client.post("/v1/rag/retrieve", json=question).get_json()["data"]
    assert "Coffee" in passages[0]["text"]


@pytest.mark.parametrize(
    ("form", "pointer"),
    [
        ({}, "/file"),
        ({"file": "not a file"}, "/file"),
        ({"file": [(io.BytesIO(b"a"), "a.txt"), (io.BytesIO(b"b"), "b.txt")]}, "/file"),
        ({"title": (io.BytesIO(b"a"), "a.txt")}, "/title"),
        ({"title": ["a", "b"]}, "/title"),
        ({"title": "\x00"}, "/title"),
        ({"colour": "red"}, "/colour"),
        ({"text": "a"}, "/text"),
        ({"metadata": "{"}, "/metadata"),
        ({"metadata": "[]"}, "/metadata"),
        ({"metadata": '{"a": NaN}'}, "/metadata/a"),
        ({"metadata": '{"a": 1, "a": 1}'}, "/metadata/a"),
        ({"metadata": '{"a": {}}'}, "/metadata/a"),
        ({"metadata": "[" * 100_000}, "/metadata"),
        ({"id": "x" * 257}, "/id"),
        ({"id": "a/text"}, "/id"),
        ({"collection": "no such/name"}, "/collection"),
        ({"format": "unheard-of"}, "/format"),
        ({"file": (io.BytesIO(b""), "empty.txt")}, "/file"),
        ({"file": (io.BytesIO(b"\x00\x01\x02" * 99), "binary.txt")}, "/file"),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value),
)
def test_a_bad_form_is_refused_by_the_name_of_its_field(
    client: CheckedClient, collection: str, form: dict[str, Any], pointer: str
) -> None:
    fields: dict[str, Any] = {"collection": collection}
    if "file" not in form and pointer != "/file":
        fields["file"] = (io.BytesIO(b"content"), "a.txt")
    response = client.post(
        "/v1/rag/documents", data={**fields, **form}, content_type="multipart/form-data"
    )
    assert response.status_code == 422, response.text
    assert pointer in [error["pointer"] for error in response.get_json()["errors"]]
    names = [c["name"] for c in client.get("/v1/rag/collections").get_json()["data"]]
    assert collection not in names


@pytest.mark.parametrize(
    ("fields", "name", "source"),
    [
        ({}, "drinks.md", "drinks.md"),
        ({}, "docs/drinks.md", "drinks.md"),
        ({"source": "https://example.com"}, "drinks.md", "https://example.com"),
        ({}, f"{'x' * 5000}.md", None),
        ({}, "a\u202eb\x7f.md", None),
        ({}, " ", None),
    ],
)
def test_an_upload_is_cited_by_the_name_of_its_file_unless_a_source_is_given(
    client: CheckedClient,
    collection: str,
    fields: dict[str, str],
    name: str,
    source: str | None,
) -> None:
    form = {"file": (io.BytesIO(TEXT.encode()), name), "collection": collection, **fields}
    uploaded = client.post("/v1/rag/documents", data=form)
    assert uploaded.status_code == 201
    assert uploaded.get_json()["source"] == source


def test_a_body_of_another_kind_is_refused_with_both_kinds_that_are_read(
    client: CheckedClient,
) -> None:
    response = client.post("/v1/rag/documents", data=b"%PDF-", content_type="application/pdf")
    assert response.status_code == 415
    for kind in ("application/json", "multipart/form-data"):
        assert kind in response.get_json()["detail"]


def test_a_compressed_form_is_refused(client: CheckedClient) -> None:
    form = {"file": (io.BytesIO(b"x"), "a.txt")}
    headers = {"Content-Encoding": "gzip"}
    response = client.post("/v1/rag/documents", data=form, headers=headers)
    assert (response.status_code, response.get_json()["code"]) == (415, "unsupported_media_type")


def test_a_form_that_is_not_utf8_is_refused(client: CheckedClient) -> None:
    data = (
        b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\n\xff\r\n'
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n--x--\r\n'
    )
    response = client.post(
        "/v1/rag/documents", data=data, content_type="multipart/form-data; boundary=x"
    )
    assert response.status_code == 422
    assert [error["pointer"] for error in response.get_json()["errors"]] == ["/title"]


@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name="),
        ("multipart/form-data", b"--x\r\n\r\n--x--"),
        ("multipart/form-data; boundary=x", b"\x00" * 1000),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\n--x--"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; filename="a.txt"\r\n\r\ntext\r\n--x--\r\n',
        ),
    ],
)
def test_a_form_that_cannot_be_read_is_refused(
    client: CheckedClient, content_type: str, data: bytes
) -> None:
    response = client.post("/v1/rag/documents", data=data, content_type=content_type)
    assert (response.status_code, response.get_json()["code"]) == (400, "malformed_body")


def test_an_upload_larger_than_the_limit_is_refused_by_the_name_of_the_setting(
    make_app: Callable[..., Flask],
) -> None:
    client = checked_client(make_app(MAX_BODY_BYTES=2048, MAX_UPLOAD_BYTES=8192))
    small = {"file": (io.BytesIO(b"word " * 1000), "a.txt")}
    large = {"file": (io.BytesIO(b"word " * 2000), "a.txt")}
    assert client.post("/v1/rag/documents", data=small).status_code == 201
    refused = client.post("/v1/rag/documents", data=large)
    assert (refused.status_code, refused.get_json()["code"]) == (413, "body_too_large")
    assert "8192 bytes (MAX_UPLOAD_BYTES)" in refused.get_json()["detail"]


def test_a_form_of_too_many_parts_is_refused(client: CheckedClient) -> None:
    form = {f"field{n}": "x" for n in range(40)}
    response = client.post("/v1/rag/documents", data=form, content_type="multipart/form-data")
    assert response.status_code == 413
    assert "32 parts" in response.get_json()["detail"]


def test_an_ingest_streams_its_progress_when_asked(client: CheckedClient, collection: str) -> None:
    text = "\n\n".join(f"Paragraph {n}. " + "word " * 100 for n in range(200))
    body = {"collection": collection, "id": "long", "text": text}
    headers = {"Accept": "application/x-ndjson"}
    streamed = client.post("/v1/rag/documents", json=body, headers=headers)
    lines = _lines(streamed.data)
    total = lines[-1]["document"]["chunks"]
    done = [line["done"] for line in lines[:-1]]
    assert streamed.mimetype == "application/x-ndjson"
    assert [line["event"] for line in lines] == ["progress"] * len(done) + ["done"]
    assert done == sorted(done)
    assert done[-1] == total
    assert len(done) > 2
    again = client.post("/v1/rag/documents", json=body, headers=headers)
    assert [line["document"]["unchanged"] for line in _lines(again.data)] == [True]


class TiringEmbedder(HashEmbedder):
    """Embeds one batch of texts, and then no more."""

    batches = 0

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        self.batches += 1
        if self.batches > 1:
            message = "api.example.com does not answer"
            raise EmbedderUnavailable(message)
        return super().embed_documents(texts)


def tiring_embedder(_config: Mapping[str, Any]) -> Embedder:
    """Return an embedder that fails half-way."""
    return TiringEmbedder()


def test_a_stream_that_fails_half_way_ends_with_the_problem_and_stores_nothing(
    make_app: Callable[..., Flask],
) -> None:
    client = checked_client(make_app(EMBEDDER=f"{__name__}:tiring_embedder"))
    text = "\n\n".join(f"Paragraph {n}. " + "word " * 100 for n in range(200))
    headers = {"Accept": "application/x-ndjson", "X-Request-ID": "find-me"}
    body = {"id": "d", "text": text}
    lines = _lines(client.post("/v1/rag/documents", json=body, headers=headers).data)
    assert lines[-1]["event"] == "error"
    assert (lines[-1]["code"], lines[-1]["status"]) == ("embedder_unavailable", 503)
    assert lines[-1]["request_id"] == "find-me"
    assert {line["event"] for line in lines[:-1]} == {"progress"}
    assert client.get("/v1/rag/documents/d").status_code == 404


def test_a_stream_that_cannot_begin_is_a_problem_like_any_other(client: CheckedClient) -> None:
    body = {"text": "some text", "format": "unheard-of"}
    headers = {"Accept": "application/x-ndjson"}
    response = client.post("/v1/rag/documents", json=body, headers=headers)
    assert (response.status_code, response.mimetype) == (422, "application/problem+json")


@pytest.mark.parametrize(
    "document_id",
    [
        "docs/guide.md",
        "/srv/docs/guide.md",
        "https://example.com//a?b=c&d#e",
        "a b+c%20d",
        "日本/🙂",
        "text",
        "a/",
        "..a",
    ],
)
def test_a_document_may_be_called_by_a_path_or_a_url(
    client: CheckedClient, collection: str, document_id: str
) -> None:
    body = {"collection": collection, "id": document_id, "text": "found by its name"}
    path = f"/v1/rag/documents/{quote(document_id, safe='')}"
    query = f"?collection={collection}"
    assert client.post("/v1/rag/documents", json=body).status_code == 201
    assert client.get(f"{path}{query}").get_json()["id"] == document_id
    assert client.get(f"{path}/text{query}").get_json() == {"text": "found by its name"}
    assert len(client.get(f"{path}/chunks{query}").get_json()["data"]) == 1
    assert client.delete(f"{path}{query}").status_code == 204
    assert client.get(f"{path}{query}").status_code == 404


def test_documents_are_listed_by_pages(client: CheckedClient, collection: str) -> None:
    for number in range(3):
        body = {"collection": collection, "id": f"d{number}", "text": f"text {number}"}
        client.post("/v1/rag/documents", json=body)
    path = f"/v1/rag/documents?collection={collection}&limit=2"
    first = client.get(path).get_json()
    second = client.get(f"{path}&cursor={first['next_cursor']}").get_json()
    assert [d["id"] for d in first["data"] + second["data"]] == ["d2", "d1", "d0"]
    assert second["next_cursor"] is None


def test_collections_are_listed_with_their_sizes_and_dropped_whole(
    client: CheckedClient, collection: str
) -> None:
    for number in range(2):
        body = {"collection": collection, "id": f"d{number}", "text": f"text {number}"}
        client.post("/v1/rag/documents", json=body)
    sizes = {c["name"]: c for c in client.get("/v1/rag/collections").get_json()["data"]}
    assert sizes[collection] == {"name": collection, "documents": 2, "chunks": 2}
    assert client.delete(f"/v1/rag/collections/{collection}").status_code == 204
    assert client.delete(f"/v1/rag/collections/{collection}").status_code == 404
    assert client.get(f"/v1/rag/documents?collection={collection}").status_code == 404
    question = {"query": "text", "collection": collection}
    assert client.post("/v1/rag/retrieve", json=question).status_code == 404


def test_passages_come_from_all_the_collections_named_and_no_other(
    client: CheckedClient, collection: str
) -> None:
    for suffix in "abc":
        body = {"collection": f"{collection}{suffix}", "id": suffix, "text": f"tea {suffix}"}
        client.post("/v1/rag/documents", json=body)
    question = {"query": "tea", "collections": [f"{collection}a", f"{collection}c"]}
    passages = client.post("/v1/rag/retrieve", json=question).get_json()["data"]
    assert {p["document_id"] for p in passages} == {"a", "c"}


@pytest.mark.parametrize("name", ["a", "default"])
def test_collection_and_collections_exclude_each_other(client: CheckedClient, name: str) -> None:
    question = {"query": "tea", "collection": name, "collections": ["b"]}
    response = client.post("/v1/rag/retrieve", json=question)
    assert response.status_code == 422
    assert [e["pointer"] for e in response.get_json()["errors"]] == ["/collections"]


def test_a_retrieval_keeps_to_its_filter_its_limit_and_its_length(
    client: CheckedClient, collection: str
) -> None:
    for number in range(4):
        body = {"collection": collection, "id": f"d{number}", "text": f"tea number {number} " * 9}
        client.post("/v1/rag/documents", json={**body, "metadata": {"even": number % 2 == 0}})
    question = {
        "query": "tea",
        "collection": collection,
        "filter": {"metadata.even": True},
        "limit": 1,
        "max_characters": 200,
        "explain": True,
    }
    answer = client.post("/v1/rag/retrieve", json=question).get_json()
    assert [p["metadata"] for p in answer["data"]] == [{"even": True}]
    assert answer["data"][0]["explanation"]
    assert len(answer["context"]) <= 200


def test_ingests_of_one_document_at_once_end_in_one_of_them(app: Flask, collection: str) -> None:
    texts = {f"{name} tea. " * 300 for name in ("Green", "Black", "White", "Red")}

    def ingest(text: str) -> int:
        body = {"collection": collection, "id": "d", "text": text}
        return app.test_client().post("/v1/rag/documents", json=body).status_code

    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(ingest, texts))
    client = checked_client(app)
    text = client.get(f"/v1/rag/documents/d/text?collection={collection}").get_json()["text"]
    chunks = client.get(f"/v1/rag/documents/d/chunks?collection={collection}").get_json()["data"]
    question = {"collection": collection, "query": "tea", "limit": 50}
    passages = client.post("/v1/rag/retrieve", json=question).get_json()["data"]
    assert set(statuses) <= {200, 201, 409}
    assert set(statuses) != {409}
    assert text in texts
    assert all(c["text"] == text[c["start"] : c["end"]] for c in chunks)
    assert sorted(p["start"] for p in passages) == [c["start"] for c in chunks]
