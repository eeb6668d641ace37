"""Summary of the targets that is printed before training."""

import numpy as np

from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import Dataset
from jaxrec.data.excluded_items import repeat_mask
from jaxrec.data.target_weights import effective_sample_size

# If more of the test targets are excluded as seen, the log probably calls for --keep-seen.
MAX_EXCLUDED_SHARE = 0.1


def describe_targets(dataset: Dataset, config: DataConfig) -> list[str]:
    """Format the numbers of targets, their weights, and the test targets that are excluded."""
    split, test = dataset.split, len(dataset.split.test)
    training = int(split.is_training_target.sum())
    kinds = f", only {config.target_events}" if config.target_events else ""
    lines = [
        f"{config.split}{kinds}: {training:,} training targets, {len(split.validation):,} "
        f"validation targets, {test:,} test targets"
    ]
    if dataset.weights is not None:
        zero_weights = training - np.count_nonzero(dataset.weights)
        lines.append(
            f"--target-weight={config.target_weight}: effective sample size "
            f"{effective_sample_size(dataset.weights):,.0f}; {zero_weights:,} targets have weight "
            "zero"
        )
    excluded = 0 if config.keep_seen else int(repeat_mask(dataset.timelines, split.test).sum())
    if excluded:
        level = "warning" if excluded > MAX_EXCLUDED_SHARE * test else "note"
        lines.append(
            f"{level}: {excluded:,} of {test:,} test targets are items of the user's history: they "
            "are excluded, and count as missed; --keep-seen makes them candidates"
        )
    return lines
