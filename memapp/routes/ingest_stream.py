"""An ingest that tells how far it is: one JSON object a line (NDJSON)."""

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any, cast

from flask import Response, request

from memapp.errors import MemappError
from memapp.routes.answering import JSON, NDJSON, json_bytes
from memapp.routes.document_shapes import ingested_members
from memapp.routes.problems import problem_of
from memapp.routes.request_ids import request_id, resume
from memapp.services.documents import Ingested, IngestProgress

Steps = Iterator[IngestProgress | Ingested]


def wants_stream() -> bool:
    """Tell whether the request at hand prefers lines of progress to one answer."""
    return request.accept_mimetypes.best_match([JSON, NDJSON]) == NDJSON


def streamed(steps: Steps) -> Response:
    """Return a response that performs an ingest while it is read.

    What is wrong with the input shows at the first step, and is a problem like any other. A fault
    after that is the last line; a stream that ends with neither `done` nor `error` was cut off.

    Args:
        steps: Of the ingest; if the caller goes away it is closed, and nothing changes.
    """
    first = next(steps)
    # Proxies such as nginx would keep the lines back to send them all at once.
    headers = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
    return Response(_lines(first, steps, request_id()), headers=headers, mimetype=NDJSON)


def _lines(first: IngestProgress | Ingested, steps: Steps, caller: str) -> Iterator[bytes]:
    with closing(cast("Generator[IngestProgress | Ingested]", steps)):
        yield _line(first)
        try:
            for step in steps:
                yield _line(step)
        except MemappError as error:
            resume(caller)  # The server reads the stream when the request is over.
            yield json_bytes({"event": "error", **problem_of(error).document()}) + b"\n"


def _line(step: IngestProgress | Ingested) -> bytes:
    return json_bytes(_event(step)) + b"\n"


def _event(step: IngestProgress | Ingested) -> dict[str, Any]:
    if isinstance(step, Ingested):
        return {"event": "done", "document": ingested_members(step)}
    return {"event": "progress", "done": step.done, "total": step.total}
