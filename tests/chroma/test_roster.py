"""The roster has no gaps, so that whoever knows its end learns of the next writer by one id."""

import pytest

from memapp.chroma.roster import KEPT, Entry, is_entered

TEN = {number: Entry(f"writer {number}") for number in range(3, 11)}


def test_an_entry_behind_the_last_one_counts() -> None:
    assert is_entered(Entry("ann"), 11, TEN, {**TEN, 11: Entry("ann")})
    assert is_entered(Entry("ann"), 11, TEN, {**TEN, 11: Entry("ann"), 12: Entry("bob")})
    assert is_entered(Entry("ann"), 1, {}, {1: Entry("ann")})


def test_an_entry_that_another_writer_has_does_not_count() -> None:
    assert not is_entered(Entry("ann"), 11, TEN, {**TEN, 11: Entry("bob")})
    assert not is_entered(Entry("ann"), 11, TEN, TEN)


@pytest.mark.parametrize(
    "before", [{}, {1: Entry("writer 1")}, {1: Entry("old"), 2: Entry("writer 2")}]
)
def test_an_entry_that_comes_when_those_before_it_are_removed_does_not_count(
    before: dict[int, Entry],
) -> None:
    number = max(before, default=0) + 1
    assert not is_entered(Entry("ann"), number, before, {**TEN, number: Entry("ann")})


def test_an_entry_behind_one_that_came_late_itself_does_not_count() -> None:
    before = {5: Entry("writer 5")}
    later = {number: Entry(f"writer {number}") for number in range(7, 15)}
    assert not is_entered(Entry("ann"), 6, before, {5: Entry("late"), 6: Entry("ann"), **later})


def test_as_many_entries_stay_as_a_first_one_may_have_behind_it() -> None:
    others = {number: Entry(f"writer {number}") for number in range(2, KEPT + 1)}
    assert is_entered(Entry("ann"), 1, {}, {1: Entry("ann"), **others})
    assert not is_entered(
        Entry("ann"), 1, {}, {1: Entry("ann"), **others, KEPT + 1: Entry("another")}
    )
