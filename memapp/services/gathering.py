"""Gather what a search ranks: the nearest that may be shown, and what contains its phrases."""

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

Found = TypeVar("Found")


def gathered(
    nearest: Callable[[int], Sequence[Found]],
    containing: Callable[[Sequence[str], int], Sequence[Found]],
    *,
    accepts: Callable[[Found], bool],
    phrases: Callable[[Sequence[Found]], Sequence[str]],
    key: Callable[[Found], Hashable],
    wanted: int,
) -> list[Found]:
    """Return the pool of a search: each once, the nearest first.

    Args:
        nearest: Returns up to so many, the nearest first; fewer mean that there are no more.
        containing: Returns up to so many that contain one of some phrases, likewise.
        accepts: Tells what may be shown.
        phrases: Returns, for the nearest, which phrases are worth looking up.
        key: Tells one from another.
        wanted: How many of either are ranked.
    """
    accepted, is_all = _ask_until_enough(nearest, accepts, wanted)
    pool = accepted[:wanted]
    if is_all and len(accepted) <= wanted:
        return pool
    sought = phrases(pool)
    if not sought:
        return pool
    exact, _ = _ask_until_enough(lambda limit: containing(sought, limit), accepts, wanted)
    there = {key(one) for one in pool}
    return pool + [one for one in exact[:wanted] if key(one) not in there]


def _ask_until_enough(
    ask: Callable[[int], Sequence[Found]], accepts: Callable[[Found], bool], wanted: int
) -> tuple[list[Found], bool]:
    """Ask until enough is accepted, or there is no more: what is refused took places.

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
