"""What callers send about memories."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self

import orjson
from pydantic import Field, ValidationInfo, WithJsonSchema, field_validator, model_validator

from memapp.errors import FieldError, InvalidInput
from memapp.filters import Filter
from memapp.ranking import Mode
from memapp.records import MemoryDraft, MemoryScope
from memapp.routes import strict_json
from memapp.routes.fields import (
    MAX_RESULTS,
    MAX_TTL_SECONDS,
    MEMORY_FILTER,
    Identifier,
    LimitedBy,
    MemoryText,
    MetadataFields,
    Moment,
    QueryText,
    without_default,
)
from memapp.routes.parsing import Body, Header, Path, Query, examples
from memapp.routes.query_values import Cursor, FilterText, PageSize, Truth
from memapp.services.memories import UNSET, MemoryChanges, MemorySearch


def _in_the_future(moment: datetime | None) -> datetime | None:
    if moment is not None and moment <= datetime.now(UTC):
        message = "must be in the future"
        raise ValueError(message)
    return moment


class NewMemory(Body):
    """A memory to be stored."""

    model_config = examples(
        {
            "user_id": "ann",
            "text": "I am allergic to peanuts.",
            "speaker": "Ann",
            "occurred_at": "2026-01-31T12:00:00Z",
            "session_id": "chat-17",
            "metadata": {"topic": "food"},
        }
    )

    user_id: Identifier = Field(description="Whose memory it is: a person, an agent, a team.")
    text: MemoryText = Field(description="What is remembered.")
    speaker: Identifier | None = Field(None, description="Who said it.")
    occurred_at: Moment | None = Field(
        None, description="When it was said or happened; by default, when it is stored."
    )
    agent_id: Identifier | None = Field(None, description="The agent it came through.")
    session_id: Identifier | None = Field(None, description="The conversation it belongs to.")
    metadata: MetadataFields = Field({}, description="Your own keys.")
    expires_at: Moment | None = Field(None, description="From then on it is not found any more.")
    ttl_seconds: Annotated[int, Field(ge=1, le=MAX_TTL_SECONDS)] | None = Field(
        None, description="Seconds until it expires; instead of expires_at."
    )

    _expires_later = field_validator("expires_at")(_in_the_future)

    @field_validator("ttl_seconds")
    @classmethod
    def _one_expiry(cls, seconds: int | None, info: ValidationInfo) -> int | None:
        if seconds is not None and info.data.get("expires_at") is not None:
            message = "must not be given together with expires_at"
            raise ValueError(message)
        return seconds

    def fingerprint(self) -> str:
        """Return a digest of what the caller sent, whatever its spelling as JSON."""
        sent = self.model_dump(exclude_defaults=True)
        return hashlib.sha256(orjson.dumps(sent, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def draft(self) -> MemoryDraft:
        """Return the memory as services take it."""
        expires_at = self.expires_at
        if self.ttl_seconds is not None:
            expires_at = datetime.now(UTC) + timedelta(seconds=self.ttl_seconds)
        return MemoryDraft(
            user_id=self.user_id,
            text=self.text,
            speaker=self.speaker,
            occurred_at=self.occurred_at,
            agent_id=self.agent_id,
            session_id=self.session_id,
            metadata=self.metadata,
            expires_at=expires_at,
        )


class MemoryBatch(Body):
    """Memories to be stored together; each is validated by itself."""

    model_config = examples(
        {
            "memories": [
                {"user_id": "ann", "text": "I moved to Oslo in May."},
                {"user_id": "ann", "text": "My cat is called Miso.", "ttl_seconds": 86400},
            ]
        }
    )

    memories: Annotated[
        list[Annotated[Any, WithJsonSchema({"x-component": "NewMemory"})]],
        Field(min_length=1),
        LimitedBy("MAX_BATCH_ITEMS", of="items"),
    ]

    @classmethod
    def from_json(cls, tree: Any) -> Self:
        """Validate all but the items, which `drafts` looks at one by one."""
        outer = [f for f in strict_json.faults(tree) if not f.pointer.startswith("/memories/")]
        if outer:
            raise InvalidInput(outer)
        return cls.validated(tree)

    def drafts(self) -> list[MemoryDraft | InvalidInput]:
        """Return each item as services take it, or what is wrong with it."""
        return [_draft(item, f"/memories/{index}") for index, item in enumerate(self.memories)]


def _draft(item: Any, pointer: str) -> MemoryDraft | InvalidInput:
    try:
        return NewMemory.from_json(item).draft()
    except InvalidInput as error:
        return InvalidInput([FieldError(pointer + e.pointer, e.detail) for e in error.errors])


class ChangedMemory(Body):
    """What to change of a memory; what is left out stays as it is."""

    model_config = examples({"text": "I am allergic to peanuts and walnuts."})

    text: MemoryText = Field("", description="The new text.", json_schema_extra=without_default)
    metadata: MetadataFields = Field(
        {}, description="Replaces all of the keys there are.", json_schema_extra=without_default
    )
    expires_at: Moment | None = Field(None, description="null never expires.")

    _expires_later = field_validator("expires_at")(_in_the_future)

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            message = "must change something: give text, metadata or expires_at"
            raise ValueError(message)
        return self

    def changes(self) -> MemoryChanges:
        """Return the changes as services take them."""
        given = self.model_fields_set
        return MemoryChanges(
            text=self.text if "text" in given else UNSET,
            metadata=self.metadata if "metadata" in given else UNSET,
            expires_at=self.expires_at if "expires_at" in given else UNSET,
        )


class Search(Body):
    """A question to a user's memories."""

    model_config = examples(
        {
            "user_id": "ann",
            "query": "What must Ann not eat?",
            "limit": 5,
            "filter": {"metadata.topic": "food"},
        }
    )

    user_id: Identifier = Field(description="Whose memories may answer.")
    query: QueryText = Field(description="The question.")
    limit: Annotated[int, Field(ge=1, le=MAX_RESULTS)] = Field(
        10, description="How many results at most."
    )
    agent_id: Identifier | None = Field(None, description="Only memories of this agent.")
    session_id: Identifier | None = Field(None, description="Only those of this conversation.")
    filter: Annotated[Filter, MEMORY_FILTER] | None = Field(
        None, description="What results must satisfy."
    )
    mode: Mode = Field("hybrid", description="Which evidence counts: meaning, words or both.")
    min_score: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="Results below it are left out."
    )
    speaker_boost: bool = Field(
        default=True, description="Prefer what a speaker said whom the query names."
    )
    explain: bool = Field(default=False, description="Give the parts of each score.")

    def search(self) -> MemorySearch:
        """Return the question as services take it."""
        return MemorySearch(
            scope=MemoryScope(self.user_id, self.agent_id, self.session_id),
            query=self.query,
            limit=self.limit,
            condition=self.filter,
            mode=self.mode,
            min_score=self.min_score,
            speaker_boost=self.speaker_boost,
            explain=self.explain,
        )


class MemoryPath(Path):
    """Which memory."""

    memory_id: Identifier = Field(description="The memory's id.")


class IdempotencyHeader(Header):
    """Makes repeating a request harmless."""

    idempotency_key: Identifier | None = Field(
        None,
        alias="Idempotency-Key",
        description="The same key and body, sent again, make one memory.",
    )


class ListedMemories(Query):
    """Which memories to list."""

    user_id: Identifier = Field(description="Whose memories.")
    agent_id: Identifier | None = Field(None, description="Only memories of this agent.")
    session_id: Identifier | None = Field(None, description="Only those of this conversation.")
    filter: Annotated[Filter, FilterText(MEMORY_FILTER)] | None = Field(
        None, description="What they must satisfy, as JSON."
    )
    limit: PageSize = Field(50, description="How many a page has.")
    cursor: Cursor | None = Field(None, description="next_cursor of the page before.")

    @property
    def scope(self) -> MemoryScope:
        """The memories asked for."""
        return MemoryScope(self.user_id, self.agent_id, self.session_id)


class ForgottenMemories(Query):
    """Whom to forget."""

    user_id: Identifier = Field(description="Whom.")
    dry_run: Truth = Field(default=False, description="Only count.")
