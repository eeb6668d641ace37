"""Targets: what is said of them before training."""

import numpy as np

from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import Dataset
from jaxrec.data.labels import effective_number
from jaxrec.data.seen import met_before

# If more of the test targets cannot be found, it is likely that they should be.
MANY_MET = 0.1


def about_targets(dataset: Dataset, config: DataConfig) -> list[str]:
    """Say what is predicted, what it counts, and how much of it cannot be found."""
    split, test = dataset.split, len(dataset.split.test)
    learned = int(split.is_training_target.sum())
    alone = f", {config.target_events} alone" if config.target_events else ""
    lines = [
        f"{config.split}{alone}: {learned:,} targets to train on, {len(split.validation):,} to "
        f"validate, {test:,} to test"
    ]
    if dataset.weights is not None:
        nothing = learned - np.count_nonzero(dataset.weights)
        lines.append(
            f"--label-weight={config.label_weight}: they weigh as much as "
            f"{effective_number(dataset.weights):,.0f} equal ones; {nothing:,} weigh nothing"
        )
    met = 0 if config.keep_seen else int(met_before(dataset.timelines, split.test).sum())
    if met:
        lines.append(
            f"{'warning' if met > MANY_MET * test else 'note'}: {met:,} of {test:,} test targets "
            "were met before: they are left out, and count as missed; --keep-seen keeps them"
        )
    return lines
