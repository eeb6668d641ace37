"""Populations: logs of other users, with the settings and the ids of a run."""

import numpy as np
import polars as pl
import pytest

from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import prepare
from jaxrec.data.interactions import FilterConfig
from jaxrec.data.sources.log_config import LogConfig
from jaxrec.data.sources.synthetic import SyntheticConfig
from jaxrec.data.vocabulary import Vocabulary
from jaxrec.errors import UserError
from jaxrec.runs.population import drop_unknown_items, encode_items, population_config
from tests.small_data import log_of, no_items


def test_a_log_of_other_users_is_read_with_the_settings_of_the_run():
    of_run = DataConfig(
        synthetic=SyntheticConfig(users=100, items=50),
        items="products.csv",
        history_length=7,
        filters=FilterConfig(min_rating=4.0),
        train_on_validation=True,
    )
    assert population_config(of_run, "log.csv", LogConfig(user="who")) == DataConfig(
        dataset="log.csv",
        log=LogConfig(user="who"),
        history_length=7,
        filters=FilterConfig(min_item_interactions=1, min_rating=4.0),
    )


def test_a_population_has_the_ids_of_the_run():
    vocabulary = Vocabulary(pl.Series("item", [7, 5, 9, 3]), np.array([0, 8, 4, 2, 2]))
    config = DataConfig(filters=FilterConfig(min_item_interactions=1))
    catalogue = no_items(pl.Int64).clear(4).with_columns(item=vocabulary.values)
    rows = [("a", "5", 0), ("a", "8", 1), ("a", "9", 2), ("a", "7", 3), ("a", "7", 4)]
    rows += [("b", "8", 0), ("b", "11", 1), ("c", "3", 0), ("c", "9", 1), ("c", "5", 2)]
    known = drop_unknown_items(log_of(rows), vocabulary, catalogue)
    assert known.dropped == {"the vocabulary of the run": 3}
    assert known.notes == ("2 items are unknown to the run",)
    assert known.log.rows() == [
        *[("a", 0, 5), ("a", 2, 9), ("a", 3, 7), ("a", 4, 7)],
        *[("c", 0, 3), ("c", 1, 9), ("c", 2, 5)],
    ]
    dataset = encode_items(prepare(known, config, seed=0), vocabulary, catalogue)
    assert dataset.timelines.items.tolist() == [2, 3, 1, 1, 4, 3, 2]
    # Counts of training targets: items 5 and 9 of user a, item 3 of user c.
    assert dataset.vocabulary.counts.tolist() == [0, 0, 1, 1, 1]
    assert dataset.vocabulary.digest == vocabulary.digest and dataset.log_summary.rows == 10
    with pytest.raises(
        UserError, match="the run has none of the items of the log: it has 4, such as 7"
    ):
        drop_unknown_items(log_of([("a", "x", 0)]), vocabulary, catalogue)
