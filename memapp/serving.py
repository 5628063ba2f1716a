"""How gunicorn serves memapp: the worker and the hooks that `gunicorn.conf.py` names.

Told to stop, gunicorn by itself resets every connection that waits in the queue (measured: 40 of
40 clients) and gives a load balancer no sign beforehand. Here SIGTERM first turns `/health/ready`
into 503 for `DRAIN_SECONDS` while everything is still served; then each worker takes in whoever
waits, closes its door, finishes its requests and goes. Reload and `max_requests` need no first
step, because other workers go on answering.

Knows gunicorn, and of memapp only the settings and what workers need. Nothing here opens Chroma.
"""

import functools
import hashlib
import importlib
import mmap
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from gunicorn.arbiter import Arbiter
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser
from gunicorn.workers.base import Worker
from gunicorn.workers.gthread import TConn

from memapp import heap, rehearsal, settings, wiring, worker_places
from memapp.chroma_import import import_chroma
from memapp.errors import ConfigurationError
from memapp.plain_requests import PlainParser
from memapp.quick_answers import answer_quickly
from memapp.slow_clients import PatientWorker, has_unsent
from memapp.turning_away import turn_away
from memapp.unreadable_requests import answer_with_problems

WORKER_HEADER = "X-Memapp-Worker"
"""Response header that names the process that answered, without telling what it is called."""

DRAINING = "memapp.draining"
"""Key of the WSGI environment that is True once the service has been told to stop."""

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)

_LEFT_SECONDS = 2.0
"""What a worker that is to stop at once leaves to requests that are under way."""

_LAST_CALL_SECONDS = 1.0
"""How long a stopping worker goes on taking in clients, should they never cease to come."""


_HANDSHAKE_SECONDS = 0.02
"""How long a client may take to come in that knocked before the door was closed to others."""

_SHARED, _OURS_ALONE = 1, 2
"""What the flag of draining says when it is up: whose door it is that is to be closed."""

_HESITATION_SECONDS, _HESITATES_FOR = 0.0003, 4
"""How long a worker leaves a new connection to others, for each that it serves, up to so many."""

_STAY_SECONDS = 0.05
"""How long a thread stays with a client that has just been answered, if nobody else waits."""


class DrainingWorker(PatientWorker):
    """A worker that leaves nobody standing at the door when the service stops.

    Attributes:
        place: Number of the place in which it counts; None without METRICS.
    """

    place: int | None = None

    def init_process(self) -> None:
        """Prepare, in the worker's own process, what threads that stay are called away through."""
        self._called_away, self._call_away = os.pipe()
        os.set_blocking(self._called_away, False)
        os.set_blocking(self._call_away, False)
        super().init_process()

    def accept(self, listener: socket.socket) -> None:
        """Take in a client, unless a worker that has less to do is there first.

        All workers are woken for each; without this the quickest takes most of those that come
        together, and keeps them as long as they stay.
        """
        occupied = self.served() if self.alive else 0
        if occupied:
            time.sleep(_HESITATION_SECONDS * min(occupied, _HESITATES_FOR))
        super().accept(listener)

    def enqueue_req(self, conn: TConn) -> None:
        """Give a connection to a thread, if need be to one that only stays with its client."""
        super().enqueue_req(conn)
        if self._has_waiting():
            with suppress(BlockingIOError):  # Then it was called often enough.
                os.write(self._call_away, b"!")

    def handle(self, conn: TConn) -> Any:
        """Answer a request, and the next ones of that connection that follow soon.

        Handing a connection back to the poller and from there to a thread again costs as much as
        serving a short request. A thread that stays goes as soon as it is needed elsewhere.
        """
        events = None
        while (kept := super().handle(conn)) is True:
            if type(conn.parser) is RequestParser:
                conn.parser = PlainParser(conn.parser)
            if conn.parser.unreader.buf.getvalue() or has_unsent(conn):
                break
            if events is None:
                events = select.poll()
                events.register(conn.sock, select.POLLIN)
                events.register(self._called_away, select.POLLIN)
            if not self._is_followed(events):
                break
        return kept

    def _is_followed(self, events: select.poll) -> bool:
        """Wait for the next request, until it is certain that others need this thread more."""
        while self.alive and not self._has_waiting():
            found = events.poll(1000 * _STAY_SECONDS)
            if found != [(self._called_away, select.POLLIN)]:
                return bool(found)
            with suppress(BlockingIOError):
                os.read(self._called_away, 64)
        return False

    def _has_waiting(self) -> bool:
        return bool(self.tpool._work_queue.qsize())  # noqa: SLF001

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """Stop at once, on SIGINT and SIGQUIT.

        gunicorn's own closes its thread pool in this signal handler, and hangs until it is killed
        if that interrupts the very code that holds the pool's lock. The pool ends with the process,
        which Python ends only when all its threads have finished: hence the alarm.
        """
        signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
        signal.setitimer(signal.ITIMER_REAL, _LEFT_SECONDS)
        Worker.handle_quit(self, sig, frame)

    def set_accept_enabled(self, enabled: bool) -> None:  # noqa: FBT001
        """Start or stop accepting; when the service stops, first take in whoever waits."""
        super().set_accept_enabled(enabled)
        if enabled or self.alive or not _drain_flag()[0]:
            # Else other workers take in whoever waits at the door they share with this one.
            return
        deadline = time.monotonic() + _LAST_CALL_SECONDS
        for listener in self.sockets:
            patience = 0.0
            if _drain_flag()[0] == _OURS_ALONE and turn_away(listener.sock):
                patience = 1000 * _HANDSHAKE_SECONDS
            door = select.poll()
            door.register(listener, select.POLLIN)
            while door.poll(patience) and time.monotonic() < deadline:
                self.accept(listener)
            # Left open while requests finish, it would let in clients only to reset them.
            listener.close()


