"""Keep what was read lately, within a number of bytes."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)
Value = TypeVar("Value")


class Kept(Generic[Name, Value]):
    """Values by name, those used longest ago dropped first; safe for many threads."""

    def __init__(self, most_bytes: int, price: Callable[[Value], int]) -> None:
        """Keep nothing yet; values take together at most `most_bytes`, each as `price` tells."""
        self._lock = threading.Lock()
        self._values: OrderedDict[Name, Value] = OrderedDict()
        self._most_bytes = most_bytes
        self._price = price
        self._bytes = 0

    def find(self, names: Iterable[Name]) -> dict[Name, Value]:
        """Return those of the values that are kept."""
        found: dict[Name, Value] = {}
        with self._lock:
            for name in names:
                value = self._values.get(name)
                if value is not None:
                    self._values.move_to_end(name)
                    found[name] = value
        return found

    def keep(self, values: Mapping[Name, Value]) -> None:
        """Keep values, in place of others of the same names."""
        with self._lock:
            for name, value in values.items():
                before = self._values.pop(name, None)
                if before is not None:
                    self._bytes -= self._price(before)
                self._values[name] = value
                self._bytes += self._price(value)
            while self._bytes > self._most_bytes:
                self._bytes -= self._price(self._values.popitem(last=False)[1])
