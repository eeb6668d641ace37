"""Labels with degrees: what each target counts in training."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Bool, Float32

from jaxrec.data.data_config import DataConfig
from jaxrec.data.feature_values import plain
from jaxrec.data.ordered import OrderedLog
from jaxrec.errors import UserError

_NOT_LABELS = ("user", "item", "timestamp")

# As many values of a column are shown.
_SHOWN = 8


class LabelWeight(NamedTuple):
    """What --label-weight asks for.

    Attributes:
        column: of the log.
        by_value: the weight of each of its values, as it was written; None: it holds the weights.
    """

    column: str
    by_value: Mapping[str, float] | None


def label_columns(config: DataConfig) -> list[str]:
    """Give the columns of the log that tell what a target counts.

    Raises:
        UserError: --label-weight cannot be read.
    """
    asked = _label_weight(config)
    return [asked.column] if asked else []


def target_weights(
    log: OrderedLog,
    is_target: Bool[np.ndarray, " n"],
    is_training_target: Bool[np.ndarray, " n"],
    config: DataConfig,
) -> Float32[np.ndarray, " n"] | None:
    """Give what each activity counts as a target in training: one in the mean of all of these.

    A target that weighs nothing is none in effect: it costs no loss. But it stays one of the mean,
    of the items' popularity, of validation and of the test: candidates, baselines and figures mean
    what they mean without weights.

    Args:
        log: a value that never occurs in its source is a mistake.
        is_target: which activities are to be predicted: of these the weight must be known ...
        is_training_target: ... and which of them in training.

    Returns:
        Zero for what is no training target; None where all count the same.

    Raises:
        UserError: a weight is missing, negative or no number, or all are zero.
    """
    asked = _label_weight(config)
    if asked is None:
        return None
    known = log.columns.columns
    if asked.column not in known:
        raise UserError(
            f"--label-weight has {asked.column!r}, and there is {', '.join(known) or 'nothing'}; "
            "give one of these"
        )
    column, targets = log.columns[asked.column], pl.Series(is_target)
    if asked.by_value is None:
        weights = _as_written(log, column, targets)
    else:
        weights = _mapped(log, column, targets, asked.by_value)
    counted = np.where(is_training_target, weights, 0.0)
    largest = counted.max()
    if largest == 0:
        raise UserError(
            f"--label-weight={config.label_weight}: each of {is_training_target.sum():,} targets "
            "to train on weighs nothing; give some of them more"
        )
    counted /= largest
    return (counted / counted[is_training_target].mean()).astype(np.float32)


def effective_number(weights: Float32[np.ndarray, " n"]) -> float:
    """Tell how many targets of one weight say as much as these (Kish, 1965, Survey Sampling)."""
    exact = weights.astype(np.float64)
    return float(exact.sum() ** 2 / (exact**2).sum())


def _label_weight(config: DataConfig) -> LabelWeight | None:
    asked = config.label_weight
    if asked is None:
        return None
    is_map = "=" in asked
    column, _, pairs = asked.partition(":") if is_map else (asked, "", "")
    if column in ("", *_NOT_LABELS):
        raise UserError(
            f"--label-weight={asked} has {column!r} for a column; give one that holds a rating, an "
            "event or a weight"
        )
    if not is_map:
        return LabelWeight(column, None)
    by_value = {}
    for pair in pairs.split(","):
        value, _, weight = pair.rpartition("=")
        if value == "" or value in by_value:
            raise UserError(
                f"--label-weight={asked} has {pair!r}; give each value once and what it counts, as "
                "in rating:3=0.5,4=1,5=2"
            )
        by_value[value] = _weight(weight, asked)
    return LabelWeight(column, by_value)


def _weight(written: str, asked: str) -> float:
    try:
        weight = float(written)
    except ValueError:
        weight = math.nan
    if not 0 <= weight < math.inf:
        raise UserError(
            f"--label-weight={asked} has the weight {written!r}; give a number, zero or more"
        )
    return weight


def values_in(column: pl.Series, written: Sequence[str], said: str) -> list[Any]:
    """Read values as a column has them: numbers if it holds numbers, else text.

    Args:
        said: what names them, a flag.

    Raises:
        UserError: one never occurs, or is there twice.
    """
    is_numeric = column.dtype.is_numeric()
    values = [_number(each) if is_numeric else each for each in written]
    there = set(column.unique())
    for value, text in zip(values, written, strict=True):
        if value not in there:
            raise UserError(f"{said}: {text!r} never occurs; there is {_most_common(column)}")
        if values.count(value) > 1:
            raise UserError(f"{said}: {text!r} is there twice; leave one out")
    return values


def _number(text: str) -> float:
    """Read a number; what is none equals nothing."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _most_common(column: pl.Series) -> str:
    counts = column.drop_nulls().value_counts(sort=True, name="count").rows()
    shown = [f"{plain(value)} ({count:,} rows)" for value, count in counts[:_SHOWN]]
    return ", ".join([*shown, "..."] if len(counts) > _SHOWN else shown)


def _as_written(log: OrderedLog, column: pl.Series, is_target: pl.Series) -> np.ndarray:
    """Read the weights that a column holds; zero where no target is."""
    flag = f"--label-weight={column.name}"
    _refuse_empty(log, column, is_target, flag)
    numbers = column.cast(pl.Float64, strict=False)
    is_bad = (~(numbers >= 0)).fill_null(True) & is_target
    if is_bad.any():
        value = plain(column.filter(is_bad)[0])
        raise UserError(
            f"{flag} holds {value!r}, {_where(log, is_bad)}; a weight is a number, zero or more"
        )
    return numbers.fill_null(0).to_numpy()


def _mapped(
    log: OrderedLog,
    column: pl.Series,
    is_target: pl.Series,
    by_value: Mapping[str, float],
) -> np.ndarray:
    """Give the weight of each value; zero where no target is."""
    flag = f"--label-weight of {column.name}"
    values = values_in(log.source[column.name], list(by_value), flag)
    _refuse_empty(log, column, is_target, flag)
    weights = column.replace_strict(
        pl.Series(values, dtype=column.dtype),
        pl.Series(list(by_value.values()), dtype=pl.Float64),
        default=None,
        return_dtype=pl.Float64,
    )
    lacking = column.filter(weights.is_null() & is_target)
    if len(lacking):
        raise UserError(
            f"{flag} does not say what these count: {_most_common(lacking)}; give each its weight, "
            "0 for none"
        )
    return weights.fill_null(0).to_numpy()


def _refuse_empty(log: OrderedLog, column: pl.Series, is_target: pl.Series, flag: str) -> None:
    is_bad = column.is_null() & is_target
    if is_bad.any():
        raise UserError(
            f"{flag}: the column is empty, {_where(log, is_bad)}; say what each target counts, or "
            "delete these rows"
        )


def _where(log: OrderedLog, is_bad: pl.Series) -> str:
    """Name the first row of some, and count them."""
    more = int(is_bad.sum()) - 1
    also = f", and in {more:,} more of {len(log.items):,} rows" if more else ""
    return f"for {log.told(is_bad.arg_true()[0])}{also}"
