"""Read a user from Chroma whole, to be kept from then on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf

from memapp.chroma import memory_layout as layout
from memapp.chroma.cache_budget import Budget
from memapp.chroma.change_log import Awaited
from memapp.chroma.collection import Collection
from memapp.chroma.kept_user import KeptUser, await_change
from memapp.chroma.user_snapshot import MEMORY_OVERHEAD, WHOLE, Snapshot

MOST_MEMORIES = 10_000
"""Reading more from Chroma, vectors included, takes seconds."""

SMALL = 250
"""So many memories of a user are read whole at the first search, for they cost hardly more than a
filtered query: 100 in a collection of 12,500 took 12 ms, the ten nearest of them 14; in one of
50,000, 18 and 49."""

_READ_TOGETHER = 250


@dataclass(frozen=True, slots=True)
class Announced:
    """What is known of a user before any memory is read; the names are those of `KeptUser`."""

    birth: str
    slots: Mapping[str, str]
    roster: int


def read_user(
    shard: Collection,
    user_id: str,
    budget: Budget,
    announced: Announced,
    *,
    known: Snapshot | None,
    if_small: bool,
) -> KeptUser | None:
    """Read a user: first what is announced, then what is there; None if not to be kept.

    With what is announced comes who has ever spoken: in the same request, for it costs little.

    Of what was `known`, only what has changed is read again: whatever still has its token.
    """
    key = (shard.name, user_id)
    where = {"$or": [{"change_of": user_id}, layout.speakers_of(user_id)]}
    around = shard.get(where=where, include=("metadatas",))
    changes = [fields for fields in around.metadatas if "change_of" in fields]
    # What comes later is in a change that is followed.
    if if_small:
        snapshot = _read_small(shard, user_id)
    else:
        snapshot = _read_large(shard, user_id, budget, known)
    if snapshot is None or budget.refuses(key, snapshot.size):
        return None
    speakers = {layout.speaker_id(user_id, name) for name in snapshot.speakers}
    former = {one for one in around.ids if one.startswith("s.")} - speakers
    snapshot = replace(snapshot, former_speakers=frozenset(former))
    seen = dict.fromkeys(announced.slots.values(), (0, ""))
    awaited: dict[str, set[Awaited]] = {}
    for change in changes:
        writer, number = str(change["writer"]), int(change["number"])
        if writer in seen and number > seen[writer][0]:
            seen[writer] = (number, str(change["token"]))
        await_change(awaited, change)
    user = KeptUser(
        user_id,
        announced.birth,
        dict(announced.slots),
        seen,
        awaited,
        snapshot,
        announced.roster,
        gone=awaited.keys() - snapshot.tokens.keys(),
    )
    user.settle(list(awaited), snapshot)
    return user


def _read_small(shard: Collection, user_id: str) -> Snapshot | None:
    """Read all memories of a user at once; None if there are too many for it."""
    records = shard.get(where={"scope": user_id}, limit=SMALL + 1, include=WHOLE)
    return Snapshot.of(records) if len(records.ids) <= SMALL else None


def _read_large(
    shard: Collection, user_id: str, budget: Budget, known: Snapshot | None
) -> Snapshot | None:
    """Read those memories of a user that are not `known`; None if they are not to be kept."""
    tokens = _tokens(shard, user_id) if known else dict.fromkeys(_ids(shard, user_id))
    size = len(tokens) * MEMORY_OVERHEAD if len(tokens) <= MOST_MEMORIES else inf
    if budget.refuses((shard.name, user_id), size):
        return None
    kept = [] if known is None else [known.only(tokens)]
    missing = [one for one in tokens if not kept or one not in kept[0].tokens]
    # In parts, because Chroma's client takes 20 kB for a vector until it is an array.
    parts = [missing[i : i + _READ_TOGETHER] for i in range(0, len(missing), _READ_TOGETHER)]
    read: list[Snapshot] = []
    for part in parts:
        read.append(Snapshot.of(shard.get(ids=part, include=WHOLE)))
        # The first part tells how large all of them are.
        size = sum(one.size for one in kept) + read[0].size * len(missing) / len(parts[0])
        if len(read) == 1 and budget.refuses((shard.name, user_id), size):
            return None
    return Snapshot.joined([*kept, *read])


def _ids(shard: Collection, user_id: str) -> list[str]:
    return shard.get(where={"scope": user_id}).ids


def _tokens(shard: Collection, user_id: str) -> dict[str, str | None]:
    found = shard.get(where={"scope": user_id}, include=("metadatas",))
    return {
        one: str(fields["token"]) for one, fields in zip(found.ids, found.metadatas, strict=True)
    }
