"""Trials: histories of held-out users, as they are and with the mistakes that an app may make."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from jaxrec.conversion.inputs import as_inputs, take_rows
from jaxrec.data.gaps import MAX_GAP
from jaxrec.runs.heldout import Heldout
from jaxrec.runtime.interpreter import HISTORY, Inputs
from jaxrec.schema import PAD, Feature

INT32 = np.iinfo(np.int32)

HELD_OUT = "held out"

# Held-out histories per mistake.
_HISTORIES_PER_MISTAKE = 20

# The values of one activity, the item id first.
Activity = tuple[float, ...]
History = list[Activity]

# Maps a feature, its value and its position in a history to another value.
Change = Callable[[Feature, float, int], float]


class UserInputs(NamedTuple):
    """The inputs of a file for one user.

    Attributes:
        history: values of each activity.
        user: values of the context features, of the user and the moment.
    """

    history: History
    user: Activity


@dataclass(frozen=True, eq=False)
class Trials:
    """Histories as a file gets them, with their canonical form.

    Attributes:
        inputs: by input, any values at any position, of activities [n, N] and of users [n].
        canonical: by input, the known activities of `inputs` in their order, at the right end, with
            unknown values replaced by the value that stands for unknown.
        kinds: the mistake in each history, HELD_OUT for none; these come first, [n].
    """

    inputs: Inputs
    canonical: Inputs
    kinds: list[str]

    def __len__(self) -> int:
        return len(self.kinds)

    def select(self, chosen: Bool[np.ndarray, " n"]) -> "Trials":
        """Return the trials of the chosen histories."""
        kinds = [kind for kind, taken in zip(self.kinds, chosen, strict=True) if taken]
        return Trials(take_rows(self.inputs, chosen), take_rows(self.canonical, chosen), kinds)

    def describe(self, row: int) -> str:
        """Format one history for an error message."""
        values = {name: rows[row].tolist() for name, rows in self.inputs.items()}
        inputs = values[HISTORY] if len(values) == 1 else values
        return f"history {row} ({self.kinds[row]}): {inputs}"


def build_trials(
    heldout: Heldout, size: int, features: Sequence[Feature] = (), *, seed: int = 0
) -> Trials:
    """Build trials of all held-out histories as they are, then of some with each mistake.

    Args:
        size: the largest item id.
        features: features of activities, users and moments.
    """
    heldout_inputs = as_inputs(heldout.history)
    count, length = heldout_inputs[HISTORY].shape
    rng = np.random.default_rng(seed)
    of_activities = [each for each in features if each.of == "activity"]
    of_users = [each for each in features if each.of != "activity"]
    mistakes = _mistakes(size, of_activities, of_users, length)
    drawn = rng.choice(count, min(_HISTORIES_PER_MISTAKE, count), replace=False)
    names = [HISTORY, *(each.name for each in of_activities)]
    user_names = [each.name for each in of_users]
    users = [
        _read_user_inputs(heldout_inputs, names, user_names, number) for number in drawn.tolist()
    ]
    wrong = [mistake(each) for mistake in mistakes.values() for each in users]

    # Rows of N activities, each with the values of all inputs.
    padding = [(PAD, *(each.unknown for each in of_activities))] * length
    rows = [[*padding, *history][-length:] for history, _ in wrong]
    columns = {
        name: [[activity[index] for activity in row] for row in rows]
        for index, name in enumerate(names)
    }
    columns |= {name: [user[index] for _, user in wrong] for index, name in enumerate(user_names)}
    inputs = {
        name: np.concatenate([heldout_inputs[name], np.array(values, heldout_inputs[name].dtype)])
        for name, values in columns.items()
    }
    kinds = [HELD_OUT] * count + [kind for kind in mistakes for _ in drawn]
    return Trials(inputs, canonicalize(inputs, size, features), kinds)


def canonicalize(
    inputs: Inputs, size: int, features: Sequence[Feature] = ()
) -> dict[str, np.ndarray]:
    """Move the activities with known items to the right end, in their order, after padding.

    Unknown values of a feature become the value that stands for unknown.
    """
    items = inputs[HISTORY]
    is_item = (items > PAD) & (items <= size)
    order = np.argsort(is_item, axis=1, kind="stable")
    canonical = {HISTORY: np.take_along_axis(np.where(is_item, items, PAD), order, axis=1)}
    for feature in features:
        values = inputs[feature.name]
        is_known = _is_known(feature, values)
        if feature.of == "activity":
            is_known &= is_item
        values = np.where(is_known, values, np.array(feature.unknown, values.dtype))
        if feature.of == "activity":
            values = np.take_along_axis(values, order, axis=1)
        canonical[feature.name] = values
    return canonical


def _is_known(feature: Feature, values: np.ndarray) -> Bool[np.ndarray, "*shape"]:
    if feature.kind == "number":
        return np.isfinite(values)
    if feature.kind == "age":
        return (values >= 0) & (values < MAX_GAP)
    return (values > 0) & (values <= feature.size)


def _read_user_inputs(
    inputs: Inputs, names: Sequence[str], user_names: Sequence[str], number: int
) -> UserInputs:
    """Read the known activities and the context features of one user."""
    columns = [inputs[name][number].tolist() for name in names]
    history = [each for each in zip(*columns, strict=True) if each[0] != PAD]
    return UserInputs(history, tuple(inputs[name][number].item() for name in user_names))


def _mistakes(
    size: int, of_activities: Sequence[Feature], of_users: Sequence[Feature], length: int
) -> dict[str, Callable[[UserInputs], UserInputs]]:
    """Return functions by name that add a mistake to a history of at most N known activities."""
    padding = (PAD, *(each.unknown for each in of_activities))
    unknown = (size + 1, *(_unknown_values(each)[-1] for each in of_activities))
    negative, negative_size, largest, smallest = (
        (item, *(_as_integer(each, item) for each in of_activities))
        for item in (-1, -size, INT32.max, INT32.min)
    )

    def within(*strange: Activity) -> Callable[[History], History]:
        """Return a function that inserts invalid activities before the last known one."""
        return lambda history: [*history[:-1], *strange, *history[-1:]]

    of_histories: dict[str, Callable[[History], History]] = {
        "empty": lambda history: [],
        "one item": lambda history: history[-1:],
        "full": lambda history: history * length,
        "longer than N": lambda history: history + history[:1] * length + history,
        "padded on the right": lambda history: [*history[::-1], *[padding] * length][:length],
        "padding inside": within(padding),
        "an unknown id inside": within(unknown),
        "negative ids inside": within(negative, negative_size),
        "the largest and the smallest integer inside": within(largest, smallest),
        "only unknown ids": lambda history: [unknown, smallest, *[largest] * length][:length],
        "only one item": lambda history: history[-1:] * length,
        "repeated items": lambda history: [each for each in history for _ in "ab"],
    }
    mistakes: dict[str, Callable[[UserInputs], UserInputs]] = {
        kind: lambda inputs, mistake=mistake: UserInputs(mistake(inputs.history), inputs.user)
        for kind, mistake in of_histories.items()
    }
    if not of_activities and not of_users:
        return mistakes

    def with_values(change: Change) -> Callable[[UserInputs], UserInputs]:
        """Return a mistake that changes every value of every feature."""

        def changed(features: Sequence[Feature], values: Activity, place: int) -> Activity:
            pairs = zip(features, values, strict=True)
            return tuple(change(feature, value, place) for feature, value in pairs)

        def mistake(inputs: UserInputs) -> UserInputs:
            history = [
                (item, *changed(of_activities, tuple(values), place))
                for place, (item, *values) in enumerate(inputs.history)
            ]
            return UserInputs(history, changed(of_users, inputs.user, len(history)))

        return mistake

    return mistakes | {
        "unknown feature values": with_values(_corrupt),
        "some unknown feature values": with_values(
            lambda feature, value, place: _corrupt(feature, value, place) if place % 2 else value
        ),
        "no feature values": with_values(lambda feature, value, place: feature.unknown),
        "ages of many years": with_values(_years_ago),
    }


def _corrupt(feature: Feature, value: float, place: int) -> float:
    del value
    values = _unknown_values(feature)
    return values[place // 2 % len(values)]


def _years_ago(feature: Feature, value: float, place: int) -> float:
    del place
    return min(value + 300_000_000, MAX_GAP - 1) if feature.kind == "age" else value


def _unknown_values(feature: Feature) -> tuple[float, ...]:
    """Return values that a file has to treat as unknown."""
    if feature.kind == "number":
        return (np.nan, np.inf, -np.inf)
    if feature.kind == "age":
        return (-1, INT32.min, INT32.max, MAX_GAP)
    return (-1, INT32.max, INT32.min, feature.size + 1)


def _as_integer(feature: Feature, value: int) -> float:
    """Return an invalid item id as a value of a feature."""
    return np.nan if feature.kind == "number" else value
