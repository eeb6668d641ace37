"""Windows: how a data set is cut for training."""

import math

from jaxrec.config.experiment import TrainConfig
from jaxrec.data.batching import TrainingBatches
from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import Dataset
from jaxrec.data.windowing import WHOLE_BATCH, BatchShard, WindowShape

# Enough to hide what a dispatch costs; more would only make a bar that jumps.
MAX_STEPS_PER_DISPATCH = 20

# Where the configuration leaves it to us. Short windows read their lead-in for little; long ones
# leave few windows to a step.
SHORTEST_WINDOW, LONGEST_WINDOW, LONGEST_LEAD_IN = 20, 50, 49
# A step has as many targets as keep a processor busy. Of a small log it has fewer, so that an epoch
# has about as many steps: with 1,280 instead of 400, Amazon Beauty is learned less well in as many
# epochs (docs/results.md).
MOST_TARGETS, LEAST_TARGETS = 1280, 320
STEPS_IN_AN_EPOCH = 500
# Windows in a step are a multiple of this, to be split over as many devices.
DEVICES = 8


def window_shape(data: DataConfig, config: TrainConfig, targets: int) -> WindowShape:
    """Give the windows of a step, with what the configuration leaves open filled in.

    Args:
        targets: of an epoch.
    """
    length = config.window_length or min(max(data.history_length, SHORTEST_WINDOW), LONGEST_WINDOW)
    lead_in = config.lead_in
    if lead_in is None:
        lead_in = min(data.history_length, LONGEST_LEAD_IN + 1) - 1
    if config.batch_size is not None:
        return WindowShape(length, lead_in, config.batch_size, config.batch_size)
    wanted = min(max(targets // STEPS_IN_AN_EPOCH, LEAST_TARGETS), MOST_TARGETS)
    return WindowShape(length, lead_in, DEVICES * math.ceil(wanted / length / DEVICES), DEVICES)


def shape_of(dataset: Dataset, data: DataConfig, config: TrainConfig) -> WindowShape:
    """Give the windows of a step of a data set."""
    return window_shape(data, config, int(dataset.split.is_training_target.sum()))


def training_batches(
    dataset: Dataset, data: DataConfig, config: TrainConfig, shard: BatchShard = WHOLE_BATCH
) -> TrainingBatches:
    """Cut the training part of a data set as the configuration says.

    Args:
        shard: the part of each batch that is gathered.
    """
    return TrainingBatches(
        dataset.timelines,
        dataset.split,
        shape_of(dataset, data, config),
        labels=dataset.labels,
        weights=dataset.weights,
        # The question of training is that of evaluation: which of the items that are new to a user?
        seen_of=None if data.keep_seen else dataset.vocabulary.size,
        max_steps_per_dispatch=MAX_STEPS_PER_DISPATCH,
        seed=config.seed,
        shard=shard,
    )
