"""The documents say what the code does."""

import re
from pathlib import Path

import pytest

from scripts.generated_text import generated

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("path", generated(ROOT), ids=lambda path: path.name)
def test_a_document_holds_what_follows_from_the_code(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == generated(ROOT)[path], (
        "run: python -m scripts.write_documents"
    )


def test_a_question_in_the_list_of_files_ends_with_its_mark() -> None:
    assert "?." not in (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"])
def test_every_link_to_a_file_leads_to_one(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if not link.startswith("http")]

    assert [link for link in links if not (ROOT / link).exists()] == []
