"""What memapp measures for Prometheus, and how it is told.

Without a place (see `worker_places`) a process tells what it measured itself; the workers of a
gunicorn each tell what all of them did. Knows prometheus_client, which is optional: nobody else
imports it, and nothing here does before it is asked to.
"""

import functools
import os
import threading
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from memapp import worker_places
from memapp.errors import ConfigurationError
from memapp.worker_places import Place

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

# From a search that is answered from a worker's own copy to the ingest of a large file.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Told:
    """What was measured, as Prometheus reads it."""

    text: bytes
    content_type: str


def refuse_missing_library() -> None:
    """Refuse to measure without the library.

    Raises:
        ConfigurationError: prometheus_client is not installed.
    """
    if find_spec("prometheus_client") is None:
        fault = (
            "METRICS: needs prometheus_client; pip install 'memapp[metrics]', or leave METRICS off"
        )
        raise ConfigurationError(fault)


def make_instruments() -> "Instruments":
    """Return instruments of this process; in a place they are the same ones for all its apps."""
    place = worker_places.own()
    if place is None:
        return Instruments(None)
    with _lock:  # Two that write to the files of one place would destroy them.
        return _in_place(place)


class Instruments:
    """Counts requests, calls to Chroma and calls of the embedder, and times them.

    Safe for many threads; to be made after a fork.
    """

    def __init__(self, place: Place | None) -> None:
        """Begin to count, or go on where others left the place."""
        # Imported here, for it is optional.
        from prometheus_client import (  # noqa: PLC0415
            CollectorRegistry,
            Counter,
            Gauge,
            Histogram,
            disable_created_metrics,
            values,
        )

        self._folder = None if place is None else place.folder
        if place is None:
            values.ValueClass = values.MutexValue
        else:
            # The library has chosen when it was imported, perhaps before there was a place.
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(place.folder)
            values.ValueClass = values.MultiProcessValue(  # type: ignore[no-untyped-call]
                lambda: place.number
            )
        # They double the series, and are not known where several processes count.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "memapp_http_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._durations = Histogram(
            "memapp_http_request_duration_seconds",
            "Time until the answer was made; of a stream, until it ended.",
            ["method", "route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._in_progress = Gauge(
            "memapp_http_requests_in_progress",
            "Requests that are being answered.",
            multiprocess_mode="livesum",
            registry=self._registry,
        )
        self._chroma = Histogram(
            "memapp_chroma_call_duration_seconds",
            "Time of calls to Chroma, waits and repeats included.",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._embedding = Histogram(
            "memapp_embedding_duration_seconds",
            "Time of calls of the embedder, waiting for others' texts included.",
            ["kind"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._embedded = Counter(
            "memapp_embedded_texts",
            "Texts that became vectors.",
            ["kind"],
            registry=self._registry,
        )

    def begin_request(self) -> None:
        """Count a request as being answered, until `end_request`."""
        self._in_progress.inc()

    def end_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request as answered.

        Args:
            method: One of few, whatever the caller sent.
            route: The template of its path, or what stands for all others.
            status: Of the answer.
            seconds: How long it took.
        """
        self._in_progress.dec()
        self._requests.labels(method, route, str(status)).inc()
        self._durations.labels(method, route).observe(seconds)

    def observe_chroma(self, seconds: float) -> None:
        """Count a call to Chroma, whether it succeeded or not."""
        self._chroma.observe(seconds)

    def observe_embedding(self, kind: str, seconds: float, *, texts: int) -> None:
        """Count a call of the embedder, whether it succeeded or not.

        Args:
            kind: `document` or `query`.
            seconds: How long it took.
            texts: How many vectors it made.
        """
        self._embedding.labels(kind).observe(seconds)
        self._embedded.labels(kind).inc(texts)

    def tell(self) -> Told:
        """Return what was measured: by this process, or in the places of all workers."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest  # noqa: PLC0415

        return Told(generate_latest(self._all()), CONTENT_TYPE_LATEST)

    def _all(self) -> "CollectorRegistry":
        if self._folder is None:
            return self._registry
        from prometheus_client import CollectorRegistry  # noqa: PLC0415
        from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415

        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self._folder))  # type: ignore[no-untyped-call]
        return registry


@functools.cache
def _in_place(place: Place) -> Instruments:
    return Instruments(place)
