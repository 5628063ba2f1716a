"""What was just written is told whole and in order, or not at all."""

from dataclasses import replace

import numpy as np
import pytest

from memapp.chroma import recent_changes
from memapp.chroma.collection import Records
from memapp.chroma.kept_user import KeptUser
from memapp.chroma.memory_records import Making, encode
from memapp.chroma.recent_changes import Behind, Missed, RecentChange, RecentChanges
from memapp.chroma.user_snapshot import Snapshot
from memapp.records import Memory
from tests.chroma.memory_stores import now


def records(*ids: str) -> Records:
    moment = now()
    memories = [
        Memory(
            id=one,
            user_id="ann",
            text=one,
            speaker=None,
            occurred_at=moment,
            agent_id=None,
            session_id=None,
            metadata={},
            created_at=moment,
            updated_at=moment,
            expires_at=None,
            version=1,
        )
        for one in ids
    ]
    making = Making("digest", "token", is_timed=False, claim=None)
    return Records(
        ids=list(ids),
        metadatas=[encode(memory, making) for memory in memories],
        documents=list(ids),
        vectors=np.full((len(ids), 4), 0.5, dtype=np.float32),
        distances=[],
    )


def change(number: int, *ids: str, end: int = 0) -> RecentChange:
    memories = records(*(ids or [f"memory {number}"]))
    return RecentChange("writer", number, f"token {number}", memories, end)


def numbers(recent: RecentChanges, after: int, user: str = "ann") -> list[int]:
    return [one.number for one in recent.tell(Behind("writer", user, after)) or ()]


def missed(recent: RecentChanges, seen: int, after: int, until: int) -> list[int] | None:
    told = recent.tell(Missed("ann", {"silent": 5, "writer": seen}, after, until))
    return None if told is None else [one.number for one in told]


def test_all_that_follows_is_told_in_order() -> None:
    recent = RecentChanges()
    for number in (1, 2, 3):
        recent.note("ann", change(number))

    assert [numbers(recent, after) for after in range(4)] == [[1, 2, 3], [2, 3], [3], []]
    assert numbers(recent, 0, user="bob") == []
    assert recent.tell(Behind("another", "ann", 0)) is None


def test_nothing_is_told_across_a_change_that_cannot_be_told() -> None:
    recent = RecentChanges()
    recent.note("ann", change(1))
    recent.forget("writer", "ann")
    assert numbers(recent, 0) == []

    recent.note("ann", change(3))

    assert [numbers(recent, after) for after in range(4)] == [[], [], [3], []]


def test_of_a_user_the_last_changes_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_changes, "MOST_OF_A_USER", 3)
    recent = RecentChanges()
    for number in range(1, 6):
        recent.note("ann", change(number))

    assert [numbers(recent, after) for after in (1, 2)] == [[], [3, 4, 5]]


def test_users_written_to_longest_ago_are_forgotten_when_it_gets_too_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    size = change(1, "a").size
    monkeypatch.setattr(recent_changes, "MOST_BYTES", 8 * size)
    recent = RecentChanges()
    recent.note("ann", change(1, "a", "b"))
    recent.note("bob", change(1, "c", "d"))
    for number in (2, 3, 4, 5):
        recent.note("ann", change(number, "e"))
    assert numbers(recent, 0) == [1, 2, 3, 4, 5]

    recent.note("cid", change(1, "f"))

    assert [numbers(recent, 0, user) for user in ("bob", "cid")] == [[], [1]]
    assert numbers(recent, 0) == [1, 2, 3, 4, 5]
    assert recent._size == 7 * size


def test_a_change_that_would_drive_all_others_out_is_not_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recent_changes, "MOST_BYTES", 4 * change(1, "a").size)
    recent = RecentChanges()
    recent.note("bob", change(1, "a"))
    recent.note("ann", change(1, "b"))

    recent.note("ann", change(2, "c", "d"))

    assert [numbers(recent, 0, user) for user in ("ann", "bob")] == [[], [1]]
    assert recent._size == change(1, "a").size


def test_what_is_missed_is_told_if_it_is_all_that_has_ended() -> None:
    recent = RecentChanges()
    for number in (1, 2, 3):
        recent.note("ann", change(number))
        recent.note_ends("writer", {"ann": 10 + number, "bob": 7})

    assert missed(recent, seen=1, after=11, until=13) == [2, 3]
    assert missed(recent, seen=3, after=13, until=13) == []
    assert missed(recent, seen=0, after=11, until=12) is None, "number 1 is not known"
    assert missed(recent, seen=1, after=11, until=14) is None, "what ended last is not told"
    assert missed(recent, seen=0, after=9, until=13) is None, "what ended first is not told"


def test_what_was_seen_before_it_ended_is_not_told_again() -> None:
    recent = RecentChanges()
    for number in (1, 2):
        recent.note("ann", change(number))
        recent.note_ends("writer", {"ann": number})

    assert missed(recent, seen=2, after=0, until=2) == []
    assert missed(recent, seen=1, after=0, until=2) == [2]


def test_what_has_not_ended_is_not_told_as_missed() -> None:
    recent = RecentChanges()
    recent.note("ann", change(1))
    recent.note_ends("writer", {"ann": 1})
    recent.note("ann", change(2))

    assert missed(recent, seen=0, after=0, until=1) == [1]
    assert missed(recent, seen=0, after=0, until=2) is None


def test_a_write_that_changed_nothing_leaves_the_end_of_the_one_before() -> None:
    recent = RecentChanges()
    recent.note("ann", change(1))
    recent.note_ends("writer", {"ann": 1})
    recent.note_ends("writer", {"ann": 2})

    assert missed(recent, seen=0, after=0, until=1) == [1]
    assert missed(recent, seen=1, after=1, until=2) is None


def known(*ids: str) -> KeptUser:
    snapshot = Snapshot.of(records(*ids))
    return KeptUser("ann", "birth", {}, {"writer": (1, "seen")}, {}, snapshot, 1)


def test_what_is_told_is_taken_in() -> None:
    user = known("a")

    assert user.take([change(2, "b"), change(3, "c")])

    assert [memory.id for memory in user.snapshot.memories] == ["a", "b", "c"]
    assert user.seen == {"writer": (3, "token 3")}


@pytest.mark.parametrize(
    "told",
    [
        [change(2, "b"), change(3, "a")],
        [change(2, "b"), change(3, "b")],
        [change(2, "b"), replace(change(1, "b"), writer="another")],
        [change(2, "gone")],
    ],
    ids=["known before", "twice", "by two", "known to be gone"],
)
def test_what_may_be_older_than_what_is_known_is_left(told: list[RecentChange]) -> None:
    user = known("a")
    user.gone.add("gone")
    before = user.snapshot

    assert not user.take(told)

    assert user.snapshot is before
    assert user.seen == {"writer": (1, "seen")}
