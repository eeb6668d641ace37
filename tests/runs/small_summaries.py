"""Summaries of a small evaluation."""

from dataclasses import replace

import numpy as np

from jaxrec.config.experiment import Config, TrainConfig
from jaxrec.data.data_config import DataConfig
from jaxrec.evaluation.ranking import Ranking
from jaxrec.evaluation.slices import GRADED, LATER
from jaxrec.runs.report import figures_of, protocol
from jaxrec.runs.summary import ModelFacts, Summary, TrainingFigures
from tests.small_data import dataset_of

ITEMS_BY_USER = [[1, 2, 3, 4, 5], [2, 1, 3, 1], [1, 2, 3]]
CONFIG = Config(DataConfig(dataset="logs/shop.csv", history_length=7), train=TrainConfig(seed=5))


def make_ranking(
    ranks: list[int], users: list[int] | None = None, seen_targets: int = 0
) -> Ranking:
    owners = np.arange(len(ranks)) if users is None else np.array(users)
    return Ranking(owners, np.array(ranks, np.int32), covered=2, seen_targets=seen_targets)


def make_summary(config: Config = CONFIG, seen_targets: int = 0) -> Summary:
    ranking = make_ranking([1, 2, 4, 5] * 300, [0, 0, *range(1, 1199)], seen_targets)
    worse = make_ranking([5] * 1200)
    return Summary(
        protocol(config, dataset_of(ITEMS_BY_USER), ranking),
        figures_of(ranking, 5),
        figures_of(worse, 5),
        {"popularity": figures_of(worse, 5)},
        TrainingFigures(250.0, 106.0, 1.5, steps=120, epochs=3, best_epoch=2),
        ModelFacts("rnn", 1234),
    )


def config_with(**changes) -> Config:
    return replace(CONFIG, data=replace(CONFIG.data, **changes))


SLICES = {
    GRADED: np.array([15.0, 7.0, 0.0, 1.0] * 300),
    "rated >= 4": np.array([1.0, 1.0, 0.0, 0.0] * 300),
    LATER: np.array([0.0, 0.0, 1.0, 0.0] * 300),
}


def make_sliced_summary(**data) -> Summary:
    """Return a summary with slices, of ranks 1, 2, 4 and 5; those of the baseline are all 5."""
    ranking, worse = make_ranking([1, 2, 4, 5] * 300), make_ranking([5] * 1200)
    return replace(
        make_summary(),
        protocol=protocol(config_with(**data), dataset_of(ITEMS_BY_USER), ranking, SLICES),
        test=figures_of(ranking, 5, SLICES),
        baselines={"popularity": figures_of(worse, 5, SLICES)},
        without_target_time=figures_of(worse, 5, SLICES) if data.get("time_gaps") else None,
    )
