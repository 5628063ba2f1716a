"""Let nothing that Chroma opened cross a fork."""

import functools
import os
import threading
import weakref
from typing import Protocol


class Closable(Protocol):
    """Something that must not be open when the process forks."""

    def hold(self) -> None:
        """Keep new uses waiting, let those under way end, and close."""

    def resume(self) -> None:
        """Let the uses go on that `hold` keeps waiting."""

    def start_over(self) -> None:
        """Forget, in the child, the parent's threads and what they held."""


class _Registry:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.members: weakref.WeakSet[Closable] = weakref.WeakSet()
        self.held: list[Closable] = []

    def hold_all(self) -> None:
        # The lock stays taken until the fork is over, so that no member joins meanwhile.
        self.lock.acquire()
        self.held = list(self.members)
        for member in self.held:
            member.hold()

    def resume_all(self) -> None:
        for member in self.held:
            member.resume()
        self.held = []
        self.lock.release()

    def start_over_all(self) -> None:
        for member in self.held:
            member.start_over()
        self.held = []
        self.lock = threading.Lock()


@functools.cache
def _registry() -> _Registry:
    registry = _Registry()
    os.register_at_fork(
        before=registry.hold_all,
        after_in_parent=registry.resume_all,
        after_in_child=registry.start_over_all,
    )
    return registry


def close_before_forks(member: Closable) -> None:
    """Close `member` before every fork of this process, as long as it exists."""
    registry = _registry()
    with registry.lock:
        registry.members.add(member)
