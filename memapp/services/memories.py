"""What memapp does with memories: remember, recall, change, list and forget them."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, NamedTuple

from memapp.errors import Conflict, NotFound
from memapp.filters import Filter, matches, record_value
from memapp.ports import Clock, Embedder, MemoryStore, MemoryView
from memapp.ranking import (
    Candidate,
    Mode,
    Ranked,
    exact_phrases,
    lexical_text,
    memory_embedding_text,
    name_candidates,
    rank,
    rank_by_cosine,
    without_names,
)
from memapp.records import (
    ForgottenUser,
    Memory,
    MemoryDraft,
    MemoryScope,
    Metadata,
    NearMemory,
    ScoredMemory,
    StoredMemory,
    Vector,
)
from memapp.services.gathering import gathered
from memapp.services.paging import Page, newest_first

CHANGE_PATIENCE = timedelta(seconds=3)
"""For how long a change waits for others that change the same memory."""


class Unset(Enum):
    """The type of `UNSET`, which stands for a field that a change leaves alone."""

    UNSET = "unset"


UNSET = Unset.UNSET


class Idempotency(NamedTuple):
    """What makes a request to be repeated the same one: its key, and a digest of what was sent."""

    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class MemoryChanges:
    """What to change of a memory; a field that is `UNSET` stays as it is."""

    text: str | Unset = UNSET
    metadata: Metadata | Unset = UNSET
    expires_at: datetime | Unset | None = UNSET


@dataclass(frozen=True, slots=True)
class MemorySearch:
    """A question to a user's memories.

    Attributes:
        scope: Which memories may answer.
        query: The question.
        limit: How many results at most.
        condition: What results must satisfy.
        mode: Which evidence counts.
        min_score: Results below it (0 to 1) are left out.
        speaker_boost: Prefer what a speaker said whom the query names.
        explain: Give the parts of each score.
    """

    scope: MemoryScope
    query: str
    limit: int = 10
    condition: Filter | None = None
    mode: Mode = "hybrid"
    min_score: float | None = None
    speaker_boost: bool = True
    explain: bool = False


class Memories:
    """The memories of all tenants; safe for many threads."""

    def __init__(
        self,
        store: MemoryStore,
        embedder: Embedder,
        clock: Clock,
        *,
        pool: int,
        speaker_boost: float,
    ) -> None:
        """Work on `store`.

        Args:
            store: Keeps the memories.
            embedder: Makes their vectors.
            clock: Tells the time.
            pool: How many of the nearest memories a search ranks.
            speaker_boost: What a memory gains that was said by whom the query names, 0 to 1.
        """
        self._store = store
        self._embedder = embedder
        self._clock = clock
        self._pool = pool
        self._speaker_boost = speaker_boost

    def remember(
        self,
        tenant: str,
        draft: MemoryDraft,
        idempotency: Idempotency | None = None,
    ) -> StoredMemory:
        """Store a memory, or return the one that has the same text in the same scope.

        Args:
            tenant: Whose data it is.
            draft: What to remember.
            idempotency: Lets the request be repeated without harm.

        Raises:
            Conflict: the key was used for another request, or its memory was deleted since.
        """
        if idempotency is not None:
            self._claim(tenant, draft.user_id, idempotency)
            draft = replace(draft, idempotency_key=idempotency.key)
        return self.remember_many(tenant, [draft])[0]

    def remember_many(self, tenant: str, drafts: Sequence[MemoryDraft]) -> list[StoredMemory]:
        """Store memories; return one outcome per draft, in the same order."""
        if not drafts:
            return []
        texts = [memory_embedding_text(draft.text) for draft in drafts]
        return self._store.add(tenant, drafts, self._embedder.embed_documents(texts))

    def get(self, tenant: str, memory_id: str) -> Memory:
        """Return a memory.

        Raises:
            NotFound: there is none, or it has expired.
        """
        memory = self._store.get(tenant, memory_id)
        if memory is None:
            raise _no_memory()
        return memory

    def revise(self, tenant: str, memory_id: str, changes: MemoryChanges) -> Memory:
        """Make a new version of a memory and return it.

        Raises:
            NotFound: there is none, or it has expired.
            Conflict: others keep changing it.
        """
        deadline = time.monotonic() + CHANGE_PATIENCE.total_seconds()
        while True:
            current = self.get(tenant, memory_id)
            revised = _changed(current, changes, self._clock())
            vector: Vector | None = None
            if revised.text != current.text:
                vector = self._embedder.embed_documents([memory_embedding_text(revised.text)])[0]
            if self._store.revise(tenant, current, revised, vector):
                return revised
            if time.monotonic() > deadline:
                message = "the memory is being changed by other requests; try again"
                raise Conflict(message, code="concurrent_change")
            # Another process is between its two writes; let it finish.
            time.sleep(random.uniform(0.01, 0.05))  # noqa: S311 - jitter, not a secret

    def delete(self, tenant: str, memory_id: str) -> None:
        """Remove a memory with its versions.

        Raises:
            NotFound: there is none.
        """
        if not self._store.delete(tenant, memory_id):
            raise _no_memory()

    def history(self, tenant: str, memory_id: str) -> list[Memory]:
        """Return all versions of a memory, oldest first, the current one last.

        Raises:
            NotFound: there is none, or it has expired.
        """
        memory = self.get(tenant, memory_id)
        versions = self._store.versions(tenant, memory)
        if len(versions) < memory.version - 1:
            # Its versions go with it: it is being deleted.
            memory = self.get(tenant, memory_id)
        return [*versions, memory]

    def page(
        self,
        tenant: str,
        scope: MemoryScope,
        *,
        condition: Filter | None,
        limit: int,
        cursor: str | None,
    ) -> Page[Memory]:
        """Return one page of a scope's memories, newest first.

        Raises:
            InvalidInput: the cursor is not one of ours.
        """
        accepted = _accepted(condition, self._clock())
        memories = self._store.view(tenant, scope).scan(condition)
        return newest_first(
            filter(accepted, memories),
            lambda memory: (memory.created_at, memory.id),
            limit=limit,
            cursor=cursor,
        )

    def forget(self, tenant: str, user_id: str, *, dry_run: bool) -> ForgottenUser:
        """Remove everything kept for a user; with `dry_run` only count it."""
        return self._store.forget(tenant, user_id, dry_run=dry_run)

    def recall(self, tenant: str, search: MemorySearch) -> list[ScoredMemory]:
        """Return the memories that answer a question, best first."""
        view = self._store.view(tenant, search.scope)
        names = view.known_speakers(name_candidates(search.query))
        vector = self._embedder.embed_query(without_names(search.query, names))
        pool = self._gather(view, search, vector, names)
        ranked = self._ranked(search, pool, names)
        least = 0.0 if search.min_score is None else search.min_score
        return [
            ScoredMemory(pool[r.index].memory, r.score, r.parts if search.explain else None)
            for r in ranked
            if r.score >= least
        ]

    def _ranked(
        self, search: MemorySearch, pool: Sequence[NearMemory], names: set[str]
    ) -> list[Ranked]:
        if search.mode == "semantic":
            # Neither texts nor times count.
            return rank_by_cosine([near.cosine for near in pool], limit=search.limit)
        return rank(
            search.query,
            [_candidate(near) for near in pool],
            mode=search.mode,
            speakers=names,
            speaker_boost=self._speaker_boost if search.speaker_boost else 0.0,
            now=self._clock(),
            limit=search.limit,
        )

    def _gather(
        self, view: MemoryView, search: MemorySearch, vector: Vector, names: set[str]
    ) -> list[NearMemory]:
        """Return the pool: the nearest memories, and those that contain the query's phrases."""
        condition, is_semantic = search.condition, search.mode == "semantic"
        accepted = _accepted(condition, self._clock())
        return gathered(
            lambda limit: view.nearest(vector, limit, condition),
            lambda phrases, limit: view.containing(phrases, vector, limit, condition=condition),
            accepts=lambda found: accepted(found.memory),
            phrases=lambda _: () if is_semantic else exact_phrases(search.query, without=names),
            key=lambda found: found.memory.id,
            wanted=search.limit if is_semantic else max(self._pool, search.limit),
        )

    def _claim(self, tenant: str, user_id: str, idempotency: Idempotency) -> None:
        key, fingerprint = idempotency
        bound = self._store.claim(tenant, key, fingerprint, user_id)
        if bound.fingerprint != fingerprint:
            message = "the Idempotency-Key was used for another request; use a new key"
            raise Conflict(message, code="idempotency_key_reused")
        if bound.is_spent:
            message = "the memory made under this Idempotency-Key was deleted; use a new key"
            raise Conflict(message, code="idempotency_key_spent")


