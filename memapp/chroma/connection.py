"""One Chroma client per process, opened on first use and closed before a fork.

A client that is open across a fork is lost: the embedded one hangs in the child, the HTTP one
shares its sockets and mixes up answers. So every call counts as a use of the connection; a fork
waits until nobody uses it, closes it, and both sides open it anew when they need it.
"""

import random
import re
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import TypeVar, cast
from uuid import UUID

from chromadb.api import ClientAPI
from chromadb.api.client import Client
from chromadb.api.models.Collection import Collection as ChromaCollection
from chromadb.errors import ChromaError, NotFoundError

from memapp.chroma.collection import Collection
from memapp.chroma.faults import (
    CollectionGone,
    Fault,
    OutcomeUnknown,
    fault_of,
    opening_fault_of,
)
from memapp.chroma.forking import close_before_forks
from memapp.chroma.session import SYNC_THRESHOLD, MetadataScalars, Session, resolve
from memapp.chroma_config import Patience
from memapp.errors import Conflict, MemappError, StoreUnavailable, again

T = TypeVar("T")

PAGE = 500
"""How many collections are listed at a time."""

OVERLAP = 50
"""How many of them are listed again with the next page, lest drops in between hide any."""

DRAIN_SECONDS = 5.0
"""How long closing waits for calls under way; what is cut off is repeated, or its outcome told to
be unknown."""

MAX_BATCH = 5461
"""Most records Chroma 1.5.9 takes in one write: SQLite's 32,766 variables, six for each."""


Observe = Callable[[float], None]
"""Is told how many seconds a call to Chroma took, waits and repeats included."""


def unobserved(_seconds: float) -> None:
    """Let nobody be told."""


