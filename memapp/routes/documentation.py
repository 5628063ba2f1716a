"""`/openapi.json` and `/docs`: the API described, for programs and for people."""

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from threading import Lock
from typing import cast

import orjson
from flask import Blueprint, Flask, Response, current_app
from flask_openapi.openapi import OpenAPI

from memapp.routes.authentication import is_open
from memapp.routes.limits import limits
from memapp.routes.openapi import document
from memapp.routes.parsing import checked

_EXTENSION = "memapp.openapi"
_lock = Lock()

documentation = Blueprint("documentation", __name__)


def init_app(app: Flask) -> None:
    """Describe all routes of the app that are registered before its first request."""
    app.register_blueprint(documentation)


@documentation.get("/openapi.json")
@is_open
@checked
def openapi_json() -> Response:
    """Return the OpenAPI document."""
    with _lock:
        if _EXTENSION not in current_app.extensions:
            app = cast("OpenAPI", current_app)
            current_app.extensions[_EXTENSION] = orjson.dumps(document(app, limits()))
    return Response(current_app.extensions[_EXTENSION], mimetype="application/json")


@documentation.get("/docs")
@is_open
@checked
def docs() -> Response:
    """Return a page that shows the OpenAPI document; it needs nothing from elsewhere."""
    page = files("memapp.routes").joinpath("docs.html").read_text("utf-8")
    headers = {"Content-Security-Policy": _policy(page)}
    return Response(page, headers=headers, mimetype="text/html")


def _policy(page: str) -> str:
    """Let the page's own script and style run, and nothing else; it may ask nobody but memapp."""
    script = page.partition("<script>")[2].partition("</script>")[0]
    digest = b64encode(sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; connect-src 'self'; script-src 'sha256-{digest}'; "
        "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
