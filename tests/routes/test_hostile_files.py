"""Files that cannot or must not be read: each gets a clear answer, and nothing of it is stored."""

import io
import json
import zlib
from pathlib import Path

import pytest
from flask import Flask

from memapp.app import create_app
from tests.openapi import checked_client
from tests.readers.office_files import archive, docx, paragraph
from tests.readers.pdf_files import encrypted, pdf

READERS = ("text", "markdown", "html", "json", "csv", "code", "pdf", "office")
BOMB = zlib.compress(b"\0" * 100_000_000, 9)
ENTITY = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;">]>'
OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """An app that reads Office files too."""
    folder: Path = tmp_path_factory.mktemp("app")
    return create_app(folder, EMBEDDER="hash", AUTH="off", READERS=READERS)


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        ("picture.png", b"\x89PNG\r\n\x1a\n\x00", "neither text nor of a format"),
        ("empty.txt", b"", "holds no text"),
        ("blank.md", b" \n\t\n", "holds no text"),
        ("blank.html", b"<html><body></body></html>", "holds no text"),
        ("binary.txt", b"\x00\x01\x02" * 99, "no text file"),
        ("encrypted.pdf", encrypted(pdf("Secret."), "password"), "encrypted"),
        ("scanned.pdf", pdf("", ""), "scanned"),
        ("broken.pdf", pdf("x")[:-200], "damaged"),
        ("cyclic.pdf", pdf("x").replace(b"/Kids [4 0 R]", b"/Kids [2 0 R]"), "damaged"),
        ("bomb.pdf", pdf("x", packed=BOMB), ""),
        ("encrypted.docx", OLD_OFFICE, "encrypted"),
        ("broken.docx", docx(paragraph("x"))[:-30], "damaged"),
        ("bomb.docx", archive({"word/media/x.png": b"\0" * 5_000_000}), "unpacks to far more"),
        ("entity.docx", docx(paragraph("&a;"), before=ENTITY), "document type"),
        ("laughs.docx", docx(paragraph("&b;"), before=LAUGHS), "document type"),
        ("deep.docx", docx("<w:p>" * 300 + "</w:p>" * 300), "deeper"),
        ("deep.json", b"[" * 100_000, "deeper"),
        ("broken.json", b'{"a": 1', "is not JSON"),
        ("endless.csv", b'a,b\n"' + b"x" * 200_000, ""),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)
def test_a_hostile_file_gets_a_clear_answer_and_leaves_nothing(
    app: Flask, collection: str, name: str, content: bytes, rule: str
) -> None:
    client = checked_client(app)
    form = {"collection": collection, "id": "d", "file": (io.BytesIO(content), name)}
    answer = client.post("/v1/rag/documents", data=form)
    problem = answer.get_json()
    (error,) = problem["errors"]
    assert answer.status_code == 422
    assert answer.content_type == "application/problem+json"
    assert error["pointer"] == "/file"
    assert rule in error["detail"]
    assert ("OCR" in error["detail"]) == (name == "scanned.pdf")
    assert "root:" not in json.dumps(problem)
    stored = client.get(f"/v1/rag/documents/d?collection={collection}")
    assert stored.status_code == 404


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("deep.html", b"<div>" * 20_000 + b"tea" + b"</div>" * 20_000),
        ("deep.md", b"> " * 10_000 + b"tea"),
        ("entities.html", b"<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><p>tea &a;"),
        ("long-line.txt", b"tea" * 20_000),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_odd_but_readable_is_read_as_it_stands(
    app: Flask, collection: str, name: str, content: bytes
) -> None:
    client = checked_client(app)
    form = {"collection": collection, "id": "d", "file": (io.BytesIO(content), name)}
    answer = client.post("/v1/rag/documents", data=form)
    text = client.get(f"/v1/rag/documents/d/text?collection={collection}").get_json()["text"]
    assert answer.status_code == 201
    assert "tea" in text
    assert "root:" not in text
