"""A gunicorn worker whose threads wait for no client.

By itself a thread worker gives a thread to whoever connects, for as long as that client takes to
send its request and to read the answer: with four workers of 8 threads some 60 clients that send
half a request keep everybody else out. Here a thread gets a request that has come whole. Until then
a connection waits with the poller, as it does between requests, and so it does while the client
reads its answer or takes its leave. A body that is too large to be kept is read while it comes, in
threads that do nothing else.

With gunicorn's own TLS, and with HTTP/2, that holds only until a client has sent something.
"""

import resource
import selectors
import socket
import struct
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple

import gunicorn.util
from gunicorn.http.errors import LimitRequestHeaders
from gunicorn.http2 import negotiation
from gunicorn.workers.gthread import DEFAULT_WORKER_DATA_TIMEOUT, TConn, ThreadWorker

from memapp.arrivals import Arrival
from memapp.client_socket import ClientSocket
from memapp.plain_requests import PlainParser

_RECEIVE = 65_536

_LEAVE_SECONDS = 2.0
"""How long a client may take to close its side, as gunicorn has it."""

_LOOK_SECONDS = 0.25
"""How often it is looked whether a client has become too slow."""


class _Wait(NamedTuple):
    """Since when a connection waits, and what is done to it if it waits too long."""

    since: float
    give_up: Callable[[TConn], None]