def _accepted(condition: Filter | None, now: datetime) -> Callable[[Memory], bool]:
    """Return what tells whether a memory may be shown."""

    def accepted(memory: Memory) -> bool:
        if memory.is_expired(now):
            return False
        if condition is None:
            return True
        return matches(condition, lambda field: _value(memory, field))

    return accepted


def _value(memory: Memory, field: str) -> Any:
    return record_value(field, memory.metadata, lambda name: getattr(memory, name))


def _candidate(near: NearMemory) -> Candidate:
    memory = near.memory
    return Candidate(
        text=lexical_text(memory.speaker, memory.occurred_at, memory.text),
        cosine=near.cosine,
        conversation=memory.session_id,
        occurred_at=memory.occurred_at,
        recorded_at=memory.created_at,
        speaker=memory.speaker,
    )


def _changed(current: Memory, changes: MemoryChanges, now: datetime) -> Memory:
    return replace(
        current,
        text=current.text if changes.text is UNSET else changes.text,
        metadata=current.metadata if changes.metadata is UNSET else changes.metadata,
        expires_at=current.expires_at if changes.expires_at is UNSET else changes.expires_at,
        updated_at=now,
        version=current.version + 1,
    )


def _no_memory() -> NotFound:
    return NotFound("there is no memory with this id; it may have been deleted or have expired")
