"""Who is asking, and what they may do: the key decides the tenant, the route names the scope.

The guard runs before every request. A route says what it needs with `needs(scope)` or `is_open`;
one that says neither (a plug-in's, perhaps) needs `admin`.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

from flask import Flask, current_app, g, request

from memapp.keys import SCOPES, Keyring, Principal
from memapp.routes.problems import Problem, Refused

DEFAULT_TENANT = "default"

_EXTENSION = "memapp.keyring"
_SCOPE = "memapp_scope"
_EVERYONE = Principal(DEFAULT_TENANT, frozenset(SCOPES))

View = TypeVar("View", bound=Callable[..., Any])


def needs(scope: str) -> Callable[[View], View]:
    """Let in only keys with a scope, one of `memapp.keys.SCOPES`."""
    if scope not in SCOPES:
        message = f"{scope!r} is not a scope; use one of {', '.join(SCOPES)}"
        raise ValueError(message)

    def mark(view: View) -> View:
        setattr(view, _SCOPE, scope)
        return view

    return mark


def is_open(view: View) -> View:
    """Let in everybody, with or without a key."""
    setattr(view, _SCOPE, None)
    return view


def scope_of(view: Callable[..., Any]) -> str | None:
    """Return the scope that a view needs, or None if it is open."""
    scope: str | None = getattr(view, _SCOPE, "admin")
    return scope


def init_app(app: Flask, keyring: Keyring | None) -> None:
    """Guard all routes of an app.

    Args:
        app: The app.
        keyring: The keys to let in; None lets everybody do everything, as one tenant.
    """
    app.extensions[_EXTENSION] = keyring
    app.before_request(_guard)


def tenant() -> str:
    """Return the tenant of the request at hand."""
    principal: Principal = g.principal
    return principal.tenant


def caller() -> Principal | None:
    """Return whose key the request at hand carries, or None if it has no key of this service."""
    keyring: Keyring | None = current_app.extensions[_EXTENSION]
    if keyring is None:
        return _EVERYONE
    authorization = request.authorization
    if authorization is None or authorization.type != "bearer" or not authorization.token:
        return None
    return keyring.find(authorization.token)


def _guard() -> None:
    if request.endpoint is None:
        return
    scope = scope_of(current_app.view_functions[request.endpoint])
    if scope is None:
        return
    principal = caller()
    if principal is None:
        raise Refused(_UNAUTHORIZED)
    if scope not in principal.scopes:
        detail = f"this key lacks the scope {scope}"
        raise Refused(Problem(HTTPStatus.FORBIDDEN, "forbidden", detail))
    g.principal = principal


_UNAUTHORIZED = Problem(
    HTTPStatus.UNAUTHORIZED,
    "unauthorized",
    "send a key of this service: 'Authorization: Bearer <key>'",
    headers={"WWW-Authenticate": 'Bearer realm="memapp"'},
)
