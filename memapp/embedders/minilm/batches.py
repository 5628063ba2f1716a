"""Group texts so that a batch's memory is bounded and little of it is padding."""

from collections.abc import Iterator, Sequence


def by_tokens(lengths: Sequence[int], *, budget: int) -> Iterator[list[int]]:
    """Yield positions in `lengths`, shortest first, each once.

    Args:
        lengths: Tokens of each text.
        budget: Most tokens of a batch, counting each text as long as the longest; a text that is
            longer by itself makes a batch of one.
    """
    batch: list[int] = []
    for position in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[position] > budget:
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch
