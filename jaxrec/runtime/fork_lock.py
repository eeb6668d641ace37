"""A lock that a forked process can acquire, whatever the threads of its parent held."""

import os
from threading import Lock
from typing import Any
from weakref import WeakSet


class ForkLock:
    """A lock, as a context manager, that is unlocked in a forked process.

    A fork copies the memory of a process, but only the thread that forks. In the child, a lock that
    another thread held would never be released, and what it protects may be half changed.

    Attributes:
        was_held: true in a child whose parent forked while a thread held the lock, until its owner
            has replaced what it protects, and sets this to false.
    """

    def __init__(self) -> None:
        self.was_held = False
        self._lock = Lock()
        _LOCKS.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: Any) -> None:
        self._lock.release()

    def renew(self) -> None:
        """Replace the lock by a new one, in the child of a fork."""
        self.was_held = self.was_held or self._lock.locked()
        self._lock = Lock()


_LOCKS: WeakSet[ForkLock] = WeakSet()


def _renew_all() -> None:
    for lock in _LOCKS:
        lock.renew()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_renew_all)
