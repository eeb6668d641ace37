"""Boost of new items: the largest that costs the other items no more recall than is allowed.

A new item has no embedding of its own and scores like the average of its kind, below the popular
items of that kind. A boost of its score brings it into lists, where it takes the place of others.
The cost is measured on the held-out histories of the run, none of whose targets is a new item.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from jaxrec.conversion.export_config import MAX_BOOST, ExportConfig
from jaxrec.conversion.inputs import as_history, as_inputs, take_rows
from jaxrec.conversion.measure.recall import RECALL_AT
from jaxrec.conversion.restore import RestoredRun
from jaxrec.data.feature_values import encode_inputs
from jaxrec.data.progress import show_progress
from jaxrec.evaluation.metrics import bootstrap_intervals
from jaxrec.models.folding import add_to_scores
from jaxrec.models.model import RecommenderModel
from jaxrec.runs.heldout import Heldout
from jaxrec.schema import PAD

# The cost that is allowed by default.
DEFAULT_COST = 0.01

# A boost has three decimals, and this distance from every margin, which float32 rounds by less.
_DISTANCE = 1e-4

# Scores in memory at a time, and in total: with a large catalogue fewer histories are scored.
_MAX_SCORES, _MAX_ALL_SCORES = 8_000_000, 2_000_000_000
_MIN_HISTORIES = 2000


class Margins(NamedTuple):
    """The boosts that change the list of each of n histories.

    Attributes:
        is_hit: whether the target is in the first ten without the new items, [n].
        lost: the boost from which on new items push it out of the first ten; infinite if there are
            too few of them, [n].
        listed: the boost above which a new item is in the first ten, [n].
    """

    is_hit: Bool[np.ndarray, " n"]
    lost: Float[np.ndarray, " n"]
    listed: Float[np.ndarray, " n"]


@dataclass(frozen=True)
class BoostEffect:
    """The effect of new items, with a boost of their scores, on the lists of held-out histories.

    Attributes:
        items: number of new items.
        boost: constant added to their scores.
        allowed_cost: the cost for which the boost was found; None if the boost was given.
        recall_without: recall@10 of the targets, which are other items, without the new items ...
        recall_with: ... and with them.
        cost: the share of `recall_without` that is lost.
        cost_interval: its 95% interval, lower end first.
        lists_with_new_items: share of the histories with a new item in the first ten.
        histories: number of held-out histories.
    """

    items: int
    boost: float
    allowed_cost: float | None
    recall_without: float
    recall_with: float
    cost: float
    cost_interval: tuple[float, float]
    lists_with_new_items: float
    histories: int


def boost_new_items(source: RestoredRun, config: ExportConfig) -> BoostEffect | None:
    """Boost the new items of a restored run, whose model is modified in place; print the effect.

    Args:
        config: its `boost`, or the boost that `find_boost` finds for its `new_items_cost`, is added
            to the scores of the new items.

    Returns:
        The effect; None without new items.
    """
    if config.new_items is None:
        return None
    model, old_items = source.model, source.directory.schema().items
    keep_seen, items = source.config.data.keep_seen, source.vocabulary.size
    heldout, most = source.heldout, max(_MAX_ALL_SCORES // items, _MIN_HISTORIES)
    if most < len(heldout.target):
        heldout = heldout.subsample(most)
    margins = compute_margins(model, heldout, old_items, keep_seen=keep_seen)
    boost, allowed = config.boost, None
    if boost is None:
        allowed = DEFAULT_COST if config.new_items_cost is None else config.new_items_cost
        boost = find_boost(margins, allowed)
    add_to_scores(model, old_items + 1, boost)
    effect = measure_boost(margins, boost, allowed, items=items - old_items)
    print(describe_boost(effect))
    if config.boost is None and config.new_items_cost is None:
        print(
            f"The boost was found for a cost of at most {DEFAULT_COST:.0%}: --new-items-cost=SHARE "
            "allows another, and --boost=0 leaves the scores."
        )
    return effect


def compute_margins(
    model: RecommenderModel, heldout: Heldout, old_items: int, *, keep_seen: bool
) -> Margins:
    """Compute the margins of held-out histories, as if their new items had no boost yet."""
    encode = jax.jit(lambda model, history: model.encode_last(history))
    inputs, count = as_inputs(heldout.history), len(heldout.target)
    size = max(1, _MAX_SCORES // model.item_bias.shape[0])
    parts = []
    with show_progress(total=count, unit="history", label="boost") as progress:
        for start in range(0, count, size):
            rows = np.arange(start, min(start + size, count))
            history = as_history(take_rows(inputs, rows))
            scores = np.array(model.scores(encode(model, encode_inputs(model.features, history))))
            scores[:, PAD] = -np.inf
            if not keep_seen:
                seen = heldout.seen.gather(rows)
                scores[seen.rows, seen.ids] = -np.inf
            parts.append(margins_of(scores, heldout.target[rows], old_items + 1))
            progress.update(len(rows))
    return Margins(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def margins_of(
    scores_BR: Float32[np.ndarray, "B R"], targets_B: Int[np.ndarray, " B"], first_new: int
) -> Margins:
    """Compute margins from the scores of all items; ties count against the target.

    Args:
        scores_BR: minus infinity for excluded items.
        targets_B: ids of old items.
        first_new: id of the first new item; all later ids are new too.
    """
    target_B = np.take_along_axis(scores_BR, targets_B[:, None], axis=1)[:, 0]
    old_BR, new_BR = scores_BR[:, :first_new], scores_BR[:, first_new:]
    rank_B = np.sum(old_BR >= target_B[:, None], axis=1)
    is_hit = (rank_B <= RECALL_AT) & (target_B > -np.inf)
    # The target leaves the list if this many new items score as high.
    needed_B = np.clip(RECALL_AT + 1 - rank_B, 1, RECALL_AT)
    best_new_BK = np.full((len(scores_BR), RECALL_AT), -np.inf)
    count = min(RECALL_AT, new_BR.shape[1])
    best_new_BK[:, :count] = _best(new_BR, count)
    pushing_B = np.take_along_axis(best_new_BK, needed_B[:, None] - 1, axis=1)[:, 0]
    count = min(RECALL_AT, old_BR.shape[1])
    tenth_B = _best(old_BR, count)[:, -1] if count == RECALL_AT else np.full(len(rank_B), -np.inf)
    lost_B, listed_B = np.full((2, len(rank_B)), np.inf)
    np.subtract(target_B, pushing_B, out=lost_B, where=is_hit & (pushing_B > -np.inf))
    np.subtract(tenth_B, best_new_BK[:, 0], out=listed_B, where=best_new_BK[:, 0] > -np.inf)
    return Margins(is_hit, lost_B, listed_B)


def find_boost(margins: Margins, cost: float) -> float:
    """Return the largest boost, from -MAX_BOOST to MAX_BOOST, that costs at most the given share.

    It is no larger than brings a new item into every list: beyond that it would only cost.

    Args:
        cost: share of the targets in the first ten that may be pushed out of them, 0 to 1.
    """
    # The number of lost targets grows with the boost, one at each margin.
    lost = np.sort(margins.lost[margins.is_hit])
    allowed = math.floor(cost * len(lost) + 1e-9)
    largest = lost[allowed] if allowed < len(lost) else np.inf
    listed = margins.listed[np.isfinite(margins.listed)]
    enough = math.ceil((listed.max(initial=0.0) + _DISTANCE) * 1000) / 1000
    if np.isfinite(largest):
        enough = min(enough, math.floor((largest - _DISTANCE) * 1000) / 1000)
    return float(np.clip(enough, -MAX_BOOST, MAX_BOOST))


def measure_boost(
    margins: Margins, boost: float, allowed_cost: float | None, *, items: int
) -> BoostEffect:
    """Compute the effect of a boost.

    Args:
        items: number of new items.
    """
    is_hit, count = margins.is_hit, len(margins.is_hit)
    is_lost = is_hit & (margins.lost <= boost)
    cost, interval = 0.0, (0.0, 0.0)
    if is_hit.any():
        cost = float(is_lost.sum() / is_hit.sum())
        values, weights = {"cost": is_lost.astype(float)}, is_hit.astype(float)
        interval = bootstrap_intervals(values, np.arange(count), weights)["cost"]
    return BoostEffect(
        items=items,
        boost=boost,
        allowed_cost=allowed_cost,
        recall_without=float(is_hit.mean()),
        recall_with=float((is_hit & ~is_lost).mean()),
        cost=cost,
        cost_interval=interval,
        lists_with_new_items=float((margins.listed < boost).mean()),
        histories=count,
    )


def describe_boost(effect: BoostEffect) -> str:
    """Describe the effect of a boost in two sentences."""
    low, high = effect.cost_interval
    return (
        f"{effect.lists_with_new_items:.1%} of {effect.histories:,} held-out histories have a new "
        f"item in the first ten, with {effect.boost:g} added to the scores of {effect.items:,} new "
        f"items. These cost the other items {effect.cost:.2%} ({low:.2%} to {high:.2%}) of their "
        f"recall@10: {effect.recall_with:.4f} instead of {effect.recall_without:.4f}."
    )


def _best(scores: Float32[np.ndarray, "B m"], count: int) -> Float32[np.ndarray, "B count"]:
    """Return the highest scores of each row, best first."""
    return np.asarray(jax.lax.top_k(jnp.asarray(scores), count)[0])