class _Master:
    """What the master process does differently on SIGTERM and SIGHUP."""

    def __init__(self, server: Arbiter, drain_seconds: float) -> None:
        self._server = server
        self._drain_seconds = drain_seconds

    def terminate(self) -> None:
        """Drain first; told a second time, or with nothing to drain for, stop at once."""
        server, flag = self._server, _drain_flag()
        if server.reexec_pid:
            # A successor is at work (USR2): the service goes on, only this master goes.
            Arbiter.handle_term(server)
        # A door from systemd, or shared with the master before this one, is used by others too.
        is_ours = not (server.systemd or server.master_pid)
        was_told, flag[0] = flag[0], _OURS_ALONE if is_ours else _SHARED
        if was_told or self._drain_seconds == 0:
            Arbiter.handle_term(server)
        server.log.info("Draining for %g s before stopping", self._drain_seconds)
        signal.signal(signal.SIGALRM, lambda *_: server.signal(signal.SIGTERM, None))
        signal.setitimer(signal.ITIMER_REAL, self._drain_seconds)

    def reload(self) -> None:
        """Reload, unless the new settings would bring the service down."""
        try:
            loaded = _checked_settings(self._server, self._server.cfg.workers)
            _rehearse(self._server, loaded)
        except ConfigurationError as error:
            self._server.log.error("Not reloading, the old workers stay: %s", error)  # noqa: TRY400
            return
        self._drain_seconds = loaded["DRAIN_SECONDS"]
        _share_counts(self._server, loaded)
        Arbiter.handle_hup(self._server)


def nworkers_changed(server: Arbiter, new_value: int, old_value: int | None) -> None:
    """Refuse more workers than the mode of Chroma can bear, at the start and on TTIN."""
    try:
        loaded = _checked_settings(server, new_value)
        if old_value is None and loaded.needs_proof:
            _rehearse(server, loaded)
    except ConfigurationError as error:
        if old_value is None:
            sys.exit(str(error))
        server.log.error("Staying at %d workers: %s", old_value, error)  # noqa: TRY400
        server._num_workers = old_value  # noqa: SLF001


def on_starting(server: Arbiter) -> None:
    """Prepare what the workers share.

    Large libraries and the embedder's network are loaded once, before the fork: workers start in a
    fraction of the time and share the memory. That is safe with Chroma's library, for it is an open
    client that does not survive a fork, and with a network that was never run.
    """
    loaded = _checked_settings(server, server.cfg.workers)
    heap.keep_small()
    _drain_flag()
    _let_booting_workers_be_stopped()
    import_chroma()
    importlib.import_module("flask_openapi")
    try:
        wiring.load_before_fork(loaded)
    except ConfigurationError as error:
        sys.exit(str(error))
    wiring.share_with_forks()
    _share_counts(server, loaded)
    heap.share_with_forks()
    server.log.debug("Loaded what the workers need before the fork")


