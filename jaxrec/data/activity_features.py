"""Features of activities, users and moments, encoded as ids."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Int32

from jaxrec.data.data_config import DataConfig
from jaxrec.data.feature_names import MOMENTS, feature_names, input_of_user, moment_names
from jaxrec.data.feature_values import encode_values
from jaxrec.data.gaps import GAP_EDGES, gap_ids, whole_seconds
from jaxrec.data.ordered import OrderedLog
from jaxrec.data.sources.log_config import NO_TIMES
from jaxrec.errors import UserError
from jaxrec.schema import AGE, UNKNOWN_AGE, Feature

# ISO 8601 weekdays: Monday is 1.
_WEEK = range(1, 8)

_AGE = Feature(AGE, "activity", "age", len(GAP_EDGES))


_NONE: Mapping[str, Feature] = MappingProxyType({})


class EncodedFeature(NamedTuple):
    """A feature, and the ids of its values.

    Attributes:
        ids: id of each activity or of its moment, [n], or of each user, [U].
    """

    feature: Feature
    ids: Int32[np.ndarray, " n"]


def activity_features(
    log: OrderedLog, config: DataConfig, earlier: Mapping[str, Feature] = _NONE
) -> list[EncodedFeature]:
    """Encode the configured columns of each activity, and with --time-gaps its time gap, as ids.

    Args:
        earlier: the features of an earlier run by name, whose values keep their ids.

    Raises:
        UserError: a column is missing or carries no information, or the time unit is unknown.
    """
    names = feature_names(config, "activity")
    encoded = [
        EncodedFeature(
            *encode_values(
                _column(log.columns, name, "activity"),
                "activity",
                "--activity-features",
                earlier.get(name),
            )
        )
        for name in names
    ]
    if config.time_gaps:
        if config.log.time == NO_TIMES:
            raise UserError("--time-gaps and --log.time=none exclude each other; omit one of them")
        encoded.append(EncodedFeature(_AGE, _gaps(log)))
    return encoded


def user_features(
    log: OrderedLog, config: DataConfig, earlier: Mapping[str, Feature] = _NONE
) -> list[EncodedFeature]:
    """Encode the configured columns of each user as ids; their input names begin with "user_".

    Args:
        earlier: as in `activity_features`.

    Raises:
        UserError: there is no table of users, or a column is missing or carries no information.
    """
    names = feature_names(config, "user")
    if not names:
        return []
    if log.users.width == 1:
        raise UserError(f"--user-features: --dataset={config.dataset} has none; omit the flag")
    encoded = [
        encode_values(
            _column(log.users, name, "user"),
            "user",
            "--user-features",
            earlier.get(input_of_user(name)),
        )
        for name in names
    ]
    return [
        EncodedFeature(replace(feature, name=input_of_user(feature.name)), ids)
        for feature, ids in encoded
    ]


def moment_features(log: OrderedLog, config: DataConfig) -> list[EncodedFeature]:
    """Encode the hour and weekday of each activity, in the users' time zone, as ids.

    Raises:
        UserError: the log has no times, or their unit is unknown.
    """
    names = moment_names(config)
    if not names:
        return []
    if log.ticks_per_second is None or config.log.time == NO_TIMES:
        raise UserError(
            "--time-features needs times that are dates, or seconds, milli-, micro- or nanoseconds "
            "since 1970; set their unit with --log.time-unit, or omit --time-features"
        )
    seconds = pl.Series(whole_seconds(log.timestamps, log.ticks_per_second))
    moments = pl.from_epoch(seconds).dt.replace_time_zone("UTC")
    local = moments.dt.convert_time_zone(config.time_zone).dt
    ids = {"hour": local.hour() + 1, "weekday": local.weekday()}
    return [
        EncodedFeature(
            Feature(name, "moment", "id", size, tuple(range(size) if name == "hour" else _WEEK)),
            ids[name].cast(pl.Int32).to_numpy(),
        )
        for name, size in MOMENTS.items()
        if name in names
    ]


def _column(table: pl.DataFrame, name: str, owner: str) -> pl.Series:
    names = [each for each in table.columns if each not in ("user", "item", "timestamp")]
    if name not in names:
        raise UserError(
            f"--{owner}-features: unknown column {name!r}; available: {', '.join(names) or 'none'}"
        )
    return table[name]


def _gaps(log: OrderedLog) -> Int32[np.ndarray, " n"]:
    """Return the bucket of the gap from each activity to the user's next; 0 for the last one."""
    if log.ticks_per_second is None:
        raise UserError(
            f"--time-gaps: times from {log.timestamps.min():.15g} to "
            f"{log.timestamps.max():.15g} are not seconds, milli-, micro- or nanoseconds since "
            "1970; set their unit with --log.time-unit, or omit --time-gaps"
        )
    seconds = whole_seconds(log.timestamps, log.ticks_per_second)
    gaps = np.append(np.diff(seconds), 0)
    gaps[log.offsets[1:] - 1] = UNKNOWN_AGE
    ids = gap_ids(gaps)
    if len(np.unique(ids[ids > 0])) < 2:
        raise UserError(
            "--time-gaps: all gaps between a user's activities are equal, or longer than 34 years; "
            "omit the flag, or set the unit of the times with --log.time-unit"
        )
    return ids
