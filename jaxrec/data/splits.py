"""Splits: which positions are training targets, validation and test. Each has its own name.

The three answer different questions and their figures must never stand in one column:

- leave-one-out: what does a user do next, the future of other users being known? The protocol of
  most papers.
- temporal: what do users do after a day T, from nothing later than T? Closest to an app.
- random-pairs: the protocol of the 2020 TensorFlow Lite system. Training sees the future of the
  user whom it is tested on, so its figures are comparable with nothing else.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from jaxrec.config import SplitName
from jaxrec.data.timelines import Timelines
from jaxrec.errors import UserError


@dataclass(frozen=True)
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


def split_timelines(timelines: Timelines, name: SplitName, *, seed: int) -> Split:
    """Split by the named protocol; `seed` shuffles the random pairs.

    Raises:
        UserError: nothing is left to train on, to validate or to test.
    """
    if name == "leave-one-out":
        split = _leave_one_out(timelines)
    elif name == "temporal":
        split = _temporal(timelines)
    elif name == "random-pairs":
        split = _random_pairs(timelines, np.random.default_rng(seed))
    parts = (split.is_training_target.sum(), len(split.validation), len(split.test))
    if min(parts) == 0:
        raise UserError(
            f"no user with enough interactions: the {name} split of {len(timelines.lengths):,} "
            f"users leaves {parts[0]:,} targets for training, {parts[1]:,} for validation and "
            f"{parts[2]:,} for the test; give a longer log or another --split"
        )
    return split


def learn_validation(timelines: Timelines, split: Split) -> Split:
    """Let training reach to the validation targets: for a last fit, when they have done their work.

    They are still named, but what a model says of them is no measure any more.
    """
    ends = split.training_ends.copy()
    users = timelines.users_of(split.validation)
    np.maximum.at(ends, users, split.validation + 1)
    newly = _before(timelines, ends) & ~_before(timelines, split.training_ends)
    is_target = split.is_training_target | newly
    is_target[split.validation] = True
    return Split(is_target, ends, split.validation, split.test)


def _leave_one_out(timelines: Timelines) -> Split:
    """Hold out the last two items of each user who has three or more."""
    ends = timelines.offsets[1:]
    tested = timelines.lengths >= 3
    training_ends = np.where(tested, ends - 2, ends)
    is_target = _before(timelines, training_ends)
    return Split(is_target, training_ends, ends[tested] - 2, ends[tested] - 1)


def _temporal(timelines: Timelines, cuts: tuple[float, float] = (0.8, 0.9)) -> Split:
    """Cut at two moments, the quantiles `cuts` of all interactions: the same for everybody.

    Each user's last activity between the cuts is a validation target, each user's last activity
    after the second a test target ("last" of the global temporal splits in Gusak et al., 2025,
    Time to Split); both need at least one activity before them. Histories run up to the target,
    as they do on a device; the model has learned nothing from beyond the first cut.
    """
    starts, ends = timelines.offsets[:-1], timelines.offsets[1:]
    first, second = np.quantile(timelines.timestamps, cuts, method="higher")
    # Times never fall within a user, so a user's part before a cut is as long as it has rows there.
    until_first = starts + np.add.reduceat(timelines.timestamps < first, starts, dtype=np.int64)
    until_second = starts + np.add.reduceat(timelines.timestamps < second, starts, dtype=np.int64)
    validation = until_second - 1
    test = ends - 1
    return Split(
        _before(timelines, until_first),
        until_first,
        validation[(until_second > until_first) & (validation > starts)],
        test[(ends > until_second) & (test > starts)],
    )


def _random_pairs(timelines: Timelines, rng: np.random.Generator) -> Split:
    """Shuffle all (history, next) pairs: 90% train, 10% are held out, a tenth of them to validate.

    Training histories hold items that are tested elsewhere: this split leaks the future.
    """
    positions = np.arange(len(timelines.items))
    pairs = rng.permutation(np.delete(positions, timelines.offsets[:-1]))
    held_out = pairs[: len(pairs) // 10]
    validation, test = np.split(held_out, [-(-len(held_out) // 10)])
    is_training_target = ~np.isin(positions, held_out)
    return Split(is_training_target, timelines.offsets[1:], np.sort(validation), np.sort(test))


def _before(timelines: Timelines, ends: Int[np.ndarray, " U"]) -> Bool[np.ndarray, " n"]:
    """Mark each user's positions before an end."""
    positions = np.arange(len(timelines.items))
    return positions < np.repeat(ends, timelines.lengths)
