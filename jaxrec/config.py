"""What an experiment is: frozen dataclasses, checked when made, saved and loaded as JSON.

The docstring under each field is what `--help` prints for its flag.
"""

import glob
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from keyword import iskeyword
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints
from zoneinfo import available_timezones

from jaxrec.errors import UserError
from jaxrec.files import read_json, reading, write_json
from jaxrec.schema import AGE, ITEM, Owner

SplitName = Literal["leave-one-out", "temporal", "random-pairs"]
SamplerName = Literal["uniform", "log-uniform", "batch"]
TimeUnit = Literal["auto", "seconds", "milliseconds", "microseconds", "nanoseconds"]

# The number of the run directory's layout; a reader refuses any other.
FORMAT = 7


# The time column of a log that has none.
NO_TIMES = "none"

# What a table has beside features.
_NO_FEATURES: dict[Owner, tuple[str, ...]] = {
    "item": (ITEM, "title"),
    "activity": ("user", ITEM, "timestamp"),
    "user": ("user", ITEM),
}

# Features of activities and users are inputs of a file, beside these.
_OTHER_INPUTS = ("history", "candidates", "items")
_INPUT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")

_MANY: dict[Owner, str] = {"item": "items", "activity": "activities", "user": "users"}

# What is known of a moment, and how many values it has: ids from 1.
MOMENTS = {"hour": 24, "weekday": 7}

# They tell the format of a log, and are no part of its name.
_SUFFIXES = re.compile(r"(\.(csv|tsv|txt|dat|inter|jsonl|ndjson|parquet|pq|gz|zst))+$", re.I)


def _between(default: Any, low: float, high: float) -> Any:
    return field(default=default, metadata={"low": low, "high": high})


def _check(config: Any) -> None:
    """Compare each field that is given with its limits, both allowed, or with its choices."""
    hints = get_type_hints(type(config)).items()
    choices = {name: get_args(hint) for name, hint in hints if get_origin(hint) is Literal}
    for spec in fields(config):
        value, flag = getattr(config, spec.name), flag_of(spec.name)
        if "low" in spec.metadata:
            low, high = spec.metadata["low"], spec.metadata["high"]
            if value is not None and not low <= value <= high:
                raise UserError(
                    f"{flag}={_plain(value)} is out of range; give it {_plain(low)} to "
                    f"{_plain(high)}"
                )
        elif value not in choices.get(spec.name, (value,)):
            raise UserError(f"{flag}={value} is unknown; give {', '.join(choices[spec.name])}")


def given(config: Any, part: type) -> dict[str, Any]:
    """Give the flags of a part of a configuration that were given: those that differ from it."""
    return {
        flag_of(spec.name): getattr(config, spec.name)
        for spec in fields(part)
        if getattr(config, spec.name) != spec.default
    }


def flag_of(name: str) -> str:
    """Give the flag of a field."""
    return "--" + name.replace("_", "-")


