"""Recall through the file: what a .tflite is worth to the held-out users, under the run's protocol.

The protocol ranks every item that a user has not met before, and a list holds k items and leaves
out only those of the history. So items met before are struck from the list; where fewer than ten
are left and the target is not among them, every item is scored instead.
"""

import numpy as np
from jaxtyping import Bool, Float32, Int32

from convert.interpreter import DeviceModel, Lists
from jaxrec.features import ITEM, PAD
from jaxrec.heldout import Heldout

RECALL_AT = 10

_AT_A_TIME = 1024


def recall_through(
    device: DeviceModel, lists: Lists, heldout: Heldout, vocabulary_size: int, *, keep_seen: bool
) -> float:
    """Give recall@10, the share of targets among the best ten; ties count against the target.

    Args:
        lists: what the device gives for every held-out history, in their order.
        keep_seen: the run's protocol: items met before are candidates too.
    """
    hits = 0
    for start in range(0, len(heldout.target), _AT_A_TIME):
        stop = min(start + _AT_A_TIME, len(heldout.target))
        histories, targets = heldout.history[ITEM][start:stop], heldout.target[start:stop]
        closed = heldout.seen_by(start, stop, vocabulary_size + 1)
        if keep_seen:
            closed[:] = False
        closed[:, PAD] = True
        ids, scores = lists.ids[start:stop], lists.scores[start:stop]
        hit, is_open = ranked_within(ids, scores, targets, closed)
        if is_open.any():
            everything = np.arange(vocabulary_size + 1, dtype=np.int32)
            everything = np.tile(everything, (int(is_open.sum()), 1))
            scores = device.score_all(histories[is_open], everything)
            hit[is_open], _ = ranked_within(everything, scores, targets[is_open], closed[is_open])
        hits += int(hit.sum())
    return hits / len(heldout.target)


def ranked_within(
    ids: Int32[np.ndarray, "n k"],
    scores: Float32[np.ndarray, "n k"],
    targets: Int32[np.ndarray, " n"],
    closed: Bool[np.ndarray, "n R"],
) -> tuple[Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Tell whose target is among the best ten of a list, and who cannot be told from it.

    Args:
        closed: items that are no candidates, by id.
    """
    counts = ~np.take_along_axis(closed, ids, axis=1)
    is_target = counts & (ids == targets[:, None])
    is_listed = is_target.any(axis=1)
    own = np.max(scores, axis=1, where=is_target, initial=-np.inf)
    rank = np.sum(counts & (scores >= own[:, None]), axis=1)
    closed_target = np.take_along_axis(closed, targets[:, None], axis=1)[:, 0]
    is_open = ~is_listed & ~closed_target & (counts.sum(axis=1) < RECALL_AT)
    return is_listed & (rank <= RECALL_AT), is_open
