"""Windows of the timelines of a data set, for training."""

from jaxrec.config.experiment import TrainConfig
from jaxrec.data.batching import TrainingBatches
from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import Dataset
from jaxrec.data.windowing import WHOLE_BATCH, BatchShard
from jaxrec.training.defaults import window_shape_of

# Enough to hide the overhead of a dispatch; more steps would make the progress bar jump.
MAX_STEPS_PER_DISPATCH = 20


def training_batches(
    dataset: Dataset, data: DataConfig, config: TrainConfig, shard: BatchShard = WHOLE_BATCH
) -> TrainingBatches:
    """Return batches of windows of the training part of a data set.

    Args:
        shard: the part of each batch to gather.
    """
    return TrainingBatches(
        dataset.timelines,
        dataset.split,
        window_shape_of(dataset, data, config),
        labels=dataset.labels,
        weights=dataset.weights,
        # As in evaluation, items in the user's past do not compete with a target.
        catalogue_size=None if data.keep_seen else dataset.vocabulary.size,
        max_steps_per_dispatch=MAX_STEPS_PER_DISPATCH,
        seed=config.seed,
        shard=shard,
    )
