"""Splits: positions of the training, validation and test targets, by one of three protocols.

The protocols answer different questions, and their metrics must never be reported in one column:

- leave-one-out: predict each user's next item, given the future of other users. The protocol of
  most papers.
- temporal: predict activities after a day T from nothing later than T. Closest to an app.
- random-pairs: the protocol of the 2020 TensorFlow Lite system. Training includes the future of the
  users in the test, so its metrics are comparable with those of no other protocol.

If a log has several kinds of events, targets may be restricted to some of them. Histories contain
all activities before a target, of every kind.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int

from jaxrec.data.timelines import Timelines
from jaxrec.errors import UserError

SplitName = Literal["leave-one-out", "temporal", "random-pairs"]


@dataclass(frozen=True, eq=False)
class Split:
    """Positions of the targets of each part of a log.

    Attributes:
        is_training_target: mask of the positions whose items are targets in training, [n].
        training_ends: user u's training history ends before this position, [U].
        validation: positions of the targets for choosing settings and for early stopping.
        test: positions of the targets for reported metrics, evaluated once.
        drawn_from: number of users from whom those of `validation` were drawn; None: they are all.
    """

    is_training_target: Bool[np.ndarray, " n"]
    training_ends: Int[np.ndarray, " U"]
    validation: Int[np.ndarray, " n_validation"]
    test: Int[np.ndarray, " n_test"]
    drawn_from: int | None = None


@dataclass(frozen=True)
class Period:
    """A span of time [start, end), in the unit of a log's timestamps."""

    start: float
    end: float


def split_timelines(
    timelines: Timelines,
    name: SplitName,
    *,
    seed: int,
    is_target: Bool[np.ndarray, " n"] | None = None,
) -> Split:
    """Split timelines by the named protocol; `seed` shuffles the random pairs.

    Args:
        is_target: mask of the activities that may be targets of any part; None: all.

    Raises:
        UserError: there is no target for training, validation or the test.
    """
    if is_target is None:
        is_target = np.ones(len(timelines.items), bool)
    if name == "leave-one-out":
        split = _leave_one_out(timelines, is_target)
    elif name == "temporal":
        split = _temporal(timelines, is_target)
    elif name == "random-pairs":
        split = _random_pairs(timelines, is_target, np.random.default_rng(seed))
    parts = (split.is_training_target.sum(), len(split.validation), len(split.test))
    if min(parts) == 0:
        raise UserError(
            f"no user with enough interactions: the {name} split of {len(timelines.lengths):,} "
            f"users leaves {parts[0]:,} targets for training, {parts[1]:,} for validation and "
            f"{parts[2]:,} for the test; give a longer log or another --split"
        )
    return split


def split_at_period(
    timelines: Timelines,
    period: Period,
    *,
    min_interactions: int = 1,
    is_target: Bool[np.ndarray, " n"] | None = None,
) -> Split:
    """Train on every target before a period, and test on every target in it.

    Test targets have at least one activity before them. Each user's last training target is a
    validation target too, for the progress of a final fit: it measures no generalization.

    Args:
        min_interactions: users with fewer activities before the period are not trained on.
        is_target: as in `split_timelines`.

    Raises:
        UserError: there is no target for training or for the test.
    """
    times, starts = timelines.timestamps, timelines.offsets[:-1]
    if is_target is None:
        is_target = np.ones(len(times), bool)
    counts = np.add.reduceat(times < period.start, starts, dtype=np.int64)
    ends = starts + np.where(counts >= min_interactions, counts, 0)
    is_training_target = is_target & _mask_before(timelines, ends)
    last = _last_target(is_training_target)[ends]
    is_tested = is_target & (times >= period.start) & (times < period.end)
    is_tested[starts] = False
    split = Split(is_training_target, ends, last[last > starts], np.flatnonzero(is_tested))
    parts = (is_training_target.sum(), len(split.validation), len(split.test))
    if min(parts) == 0:
        raise UserError(
            f"too few interactions: {parts[0]:,} targets before the period, of {parts[1]:,} users "
            f"with a history, and {parts[2]:,} in it; give a longer log or another period"
        )
    return split