def when_ready(server: Arbiter) -> None:
    """Take over SIGTERM and SIGHUP of the master."""
    loaded = _checked_settings(server, server.cfg.workers)
    master = _Master(server, loaded["DRAIN_SECONDS"])
    server.handle_term = master.terminate
    server.handle_hup = master.reload


def pre_fork(server: Arbiter, worker: DrainingWorker) -> None:
    """Give the worker a place to count in, of which no other one may still be using the files."""
    taken = {one.place for one in server.WORKERS.values()}
    try:
        worker.place = worker_places.take(taken)
    except OSError as error:
        server.log.error("/metrics will be wrong, a worker has no room to count: %s", error)  # noqa: TRY400


def child_exit(_server: Arbiter, worker: DrainingWorker) -> None:
    """Forget what a worker was doing when it ended."""
    if worker.place is not None:
        worker_places.leave(worker.place)


def post_worker_init(worker: Worker) -> None:
    """Let the app know about draining, and clients about the worker and what it cannot read."""
    answer_with_problems()
    answer_quickly()
    worker.wsgi = _told(worker.wsgi, worker_name=_worker_name())


def pre_request(worker: Worker, _request: Request) -> None:
    """Ask clients to come back by a new connection once the service is about to stop."""
    if _drain_flag()[0]:
        worker.cfg.set("keepalive", 0)


def _checked_settings(server: Arbiter, workers: int) -> settings.Settings:
    loaded = settings.load(Path(server.cfg.chdir))
    settings.refuse_workers(loaded, workers)
    return loaded


def _share_counts(server: Arbiter, loaded: settings.Settings) -> None:
    if loaded["METRICS"]:
        # Beside the heartbeats, where a slow disk stalls nobody.
        parent = server.cfg.worker_tmp_dir
        worker_places.share_with_forks(parent, user=server.cfg.uid, group=server.cfg.gid)


def _rehearse(server: Arbiter, loaded: settings.Settings) -> None:
    """Refuse what workers could not make their app of, as faults and not as many tracebacks.

    A process of its own makes it: what plug-ins start must not cross the fork of the workers, and
    after HUP these must find the code as it then is.

    Raises:
        ConfigurationError: there is such a thing.
    """

    def make() -> None:
        import_chroma()  # As workers find it; a plug-in may import it plainly.
        server.app.wsgi()
        wiring.load_before_fork(loaded)

    rehearsal.refuse_what_fails(make, seconds=server.cfg.timeout or None)


def _let_booting_workers_be_stopped() -> None:
    """Let a signal end a worker that has no handlers of its own yet.

    By itself gunicorn puts it into the worker's copy of the master's queue, where nobody reads it;
    stopped while a worker boots, the master then waits the whole `graceful_timeout` and kills it.
    """
    os.register_at_fork(
        before=functools.partial(signal.pthread_sigmask, signal.SIG_BLOCK, _ENDING),
        after_in_parent=functools.partial(signal.pthread_sigmask, signal.SIG_UNBLOCK, _ENDING),
        after_in_child=_end_by_default,
    )


def _end_by_default() -> None:
    for number in _ENDING:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)


@functools.cache
def _drain_flag() -> mmap.mmap:
    """One byte that the master and all workers share; first called in the master."""
    return mmap.mmap(-1, 1)


def _worker_name() -> str:
    identity = f"{socket.gethostname()} {os.getpid()} {time.time_ns()}"
    return hashlib.blake2s(identity.encode(), digest_size=6).hexdigest()


def _told(app: WSGIApplication, *, worker_name: str) -> WSGIApplication:
    def told(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ[DRAINING] = bool(_drain_flag()[0])

        def start_named(
            status: str,
            headers: list[tuple[str, str]],
            exc_info: tuple[type[BaseException], BaseException, TracebackType]
            | tuple[None, None, None]
            | None = None,
        ) -> Any:
            return start_response(status, [*headers, (WORKER_HEADER, worker_name)], exc_info)

        return app(environ, start_named)

    return told
