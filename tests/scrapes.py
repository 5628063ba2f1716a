"""Read what `/metrics` tells, as Prometheus does."""

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

REQUESTS = "memapp_http_requests_total"
IN_PROGRESS = "memapp_http_requests_in_progress"
DURATIONS = "memapp_http_request_duration_seconds"

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: str) -> Samples:
    """Return values by name and labels; each comes once."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found
            found[key] = sample.value
    return found


def value(text: str, name: str, **labels: str) -> float:
    """Return one value; 0 where it is not told."""
    return samples(text).get((name, frozenset(labels.items())), 0.0)


def counted(text: str) -> list[tuple[str, str, str]]:
    """Return method, route and status of all that was counted; the test client's own is left out.

    That asks for `/openapi.json`, to hold answers against it.
    """
    found = (dict(labels) for name, labels in samples(text) if name == REQUESTS)
    all_of_them = sorted((one["method"], one["route"], one["status"]) for one in found)
    return [one for one in all_of_them if one[1] != "/openapi.json"]


def answered(text: str, route: str, status: int = 200, method: str = "GET") -> float:
    """Return how many requests were answered so."""
    return value(text, REQUESTS, method=method, route=route, status=str(status))


def in_progress(text: str) -> float:
    """Return how many requests are being answered; it must be told."""
    return samples(text)[IN_PROGRESS, frozenset()]
