"""Top items: the list of each of some histories, computed in JAX."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int32

from jaxrec.data.excluded_items import ExcludedItems
from jaxrec.evaluation.ranking import Histories, Scorer, batch_size_for, rank_scores


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
    # All batches have the same shape: the last repeats its rows, and excluded ids end with PAD.
    batches_seen = [seen.gather(rows) for rows in batches]
    max_seen = 0 if keep_seen else max(len(each.ids) for each in batches_seen)
    any_target = np.ones(size, np.int32)
    for rows, of_batch in zip(batches, batches_seen, strict=True):
        excluded = np.zeros((2, max_seen), np.int32)
        if not keep_seen:
            excluded[:, : len(of_batch.ids)] = of_batch.rows, of_batch.ids
        padded = np.resize(rows, size)
        scores = scorer({name: values[padded] for name, values in histories.items()})
        _, top_BK = rank_scores(scores, any_target, excluded, top=top)
        yield np.asarray(top_BK)[: len(rows)]
