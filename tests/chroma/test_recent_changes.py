"""What was just written is told whole and in order, or not at all."""

import numpy as np
import pytest

from memapp.chroma import recent_changes, user_cache
from memapp.chroma.collection import Records
from memapp.chroma.memory_records import Making, encode
from memapp.chroma.recent_changes import Behind, RecentChange, RecentChanges
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


def change(number: int, *ids: str) -> RecentChange:
    return RecentChange(number, f"token {number}", records(*(ids or [f"memory {number}"])))


def numbers(recent: RecentChanges, after: int, user: str = "ann") -> list[int]:
    return [one.number for one in recent.after(Behind("writer", user, after))]


def test_all_that_follows_is_told_in_order() -> None:
    recent = RecentChanges()
    for number in (1, 2, 3):
        recent.note("writer", "ann", change(number))

    assert [numbers(recent, after) for after in range(4)] == [[1, 2, 3], [2, 3], [3], []]
    assert numbers(recent, 0, user="bob") == []
    assert list(recent.after(Behind("another", "ann", 0))) == []


def test_nothing_is_told_across_a_change_that_cannot_be_told() -> None:
    recent = RecentChanges()
    recent.note("writer", "ann", change(1))
    recent.forget("writer", "ann")
    assert numbers(recent, 0) == []

    recent.note("writer", "ann", change(3))

    assert [numbers(recent, after) for after in range(4)] == [[], [], [3], []]


def test_of_a_user_the_last_changes_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_changes, "MOST_OF_A_USER", 3)
    recent = RecentChanges()
    for number in range(1, 6):
        recent.note("writer", "ann", change(number))

    assert [numbers(recent, after) for after in (1, 2)] == [[], [3, 4, 5]]


def test_users_written_to_longest_ago_are_forgotten_when_it_gets_too_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    size = change(1, "a").size
    monkeypatch.setattr(recent_changes, "MOST_BYTES", 8 * size)
    recent = RecentChanges()
    recent.note("writer", "ann", change(1, "a", "b"))
    recent.note("writer", "bob", change(1, "c", "d"))
    for number in (2, 3, 4, 5):
        recent.note("writer", "ann", change(number, "e"))
    assert numbers(recent, 0) == [1, 2, 3, 4, 5]

    recent.note("writer", "cid", change(1, "f"))

    assert [numbers(recent, 0, user) for user in ("bob", "cid")] == [[], [1]]
    assert numbers(recent, 0) == [1, 2, 3, 4, 5]
    assert recent._size == 7 * size


def test_a_change_that_would_drive_all_others_out_is_not_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recent_changes, "MOST_BYTES", 4 * change(1, "a").size)
    recent = RecentChanges()
    recent.note("writer", "bob", change(1, "a"))
    recent.note("writer", "ann", change(1, "b"))

    recent.note("writer", "ann", change(2, "c", "d"))

    assert [numbers(recent, 0, user) for user in ("ann", "bob")] == [[], [1]]
    assert recent._size == change(1, "a").size


def known(*ids: str) -> user_cache._User:
    snapshot = Snapshot.of(records(*ids))
    return user_cache._User("ann", "birth", {}, {"writer": (1, "seen")}, {}, snapshot, 1)


def test_what_is_told_is_taken_in() -> None:
    user = known("a")

    assert user_cache._take(user, {"writer": [change(2, "b"), change(3, "c")]})

    assert [memory.id for memory in user.snapshot.memories] == ["a", "b", "c"]
    assert user.seen == {"writer": (3, "token 3")}


@pytest.mark.parametrize(
    "told",
    [
        {"writer": [change(2, "b"), change(3, "a")]},
        {"writer": [change(2, "b"), change(3, "b")]},
        {"writer": [change(2, "b")], "another": [change(1, "b")]},
        {"writer": [change(2, "gone")]},
    ],
    ids=["known before", "twice", "by two", "known to be gone"],
)
def test_what_may_be_older_than_what_is_known_is_left(
    told: dict[str, list[RecentChange]],
) -> None:
    user = known("a")
    user.gone.add("gone")
    before = user.snapshot

    assert not user_cache._take(user, told)

    assert user.snapshot is before
    assert user.seen == {"writer": (1, "seen")}
