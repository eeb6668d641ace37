"""Buckets: rows of different lengths, padded to a few lengths that leave little padding.

Each length that a program meets is compiled once, which takes seconds. So there are few.
"""

import numpy as np
from jaxtyping import Int

MOST_BUCKETS = 6
# What another shape must save: this share of all positions, and so many. To compile a training of
# another shape takes about as long as to train on so many positions in each of 30 epochs.
LEAST_SHARE, LEAST_SAVED = 0.08, 10_000
# Lengths among which the edges are chosen, each a little more than the one before it.
_CANDIDATES = 64


def bucket_edges(lengths: Int[np.ndarray, " n"], *, beside: int = 0) -> list[int]:
    """Choose the lengths that rows are padded to, ascending; the last is the longest row's,
    or 1.

    Of every number of buckets the choice is the best; one bucket more is taken while it saves
    enough.

    Args:
        lengths: of the rows, at least one.
        beside: positions of other rows, which are computed too and cannot be saved.
    """
    shortest, longest = np.maximum([lengths.min(), lengths.max()], 1).tolist()
    grid = np.geomspace(shortest, longest, _CANDIDATES)
    candidates = np.unique(np.append(grid.astype(np.int64), longest))
    # How many rows are no longer than each candidate, after none.
    counts = np.searchsorted(np.sort(lengths), np.append(-1, candidates), side="right")
    # Row i, column j: what the rows between candidates i and j cost, padded to j's length.
    costs = (counts[None, 1:] - counts[:-1, None]) * candidates.astype(np.float64)
    costs[np.tril_indices(len(candidates), -1)] = np.inf
    # best[j]: the least cost of all rows up to candidate j, and the edges below it.
    best, edges = costs[0], [[int(edge)] for edge in candidates]
    chosen, cost = edges[-1], best[-1]
    for _ in range(min(MOST_BUCKETS, len(candidates)) - 1):
        # The last bucket begins behind candidate i - 1.
        totals = best[:-1, None] + costs[1:]
        before = totals.argmin(axis=0)
        edges = [[*edges[i], int(edge)] for i, edge in zip(before, candidates, strict=True)]
        best = totals.min(axis=0)
        if not is_worth(cost - best[-1], of=cost + beside):
            break
        chosen, cost = edges[-1], best[-1]
    return chosen


def is_worth(saved: float | np.number, *, of: float | np.number) -> bool:
    """Tell whether another shape is worth that so many positions are saved, of so many."""
    return bool(saved >= max(LEAST_SHARE * of, LEAST_SAVED))
