"""Splits: which positions are training targets, validation and test. Each has its own name.

The three answer different questions and their figures must never stand in one column:

- leave-one-out: what does a user do next, the future of other users being known? The protocol of
  most papers.
- temporal: what do users do after a day T, from nothing later than T? Closest to an app.
- random-pairs: the protocol of the 2020 TensorFlow Lite system. Training sees the future of the
  user whom it is tested on, so its figures are comparable with nothing else.

Where a log has several kinds of events, some kinds may be the only targets. Histories hold all that
came before a target, of every kind.
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
    """The parts of a log.

    Attributes:
        is_training_target: positions whose item the model may learn to predict, [n].
        training_ends: user u's training history ends before this position, [U].
        validation: positions of the targets that choose settings and stop training.
        test: positions of the targets that are reported, read once.
    """

    is_training_target: Bool[np.ndarray, " n"]
    training_ends: Int[np.ndarray, " U"]
    validation: Int[np.ndarray, " n_validation"]
    test: Int[np.ndarray, " n_test"]


def split_timelines(
    timelines: Timelines,
    name: SplitName,
    *,
    seed: int,
    is_target: Bool[np.ndarray, " n"] | None = None,
) -> Split:
    """Split by the named protocol; `seed` shuffles the random pairs.

    Args:
        is_target: which activities may be targets of any part; None: all.

    Raises:
        UserError: nothing is left to train on, to validate or to test.
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


def draw_users(
    timelines: Timelines, split: Split, *, seed: int, validation: int | None, test: int | None
) -> Split:
    """Judge by the targets of some users alone; nobody else's are learned for that.

    Args:
        validation: users who are drawn for the validation; None, or more than there are: all.
        test: the same for the test.
    """

    def of_some(positions: Int[np.ndarray, " n"], count: int | None) -> Int[np.ndarray, " m"]:
        owners = timelines.users_of(positions)
        users = np.unique(owners)
        if count is None or count >= len(users):
            return positions
        rng = np.random.default_rng(seed)
        return positions[np.isin(owners, rng.choice(users, count, replace=False))]

    return replace(
        split,
        validation=of_some(split.validation, validation),
        test=of_some(split.test, test),
    )


def learn_validation(
    timelines: Timelines, split: Split, is_target: Bool[np.ndarray, " n"] | None = None
) -> Split:
    """Let training reach to the validation targets: for a last fit, when they have done their work.

    They are still named, but what a model says of them is no measure any more.

    Args:
        is_target: as for `split_timelines`.
    """
    ends = split.training_ends.copy()
    users = timelines.users_of(split.validation)
    np.maximum.at(ends, users, split.validation + 1)
    newly = _before(timelines, ends) & ~_before(timelines, split.training_ends)
    if is_target is not None:
        newly &= is_target
    is_training_target = split.is_training_target | newly
    is_training_target[split.validation] = True
    return Split(is_training_target, ends, split.validation, split.test)


def _leave_one_out(timelines: Timelines, is_target: Bool[np.ndarray, " n"]) -> Split:
    """Hold out the last two targets of each user who has three or more.

    What came between the two, of other kinds, is in the history of the test alone.
    """
    starts, ends = timelines.offsets[:-1], timelines.offsets[1:]
    tested = np.add.reduceat(is_target, starts, dtype=np.int64) >= 3
    last = _last_target(is_target)
    test = last[ends[tested]]
    validation = last[test]
    training_ends = ends.copy()
    training_ends[tested] = validation
    return Split(is_target & _before(timelines, training_ends), training_ends, validation, test)


def _temporal(
    timelines: Timelines,
    is_target: Bool[np.ndarray, " n"],
    cuts: tuple[float, float] = (0.8, 0.9),
) -> Split:
    """Cut at two moments, the quantiles `cuts` of all interactions: the same for everybody.

    Each user's last target between the cuts is for validation, each user's last target after the
    second for the test ("last" of the global temporal splits in Gusak et al., 2025,
    Time to Split); both need at least one activity before them. Histories run up to the target,
    as they do on a device; the model has learned nothing from beyond the first cut.
    """
    starts, ends = timelines.offsets[:-1], timelines.offsets[1:]
    first, second = np.quantile(timelines.timestamps, cuts, method="higher")
    # Times never fall within a user, so a user's part before a cut is as long as it has rows there.
    until_first = starts + np.add.reduceat(timelines.timestamps < first, starts, dtype=np.int64)
    until_second = starts + np.add.reduceat(timelines.timestamps < second, starts, dtype=np.int64)
    last = _last_target(is_target)
    validation, test = last[until_second], last[ends]
    return Split(
        is_target & _before(timelines, until_first),
        until_first,
        validation[(validation >= until_first) & (validation > starts)],
        test[(test >= until_second) & (test > starts)],
    )


def _random_pairs(
    timelines: Timelines, is_target: Bool[np.ndarray, " n"], rng: np.random.Generator
) -> Split:
    """Shuffle all (history, next) pairs: 90% train, 10% are held out, a tenth of them to validate.

    Training histories hold items that are tested elsewhere: this split leaks the future.
    """
    has_history = np.ones(len(timelines.items), bool)
    has_history[timelines.offsets[:-1]] = False
    pairs = rng.permutation(np.flatnonzero(has_history & is_target))
    held_out = pairs[: len(pairs) // 10]
    validation, test = np.split(held_out, [-(-len(held_out) // 10)])
    is_training_target = is_target.copy()
    is_training_target[held_out] = False
    return Split(is_training_target, timelines.offsets[1:], np.sort(validation), np.sort(test))


def _before(timelines: Timelines, ends: Int[np.ndarray, " U"]) -> Bool[np.ndarray, " n"]:
    """Mark each user's positions before an end."""
    positions = np.arange(len(timelines.items))
    return positions < np.repeat(ends, timelines.lengths)


def _last_target(is_target: Bool[np.ndarray, " n"]) -> Int[np.ndarray, " n_plus_1"]:
    """Give the last target before each position, and before the end; -1 where there is none."""
    positions = np.where(is_target, np.arange(len(is_target)), -1)
    return np.append(-1, np.maximum.accumulate(positions))
