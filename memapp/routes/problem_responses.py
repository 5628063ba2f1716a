"""How the OpenAPI document describes answers that are problems."""

from http import HTTPStatus
from typing import Any

from flask_openapi.models.response import Response
from pydantic import BaseModel

from memapp.routes.problems import MEDIA_TYPE

Responses = dict[str | int | HTTPStatus, type[BaseModel] | Response | dict[str, Any] | None]
"""As flask-openapi takes them."""


def reference(model: str) -> dict[str, Any]:
    """Return what stands for a model's schema."""
    return {"$ref": f"#/components/schemas/{model}"}


def problem_response(description: str) -> dict[str, Any]:
    """Return the description of an answer that is a problem."""
    return {"description": description, "content": {MEDIA_TYPE: {"schema": reference("Problem")}}}


NOT_FOUND: Responses = {404: problem_response("There is nothing with this id.")}
UNAVAILABLE: Responses = {503: problem_response("It does not, for now; see `Retry-After`.")}
