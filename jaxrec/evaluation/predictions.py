"""Predictions: how near the label that a head expects is to the log's, and to simple baselines.

The mean absolute error (MAE) and the root of the mean squared error (RMSE), in stars or whatever
the log has; and the concordance: of two items to which one user gave different labels, how often
the higher one is predicted to be higher. Who knows nothing of a user can still be near (Koren and
Sill, 2011).
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import Float, Int

from jaxrec.data.dataset import Dataset
from jaxrec.evaluation.metrics import PredictionFigures, bootstrap_intervals
from jaxrec.evaluation.ranking import Histories
from jaxrec.models.model import RecommenderModel
from jaxrec.schema import HeadSpec

Predictor = Callable[[Histories, Int[np.ndarray, " B"], Int[np.ndarray, " B"]], Any]
"""From histories, their users and an item for each to its expected label, [B]."""

# Of the baseline of biases: so many labels at the mean are added to those of an item and of a user
# (Koren, 2010, Factor in the Neighbors, section 2.1).
_ITEM_PRIOR, _USER_PRIOR = 25, 10

_AT_A_TIME = 4096


def model_predictor(
    graphdef: nnx.GraphDef[RecommenderModel], params: nnx.State, head: str
) -> Predictor:
    """Predict by a head of a model, given as what nnx.split makes of it."""
    return lambda history, users, items: _predict(graphdef, head, params, history, items)


@partial(jax.jit, static_argnums=(0, 1))
def _predict(
    graphdef: nnx.GraphDef[RecommenderModel],
    head: str,
    params: nnx.State,
    history: Mapping[str, Int[jax.Array, "B *_"]],
    items_B: Int[jax.Array, " B"],
) -> Float[jax.Array, " B"]:
    model = nnx.merge(graphdef, params)
    expected = model.heads[head].outputs[0]
    return model.predict(head, model.encode_last(history), items_B[:, None])[expected][:, 0]


def label_baselines(dataset: Dataset, head: HeadSpec) -> dict[str, Predictor]:
    """Return every baseline of a head, by name."""
    return {"user and item bias": biases(dataset, head), "item mean": item_means(dataset, head)}


def item_means(dataset: Dataset, head: HeadSpec) -> Predictor:
    """Predict the mean of an item's labels in training."""
    labels, items, _ = _learned(dataset, head)
    size = dataset.vocabulary.size + 1
    counts = np.bincount(items, minlength=size)
    sums = np.bincount(items, labels, size) + (counts == 0) * labels.mean()
    means = sums / np.maximum(counts, 1)
    return lambda history, users, items: means[items]


def biases(dataset: Dataset, head: HeadSpec) -> Predictor:
    """Predict by how far an item lies above the mean, and how far a user does."""
    labels, items, users = _learned(dataset, head)
    mean = labels.mean()
    size, count = dataset.vocabulary.size + 1, len(dataset.timelines.lengths)
    of_items = np.bincount(items, labels - mean, size)
    of_items /= _ITEM_PRIOR + np.bincount(items, minlength=size)
    of_users = np.bincount(users, labels - mean - of_items[items], count)
    of_users /= _USER_PRIOR + np.bincount(users, minlength=count)
    return lambda history, users, items: mean + of_items[items] + of_users[users]


def labels_of(dataset: Dataset, head: HeadSpec) -> Float[np.ndarray, " n"]:
    """Return the label of each activity as the log has it, NaN where there is none."""
    return np.array([np.nan, *head.values], np.float32)[dataset.labels[head.name]]


def _learned(
    dataset: Dataset, head: HeadSpec
) -> tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """Return label, item and user of each activity of the training histories that has a label."""
    timelines = dataset.timelines
    users = np.repeat(np.arange(len(timelines.lengths)), timelines.lengths)
    positions = np.arange(len(users))
    is_learned = positions < dataset.split.training_ends[users]
    is_learned &= ~np.isin(positions, np.append(dataset.split.validation, dataset.split.test))
    labels = labels_of(dataset, head)
    is_learned &= ~np.isnan(labels)
    return labels[is_learned], timelines.items[is_learned], users[is_learned]


def prediction_figures(
    predictor: Predictor, dataset: Dataset, head: HeadSpec, history_length: int
) -> PredictionFigures:
    """Evaluate the predictions for test targets, and for pairs of held-out targets.

    A pair are two neighbours among the held-out targets of a user, of validation and of test, with
    different labels. Both are predicted from the history before the first that was held out.
    """
    timelines, split, given = dataset.timelines, dataset.split, labels_of(dataset, head)
    test = split.test[~np.isnan(given[split.test])]
    errors = _predict_all(predictor, dataset, test, test, history_length) - given[test]
    of_targets = {"mae": np.abs(errors), "mse": errors**2}

    held_out = np.sort(np.append(split.validation, split.test))
    users = timelines.users_of(held_out)
    _, firsts, groups = np.unique(users, return_index=True, return_inverse=True)
    before = held_out[firsts][groups]
    predicted = _predict_all(predictor, dataset, held_out, before, history_length)
    steps = np.diff(given[held_out])
    is_pair = (np.diff(users) == 0) & (steps != 0) & ~np.isnan(steps)
    # A pair that is predicted to be alike is half of one.
    of_pairs = {"concordance": (1 + np.sign(np.diff(predicted)) * np.sign(steps))[is_pair] / 2}

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
    return PredictionFigures(
        {name: mean for name, (mean, _, _) in found.items()},
        {name: (low, high) for name, (_, low, high) in found.items()},
        len(test),
        int(is_pair.sum()),
    )


def _predict_all(
    predictor: Predictor,
    dataset: Dataset,
    positions: Int[np.ndarray, " n"],
    before: Int[np.ndarray, " n"],
    history_length: int,
) -> Float[np.ndarray, " n"]:
    """Predict for the item at each position from the history before another, in equal shapes."""
    timelines, predicted = dataset.timelines, np.empty(len(positions))
    for start in range(0, len(positions), _AT_A_TIME):
        part = np.arange(start, min(start + _AT_A_TIME, len(positions)))
        filled = np.resize(part, min(_AT_A_TIME, len(positions)))
        history = timelines.histories(before[filled], history_length)
        items = timelines.items[positions[filled]]
        users = timelines.users_of(positions[filled])
        predicted[part] = predictor(history, users, items)[: len(part)]
    return predicted