def _plain(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class LogConfig:
    """How a log of your own is read."""

    user_column: str = "user"
    """your log's column of users"""
    item_column: str = "item"
    """your log's column of items"""
    time_column: str = "timestamp"
    """your log's column of times: numbers or dates; none: there are no times, and the order of the
    file counts"""
    rating_column: str | None = None
    """your log's column of ratings, if it has one"""
    event_column: str | None = None
    """your log's column of what kind of event each row is (view, cart, buy), if it has one"""
    columns: str | None = None
    """the names of your log's columns, if its first line does not hold them:
    user,item,rating,timestamp"""
    separator: str | None = None
    """what stands between the fields of your log, tab for a tab; by default it is found out"""
    encoding: str | None = None
    """the encoding of your tables, such as latin-1; by default UTF-8, or what their first bytes
    say"""
    time_format: str | None = None
    """how your log writes its dates, if not as ISO 8601: %d.%m.%Y %H:%M for 31.12.2024 23:59"""
    time_unit: TimeUnit = "auto"
    """what your log's numbers of time count; auto: what makes them times since 1970"""
    drop_incomplete: bool = False
    """drop rows without a user, item, time, rating or event, instead of refusing them"""


@dataclass(frozen=True)
class ItemsConfig:
    """How the table that describes your items is read."""

    items: str | None = None
    """a table that describes your items: an id, and any of title, genres, year"""
    items_columns: str | None = None
    """the names of its columns, if its first line does not hold them: item,title,genres"""
    items_key: str | None = None
    """its column of the items' ids; by default the one that is named as in the log, or as usual"""
    title_column: str | None = None
    """its column of titles; by default the first that is named as usual: title, name, ..."""
    genres_column: str | None = None
    """its column of genres; by default the first that is named as usual: genres, category, ..."""
    year_column: str | None = None
    """its column of years; by default the first that is named as usual: year, ..."""


@dataclass(frozen=True)
class UsersConfig:
    """How the table that describes your users is read."""

    users: str | None = None
    """a table that describes your users: an id, and what --user-features names"""
    users_key: str | None = None
    """its column of the users' ids; by default the one that is named as in the log, or `user`"""


@dataclass(frozen=True)
class FilterConfig:
    """What is dropped of a log."""

    drop_duplicates: bool = False
    """drop rows that repeat the user, the item and the time of an earlier row"""
    min_rating: float | None = None
    """drop interactions rated lower than this"""
    min_item_interactions: int = _between(5, 1, 1_000_000)
    """drop items with fewer interactions than this"""
    min_user_interactions: int = _between(3, 1, 1_000_000)
    """drop users with fewer interactions than this"""

    def __post_init__(self) -> None:
        _check(self)


class HeadRequest(NamedTuple):
    """A head that is asked for.

    Attributes:
        flag: that asks for it ...
        column_flag: ... and the one that names the column of the log that it predicts.
        weight: of its loss.
    """

    flag: str
    column_flag: str
    weight: float


@dataclass(frozen=True)
class DataConfig(FilterConfig, UsersConfig, ItemsConfig, LogConfig):
    """The log: where it comes from, what is dropped, how it is split and judged."""

    dataset: str = "synthetic"
    """synthetic, ml-1m, ml-100k, ml-latest-small, ml-20m, ml-25m, ml-32m, or your own log: a file
    (.csv, .tsv, .txt, .dat, .inter, .jsonl, these as .gz or .zst too, .parquet), a folder or
    pattern ("logs/*.parquet") of Parquet files, or what prepare.py made"""
    data_dir: str | None = None
    """the folder that holds the MovieLens folder (ml-1m/ ...), if it is already on this machine"""
    item_features: str | None = None
    """what the item table says that adds to an item's vector: genres,year, or other columns"""
    activity_features: str | None = None
    """what your log says of each activity that the model is to know: columns, as rating,device"""
    user_features: str | None = None
    """what the table of users says that the model is to know: columns, as age,country"""
    time: bool = False
    """tell the model how long ago each activity was: on a device it is known when now is"""
    moment: str | None = None
    """tell the model at what hour it is asked, and on what day of the week: hour,weekday"""
    time_zone: str = "UTC"
    """with --moment: where your users are, as Europe/Berlin"""
    label_weight: str | None = None
    """what each target counts in training: a column of your log that holds numbers, or what each
    value of one counts (rating:1=0,2=0,3=0.5,4=1,5=2 or event:view=1,cart=3,buy=10)"""
    target_events: str | None = None
    """the kinds of events that are predicted (buy, or buy,cart), from histories of all kinds;
    --event-column names their column; by default all are"""
    synthetic_users: int = _between(2000, 10, 1_000_000)
    """users of the synthetic world"""
    synthetic_items: int = _between(1000, 20, 10_000_000)
    """items of the synthetic world"""
    split: SplitName = "leave-one-out"
    """leave-one-out: each user's last item is the test, the one before it the validation;
    temporal: one cut in calendar time for everybody; random-pairs: shuffled (history, next) pairs,
    which leaks the future and is comparable with nothing else"""
    history_length: int = _between(10, 1, 1000)
    """N: how many of a user's last interactions the model sees"""
    validation_users: int | None = _between(None, 10, 2**31 - 1)
    """validate on so many users, drawn by the seed: of many, a few thousand say enough; by default
    on all"""
    test_users: int | None = _between(None, 10, 2**31 - 1)
    """test on so many users, drawn by the seed; by default on all"""
    final_fit: bool = False
    """learn the validation targets too, once they have chosen the settings: all epochs are trained
    and the last is kept, for nothing is left to choose by"""
    rate: bool = False
    """learn, beside what comes next, how the user rates it: a second head that rates any item"""
    rate_weight: float = _between(0.3, 0.0, 1000.0)
    """with --rate: what the loss of ratings counts beside that of the next item"""
    keep_seen: bool = False
    """rank what the user has met before among the candidates too (for logs where people come back
    to the same item); off: leave it out"""

    @property
    def heads(self) -> dict[str, HeadRequest]:
        """The heads beside the next item, by the column of the log that each predicts.

        Raises:
            UserError: a weight is given without its head.
        """
        if self.rate:
            return {"rating": HeadRequest("--rate", "--rating-column", self.rate_weight)}
        if self.rate_weight != DataConfig.rate_weight:
            raise UserError(f"--rate-weight={self.rate_weight:g} weighs ratings; give --rate too")
        return {}

    @property
    def told_time(self) -> bool:
        """Whether a model knows when its target came."""
        return self.time or self.moment is not None

    @property
    def name(self) -> str:
        """The name of the data: that of its file or folder, without what says its format."""
        path = Path(self.dataset)
        named = next(each for each in (path, *path.parents) if not glob.has_magic(each.name))
        return _SUFFIXES.sub("", named.name) or "log"


def feature_names(config: DataConfig, owner: Owner) -> list[str]:
    """Cut the features of items, activities or users that were asked for.

    Raises:
        UserError: one is named twice, or cannot be one.
    """
    flag, asked = f"--{owner}-features", getattr(config, f"{owner}_features")
    names = asked.split(",") if asked else []
    taken = [*_OTHER_INPUTS, *([AGE] if config.time else []), *moment_names(config)]
    if owner == "activity":
        taken += [input_of_user(name).lower() for name in feature_names(config, "user")]
    for name in names:
        if names.count(name) > 1 or name in ("", *_NO_FEATURES[owner]):
            raise UserError(
                f"{flag}={asked} has {name!r}; give columns that several {_MANY[owner]} share, "
                "each once"
            )
        if owner == "item":
            continue
        input_name = input_of_user(name) if owner == "user" else name
        if not _INPUT_NAME.fullmatch(name) or iskeyword(input_name) or input_name == "self":
            raise UserError(
                f"{flag}={asked}: {name!r} is to be the name of an input, of letters, digits and _ "
                "alone, and no word of Python's; rename the column"
            )
        # TensorFlow does not tell capitals apart.
        if input_name.lower() in taken:
            raise UserError(f"{flag}={asked}: {name!r} is another input's name; rename the column")
        taken.append(input_name.lower())
    return names


def moment_names(config: DataConfig) -> list[str]:
    """Cut what is to be known of the moment.

    Raises:
        UserError: one is unknown or named twice; or a zone is given without need, or unknown.
    """
    names = config.moment.split(",") if config.moment else []
    for name in names:
        if name not in MOMENTS or names.count(name) > 1:
            raise UserError(
                f"--moment={config.moment} has {name!r}; give {', '.join(MOMENTS)}, each once"
            )
    if config.time_zone != DataConfig.time_zone:
        if not names:
            raise UserError(f"--time-zone={config.time_zone} is of use to --moment alone; give it")
        if config.time_zone not in available_timezones():
            raise UserError(
                f"--time-zone={config.time_zone} is unknown; give one as Europe/Berlin or UTC"
            )
    return names


def input_of_user(name: str) -> str:
    """Name the input of a feature of users by its column."""
    return f"user_{name}"


@dataclass(frozen=True)
class ModelConfig:
    """The model: an encoder of the history, dense layers, a dot product with every item."""

    encoder: str = "rnn"
    """bow: mean of the items, whatever their order; cnn: convolutions and maxima over time;
    rnn: an LSTM, beside it the last item and the mean; transformer: attention instead"""
    embedding_dim: int = _between(64, 1, 4096)
    """width of an item's vector"""
    hidden_units: int = _between(128, 1, 8192)
    """width of the encoder (LSTM units, channels of a convolution, a transformer's vectors) and of
    the dense layers"""
    lstm_layers: int = _between(1, 1, 16)
    """rnn: LSTMs on top of each other"""
    conv_layers: int = _between(2, 1, 16)
    """cnn: convolutions on top of each other"""
    kernel_size: int = _between(3, 1, 100)
    """cnn: activities that one convolution sees"""
    blocks: int = _between(2, 1, 16)
    """transformer: blocks of attention on top of each other"""
    heads: int = _between(2, 1, 64)
    """transformer: parts of the width, each of which reads by weights of its own"""
    dense_layers: int = _between(1, 0, 16)
    """dense layers with ReLU between the encoder and the projection to the item space"""
    own_dropout: float = _between(0.0, 0.0, 0.95)
    """with --item-features: share of items that a step knows by their features alone; new items are
    found better for it (0.02 to 0.1), and the others less well"""
    dropout: float | None = _between(None, 0.0, 0.95)
    """share of units dropped in training, after the embeddings and after the encoder; by default
    0.2, or 0.4 where an item has fewer than 30 training targets on average"""
    tie_embeddings: bool = True
    """one item table for histories and candidates: half the file; off: one table for each"""

    def __post_init__(self) -> None:
        _check(self)
        if self.encoder == "transformer" and self.hidden_units % self.heads:
            raise UserError(
                f"--hidden-units={self.hidden_units} cannot be cut into --heads={self.heads}; give "
                "a multiple"
            )


@dataclass(frozen=True)
class TrainConfig:
    """Training: the loss, the optimizer, how long."""

    loss: Literal["auto", "full-softmax", "sampled-softmax"] = "auto"
    """compare the target with the whole catalogue, or with sampled negatives; auto: with the whole
    of up to 5,000 items, unless --negatives are given"""
    teacher: str | None = None
    """a finished run, as runs/ml-1m-rnn-n10, on the same data: its opinion of all items counts as
    much as the target; a small model becomes better for it"""
    sampler: SamplerName = "uniform"
    """where negatives come from: every item alike; log-uniform over the items ordered by
    popularity; or targets of the same batch"""
    negatives: int | None = _between(None, 1, 1_000_000)
    """sampled negatives, shared by the whole batch; by default 512 where the loss samples"""
    window_length: int | None = _between(None, 1, 10_000)
    """targets in a window of one user's timeline, all learned in one pass; by default N, but 20 at
    the least and 50 at the most; where many timelines fit with their lead-in, these are not cut"""
    lead_in: int | None = _between(None, 0, 10_000)
    """activities that a window reads before its first target beside the last one, so that no target
    of a long timeline is learned from a short history; by default N - 1, but 49 at the most"""
    batch_size: int | None = _between(None, 1, 1_000_000)
    """windows in a step, and of shorter timelines as many more as hold as many targets; by default
    as many as hold 1,280, or of a small log fewer, so that an epoch has some 500 steps"""
    table_optimizer: Literal["auto", "adamw", "rowwise-adagrad"] = "auto"
    """how items' vectors and biases learn: all of them at each step, or those that it touched, with
    one number of state a row; auto: by rows beyond 50,000 items"""
    learning_rate: float = _between(3e-3, 0.0, 10.0)
    """peak of the learning rate: linear warm-up, then cosine decay to zero"""
    warmup: float = _between(0.05, 0.0, 1.0)
    """share of the steps that warm up"""
    weight_decay: float = _between(0.01, 0.0, 10.0)
    """decoupled weight decay (AdamW), on matrices only"""
    clip_norm: float = _between(1.0, 1e-6, 1e6)
    """largest norm of a gradient; a larger one is scaled down to it"""
    epochs: int = _between(30, 1, 100_000)
    """passes over the training targets, at the most"""
    patience: int = _between(5, 1, 100_000)
    """stop after so many epochs without a better validation NDCG@10"""
    seed: int = _between(0, 0, 2**31 - 1)
    """seed of the synthetic world, the parameters, the batches and the negatives"""

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class Config:
    """Everything that decides what a run learns."""

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)


