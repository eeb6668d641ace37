"""Target weights of --target-weight: how much each target counts in training."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Bool, Float32

from jaxrec.data.data_config import DataConfig
from jaxrec.data.feature_values import display_value
from jaxrec.data.ordered import OrderedLog
from jaxrec.errors import UserError

_KEY_COLUMNS = ("user", "item", "timestamp")

# Maximum number of values of a column in an error message.
_MAX_SHOWN = 8


class TargetWeight(NamedTuple):
    """A parsed --target-weight.

    Attributes:
        column: of the log.
        by_value: the weight of each value, as text; None: the column itself contains the weights.
    """

    column: str
    by_value: Mapping[str, float] | None


def weight_columns(config: DataConfig) -> list[str]:
    """Return the columns of the log that determine the target weights.

    Raises:
        UserError: --target-weight is malformed.
    """
    parsed = _parse_target_weight(config)
    return [parsed.column] if parsed else []


def target_weights(
    log: OrderedLog,
    is_target: Bool[np.ndarray, " n"],
    is_training_target: Bool[np.ndarray, " n"],
    config: DataConfig,
) -> Float32[np.ndarray, " n"] | None:
    """Return the weight of each training target; their mean is one.

    A target of weight zero adds nothing to the loss. It still counts in the mean of the weights, in
    the popularity of items, in validation and in the test: candidates, baselines and metrics have
    the same meaning as without weights.

    Args:
        log: its source must contain each value of --target-weight.
        is_target: mask of the activities that may be targets: each of them must have a weight.
        is_training_target: mask of the training targets among them.

    Returns:
        Weights, zero for other activities; None without --target-weight: all are equal.

    Raises:
        UserError: a weight is missing, negative or not a number, or all are zero.
    """
    parsed = _parse_target_weight(config)
    if parsed is None:
        return None
    names = log.columns.columns
    if parsed.column not in names:
        raise UserError(
            f"--target-weight: unknown column {parsed.column!r}; available: "
            f"{', '.join(names) or 'none'}"
        )
    column, targets = log.columns[parsed.column], pl.Series(is_target)
    if parsed.by_value is None:
        weights = _read_weights(log, column, targets)
    else:
        weights = _map_weights(log, column, targets, parsed.by_value)
    training_weights = np.where(is_training_target, weights, 0.0)
    largest = training_weights.max()
    if largest == 0:
        raise UserError(
            f"--target-weight={config.target_weight}: all {is_training_target.sum():,} training "
            "targets have weight zero; give some of them more"
        )
    # Scaled to at most one, so that the mean cannot overflow.
    training_weights /= largest
    return (training_weights / training_weights[is_training_target].mean()).astype(np.float32)


def effective_sample_size(weights: Float32[np.ndarray, " n"]) -> float:
    """Return the effective sample size of weighted targets (Kish, 1965, Survey Sampling)."""
    exact = weights.astype(np.float64)
    return float(exact.sum() ** 2 / (exact**2).sum())


def _parse_target_weight(config: DataConfig) -> TargetWeight | None:
    given = config.target_weight
    if given is None:
        return None
    is_map = "=" in given
    column, _, pairs = given.partition(":") if is_map else (given, "", "")
    if column in ("", *_KEY_COLUMNS):
        raise UserError(
            f"--target-weight={given}: {column!r} is not a column of ratings, events or weights; "
            "name another"
        )
    if not is_map:
        return TargetWeight(column, None)
    by_value = {}
    for pair in pairs.split(","):
        value, _, weight = pair.rpartition("=")
        if value == "" or value in by_value:
            raise UserError(
                f"--target-weight={given} has {pair!r}; give each value once, with its weight, as "
                "in rating:3=0.5,4=1,5=2"
            )
        by_value[value] = _parse_weight(weight, given)
    return TargetWeight(column, by_value)


def _parse_weight(written: str, given: str) -> float:
    try:
        weight = float(written)
    except ValueError:
        weight = math.nan
    if not 0 <= weight < math.inf:
        raise UserError(
            f"--target-weight={given} has the weight {written!r}; give a number, zero or more"
        )
    return weight


def parse_values(column: pl.Series, written: Sequence[str], flag: str) -> list[Any]:
    """Parse values to the type of a column: numbers if it is numeric, otherwise text.

    Args:
        flag: the flag that names the values, for error messages.

    Raises:
        UserError: a value never occurs in the column, or is repeated.
    """
    is_numeric = column.dtype.is_numeric()
    values = [_parse_number(each) if is_numeric else each for each in written]
    occurring = set(column.unique())
    for value, text in zip(values, written, strict=True):
        if value not in occurring:
            raise UserError(f"{flag}: {text!r} does not occur; the log has {_most_common(column)}")
        if values.count(value) > 1:
            raise UserError(f"{flag}: {text!r} is repeated; give it once")
    return values


def _parse_number(text: str) -> float:
    """Parse a number; return NaN, which equals no value, for other text."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _most_common(column: pl.Series) -> str:
    counts = column.drop_nulls().value_counts(sort=True, name="count").rows()
    formatted = [f"{display_value(value)} ({count:,} rows)" for value, count in counts[:_MAX_SHOWN]]
    return ", ".join([*formatted, "..."] if len(counts) > _MAX_SHOWN else formatted)


def _read_weights(log: OrderedLog, column: pl.Series, is_target: pl.Series) -> np.ndarray:
    """Return the weights that a column contains; zero for activities without one."""
    flag = f"--target-weight={column.name}"
    _require_values(log, column, is_target, flag)
    numbers = column.cast(pl.Float64, strict=False)
    is_bad = (~(numbers >= 0)).fill_null(True) & is_target
    if is_bad.any():
        value = display_value(column.filter(is_bad)[0])
        raise UserError(
            f"{flag} has {value!r}, {_locate(log, is_bad)}; a weight is a number, zero or more"
        )
    return numbers.fill_null(0).to_numpy()


def _map_weights(
    log: OrderedLog,
    column: pl.Series,
    is_target: pl.Series,
    by_value: Mapping[str, float],
) -> np.ndarray:
    """Return the weight of each activity's value; zero for values without one."""
    flag = f"--target-weight of {column.name}"
    values = parse_values(log.source[column.name], list(by_value), flag)
    _require_values(log, column, is_target, flag)
    weights = column.replace_strict(
        pl.Series(values, dtype=column.dtype),
        pl.Series(list(by_value.values()), dtype=pl.Float64),
        default=None,
        return_dtype=pl.Float64,
    )
    lacking = column.filter(weights.is_null() & is_target)
    if len(lacking):
        raise UserError(
            f"{flag} has no weight for {_most_common(lacking)}; give each a weight, zero or more"
        )
    return weights.fill_null(0).to_numpy()


def _require_values(log: OrderedLog, column: pl.Series, is_target: pl.Series, flag: str) -> None:
    is_bad = column.is_null() & is_target
    if is_bad.any():
        raise UserError(
            f"{flag}: the column is empty, {_locate(log, is_bad)}; set the weight of each target, "
            "or delete these rows"
        )


def _locate(log: OrderedLog, is_bad: pl.Series) -> str:
    """Format the first of the bad rows, and the number of the others."""
    more = int(is_bad.sum()) - 1
    also = f", and in {more:,} more of {len(log.items):,} rows" if more else ""
    return f"for {log.describe(is_bad.arg_true()[0])}{also}"
