"""Times of a log: numbers of any unit, ISO 8601, or dates of a form that is named."""

import numpy as np
import polars as pl

from jaxrec.data.interactions import TICKS_PER_SECOND, TimeUnit
from jaxrec.data.sources.tabular import Table, finite, text_of
from jaxrec.errors import UserError

# 2024-05-01, 2024-05-01T12:30, 2024-05-01 12:30:59.5+02:00, 2024-05-01 12:30:59 UTC
_ISO = (
    r"^(?<date>\d{4}-\d\d-\d\d)(?:[T ](?<minute>\d\d:\d\d)(?<second>:\d\d(?:[.,]\d+)?)?)?"
    r" ?(?<zone>Z|UTC|[+-]\d\d(?::?\d\d)?)?$"
)

_WANTED = "a number or an ISO date, as 2024-05-01 or 2024-05-01T12:30:59+02:00"
_REMEDY = (
    "say how dates are written with --log.time-format, as in --log.time-format='%d.%m.%Y %H:%M'"
)

# From the year 1973 to 2286 the times since 1970 are these in seconds, and as many times more in
# other units: no unit can be taken for another.
_FIRST_SECOND, _LAST_SECOND = 1e8, 1e10


def read_times(
    table: Table, name: str, time_format: str | None, unit: TimeUnit = "auto"
) -> tuple[pl.Series, int | None]:
    """Return times whose order is that of the moments: Int64, or else finite Float64.

    Numbers stay as they are. Dates become seconds since 1970, UTC where no zone is given; those
    that are finer than a microsecond become nanoseconds, as Int64.

    Returns:
        The times, and how many ticks they count in a second if that is said: by --log.time-unit, or
        because they are dates.

    Raises:
        UserError: a row holds none, dates are said to have a unit, or numbers one too large.
    """
    column = table.plain(name)
    if time_format is not None:
        moments = _formatted(text_of(column), time_format)
        if moments.is_null().all():
            value = next((each for each in column if each is not None), None)
            raise UserError(
                f"--log.time-format={time_format} reads no time of {table.file.path}: column "
                f"{name!r} holds {str(value)[:40]!r}; write it as strftime does, as in "
                "'%d.%m.%Y %H:%M'"
            )
        (times, ticks), wanted, remedy = _since_1970(moments), f"a time as {time_format!r}", ""
    else:
        (times, ticks), wanted, remedy = _moments(column), _WANTED, _REMEDY
    table.require(name, times.is_not_null(), wanted, remedy)
    if unit == "auto":
        return times, ticks
    if ticks is not None:
        raise UserError(
            f"--log.time-unit={unit} says what numbers count, and column {name!r} of "
            f"{table.file.path} holds dates; leave it out"
        )
    largest = np.abs(times.to_numpy().astype(float)).max()
    if largest >= _LAST_SECOND * TICKS_PER_SECOND[unit]:
        raise UserError(
            f"--log.time-unit={unit} makes the times of {table.file.path} reach {largest:.15g} "
            f"{unit}, which is centuries; say another unit"
        )
    return times, TICKS_PER_SECOND[unit]


def mixed_units(times: pl.Series) -> list[str]:
    """Say that times seem to be of several units, with counts, if they do."""
    counts = {unit: _is_of(times, ticks).sum() for unit, ticks in TICKS_PER_SECOND.items()}
    found = [f"{count:,} look like {unit}" for unit, count in counts.items() if count]
    if len(found) < 2:
        return []
    return [f"times of several units: {', '.join(found)}; write all in one"]


def ticks_by_size(times: pl.Series) -> int | None:
    """Tell the unit of times since 1970 by their size; None where it cannot be told."""
    return next((ticks for ticks in TICKS_PER_SECOND.values() if _is_of(times, ticks).all()), None)


def _is_of(times: pl.Series, ticks: int) -> pl.Series:
    return times.is_between(_FIRST_SECOND * ticks, _LAST_SECOND * ticks, closed="left")


def _moments(column: pl.Series) -> tuple[pl.Series, int | None]:
    """Read times of any type; null where there is none. The first says whether they are dates.

    Returns:
        The times, and of dates how many ticks they count in a second.
    """
    if column.dtype in (pl.Date, pl.Datetime):
        return _since_1970(column)
    numbers = finite(column)
    if column.dtype.is_float() or column.dtype.is_decimal():
        return numbers, None
    text = text_of(column)
    integers = text.cast(pl.Int64, strict=False)
    if not integers.has_nulls():
        return integers, None
    return _since_1970(_iso(text)) if numbers.head(1).has_nulls() else (numbers, None)


def _since_1970(moments: pl.Series) -> tuple[pl.Series, int]:
    """Give seconds as Float64, or nanoseconds as Int64 where seconds would lose their order."""
    is_fine = moments.dtype != pl.Date and (moments.dt.nanosecond() % 1000 != 0).any()
    if is_fine:
        return moments.dt.epoch("ns"), TICKS_PER_SECOND["nanoseconds"]
    return moments.dt.epoch("us") / 1e6, 1


def _iso(text: pl.Series) -> pl.Series:
    """Read ISO 8601; null where there is none."""
    parts = text.str.extract_groups(_ISO).struct.unnest()
    utc = parts.select(
        pl.format(
            "{}T{}{}{}",
            "date",
            pl.col("minute").fill_null("00:00"),
            pl.col("second").fill_null(":00").str.replace(",", "."),
            pl.col("zone").replace(["Z", "UTC"], "+00").fill_null("+00"),
        )
    ).to_series()
    # Nanoseconds reach from 1677 to 2262 alone.
    is_fine = text.str.contains(r":\d\d[.,]\d{7}").any()
    return utc.str.to_datetime(
        "%Y-%m-%dT%H:%M:%S%.f%#z", time_unit="ns" if is_fine else "us", strict=False
    )


def _formatted(text: pl.Series, time_format: str) -> pl.Series:
    """Read dates of a form; null where there is none."""
    try:
        return text.str.to_datetime(time_format, time_unit="us", strict=False)
    except pl.exceptions.PolarsError as error:
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"--log.time-format={time_format} is no form of a date ({reason}); write it as "
            "strftime does, as in '%d.%m.%Y %H:%M'"
        ) from None
