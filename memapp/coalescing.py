"""Calls that arrive while one is under way go together in the next.

For writes this is group commit: a single-record write to Chroma costs three fsyncs whatever its
size, so n waiting writers are served by one call instead of n (DeWitt et al., "Implementation
techniques for main memory database systems", SIGMOD 1984, section 5.2). For reads by id it saves
the cost of a request. There is no timer: whoever comes to an idle store calls at once. A call
never begins before all whose items are in it have asked, so what was acknowledged before an
answer was asked for is in the answer.

Where calls of several coalescers are served one after the other anyway, a turnstile that they share
keeps their groups open until it is their turn: twice as much goes together.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from threading import Lock
from typing import Generic, TypeVar

from memapp.errors import StoreBroken, again

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class Turnstile:
    """Lets one through after the other; a courtesy, so nobody waits at it for very long."""

    PATIENCE = 0.5
    """Seconds after which one goes through all the same, for the one before may wait for a server
    that is down, and each must be told so in time."""

    def __init__(self) -> None:
        """Let the first one through."""
        self._lock = Lock()

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Wait for the turn, and hold it within the `with` block."""
        is_turn = self._lock.acquire(timeout=self.PATIENCE)
        try:
            yield
        finally:
            if is_turn:
                self._lock.release()


class Coalescer(Generic[Item, Outcome]):
    """Gather concurrent submissions and make one call of them; safe for many threads.

    One submitting thread at a time leads: it makes the call for what has gathered, itself
    included, and then hands over to the longest waiting one. There is no thread of its own to
    start or to lose.
    """

    def __init__(
        self,
        call: Callable[[list[Item]], list[Outcome]],
        *,
        most: int,
        turnstile: Turnstile | None = None,
    ) -> None:
        """Prepare to serve submissions through `call`.

        Args:
            call: Takes items and returns one outcome per item, in the same order.
            most: How many items go together, unless one submission alone has more.
            turnstile: To be passed before it is settled what goes together.
        """
        self._call = call
        self._most = most
        self._turnstile = turnstile
        self._lock = Lock()
        self._waiting: list[_Submission[Item, Outcome]] = []
        self._is_led = False

    def submit(self, items: Sequence[Item]) -> list[Outcome]:
        """Have items served, perhaps together with those of other threads.

        Returns:
            One outcome per item, in the same order.

        Raises:
            MemappError: what `call` raised for these items.
        """
        mine: _Submission[Item, Outcome] = _Submission(items)
        with self._lock:
            leads = not self._is_led
            if leads:
                self._is_led = True
            else:
                mine.must_wait()
            self._waiting.append(mine)
        if not leads:
            mine.wait()
        try:
            # Whoever leads is the longest waiting one, so its own items are in this round.
            if not mine.is_done:
                with nullcontext() if self._turnstile is None else self._turnstile.passing():
                    self._serve_round()
        finally:
            if leads or mine.is_promoted:
                self._hand_over()
        return mine.result()

    def _serve_round(self) -> None:
        with self._lock:
            together = [self._waiting.pop(0)]
            size = len(together[0].items)
            while self._waiting and size + len(self._waiting[0].items) <= self._most:
                size += len(self._waiting[0].items)
                together.append(self._waiting.pop(0))
        try:
            self._serve(together)
        except BaseException as error:
            # Whoever waits must be told, or it would wait for ever.
            for submission in together:
                submission.fail(error)
            raise

    def _serve(self, together: list["_Submission[Item, Outcome]"]) -> None:
        try:
            outcomes = self._call([item for submission in together for item in submission.items])
        except StoreBroken:
            if len(together) == 1:
                raise
            # One submission may have spoilt it for the others: each gets its own answer.
            for submission in together:
                self._serve_alone(submission)
            return
        position = 0
        for submission in together:
            submission.succeed(outcomes[position : position + len(submission.items)])
            position += len(submission.items)

    def _serve_alone(self, submission: "_Submission[Item, Outcome]") -> None:
        try:
            submission.succeed(self._call(list(submission.items)))
        except StoreBroken as error:
            submission.fail(error)

    def _hand_over(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting[0].promote()
            else:
                self._is_led = False


class _Submission(Generic[Item, Outcome]):
    """The items of one `submit` call, and what became of them.

    Its turn is a plain lock, held until there is something to do: an `Event` takes several times
    as long, and a search waits for two.
    """

    __slots__ = ("_error", "_outcomes", "_turn", "is_done", "is_promoted", "items")

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items
        self.is_done = False
        self.is_promoted = False
        self._outcomes: list[Outcome] = []
        self._error: BaseException | None = None
        self._turn: Lock | None = None

    def must_wait(self) -> None:
        self._turn = Lock()
        self._turn.acquire()

    def wait(self) -> None:
        """Wait until these items are served, or this one is to lead."""
        if self._turn is not None:
            self._turn.acquire()

    def succeed(self, outcomes: list[Outcome]) -> None:
        self._outcomes = outcomes
        self._end()

    def fail(self, error: BaseException) -> None:
        if not self.is_done:
            self._error = error
            self._end()

    def promote(self) -> None:
        self.is_promoted = True
        self._wake()

    def result(self) -> list[Outcome]:
        if self._error is not None:
            raise again(self._error) from self._error
        return self._outcomes

    def _end(self) -> None:
        self.is_done = True
        if not self.is_promoted:
            self._wake()

    def _wake(self) -> None:
        if self._turn is not None:
            self._turn.release()
