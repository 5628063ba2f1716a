"""Whether a scope was crowded is believed for a while, and then tried again."""

from memapp.chroma.crowding import Crowding

ANN, BOB = ("shard", "ann"), ("shard", "bob")
STRANGER = ("another shard", "ann")


def test_a_scope_is_alone_until_it_is_found_crowded() -> None:
    crowding = Crowding()
    assert not crowding.is_crowded(ANN)
    crowding.note(ANN)
    assert crowding.is_crowded(ANN)
    assert not crowding.is_crowded(STRANGER)


def test_where_one_is_crowded_others_are_taken_to_be_so_too() -> None:
    crowding = Crowding()
    crowding.note(ANN)
    asked = [crowding.is_crowded(BOB) for _ in range(200)]
    assert asked[0]
    assert not asked[-1]


def test_a_crowded_scope_is_tried_again_in_the_end() -> None:
    crowding = Crowding()
    crowding.note(ANN)
    asked = [crowding.is_crowded(ANN) for _ in range(200)]
    assert asked[0]
    assert not asked[-1]
