"""The pool of a search holds so many of the nearest, whatever was refused on the way."""

from collections.abc import Callable, Sequence

import pytest

from memapp.services.gathering import gathered

WANTED = 10

Ask = Callable[[int], Sequence[int]]


def below(most: int) -> Ask:
    """Return what finds the numbers from 0 on, nearest first."""
    return lambda limit: range(min(limit, most))


def pool(
    nearest: Ask,
    *,
    accepts: Callable[[int], bool] = lambda _: True,
    exact: Sequence[int] = (),
    phrases: Sequence[str] = ("x",),
) -> list[int]:
    return gathered(
        nearest,
        lambda _, limit: exact[:limit],
        accepts=accepts,
        phrases=lambda _: phrases,
        key=lambda one: one,
        wanted=WANTED,
    )


@pytest.mark.parametrize("most", [35, 40, 1_000])
def test_what_was_asked_for_in_the_place_of_what_is_refused_makes_the_pool_no_larger(
    most: int,
) -> None:
    assert pool(below(most), accepts=lambda n: n % 10 > 0) == [n for n in range(12) if n % 10]


def test_what_is_refused_everywhere_ends_the_search() -> None:
    assert pool(below(1_000), accepts=lambda _: False) == []


def test_what_contains_a_phrase_joins_the_pool_once() -> None:
    assert pool(below(50), exact=[3, 70, 60]) == [*range(10), 70, 60]


def test_no_phrase_is_looked_up_where_all_there_is_is_ranked() -> None:
    assert pool(below(9), exact=[70]) == [*range(9)]
    assert pool(below(50), exact=[70], phrases=()) == [*range(10)]
