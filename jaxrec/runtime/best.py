"""Best: the items that come first after a history, of all that are open to it."""

import numpy as np
from numpy.typing import NDArray

from jaxrec.runtime.interpreter import DeviceModel, Inputs, Lists
from jaxrec.runtime.known import NO_ITEM

Closed = NDArray[np.bool_]
"""The items that are left out of each list, by their ids, [n, V + 1]."""

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
    return _first(Lists(ids, device.score_all(histories, ids)), closed, k)


def _first(lists: Lists, closed: Closed, k: int) -> Lists:
    """Give the k best of each list that are open; of equal ones, that which stands first in it."""
    is_open = (lists.ids != NO_ITEM) & ~np.take_along_axis(closed, lists.ids, axis=1)
    ids = np.where(is_open, lists.ids, NO_ITEM)
    scores = np.where(is_open, lists.scores, -np.inf)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    fill = (0, 0), (0, k - order.shape[1])
    return Lists(
        np.pad(np.take_along_axis(ids, order, axis=1), fill, constant_values=NO_ITEM),
        np.pad(np.take_along_axis(scores, order, axis=1), fill, constant_values=-np.inf),
    )
