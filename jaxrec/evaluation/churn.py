"""Churn: how much the lists of the same users differ between two models; NumPy alone.

The first ten items of a user's two lists are compared:

    overlap@10        the share of items that both lists have
    same_first        whether both begin with the same item
    changed_items@10  whether one list has an item that the other lacks
    changed@10        whether they differ at all, in their items or in their order

The last two count changes without a reason in the history. Where both models get the same history,
every change is one. Where each list has its own history, such as those of yesterday and today, a
user whose history changed has a reason: both are 0 then, and their means stay shares of all users.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int

from jaxrec.evaluation.metrics import bootstrap_intervals, means
from jaxrec.schema import PAD

CHURN_AT = 10

OVERLAP, SAME_FIRST = f"overlap@{CHURN_AT}", "same_first"
CHANGED_ITEMS, CHANGED = f"changed_items@{CHURN_AT}", f"changed@{CHURN_AT}"


@dataclass(frozen=True)
class Churn:
    """The churn between two models.

    Attributes:
        means: `overlap@10`, `same_first`, `changed_items@10` and `changed@10`, each 0 to 1.
        intervals: their 95% intervals, lower end first.
        users: number of users.
    """

    means: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    users: int


def compute_churn(
    before: Int[np.ndarray, "B _"],
    after: Int[np.ndarray, "B _"],
    *,
    users: Int[np.ndarray, " B"] | None = None,
    has_new_history: Bool[np.ndarray, " B"] | None = None,
) -> Churn:
    """Compute the churn between two models, with 95% bootstrap intervals over users.

    Args:
        before: as in `churn_values`.
        after: as in `churn_values`.
        users: the user of each list; None: every list has a user of its own.
        has_new_history: as in `churn_values`.

    Raises:
        ValueError: there are no lists.
    """
    if len(before) == 0:
        raise ValueError("there are no lists to compare")
    values = churn_values(before, after, has_new_history=has_new_history)
    users = np.arange(len(before)) if users is None else users
    intervals = bootstrap_intervals(values, users)
    return Churn(means(values), intervals, len(np.unique(users)))


def churn_values(
    before: Int[np.ndarray, "B _"],
    after: Int[np.ndarray, "B _"],
    *,
    has_new_history: Bool[np.ndarray, " B"] | None = None,
) -> dict[str, Float64[np.ndarray, " B"]]:
    """Compare the lists of each user; the churn of a model is the mean of these values.

    A list of fewer than ten items is compared as it is: the overlap is then the share of the
    longer of the two lists, and 1 if both are empty.

    Args:
        before: the ids of each list, best first, each once; PAD at the end of short lists. They may
            have any length.
        after: the lists of the other model for the same users, with ids of the same items; see
            `common_ids`.
        has_new_history: True for a user whose history differs between the two lists; None: all
            histories are the same.
    """
    before, after = _first_items(before), _first_items(after)
    is_common = ((before[:, :, None] == after[:, None]) & (before != PAD)[:, :, None]).any(axis=2)
    common = is_common.sum(axis=1)
    longest = np.maximum((before != PAD).sum(axis=1), (after != PAD).sum(axis=1))
    is_unexplained = np.ones(len(before), bool) if has_new_history is None else ~has_new_history
    values = {
        OVERLAP: np.where(longest > 0, common / np.maximum(longest, 1), 1.0),
        SAME_FIRST: before[:, 0] == after[:, 0],
        CHANGED_ITEMS: (common < longest) & is_unexplained,
        CHANGED: (before != after).any(axis=1) & is_unexplained,
    }
    return {name: value.astype(np.float64) for name, value in values.items()}


def common_ids(*vocabularies: Iterable[int | str]) -> list[Int[np.ndarray, " R"]]:
    """Return for each vocabulary an array from its ids to ids that all vocabularies share.

    Models of different logs number the same item differently. Raw items are compared as text.

    Args:
        vocabularies: the raw items of a model in the order of their ids, from 1.

    Returns:
        For each vocabulary the common id of each of its ids, PAD for PAD, [V + 1].
    """
    number_of: dict[str, int] = {}
    return [
        np.array([PAD, *(number_of.setdefault(str(item), len(number_of) + 1) for item in items)])
        for items in vocabularies
    ]


def _first_items(lists: Int[np.ndarray, "B _"]) -> Int[np.ndarray, "B 10"]:
    """Return the first ten items of each list, padded with PAD."""
    first = lists[:, :CHURN_AT]
    return np.pad(first, ((0, 0), (0, CHURN_AT - first.shape[1])), constant_values=PAD)
