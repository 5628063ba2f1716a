"""A new version of a memory, against others that change or delete the same memory.

Whoever replaces version n first adds the old version as `v.<memory>.<n>`, which Chroma lets only
one do: that is the claim, and the announcement of the change goes with it. Only then is the memory
itself updated. A claim is a lease: others wait for `TAKEOVER` before they overtake a claim that led
to nothing, and its holder gives up after half of that, for their clocks may differ.
"""

import time
from datetime import timedelta

from memapp.chroma import memory_layout as layout
from memapp.chroma.change_log import Awaited, Change, ChangeLog, Found, NewRecord, new_token
from memapp.chroma.collection import Collection
from memapp.chroma.faults import OutcomeUnknown
from memapp.chroma.memory_aliases import alias, hand_on, leads_to, pointer
from memapp.chroma.memory_records import (
    StoredMemoryRecord,
    decode,
    encode,
    encode_version,
    making_of,
    memories_of,
    replacing,
)
from memapp.chroma.where import stamp
from memapp.ports import Clock
from memapp.records import Memory, MemoryDraft, Vector

TAKEOVER = timedelta(seconds=10)
"""After this time a change whose process died half-way may be overtaken."""

LEASE = TAKEOVER.total_seconds() / 2
"""Seconds after which a change that has not been made yet is given up."""

MICROSECOND = timedelta(microseconds=1)


class MemoryRevision:
    """One attempt to replace a memory by its next version; used by one thread."""

    def __init__(
        self, shard: Collection, log: ChangeLog, clock: Clock, current: Memory, revised: Memory
    ) -> None:
        """Prepare to replace `current` by `revised`; nothing is written yet."""
        self._shard = shard
        self._log = log
        self._current = current
        self._revised = revised
        self._token = new_token()
        self._claimed_at = stamp(clock())
        self._begun = time.monotonic()
        fields = encode_version(current, token=self._token, claimed_at=self._claimed_at)
        self._claim = NewRecord(
            layout.version_id(current.id, current.version), fields, current.text
        )

    def make(self, vector: Vector | None) -> bool:
        """Make the new version; False, with nothing changed, if `current` is not what is stored.

        Args:
            vector: Of the new text; None if the text stays.
        """
        # Nobody but a caller gives a time of occurrence that is to the microsecond that of storing.
        is_timed = self._current.occurred_at != self._current.created_at
        new, old = (
            self._alias(_digest(one, is_timed=is_timed)) for one in (self._revised, self._current)
        )
        records = [self._claim] if vector is None else [self._claim, new]
        revised = self._revised
        awaited = Awaited(self._token, stamp(revised.created_at), revised.version)
        change = Change(revised.user_id, (revised.id,), awaited)
        read = [self._revised.id, self._claim.id, new.id, old.id]
        with self._log.announced(self._shard, change, records=records, read=read) as found:
            stored = memories_of(found).get(self._revised.id)
            if stored is None or not _is_same(stored.memory, self._current):
                if any(fields.get("token") == self._token for fields, _ in found.values()):
                    self._withdraw()
                return False
            if not self._holds(found.get(self._claim.id)):
                return False
            if self._is_late():
                self._withdraw()
                return False
            digest = _digest(self._revised, is_timed=stored.fields["timed"])
            if digest != stored.fields["digest"]:
                if leads_to(found, stored.fields["digest"], revised.id):
                    hand_on(self._shard, self._log, stored, self._claimed_at)
                if not leads_to(found, digest, revised.id):
                    self._log.publish(self._shard, [self._alias(digest)], [], renew=True)
            return self._replace(stored, digest, vector)

    def _replace(self, stored: StoredMemoryRecord, digest: str, vector: Vector | None) -> bool:
        fields = encode(self._revised, making_of(stored.fields, digest=digest, token=self._token))
        try:
            self._shard.update(
                [self._revised.id],
                vectors=None if vector is None else vector[None, :],
                metadatas=[replacing(fields, stored.fields)],
                # Given a text without a vector, Chroma would embed it itself.
                documents=None if vector is None else [self._revised.text],
            )
        except OutcomeUnknown:
            if self._is_untouched():
                raise
            return self._is_made()
        return not self._is_late() or self._is_made()

    def _is_late(self) -> bool:
        return time.monotonic() - self._begun > LEASE

    def _is_untouched(self) -> bool:
        """Tell whether the memory is as it was before; a write under way may still change it."""
        stored = self._read(self._revised.id).get(self._revised.id)
        return stored is not None and _is_same(stored.memory, self._current)

    def _is_made(self) -> bool:
        """Tell whether the new version is what is stored now, or was before others changed it."""
        successor = layout.version_id(self._revised.id, self._revised.version)
        found = self._read(self._revised.id, successor)
        stored = found.get(self._revised.id)
        if stored is None:
            return False
        if stored.fields["token"] == self._token:
            return True
        return successor in found and _is_same(found[successor].memory, self._revised)

    def _read(self, *ids: str) -> dict[str, StoredMemoryRecord]:
        records = self._shard.get(ids=ids, include=("metadatas", "documents"))
        rows = zip(records.ids, records.metadatas, records.documents, strict=True)
        return {
            one: StoredMemoryRecord(decode(one, fields, text), fields) for one, fields, text in rows
        }

    def _withdraw(self) -> None:
        """Remove what this attempt left behind, unless it belongs to another."""
        digests = [_digest(self._revised, is_timed=is_timed) for is_timed in (True, False)]
        ids = [self._claim.id, *(layout.alias_id(digest) for digest in digests)]
        self._shard.delete(ids, where={"token": self._token})

    def _holds(self, holder: Found | None) -> bool:
        """Tell whether ours is the first claim to replace a version, or the first one is dead."""
        if holder is None or holder[0]["token"] == self._token:
            return True
        while holder is not None and holder[0]["token"] != self._token:
            if holder[0]["claimed_at"] > self._claimed_at - TAKEOVER // MICROSECOND:
                return False
            # Of several that overtake the same one, the first wins, by `add`.
            successor = NewRecord(
                layout.takeover_id(holder[0]["token"]),
                pointer(self._revised, claimed_at=self._claimed_at, token=self._token),
            )
            found = self._log.publish(self._shard, [successor], [], read=[successor.id])
            holder = found.get(successor.id)
        self._log.publish(self._shard, [self._claim], [], renew=True)
        return True

    def _alias(self, digest: str) -> NewRecord:
        return alias(digest, self._revised, claimed_at=self._claimed_at, token=self._token)


def _digest(memory: Memory, *, is_timed: bool) -> str:
    draft = MemoryDraft(
        user_id=memory.user_id,
        text=memory.text,
        speaker=memory.speaker,
        occurred_at=memory.occurred_at if is_timed else None,
        agent_id=memory.agent_id,
        session_id=memory.session_id,
    )
    return layout.text_digest(draft)


def _is_same(one: Memory, other: Memory) -> bool:
    return (one.version, one.updated_at) == (other.version, other.updated_at)
