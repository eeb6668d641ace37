"""Defaults: what a configuration leaves open, chosen by what the log is.

A setting that is given is kept. experiments/studies/quality has the figures behind each rule.
"""

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Int

from jaxrec.config.experiment import Config, SamplerName, TrainConfig
from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import Dataset
from jaxrec.data.splits import sample_users
from jaxrec.data.windowing import WindowShape
from jaxrec.models.encoders import encoder_class

# Items with few targets overfit sooner. Amazon Beauty has 13 targets an item, MovieLens 1M has 289.
MIN_TARGETS_FOR_LOW_DROPOUT, HIGH_DROPOUT, LOW_DROPOUT = 30, 0.4, 0.2
# In few epochs a model does not overfit, and dropout slows it down: with a million items and three
# epochs, recall@10 is 0.33 without dropout and 0.16 with 0.4.
MAX_EPOCHS_WITHOUT_DROPOUT = 5
# Wide models overfit sooner too: the best rates of 192 units were 0.3 on MovieLens, 0.5 on Beauty.
WIDE_UNITS, WIDE_DROPOUT = 192, 0.1

# Short windows read their overlap for little; long ones leave few windows to a step.
MIN_WINDOW_LENGTH, MAX_WINDOW_LENGTH, MAX_WINDOW_OVERLAP = 20, 50, 49
# A step has as many targets as keep a processor busy. Of a small log it has fewer, so that an epoch
# has about as many steps: with 1,280 instead of 400, Amazon Beauty is learned less well in as many
# epochs.
MAX_TARGETS, MIN_TARGETS = 1280, 320
STEPS_PER_EPOCH = 500
# Windows in a step are a multiple of this, to be split over as many devices.
BATCH_MULTIPLE = 8

# Learning rate per square root of the targets in a step, which is how it scales with the batch size
# (Malladi et al., 2022, On the SDEs and Scaling Rules for Adaptive Gradient Algorithms).
RATE_SCALE = 1.5e-4

# Share of the epochs with --from-run: the model is near its optimum. The learning rate is the usual
# one: with 0.3 of it the model forgets less, but learns too little of what is new.
WARM_EPOCHS = 1 / 3

# Weight of a teacher's scores in the targets. The higher that of the run of --from-run is, the more
# lists it keeps, and the more recall it costs (experiments/studies/warm_starts).
TEACHER_WEIGHT, WARM_TEACHER_WEIGHT = 0.5, 0.25

# A catalogue of up to so many items is compared whole, a larger one by so many negatives.
SMALL_CATALOGUE, NEGATIVES = 5000, 512

# Negatives of the batch are as popular as the targets. Where popularity is uneven, a model learns
# faster from them than from uniform ones, few of which are popular; where it is even, it overfits.
# The effective number of items is 9% of the catalogue of a synthetic log, where recall is higher by
# a third with the batch, and 56% of Amazon Beauty's, where it is higher with uniform negatives.
UNEVEN = 0.25

# Item tables of up to this size are updated whole at each step.
SMALL_TABLE = 50_000

# Candidates that are ranked in the time in which a step of training reads one:
# experiments/studies/catalogue_sizes measures 2 for the bag of words, which trains fastest, and 6
# or more for the LSTM.
CANDIDATES_RANKED = 2
# So many pairs of a target and a candidate are ranked within seconds, whatever an epoch costs.
PAIRS_RANKED = 1_000_000_000
# The standard error of a recall@10 of 0.1 is 0.004 with so many users, and half with the others.
MIN_VALIDATION_USERS, ENOUGH_TEST_USERS = 5000, 20_000
# The test ranks by a model and two baselines, and finds the best ten, which takes two thirds of it.
RANKINGS_OF_A_TEST = 9


def dropout_rate(config: Config, items: int, targets: int) -> float:
    """Return the share of units to drop."""
    if config.model.dropout is not None:
        return config.model.dropout
    if config.train.epochs <= MAX_EPOCHS_WITHOUT_DROPOUT:
        return 0.0
    rate = HIGH_DROPOUT if targets < MIN_TARGETS_FOR_LOW_DROPOUT * items else LOW_DROPOUT
    return rate + WIDE_DROPOUT if config.model.hidden_units >= WIDE_UNITS else rate


