"""Wait for a slow Chroma, but not for a dead one.

Chroma's HTTP client waits for ever: it knows no timeout. One fixed timeout would be wrong too: a
large write may rightly take many seconds, while a frozen server (it still accepts connections,
the kernel does that) must be noticed in two. So a read waits in slices, and after each slice
without an answer the server's heartbeat is asked on another connection.
"""

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpcore
import httpx

from memapp.chroma_config import Patience


def make_patient(session: httpx.Client, heartbeat_url: str, patience: Patience) -> None:
    """Give a session of Chroma's client our timeouts, before its first request.

    Reaches for private attributes (`_transport`, `_mounts`, `_pool`, `_network_backend`): neither
    Chroma nor httpx has a public way to set them. The tests fail if an upgrade moves them.
    """
    # Never longer than a slice: the heartbeat itself must not wait in slices.
    short = httpx.Timeout(min(patience.heartbeat_timeout, patience.probe_timeout))

    def ask() -> bool:
        try:
            answer = session.get(heartbeat_url, timeout=short)
        except httpx.TransportError:
            return False
        return answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR

    session.timeout = httpx.Timeout(
        patience.read_timeout, connect=patience.connect_timeout, write=patience.probe_timeout
    )
    network = _PatientNetwork(patience.probe_timeout, _Pulse(ask))
    for transport in (session._transport, *session._mounts.values()):  # noqa: SLF001
        if isinstance(transport, httpx.HTTPTransport):
            transport._pool._network_backend = network  # noqa: SLF001


class _Pulse:
    """The signs of life of one server: its heartbeat, and whatever else comes from it."""

    def __init__(self, ask: Callable[[], bool]) -> None:
        self._ask = ask
        self._last_sign = 0.0

    def is_felt(self) -> bool:
        """Ask for a heartbeat; an answer to any other call meanwhile is as good."""
        begin = time.monotonic()
        return self._ask() or self._last_sign >= begin

    def note(self) -> None:
        """Note that something has come from the server."""
        self._last_sign = time.monotonic()


class _PatientNetwork(httpcore.NetworkBackend):
    """Open connections that wait in slices; the time to connect includes the look-up."""

    def __init__(self, slice_seconds: float, pulse: _Pulse) -> None:
        self._slice = slice_seconds
        self._pulse = pulse
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Try the addresses of a host, one after the other, `timeout` seconds in all."""
        if timeout is None:
            return self._patient(
                self._plain.connect_tcp(host, port, None, local_address, socket_options)
            )
        deadline = time.monotonic() + timeout
        addresses = _look_up(host, port, timeout)
        failure: httpcore.NetworkError | httpcore.TimeoutException | None = None
        for tried, address in enumerate(addresses):
            share = (deadline - time.monotonic()) / (len(addresses) - tried)
            try:
                return self._patient(
                    self._plain.connect_tcp(
                        address, port, max(share, 0.001), local_address, socket_options
                    )
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore.ConnectError(f"{host} has no address")

    def _patient(self, stream: httpcore.NetworkStream) -> httpcore.NetworkStream:
        return _PatientStream(stream, self._slice, self._pulse)


class _PatientStream(httpcore.NetworkStream):
    """Read in slices, and ask for a sign of life after each without an answer."""

    def __init__(self, stream: httpcore.NetworkStream, slice_seconds: float, pulse: _Pulse) -> None:
        self._stream = stream
        self._slice = slice_seconds
        self._pulse = pulse

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what has come, within `timeout` seconds, while the server lives."""
        if timeout is None or timeout <= self._slice:
            return self._stream.read(max_bytes, timeout)
        deadline = time.monotonic() + timeout
        while True:
            try:
                received = self._stream.read(max_bytes, self._slice)
            except httpcore.ReadTimeout:
                if time.monotonic() >= deadline:
                    raise
                if not self._pulse.is_felt():
                    # The kind of fault that says "there is nobody", as against "it takes long".
                    message = "the connection is accepted, but the server gives no sign of life"
                    raise httpcore.ConnectTimeout(message) from None
            else:
                self._pulse.note()
                return received

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write everything; `timeout` seconds without any progress are too many."""
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Go on in TLS."""
        secured = self._stream.start_tls(ssl_context, server_hostname, timeout)
        return _PatientStream(secured, self._slice, self._pulse)

    def get_extra_info(self, info: str) -> Any:
        """Tell about the socket."""
        return self._stream.get_extra_info(info)


def _look_up(host: str, port: int, timeout: float) -> list[str]:
    """Return a host's addresses, in the order to try them.

    The system's look-up knows no timeout, so it runs in a thread that may be left behind.
    """
    if _is_address(host):
        return [host]
    found: list[str] = []
    failures: list[OSError] = []

    def ask() -> None:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            failures.append(error)
        else:
            found.extend(dict.fromkeys(str(address[0]) for *_, address in answers))

    asking = threading.Thread(target=ask, name="memapp-look-up", daemon=True)
    asking.start()
    asking.join(timeout)
    if failures:
        message = f"looking up {host} failed: {failures[0].strerror}"
        raise httpcore.ConnectError(message) from failures[0]
    if not found:
        message = f"looking up {host} took longer than {timeout:g} s"
        raise httpcore.ConnectTimeout(message)
    return found


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
