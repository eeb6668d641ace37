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
from jaxrec.data.ties import require_times

# Suffixes that indicate the format of a log; they are not part of its name.
_SUFFIXES = re.compile(r"(\.(csv|tsv|txt|dat|inter|jsonl|ndjson|parquet|pq|gz|zst))+$", re.I)


@dataclass(frozen=True)
class RatingConfig:
    """The rating head of --predict-ratings."""

    group: ClassVar = "rating"
    weight: float = setting(0.3, 0.0, 1000.0)
    """weight of the rating loss; that of the next item has weight 1"""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class DataConfig:
    """Data: the log, the features of the model, and the split."""

    dataset: str = "synthetic"
    """synthetic, a generated log; ml-1m or ml-100k, which are downloaded; ml-20m, ml-25m, ml-32m or
    ml-latest-small, with --data-dir; or your own log: a file (.csv, .tsv, .txt, .dat, .inter,
    .jsonl, also as .gz or .zst, or .parquet), a folder or glob pattern ("logs/*.parquet") of
    Parquet files, or a folder that `jaxrec prepare` wrote"""
    data_dir: str | None = None
    """folder that contains the MovieLens folder (ml-1m/ ...); default: ml-1m and ml-100k are
    downloaded"""
    items: str | None = None
    """table of your items: an id, and any of title, genres and year, which are shown with
    recommendations"""
    users: str | None = setting(None, advanced=True)
    """table of your users: an id, and the columns of --user-features"""
    history_length: int = setting(10, 1, 1000)
    """N: the number of a user's last interactions that the model reads"""
    item_features: str | None = None
    """columns of the item table that the model reads, as genres,year; with them an export can add
    new items"""
    activity_features: str | None = None
    """columns of your log that the model reads for each interaction, as rating,device"""
    user_features: str | None = setting(None, advanced=True)
    """columns of the user table that the model reads, as age,country"""
    time_gaps: bool = setting(False, old_name="time")
    """the model reads how long ago each interaction was"""
    time_features: str | None = setting(None, advanced=True, old_name="moment")
    """the model reads the hour of the day and the day of the week of the recommendation:
    hour,weekday"""
    time_zone: str = setting("UTC", advanced=True)
    """with --time-features: the time zone of your users, as Europe/Berlin"""
    predict_ratings: bool = setting(False, old_name="rate")
    """predict ratings too; in your own log, --log.rating names their column"""
    target_weight: str | None = setting(None, advanced=True, old_name="label_weight")
    """weight of each target in the loss: a numeric column of your log, or a weight for each value
    of a column (rating:1=0,2=0,3=0.5,4=1,5=2 or event:view=1,cart=3,buy=10)"""
    target_events: str | None = setting(None, advanced=True)
    """kinds of events to predict (buy, or buy,cart), from histories of all kinds; --log.event names
    their column; default: all"""
    split: SplitName = "leave-one-out"
    """leave-one-out: each user's last item is the test target, the one before it the validation
    target; temporal: one cut in time for all users; random-pairs: shuffled (history, next) pairs,
    which leaks the future and is not comparable with other splits"""
    break_ties: int | None = setting(None, 0, 2**31 - 1, advanced=True)
    """seed of the order of a user's interactions with equal times, which depends on nothing but
    these rows; default: they keep the order of the log, which then determines the targets"""
    keep_seen: bool = False
    """recommend items of the history too, for logs in which users return to an item; default: they
    are excluded"""
    train_on_validation: bool = setting(False, old_name="final_fit")
    """train on the validation targets too, for the model that you ship, after choosing the
    settings: all epochs are trained and the last is kept"""
    validation_users: int | None = setting(None, 10, 2**31 - 1, advanced=True)
    """validate on a random sample of this many users; a few thousand suffice; default: all, or of
    large logs as many as are ranked in the time of an epoch, at least 5,000"""
    test_users: int | None = setting(None, 10, 2**31 - 1, advanced=True)
    """test on a random sample of this many users; default: all"""
    filters: Flat[FilterConfig] = field(default_factory=FilterConfig)
    log: LogConfig = field(default_factory=LogConfig)
    item_table: ItemTableConfig = field(default_factory=ItemTableConfig)
    user_table: UserTableConfig = field(default_factory=UserTableConfig)
    synthetic: SyntheticConfig = field(default_factory=SyntheticConfig)
    rating: RatingConfig = field(default_factory=RatingConfig)

    def __post_init__(self) -> None:
        check(self)
        require_times(self.break_ties, self.log)

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
        """True if the model is given the time of its target, by --time-gaps or --time-features."""
        return self.time_gaps or self.time_features is not None

    @property
    def name(self) -> str:
        """Name of the data: the last part of its path without wildcards, less format suffixes."""
        path = Path(self.dataset)
        last_part = next(each for each in (path, *path.parents) if not glob.has_magic(each.name))
        return _SUFFIXES.sub("", last_part.name) or "log"
