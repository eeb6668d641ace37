"""Summary of a log, with the numbers of kept and dropped rows, and its anomalies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from jaxtyping import Int32

from jaxrec.data.activity_features import EncodedFeature
from jaxrec.data.data_config import DataConfig
from jaxrec.data.gaps import whole_seconds
from jaxrec.data.interactions import DESCRIBES, TICKS_PER_SECOND
from jaxrec.data.ordered import LogAnomalies, OrderedLog
from jaxrec.data.sources.log_config import NO_TIMES
from jaxrec.schema import UNKNOWN, Feature


@dataclass(frozen=True)
class LogSummary:
    """Summary of the rows of a log.

    Attributes:
        rows: number of rows in the source.
        kept: number of rows that are used in training, validation or test.
        users: number of users in the kept rows.
        items: number of items in the kept rows.
        described: number of items with a title, genres or a year; None: no item has any.
        dropped: number of dropped rows, by the flag that requested it.
        tied_steps: share of pairs of consecutive activities of a user that have equal times.
        notes: assumptions and anomalies, one sentence each.
        until: the time of the last kept activity, as in "2026-12-01T12:00:00Z"; None: the log has
            no times of a known unit, or the run is older than this field.
        tie_seed: seed of the order of activities with equal times; None: that of the source.
    """

    rows: int
    kept: int
    users: int
    items: int
    described: int | None
    dropped: Mapping[str, int]
    tied_steps: float
    notes: tuple[str, ...]
    until: str | None = None
    tie_seed: int | None = None


def summarize_log(
    log: OrderedLog, features: Sequence[EncodedFeature], config: DataConfig
) -> LogSummary:
    """Summarize the kept rows of a log, and note their anomalies.

    Args:
        log: the kept rows.
        features: of activities, users and moments.
    """
    anomalies, items = log.anomalies, log.catalogue.height
    described = log.catalogue.filter(DESCRIBES).height
    notes = (
        *log.notes,
        *_feature_notes(features, log.ticks_per_second),
        *_tie_notes(anomalies, log.tie_seed),
        *_duplicate_notes(anomalies),
        *_conversion_notes(items, config),
    )
    return LogSummary(
        *(log.rows, len(log.items), len(log.offsets) - 1, items, described or None),
        *(log.dropped, anomalies.tied_steps, notes, _last_time(log, config), log.tie_seed),
    )


def format_utc(seconds: int) -> str:
    """Format seconds since 1970 as a time in UTC, as in "2026-12-01T12:00:00Z"."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _last_time(log: OrderedLog, config: DataConfig) -> str | None:
    """Return the time of the last activity; None if the unit of the times is unknown."""
    if log.ticks_per_second is None or config.log.time == NO_TIMES:
        return None
    return format_utc(int(whole_seconds(log.timestamps, log.ticks_per_second).max()))


def _feature_notes(features: Sequence[EncodedFeature], ticks_per_second: int | None) -> list[str]:
    return [
        _time_note(feature, ticks_per_second)
        if feature.kind == "age" or feature.of == "moment"
        else _feature_note(feature, ids)
        for feature, ids in features
    ]


def _time_note(feature: Feature, ticks_per_second: int | None) -> str:
    (unit,) = (unit for unit, ticks in TICKS_PER_SECOND.items() if ticks == ticks_per_second)
    flag = "--time-gaps" if feature.kind == "age" else f"--time-features={feature.name}"
    return f"{flag}: times are read as {unit}"


def _feature_note(feature: Feature, ids: Int32[np.ndarray, " n"]) -> str:
    kind = "strings" if isinstance(feature.values[0], str) else "numbers"
    kind = kind if feature.kind == "id" else f"buckets of {kind}"
    owners = "activities" if feature.of == "activity" else "users"
    unknown = np.count_nonzero(ids == UNKNOWN)
    return (
        f"{feature.name}: {feature.size:,} {kind}, unknown for {unknown:,} of {len(ids):,} {owners}"
    )


def _tie_notes(anomalies: LogAnomalies, tie_seed: int | None) -> list[str]:
    if not anomalies.tied:
        return []
    order = "keep the order of the source"
    # Of the pairs of rows with different times, more than 90% go back in time.
    if anomalies.backwards > 9 * anomalies.forwards:
        order += ", which runs from new to old"
    order += "; --break-ties=0 draws another order"
    if tie_seed is not None:
        order = f"are in an order drawn by --break-ties={tie_seed}"
    return [f"{anomalies.tied_steps:.1%} of consecutive activities have equal times, and {order}"]


def _duplicate_notes(anomalies: LogAnomalies) -> list[str]:
    if not anomalies.copies:
        return []
    return [
        f"{anomalies.copies:,} rows repeat the user, the item and the time of another row; "
        "--drop-duplicates drops them"
    ]


def _conversion_notes(items: int, config: DataConfig) -> list[str]:
    if config.keep_seen or items > config.history_length:
        return []
    return [
        f"{items} items leave none to recommend after a history of {config.history_length}: "
        "lower --history-length or give --keep-seen before an export"
    ]


def format_summary(summary: LogSummary, name: str) -> str:
    """Format a summary as a short block of lines."""
    lines = [
        f"{name}: {summary.rows:,} rows in, {summary.kept:,} kept: interactions of "
        f"{summary.users:,} users with {summary.items:,} items"
    ]
    if summary.described is not None:
        lines[0] += f", {summary.described:,} of them described"
    dropped = [f"{count:,} by {flag}" for flag, count in summary.dropped.items()]
    if dropped:
        lines.append(f"  dropped: {', '.join(dropped)}")
    return "\n".join([*lines, *(f"  note: {note}" for note in summary.notes)])
