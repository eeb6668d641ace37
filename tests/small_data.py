"""Small logs, timelines and datasets, written by hand or drawn by hypothesis."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import polars as pl
from hypothesis import assume
from hypothesis import strategies as st

from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import Dataset, prepare
from jaxrec.data.interactions import FilterConfig, Interactions
from jaxrec.data.log_summary import LogSummary
from jaxrec.data.splits import Split, SplitName, split_timelines
from jaxrec.data.timelines import Timelines
from jaxrec.errors import UserError
from jaxrec.schema import ITEM, PAD


def timelines_of(
    items_by_user: Sequence[Sequence[int]], times_by_user: Sequence[Sequence[float]] | None = None
) -> Timelines:
    """Build timelines of users' item ids; without times, those of a user are 0, 1, 2, ..."""
    times = times_by_user or [range(len(items)) for items in items_by_user]
    return Timelines(
        {ITEM: np.array([item for items in items_by_user for item in items], np.int32)},
        np.cumsum([0, *map(len, items_by_user)]),
        np.array([time for user_times in times for time in user_times]),
    )


def numbered_timelines(lengths: Sequence[int]) -> Timelines:
    """Build timelines in which the item id at each position is position + 1."""
    ends = np.cumsum(lengths).tolist()
    return timelines_of(
        [range(end - length + 1, end + 1) for length, end in zip(lengths, ends, strict=True)]
    )


def training_on_everything(timelines: Timelines) -> Split:
    no_positions = np.empty(0, np.int64)
    all_positions = np.ones(len(timelines.items), bool)
    return Split(all_positions, timelines.offsets[1:], no_positions, no_positions)


# The summary of a log that is written by hand.
NO_LOG_SUMMARY = LogSummary(0, 0, 0, 0, None, {}, 0.0, ())


def no_items(dtype: pl.DataType | type[pl.DataType] = pl.Int64) -> pl.DataFrame:
    """Return an empty item table."""
    schema = {"item": dtype, "title": pl.String, "genres": pl.List(pl.String), "year": pl.Int32}
    return pl.DataFrame(schema=schema)


def data_config(**settings: Any) -> DataConfig:
    """Build a configuration that drops nothing by default; filters are passed as settings."""
    filters: dict[str, Any] = {"min_item_interactions": 1, "min_user_interactions": 1}
    for each in fields(FilterConfig):
        if each.name in settings:
            filters[each.name] = settings.pop(each.name)
    return DataConfig(filters=FilterConfig(**filters), **settings)


def log_of(rows: Sequence[tuple], columns: Sequence[str] = ("user", "item", "timestamp")):
    """Build a log of rows in their order, with an empty item table."""
    log = pl.DataFrame(rows, schema=list(columns), orient="row", infer_schema_length=None)
    return Interactions(log, no_items(log.schema["item"]))


def dataset_of(
    items_by_user: Sequence[Sequence[int]], split: SplitName = "leave-one-out", seed: int = 0
) -> Dataset:
    """Prepare a dataset of users' raw items in their order, without dropping any."""
    rows = [
        (user, item, time)
        for user, items in enumerate(items_by_user)
        for time, item in enumerate(items)
    ]
    config = data_config(split=split)
    return prepare(log_of(rows), config, seed=seed)


def left_padded(ids: Sequence[int], length: int) -> list[int]:
    """Return the last `length` ids, left-padded with PAD: a history in plain Python."""
    kept = list(ids)[max(0, len(ids) - length) :]
    return [PAD] * (length - len(kept)) + kept


def user_sequences(
    *, largest_item: int = 9, max_users: int = 6, max_length: int = 12
) -> st.SearchStrategy[list[list[int]]]:
    """Draw the item ids of some users, each with at least one activity."""
    timeline = st.lists(st.integers(1, largest_item), min_size=1, max_size=max_length)
    return st.lists(timeline, min_size=1, max_size=max_users)


def split_or_skip(timelines: Timelines, name: SplitName, seed: int = 0) -> Split:
    """Split the timelines, or reject the example if a part of the split is empty."""
    try:
        return split_timelines(timelines, name, seed=seed)
    except UserError:
        assume(False)
        raise
