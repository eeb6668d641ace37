"""Recall through the file: what a .tflite is worth to the held-out users, under the run's protocol.

The protocol ranks every item that a user has not met before, and a list holds k items and leaves
out only those of the history. So items met before are struck from the list; where fewer than ten
are left and the target is not among them, every item is scored instead.
"""

import numpy as np
from jaxtyping import Bool, Float32, Int32

from jaxrec.conversion.inputs import as_inputs, take
from jaxrec.runs.heldout import Heldout
from jaxrec.runtime.interpreter import DeviceModel, Lists
from jaxrec.schema import PAD

RECALL_AT = 10

# Histories whose every item is scored.
_AT_A_TIME = 256


def recall_through(
    device: DeviceModel, lists: Lists, heldout: Heldout, vocabulary_size: int, *, keep_seen: bool
) -> float:
    """Give recall@10, the share of targets among the best ten; ties count against the target.

    Args:
        lists: what the device gives for every held-out history, in their order.
        keep_seen: the run's protocol: items met before are candidates too.
    """
    inputs, ids = as_inputs(heldout.history), lists.ids[: len(heldout.target)]
    everybody = np.arange(len(heldout.target))
    hit, is_open = ranked(heldout, everybody, ids, lists.scores[everybody], keep_seen=keep_seen)
    undecided = np.flatnonzero(is_open)
    everything = np.arange(vocabulary_size + 1, dtype=np.int32)
    for start in range(0, len(undecided), _AT_A_TIME):
        rows = undecided[start : start + _AT_A_TIME]
        all_ids = np.tile(everything, (len(rows), 1))
        scores = device.score_all(take(inputs, rows), all_ids)
        hit[rows], _ = ranked(heldout, rows, all_ids, scores, keep_seen=keep_seen)
    return float(hit.mean())


def ranked(
    heldout: Heldout,
    rows: np.ndarray,
    ids: Int32[np.ndarray, "n k"],
    scores: Float32[np.ndarray, "n k"],
    *,
    keep_seen: bool,
) -> tuple[Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Tell whose target is among the best ten of a list, and who cannot be told from it.

    Args:
        rows: the held-out users whose lists these are.
        ids: PAD is no candidate.
        keep_seen: as in `recall_through`.
    """
    targets, closed = heldout.target[rows], ids == PAD
    missed = np.zeros(len(rows), bool)
    if not keep_seen:
        seen = heldout.seen.take(rows)
        closed, missed = closed | seen.holds(ids), seen.holds(targets[:, None])[:, 0]
    is_target = ~closed & (ids == targets[:, None])
    is_listed = is_target.any(axis=1)
    own = np.max(scores, axis=1, where=is_target, initial=-np.inf)
    rank = np.sum(~closed & (scores >= own[:, None]), axis=1)
    is_open = ~is_listed & ~missed & (np.sum(~closed, axis=1) < RECALL_AT)
    return is_listed & (rank <= RECALL_AT), is_open
