"""Locks of a forked process; tests/runtime/fork_under_load.py forks while threads hold them."""

import threading

from jaxrec.runtime.fork_lock import ForkLock


def test_a_lock_excludes_other_threads():
    lock, order = ForkLock(), []

    def append() -> None:
        with lock:
            order.append("other")

    other = threading.Thread(target=append)
    with lock:
        other.start()
        other.join(0.05)
        order.append("first")
    other.join()
    assert order == ["first", "other"]


def test_a_renewed_lock_is_free_and_was_held_until_its_owner_resets_it():
    lock = ForkLock()
    lock.renew()
    assert not lock.was_held
    lock.__enter__()
    lock.renew()
    with lock:
        assert lock.was_held
    lock.renew()
    assert lock.was_held
    lock.was_held = False
    lock.renew()
    assert not lock.was_held
