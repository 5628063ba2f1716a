from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memapp.records import Chunk, PageMark, ReadDocument
from memapp.services.chunking import chunks_of
from memapp.services.pauses import is_inside_word

FORMATS = ["text", "markdown", "code", "lines"]

PAUSES = ["word", " ", "  ", "\n", "\n\n", "\r\n", "\t", ". ", "! ", "\u3000"]
MARKDOWN = ["- item", "# Head\n", "## Sub\n\n", "Title\n===\n", "```\ncode\n```\n", "```", "~~~\n"]
SCRIPTS = ["漢字かな交じり文。", "ไทยไม่มีช่องว่าง", "नमस्ते दुनिया", "e\u0301", "👩\u200d👩\u200d👧"]
pieces = st.sampled_from(
    [*PAUSES, *MARKDOWN, *SCRIPTS, "| a | b |\n", "def f():\n    pass\n", "x" * 30]
)
texts = st.one_of(st.text(max_size=200), st.lists(pieces, max_size=60).map("".join))
limits = st.integers(2, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n // 2)))


def cut(
    text: str, *, limit: int = 1200, overlap: int = 0, format_name: str = "markdown"
) -> list[Chunk]:
    return chunks_of(ReadDocument(text, format=format_name), limit=limit, overlap=overlap)


def texts_of(chunks: list[Chunk]) -> list[str]:
    return [chunk.text for chunk in chunks]


@given(texts, limits, st.sampled_from(FORMATS))
def test_a_chunks_text_is_the_documents_text_at_its_offsets(
    text: str, size: tuple[int, int], format_name: str
) -> None:
    for chunk in cut(text, limit=size[0], overlap=size[1], format_name=format_name):
        assert text[chunk.start : chunk.end] == chunk.text


@given(texts, limits, st.sampled_from(FORMATS))
def test_chunks_are_in_order_not_blank_and_within_the_limit(
    text: str, size: tuple[int, int], format_name: str
) -> None:
    chunks = cut(text, limit=size[0], overlap=size[1], format_name=format_name)

    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    assert all(a.start < b.start and a.end < b.end for a, b in pairwise(chunks))
    assert all(chunk.text.strip() and len(chunk.text) <= size[0] for chunk in chunks)
    assert all(chunk.text == chunk.text.rstrip() for chunk in chunks)


@given(texts, limits, st.sampled_from(FORMATS))
def test_chunks_cover_all_that_is_not_blank(
    text: str, size: tuple[int, int], format_name: str
) -> None:
    covered: set[int] = set()
    for chunk in cut(text, limit=size[0], overlap=size[1], format_name=format_name):
        covered.update(range(chunk.start, chunk.end))

    assert all(i in covered for i, character in enumerate(text) if not character.isspace())


@given(texts, limits, st.sampled_from(FORMATS))
def test_a_word_that_fits_is_never_parted(
    text: str, size: tuple[int, int], format_name: str
) -> None:
    for chunk in cut(text, limit=size[0], overlap=size[1], format_name=format_name):
        for at in (chunk.start, chunk.end):
            if 0 < at < len(text) and is_inside_word(text, at):
                assert length_of_word_around(text, at) > size[0]


@pytest.mark.parametrize(
    ("text", "limit", "chunks"),
    [
        (" 000", 3, ["000"]),
        ("a\n 000", 3, ["a", "000"]),
        ("```\n  word\n```", 4, ["```", "word", "```"]),
    ],
)
def test_an_indentation_is_given_up_before_a_word_is_parted(
    text: str, limit: int, chunks: list[str]
) -> None:
    assert texts_of(cut(text, limit=limit, format_name="code")) == chunks


def length_of_word_around(text: str, at: int) -> int:
    start = end = at
    while start > 0 and is_inside_word(text, start):
        start -= 1
    while end < len(text) and is_inside_word(text, end):
        end += 1
    return end - start


@given(st.lists(pieces, max_size=60).map("".join), limits)
def test_chunks_overlap_by_at_most_what_was_asked_for(text: str, size: tuple[int, int]) -> None:
    chunks = cut(text, limit=size[0], overlap=size[1])

    assert all(a.end - b.start <= size[1] for a, b in pairwise(chunks))


def test_a_document_that_fits_is_one_chunk() -> None:
    assert cut("# Title\n\nOne paragraph.\n") == [
        Chunk(index=0, start=0, end=23, text="# Title\n\nOne paragraph.", heading="Title")
    ]


def test_a_blank_document_has_no_chunks() -> None:
    assert cut(" \n\t\n") == []


def test_the_strongest_pause_in_reach_ends_a_chunk() -> None:
    before_heading = "Some words here. More words\n\nAnother one.\n# Next\nand so on and on"
    before_paragraph = "Some words here. More words\n\nAnother one and so on and on and on"
    before_sentence = "Some words are here. Another one\nand so on and on and on and on"

    assert cut(before_heading, limit=45)[0].text.endswith("Another one.")
    assert cut(before_paragraph, limit=45)[0].text.endswith("More words")
    assert cut(before_sentence, limit=36)[0].text.endswith("here.")


def test_list_items_and_table_rows_stay_whole_when_they_can() -> None:
    listed = "- first item. With two sentences\n- second item. With two sentences\n"

    assert texts_of(cut(listed, limit=60)) == [
        "- first item. With two sentences",
        "- second item. With two sentences",
    ]


def test_overlap_starts_at_a_sentence() -> None:
    text = "Alpha beta gamma. Delta epsilon. " * 4

    second = cut(text, limit=66, overlap=30)[1]

    assert second.start < 66
    assert second.text.startswith("Delta epsilon. Alpha")


def test_nothing_is_repeated_across_a_heading() -> None:
    text = "# One\n\nShort sentence. Another sentence.\n\n# Two\n\nShort sentence. And one more."

    assert texts_of(cut(text, limit=50, overlap=25)) == [
        "# One\n\nShort sentence. Another sentence.",
        "# Two\n\nShort sentence. And one more.",
    ]


def test_a_heading_is_never_the_last_line_of_a_chunk() -> None:
    text = "# One\n\n" + "word " * 8 + "\n\n## Two\n\n" + "word " * 8

    assert [chunk.text.splitlines()[0] for chunk in cut(text, limit=60)] == ["# One", "## Two"]


def test_a_code_fence_that_fits_stays_whole() -> None:
    fence = "```python\ndef f():\n\n    return 1\n\n# no heading\nprint(f())\n```"
    text = f"# Guide\n\nRun this and read on, it is short.\n\n{fence}\n\nThat was all of it."

    chunks = cut(text, limit=len(fence) + 10, overlap=20)

    assert any(fence in chunk.text for chunk in chunks)
    assert {chunk.heading for chunk in chunks} == {"Guide"}


def test_a_code_fence_that_does_not_fit_is_cut_at_its_lines() -> None:
    lines = [f"call_number_{n}(argument)" for n in range(20)]
    text = "```\n" + "\n".join(lines) + "\n```"

    chunks = cut(text, limit=100)

    assert len(chunks) > 1
    assert all(line in lines or line == "```" for c in chunks for line in c.text.splitlines())


def test_source_code_is_cut_between_blocks_and_keeps_its_indentation() -> None:
    text = "def one():\n    a = 1\n\n    return a\n\n\ndef two():\n    b = 2\n\n    return b\n"

    assert texts_of(cut(text, limit=50, format_name="code")) == [
        "def one():\n    a = 1\n\n    return a",
        "def two():\n    b = 2\n\n    return b",
    ]
    assert texts_of(cut(text, limit=25, format_name="code"))[1] == "    return a"


def test_records_are_cut_between_lines_not_sentences() -> None:
    text = "a: One. Two. Three.\nb: Four. Five. Six.\n"

    assert texts_of(cut(text, limit=30, format_name="lines")) == [
        "a: One. Two. Three.",
        "b: Four. Five. Six.",
    ]


def test_a_text_without_spaces_is_cut_at_its_full_stops() -> None:
    sentence = "これは長い文章です。"

    chunks = cut(sentence * 10, limit=25, overlap=0, format_name="text")

    assert texts_of(chunks) == [sentence * 2] * 5


def test_a_chunk_names_the_headings_that_hold_for_all_of_it() -> None:
    text = (
        f"{'Preface. ' * 5}\n\n# Guide\n\n{'Install it. ' * 4}\n\n## Linux\n\n{'Use apt. ' * 6}\n\n"
        f"## Mac\n\nBrew.\n\n## Windows\n\nWinget.\n\nAppendix\n--------\n\n{'More. ' * 7}"
    )

    assert [(c.text.split("\n")[0], c.heading) for c in cut(text, limit=70)] == [
        (("Preface. " * 5).rstrip(), ""),
        ("# Guide", "Guide"),
        ("## Linux", "Guide > Linux"),
        ("## Mac", "Guide"),
        ("Appendix", "Guide > Appendix"),
    ]


def test_a_chunk_carries_the_page_on_which_it_starts() -> None:
    text = "First page text.\n\nSecond page text.\n\nThird page text."
    marks = (PageMark(0, 1), PageMark(18, 2), PageMark(37, 3))

    chunks = chunks_of(ReadDocument(text, pages=marks), limit=20, overlap=0)

    assert [chunk.page for chunk in chunks] == [1, 2, 3]


def test_a_document_without_pages_has_no_page_numbers() -> None:
    assert cut("text")[0].page is None


@pytest.mark.parametrize(("limit", "overlap"), [(1, 0), (10, 6), (10, -1)])
def test_sizes_that_cannot_work_are_refused(limit: int, overlap: int) -> None:
    with pytest.raises(ValueError, match=r"overlap 0 to limit / 2"):
        cut("text", limit=limit, overlap=overlap)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 300_000,
        " " * 300_000 + "a",
        "a " * 150_000,
        "." * 300_000,
        "\n" * 300_000 + "a",
        "# h\n" * 80_000,
        "a\n---\n\n" * 150_000,
        "```\n" * 80_000,
        "a\u0301" * 150_000,
        "漢" * 300_000,
        "a\n" + (" " * 999 + "\n") * 1_000,
        "[" * 300_000,
    ],
    ids=lambda text: repr(text[:8]),
)
@pytest.mark.parametrize("format_name", ["markdown", "code"])
def test_hostile_texts_are_cut_like_any_other(text: str, format_name: str) -> None:
    chunks = cut(text, limit=1200, overlap=200, format_name=format_name)

    assert all(len(chunk.text) <= 1200 for chunk in chunks)
    assert chunks[-1].end == len(text.rstrip())
