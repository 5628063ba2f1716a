"""What callers send about documents."""

from abc import abstractmethod
from typing import Annotated, Any, Self, cast

from flask import request
from pydantic import ConfigDict, Field, ValidationInfo, WithJsonSchema, field_validator
from werkzeug.datastructures import FileStorage

from memapp.errors import FieldError, InvalidInput
from memapp.filters import Filter
from memapp.ranking import Mode
from memapp.routes import strict_json
from memapp.routes.fields import (
    DOCUMENT_FILTER,
    MAX_FORMAT_CHARACTERS,
    MAX_RESULTS,
    MAX_SOURCE_CHARACTERS,
    CollectionName,
    DocumentIdentifier,
    Line,
    MetadataFields,
    Prose,
    QueryText,
    Source,
    Title,
    without_default,
)
from memapp.routes.multipart import UPLOAD, form_values
from memapp.routes.parsing import Body, Path, Query, examples, json_body
from memapp.routes.query_values import Cursor, PageSize
from memapp.services.documents import DEFAULT_COLLECTION, Ingest, Retrieval

MAX_COLLECTIONS = 16
MAX_CONTEXT_CHARACTERS = 1_000_000


class DocumentFields(Body):
    """What a document has besides its content."""

    id: DocumentIdentifier | None = Field(
        None, description="By default derived from the content.", examples=["handbook.md"]
    )
    collection: CollectionName = Field(
        DEFAULT_COLLECTION, description="The knowledge base it goes to."
    )
    title: Title | None = Field(None, description="By default the document's own.")
    source: Source | None = Field(None, description="Where it came from, for citations.")
    metadata: MetadataFields = Field({}, description="Your own keys.")
    format: Annotated[Line, Field(max_length=MAX_FORMAT_CHARACTERS)] | None = Field(
        None, description="How to read it; by default found out.", examples=["markdown"]
    )

    @abstractmethod
    def ingest(self) -> Ingest:
        """Return the document as services take it."""

    @classmethod
    def read(cls) -> Self:
        """Validate the body of the request at hand, JSON or multipart."""
        if request.mimetype == UPLOAD:
            return cast("Self", UploadedDocument.from_form())
        return cast("Self", NewDocument.from_json(json_body(or_else=f", or a file as '{UPLOAD}'")))


class NewDocument(DocumentFields):
    """A document to be ingested, as text."""

    model_config = examples(
        {
            "id": "handbook.md",
            "text": "# Leave\n\nEverybody has thirty days of leave a year.",
            "format": "markdown",
            "metadata": {"team": "people"},
        }
    )

    text: Prose = Field(description="The content.")

    def ingest(self) -> Ingest:
        """Return the document as services take it."""
        return Ingest(
            collection=self.collection,
            content=self.text.encode(),
            id=self.id,
            title=self.title,
            source=self.source,
            metadata=self.metadata,
            format=self.format,
            media_type=None,
            name="",
            is_text=True,
        )


class UploadedDocument(DocumentFields):
    """A document to be ingested, as a file."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    file: Annotated[FileStorage, WithJsonSchema({"type": "string", "format": "binary"})] = Field(
        description="The content."
    )
    source: Source | None = Field(
        None, description="Where it came from, for citations; by default the file's name."
    )

    @classmethod
    def from_form(cls) -> Self:
        """Validate the multipart body of the request at hand; metadata is JSON text in it."""
        values: dict[str, Any] = dict(form_values())
        if isinstance(values.get("metadata"), str):
            values["metadata"] = _json_field(values["metadata"], "/metadata")
        return cls.validated(values)

    def ingest(self) -> Ingest:
        """Return the document as services take it."""
        name = (self.file.filename or "").replace("\\", "/").rpartition("/")[2]
        return Ingest(
            collection=self.collection,
            content=self.file.read(),
            id=self.id,
            title=self.title,
            source=_citable(name) if self.source is None else self.source,
            metadata=self.metadata,
            format=self.format,
            media_type=self.file.mimetype or None,
            name=name,
        )


def _citable(name: str) -> str | None:
    """Return a file's name where it keeps the rules of a source, which its caller never chose."""
    is_fit = name.isprintable() and name.strip() and len(name) <= MAX_SOURCE_CHARACTERS
    return name if is_fit else None


def _json_field(text: str, pointer: str) -> Any:
    try:
        tree = strict_json.read(text.encode())
    except strict_json.MalformedJson as error:
        detail = str(error).replace("the body", "the field")
        raise InvalidInput([FieldError(pointer, detail)]) from error
    if faults := strict_json.faults(tree, pointer):
        raise InvalidInput(faults)
    return tree


class RetrievalQuestion(Body):
    """A question to some collections."""

    model_config = examples({"query": "How many days of leave do I have?", "limit": 3})

    query: QueryText = Field(description="The question.")
    collection: CollectionName | None = Field(
        None,
        description="Where to look; or give collections.",
        json_schema_extra={"default": DEFAULT_COLLECTION},
    )
    collections: Annotated[
        list[CollectionName], Field(min_length=1, max_length=MAX_COLLECTIONS)
    ] = Field([], description="Where to look, if in several.", json_schema_extra=without_default)
    limit: Annotated[int, Field(ge=1, le=MAX_RESULTS)] = Field(
        5, description="How many passages at most."
    )
    filter: Annotated[Filter, DOCUMENT_FILTER] | None = Field(
        None, description="What their documents must satisfy."
    )
    mode: Mode = Field("hybrid", description="Which evidence counts: meaning, words or both.")
    min_score: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="Passages below it are left out."
    )
    explain: bool = Field(default=False, description="Give the parts of each score.")
    max_characters: Annotated[int, Field(ge=1, le=MAX_CONTEXT_CHARACTERS)] | None = Field(
        None, description="Longest context; null sets no limit."
    )

    @field_validator("collections")
    @classmethod
    def _one_place(cls, names: list[str], info: ValidationInfo) -> list[str]:
        if info.data.get("collection") is not None:
            message = "must not be given together with collection"
            raise ValueError(message)
        return names

    def retrieval(self) -> Retrieval:
        """Return the question as services take it."""
        return Retrieval(
            query=self.query,
            collections=tuple(self.collections) or (self.collection or DEFAULT_COLLECTION,),
            limit=self.limit,
            condition=self.filter,
            mode=self.mode,
            min_score=self.min_score,
            explain=self.explain,
            max_characters=self.max_characters,
        )


class DocumentPath(Path):
    """Which document."""

    document_id: DocumentIdentifier = Field(description="The document's id, percent-encoded.")


class CollectionPath(Path):
    """Which collection."""

    name: CollectionName = Field(description="The collection's name.")


class InCollection(Query):
    """Where the document is."""

    collection: CollectionName = Field(DEFAULT_COLLECTION, description="The knowledge base.")


class ListedDocuments(InCollection):
    """Which documents to list."""

    limit: PageSize = Field(50, description="How many a page has.")
    cursor: Cursor | None = Field(None, description="next_cursor of the page before.")
