"""What hangs on memories and needs no vector of its own: one tenant's ledger.

Chroma wants a vector for every record; the ledger gives each a point on the unit circle chosen by
its id, since equal vectors would spoil the index.
"""

import secrets
import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from memapp.chroma import memory_layout as layout
from memapp.chroma.collection import Collection
from memapp.chroma.memory_records import Fields, decode, encode_version, replacing
from memapp.chroma.where import stamp
from memapp.records import Claim, Memory, Vectors

TAKEOVER = timedelta(seconds=10)
"""After this time a change whose process died half-way may be overtaken."""


class Ledger:
    """The ledger of one tenant; every record names its owner, so that a user can be forgotten."""

    def __init__(self, collection: Collection) -> None:
        """Keep the records in `collection`."""
        self._collection = collection

    def claim_version(self, memory: Memory, now: datetime) -> bool:
        """Write down a version that is about to be replaced.

        Returns:
            Whether the caller may replace it: of several processes the first one may.
        """
        record, token = layout.version_id(memory.id, memory.version), new_token()
        fields = encode_version(memory, token=token, claimed_at=stamp(now))
        self._add({record: fields}, memory.text)
        holder = self._read([record]).get(record, fields)
        if holder["token"] == token:
            return True
        if holder["claimed_at"] > stamp(now - TAKEOVER):
            return False
        self._upsert(record, replacing(fields, holder), memory.text)
        return True

    def versions(self, memory: Memory) -> list[Memory]:
        """Return the old versions of a memory, oldest first."""
        ids = [layout.version_id(memory.id, number) for number in range(1, memory.version)]
        records = self._collection.get(ids=ids, include=("metadatas", "documents"))
        found = {
            record: decode(memory.id, fields, text)
            for record, fields, text in zip(
                records.ids, records.metadatas, records.documents, strict=True
            )
        }
        return [found[record] for record in ids if record in found]

    def alias(self, digest: str, memory: Memory) -> None:
        """Write down that a memory came by a text through a change."""
        fields = {"kind": "alias", "owner": memory.user_id, "target": memory.id}
        self._upsert(layout.alias_id(digest), fields)

    def targets(self, digests: Iterable[str]) -> dict[str, str]:
        """Return the ids of memories that came by a text through a change, by its digest."""
        ids = {layout.alias_id(digest): digest for digest in digests}
        return {ids[one]: str(fields["target"]) for one, fields in self._read(list(ids)).items()}

    def register_speakers(self, memories: Iterable[Memory]) -> None:
        """Write down who speaks, so that a query's words can be told to be names."""
        wanted = {
            layout.speaker_id(memory.user_id, memory.speaker.lower()): {
                "kind": "speaker",
                "owner": memory.user_id,
            }
            for memory in memories
            if memory.speaker
        }
        known = self._read(list(wanted))
        self._add({one: fields for one, fields in wanted.items() if one not in known})

    def known_speakers(self, user_id: str, names: Iterable[str]) -> set[str]:
        """Return those of `names` (lower case) that were registered for a user."""
        ids = {layout.speaker_id(user_id, name): name for name in names}
        return {ids[one] for one in self._read(list(ids))}

    def claim(
        self, key: str, fingerprint: str, user_id: str, now: datetime, until: datetime
    ) -> Claim:
        """Bind an idempotency key to a request until a time, first come first served."""
        record = layout.claim_id(key)
        fields = {
            "kind": "claim",
            "owner": user_id,
            "fingerprint": fingerprint,
            "until": stamp(until),
        }
        self._add({record: fields})
        bound = self._read([record]).get(record, fields)
        if bound["until"] <= stamp(now):
            self._upsert(record, replacing(fields, bound))
            bound = fields
        return Claim(str(bound["fingerprint"]), is_spent=bool(bound.get("spent", False)))

    def spend(self, claim: str) -> None:
        """Write down that the memory made under a claim (its ledger id) was deleted."""
        self._collection.update([claim], metadatas=[{"spent": True}])

    def delete_trail(self, memory: Memory) -> None:
        """Remove the versions and aliases of one memory, a version just claimed included."""
        ids = [layout.version_id(memory.id, number) for number in range(1, memory.version + 1)]
        if memory.version > 1:
            ids += self._collection.get(where={"target": memory.id}).ids
        self._collection.delete(ids)

    def owned(self, user_id: str) -> dict[str, str]:
        """Return the kind of each record that a user owns, by id."""
        records = self._collection.get(where={"owner": user_id}, include=("metadatas",))
        kinds = [str(fields["kind"]) for fields in records.metadatas]
        return dict(zip(records.ids, kinds, strict=True))

    def delete(self, ids: Sequence[str]) -> None:
        """Remove records by id."""
        self._collection.delete(ids)

    def _read(self, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        if not ids:
            return {}
        records = self._collection.get(ids=ids, include=("metadatas",))
        return dict(zip(records.ids, records.metadatas, strict=True))

    def _add(self, records: Mapping[str, Fields], text: str = "") -> None:
        if records:
            ids = list(records)
            self._collection.add(ids, _points(ids), list(records.values()), [text] * len(ids))

    def _upsert(self, record: str, fields: Fields, text: str = "") -> None:
        self._collection.upsert([record], _points([record]), [fields], [text])


def new_token() -> str:
    """Return a name for one write that no other write has."""
    return secrets.token_hex(8)


def _points(ids: Sequence[str]) -> Vectors:
    angles = np.asarray([zlib.crc32(one.encode()) for one in ids]) / 2**32 * 2 * np.pi
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
