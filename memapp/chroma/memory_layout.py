"""Where memories lie in Chroma: names of collections, ids, and the shard of a user.

A tenant has one ledger and a fixed number of shards. A shard holds all memories of its users and
all that hangs on them, so that a search, and forgetting a user, touch one small collection:

    <35 hex digits>      a memory; the only kind with a `scope`, which is its user
    v.<memory>.<n>       an old version of it
    t.<token>            who overtakes the change of this token, which led to nothing
    a.<digest>           a text whose memory lies under another id: it came by it through a change,
                         or its own id was taken
    s.<digest>           a speaker in a user's memories; stays when they are gone, until the user is
    u.<user>             a user of whom something is kept
    c.<user>.<writer>.<n>  what a process changed of a user's memories (see `change_log`)
    w.<slot>             a process that writes to this shard (see `change_log`)
    r.<n>                the n-th time that a process began to, or that a lease began or ended
                         (see `roster` and `leases`)

The ledger records the number of shards and holds the tenant's idempotency keys.
"""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from memapp.chroma.where import stamp
from memapp.records import MemoryDraft

_ID = re.compile(r"[0-9a-f]{35}")
_SHARD_DIGITS = 3


def ledger_name(tenant: str) -> str:
    """Return the name of a tenant's ledger."""
    return f"ledger.{tenant}"


def shard_name(tenant: str, shard: int) -> str:
    """Return the name of one of a tenant's shards."""
    return f"memories.{tenant}.{shard:03x}"


@dataclass(frozen=True, slots=True)
class CollectionName:
    """What a collection's name says: its tenant, and its shard (None for a ledger)."""

    tenant: str
    shard: int | None


def parse_name(name: str) -> CollectionName | None:
    """Read the name of a ledger or shard; None for any other collection."""
    match name.split("."):
        case ["ledger", tenant]:
            return CollectionName(tenant, None)
        case ["memories", tenant, shard] if re.fullmatch(r"[0-9a-f]{3}", shard):
            return CollectionName(tenant, int(shard, 16))
    return None


def shard_of_user(user_id: str, shards: int) -> int:
    """Return the shard that holds all memories of a user, 0 to `shards` - 1."""
    return int(_user_digest(user_id)[:8], 16) % shards


def shard_of_memory(memory_id: str, shards: int) -> int | None:
    """Return the shard that an id names; None if no memory can have that id."""
    if not _ID.fullmatch(memory_id):
        return None
    shard = int(memory_id[:_SHARD_DIGITS], 16)
    return shard if shard < shards else None


def text_digest(draft: MemoryDraft) -> str:
    """Return the digest that is equal for the same normalised text in the same scope.

    Normalised means Unicode NFC with runs of white space made one space.
    """
    occurred = "" if draft.occurred_at is None else str(stamp(draft.occurred_at))
    text = " ".join(unicodedata.normalize("NFC", draft.text).split())
    scope = (draft.user_id, draft.agent_id, draft.session_id, draft.speaker, occurred)
    return _digest(*("" if part is None else f"={part}" for part in scope), text)


def memory_id(shard: int, digest: str, attempt: int) -> str:
    """Return the id for a new memory, derived from its content.

    Processes that add the same text at the same time thus write the same record.

    Args:
        shard: The user's shard.
        digest: The text's digest.
        attempt: 0, or one more for each id that is taken by a memory whose text has changed.
    """
    return f"{shard:03x}{digest if attempt == 0 else _digest(digest, str(attempt))}"


def version_id(memory: str, version: int) -> str:
    """Return the id of an old version of a memory."""
    return f"v.{memory}.{version}"


def takeover_id(token: str) -> str:
    """Return the id under which whoever overtakes a change says so.

    Args:
        token: Of the change that is overtaken.
    """
    return f"t.{token}"


def alias_id(digest: str) -> str:
    """Return the id under which a text is found whose memory lies under another id."""
    return f"a.{digest}"


def speaker_id(user_id: str, name: str) -> str:
    """Return the id that exists if `name` (lower case) has spoken in a user's memories."""
    return f"s.{_digest(user_id, name)}"


def speakers_of(user_id: str) -> dict[str, Any]:
    """Return the condition, in Chroma's language, that a user's speakers alone satisfy."""
    return {"$and": [{"owner": user_id}, {"kind": "speaker"}]}


def change_id(user_id: str, writer: str, number: int) -> str:
    """Return the id of one of a writer's changes of a user's memories; numbers start at 1."""
    return f"c.{user_digest(user_id)}.{writer}.{number}"


def user_record_id(user_id: str) -> str:
    """Return the id of the record that is there while something is kept for a user."""
    return f"u.{user_digest(user_id)}"


def user_digest(user_id: str) -> str:
    """Return a user's name within ids of records."""
    return _user_digest(user_id)[:24]


def slot_id(slot: int) -> str:
    """Return the id of the record that names the process writing under a slot."""
    return f"w.{slot:02d}"


def roster_id(number: int) -> str:
    """Return the id of one entry of a shard's roster of writers; numbers start at 1."""
    return f"r.{number}"


def claim_id(key: str) -> str:
    """Return the ledger id of an idempotency key."""
    return f"k.{_digest(key)}"


@lru_cache(maxsize=4096)
def _user_digest(user_id: str) -> str:
    return _digest("user", user_id)


def _digest(*parts: str) -> str:
    """Return 128 bits of SHA-256 over length-prefixed parts, as 32 hex digits."""
    state = hashlib.sha256()
    for part in parts:
        data = part.encode()
        state.update(len(data).to_bytes(8, "big"))
        state.update(data)
    return state.hexdigest()[:32]