def sample_users(
    timelines: Timelines, split: Split, *, seed: int, validation: int | None, test: int | None
) -> Split:
    """Restrict validation and test to random users.

    The held-out targets of the other users are not added to training.

    Args:
        validation: number of users drawn for validation; None, or more than there are: all.
        test: the same for the test.
    """

    def restrict(positions: Int[np.ndarray, " n"], count: int | None) -> Int[np.ndarray, " m"]:
        owners = timelines.users_of(positions)
        users = np.unique(owners)
        if count is None or count >= len(users):
            return positions
        rng = np.random.default_rng(seed)
        return positions[np.isin(owners, rng.choice(users, count, replace=False))]

    validated = restrict(split.validation, validation)
    drawn_from = split.drawn_from
    if len(validated) < len(split.validation):
        drawn_from = len(np.unique(timelines.users_of(split.validation)))
    return replace(
        split, validation=validated, test=restrict(split.test, test), drawn_from=drawn_from
    )


def train_on_validation(
    timelines: Timelines, split: Split, is_target: Bool[np.ndarray, " n"] | None = None
) -> Split:
    """Add the validation targets to the training targets, for a final fit with chosen settings.

    They also remain in `validation`, but metrics on them no longer measure generalization.

    Args:
        is_target: as in `split_timelines`.
    """
    ends = split.training_ends.copy()
    users = timelines.users_of(split.validation)
    np.maximum.at(ends, users, split.validation + 1)
    is_added = _mask_before(timelines, ends) & ~_mask_before(timelines, split.training_ends)
    if is_target is not None:
        is_added &= is_target
    is_training_target = split.is_training_target | is_added
    is_training_target[split.validation] = True
    return Split(is_training_target, ends, split.validation, split.test)


def _leave_one_out(timelines: Timelines, is_target: Bool[np.ndarray, " n"]) -> Split:
    """Split off the last two targets of each user who has three or more.

    Activities of other kinds between the two are in the history of the test target alone.
    """
    starts, ends = timelines.offsets[:-1], timelines.offsets[1:]
    tested = np.add.reduceat(is_target, starts, dtype=np.int64) >= 3
    last = _last_target(is_target)
    test = last[ends[tested]]
    validation = last[test]
    training_ends = ends.copy()
    training_ends[tested] = validation
    return Split(
        is_target & _mask_before(timelines, training_ends), training_ends, validation, test
    )


def _temporal(
    timelines: Timelines,
    is_target: Bool[np.ndarray, " n"],
    cuts: tuple[float, float] = (0.8, 0.9),
) -> Split:
    """Split at two times, the quantiles `cuts` of all interactions, which all users share.

    Each user's last target between the cuts is for validation, and each user's last target after
    the second cut is for the test ("last" of the global temporal splits in Gusak et al., 2025,
    Time to Split). Both need at least one activity before them. Histories extend to the target,
    as they do on a device; the model is trained on nothing after the first cut.
    """
    starts, ends = timelines.offsets[:-1], timelines.offsets[1:]
    first, second = np.quantile(timelines.timestamps, cuts, method="higher")
    # Times are non-decreasing within a user, so the number of rows before a cut locates it.
    until_first = starts + np.add.reduceat(timelines.timestamps < first, starts, dtype=np.int64)
    until_second = starts + np.add.reduceat(timelines.timestamps < second, starts, dtype=np.int64)
    last = _last_target(is_target)
    validation, test = last[until_second], last[ends]
    return Split(
        is_target & _mask_before(timelines, until_first),
        until_first,
        validation[(validation >= until_first) & (validation > starts)],
        test[(test >= until_second) & (test > starts)],
    )


def _random_pairs(
    timelines: Timelines, is_target: Bool[np.ndarray, " n"], rng: np.random.Generator
) -> Split:
    """Shuffle all (history, next) pairs: 90% train, 10% are held out, a tenth of them to validate.

    Training histories contain items that are test targets elsewhere: this split leaks the future.
    """
    has_history = np.ones(len(timelines.items), bool)
    has_history[timelines.offsets[:-1]] = False
    pairs = rng.permutation(np.flatnonzero(has_history & is_target))
    held_out = pairs[: len(pairs) // 10]
    validation, test = np.split(held_out, [-(-len(held_out) // 10)])
    is_training_target = is_target.copy()
    is_training_target[held_out] = False
    return Split(is_training_target, timelines.offsets[1:], np.sort(validation), np.sort(test))


def _mask_before(timelines: Timelines, ends: Int[np.ndarray, " U"]) -> Bool[np.ndarray, " n"]:
    """Return a mask of each user's positions before an end."""
    positions = np.arange(len(timelines.items))
    return positions < np.repeat(ends, timelines.lengths)


def _last_target(is_target: Bool[np.ndarray, " n"]) -> Int[np.ndarray, " n_plus_1"]:
    """Return the last target before each position, and before the end; -1 if there is none."""
    positions = np.where(is_target, np.arange(len(is_target)), -1)
    return np.append(-1, np.maximum.accumulate(positions))
