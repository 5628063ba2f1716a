"""`/v1/rag`: ingest documents, and retrieve passages that can be cited."""

from http import HTTPStatus

from flask import Response
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.tag import Tag

from memapp import wiring
from memapp.routes.answering import NDJSON, answer, no_content
from memapp.routes.authentication import needs, tenant
from memapp.routes.document_requests import (
    CollectionPath,
    DocumentFields,
    DocumentPath,
    InCollection,
    ListedDocuments,
    RetrievalQuestion,
)
from memapp.routes.document_shapes import (
    ChunksShape,
    CollectionsShape,
    DocumentPageShape,
    DocumentShape,
    RetrievedShape,
    TextShape,
    chunks_members,
    collections_members,
    document_members,
    ingested_members,
    page_members,
    retrieved_members,
)
from memapp.routes.ingest_stream import streamed, wants_stream
from memapp.routes.multipart import UPLOAD
from memapp.routes.parsing import checked
from memapp.routes.problem_responses import NOT_FOUND, reference

rag = APIBlueprint(
    "rag",
    __name__,
    url_prefix="/v1/rag",
    abp_tags=[Tag(name="Documents", description="Documents in, cited passages out.")],
)

_CONTENT = {
    "required": True,
    "content": {
        "application/json": {"schema": reference("NewDocument")},
        UPLOAD: {"schema": reference("UploadedDocument")},
    },
}
_REPLACED = {
    "description": "The document was replaced, or is unchanged; or the ingest is streamed.",
    "content": {
        "application/json": {"schema": reference("IngestedDocument")},
        NDJSON: {
            "schema": {
                "oneOf": [
                    reference("IngestProgress"),
                    reference("IngestDone"),
                    reference("IngestError"),
                ]
            }
        },
    },
}


@rag.post("/documents", responses={201: DocumentShape, 200: _REPLACED}, request_body=_CONTENT)
@needs("rag:write")
@checked
def ingest(body: DocumentFields) -> Response:
    """Ingest a document; `Accept: application/x-ndjson` streams the progress."""
    if wants_stream():
        return streamed(wiring.documents().ingest_steps(tenant(), body.ingest()))
    ingested = wiring.documents().ingest(tenant(), body.ingest())
    status = HTTPStatus.CREATED if ingested.outcome == "created" else HTTPStatus.OK
    return answer(ingested_members(ingested), status)


@rag.get("/documents", responses={200: DocumentPageShape, **NOT_FOUND})
@needs("rag:read")
@checked
def list_documents(query: ListedDocuments) -> Response:
    """List a collection's documents, newest first."""
    page = wiring.documents().page(
        tenant(), query.collection, limit=query.limit, cursor=query.cursor
    )
    return answer(page_members(page))


@rag.get("/documents/<anything:document_id>", responses={200: DocumentShape, **NOT_FOUND})
@needs("rag:read")
@checked
def get_document(path: DocumentPath, query: InCollection) -> Response:
    """Get one document, without its text."""
    document = wiring.documents().get(tenant(), query.collection, path.document_id)
    return answer(document_members(document))


@rag.get("/documents/<anything:document_id>/text", responses={200: TextShape, **NOT_FOUND})
@needs("rag:read")
@checked
def get_text(path: DocumentPath, query: InCollection) -> Response:
    """Get a document's whole text."""
    return answer({"text": wiring.documents().text(tenant(), query.collection, path.document_id)})


@rag.get("/documents/<anything:document_id>/chunks", responses={200: ChunksShape, **NOT_FOUND})
@needs("rag:read")
@checked
def get_chunks(path: DocumentPath, query: InCollection) -> Response:
    """Get a document's chunks, in order."""
    chunks = wiring.documents().chunks(tenant(), query.collection, path.document_id)
    return answer(chunks_members(chunks))


@rag.delete("/documents/<anything:document_id>", responses={204: None, **NOT_FOUND})
@needs("rag:write")
@checked
def delete_document(path: DocumentPath, query: InCollection) -> Response:
    """Delete a document with its chunks."""
    wiring.documents().delete(tenant(), query.collection, path.document_id)
    return no_content()


@rag.get("/collections", responses={200: CollectionsShape})
@needs("rag:read")
@checked
def list_collections() -> Response:
    """List the collections with their sizes, by name."""
    return answer(collections_members(wiring.documents().collections(tenant())))


@rag.delete("/collections/<name>", responses={204: None, **NOT_FOUND})
@needs("rag:write")
@checked
def drop_collection(path: CollectionPath) -> Response:
    """Drop a collection with all its documents."""
    wiring.documents().drop(tenant(), path.name)
    return no_content()


@rag.post("/retrieve", responses={200: RetrievedShape, **NOT_FOUND})
@needs("rag:read")
@checked
def retrieve(body: RetrievalQuestion) -> Response:
    """Find passages that answer a question, best first."""
    return answer(retrieved_members(wiring.documents().retrieve(tenant(), body.retrieval())))
