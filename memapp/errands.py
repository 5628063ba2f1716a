"""Let one of several processes do for all of them what is cheaper done together.

The workers of one gunicorn are forked from one master, which gives them a name in common. Whichever
first has something to do takes the name and leads, and the others send it what they have to do over
a Unix socket. It costs a fraction of a millisecond, and what waits in all of them goes in one group
(see `coalescing`).

Nobody depends on the leader: if there is none, if it ends half-way or does not answer, whoever
asked does the errand itself. An errand must therefore be one that may be done twice. The name is
in Linux's abstract namespace (unix(7)), which forgets it with the process that holds it, however
that ends.
"""

import atexit
import os
import pickle
import secrets
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Generic, TypeVar, cast

from memapp.errors import MemappError

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

PATIENCE = 10.0
"""Seconds after which an asker does an errand itself, for the leader may be frozen."""

AVOIDED = 6
"""A leader that did not answer is not asked again for so many times as long as was waited."""

LISTENS = 0.1
"""Seconds within which whoever has taken the name listens to it."""

_CLOSING = 5.0
_BACKLOG = 128
_SIZE = struct.Struct("!Q")
_PEER = struct.Struct("3i")
_UNREADABLE = (pickle.UnpicklingError, AttributeError, EOFError, ImportError, IndexError)

_family = ""


def found_family() -> None:
    """Give this process and those forked from it a name in common, that no others have."""
    global _family  # noqa: PLW0603 - of the process, like what it forks
    _family = secrets.token_hex(16)


def family() -> str:
    """Return the name in common; empty if there is none."""
    return _family if sys.platform == "linux" else ""


class Errands(Generic[Item, Outcome]):
    """Does items, or has them done by the process that leads; safe for many threads.

    To be made anew in a forked child.
    """

    def __init__(self, name: str, do: Callable[[Item], Outcome]) -> None:
        """Prepare; nothing is opened yet.

        Args:
            name: Of those who share errands; empty shares them with nobody.
            do: Does one item here, if need be one that was done already, and raises `MemappError`.
                Items, outcomes and errors must be picklable.
        """
        self._address = f"\0memapp.{name}" if name else ""
        self._do = do
        self._idle: deque[_Line] = deque()
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._avoided_until = 0.0
        self._is_closed = False
        self._under_way = 0
        self._all_done = threading.Condition()

    @property
    def leads(self) -> bool:
        """Whether this process does the others' errands."""
        return self._listener is not None

    def run(self, item: Item, patience: float | None = None) -> Outcome:
        """Have an item done, here or where others' are done too.

        Args:
            item: What is to be done.
            patience: Seconds after which it is done here, for the leader may be frozen; by default
                `PATIENCE`.

        Raises:
            MemappError: what doing it raised.
        """
        waits = PATIENCE if patience is None else patience
        line = self._line()
        if line is None:
            return self._do(item)
        try:
            answer = line.exchange(item, waits)
        except TimeoutError:
            self._avoid(waits)
            line.close()
            return self._do(item)
        except (OSError, *_UNREADABLE):
            line.close()
            return self._do(item)
        self._idle.append(line)
        if isinstance(answer, MemappError):
            raise answer
        return cast("Outcome", answer)

    def close(self) -> None:
        """Lead no more, after what is under way is done."""
        with self._lock:
            self._is_closed = True
            listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # Wakes the thread that accepts.
            listener.close()
        with self._all_done:
            self._all_done.wait_for(lambda: not self._under_way, timeout=_CLOSING)
        while self._idle:
            self._idle.pop().close()

    def _line(self) -> "_Line | None":
        """Return a connection to the leader; None if this process does its errands itself."""
        if not self._address or self.leads or self._is_closed:
            return None
        if time.monotonic() < self._avoided_until:
            return None
        with suppress(IndexError):
            return self._idle.pop()
        # A name can be taken (bind) a moment before it is listened to (listen), and a leader can
        # go between two looks.
        deadline = time.monotonic() + LISTENS
        while (line := self._connect()) is None:
            if self._takes_lead():
                return None
            if time.monotonic() > deadline:
                self._avoid(PATIENCE)
                return None
            time.sleep(0.001)
        return line

    def _avoid(self, waited: float) -> None:
        self._avoided_until = time.monotonic() + AVOIDED * waited

    def _connect(self) -> "_Line | None":
        plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        plain.settimeout(PATIENCE)
        try:
            plain.connect(self._address)
            if _is_ours(plain):
                return _Line(plain)
        except OSError:
            pass  # Nobody leads, or the leader is about to go.
        plain.close()
        return None

    def _takes_lead(self) -> bool:
        with self._lock:
            if self._listener is not None or self._is_closed:
                return True
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                listener.bind(self._address)
                listener.listen(_BACKLOG)
            except OSError:
                listener.close()
                return False
            self._listener = listener
        atexit.register(self.close)
        threading.Thread(target=self._accept, args=[listener], daemon=True).start()
        return True

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                asker, _ = listener.accept()
            except OSError:
                # It was closed, or cannot go on: whoever asks does its errands itself.
                self.close()
                return
            if _is_ours(asker):
                threading.Thread(target=self._serve, args=[_Line(asker)], daemon=True).start()
            else:
                asker.close()

    def _serve(self, line: "_Line") -> None:
        """Do what comes over one connection until either end closes it."""
        try:
            while True:
                item = cast("Item", line.receive())
                with self._doing():
                    if self._is_closed:
                        break  # The asker does it.
                    line.send(self._answer(item))
        except (OSError, *_UNREADABLE):
            pass  # The asker has gone, or is none.
        line.close()

    @contextmanager
    def _doing(self) -> Iterator[None]:
        with self._all_done:
            self._under_way += 1
        try:
            yield
        finally:
            with self._all_done:
                self._under_way -= 1
                self._all_done.notify_all()

    def _answer(self, item: Item) -> Outcome | MemappError:
        try:
            return self._do(item)
        except MemappError as error:
            return error


class _Line:
    """One connection, over which pickled objects go whole."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    def exchange(self, item: object, patience: float) -> object:
        self._socket.settimeout(patience)
        self.send(item)
        return self.receive()

    def send(self, item: object) -> None:
        data = pickle.dumps(item, pickle.HIGHEST_PROTOCOL)
        self._socket.sendall(_SIZE.pack(len(data)) + data)

    def receive(self) -> object:
        (size,) = _SIZE.unpack(self._exactly(_SIZE.size))
        # Both ends run as the same user, who could as well change our memory.
        received: object = pickle.loads(self._exactly(size))  # noqa: S301
        return received

    def close(self) -> None:
        self._socket.close()

    def _exactly(self, size: int) -> bytearray:
        data = bytearray()
        while len(data) < size:
            part = self._socket.recv(min(size - len(data), 1_048_576))
            if not part:
                raise EOFError
            data += part
        return data


def _is_ours(connected: socket.socket) -> bool:
    """Tell whether the process at the other end is this user's (SO_PEERCRED, unix(7))."""
    raw = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    _, user, _ = _PEER.unpack(raw)
    return bool(user == os.geteuid())
