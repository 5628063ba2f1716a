"""Ask a store for more until there is enough of what may be shown."""

from collections.abc import Callable, Sequence
from typing import TypeVar

Found = TypeVar("Found")


def ask_until_enough(
    ask: Callable[[int], Sequence[Found]], accepts: Callable[[Found], bool], wanted: int
) -> tuple[list[Found], bool]:
    """Ask until enough is accepted, or there is no more: what is refused took places.

    Args:
        ask: Returns up to so many, the best first; fewer mean that there are no more.
        accepts: Tells what may be shown.
        wanted: How many at least.

    Returns:
        What is accepted, in the same order, and whether all there is was asked for.
    """
    limit = wanted
    while True:
        found = ask(limit)
        accepted = [one for one in found if accepts(one)]
        is_all = len(found) < limit
        if is_all or len(accepted) >= wanted:
            return accepted, is_all
        limit *= 4
