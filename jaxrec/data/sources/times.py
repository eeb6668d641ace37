"""Times of a log: numbers of any unit, ISO 8601 dates, or dates in a given format."""

import numpy as np
import polars as pl

from jaxrec.data.interactions import TICKS_PER_SECOND, TimeUnit
from jaxrec.data.sources.tabular import Table, finite_numbers, text_of
from jaxrec.errors import UserError

# 2024-05-01, 2024-05-01T12:30, 2024-05-01 12:30:59.5+02:00, 2024-05-01 12:30:59 UTC
_ISO = (
    r"^(?<date>\d{4}-\d\d-\d\d)(?:[T ](?<minute>\d\d:\d\d)(?<second>:\d\d(?:[.,]\d+)?)?)?"
    r" ?(?<zone>Z|UTC|[+-]\d\d(?::?\d\d)?)?$"
)

_WANTED = "a number or an ISO date, as 2024-05-01 or 2024-05-01T12:30:59+02:00"
_REMEDY = "set the format of dates with --log.time-format, as in --log.time-format='%d.%m.%Y %H:%M'"

# The years 1973 to 2286 in seconds since 1970. In finer units both ends are larger by a power of
# 1000, so the ranges of two units do not overlap, and the size of a time determines its unit.
_FIRST_SECOND, _LAST_SECOND = 1e8, 1e10

# Days since 1899-12-30, the epoch of spreadsheets, from 1954 to 2119.
_SPREADSHEET_DAYS = (20_000, 80_000)


def read_times(
    table: Table, name: str, time_format: str | None, unit: TimeUnit = "auto"
) -> tuple[pl.Series, int | None]:
    """Read a column of times as Int64 or finite Float64; a later time is a larger number.

    Numbers are not converted. Dates become seconds since 1970, in UTC if they have no time zone; if
    any is finer than a microsecond, all become nanoseconds since 1970, as Int64.

    Returns:
        The times, and their ticks per second where the unit is certain: --log.time-unit sets it, or
        the times are dates. Otherwise None.

    Raises:
        UserError: if a row has no time, a unit is set for dates, or the unit is too coarse.
    """
    column = table.scalar_column(name)
    if time_format is not None:
        moments = _parse_formatted(text_of(column), time_format)
        if moments.is_null().all():
            value = next((each for each in column if each is not None), None)
            raise UserError(
                f"--log.time-format={time_format} matches no time of {table.file.path}: column "
                f"{name!r} has {str(value)[:40]!r}; give a strftime format, as in "
                "'%d.%m.%Y %H:%M'"
            )
        times, ticks = _since_1970(moments)
        table.require(name, times.is_not_null(), f"a time as {time_format!r}")
    else:
        times, ticks = _parse_times(column)
        if times.has_nulls():
            _require_one_form(table, name, times)
            is_good, remedy = times.is_not_null(), _remedy(column)
            table.require(name, is_good, _WANTED, remedy=remedy, otherwise=_REMEDY)
    if unit == "auto":
        return times, ticks
    if ticks is not None:
        raise UserError(
            f"--log.time-unit={unit} is for numbers, and column {name!r} of {table.file.path} has "
            "dates; omit it"
        )
    largest = np.abs(times.to_numpy().astype(float)).max()
    if largest >= _LAST_SECOND * TICKS_PER_SECOND[unit]:
        raise UserError(
            f"--log.time-unit={unit} makes the times of {table.file.path} reach {largest:.15g} "
            f"{unit}, which is centuries; give another unit"
        )
    return times, TICKS_PER_SECOND[unit]


def parse_time(text: str, ticks_per_second: int, flag: str) -> float:
    """Parse a single time: a number in the unit of a log, or an ISO date, in UTC without a zone.

    Args:
        ticks_per_second: the unit of the log's times, which is that of the result.

    Raises:
        UserError: the text is neither.
    """
    times, ticks = _parse_times(pl.Series([text]))
    if times.has_nulls():
        raise UserError(f"{flag}={text} is no time; give {_WANTED}")
    return times[0] if ticks is None else times[0] * ticks_per_second / ticks


def _remedy(column: pl.Series) -> str:
    """Return what to do about all times; empty if nothing is known."""
    days = text_of(column).str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
    if days.is_between(*_SPREADSHEET_DAYS).fill_null(False).all():
        return (
            "the times are days as spreadsheets count them: format the column as a date, as in "
            "2024-05-01 12:30:59, and export it again"
        )
    return ""


