"""Predictions of heads: their errors on the labels of a log, and simple baselines.

The metrics are the mean absolute error (MAE) and the root mean squared error (RMSE), in the unit of
the label, such as stars; and the concordance: for two items to which one user gave different
labels, how often the higher one is predicted to be higher. Errors can be small even without
personalization (Koren and Sill, 2011).
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
"""A function of histories, their users and an item for each, which returns expected labels, [B]."""

# Regularization of the biases: the number of labels at the mean that are added to those of an item
# and of a user (Koren, 2010, Factor in the Neighbors, section 2.1).
_ITEM_PRIOR, _USER_PRIOR = 25, 10

_BATCH_SIZE = 4096


def model_predictor(
    graphdef: nnx.GraphDef[RecommenderModel], params: nnx.State, head: str
) -> Predictor:
    """Return a predictor from a head of a model, which is given as the result of nnx.split."""
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
    """Return all baselines of a head, by name."""
    return {"user and item bias": biases(dataset, head), "item mean": item_means(dataset, head)}


def item_means(dataset: Dataset, head: HeadSpec) -> Predictor:
    """Return a predictor of the mean of an item's labels in training."""
    labels, items, _ = _training_labels(dataset, head)
    size = dataset.vocabulary.size + 1
    counts = np.bincount(items, minlength=size)
    sums = np.bincount(items, labels, size) + (counts == 0) * labels.mean()
    means = sums / np.maximum(counts, 1)
    return lambda history, users, items: means[items]


def biases(dataset: Dataset, head: HeadSpec) -> Predictor:
    """Return a predictor of the mean label plus the biases of the item and of the user."""
    labels, items, users = _training_labels(dataset, head)
    mean = labels.mean()
    size, count = dataset.vocabulary.size + 1, len(dataset.timelines.lengths)
    item_biases = np.bincount(items, labels - mean, size)
    item_biases /= _ITEM_PRIOR + np.bincount(items, minlength=size)
    user_biases = np.bincount(users, labels - mean - item_biases[items], count)
    user_biases /= _USER_PRIOR + np.bincount(users, minlength=count)
    return lambda history, users, items: mean + item_biases[items] + user_biases[users]


def labels_of(dataset: Dataset, head: HeadSpec) -> Float[np.ndarray, " n"]:
    """Return the label of each activity, as a value of the log; NaN where it is missing."""
    return np.array([np.nan, *head.values], np.float32)[dataset.labels[head.name]]


def _training_labels(
    dataset: Dataset, head: HeadSpec
) -> tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """Return label, item and user of each labelled activity in the training histories."""
    timelines = dataset.timelines
    users = np.repeat(np.arange(len(timelines.lengths)), timelines.lengths)
    positions = np.arange(len(users))
    is_training = positions < dataset.split.training_ends[users]
    is_training &= ~np.isin(positions, np.append(dataset.split.validation, dataset.split.test))
    labels = labels_of(dataset, head)
    is_training &= ~np.isnan(labels)
    return labels[is_training], timelines.items[is_training], users[is_training]


def prediction_figures(
    predictor: Predictor, dataset: Dataset, head: HeadSpec, history_length: int
) -> PredictionFigures:
    """Evaluate the predictions for test targets, and for pairs of held-out targets.

    A pair is two consecutive held-out targets of a user, of validation and test, with different
    labels. Both are predicted from the history before the user's first held-out target.
    """
    timelines, split, labels = dataset.timelines, dataset.split, labels_of(dataset, head)
    test = split.test[~np.isnan(labels[split.test])]
    errors = _predict_all(predictor, dataset, test, test, history_length) - labels[test]
    target_values = {"mae": np.abs(errors), "mse": errors**2}

    held_out = np.sort(np.append(split.validation, split.test))
    users = timelines.users_of(held_out)
    _, firsts, groups = np.unique(users, return_index=True, return_inverse=True)
    before = held_out[firsts][groups]
    predicted = _predict_all(predictor, dataset, held_out, before, history_length)
    steps = np.diff(labels[held_out])
    is_pair = (np.diff(users) == 0) & (steps != 0) & ~np.isnan(steps)
    # Equal predictions count as half a concordant pair.
    pair_values = {"concordance": (1 + np.sign(np.diff(predicted)) * np.sign(steps))[is_pair] / 2}

    intervals = bootstrap_intervals(target_values, timelines.users_of(test))
    if is_pair.any():
        intervals |= bootstrap_intervals(pair_values, users[:-1][is_pair])
    figures = {
        name: (float(values.mean()), *intervals[name])
        for name, values in (target_values | pair_values).items()
        if len(values)
    }
    low, high = (float(np.sqrt(end)) for end in intervals["mse"])
    rmse = (float(np.sqrt(figures.pop("mse")[0])), low, high)
    figures["rmse"] = rmse
    return PredictionFigures(
        {name: mean for name, (mean, _, _) in figures.items()},
        {name: (low, high) for name, (_, low, high) in figures.items()},
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
    """Predict labels of the items at positions from histories before others, in equal shapes."""
    timelines, predicted = dataset.timelines, np.empty(len(positions))
    for start in range(0, len(positions), _BATCH_SIZE):
        batch = np.arange(start, min(start + _BATCH_SIZE, len(positions)))
        padded = np.resize(batch, min(_BATCH_SIZE, len(positions)))
        history = timelines.histories(before[padded], history_length)
        items = timelines.items[positions[padded]]
        users = timelines.users_of(positions[padded])
        predicted[batch] = predictor(history, users, items)[: len(batch)]
    return predicted
