import importlib.util

import pytest

from memapp.errors import ConfigurationError, InvalidInput
from memapp.readers.office import create, extract
from tests.readers import office_files
from tests.readers.office_files import archive, docx, paragraph


def test_a_word_file_becomes_markdown() -> None:
    content = docx(paragraph("Guide", "Heading1") + paragraph("Run it &amp; wait."))

    read = create().read(content, name="guide.docx")

    assert (read.title, read.format) == ("Guide", "markdown")
    assert read.text == "# Guide\n\nRun it & wait."


def test_a_sheet_becomes_a_table() -> None:
    text = extract(office_files.xlsx()).text

    assert "## Menu" in text
    assert "| Tea | 2 |" in text


def test_slides_become_text() -> None:
    text = extract(office_files.slides()).text

    assert "# Tea" in text
    assert "Brew it at eighty degrees." in text


LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
FILE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
UTF_16 = '<?xml version="1.0" encoding="UTF-16"?>' + LAUGHS


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "is encrypted, or of an Office before"),
        (b"PK\x03\x04 and nothing", "is damaged or encrypted"),
        (docx(paragraph("x"))[:-30], "is damaged or encrypted"),
        (archive({"a.txt": "x"}), "no Word, PowerPoint or Excel file"),
        (docx(paragraph("x"), before=LAUGHS), "declares a document type"),
        (docx(paragraph("&a;"), before=FILE), "declares a document type"),
        (
            archive({"word/document.xml": (UTF_16 + "<x>&b;</x>").encode("utf-16")}),
            "declares a document type",
        ),
        (docx("<w:p>" * 300 + "</w:p>" * 300), "nests XML deeper than 256"),
        (docx("<w:p>"), "a part of it is no XML"),
        (archive({"word/media/x.png": b"\0" * 5_000_000}), "unpacks to far more"),
        (archive({f"word/{n}": b"" for n in range(10_001)}), "unpacks to far more"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_cannot_be_read_is_refused_with_the_mend(content: bytes, rule: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        extract(content)

    (error,) = caught.value.errors
    assert error.pointer == "/file"
    assert rule in error.detail


def test_a_word_file_without_a_document_is_damaged_and_not_our_fault() -> None:
    with pytest.raises(InvalidInput, match="is damaged"):
        create().read(archive({"word/other.xml": "<x/>"}), name="")


def test_without_the_extra_the_setting_is_refused_with_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("memapp.readers.office.find_spec", lambda _: None)

    with pytest.raises(ConfigurationError, match=r"pip install 'memapp\[office\]'"):
        create()
    assert importlib.util.find_spec("markitdown") is not None
