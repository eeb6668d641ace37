"""Buckets: a few lengths that rows of different lengths are padded to, with little padding.

A program is compiled once for each length, which takes seconds, so there are few.
"""

import numpy as np
from jaxtyping import Int

MAX_BUCKETS = 6
# Another shape must save at least this share of all positions, and at least this many. Compiling
# training for another shape takes about as long as training on 10,000 positions for 30 epochs.
MIN_SAVED_SHARE, MIN_SAVED = 0.08, 10_000
# Number of lengths among which the edges are chosen, in a geometric series.
_GRID_SIZE = 64


def bucket_edges(lengths: Int[np.ndarray, " n"], *, fixed_positions: int = 0) -> list[int]:
    """Return the lengths to pad rows to, ascending; the last is that of the longest row, or 1.

    The edges are optimal for their number, by dynamic programming. Buckets are added while each
    saves enough (`saves_enough`).

    Args:
        lengths: of the rows; there is at least one.
        fixed_positions: positions of other rows, which are computed too and cannot be saved.
    """
    shortest, longest = np.maximum([lengths.min(), lengths.max()], 1).tolist()
    grid = np.geomspace(shortest, longest, _GRID_SIZE)
    candidates = np.unique(np.append(grid.astype(np.int64), longest))
    # counts[i]: number of rows up to the length of candidate i - 1; counts[0] is 0.
    counts = np.searchsorted(np.sort(lengths), np.append(-1, candidates), side="right")
    # costs[i, j]: positions of the rows longer than candidate i - 1, up to j, if padded to j.
    costs = (counts[None, 1:] - counts[:-1, None]) * candidates.astype(np.float64)
    costs[np.tril_indices(len(candidates), -1)] = np.inf
    # best[j]: the lowest cost of all rows up to candidate j; edges[j]: the edges that attain it.
    best, edges = costs[0], [[int(edge)] for edge in candidates]
    chosen, cost = edges[-1], best[-1]
    for _ in range(min(MAX_BUCKETS, len(candidates)) - 1):
        # totals[i, j]: the last bucket has the rows longer than candidate i, up to j.
        totals = best[:-1, None] + costs[1:]
        before = totals.argmin(axis=0)
        edges = [[*edges[i], int(edge)] for i, edge in zip(before, candidates, strict=True)]
        best = totals.min(axis=0)
        if not saves_enough(cost - best[-1], total=cost + fixed_positions):
            break
        chosen, cost = edges[-1], best[-1]
    return chosen


def saves_enough(saved: float | np.number, *, total: float | np.number) -> bool:
    """Return whether saving `saved` of `total` positions justifies another shape."""
    return bool(saved >= max(MIN_SAVED_SHARE * total, MIN_SAVED))
