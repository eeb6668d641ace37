"""Buckets: a few lengths that rows of different lengths are padded to, with little padding.

A program is compiled once for each length, which takes seconds, so there are few.
"""

import numpy as np
from jaxtyping import Int

MOST_BUCKETS = 6
# Another shape must save at least this share of all positions, and at least this many. Compiling
# training for another shape takes about as long as training on 10,000 positions for 30 epochs.
LEAST_SHARE, LEAST_SAVED = 0.08, 10_000
# Number of lengths among which the edges are chosen, in a geometric series.
_GRID_SIZE = 64


def bucket_edges(lengths: Int[np.ndarray, " n"], *, beside: int = 0) -> list[int]:
    """Return the lengths to pad rows to, ascending; the last is that of the longest row, or 1.

    The edges are optimal for their number, by dynamic programming. Buckets are added while each
    saves enough (`is_worth`).

    Args:
        lengths: of the rows; there is at least one.
        beside: positions of other rows, which are computed too and cannot be saved.
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
    for _ in range(min(MOST_BUCKETS, len(candidates)) - 1):
        # totals[i, j]: the last bucket has the rows longer than candidate i, up to j.
        totals = best[:-1, None] + costs[1:]
        before = totals.argmin(axis=0)
        edges = [[*edges[i], int(edge)] for i, edge in zip(before, candidates, strict=True)]
        best = totals.min(axis=0)
        if not is_worth(cost - best[-1], of=cost + beside):
            break
        chosen, cost = edges[-1], best[-1]
    return chosen


def is_worth(saved: float | np.number, *, of: float | np.number) -> bool:
    """Return whether saving `saved` of `of` positions justifies another shape."""
    return bool(saved >= max(LEAST_SHARE * of, LEAST_SAVED))
