"""The OpenAPI 3.1 document, made of the declarations that validate the requests.

flask-openapi collects the operations. Its models know only part of JSON Schema, so the schemas
are taken from pydantic itself; what all routes share (keys, limits, problems) is added here.
"""

import re
from collections.abc import Iterator
from importlib.metadata import version
from inspect import isabstract
from typing import Any

from flask_openapi.openapi import OpenAPI
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from werkzeug.routing import Rule

from memapp.routes.authentication import scope_of
from memapp.routes.fields import FILTERS
from memapp.routes.limits import Limits
from memapp.routes.parsing import Body, Part, parts_of
from memapp.routes.problem_responses import problem_response
from memapp.routes.shapes import Shape

Schema = dict[str, Any]

_INFO = {
    "title": "memapp",
    "summary": "Semantic memory and RAG retrieval over Chroma.",
    "description": (
        "Times are RFC 3339 in UTC, ids are opaque. Errors are `application/problem+json` "
        "(RFC 9457). Every answer carries `X-Request-ID`: the caller's, or a new one."
    ),
    "license": {"name": "MIT", "identifier": "MIT"},
}

_REFERENCE = "#/components/schemas/{model}"
_KEY = {
    "type": "http",
    "scheme": "bearer",
    "description": "A key made by `memapp keys new`; it decides the tenant and the scopes.",
}
_REQUEST_ID = {"description": "The id of this request in the log.", "schema": {"type": "string"}}

_EVERYWHERE = {
    400: problem_response("The URL or the body cannot be read."),
    422: problem_response("Fields break rules; `errors` names each."),
    500: problem_response("memapp failed; the log has the cause."),
}
_WITH_A_BODY = {
    408: problem_response("The body came too slowly."),
    413: problem_response("The body is larger than a setting allows."),
    415: problem_response("The body is of a kind that is not read."),
}
_BEHIND_A_KEY = {
    401: problem_response("There is no key, or it is not one of this service."),
    403: problem_response("The key lacks the scope."),
    409: problem_response("The request contradicts what is stored, or what it was stored with."),
    503: problem_response("Chroma or the embedder cannot answer now; see `Retry-After`."),
}


def document(app: OpenAPI, limits: Limits) -> Schema:
    """Return the document of an app. Call it once, when all routes are registered.

    Args:
        app: The app.
        limits: Of this app; they become `maxLength` and `maxItems`.
    """
    app.openapi_version = "3.1.0"
    spec = {**app.api_doc, "info": {**_INFO, "version": version("memapp")}}
    names, schemas = _schemas()
    for rule in app.url_map.iter_rules():
        path = spec["paths"].get(template_of(rule), {})
        for method in (rule.methods or set()) & {m.upper() for m in path}:
            _complete(path[method.lower()], app, rule)
    spec["components"] = {
        "schemas": schemas,
        "securitySchemes": {"key": _KEY},
        "headers": {"RequestId": _REQUEST_ID},
    }
    resolved: Schema = _resolved(spec, limits, names)
    return resolved


def template_of(rule: Rule) -> str:
    """Return a path as OpenAPI writes it: `/x/{name}` for `/x/<converter:name>`."""
    return re.sub(r"<(?:[^<>:]+:)?([^<>]+)>", r"{\1}", rule.rule)


def _schemas() -> tuple[dict[str, str], dict[str, Schema]]:
    """Return the components, and their names by the names of their classes."""
    models: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        *((model, "serialization") for model in _heirs(Shape)),
        *((model, "validation") for model in _heirs(Body)),
    ]
    _, definitions = models_json_schema(models, ref_template=_REFERENCE)
    names = {key: schema["title"] for key, schema in definitions["$defs"].items()}
    schemas = {names[key]: schema for key, schema in definitions["$defs"].items()}
    return names, schemas | {name: over.schema() for name, over in FILTERS.items()}


def _heirs(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for heir in model.__subclasses__():
        if not isabstract(heir):
            yield heir
        yield from _heirs(heir)


def _complete(operation: Schema, app: OpenAPI, rule: Rule) -> None:
    view = app.view_functions[rule.endpoint]
    parts = parts_of(view)
    for parameter in operation.get("parameters", []):
        parameter.update(_parameter(parts, parameter["name"]))
    responses = dict(_EVERYWHERE)
    if "requestBody" in operation:
        responses |= _WITH_A_BODY
    scope = scope_of(view)
    if scope is not None:
        responses |= _BEHIND_A_KEY
        operation["security"] = [{"key": []}]
        operation["description"] = f"Needs the scope `{scope}`."
    named = {str(status): response for status, response in responses.items()}
    own = {k: v for k, v in operation["responses"].items() if k != "422" or "422" not in named}
    operation["responses"] = {
        status: {
            **response,
            "headers": {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}},
        }
        for status, response in sorted({**named, **own}.items())
    }


def _parameter(parts: dict[str, type[Part]], name: str) -> Schema:
    """Return schema and description of a parameter, which flask-openapi knows only in part."""
    for part in parts.values():
        schema = part.model_json_schema(ref_template=_REFERENCE)["properties"].get(name)
        if schema is not None:
            description = schema.pop("description")
            # Left out is how a parameter is null.
            options = [s for s in schema.pop("anyOf", []) if s.get("type") != "null"]
            kept = {k: v for k, v in schema.items() if k != "title" and v is not None}
            return {"description": description, "schema": {**(options or [{}])[0], **kept}}
    return {}


def _resolved(node: Any, limits: Limits, names: dict[str, str]) -> Any:
    """Put in the numbers and names that declarations leave open."""
    if isinstance(node, list):
        return [_resolved(item, limits, names) for item in node]
    if not isinstance(node, dict):
        return node
    found: Schema = {}
    for key, value in node.items():
        if key == "x-limit":
            found |= {keyword: getattr(limits, setting) for keyword, setting in value.items()}
        elif key == "x-component":
            found["$ref"] = _REFERENCE.format(model=value)
        elif key == "$ref":
            prefix, _, name = value.rpartition("/")
            found[key] = f"{prefix}/{names.get(name, name)}"
        else:
            found[key] = _resolved(value, limits, names)
    return found
