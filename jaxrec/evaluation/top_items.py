"""Top items: the list of each of some histories, computed in JAX."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int32

from jaxrec.data.excluded_items import ExcludedItems
from jaxrec.evaluation.ranking import (
    Histories,
    Scorer,
    batch_size_for,
    pad_excluded,
    rank_scores,
)


def top_items(
    scorer: Scorer,
    histories: Histories,
    seen: ExcludedItems,
    *,
    catalogue_size: int,
    top: int,
    keep_seen: bool,
) -> Iterator[Int32[np.ndarray, "b top"]]:
    """Yield the ids of the best items of each history, in batches.

    Args:
        seen: the ids of each user's items.
        top: number of items in a list; shorter ones are padded with PAD.
        keep_seen: whether seen items are listed too.
    """
    size = max(1, min(len(seen), batch_size_for(catalogue_size)))
    batches = [
        np.arange(start, min(start + size, len(seen))) for start in range(0, len(seen), size)
    ]
    excluded, any_target = pad_excluded(seen, batches, keep_seen=keep_seen), np.ones(size, np.int32)
    for rows, excluded_2m in zip(batches, excluded, strict=True):
        padded = np.resize(rows, size)  # repeated rows, dropped below
        scores = scorer({name: values[padded] for name, values in histories.items()})
        _, top_BK = rank_scores(scores, any_target, excluded_2m, top=top)
        yield np.asarray(top_BK)[: len(rows)]
