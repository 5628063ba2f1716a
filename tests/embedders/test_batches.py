"""How texts are grouped."""

from hypothesis import given
from hypothesis import strategies as st

from memapp.embedders.minilm.batches import by_tokens


def test_texts_of_like_length_share_a_batch() -> None:
    assert list(by_tokens([9, 2, 10, 2, 3], budget=20)) == [[1, 3, 4], [0, 2]]


def test_a_text_longer_than_the_budget_is_alone() -> None:
    assert list(by_tokens([30, 2, 40], budget=20)) == [[1], [0], [2]]


def test_no_texts_make_no_batch() -> None:
    assert list(by_tokens([], budget=20)) == []


@given(st.lists(st.integers(2, 256)), st.integers(64, 2048))
def test_every_text_is_in_one_batch_within_the_budget(lengths: list[int], budget: int) -> None:
    batches = list(by_tokens(lengths, budget=budget))

    assert sorted(position for batch in batches for position in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[position] for position in batch)
        assert len(batch) == 1 or len(batch) * longest <= budget
