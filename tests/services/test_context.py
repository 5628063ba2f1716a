import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memapp.records import Chunk, Document, Passage
from memapp.services.context import context_of

NOW = datetime(2026, 1, 31, tzinfo=UTC)
GUIDE = Document("guide", "default", "The guide", None, {}, 1, 3, 99, "", NOW, NOW)


def passage(
    text: str,
    *,
    start: int = 0,
    document: Document = GUIDE,
    heading: str = "",
    page: int | None = None,
) -> Passage:
    chunk = Chunk(0, start, start + len(text), text, heading, page)
    return Passage(document, chunk, 0.5)


def test_passages_are_numbered_quoted_and_traceable() -> None:
    first = passage("Run it.\n\n[9] Then wait.", start=120, heading="Install > Linux", page=3)
    second = passage("Other.", document=replace(GUIDE, id="notes", title="", collection="kb"))

    assert context_of([first, second]) == (
        '[1] The guide > Install > Linux (document "guide", collection "default", page 3, '
        "characters 120-143)\n> Run it.\n>\n> [9] Then wait.\n\n"
        '[2] (document "notes", collection "kb", characters 0-6)\n> Other.'
    )


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("", "The guide"),
        ("The guide", "The guide"),
        ("The guide > Linux", "The guide > Linux"),
        ("The guidelines", "The guide > The guidelines"),
    ],
)
def test_a_title_that_the_headings_begin_with_is_shown_once(heading: str, name: str) -> None:
    context = context_of([passage("text", heading=heading)])

    assert context.startswith(f"[1] {name} (document")


def test_no_passages_make_an_empty_context() -> None:
    assert context_of([], max_characters=10) == ""


def test_neighbours_that_overlap_are_shown_once_in_the_place_of_the_better_one() -> None:
    text = "zero one two three four five"
    other = passage("other", document=replace(GUIDE, id="other"))
    last, middle, first = (passage(text[a:b], start=a) for a, b in ((14, 28), (5, 18), (0, 8)))

    context = context_of([last, other, first, middle])

    assert context == (
        f'[1] The guide (document "guide", collection "default", characters 0-28)\n> {text}\n\n'
        '[2] The guide (document "other", collection "default", characters 0-5)\n> other'
    )


@pytest.mark.parametrize(
    "other", [replace(GUIDE, id="x"), replace(GUIDE, collection="x"), replace(GUIDE, revision=2)]
)
def test_passages_of_different_texts_are_never_merged(other: Document) -> None:
    context = context_of([passage("one two"), passage("two three", start=4, document=other)])

    assert "[2]" in context


def test_a_passage_that_does_not_fit_is_shortened_at_a_word() -> None:
    text = "word " * 100

    context = context_of([passage(text.strip())], max_characters=300)

    head, quoted = context.split("\n")
    assert len(context) <= 300
    assert quoted.endswith("word …")
    assert head.endswith(f"characters 0-{len(quoted) - len('>  …')})")


def test_a_passage_of_which_too_little_fits_is_left_out() -> None:
    assert context_of([passage("word " * 100)], max_characters=130) == ""


documents = st.sampled_from([GUIDE, replace(GUIDE, id="other" * 20, title="t\n" * 300)])
passages = st.lists(
    st.builds(
        passage,
        st.text(st.sampled_from("ab é漢\n\u2028"), min_size=1, max_size=300),
        start=st.integers(0, 400),
        document=documents,
    ),
    max_size=5,
)


@given(passages, st.integers(0, 1500))
def test_a_context_is_never_longer_than_asked_for(found: list[Passage], limit: int) -> None:
    assert len(context_of(found, max_characters=limit)) <= limit


TEXT = "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. " * 12
spans = st.lists(
    st.tuples(st.integers(0, len(TEXT) - 1), st.integers(1, 300)), min_size=1, max_size=4
)


@given(spans, st.integers(0, 1500))
def test_what_is_quoted_stands_where_the_head_says_and_ends_between_words(
    found: list[tuple[int, int]], limit: int
) -> None:
    sliced = [(start, TEXT[start : start + length]) for start, length in found]
    whole = [passage(text, start=start) for start, text in sliced if text.strip()]

    context = context_of(whole, max_characters=limit)

    for head, quoted in zip(*[iter(context.replace("\n\n", "\n").splitlines())] * 2, strict=True):
        start, end = map(int, re.findall(r"characters (\d+)-(\d+)\)", head)[-1])
        assert quoted.removesuffix(" …").rstrip() == f"> {TEXT[start:end]}".rstrip()
        if quoted.endswith(" …"):
            assert not (TEXT[end - 1].isalnum() and TEXT[end].isalnum())


@given(passages)
def test_every_line_is_the_head_of_a_passage_or_quoted(found: list[Passage]) -> None:
    lines = context_of(found).split("\n")

    assert all(line.startswith(("[", ">")) for line in lines if line)
