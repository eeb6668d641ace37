"""Periods: equal spans of time at the end of a log, each of which a model can be judged on."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Int

from jaxrec.data.data_config import DataConfig
from jaxrec.data.interactions import FilterConfig, nonzero_counts
from jaxrec.data.ordered import OrderedLog, select_rows
from jaxrec.data.sources.log_config import NO_TIMES
from jaxrec.data.sources.times import parse_time
from jaxrec.data.splits import Period
from jaxrec.errors import UserError

_SECONDS = {"h": 3600, "d": 86_400, "w": 7 * 86_400}


def parse_duration(text: str, flag: str) -> int:
    """Return the seconds of a duration in hours, days or weeks, as in 12h, 7d or 2w.

    Raises:
        UserError: the text is no duration.
    """
    found = re.fullmatch(r"([1-9]\d{0,4})([hdw])", text)
    if found is None:
        raise UserError(f"{flag}={text} is not a duration; give hours, days or weeks: 12h, 7d, 2w")
    return int(found[1]) * _SECONDS[found[2]]


def last_periods(
    log: OrderedLog, config: DataConfig, *, every: str, count: int, until: str | None
) -> list[Period]:
    """Return the last periods of a log, from the earliest to the latest.

    Args:
        every: the length of a period, as 7d.
        count: number of periods.
        until: the end of the last period, an ISO date or a number in the unit of the log; None:
            just after the last activity.

    Raises:
        UserError: an argument is malformed, the log has no true times, or nothing precedes the
            first period.
    """
    length, ticks = parse_duration(every, "--every"), _require_times(log, config)
    end = int(log.timestamps.max()) + 1
    if until is not None:
        end = parse_time(until, ticks, "--until")
    starts = [end - ago * length * ticks for ago in range(count, 0, -1)]
    first, last = log.timestamps.min().item(), log.timestamps.max().item()
    if first >= starts[0]:
        raise UserError(
            f"nothing precedes the first of {count} periods of {every}, which begins at "
            f"{format_time(starts[0], ticks)}: the log runs from {format_time(first, ticks)} to "
            f"{format_time(last, ticks)}; give fewer --weeks, a shorter --every or another --until"
        )
    return [Period(*each) for each in pairwise([*starts, end])]


def period_targets(
    log: OrderedLog, periods: Sequence[Period], is_target: Bool[np.ndarray, " n"]
) -> list[Int[np.ndarray, " _"]]:
    """Return the positions of the targets of each period.

    All activities in the period are targets, except for the first of a user: it has no history.

    Args:
        is_target: mask of the activities that may be targets, [n].

    Raises:
        UserError: some periods have no target; the message names them.
    """
    has_history = np.ones(len(log.items), bool)
    has_history[log.offsets[:-1]] = False
    may_be = is_target & has_history
    found = [
        np.flatnonzero(may_be & (log.timestamps >= each.start) & (log.timestamps < each.end))
        for each in periods
    ]
    empty = [period for period, targets in zip(periods, found, strict=True) if not len(targets)]
    if empty:
        ticks = log.ticks_per_second or 1
        names = ", ".join(
            f"{format_time(each.start, ticks)} to {format_time(each.end, ticks)}" for each in empty
        )
        raise UserError(
            f"{len(empty)} of {len(periods)} periods have no targets: {names}; give a longer "
            "--every, fewer --weeks, or another --until"
        )
    return found


def log_of_period(log: OrderedLog, period: Period, filters: FilterConfig) -> OrderedLog:
    """Return the activities before the end of a period, of the items that are known at its start.

    An item is known if it is frequent enough before the period: later activities do not count.

    Args:
        log: the log, without a filter of rare items.

    Raises:
        UserError: fewer than two items are known.
    """
    is_before = log.timestamps < period.start
    counts = np.bincount(log.items[is_before], minlength=log.catalogue.height + 1)
    fewest = filters.min_item_interactions
    known = np.flatnonzero(counts >= fewest)
    if len(known) < 2:
        raise UserError(
            f"{len(known)} items have --min-item-interactions={fewest} before "
            f"{format_time(period.start, log.ticks_per_second or 1)}; lower it, or give "
            "fewer --weeks"
        )
    selected = select_rows(log, log.timestamps < period.end, known)
    later = int((log.timestamps >= period.end).sum())
    dropped = {"the end of the period": later}
    dropped[f"--min-item-interactions={fewest}"] = len(log.items) - later - len(selected.items)
    return replace(selected, dropped={**log.dropped, **nonzero_counts(dropped)})


def format_time(time: float, ticks_per_second: int) -> str:
    """Format a time in UTC: a date, with the time of day unless that is midnight.

    A time beyond the years 1 to 9999 stays a number.
    """
    try:
        moment = datetime.fromtimestamp(time // ticks_per_second, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{time:.15g}"
    is_midnight = (moment.hour, moment.minute, moment.second) == (0, 0, 0)
    return f"{moment:%Y-%m-%d}" if is_midnight else f"{moment:%Y-%m-%dT%H:%M:%S}"


def _require_times(log: OrderedLog, config: DataConfig) -> int:
    """Return the ticks per second of a log whose times are true times.

    Raises:
        UserError: the times are positions, have no known unit, or are all equal within users.
    """
    if config.log.time == NO_TIMES:
        raise UserError("a backtest needs times, and --log.time=none says that the log has none")
    if log.ticks_per_second is None:
        raise UserError(
            f"a backtest needs true times: those of the log, from {log.timestamps.min():.15g} to "
            f"{log.timestamps.max():.15g}, may be positions; set their unit with --log.time-unit "
            "if they are not"
        )
    if log.anomalies.tied == log.anomalies.steps:
        raise UserError(
            "a backtest needs true times: all activities of each user have the same time; name "
            "another column with --log.time"
        )
    return log.ticks_per_second
