"""Intake: what came in with a log, what was dropped of it, and what is odd."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32

from jaxrec.data.activity_features import Numbered
from jaxrec.data.data_config import DataConfig
from jaxrec.data.interactions import DESCRIBES, TICKS_PER_SECOND
from jaxrec.data.ordered import Oddities, OrderedLog
from jaxrec.schema import UNKNOWN, Feature


@dataclass(frozen=True)
class Intake:
    """What became of the rows of a log.

    Attributes:
        rows: how many the source had.
        kept: how many are learned from or tested on.
        users: whose they are.
        items: what they are about.
        described: how many of the items have a title, genres or a year; None: none has.
        dropped: how many rows were dropped, by the flag that asked for it.
        tied_steps: share of the steps from one activity of a user to the next that take no time.
        notes: what was guessed and what is odd, a sentence each.
    """

    rows: int
    kept: int
    users: int
    items: int
    described: int | None
    dropped: Mapping[str, int]
    tied_steps: float
    notes: tuple[str, ...]


def take_in(log: OrderedLog, features: Sequence[Numbered], config: DataConfig) -> Intake:
    """Sum up what was kept, and say what is odd in it.

    Args:
        log: what was kept.
        features: of its activities and users.
    """
    odd, items = log.oddities, log.catalogue.height
    described = log.catalogue.filter(DESCRIBES).height
    notes = (
        *log.notes,
        *_about_features(features, log.ticks_per_second),
        *_about_ties(odd),
        *_about_copies(odd),
        *_about_conversion(items, config),
    )
    return Intake(
        *(log.rows, len(log.items), len(log.offsets) - 1, items, described or None),
        *(log.dropped, odd.tied_steps, notes),
    )


def _about_features(features: Sequence[Numbered], ticks_per_second: int | None) -> list[str]:
    return [
        _about_times(feature, ticks_per_second)
        if feature.kind == "age" or feature.of == "moment"
        else _about_feature(feature, ids)
        for feature, ids in features
    ]


def _about_times(feature: Feature, ticks_per_second: int | None) -> str:
    (unit,) = (unit for unit, ticks in TICKS_PER_SECOND.items() if ticks == ticks_per_second)
    told = "--time" if feature.kind == "age" else f"--moment={feature.name}"
    return f"{told}: times are read as {unit}"


def _about_feature(feature: Feature, ids: Int32[np.ndarray, " n"]) -> str:
    told = "texts" if isinstance(feature.values[0], str) else "numbers"
    told = told if feature.kind == "id" else f"buckets of {told}"
    owners = "activities" if feature.of == "activity" else "users"
    unknown = np.count_nonzero(ids == UNKNOWN)
    return (
        f"{feature.name}: {feature.size:,} {told}, unknown for {unknown:,} of {len(ids):,} {owners}"
    )


def _about_ties(odd: Oddities) -> list[str]:
    if not odd.tied:
        return []
    order = "the order of the source"
    if odd.backwards > 9 * odd.forwards:
        order += ", which runs from new to old,"
    return [f"{odd.tied_steps:.1%} of a user's steps take no time: {order} counts there"]


def _about_copies(odd: Oddities) -> list[str]:
    if not odd.copies:
        return []
    return [
        f"{odd.copies:,} rows repeat the user, the item and the time of another; "
        "--drop-duplicates drops them"
    ]


def _about_conversion(items: int, config: DataConfig) -> list[str]:
    if config.keep_seen or items > config.history_length:
        return []
    return [
        f"{items} items leave none to recommend beside a history of {config.history_length}: "
        "before a conversion, lower --history-length, or give --keep-seen"
    ]


def render(intake: Intake, name: str) -> str:
    """Say it in one short block."""
    lines = [
        f"{name}: {intake.rows:,} rows in, {intake.kept:,} kept: interactions of {intake.users:,} "
        f"users with {intake.items:,} items"
    ]
    if intake.described is not None:
        lines[0] += f", {intake.described:,} of them described"
    dropped = [f"{count:,} by {flag}" for flag, count in intake.dropped.items()]
    if dropped:
        lines.append(f"  dropped: {', '.join(dropped)}")
    return "\n".join([*lines, *(f"  note: {note}" for note in intake.notes)])
