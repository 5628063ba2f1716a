"""What memapp answers about documents: the shapes, and how records take them."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import ConfigDict, Field

from memapp import rfc3339
from memapp.records import Chunk, CollectionSummary, Document, Passage
from memapp.routes.shapes import (
    Count,
    Explanation,
    MetadataShape,
    NextCursor,
    ProblemShape,
    Score,
    Shape,
    Time,
)
from memapp.services.documents import Ingested, Retrieved
from memapp.services.paging import Page

Members = dict[str, Any]


class DocumentShape(Shape):
    """A document, without its text."""

    model_config = ConfigDict(title="Document")

    id: str
    collection: str
    title: str
    source: str | None
    metadata: MetadataShape
    revision: int = Field(
        ge=1, description="One more for each changed ingest; two in one moment may share a number."
    )
    chunks: Count
    characters: Count
    created_at: Time
    updated_at: Time
    sha256: str = Field(description="Of what was ingested, and of how.")


class IngestedShape(DocumentShape):
    """A document that was there already, and was replaced or is unchanged."""

    model_config = ConfigDict(title="IngestedDocument")

    unchanged: Literal[True] = Field(default=True, description="Only if the content was the same.")


class DocumentPageShape(Shape):
    """A page of documents, newest first."""

    model_config = ConfigDict(title="DocumentPage")

    data: list[DocumentShape]
    next_cursor: NextCursor


class TextShape(Shape):
    """A document's whole text; chunks and passages give offsets in it, in code points."""

    model_config = ConfigDict(title="DocumentText")

    text: str


class ChunkShape(Shape):
    """A piece of a document: `text[start:end]` of its text."""

    model_config = ConfigDict(title="Chunk")

    index: Count
    text: str
    start: Count
    end: Count
    heading: str = Field(description='Path of headings above it, joined by " > "; may be empty.')
    page: int | None = Field(ge=1, description="Where it begins; null without pages.")


class ChunksShape(Shape):
    """A document's chunks, in order."""

    model_config = ConfigDict(title="Chunks")

    data: list[ChunkShape]


class CollectionShape(Shape):
    """A knowledge base and its size."""

    model_config = ConfigDict(title="Collection")

    name: str
    documents: Count
    chunks: Count


class CollectionsShape(Shape):
    """The knowledge bases, by name."""

    model_config = ConfigDict(title="Collections")

    data: list[CollectionShape]


class PassageShape(Shape):
    """A piece of a document that answers a question, and where it stands."""

    model_config = ConfigDict(title="Passage")

    text: str
    score: Score
    document_id: str
    collection: str
    title: str
    source: str | None
    page: int | None = Field(ge=1, description="Where it begins; null without pages.")
    heading: str
    start: Count
    end: Count
    revision: int = Field(ge=1)
    metadata: MetadataShape
    explanation: Explanation = Field({})


class RetrievedShape(Shape):
    """Passages that answer a question, best first."""

    model_config = ConfigDict(title="RetrievedPassages")

    data: list[PassageShape]
    context: str = Field(description="The passages, numbered and quoted for a prompt.")


class ProgressShape(Shape):
    """A line of a streamed ingest: `done` of `total` chunks are stored."""

    model_config = ConfigDict(title="IngestProgress")

    event: Literal["progress"]
    done: Count
    total: Count


class DoneShape(Shape):
    """The last line of a streamed ingest."""

    model_config = ConfigDict(title="IngestDone")

    event: Literal["done"]
    document: IngestedShape


class FailedShape(ProblemShape):
    """The last line of a streamed ingest that failed; the document is as it was before."""

    model_config = ConfigDict(title="IngestError")

    event: Literal["error"]


def document_members(document: Document) -> Members:
    """Return a document as JSON members."""
    return {
        "id": document.id,
        "collection": document.collection,
        "title": document.title,
        "source": document.source,
        "metadata": document.metadata,
        "revision": document.revision,
        "chunks": document.chunks,
        "characters": document.characters,
        "created_at": rfc3339.write(document.created_at),
        "updated_at": rfc3339.write(document.updated_at),
        "sha256": document.sha256,
    }


def ingested_members(ingested: Ingested) -> Members:
    """Return an ingested document, marked if nothing changed."""
    members = document_members(ingested.document)
    return {**members, "unchanged": True} if ingested.outcome == "unchanged" else members


def page_members(page: Page[Document]) -> Members:
    """Return a page of documents."""
    return {"data": [document_members(d) for d in page.items], "next_cursor": page.next_cursor}


def chunks_members(chunks: Sequence[Chunk]) -> Members:
    """Return a document's chunks."""
    return {"data": [_chunk_members(chunk) for chunk in chunks]}


def collections_members(collections: Sequence[CollectionSummary]) -> Members:
    """Return collections with their sizes."""
    return {
        "data": [
            {"name": c.name, "documents": c.documents, "chunks": c.chunks} for c in collections
        ]
    }


def retrieved_members(retrieved: Retrieved) -> Members:
    """Return passages, and the same for a prompt."""
    return {
        "data": [_passage_members(passage) for passage in retrieved.passages],
        "context": retrieved.context,
    }


def _chunk_members(chunk: Chunk) -> Members:
    return {
        "index": chunk.index,
        "text": chunk.text,
        "start": chunk.start,
        "end": chunk.end,
        "heading": chunk.heading,
        "page": chunk.page,
    }


def _passage_members(passage: Passage) -> Members:
    document, chunk = passage.document, passage.chunk
    members = {
        "text": chunk.text,
        "score": passage.score,
        "document_id": document.id,
        "collection": document.collection,
        "title": document.title,
        "source": document.source,
        "page": chunk.page,
        "heading": chunk.heading,
        "start": chunk.start,
        "end": chunk.end,
        "revision": document.revision,
        "metadata": document.metadata,
    }
    if passage.explanation is not None:
        members["explanation"] = passage.explanation
    return members
