"""Best: the items that come first after a history, of all that are open to it."""

import numpy as np
from numpy.typing import NDArray

from jaxrec.runtime.interpreter import DeviceModel, Inputs, Lists
from jaxrec.runtime.known import NO_ITEM

Closed = NDArray[np.bool_]
"""The items that are left out of each list, by their ids, NO_ITEM among them, [n, V + 1]."""

# Entries of a table of histories by items that are in memory at a time.
_AT_A_TIME = 4_000_000


def histories_at_a_time(device: DeviceModel, catalogue_size: int) -> int:
    """Say for how many histories lists are best made together: full batches that fit in memory."""
    return device.batch_size * max(1, _AT_A_TIME // (device.batch_size * (catalogue_size + 1)))


def best_of_all(device: DeviceModel, histories: Inputs, closed: Closed, k: int) -> Lists:
    """Give the k best items of each history; of equal ones the lower id comes first.

    The file's own lists do, where k of their items are open; elsewhere every item is scored.

    Returns:
        [n, k]; NO_ITEM, with the score -inf, where no more are open.
    """
    found = _first(device.recommend_all(histories), closed, k)
    short = np.flatnonzero(found.ids[:, -1] == NO_ITEM)
    if len(short):
        histories = {name: rows[short] for name, rows in histories.items()}
        everything = np.arange(1, closed.shape[1], dtype=np.int32)
        rest = best_of(device, histories, everything, closed[short], k)
        found.ids[short], found.scores[short] = rest
    return found


def best_of(
    device: DeviceModel,
    histories: Inputs,
    candidates: NDArray[np.int32],
    closed: Closed,
    k: int,
) -> Lists:
    """Give the k best of some items for each history, as `best_of_all` does.

    Args:
        candidates: their ids, in ascending order.
    """
    ids = np.tile(candidates, (len(closed), 1))
    scores = device.score_all(histories, ids)
    order = np.argsort(-scores, axis=1, kind="stable")
    rows = np.arange(len(closed))[:, None]
    return _first(Lists(ids[rows, order], scores[rows, order]), closed, k)


def _first(lists: Lists, closed: Closed, k: int) -> Lists:
    """Give the k first of each list that are open."""
    ids, scores = lists
    rows = np.arange(len(ids))[:, None]
    if ids.shape[1] >= k and not closed[rows, ids[:, :k]].any():
        return Lists(ids[:, :k], scores[:, :k])  # as almost always: the graph leaves histories out
    is_closed = closed[rows, ids]
    # Those that are open come before the others, both in their order.
    order = np.argsort(is_closed, axis=1, kind="stable")[:, :k]
    is_closed = is_closed[rows, order]
    ids = np.where(is_closed, NO_ITEM, ids[rows, order])
    scores = np.where(is_closed, -np.inf, scores[rows, order])
    missing = k - order.shape[1]
    if missing <= 0:
        return Lists(ids, scores)
    fill = (0, 0), (0, missing)
    return Lists(
        np.pad(ids, fill, constant_values=NO_ITEM), np.pad(scores, fill, constant_values=-np.inf)
    )
