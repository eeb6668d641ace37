"""Ratings: how near told ratings are to those that were given, and to what is near without a model.

The mean absolute error (MAE) and the root of the mean squared error (RMSE), in stars or whatever
the log has; and the concordance: of two items that one user rated differently, how often the better
one is told to be better. Who knows nothing of a user can still be near (Koren and Sill, 2011).
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import Float, Int

from jaxrec.data.dataset import Dataset
from jaxrec.evaluation.metrics import RatingFigures, bootstrap_intervals
from jaxrec.evaluation.ranking import Histories
from jaxrec.models.model import RecommenderModel

Rater = Callable[[Histories, Int[np.ndarray, " B"], Int[np.ndarray, " B"]], Any]
"""From histories, their users and an item for each to its rating, [B]."""

# Of the baseline of biases: so many ratings at the mean are added to those of an item and of a user
# (Koren, 2010, Factor in the Neighbors, section 2.1).
_ITEM_PRIOR, _USER_PRIOR = 25, 10

_AT_A_TIME = 4096


def model_rater(graphdef: nnx.GraphDef[RecommenderModel], params: nnx.State) -> Rater:
    """Rate by a model, given as what nnx.split makes of it."""
    return lambda history, users, items: _model_ratings(graphdef, params, history, items)


@partial(jax.jit, static_argnums=0)
def _model_ratings(
    graphdef: nnx.GraphDef[RecommenderModel],
    params: nnx.State,
    history: Mapping[str, Int[jax.Array, "B *_"]],
    items_B: Int[jax.Array, " B"],
) -> Float[jax.Array, " B"]:
    model = nnx.merge(graphdef, params)
    return model.rate(model.encode_last(history), items_B[:, None])[0][:, 0]


def rating_baselines(dataset: Dataset) -> dict[str, Rater]:
    """Make every baseline of ratings, by name."""
    return {"user and item bias": biases(dataset), "item mean": item_means(dataset)}


def item_means(dataset: Dataset) -> Rater:
    """Rate every item by the mean of its ratings in training."""
    ratings, items, _ = _learned(dataset)
    size = dataset.vocabulary.size + 1
    counts = np.bincount(items, minlength=size)
    sums = np.bincount(items, ratings, size) + (counts == 0) * ratings.mean()
    means = sums / np.maximum(counts, 1)
    return lambda history, users, items: means[items]


def biases(dataset: Dataset) -> Rater:
    """Rate by how much better than the mean an item is, and how much more generous a user."""
    ratings, items, users = _learned(dataset)
    mean = ratings.mean()
    size, count = dataset.vocabulary.size + 1, len(dataset.timelines.lengths)
    of_items = np.bincount(items, ratings - mean, size)
    of_items /= _ITEM_PRIOR + np.bincount(items, minlength=size)
    of_users = np.bincount(users, ratings - mean - of_items[items], count)
    of_users /= _USER_PRIOR + np.bincount(users, minlength=count)
    return lambda history, users, items: mean + of_items[items] + of_users[users]


def _learned(
    dataset: Dataset,
) -> tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """Give rating, item and user of each activity of the training histories that has a rating."""
    timelines = dataset.timelines
    users = np.repeat(np.arange(len(timelines.lengths)), timelines.lengths)
    positions = np.arange(len(users))
    is_learned = positions < dataset.split.training_ends[users]
    is_learned &= ~np.isin(positions, np.append(dataset.split.validation, dataset.split.test))
    ratings = dataset.ratings
    assert ratings is not None
    is_learned &= ~np.isnan(ratings)
    return ratings[is_learned], timelines.items[is_learned], users[is_learned]


def rating_figures(rater: Rater, dataset: Dataset, history_length: int) -> RatingFigures:
    """Judge the ratings that are told of test targets, and of pairs of held-out targets.

    A pair are two neighbours among the held-out targets of a user, of validation and of test, that
    were rated differently. Both are rated by the history before the first that was held out.
    """
    timelines, split, given = dataset.timelines, dataset.split, dataset.ratings
    assert given is not None
    test = split.test[~np.isnan(given[split.test])]
    errors = _rate(rater, dataset, test, test, history_length) - given[test]
    of_targets = {"mae": np.abs(errors), "mse": errors**2}

    held_out = np.sort(np.append(split.validation, split.test))
    users = timelines.users_of(held_out)
    _, firsts, groups = np.unique(users, return_index=True, return_inverse=True)
    told = _rate(rater, dataset, held_out, held_out[firsts][groups], history_length)
    steps = np.diff(given[held_out])
    is_pair = (np.diff(users) == 0) & (steps != 0) & ~np.isnan(steps)
    # A pair that is told to be alike is half of one.
    of_pairs = {"concordance": (1 + np.sign(np.diff(told)) * np.sign(steps))[is_pair] / 2}

    intervals = bootstrap_intervals(of_targets, timelines.users_of(test))
    if is_pair.any():
        intervals |= bootstrap_intervals(of_pairs, users[:-1][is_pair])
    found = {
        name: (float(values.mean()), *intervals[name])
        for name, values in (of_targets | of_pairs).items()
        if len(values)
    }
    low, high = (float(np.sqrt(end)) for end in intervals["mse"])
    rmse = (float(np.sqrt(found.pop("mse")[0])), low, high)
    found["rmse"] = rmse
    return RatingFigures(
        {name: mean for name, (mean, _, _) in found.items()},
        {name: (low, high) for name, (_, low, high) in found.items()},
        len(test),
        int(is_pair.sum()),
    )


def _rate(
    rater: Rater,
    dataset: Dataset,
    positions: Int[np.ndarray, " n"],
    before: Int[np.ndarray, " n"],
    history_length: int,
) -> Float[np.ndarray, " n"]:
    """Rate the item at each position by the history before another; all parts have one shape."""
    timelines, told = dataset.timelines, np.empty(len(positions))
    for start in range(0, len(positions), _AT_A_TIME):
        part = np.arange(start, min(start + _AT_A_TIME, len(positions)))
        filled = np.resize(part, min(_AT_A_TIME, len(positions)))
        history = timelines.histories(before[filled], history_length)
        items = timelines.items[positions[filled]]
        users = timelines.users_of(positions[filled])
        told[part] = rater(history, users, items)[: len(part)]
    return told