def window_shape(data: DataConfig, config: TrainConfig, targets: int) -> WindowShape:
    """Return the windows of a step, by the training targets of an epoch."""
    fitted = min(max(data.history_length, MIN_WINDOW_LENGTH), MAX_WINDOW_LENGTH)
    length = config.window_length or fitted
    overlap = config.window_overlap
    if overlap is None:
        overlap = min(data.history_length, MAX_WINDOW_OVERLAP + 1) - 1
    if config.batch_size is not None:
        return WindowShape(length, overlap, config.batch_size, config.batch_size)
    wanted = min(max(targets // STEPS_PER_EPOCH, MIN_TARGETS), MAX_TARGETS)
    batch_size = BATCH_MULTIPLE * math.ceil(wanted / length / BATCH_MULTIPLE)
    return WindowShape(length, overlap, batch_size, BATCH_MULTIPLE)


def window_shape_of(dataset: Dataset, data: DataConfig, config: TrainConfig) -> WindowShape:
    """Return the shape of the windows in a training step."""
    return window_shape(data, config, int(dataset.split.is_training_target.sum()))


def max_epochs(config: TrainConfig) -> int:
    """Return the number of epochs after which training ends."""
    return config.epochs if config.from_run is None else max(1, round(config.epochs * WARM_EPOCHS))


def teacher_weight(config: TrainConfig) -> float:
    """Return the weight of the teachers in each target distribution; 0: there are none."""
    if config.teacher is None and config.from_run is None:
        return 0.0
    if config.teacher_weight is not None:
        return config.teacher_weight
    return WARM_TEACHER_WEIGHT if config.teacher is None else TEACHER_WEIGHT


def peak_learning_rate(config: Config, shape: WindowShape) -> float:
    """Return the learning rate after the warm-up."""
    if config.train.learning_rate is not None:
        return config.train.learning_rate
    scaled = RATE_SCALE * math.sqrt(shape.batch_size * shape.length)
    encoder, settings = config.model.encoder, config.model.encoder_settings
    return min(scaled, encoder_class(encoder).max_learning_rate(settings.get(encoder)))


def negative_count(config: TrainConfig, items: int) -> int | None:
    """Return how many negatives a step draws; None: every item is a candidate."""
    is_small = config.negatives is None and items <= SMALL_CATALOGUE
    if config.loss == "full-softmax" or (config.loss == "auto" and is_small):
        return None
    return config.negatives or NEGATIVES


def sampler_name(config: TrainConfig, item_counts: Int[np.ndarray, " R"]) -> SamplerName:
    """Return where negatives come from, never "auto"."""
    if config.sampler != "auto":
        return config.sampler
    is_uneven = effective_items(item_counts) < UNEVEN * (len(item_counts) - 1)
    return "batch" if is_uneven else "uniform"


def effective_items(item_counts: Int[np.ndarray, " R"]) -> float:
    """Return the number of items that, equally popular, would have this entropy of popularity."""
    counts = item_counts[item_counts > 0]
    shares = counts / counts.sum()
    return float(np.exp(-np.sum(shares * np.log(shares))))


def updates_rows(config: TrainConfig, items: int) -> bool:
    """Return whether a step updates only the rows of items that it touches."""
    if config.table_optimizer == "auto":
        return items > SMALL_TABLE
    return config.table_optimizer == "rowwise-adagrad"


def validation_user_count(
    config: TrainConfig, *, items: int, targets: int, users: int, validation_targets: int
) -> int:
    """Return how many of the users to validate, so that this costs no more than an epoch.

    Args:
        targets: number of training targets.
        users: number of users with validation targets.
        validation_targets: number of their validation targets.
    """
    affordable = max(CANDIDATES_RANKED * _pairs_of_an_epoch(config, items, targets), PAIRS_RANKED)
    count = affordable * users // (validation_targets * items)
    return min(max(count, MIN_VALIDATION_USERS), users)


def draw_validation_users(dataset: Dataset, config: Config) -> Dataset:
    """Draw the users to validate, the same after every epoch, unless their number is configured."""
    if config.data.validation_users is not None:
        return dataset
    count = validation_user_count(
        config.train,
        items=dataset.vocabulary.size,
        targets=int(np.count_nonzero(dataset.split.is_training_target)),
        users=dataset.validation_users,
        validation_targets=len(dataset.split.validation),
    )
    split = sample_users(
        dataset.timelines, dataset.split, seed=config.train.seed, validation=count, test=None
    )
    return replace(dataset, split=split)


def describe_test_cost(config: Config, dataset: Dataset) -> str | None:
    """Return a note if the test costs more than the training; None if not, or as configured."""
    items, split = dataset.vocabulary.size, dataset.split
    pairs = len(split.test) * items
    if config.data.test_users is not None or pairs <= PAIRS_RANKED:
        return None
    targets = int(np.count_nonzero(split.is_training_target))
    trained = config.train.epochs * _pairs_of_an_epoch(config.train, items, targets)
    if RANKINGS_OF_A_TEST * pairs <= CANDIDATES_RANKED * trained:
        return None
    return (
        f"note: ranking {len(split.test):,} test targets among {items:,} items may take longer "
        f"than the training; --test-users={ENOUGH_TEST_USERS} are enough for most comparisons"
    )


def _pairs_of_an_epoch(config: TrainConfig, items: int, targets: int) -> int:
    """Return how many pairs of a target and a candidate an epoch compares."""
    return targets * (negative_count(config, items) or items)


def describe_defaults(config: Config, dataset: Dataset) -> str:
    """Return one line on what was chosen by the log, and why; empty if nothing was left open."""
    model, train = config.model, config.train
    items, targets = dataset.vocabulary.size, int(dataset.vocabulary.counts.sum())
    chosen = []
    if train.from_run is not None:
        chosen.append(f"{max_epochs(train)} of {train.epochs} epochs (from {train.from_run})")
        if train.teacher is None and train.teacher_weight is None:
            chosen.append(f"teacher weight {teacher_weight(train):g} (of the same run)")
    if model.dropout is None:
        rate = dropout_rate(config, items, targets)
        reason = f"{targets / items:,.0f} targets per item" if rate else f"{train.epochs} epochs"
        chosen.append(f"dropout {rate:g} ({reason})")
    if train.loss == "auto" and train.negatives is None:
        count = negative_count(train, items)
        source = sampler_name(train, dataset.vocabulary.counts)
        candidates = f"{count:,} {source} negatives" if count else "full softmax"
        chosen.append(f"{candidates} ({items:,} items)")
    windows = window_shape_of(dataset, config.data, train)
    if train.batch_size is None:
        chosen.append(f"{windows.batch_size * windows.length:,} targets per step (of {targets:,})")
    if train.learning_rate is None:
        chosen.append(f"learning rate {peak_learning_rate(config, windows):.2g}")
    if train.table_optimizer == "auto" and updates_rows(train, items):
        chosen.append("row-wise Adagrad for the item table")
    users = dataset.split.drawn_from
    if config.data.validation_users is None and users is not None:
        chosen.append(
            f"validation on {dataset.validation_users:,} of {users:,} users (all would cost more "
            "than an epoch)"
        )
    return ", ".join(chosen)
