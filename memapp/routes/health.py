"""`/health`: does the process answer, does Chroma, and should a balancer send requests here?"""

from functools import cache
from http import HTTPStatus
from importlib.metadata import version

from flask import Response, current_app, request
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.tag import Tag

from memapp import wiring
from memapp.routes.answering import answer
from memapp.routes.authentication import caller, is_open
from memapp.routes.health_shapes import (
    ChromaHealthShape,
    HealthShape,
    ReadyShape,
)
from memapp.routes.parsing import checked
from memapp.routes.problem_responses import UNAVAILABLE
from memapp.routes.problems import Problem, Refused

# The server says so (`memapp.serving.DRAINING`) once it has been told to stop.
DRAINING = "memapp.draining"

health = APIBlueprint(
    "health",
    __name__,
    url_prefix="/health",
    abp_tags=[Tag(name="Health", description="Is it up, and is Chroma?")],
)


@health.get("", responses={200: HealthShape})
@is_open
@checked
def liveness() -> Response:
    """Tell that the process answers; touches nothing outside of it."""
    return answer(
        {
            "status": "ok",
            "service": "memapp",
            "version": _version(),
            "environment": current_app.config["ENVIRONMENT"],
            "mode": current_app.config["CHROMA_MODE"],
        }
    )


@health.get("/chromadb", responses={200: ChromaHealthShape, **UNAVAILABLE})
@is_open
@checked
def chromadb() -> Response:
    """Tell whether Chroma works, by using it; counts need the scope `admin`."""
    chroma = wiring.health()
    members = {
        "status": "connected",
        "mode": current_app.config["CHROMA_MODE"],
        "latency_ms": round(chroma.latency() * 1000, 3),
        "auth": chroma.token_check(),
    }
    principal = caller()
    if principal is not None and "admin" in principal.scopes:
        members |= wiring.counts(principal.tenant)
    return answer(members)


@health.get("/ready", responses={200: ReadyShape, **UNAVAILABLE})
@is_open
@checked
def readiness() -> Response:
    """Tell whether to send requests here: not while stopping, and not without Chroma."""
    if request.environ.get(DRAINING):
        raise Refused(_DRAINING)
    wiring.health().latency()
    return answer({"status": "ready"})


@cache
def _version() -> str:
    return version("memapp")  # It reads a file.


_DRAINING = Problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "draining",
    "memapp is about to stop; send requests to another process",
    headers={"Retry-After": "5"},
)
