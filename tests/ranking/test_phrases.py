import pytest

from memapp.ranking import exact_phrases, scarce_phrases
from memapp.ranking.phrases import stands_in


@pytest.mark.parametrize(
    ("query", "phrases"),
    [
        ("where is order ORD-2024-00017?", ["ORD-2024-00017"]),
        ("status of 48213", ["48213"]),
        ("what does `run_target` do", ["run_target"]),
        ("what does `run()` do", ["run"]),
        ("what does common() do", ["common"]),
        ("the DiffExecutor struct", ["DiffExecutor"]),
        ('who said "blue moon rising" first', ["blue moon rising"]),
        ("who said “blue moon” first", ["blue moon"]),
        ("what did Kowalczyk's sister say", ["Kowalczyk"]),
        ("mail to ann@example.org", ["ann@example.org"]),
        ("fixed in v1.2.3?", ["v1.2.3"]),
        ("「東京」とは", ["東京"]),
    ],
)
def test_what_is_meant_literally_is_found(query: str, phrases: list[str]) -> None:
    assert exact_phrases(query) == phrases


@pytest.mark.parametrize(
    "query", ["", "what happened in 2023", "What is it? Where is it?", "the 1st of two", "don't"]
)
def test_ordinary_words_are_no_phrases(query: str) -> None:
    assert exact_phrases(query) == []


def test_known_speakers_are_left_out() -> None:
    assert exact_phrases("did Ann meet Kowalczyk", without={"ann"}) == ["Kowalczyk"]


def test_there_are_eight_at_most_and_quoted_ones_come_first() -> None:
    query = " ".join(f"code-{number}" for number in range(20)) + ' "a quoted one"'
    phrases = exact_phrases(query)
    assert len(phrases) == 8
    assert phrases[0] == "a quoted one"


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("ann", True),
        ("joanna and ann.", True),
        ("joanna", False),
        ("ann_7", False),
        ("annann", False),
        ("\u00e9ann", False),
        ("", False),
    ],
)
def test_a_phrase_stands_in_a_text_as_whole_words(text: str, is_found: bool) -> None:  # noqa: FBT001
    assert stands_in("ann", text) is is_found


def test_phrases_that_enough_texts_contain_as_whole_words_are_not_scarce() -> None:
    texts = ["Ann plans.", "ann, again", "planning Lyon", "LYON"]

    assert scarce_phrases(["Ann", "Lyon", "plan"], texts, below=2) == ["plan"]
    assert scarce_phrases(["Ann", "Lyon", "plan"], texts, below=3) == ["Ann", "Lyon", "plan"]
