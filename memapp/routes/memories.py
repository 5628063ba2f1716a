"""`/v1/memories`: remember, recall, list, change and forget."""

from http import HTTPStatus

from flask import Response
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.tag import Tag

from memapp import wiring
from memapp.errors import InvalidInput
from memapp.routes.answering import answer, no_content
from memapp.routes.authentication import needs, tenant
from memapp.routes.memory_requests import (
    ChangedMemory,
    ForgottenMemories,
    IdempotencyHeader,
    ListedMemories,
    MemoryBatch,
    MemoryPath,
    NewMemory,
    Search,
)
from memapp.routes.memory_shapes import (
    BatchShape,
    DeduplicatedShape,
    ForgottenShape,
    FoundShape,
    HistoryShape,
    MemoryPageShape,
    MemoryShape,
    batch_members,
    forgotten_members,
    found_members,
    history_members,
    memory_members,
    page_members,
    stored_members,
)
from memapp.routes.parsing import checked
from memapp.routes.problem_responses import NOT_FOUND
from memapp.services.memories import Idempotency

memories = APIBlueprint(
    "memories",
    __name__,
    url_prefix="/v1/memories",
    abp_tags=[Tag(name="Memories", description="Short texts of a user, found by meaning.")],
)

# Asked for by the wrong method, a call must not be taken for an id.
_ONE = "/<other_than(batch, search):memory_id>"


@memories.post("", responses={201: MemoryShape, 200: DeduplicatedShape})
@needs("memory:write")
@checked
def remember(header: IdempotencyHeader, body: NewMemory) -> Response:
    """Store a memory, or find the same text in the same scope."""
    key = header.idempotency_key
    idempotency = None if key is None else Idempotency(key, body.fingerprint())
    stored = wiring.memories().remember(tenant(), body.draft(), idempotency)
    status = HTTPStatus.CREATED if stored.is_new else HTTPStatus.OK
    return answer(stored_members(stored), status)


@memories.post("/batch", responses={200: BatchShape})
@needs("memory:write")
@checked
def remember_many(body: MemoryBatch) -> Response:
    """Store many memories; a faulty one does not lose the others."""
    drafts = body.drafts()
    valid = [draft for draft in drafts if not isinstance(draft, InvalidInput)]
    stored = iter(wiring.memories().remember_many(tenant(), valid))
    results = [d if isinstance(d, InvalidInput) else next(stored) for d in drafts]
    return answer(batch_members(results))


@memories.post("/search", responses={200: FoundShape})
@needs("memory:read")
@checked
def recall(body: Search) -> Response:
    """Find a user's memories that answer a question, best first."""
    return answer(found_members(wiring.memories().recall(tenant(), body.search())))


@memories.get("", responses={200: MemoryPageShape})
@needs("memory:read")
@checked
def list_memories(query: ListedMemories) -> Response:
    """List a user's memories, newest first."""
    page = wiring.memories().page(
        tenant(), query.scope, condition=query.filter, limit=query.limit, cursor=query.cursor
    )
    return answer(page_members(page))


@memories.delete("", responses={200: ForgottenShape})
@needs("memory:write")
@checked
def forget(query: ForgottenMemories) -> Response:
    """Forget a user: memories, versions, everything."""
    forgotten = wiring.memories().forget(tenant(), query.user_id, dry_run=query.dry_run)
    return answer(forgotten_members(forgotten))


@memories.get(_ONE, responses={200: MemoryShape, **NOT_FOUND})
@needs("memory:read")
@checked
def get_memory(path: MemoryPath) -> Response:
    """Get one memory."""
    return answer(memory_members(wiring.memories().get(tenant(), path.memory_id)))


@memories.patch(_ONE, responses={200: MemoryShape, **NOT_FOUND})
@needs("memory:write")
@checked
def revise(path: MemoryPath, body: ChangedMemory) -> Response:
    """Change a memory; its old version stays in the history."""
    revised = wiring.memories().revise(tenant(), path.memory_id, body.changes())
    return answer(memory_members(revised))


@memories.delete(_ONE, responses={204: None, **NOT_FOUND})
@needs("memory:write")
@checked
def delete_memory(path: MemoryPath) -> Response:
    """Delete a memory and its versions."""
    wiring.memories().delete(tenant(), path.memory_id)
    return no_content()


@memories.get(f"{_ONE}/history", responses={200: HistoryShape, **NOT_FOUND})
@needs("memory:read")
@checked
def history(path: MemoryPath) -> Response:
    """Show the versions of a memory, oldest first."""
    return answer(history_members(wiring.memories().history(tenant(), path.memory_id)))