class PatientWorker(ThreadWorker):  # type: ignore[misc]
    """A thread worker that slow clients cannot occupy.

    Attributes:
        waiting: The connections that no thread has and that are not kept alive for a next request,
            in the order in which they began to wait.
    """

    def __init__(self, *args: Any, **keywords: Any) -> None:
        """Have no more connections than half of the files that this process may open."""
        super().__init__(*args, **keywords)
        most_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        most: int = self.cfg.worker_connections
        if most_files != resource.RLIM_INFINITY:
            most = min(most, most_files // 2)
        self.worker_connections = most
        self.max_keepalived = most - self.cfg.threads
        self.waiting: dict[TConn, _Wait] = {}
        self._next_look = 0.0

    def init_process(self) -> None:
        """Prepare the threads for what is long."""
        self._long_requests = ThreadPoolExecutor(self.cfg.threads)
        super().init_process()

    def run(self) -> None:
        """Serve until told to stop."""
        super().run()
        self._long_requests.shutdown(wait=False)

    def served(self) -> int:
        """Return how many clients have, or are about to have, a thread's attention."""
        elsewhere = sum(conn.initialized for conn in self.waiting)
        count: int = self.nr_conns - len(self.keepalived_conns) - elsewhere
        return count

    def enqueue_req(self, conn: TConn) -> None:
        """Give a connection to a thread, a new one only once its client has sent something."""
        if not (conn.initialized or conn.data_ready):
            conn.sock = ClientSocket(conn.sock)
            conn.data_ready = conn.sock.has_received()
            if not conn.data_ready:
                # While the service drains, keepalive is 0.
                silence = max(self.cfg.keepalive, DEFAULT_WORKER_DATA_TIMEOUT)
                self._await(conn, self._begin, self._drop, time.monotonic() + silence)
                return
        super().enqueue_req(conn)

    def handle(self, conn: TConn) -> Any:
        """Answer a request if it is whole.

        Returns:
            Whether the connection goes on; or what has come of the request, if it is not whole.
        """
        if not (conn.initialized or self._begins_otherwise(conn)):
            conn.init()
        if conn.initialized and isinstance(conn.sock, ClientSocket):
            arrival = _unfinished(conn)
            if arrival is not None and arrival.has_large_head:
                error = LimitRequestHeaders("the head is too large")
                self.handle_error(None, conn.sock, conn.client, error)
                return False
            if arrival is not None:
                return arrival
        return super().handle(conn)

    def _begins_otherwise(self, conn: TConn) -> bool:
        """Tell whether a connection begins with something else than an HTTP/1 request."""
        return bool(self.cfg.is_ssl) or negotiation.prior_knowledge_allowed(self.cfg, conn.client)

    def finish_request(self, conn: TConn, fs: Future[Any]) -> None:
        """Go on with a connection that a thread is done with; on the main thread, as all below."""
        outcome = None if fs.cancelled() or fs.exception() else fs.result()
        if isinstance(outcome, Arrival):
            self._await_rest(conn, outcome)
        elif has_unsent(conn):
            self._await_reader(conn, fs)
        elif outcome is False:
            self._part(conn)
        else:
            super().finish_request(conn, fs)

    def murder_pending(self) -> None:
        """Give up clients that are too slow, and whoever waits longest if there is no more room."""
        if self.nr_conns >= self.worker_connections:
            self._make_room()
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_SECONDS
        for conn in [conn for conn in self.waiting if conn.timeout <= now]:
            self._stop_waiting(conn)(conn)

    def _make_room(self) -> None:
        conn, wait = next(iter(self.waiting.items()), (None, None))
        idle = self.keepalived_conns[0] if self.keepalived_conns else None
        if idle and (wait is None or idle.timeout - self.cfg.keepalive < wait.since):
            idle.timeout = 0.0
            self.murder_keepalived()
        elif conn:
            self._stop_waiting(conn)
            self._drop(conn)

    def _cap_keepalive(self, deadline: float) -> None:
        super()._cap_keepalive(deadline)
        last = time.monotonic() + DEFAULT_WORKER_DATA_TIMEOUT
        for conn in self.waiting:
            if not conn.initialized:
                conn.timeout = min(conn.timeout, last)

    def _await(
        self,
        conn: TConn,
        go_on: Callable[[TConn, socket.socket], None],
        give_up: Callable[[TConn], None],
        deadline: float,
        event: int = selectors.EVENT_READ,
    ) -> None:
        conn.timeout = deadline
        self.waiting[conn] = _Wait(time.monotonic(), give_up)
        self.poller.register(conn.sock, event, partial(go_on, conn))

    def _stop_waiting(self, conn: TConn) -> Callable[[TConn], None]:
        self.poller.unregister(conn.sock)
        return self.waiting.pop(conn).give_up

    def _begin(self, conn: TConn, _socket: socket.socket) -> None:
        self._stop_waiting(conn)
        conn.data_ready = True
        self.enqueue_req(conn)

    def _await_rest(self, conn: TConn, arrival: Arrival) -> None:
        if arrival.is_awaited:
            receive = partial(self._receive, arrival)
            self._await(conn, receive, partial(self._refuse, arrival), arrival.pace.deadline)
        else:
            done = self._long_requests.submit(self._handle_long, conn)
            done.add_done_callback(
                lambda future: self.method_queue.defer(self.finish_request, conn, future)
            )

    def _receive(self, arrival: Arrival, conn: TConn, client: socket.socket) -> None:
        try:
            received = client.recv(_RECEIVE, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        arrival.add(received)
        if received and arrival.is_awaited:
            conn.timeout = arrival.pace.deadline
            return
        self._stop_waiting(conn)
        conn.parser.unreader.unread(bytes(arrival.received))
        self.enqueue_req(conn)

    def _handle_long(self, conn: TConn) -> Any:
        return super().handle(conn)

    def _refuse(self, arrival: Arrival, conn: TConn) -> None:
        if arrival.received:
            self.log.debug("A request of %s came too slowly", conn.client)
            with suppress(OSError):
                gunicorn.util.write_error(conn.sock, HTTPStatus.REQUEST_TIMEOUT, "", "")
        self._part(conn)

    def _await_reader(self, conn: TConn, fs: Future[Any]) -> None:
        try:
            deadline = conn.sock.send_on()
        except OSError:
            self._drop(conn)
            return
        send_on = partial(self._send_on, fs)
        self._await(conn, send_on, self._cut_off, deadline, selectors.EVENT_WRITE)

    def _send_on(self, fs: Future[Any], conn: TConn, client: ClientSocket) -> None:
        try:
            conn.timeout = client.send_on()
        except OSError:
            client.unsent.clear()
        if not client.unsent:
            self._stop_waiting(conn)
            self.finish_request(conn, fs)

    def _part(self, conn: TConn) -> None:
        """Close our side, and the connection once the client has closed its side.

        gunicorn waits for it on the main thread, and meanwhile lets in nobody else.
        """
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop(conn)
        else:
            conn.sock.settimeout(0)
            self._await(conn, self._see_off, self._drop, time.monotonic() + _LEAVE_SECONDS)

    def _see_off(self, conn: TConn, client: socket.socket) -> None:
        try:
            received = client.recv(_RECEIVE)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if not received:
            self._stop_waiting(conn)
            self._drop(conn)

    def _cut_off(self, conn: TConn) -> None:
        # Else the kernel would go on with what it holds for the client. See socket(7), SO_LINGER.
        with suppress(OSError):
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._drop(conn)

    def _drop(self, conn: TConn) -> None:
        self.nr_conns -= 1
        conn.close()


def has_unsent(conn: TConn) -> bool:
    """Tell whether a client has yet to read of an answer."""
    return isinstance(conn.sock, ClientSocket) and bool(conn.sock.unsent)


def _unfinished(conn: TConn) -> Arrival | None:
    """Read what there is of a connection's next request, and hold it ready for the parser.

    Returns:
        What has come, if the request is not whole; nothing if reading it does not have to wait.
    """
    client, parser = conn.sock, conn.parser
    received = client.begin_request(parser.unreader.take_buffered())
    if isinstance(parser, PlainParser) and parser.foresee(received):
        return None
    arrival = Arrival(received)
    while arrival.is_awaited:
        try:
            received = client.recv(_RECEIVE, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return arrival
        except OSError:
            received = b""
        if not received:
            break
        arrival.add(received)
    parser.unreader.unread(bytes(arrival.received))
    return arrival if arrival.is_long else None