def save_config(config: Config, path: Path) -> None:
    """Write the configuration as JSON, with the number of the run directory's format."""
    write_json(path, {"format": FORMAT, **asdict(config)})


def load_config(path: Path) -> Config:
    """Read a configuration that `save_config` wrote.

    Raises:
        UserError: the file is missing, damaged, or of another format.
    """
    saved = read_json(path)
    found = saved.get("format") if isinstance(saved, dict) else None
    if found != FORMAT:
        raise UserError(
            f"{path} has run format {found}, this version reads {FORMAT}; train the run again"
        )
    with reading(path):
        return Config(
            DataConfig(**saved["data"]),
            ModelConfig(**saved["model"]),
            TrainConfig(**saved["train"]),
        )


def differences(saved: Config, asked: Config) -> list[str]:
    """Name each setting in which two configurations differ, as "--flag: saved, not asked".

    The folder of the data may differ: the same data may have moved.
    """
    parts = ((getattr(saved, part), getattr(asked, part)) for part in ("data", "model", "train"))
    found = [told for old, new in parts for told in differing(asdict(old), asdict(new))]
    return [told for told in found if not told.startswith("--data-dir:")]


def differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Name each setting in which two parts of configurations differ, as `differences` does."""
    return [
        f"{flag_of(name)}: {old[name]}, not {new[name]}" for name in old if old[name] != new[name]
    ]
