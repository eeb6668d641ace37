"""Windows: how a data set is cut for training."""

from jaxrec.config.experiment import TrainConfig
from jaxrec.data.batching import TrainingBatches
from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import Dataset
from jaxrec.data.windowing import WHOLE_BATCH, BatchShard, WindowShape
from jaxrec.training.defaults import window_shape

# Enough to hide what a dispatch costs; more would only make a bar that jumps.
MAX_STEPS_PER_DISPATCH = 20


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
