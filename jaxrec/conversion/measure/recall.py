"""Recall of a .tflite file on the held-out users, under the run's protocol.

The protocol ranks every item that a user has not seen, while a list has k items and excludes
only those of the history. Seen items are therefore removed from the list; where fewer than ten are
left and the target is not among them, every item is scored instead.
"""

import numpy as np
from jaxtyping import Bool, Float32, Int32

from jaxrec.conversion.inputs import as_inputs, take_rows
from jaxrec.runs.heldout import Heldout
from jaxrec.runtime.interpreter import DeviceModel, RankedItems
from jaxrec.schema import PAD

RECALL_AT = 10

# Batch size of the histories for which every item is scored.
_BATCH_SIZE = 256


def compute_recall(
    device: DeviceModel,
    lists: RankedItems,
    heldout: Heldout,
    vocabulary_size: int,
    *,
    keep_seen: bool,
) -> float:
    """Compute recall@10, the share of targets among the best ten; ties count against the target.

    Args:
        lists: the device's lists, those of the held-out histories first and in their order.
        keep_seen: whether the run's protocol also ranks seen items.
    """
    inputs, ids = as_inputs(heldout.history), lists.ids[: len(heldout.target)]
    all_rows = np.arange(len(heldout.target))
    hit, is_undecided = compute_hits(
        heldout, all_rows, ids, lists.scores[all_rows], keep_seen=keep_seen
    )
    undecided = np.flatnonzero(is_undecided)
    all_items = np.arange(vocabulary_size + 1, dtype=np.int32)
    for start in range(0, len(undecided), _BATCH_SIZE):
        rows = undecided[start : start + _BATCH_SIZE]
        all_ids = np.tile(all_items, (len(rows), 1))
        scores = device.score_all(take_rows(inputs, rows), all_ids)
        hit[rows], _ = compute_hits(heldout, rows, all_ids, scores, keep_seen=keep_seen)
    return float(hit.mean())


def compute_hits(
    heldout: Heldout,
    rows: np.ndarray,
    ids: Int32[np.ndarray, "n k"],
    scores: Float32[np.ndarray, "n k"],
    *,
    keep_seen: bool,
) -> tuple[Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Return which targets are among the best ten of their list, and which are undecided by it.

    Args:
        rows: rows of the held-out users whose lists these are.
        ids: ids of the listed items; PAD is not a candidate.
        keep_seen: as in `compute_recall`.
    """
    targets, is_excluded = heldout.target[rows], ids == PAD
    missed = np.zeros(len(rows), bool)
    if not keep_seen:
        seen = heldout.seen.gather(rows)
        is_excluded, missed = (
            is_excluded | seen.contains(ids),
            seen.contains(targets[:, None])[:, 0],
        )
    is_target = ~is_excluded & (ids == targets[:, None])
    is_listed = is_target.any(axis=1)
    target_scores = np.max(scores, axis=1, where=is_target, initial=-np.inf)
    rank = np.sum(~is_excluded & (scores >= target_scores[:, None]), axis=1)
    is_undecided = ~is_listed & ~missed & (np.sum(~is_excluded, axis=1) < RECALL_AT)
    return is_listed & (rank <= RECALL_AT), is_undecided
