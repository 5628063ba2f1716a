"""What the budget of a process's user cache accounts for is what is kept."""

from memapp.chroma.cache_budget import LARGEST_SHARE, Budget

ANN, BOB = ("shard", "ann"), ("shard", "bob")


def test_who_has_grown_too_large_leaves_the_room_to_others() -> None:
    budget = Budget(LARGEST_SHARE * 10)
    everybody = [("shard", f"user {number}") for number in range(LARGEST_SHARE)]
    for user in everybody:
        budget.keep(user, 10, lambda: None)
    assert budget.refuses(BOB, 10)

    assert budget.refuses(everybody[0], 11)
    budget.release(everybody[0])

    assert not budget.refuses(ANN, 10)