def _require_one_form(table: Table, name: str, times: pl.Series) -> None:
    """Raise for the first date in a column of numbers, or the first number in a column of dates."""
    text, bad = text_of(table.frame[name]), times.is_null().arg_true()
    if bad[0] == 0 or text[bad[0]] is None:
        return
    pair = pl.concat([text.head(1), text.gather(bad[:1])])
    is_number, is_date = finite_numbers(pair).is_not_null(), _parse_iso(pair).is_not_null()
    if (is_number | is_date).all() and is_number[0] != is_number[1]:
        kinds = ["a number" if each else "a date" for each in is_number]
        raise UserError(
            f"{table.locate(bad[0])}: column {name!r} has {kinds[1]}, {pair[1][:40]!r}, and "
            f"{table.locate(0)} has {kinds[0]}, {pair[0][:40]!r}; write all times in one form"
        )


def precision_notes(column: pl.Series) -> list[str]:
    """Return a note on times whose type has too few digits for their size."""
    if column.dtype != pl.Float32:
        return []
    largest = np.abs(column.drop_nulls().to_numpy()).max(initial=np.float32(0))
    step = float(np.spacing(largest))
    if step <= 1:
        return []
    return [
        f"the times are float32, which is exact to {step:g} at {largest:.10g}: activities at "
        "different times become simultaneous; store them as float64 or integers"
    ]


def mixed_unit_notes(times: pl.Series) -> list[str]:
    """Return a note with the count of each unit if the times seem to mix units."""
    counts = {unit: _in_range(times, ticks).sum() for unit, ticks in TICKS_PER_SECOND.items()}
    found = [f"{count:,} look like {unit}" for unit, count in counts.items() if count]
    if len(found) < 2:
        return []
    return [f"times in several units: {', '.join(found)}; convert all to one"]


def infer_ticks_per_second(times: pl.Series) -> int | None:
    """Infer the ticks per second of times since 1970 from their size; None if ambiguous."""
    return next(
        (ticks for ticks in TICKS_PER_SECOND.values() if _in_range(times, ticks).all()), None
    )


def _in_range(times: pl.Series, ticks: int) -> pl.Series:
    return times.is_between(_FIRST_SECOND * ticks, _LAST_SECOND * ticks, closed="left")


def _parse_times(column: pl.Series) -> tuple[pl.Series, int | None]:
    """Parse times; invalid ones become null. Text holds dates unless its first value is a number.

    Returns:
        The times, and for dates their ticks per second, otherwise None.
    """
    if column.dtype in (pl.Date, pl.Datetime):
        return _since_1970(column)
    numbers = finite_numbers(column)
    if column.dtype.is_float() or column.dtype.is_decimal():
        return numbers, None
    text = text_of(column)
    integers = text.cast(pl.Int64, strict=False)
    if not integers.has_nulls():
        return integers, None
    return _since_1970(_parse_iso(text)) if numbers.head(1).has_nulls() else (numbers, None)


def _since_1970(moments: pl.Series) -> tuple[pl.Series, int]:
    """Return seconds as Float64, or nanoseconds as Int64 if any is finer than a microsecond."""
    is_fine = moments.dtype != pl.Date and (moments.dt.nanosecond() % 1000 != 0).any()
    if is_fine:
        return moments.dt.epoch("ns"), TICKS_PER_SECOND["nanoseconds"]
    return moments.dt.epoch("us") / 1e6, 1


def _parse_iso(text: pl.Series) -> pl.Series:
    """Parse ISO 8601 dates; other values become null."""
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
    # Nanoseconds cover only the years 1677 to 2262, so they are used only where needed.
    is_fine = text.str.contains(r":\d\d[.,]\d{7}").any()
    return utc.str.to_datetime(
        "%Y-%m-%dT%H:%M:%S%.f%#z", time_unit="ns" if is_fine else "us", strict=False
    )


def _parse_formatted(text: pl.Series, time_format: str) -> pl.Series:
    """Parse dates in a strftime format; other values become null."""
    try:
        return text.str.to_datetime(time_format, time_unit="us", strict=False)
    except pl.exceptions.PolarsError as error:
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"--log.time-format={time_format} is not a date format ({reason}); give a strftime "
            "format, as in '%d.%m.%Y %H:%M'"
        ) from None
