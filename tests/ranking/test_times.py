from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memapp.ranking.times import _PATTERNS, mentioned_times

TUESDAY = datetime(2025, 6, 10, 12, tzinfo=UTC)


def days(query: str, now: datetime | None = TUESDAY) -> list[tuple[str, str]]:
    """Return the first and the last day of each span."""
    return [
        (f"{span.start:%Y-%m-%d}", f"{span.end - timedelta(days=1):%Y-%m-%d}")
        for span in mentioned_times(query, now)
    ]


@pytest.mark.parametrize(
    ("query", "first", "last"),
    [
        ("on 3 July 2023", "2023-07-03", "2023-07-03"),
        ("on the 3rd of July, 2023", "2023-07-03", "2023-07-03"),
        ("on December 1,2023", "2023-12-01", "2023-12-01"),
        ("on 2023-12-01", "2023-12-01", "2023-12-01"),
        ("in 2024-02", "2024-02-01", "2024-02-29"),
        ("in Feb 2023", "2023-02-01", "2023-02-28"),
        ("since the year 2022", "2022-01-01", "2022-12-31"),
    ],
)
def test_full_dates_need_no_today(query: str, first: str, last: str) -> None:
    assert days(query, now=None) == [(first, last)]


@pytest.mark.parametrize(
    ("query", "first", "last"),
    [
        ("last May", "2025-05-01", "2025-05-31"),
        ("last June", "2024-06-01", "2024-06-30"),
        ("in June", "2025-06-01", "2025-06-30"),
        ("in August", "2024-08-01", "2024-08-31"),
        ("on May 5", "2025-05-05", "2025-05-05"),
        ("on 31 December", "2024-12-31", "2024-12-31"),
        ("yesterday", "2025-06-09", "2025-06-09"),
        ("last week", "2025-06-02", "2025-06-08"),
        ("last weekend", "2025-06-07", "2025-06-08"),
        ("last month", "2025-05-01", "2025-05-31"),
        ("this year", "2025-01-01", "2025-12-31"),
        ("last Tuesday", "2025-06-03", "2025-06-03"),
        ("on Monday", "2025-06-09", "2025-06-09"),
        ("three weeks ago", "2025-05-17", "2025-05-23"),
        ("7 months ago", "2024-11-01", "2024-11-30"),
        ("a year ago", "2024-01-01", "2024-12-31"),
        ("10 days ago", "2025-05-31", "2025-05-31"),
    ],
)
def test_relative_times_are_understood_from_today(query: str, first: str, last: str) -> None:
    assert days(query) == [(first, last)]
    assert days(query, now=None) == []


@pytest.mark.parametrize("query", ["2000 calories", "I may march", "31 February 2023", "soon"])
def test_other_numbers_and_words_are_no_times(query: str) -> None:
    assert days(query) == []


def test_several_times_are_all_found() -> None:
    assert days("between 1 May 2023 and 4 May 2023") == [
        ("2023-05-01", "2023-05-01"),
        ("2023-05-04", "2023-05-04"),
    ]


def test_today_is_the_day_in_utc() -> None:
    late = datetime(2025, 6, 10, 23, tzinfo=timezone(timedelta(hours=-5)))
    assert days("yesterday", late) == [("2025-06-10", "2025-06-10")]


@given(st.one_of([st.from_regex(pattern) for pattern, _ in _PATTERNS]))
def test_every_span_ends_after_it_starts(query: str) -> None:
    assert all(span.start < span.end for span in mentioned_times(query, TUESDAY))


@pytest.mark.parametrize("query", ["on \u017funday", "on fr\u0131day", "\u017feven days ago"])
def test_letters_that_only_resemble_those_of_english_are_no_times(query: str) -> None:
    assert days(query) == []


def test_capitals_do_not_matter() -> None:
    assert days("LAST YEAR, in MAY 2023") == days("last year, in may 2023")
