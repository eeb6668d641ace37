"""Ranking: the rank of every target among the whole catalogue."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from flax import nnx
from jaxtyping import Bool, Float, Int, Int32

from jaxrec.data.buckets import bucket_edges
from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import Dataset
from jaxrec.data.excluded_items import ExcludedItems, items_before
from jaxrec.data.timelines import Timelines
from jaxrec.evaluation.metrics import missed_rank
from jaxrec.evaluation.scores import (
    Factors,
    Ranked,
    Scores,
    materialize_scores,
    rank_in_blocks,
    rank_whole,
)
from jaxrec.models.model import RecommenderModel
from jaxrec.schema import AGE, UNKNOWN

COVERAGE_AT = 10

Histories = Mapping[str, Int32[np.ndarray, "B *N"]]
"""Ids of each feature: of activities [B, N], most recent last, PAD on the left; of others [B]."""

Scorer = Callable[[Histories], Scores]
"""A function of histories that returns the score of every item; that of PAD is ignored."""

# Scores in memory at a time, 4 bytes each.
_MAX_SCORES = 4_000_000
# With more items, targets are ranked in blocks if a scorer returns factors. With a million items
# and d = 32, two cores of a Xeon rank a history in 1.4 ms instead of 3.8, and with the top ten in
# 4.4 instead of 6.1.
_MAX_WHOLE_ITEMS = 1 << 16
_HISTORIES_IN_BLOCKS = 64


@dataclass(frozen=True, eq=False)
class Ranking:
    """The ranks of targets.

    Attributes:
        users: the user of each target, [n].
        ranks: from 1, the best, to the number of candidates; `metrics.missed_rank` for an excluded
            target, [n].
        covered: number of items in the top 10 of at least one history; 0 if not requested.
        seen_targets: number of targets in the user's past; if excluded, they count as missed.
    """

    users: Int[np.ndarray, " n"]
    ranks: Int[np.ndarray, " n"]
    covered: int
    seen_targets: int


class RankedPositions(NamedTuple):
    """The ranks of the items at some positions, and the lists at these positions.

    Attributes:
        ranks: as in `Ranking`, [n].
        lists: the ids of the top items, best first, PAD where no item is left, [n, K].
        is_seen: whether the item is in the user's past, [n].
    """

    ranks: Int32[np.ndarray, " n"]
    lists: Int32[np.ndarray, "n K"]
    is_seen: Bool[np.ndarray, " n"]


def model_scorer(graphdef: nnx.GraphDef[RecommenderModel], params: nnx.State) -> Scorer:
    """Return a scorer from a model, which is given as the result of nnx.split."""
    model = nnx.merge(graphdef, params)
    table_RD, bias_R = model.item_table, model.item_bias
    return lambda history: Factors(_queries(graphdef, params, history), table_RD, bias_R)


def mask_moment(scorer: Scorer, moments: Iterable[str]) -> Scorer:
    """Return a scorer that masks the time of the target, but not the time gaps before it.

    Args:
        moments: names of the features of the moment.
    """

    def score(history: Histories) -> Scores:
        masked = {**history, **{name: np.zeros_like(history[name]) for name in moments}}
        if AGE in masked:
            masked[AGE] = masked[AGE].copy()
            masked[AGE][:, -1] = UNKNOWN
        return scorer(masked)

    return score


@partial(jax.jit, static_argnums=0)
def _queries(
    graphdef: nnx.GraphDef[RecommenderModel],
    params: nnx.State,
    history: Mapping[str, Int[jax.Array, "B *_"]],
) -> Float[jax.Array, "B D"]:
    return nnx.merge(graphdef, params).encode_last(history)


def rank(
    scorer: Scorer,
    dataset: Dataset,
    positions: Int[np.ndarray, " n"],
    config: DataConfig,
    *,
    coverage: bool = True,
) -> Ranking:
    """Rank the item at each position of a dataset, as `rank_positions`.

    Args:
        coverage: whether to compute `Ranking.covered`, which takes as long as all the rest.
    """
    timelines, catalogue_size = dataset.timelines, dataset.vocabulary.size
    top = min(COVERAGE_AT, catalogue_size) if coverage else 0
    ranked = rank_positions(scorer, timelines, catalogue_size, positions, config, top=top)
    recommended = np.zeros(catalogue_size + 1, bool)
    recommended[ranked.lists] = True
    users, seen_targets = timelines.users_of(positions), int(ranked.is_seen.sum())
    return Ranking(users, ranked.ranks, int(recommended[1:].sum()), seen_targets)


def rank_positions(
    scorer: Scorer,
    timelines: Timelines,
    catalogue_size: int,
    positions: Int[np.ndarray, " n"],
    config: DataConfig,
    *,
    top: int = 0,
) -> RankedPositions:
    """Rank the item at each position among all items, given the history before it.

    Ties count against the target, as does a score that is NaN. Unless the configuration keeps them,
    all items of the user's past before the target, however long ago, are excluded from the ranking.

    Args:
        top: number of top items to return, K.
    """
    batch_size = max(1, min(len(positions), batch_size_for(catalogue_size)))
    seen, targets = items_before(timelines, positions), timelines.items[positions]
    is_seen = seen.contains(targets[:, None])[:, 0]
    batches = _length_batches(np.minimum(np.diff(seen.offsets), config.history_length), batch_size)
    excluded = pad_excluded(seen, [rows for rows, _ in batches], keep_seen=config.keep_seen)
    ranks = np.empty(len(positions), np.int32)
    lists = np.zeros((len(positions), top), np.int32)
    for (rows, length), excluded_2m in zip(batches, excluded, strict=True):
        padded = np.resize(positions[rows], batch_size)  # repeated rows, dropped below
        scores = scorer(timelines.histories(padded, length))
        rank_B, top_BK = rank_scores(scores, timelines.items[padded], excluded_2m, top=top)
        ranks[rows] = np.asarray(rank_B)[: len(rows)]
        lists[rows] = np.asarray(top_BK)[: len(rows)]
    if not config.keep_seen:
        ranks[is_seen] = missed_rank(catalogue_size)
    return RankedPositions(ranks, lists, is_seen)


def batch_size_for(catalogue_size: int) -> int:
    """Return the number of histories to score together, as many as fit into memory."""
    in_blocks = catalogue_size > _MAX_WHOLE_ITEMS
    return _HISTORIES_IN_BLOCKS if in_blocks else _MAX_SCORES // (catalogue_size + 1)


def pad_excluded(
    seen: ExcludedItems, batches: Sequence[Int[np.ndarray, " _"]], *, keep_seen: bool
) -> Iterator[Int32[np.ndarray, "2 m"]]:
    """Yield the row and the id of each seen item of batches, in arrays of one shape.

    The arrays end with PAD, which is never ranked, so that all batches share one program.

    Args:
        batches: the rows of each batch.
        keep_seen: whether nothing is excluded: m is zero then.
    """
    parts = [seen.gather(rows) for rows in batches]
    length = 0 if keep_seen else max(len(each.ids) for each in parts)
    for each in parts:
        padded = np.zeros((2, length), np.int32)
        if not keep_seen:
            padded[:, : len(each.ids)] = each.rows, each.ids
        yield padded


def rank_scores(
    scores: Scores,
    targets: Int[np.ndarray, " B"],
    excluded: Int[np.ndarray, "2 m"],
    *,
    top: int,
) -> Ranked:
    """Rank targets as `rank_whole` does, in blocks of items if there are many."""
    if isinstance(scores, Factors) and len(scores.bias_R) - 1 > _MAX_WHOLE_ITEMS:
        return rank_in_blocks(scores, targets, excluded, top=top)
    return rank_whole(materialize_scores(scores), targets, excluded, top=top)


def _length_batches(
    lengths: Int[np.ndarray, " n"], size: int
) -> list[tuple[Int[np.ndarray, " size"], int]]:
    """Return batches of histories sorted by length: the rows of each, and the length to read."""
    edges = np.array(bucket_edges(lengths))
    batches = np.split(order := np.argsort(lengths, kind="stable"), range(size, len(order), size))
    return [(rows, int(edges[edges >= lengths[rows].max()][0])) for rows in batches]
