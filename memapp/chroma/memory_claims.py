"""Idempotency keys, in a tenant's ledger.

Chroma wants a vector for every record; the ledger gives each a point on the unit circle chosen by
its id, since equal vectors would spoil the index.
"""

import zlib
from datetime import datetime

import numpy as np

from memapp.chroma import memory_layout as layout
from memapp.chroma.collection import Collection
from memapp.chroma.memory_records import Fields
from memapp.chroma.where import stamp
from memapp.records import Claim, Vectors


class Claims:
    """Which request an idempotency key belongs to."""

    def __init__(self, ledger: Collection) -> None:
        """Keep the claims in a tenant's ledger."""
        self._ledger = ledger

    def claim(
        self, key: str, fingerprint: str, user_id: str, now: datetime, until: datetime
    ) -> Claim:
        """Bind a key to a request until a time, first come first served."""
        record = layout.claim_id(key)
        fields: Fields = {"owner": user_id, "fingerprint": fingerprint, "until": stamp(until)}
        self._ledger.add([record], _point(record), [fields], [""])
        found = self._ledger.get(ids=[record], include=("metadatas",)).metadatas
        bound = found[0] if found else fields
        if bound["until"] <= stamp(now):
            self._ledger.delete([record], where={"until": {"$lte": stamp(now)}})
            self._ledger.add([record], _point(record), [fields], [""])
            found = self._ledger.get(ids=[record], include=("metadatas",)).metadatas
            bound = found[0] if found else fields
        return Claim(str(bound["fingerprint"]), is_spent=bool(bound.get("spent", False)))

    def spend(self, claim: str) -> None:
        """Write down that the memory made under a claim (its id in the ledger) was deleted."""
        self._ledger.update([claim], metadatas=[{"spent": True}])

    def forget(self, user_id: str) -> None:
        """Free the keys of a user's requests."""
        self._ledger.delete(self._ledger.get(where={"owner": user_id}).ids)

    def sweep(self, now: datetime) -> int:
        """Remove the claims whose time is over; return how many."""
        ids = self._ledger.get(where={"until": {"$lte": stamp(now)}}).ids
        self._ledger.delete(ids)
        return len(ids)


def _point(record: str) -> Vectors:
    angle = zlib.crc32(record.encode()) / 2**32 * 2 * np.pi
    return np.array([[np.cos(angle), np.sin(angle)]], dtype=np.float32)
