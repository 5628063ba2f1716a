import zlib

import pytest

from memapp.errors import InvalidInput
from memapp.readers.pdf import create, extract
from memapp.records import PageMark
from tests.readers.pdf_files import encrypted, pdf, titled


def test_a_pdf_is_read_page_by_page() -> None:
    content = titled(pdf("First page.", "", "Third page."), "A  report")

    read = create().read(content, name="report.pdf")

    assert read.text == "First page.\n\nThird page.\n\n"
    assert read.pages == (PageMark(0, 1), PageMark(13, 3))
    assert (read.title, read.format) == ("A report", "text")


def test_a_pdf_that_is_protected_against_changes_only_is_read() -> None:
    assert extract(encrypted(pdf("Open."), "")).text == "Open.\n\n"


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (encrypted(pdf("Secret."), "password"), "is encrypted; remove the password"),
        (pdf("", ""), "empty or scanned"),
        (pdf(), "empty or scanned"),
        (b"no pdf", "is not a PDF file"),
        (b"", "is not a PDF file"),
        (b"%PDF-1.7\nnothing else", "is damaged"),
        (pdf("x").replace(b"/Kids [4 0 R]", b"/Kids [2 0 R]"), "is damaged"),
        (pdf("x").replace(b"xref", b"fers"), "is damaged"),
        (pdf("x")[:-200], "is damaged"),
    ],
    ids=[
        "encrypted",
        "scanned",
        "no pages",
        "other",
        "nothing",
        "torn",
        "cyclic",
        "no table",
        "cut off",
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_the_mend(content: bytes, rule: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        create().read(content, name="x.pdf")

    (error,) = caught.value.errors
    assert error.pointer == "/file"
    assert rule in error.detail


def test_a_bomb_is_refused() -> None:
    bomb = zlib.compress(b"\0" * 100_000_000, 9)

    with pytest.raises(InvalidInput) as caught:
        create().read(pdf("x", packed=bomb), name="")

    assert caught.value.errors[0].pointer == "/file"
