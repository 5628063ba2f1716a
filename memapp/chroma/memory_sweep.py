"""Remove what hangs on memories that are gone, from requests whose process died half-way."""

from collections.abc import Mapping
from itertools import count
from typing import Any

from memapp.chroma.collection import Collection

PAGE = 2_000
"""How many records are looked at at a time."""


def remove_leftovers(shard: Collection, settled: int) -> None:
    """Remove old versions and aliases of memories that are gone, and users who have none.

    Args:
        shard: Where.
        settled: What was written since this time (see `where.stamp`) may belong to a request that
            is under way, and stays.
    """
    _remove_trails(shard, settled)
    _remove_users(shard, settled)


def _remove_trails(shard: Collection, settled: int) -> None:
    found = shard.get(where={"kind": {"$in": ["version", "alias"]}}, include=("metadatas",))
    targets = {
        one: fields["target"] if "target" in fields else one.split(".")[1]
        for one, fields in zip(found.ids, found.metadatas, strict=True)
    }
    there = set(shard.get(ids=list(targets.values())).ids)
    orphans = [one for one, target in targets.items() if target not in there]
    # The memory may have been stored anew since: what it has now is younger.
    shard.delete(orphans, where={"claimed_at": {"$lt": settled}})


def _remove_users(shard: Collection, settled: int) -> None:
    found = shard.get(where={"kind": {"$in": ["user", "change"]}}, include=("metadatas",))
    users = {fields["owner"] for fields in found.metadatas if "owner" in fields}
    active = {fields["change_of"] for fields in found.metadatas if fields.get("at", 0) >= settled}
    idle = users - active
    if idle:
        idle -= _users_with_memories(shard)
    for user_id in idle:
        ids = all_records_of(shard, user_id)
        if all("." in one for one in ids):
            # The changes last: while they are there, no reader takes the user for a new one.
            ids.sort(key=lambda one: one.startswith(("c.", "u.")))
            shard.delete(ids)


def _users_with_memories(shard: Collection) -> set[Any]:
    users: set[Any] = set()
    for offset in count(0, PAGE):
        page = shard.get(limit=PAGE, offset=offset, include=("metadatas",))
        users.update(fields["scope"] for fields in page.metadatas if "scope" in fields)
        if len(page.ids) < PAGE:
            break
    return users


def all_records_of(shard: Collection, user_id: str) -> list[str]:
    """Return the ids of everything that is kept for a user."""
    keys = ("scope", "owner", "change_of")
    where: Mapping[str, Any] = {"$or": [{key: user_id} for key in keys]}
    return shard.get(where=where).ids
