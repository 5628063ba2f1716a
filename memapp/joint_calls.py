"""Calls that go together, whichever process of a host they come from.

What waits in one process goes together by `coalescing`; here one process makes the calls of all
that share its name, by `errands`, so that what waits in all of them does.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Lock
from typing import Any, Generic, NamedTuple, TypeVar

from memapp.coalescing import Coalescer
from memapp.errands import Errands

Kind = TypeVar("Kind", bound=Hashable)
Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

PATIENCE = 0.5
"""Seconds that are waited for the process that calls for all; then the call is made here too."""

LANES, CROWDED = 4, 8
"""Of one kind so many calls go on at a time, another one only where so many items wait for it."""

_KINDS = 256


class JointCalls(Generic[Kind, Item, Outcome]):
    """Makes one call of what is asked for at the same time; safe for many threads.

    To be made anew in a forked child.
    """

    def __init__(
        self, name: str, call: Callable[[Kind, list[Item]], list[Outcome]], *, most: int
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            name: Of the processes whose calls go together; empty for this one alone.
            call: Takes items of one kind and returns one outcome for each, in the same order. It
                may be made twice for the same items, and raises `MemappError`. Kinds, items,
                outcomes and errors must be picklable.
            most: How many items go together.
        """
        self._call = call
        self._most = most
        self._errands: Errands[_Item[Kind], Outcome] = Errands(name, self._do)
        self._lanes: OrderedDict[Kind, _Lanes[Item, Outcome]] = OrderedDict()
        self._lock = Lock()

    def submit(self, kind: Kind, item: Item) -> Outcome:
        """Have an item served, in a call that begins after this one and holds its kind only.

        Raises:
            MemappError: what the call raised.
        """
        return self._errands.run(_Item(kind, item), PATIENCE)

    def close(self) -> None:
        """Make no more calls for other processes."""
        self._errands.close()

    def _do(self, asked: "_Item[Kind]") -> Outcome:
        with self._lock:
            lanes = self._lanes.get(asked.kind)
            if lanes is None:
                lanes = _Lanes(partial(self._call, asked.kind), self._most)
                self._lanes[asked.kind] = lanes
                if len(self._lanes) > _KINDS:
                    self._lanes.popitem(last=False)  # Who waits there still has it.
            self._lanes.move_to_end(asked.kind)
        with lanes.choosing() as lane:
            return lane.submit([asked.item])[0]


class _Item(NamedTuple, Generic[Kind]):
    """An item on its way to whoever makes the calls."""

    kind: Kind
    item: Any


class _Lanes(Generic[Item, Outcome]):
    """The calls of one kind; in each lane one goes on at a time."""

    def __init__(self, call: Callable[[list[Item]], list[Outcome]], most: int) -> None:
        self._lanes: list[Coalescer[Item, Outcome]] = [
            Coalescer(call, most=most) for _ in range(LANES)
        ]
        self._waiting = [0] * LANES
        self._lock = Lock()

    @contextmanager
    def choosing(self) -> Iterator[Coalescer[Item, Outcome]]:
        """Give the first lane that is not crowded, or the least crowded one."""
        with self._lock:
            free = (n for n, waiting in enumerate(self._waiting) if waiting < CROWDED)
            number = next(free, self._waiting.index(min(self._waiting)))
            self._waiting[number] += 1
        try:
            yield self._lanes[number]
        finally:
            with self._lock:
                self._waiting[number] -= 1
