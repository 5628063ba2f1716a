"""Wait for a slow Chroma, but not for a dead one.

One fixed timeout would be wrong: a large write may rightly take many seconds, while a frozen
server (it still accepts connections, the kernel does that) must be noticed in two. So a read waits
in slices, and after each slice without an answer the server's heartbeat is asked on another
connection.
"""

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import httpx

_READ_BYTES = 32_768


class Pulse:
    """The signs of life of one server: its heartbeat, and whatever else comes from it."""

    def __init__(self, ask: Callable[[], bool]) -> None:
        """Feel a pulse by `ask`, which tells whether the server's heartbeat answers."""
        self._ask = ask
        self._last_sign = 0.0

    def is_felt(self) -> bool:
        """Ask for a heartbeat; an answer to any other call meanwhile is as good."""
        begin = time.monotonic()
        return self._ask() or self._last_sign >= begin

    def note(self) -> None:
        """Note that something has come from the server."""
        self._last_sign = time.monotonic()


class ChromaSocket:
    """A connected socket that waits in slices; errors are those of `httpx`, as Chroma's are."""

    def __init__(self, connected: socket.socket, slice_seconds: float, pulse: Pulse) -> None:
        """Wrap a connected socket.

        Args:
            connected: What to read from and write to; it is closed with this.
            slice_seconds: After so long without an answer, a sign of life is asked for.
            pulse: Where to ask.
        """
        connected.settimeout(slice_seconds)
        self._socket = connected
        self._slice = slice_seconds
        self._pulse = pulse

    def send(self, data: bytes) -> None:
        """Send everything; a slice without any progress is too long.

        Raises:
            httpx.WriteTimeout: it was.
            httpx.WriteError: the connection broke.
        """
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._socket.send(rest) :]
        except TimeoutError as error:
            raise httpx.WriteTimeout(str(error)) from error
        except OSError as error:
            raise httpx.WriteError(str(error)) from error

    def receive(self, timeout: float) -> bytes:
        """Return what has come, b"" at the end; within `timeout` seconds while the server lives.

        Raises:
            httpx.ReadTimeout: it lives, but took longer.
            httpx.ConnectTimeout: it gives no sign of life.
            httpx.ReadError: the connection broke.
        """
        deadline = time.monotonic() + timeout
        while True:
            try:
                received = self._receive(min(timeout, self._slice))
            except TimeoutError as error:
                if time.monotonic() >= deadline:
                    raise httpx.ReadTimeout(str(error)) from error
                if not self._pulse.is_felt():
                    # The kind of fault that says "there is nobody", as against "it takes long".
                    message = "the connection is accepted, but the server gives no sign of life"
                    raise httpx.ConnectTimeout(message) from None
            except OSError as error:
                raise httpx.ReadError(str(error)) from error
            else:
                self._pulse.note()
                return received

    def is_quiet(self) -> bool:
        """Tell whether nothing has come unasked; what comes to an idle connection is its end."""
        self._socket.settimeout(0)
        try:
            self._socket.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        finally:
            self._socket.settimeout(self._slice)
        return False

    def close(self) -> None:
        """Close the connection; whoever waits for it in another thread notices at once."""
        with suppress(OSError):  # The other side may have gone already.
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _receive(self, wait: float) -> bytes:
        if wait == self._slice:
            return self._socket.recv(_READ_BYTES)
        self._socket.settimeout(wait)
        try:
            return self._socket.recv(_READ_BYTES)
        finally:
            self._socket.settimeout(self._slice)


def connect(host: str, port: int, timeout: float, context: ssl.SSLContext | None) -> socket.socket:
    """Try the addresses of a host, one after the other, and shake hands, `timeout` seconds in all.

    Args:
        host: Name or address.
        port: Its port.
        timeout: In seconds; the look-up counts.
        context: To speak TLS; None speaks none.

    Raises:
        httpx.ConnectError: there is no way.
        httpx.ConnectTimeout: nobody answered in time.
    """
    deadline = time.monotonic() + timeout
    addresses = _look_up(host, port, timeout)
    failure: httpx.TransportError = httpx.ConnectError(f"{host} has no address")
    for tried, address in enumerate(addresses):
        share = (deadline - time.monotonic()) / (len(addresses) - tried)
        try:
            plain = socket.create_connection((address, port), max(share, 0.001))
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context is None:
                return plain
            plain.settimeout(max(deadline - time.monotonic(), 0.001))
            return context.wrap_socket(plain, server_hostname=host)
        except TimeoutError as error:
            failure = httpx.ConnectTimeout(str(error))
        except OSError as error:
            failure = httpx.ConnectError(str(error))
    raise failure


def _look_up(host: str, port: int, timeout: float) -> list[str]:
    """Return a host's addresses, in the order to try them.

    The system's look-up knows no timeout, so it runs in a thread that may be left behind.
    """
    if _is_address(host):
        return [host]
    found: list[str] = []
    failures: list[OSError | UnicodeError] = []

    def ask() -> None:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # The latter for a name that none can have.
            failures.append(error)
        else:
            found.extend(dict.fromkeys(str(address[0]) for *_, address in answers))

    asking = threading.Thread(target=ask, name="memapp-look-up", daemon=True)
    asking.start()
    asking.join(timeout)
    if failures:
        message = f"looking up {host} failed: {failures[0]}"
        raise httpx.ConnectError(message) from failures[0]
    if not found:
        message = f"looking up {host} took longer than {timeout:g} s"
        raise httpx.ConnectTimeout(message)
    return found


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