class Connection:
    """A connection to one Chroma store. Safe to use from many threads, and across forks."""

    def __init__(
        self,
        connect: Callable[[], ClientAPI],
        *,
        patience: Patience,
        batch_size: int = MAX_BATCH,
        sync_threshold: int = SYNC_THRESHOLD,
        observe: Observe = unobserved,
    ) -> None:
        """Keep what is needed to connect; open nothing.

        Args:
            connect: Opens a client; it must itself keep to the configured times.
            patience: How often and how fast failed calls are repeated.
            batch_size: Most records in one write, 1 to `MAX_BATCH`.
            sync_threshold: Records after which Chroma saves the index of a collection made here.
            observe: Told of each call.
        """
        self._connect = connect
        self._patience = patience
        self.batch_size = max(1, min(batch_size, MAX_BATCH))
        self._sync_threshold = sync_threshold
        self._observe = observe
        self._session: Session | None = None
        self._finalizer: weakref.finalize[..., Connection] | None = None
        self._outage: MemappError | None = None
        self._opening_failure: MemappError | None = None
        self._make_locks()
        close_before_forks(self)

    def ensure(self, name: str, metadata: MetadataScalars) -> Collection:
        """Return the collection of this name, making it if there is none.

        Args:
            name: 3 to 512 of `[a-zA-Z0-9._-]`.
            metadata: What a new collection records; an existing one keeps what it has.

        Returns:
            A handle whose `metadata` is what is stored.

        Raises:
            StoreBroken: the collection exists and does not measure cosine distance.
        """
        creation = dict(metadata)
        stored = self._known(name)
        if stored is None:
            stored = self.run(lambda session: resolve(session, name, creation))
        return Collection(self, stored, creation=creation)

    def find(self, name: str) -> Collection | None:
        """Return the collection of this name, or None if there is none."""
        known = self._known(name)
        if known is not None:
            return Collection(self, known)
        try:
            stored = self.run(lambda session: resolve(session, name, None))
        except CollectionGone:
            return None
        return Collection(self, stored)

    def names(self) -> list[str]:
        """Return the names of all collections, sorted."""

        def list_all(session: Session) -> list[str]:
            limit = PAGE
            while (names := _names_by_pages(session.client, limit)) is None:
                limit *= 2
            return sorted(names)

        return self.run(list_all)

    def drop(self, name: str) -> bool:
        """Remove a collection and all it holds; return whether there was one."""
        may_be_done = False

        def delete(session: Session) -> bool:
            nonlocal may_be_done
            session.collections.pop(name, None)
            try:
                session.client.delete_collection(name)
            except NotFoundError:
                return may_be_done  # Then an attempt went through and only its answer was lost.
            except Exception as error:
                fault = fault_of(error)
                may_be_done = may_be_done or (fault is not None and fault.may_be_done)
                raise
            return True

        return self.run(delete)

    def rename(self, old: str, new: str) -> None:
        """Give a collection another name.

        Raises:
            CollectionGone: there is no collection `old`.
            Conflict: there is a collection `new` already.
        """
        is_sent = False

        def modify(session: Session) -> None:
            nonlocal is_sent
            session.collections.pop(new, None)
            try:
                collection = resolve(session, old, None)
            except CollectionGone:
                if is_sent:
                    return  # An attempt went through and only its answer was lost.
                raise
            session.collections.pop(old, None)
            is_sent = True
            try:
                collection.modify(name=new)
            except ChromaError as error:
                if re.search("already exists|UNIQUE constraint", str(error)):
                    message = f"there is a collection {new} already"
                    raise Conflict(message, code="collection_exists") from error
                raise

        self.run(modify)

    def canary(self) -> float:
        """Read from Chroma's own store, not only its heartbeat; return how many seconds it took.

        Raises:
            StoreUnavailable: Chroma cannot answer; says why.
        """

        def read(session: Session) -> float:
            begin = time.perf_counter()
            for collection in session.client.list_collections(limit=1):
                try:
                    collection.get(limit=1, include=[])
                except NotFoundError:
                    continue  # Dropped by somebody since it was listed.
            return time.perf_counter() - begin

        return self.run(read)

    def run(self, operation: Callable[[Session], T], *, may_repeat: bool = True) -> T:
        """Call Chroma through an open client, and repeat what fails in passing.

        While nobody answers, one call at a time is let through to find the recovery; the others
        fail at once.

        Args:
            operation: May be called several times, with different sessions.
            may_repeat: Whether it does no harm if Chroma does it twice, the second time after
                others have acted on the first. Else it is repeated only while Chroma cannot have
                done it.

        Raises:
            OutcomeUnknown: it may not be repeated, and only its answer may have been lost.
            StoreTimeout: it took too long; Chroma may have done it, or may do it yet.
            StoreUnavailable: Chroma cannot answer; says why. If that showed only while its answer
                was waited for, Chroma may have done it, or may do it yet.
        """
        with self._in_use():
            self._admit()
            for attempt in count():
                session = self._open()
                try:
                    result = operation(session)
                except Exception as error:
                    fault = self._judge(session, error)
                    if fault is None:
                        raise
                    if fault.may_be_done and not may_repeat:
                        # Whether this is an outage, the look at what was done will show.
                        raise OutcomeUnknown(*fault.error.args) from error
                    if not fault.is_passing or attempt >= self._most_repeats(fault):
                        self._outage = fault.error if fault.is_outage else None
                        raise fault.error from error
                    self._pause(attempt)
                else:
                    self._outage = None
                    return result
        raise AssertionError  # pragma: no cover

    def close(self) -> None:
        """Close the client, after the calls under way; the next call opens it anew."""
        self.hold()
        self.resume()

    def hold(self) -> None:
        """Keep new calls waiting, let those under way end, and close the client.

        Until `resume` no client is open, and none can be opened.
        """
        with self._idle:
            self._is_held = True
            self._idle.wait_for(lambda: self._users == 0, timeout=DRAIN_SECONDS)
        # A call that was cut off opens a client as it is repeated: not before this is released.
        self._opening.acquire()
        self._discard(self._session)

    def resume(self) -> None:
        """Let the calls go on that `hold` keeps waiting."""
        self._opening.release()
        with self._idle:
            self._is_held = False
            self._idle.notify_all()

    def start_over(self) -> None:
        """Forget, in a forked child, the parent's threads and what they held."""
        self._make_locks()
        self._session = None

    def _known(self, name: str) -> ChromaCollection | None:
        session = self._session
        return None if session is None else session.collections.get(name)

    def _make_locks(self) -> None:
        self._idle = threading.Condition()
        self._users = 0
        self._is_held = False
        self._opening = threading.RLock()
        self._scouting = threading.Lock()

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        begin = time.perf_counter()
        with self._idle:
            self._idle.wait_for(lambda: not self._is_held)
            self._users += 1
        idle = self._idle
        try:
            yield
        finally:
            with idle:
                self._users -= 1
                if self._is_held:
                    idle.notify_all()
            self._observe(time.perf_counter() - begin)

    def _admit(self) -> None:
        outage = self._outage
        if outage is None:
            return
        if not self._scouting.acquire(blocking=False):
            raise again(outage)
        try:
            self._open().client.heartbeat()
        except MemappError:
            raise  # It cannot even be opened.
        except Exception as error:
            fault = fault_of(error)
            if fault is None or not fault.is_outage:
                return  # It answers; the call itself will show what is wrong.
            self._outage = fault.error
            raise fault.error from error
        finally:
            self._scouting.release()

    def _open(self) -> Session:
        session = self._session
        if session is not None:
            return session
        failure_before = self._opening_failure
        with self._opening:
            if self._session is not None:
                return self._session
            failure = self._opening_failure
            if failure is not None and failure is not failure_before:
                raise again(failure)  # It failed while we waited; waiting again helps nobody.
            try:
                client = self._connect()
            except Exception as error:
                fault = opening_fault_of(error)
                if fault is None:
                    raise
                self._opening_failure = fault.error
                self._outage = fault.error if fault.is_outage else None
                raise fault.error from error
            self._session = Session(client, self._sync_threshold)
            # A connection that is forgotten, and the end of the process, close the client too.
            self._finalizer = weakref.finalize(self, cast("Client", client).close)
            return self._session

    def _discard(self, session: Session | None) -> None:
        if session is None or self._session is not session:
            return
        self._session = None
        if self._finalizer is not None:
            self._finalizer()

    def _judge(self, session: Session, error: Exception) -> Fault | None:
        if self._session is not session:
            # The client was closed under this call, which cannot know its own error then.
            closed = StoreUnavailable("the client was closed")
            return Fault(closed, is_passing=True, may_be_done=True)
        fault = fault_of(error)
        if fault is not None and fault.is_stale:
            self._discard(session)
        return fault

    def _most_repeats(self, fault: Fault) -> int:
        retries = self._patience.retries
        return max(retries, fault.repeats) if retries else 0

    def _pause(self, attempt: int) -> None:
        time.sleep(random.uniform(0.5, 1.0) * self._patience.backoff * 2**attempt)  # noqa: S311


def _names_by_pages(client: ClientAPI, limit: int) -> set[str] | None:
    """List `limit` collections at a time; None if drops meanwhile may have hidden some."""
    names: dict[UUID, str] = {}
    for offset in count(0, limit - OVERLAP):
        page = client.list_collections(limit=limit, offset=offset)
        # Chroma lists them by id: what comes before one that was seen was there to be seen, too.
        if offset and (not page or page[0].id not in names):
            return None
        names |= {collection.id: collection.name for collection in page}
        if len(page) < limit:
            break
    return set(names.values())
