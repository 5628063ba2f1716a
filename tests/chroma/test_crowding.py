"""What is known of the strangers in a scope is believed for a while, and then tried again."""

from memapp.chroma.cache_budget import Budget
from memapp.chroma.connection import Connection
from memapp.chroma.crowding import STRANGERS, Crowding
from memapp.embedders.hashing import HashEmbedder
from memapp.records import MemoryDraft, MemoryScope
from tests.chroma.memory_stores import open_memories

ANN, BOB = ("shard", "ann"), ("shard", "bob")
STRANGER = ("another shard", "ann")


def test_a_scope_has_few_strangers_until_it_is_found_crowded() -> None:
    crowding = Crowding()
    assert crowding.strangers(ANN) == STRANGERS
    crowding.note_too_many(ANN, STRANGERS)
    assert crowding.strangers(ANN) is None
    assert crowding.strangers(STRANGER) == STRANGERS


def test_where_one_is_crowded_others_are_taken_to_be_so_too() -> None:
    crowding = Crowding()
    crowding.note_too_many(ANN, STRANGERS)
    asked = [crowding.strangers(BOB) for _ in range(200)]
    assert asked[0] is None
    assert asked[-1] == STRANGERS


def test_a_crowded_scope_is_tried_again_in_the_end() -> None:
    crowding = Crowding()
    crowding.note_too_many(ANN, STRANGERS)
    asked = [crowding.strangers(ANN) for _ in range(200)]
    assert asked[0] is None
    assert asked[-1] == STRANGERS


def make_alone(crowding: Crowding) -> None:
    for _ in range(200):
        crowding.note(ANN, 0)


def test_where_no_stranger_was_seen_for_long_there_is_no_room_for_one() -> None:
    crowding = Crowding()
    make_alone(crowding)
    assert crowding.strangers(ANN) == 0
    assert crowding.strangers(BOB) == STRANGERS


def test_one_stranger_makes_room_again() -> None:
    crowding = Crowding()
    make_alone(crowding)
    crowding.note(ANN, 1)
    assert crowding.strangers(ANN) == STRANGERS


def test_a_stranger_for_whom_there_was_no_room_does_not_make_a_crowd() -> None:
    crowding = Crowding()
    make_alone(crowding)
    crowding.note_too_many(ANN, 0)
    assert crowding.strangers(ANN) == STRANGERS
    assert crowding.strangers(BOB) == STRANGERS


def test_strangers_who_come_after_many_searches_take_nobody_s_place(connection: Connection) -> None:
    embedder = HashEmbedder()
    store = open_memories(connection, embedder.identity, cache=Budget(0))
    texts = [f"tea number {n}" for n in range(20)]
    question = embedder.embed_query("tea number 3")

    def found(user: str) -> list[float]:
        near = store.view("acme", MemoryScope(user)).nearest(question, 10, None)
        assert {one.memory.user_id for one in near} == {user}
        return [round(one.cosine, 5) for one in near]

    def add(user: str) -> None:
        drafts = [MemoryDraft(user, text) for text in texts]
        store.add("acme", drafts, embedder.embed_documents(texts))

    add("ann")
    alone = found("ann")
    for _ in range(100):
        assert found("ann") == alone
    add("bob")
    assert found("ann") == alone
    assert found("bob") == alone
