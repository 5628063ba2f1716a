"""Idempotency keys, in a tenant's ledger."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np

from memapp.chroma import memory_layout as layout
from memapp.chroma.collection import Collection
from memapp.chroma.directions import direction
from memapp.chroma.faults import OutcomeUnknown
from memapp.chroma.memory_records import Fields
from memapp.chroma.where import stamp
from memapp.records import Claim


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
        bound = self._add(record, fields)
        if bound["until"] <= stamp(now):
            self._ledger.delete([record], where={"until": {"$lte": stamp(now)}})
            bound = self._add(record, fields)
        return Claim(str(bound["fingerprint"]), is_spent=bool(bound.get("spent", False)))

    def spend(self, claim: str) -> None:
        """Write down that the memory made under a claim (its id in the ledger) was deleted."""
        # A key that was freed and is bound anew meanwhile counts as spent: a caller must take
        # another one then, and nothing is stored twice.
        self._ledger.update([claim], metadatas=[{"spent": True}], may_repeat=True)

    def forget(self, user_id: str) -> None:
        """Free the keys of a user's requests."""
        self._ledger.delete(self._ledger.get(where={"owner": user_id}).ids)

    def sweep(self, now: datetime) -> int:
        """Remove the claims whose time is over; return how many."""
        ids = self._ledger.get(where={"until": {"$lte": stamp(now)}}).ids
        self._ledger.delete(ids)
        return len(ids)

    def _add(self, record: str, fields: Fields) -> Mapping[str, Any]:
        """Write a claim, unless there is one; return the one that holds."""
        try:
            self._ledger.add([record], direction(record, 2)[np.newaxis], [fields], [""])
        except OutcomeUnknown:
            found = self._ledger.get(ids=[record], include=("metadatas",)).metadatas
            if not found:
                raise
            return found[0]
        found = self._ledger.get(ids=[record], include=("metadatas",)).metadatas
        return found[0] if found else fields
