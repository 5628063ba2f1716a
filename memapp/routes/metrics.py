"""`/metrics`: requests counted and timed, for Prometheus.

A request is known by its route's template and its method, never by anything else that callers can
choose: each combination is kept for good. Scrapes are not measured; Prometheus does so itself.
"""

import time
from dataclasses import dataclass, field
from functools import partial
from http import HTTPMethod

from flask import Response, request
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.tag import Tag
from flask_openapi.openapi import OpenAPI

from memapp import wiring
from memapp.instruments import Instruments
from memapp.routes.authentication import needs
from memapp.routes.openapi import template_of
from memapp.routes.parsing import checked

UNMATCHED = "unmatched"
"""Stands for the routes of all requests that no route takes."""

OTHER_METHOD = "other"

_METHODS = frozenset(HTTPMethod)
_MEASURED = "memapp.measured"
_SCRAPE = "metrics.scrape"
_TEXT = {
    "description": "Everything measured, in Prometheus's text format.",
    "content": {"text/plain": {"schema": {"type": "string"}}},
}

metrics = APIBlueprint(
    "metrics", __name__, abp_tags=[Tag(name="Metrics", description="For Prometheus.")]
)


def init_app(app: OpenAPI) -> None:
    """Measure the requests of the app, and serve what was measured."""
    app.before_request(_begin)
    app.after_request(_end)
    app.teardown_request(_give_up)
    app.register_api(metrics)


@metrics.get("/metrics", responses={200: _TEXT})
@needs("admin")
@checked
def scrape() -> Response:
    """Tell what all workers of this gunicorn have measured, of all tenants together."""
    told = wiring.instruments().tell()
    return Response(told.text, content_type=told.content_type)


@dataclass(slots=True)
class _Measured:
    """One request while it is answered."""

    instruments: Instruments
    method: str
    route: str
    began: float = field(default_factory=time.perf_counter)

    def end(self, status: int) -> None:
        seconds = time.perf_counter() - self.began
        self.instruments.end_request(self.method, self.route, status, seconds)


def _begin() -> None:
    rule, method = request.url_rule, request.method
    if rule is not None and rule.endpoint == _SCRAPE:
        return
    measured = _Measured(
        wiring.instruments(),
        method if method in _METHODS else OTHER_METHOD,
        UNMATCHED if rule is None else template_of(rule),
    )
    request.environ[_MEASURED] = measured
    measured.instruments.begin_request()


def _end(response: Response) -> Response:
    measured: _Measured | None = request.environ.pop(_MEASURED, None)
    if measured is None:
        return response
    if response.is_streamed:
        response.call_on_close(partial(measured.end, response.status_code))
    else:
        measured.end(response.status_code)
    return response


def _give_up(_error: BaseException | None) -> None:
    """End a request whose answer was never finished; Flask then answers 500 by itself."""
    measured: _Measured | None = request.environ.pop(_MEASURED, None)
    if measured is not None:
        measured.end(500)
