import pytest

from memapp.errors import InvalidInput
from memapp.ports import Reader
from memapp.readers import html, markdown, text
from memapp.records import ReadDocument
from memapp.services.formats import chosen_reader


class PdfReader:
    formats = ("pdf",)
    media_types = ("application/pdf",)
    suffixes = (".pdf",)

    def read(self, content: bytes, *, name: str) -> ReadDocument:
        raise AssertionError


READERS: list[Reader] = [text.create(), markdown.create(), html.create(), PdfReader()]


def choose(
    content: bytes = b"x",
    *,
    readers: list[Reader] = READERS,
    format_name: str | None = None,
    media_type: str | None = None,
    name: str = "",
    is_text: bool = False,
) -> str:
    reader = chosen_reader(
        readers,
        content,
        format_name=format_name,
        media_type=media_type,
        name=name,
        is_text=is_text,
    )
    return reader.formats[0]


def test_the_format_by_name_counts_most() -> None:
    chosen = choose(b"%PDF-", format_name="MD", media_type="text/html", name="a.txt")

    assert chosen == "markdown"


def test_a_telling_media_type_counts_more_than_the_suffix() -> None:
    assert choose(media_type="Text/HTML; charset=utf-8", name="a.md") == "html"


@pytest.mark.parametrize("media_type", ["text/plain", "application/octet-stream", None, "x/y"])
def test_the_suffix_counts_more_than_a_media_type_that_tells_nothing(
    media_type: str | None,
) -> None:
    assert choose(b"<html>", media_type=media_type, name="Notes.MD") == "markdown"


@pytest.mark.parametrize(
    ("content", "looks"),
    [
        (b"%PDF-1.7\n", "pdf"),
        (b"\n<!-- a --> <!DOCTYPE html><p>", "html"),
        (b"<html lang=en>", "html"),
        (b"# Title\n", "markdown"),
        (b"intro\n\n## Sub\n", "markdown"),
        (b"intro\r\n\r\n```\r\n", "markdown"),
        (b"#!/bin/sh\n# comment\n", "text"),
        (b"#hashtag", "text"),
        (b"plain", "text"),
        (b"", "text"),
        (b"<!--" * 2000, "text"),
    ],
)
def test_a_file_of_unknown_name_is_known_by_how_it_begins(content: bytes, looks: str) -> None:
    assert choose(content, name="file.unknown") == looks


def test_an_unknown_format_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidInput) as caught:
        choose(format_name="wordperfect")

    (error,) = caught.value.errors
    assert error.pointer == "/format"
    assert "htm, html, markdown, md, pdf, text, txt" in error.detail


@pytest.mark.parametrize("content", [b"PK\x03\x04...", b"%PDF-1.7"])
def test_a_file_that_no_reader_can_read_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidInput, match="no reader") as caught:
        choose(content, readers=[text.create()])

    assert caught.value.errors[0].pointer == "/file"


@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
        b"\x08\x07\x12\x07pytorch\xff",
        b"GIF89a\x01\x02\xf0",
    ],
    ids=["png", "onnx", "gif"],
)
def test_a_file_that_is_no_text_is_refused_with_the_formats_that_are_read(content: bytes) -> None:
    with pytest.raises(InvalidInput, match="htm, html, markdown, md, pdf, text, txt") as caught:
        choose(content, media_type="image/png", name="picture.png")

    assert caught.value.errors[0].pointer == "/file"


@pytest.mark.parametrize(
    "content", ["\ufeffwide".encode("utf-16-le"), "\ufeffwide".encode("utf-32-be"), b"No\xebl"]
)
def test_text_in_another_encoding_is_left_to_its_reader(content: bytes) -> None:
    assert choose(content, name="file.unknown") == "text"


def test_markdown_and_html_are_text_where_nothing_reads_them_better() -> None:
    assert choose(b"# Title", readers=[text.create()]) == "text"
    assert choose(b"<html>", readers=[text.create()]) == "text"


def test_characters_that_begin_like_a_pdf_are_text_and_a_pdf_put_into_characters_is_not() -> None:
    assert choose(b"%PDF- is how such a file begins.", is_text=True) == "text"
    assert choose(b"%PDF-1.7\nstream\x00\x01", is_text=True) == "pdf"
