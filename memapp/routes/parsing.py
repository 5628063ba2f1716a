"""The door: what a request says becomes values that can be trusted, or a problem.

A view names what it takes by annotating `path`, `query`, `header` and `body` with the models below;
`checked` validates by them, and flask-openapi documents by the same annotations.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from http import HTTPStatus
from typing import Any, Self, TypeVar, get_type_hints
from urllib.parse import unquote_to_bytes

from flask import request
from pydantic import BaseModel, ConfigDict, ValidationError
from werkzeug.wrappers import Response

from memapp.errors import FieldError, InvalidInput
from memapp.routes import field_messages, strict_json
from memapp.routes.limits import limits
from memapp.routes.problems import Problem, Refused

_JSON = "application/json"

Location = Sequence[int | str]
"""Where a fault lies: names and list positions, from the outside in."""


class Part(BaseModel, ABC):
    """A part of a request; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @staticmethod
    @abstractmethod
    def pointer(location: Location) -> str:
        """Return how error messages name a place in this part."""

    @classmethod
    @abstractmethod
    def read(cls) -> Self:
        """Validate this part of the request at hand."""

    @classmethod
    def validated(cls, values: Any) -> Self:
        """Validate by this model and by the limits of the current app.

        Raises:
            InvalidInput: naming every fault.
        """
        try:
            return cls.model_validate(values, context=limits())
        except ValidationError as error:
            faults = field_messages.faults(error, cls)
        # Outside of the handler: pydantic's error holds what the caller sent.
        raise InvalidInput([FieldError(cls.pointer(place), text) for place, text in faults])


class Path(Part):
    """The variable parts of a URL's path."""

    @staticmethod
    def pointer(location: Location) -> str:
        """Return `{name}`, as in the path's template."""
        return f"{{{location[0]}}}"

    @classmethod
    def read(cls) -> Self:
        """Validate what routing took out of the path."""
        _utf8(request.environ["PATH_INFO"].encode("latin-1"), "the path")
        return cls.validated(request.view_args)


class Query(Part):
    """The parameters behind the `?`; each at most once."""

    @staticmethod
    def pointer(location: Location) -> str:
        """Return `?name`."""
        return f"?{strict_json.token(str(location[0]))}"

    @classmethod
    def read(cls) -> Self:
        """Validate the parameters."""
        values: dict[str, str] = {}
        repeated = []
        for name, value in _parameters(request.query_string):
            if name in values:
                repeated.append(FieldError(cls.pointer([name]), "must not be given twice"))
            values[name] = value
        if repeated:
            raise InvalidInput(repeated)
        return cls.validated(values)


class NoQuery(Query):
    """No parameters at all."""

    @classmethod
    def read(cls) -> Self:
        """Refuse whatever parameters there are."""
        return super().read() if request.environ.get("QUERY_STRING") else cls()


class Header(Part):
    """The headers that one route reads; the others are none of its business."""

    model_config = ConfigDict(extra="ignore")

    @staticmethod
    def pointer(location: Location) -> str:
        """Return the header's name."""
        return str(location[0])

    @classmethod
    def read(cls) -> Self:
        """Validate the headers."""
        names = [field.alias or name for name, field in cls.model_fields.items()]
        return cls.validated({n: request.headers[n] for n in names if n in request.headers})


class Body(Part):
    """A JSON object: the request's body, or an object within it."""

    model_config = ConfigDict(strict=True)

    @staticmethod
    def pointer(location: Location) -> str:
        """Return the JSON pointer (RFC 6901)."""
        return "".join(f"/{strict_json.token(str(part))}" for part in location)

    @classmethod
    def read(cls) -> Self:
        """Validate the body."""
        return cls.from_json(json_body())

    @classmethod
    def from_json(cls, tree: Any) -> Self:
        """Validate a value as `strict_json.read` gives it.

        Raises:
            InvalidInput: naming every fault.
        """
        if faults := strict_json.faults(tree):
            raise InvalidInput(faults)
        return cls.validated(tree)


_PARTS = ("path", "query", "header", "body")
_DECLARED = "memapp_parts"

View = TypeVar("View", bound=Callable[..., Response])


def examples(*bodies: dict[str, Any]) -> ConfigDict:
    """Return the configuration of a body's model that shows these in the document."""
    return ConfigDict(json_schema_extra={"examples": list(bodies)})


def checked(view: View) -> View:
    """Give a view its parts of the request, validated, before it runs.

    A view without `query` takes no query parameters.
    """
    hints = get_type_hints(view)
    declared: dict[str, type[Part]] = {name: hints[name] for name in _PARTS if name in hints}
    takes_query = "query" in declared

    @wraps(view)
    def parsed(**_: str) -> Response:
        if not takes_query:
            NoQuery.read()
        return view(**{name: part.read() for name, part in declared.items()})

    setattr(parsed, _DECLARED, declared)
    # flask-openapi's mark for a view that validates by itself: the library then only documents.
    parsed.__delay_validate_request__ = True  # type: ignore[attr-defined]
    return parsed  # type: ignore[return-value]


def parts_of(view: Callable[..., Any]) -> dict[str, type[Part]]:
    """Return the models of a view's parts of the request, by `path`, `query`, `header`, `body`."""
    parts: dict[str, type[Part]] = getattr(view, _DECLARED, {})
    return parts


def json_body(*, or_else: str = "") -> Any:
    """Decode the JSON body of the request at hand.

    Args:
        or_else: What the caller may send instead, for the message.

    Raises:
        Refused: there is no body, it is none of JSON, or not JSON at all.
    """
    asked = request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
    asked.max_content_length = limits().MAX_BODY_BYTES
    raw = asked.get_data(cache=False)
    if not raw:
        raise Refused(malformed("the request has no body; send a JSON object"))
    # What nearly all send is compared before it is taken apart.
    if asked.environ.get("CONTENT_TYPE") != _JSON and not _is_json_in_utf8():
        detail = f"send the body as 'Content-Type: {_JSON}', in UTF-8{or_else}"
        raise Refused(unsupported(detail))
    refuse_encoding()
    try:
        return strict_json.read(raw)
    except strict_json.MalformedJson as error:
        raise Refused(malformed(str(error))) from error


def refuse_encoding() -> None:
    """Refuse a compressed body; a few bytes of it could become gigabytes."""
    if request.environ.get("HTTP_CONTENT_ENCODING", "") not in {"", "identity"}:
        raise Refused(unsupported("send the body without a Content-Encoding"))


def malformed(detail: str) -> Problem:
    """Return the problem of a body that is not what its Content-Type says."""
    return Problem(HTTPStatus.BAD_REQUEST, "malformed_body", detail)


def unsupported(detail: str) -> Problem:
    """Return the problem of a body of a kind that the route does not read."""
    return Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)


def _is_json_in_utf8() -> bool:
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    return request.mimetype == _JSON and charset in {"utf-8", "utf8"}


def _parameters(query: bytes) -> Iterator[tuple[str, str]]:
    for pair in query.split(b"&"):
        if pair:
            name, _, value = pair.partition(b"=")
            yield _decoded(name), _decoded(value)


def _decoded(part: bytes) -> str:
    return _utf8(unquote_to_bytes(part.replace(b"+", b" ")), "the query string")


def _utf8(raw: bytes, where: str) -> str:
    # Werkzeug replaces bytes that are not UTF-8, and so would make one id of two.
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        detail = f"{where} is not UTF-8; percent-encode the UTF-8 bytes of each character"
        raise Refused(Problem(HTTPStatus.BAD_REQUEST, "malformed_url", detail)) from error
