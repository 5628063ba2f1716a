import pytest

from memapp.readers.markdown import create
from memapp.records import ReadDocument


def test_markdown_is_kept_as_it_is() -> None:
    text = "# Guide\r\n\r\n* one\t\r\n"

    assert create().read(text.encode(), name="") == ReadDocument(text, "Guide", (), "markdown")


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Some text.\n\n## First *heading* ##\n# Second\n", "First *heading*"),
        ("Underlined\n==========\n", "Underlined"),
        ("---\ntitle: 'From the front'\ntags: x\n---\n# Heading\n", "From the front"),
        ("---\ntags: x\n---\n# Heading\n", "Heading"),
        ("---\nno end\n# Heading\n", "Heading"),
        ("```\n# comment\n```\n# Heading\n", "Heading"),
        ("No heading at all.\n", ""),
        ("#hashtag\n", ""),
        ("", ""),
        ("# " + "x" * 1000, "x" * 200),
    ],
)
def test_the_title_is_the_front_matters_or_the_first_heading(text: str, title: str) -> None:
    assert create().read(text.encode(), name="").title == title
