"""Configuration of the data; the settings of a single source are defined beside that source."""

import glob
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from jaxrec.config.fields import Flat, check, refuse_unused, setting
from jaxrec.data.head_labels import HeadRequest
from jaxrec.data.interactions import FilterConfig
from jaxrec.data.sources.item_table import ItemTableConfig
from jaxrec.data.sources.log_config import LogConfig
from jaxrec.data.sources.synthetic import SyntheticConfig
from jaxrec.data.sources.user_table import UserTableConfig
from jaxrec.data.splits import SplitName

# Suffixes that indicate the format of a log; they are not part of its name.
_SUFFIXES = re.compile(r"(\.(csv|tsv|txt|dat|inter|jsonl|ndjson|parquet|pq|gz|zst))+$", re.I)


@dataclass(frozen=True)
class RatingConfig:
    """The rating head of --predict-ratings."""

    group: ClassVar = "rating"
    weight: float = setting(0.3, 0.0, 1000.0)
    """what the loss of ratings counts beside that of the next item"""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class DataConfig:
    """The data: where the log comes from, what the model is told of it, how it is split."""

    dataset: str = "synthetic"
    """synthetic, a made-up world; ml-100k, ml-1m, ml-20m, ml-25m, ml-32m or ml-latest-small, which
    are downloaded; or your own log: a file (.csv, .tsv, .txt, .dat, .inter, .jsonl, also as .gz or
    .zst, or .parquet), a folder or pattern ("logs/*.parquet") of Parquet files, or what
    `jaxrec prepare` made"""
    data_dir: str | None = None
    """the folder that holds the MovieLens folder (ml-1m/ ...), if it is already on this machine"""
    items: str | None = None
    """a table that describes your items: an id, and any of title, genres, year, with which
    recommendations are shown"""
    users: str | None = setting(None, advanced=True)
    """a table that describes your users: an id, and what --user-features names"""
    history_length: int = setting(10, 1, 1000)
    """N: how many of a user's last interactions the model reads"""
    item_features: str | None = None
    """columns of the item table that the model learns from, as genres,year; by them it knows items
    that come after training"""
    activity_features: str | None = None
    """columns of your log that the model reads of each interaction beside the item, as
    rating,device"""
    user_features: str | None = setting(None, advanced=True)
    """columns of the table of users that the model reads, as age,country"""
    time_gaps: bool = setting(False, old_name="time")
    """let the model read how long ago each interaction was"""
    moment: str | None = setting(None, advanced=True)
    """let the model read the hour of the day and the day of the week at which it recommends:
    hour,weekday"""
    time_zone: str = setting("UTC", advanced=True)
    """with --moment: where your users are, as Europe/Berlin"""
    predict_ratings: bool = setting(False, old_name="rate")
    """learn to predict ratings too; of your own log --log.rating names their column"""
    target_weight: str | None = setting(None, advanced=True, old_name="label_weight")
    """what each target counts in training: a column of your log that holds numbers, or what each
    value of one counts (rating:1=0,2=0,3=0.5,4=1,5=2 or event:view=1,cart=3,buy=10)"""
    target_events: str | None = setting(None, advanced=True)
    """the kinds of events that are predicted (buy, or buy,cart), from histories of all kinds;
    --log.event names their column; by default all are"""
    split: SplitName = "leave-one-out"
    """leave-one-out: each user's last item is the test, the one before it the validation; temporal:
    one cut in calendar time for everybody; random-pairs: shuffled (history, next) pairs, which
    leaks the future and is comparable with nothing else"""
    keep_seen: bool = False
    """recommend what the user has met before too, for logs where people come back to the same item;
    by default it is left out"""
    final_fit: bool = False
    """train on the validation targets too, for the model that you ship, once they have chosen the
    settings: all epochs are trained and the last is kept"""
    validation_users: int | None = setting(None, 10, 2**31 - 1, advanced=True)
    """validate on so many users, drawn by the seed: of many, a few thousand say enough; by default
    on all"""
    test_users: int | None = setting(None, 10, 2**31 - 1, advanced=True)
    """test on so many users, drawn by the seed; by default on all"""
    filters: Flat[FilterConfig] = field(default_factory=FilterConfig)
    log: LogConfig = field(default_factory=LogConfig)
    item_table: ItemTableConfig = field(default_factory=ItemTableConfig)
    user_table: UserTableConfig = field(default_factory=UserTableConfig)
    synthetic: SyntheticConfig = field(default_factory=SyntheticConfig)
    rating: RatingConfig = field(default_factory=RatingConfig)

    def __post_init__(self) -> None:
        check(self)

    def requested_heads(self) -> dict[str, HeadRequest]:
        """Return the heads beside the next item, by the column of the log that each predicts.

        Raises:
            UserError: settings are given for a head that is not requested.
        """
        if self.predict_ratings:
            return {"rating": HeadRequest("--predict-ratings", "--log.rating", self.rating.weight)}
        refuse_unused(self, "--predict-ratings", "rating")
        return {}

    @property
    def knows_target_time(self) -> bool:
        """True if the model is given the time of its target, by --time-gaps or --moment."""
        return self.time_gaps or self.moment is not None

    @property
    def name(self) -> str:
        """Name of the data: the last part of its path without wildcards, less format suffixes."""
        path = Path(self.dataset)
        last_part = next(each for each in (path, *path.parents) if not glob.has_magic(each.name))
        return _SUFFIXES.sub("", last_part.name) or "log"
