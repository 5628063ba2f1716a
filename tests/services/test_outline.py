import pytest

from memapp.services.outline import Span, outline


@pytest.mark.parametrize(
    ("text", "heading"),
    [
        ("# Closed ##\n\nx", "Closed"),
        ("# C#\n\nx", "C#"),
        ("#hashtag\n\nx", ""),
        ("#\n\nx", ""),
        ("    # code\n\nx", ""),
        ("Title\n=====\n\nx", "Title"),
        ("text\n\n---\n\nx", ""),
        ("two lines\nof text\n---\n\nx", ""),
        ("- item\n---\n\nx", ""),
        ("---\ntitle: Front\n---\n\nx", ""),
        ("---\r\ntitle: Front\r\n---\r\n# Real\r\n\r\nx", "Real"),
        ("```\n# no\n```\n\nx", ""),
        ("~~~\n```\n# no\n~~~\n# Yes\n\nx", "Yes"),
        ("# " + "long " * 100, ("long " * 24).strip()),
    ],
)
def test_headings_are_read_as_commonmark_reads_them(text: str, heading: str) -> None:
    assert outline(text).path_over(len(text) - 1, len(text)) == heading


def test_a_fence_spans_from_its_opening_to_its_closing_line() -> None:
    text = "x\n\n```py\na\n```  \ny"

    assert outline(text).fences == [Span(3, 14)]


def test_a_fence_that_is_never_closed_ends_with_the_text() -> None:
    assert outline("x\n~~~\na\n```\n").fences == [Span(2, 12)]


def test_a_cut_at_the_edge_of_a_fence_does_not_part_it() -> None:
    found = outline("```\na\n```\n")

    assert found.parted_fence(0, longest=99) is None
    assert found.parted_fence(1, longest=99) == Span(0, 9)
    assert found.parted_fence(1, longest=8) is None
    assert found.parted_fence(9, longest=99) is None


def test_a_deeper_heading_ends_with_the_next_one_as_high() -> None:
    text = "# A\n### B\n## C\n# D\n"

    assert [heading.path for heading in outline(text).headings] == [
        ("A",),
        ("A", "B"),
        ("A", "C"),
        ("D",),
    ]
