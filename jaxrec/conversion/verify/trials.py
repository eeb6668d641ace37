"""Trials: histories of held-out users, and all that an app may get wrong, to try a file with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from jaxrec.conversion.inputs import as_inputs, take
from jaxrec.data.gaps import LONGEST
from jaxrec.runs.heldout import Heldout
from jaxrec.runtime.interpreter import HISTORY, Inputs
from jaxrec.schema import PAD, Feature

INT32 = np.iinfo(np.int32)

HELD_OUT = "held out"

# How many held-out histories each mistake is tried on.
_EACH = 20

# The values of one activity, the item's id first.
Activity = tuple[float, ...]
History = list[Activity]

# From a feature, its value and its place in a history to another value.
Change = Callable[[Feature, float, int], float]


class Told(NamedTuple):
    """What a file is told of one user.

    Attributes:
        history: the values of each activity.
        user: the values of the features of the user and the moment.
    """

    history: History
    user: Activity


@dataclass(frozen=True, eq=False)
class Trials:
    """Histories as a file gets them, beside what they mean.

    Attributes:
        given: any values anywhere, of activities [n, N] and of users [n], by input.
        meant: the known activities of `given` in their order, at the right end, and what is not
            known as the value that means so; by input.
        kinds: what each one tries, HELD_OUT first, [n].
    """

    given: Inputs
    meant: Inputs
    kinds: list[str]

    def __len__(self) -> int:
        return len(self.kinds)

    def select(self, chosen: Bool[np.ndarray, " n"]) -> "Trials":
        """Take some of the histories."""
        kinds = [kind for kind, taken in zip(self.kinds, chosen, strict=True) if taken]
        return Trials(take(self.given, chosen), take(self.meant, chosen), kinds)

    def describe(self, row: int) -> str:
        """Name one history in an error."""
        values = {name: rows[row].tolist() for name, rows in self.given.items()}
        told = values[HISTORY] if len(values) == 1 else values
        return f"history {row} ({self.kinds[row]}): {told}"


def trials(
    heldout: Heldout, size: int, features: Sequence[Feature] = (), *, seed: int = 0
) -> Trials:
    """Give every held-out history as it is, then some of them in each way of `_mistakes`.

    Args:
        size: the largest id of an item.
        features: of activities and users.
    """
    inputs = as_inputs(heldout.history)
    count, length = inputs[HISTORY].shape
    rng = np.random.default_rng(seed)
    of_activities = [each for each in features if each.of == "activity"]
    of_users = [each for each in features if each.of != "activity"]
    mistakes = _mistakes(size, of_activities, of_users, length)
    drawn = rng.choice(count, min(_EACH, count), replace=False)
    names = [HISTORY, *(each.name for each in of_activities)]
    user_names = [each.name for each in of_users]
    told = [_told(inputs, names, user_names, number) for number in drawn.tolist()]
    wrong = [mistake(each) for mistake in mistakes.values() for each in told]

    # Rows of N activities, each the values of all inputs.
    fill = [(PAD, *(each.unknown for each in of_activities))] * length
    rows = [[*fill, *history][-length:] for history, _ in wrong]
    written = {
        name: [[activity[place] for activity in row] for row in rows]
        for place, name in enumerate(names)
    }
    written |= {name: [user[place] for _, user in wrong] for place, name in enumerate(user_names)}
    given = {
        name: np.concatenate([inputs[name], np.array(values, inputs[name].dtype)])
        for name, values in written.items()
    }
    kinds = [HELD_OUT] * count + [kind for kind in mistakes for _ in drawn]
    return Trials(given, known_alone(given, size, features), kinds)


def known_alone(
    given: Inputs, size: int, features: Sequence[Feature] = ()
) -> dict[str, np.ndarray]:
    """Move the activities with known items to the right end, in their order; PAD before them.

    What is not known of a feature becomes the value that means so where it stands.
    """
    items = given[HISTORY]
    is_there = (items > PAD) & (items <= size)
    order = np.argsort(is_there, axis=1, kind="stable")
    meant = {HISTORY: np.take_along_axis(np.where(is_there, items, PAD), order, axis=1)}
    for feature in features:
        values = given[feature.name]
        is_known = _is_known(feature, values)
        if feature.of == "activity":
            is_known &= is_there
        values = np.where(is_known, values, np.array(feature.unknown, values.dtype))
        if feature.of == "activity":
            values = np.take_along_axis(values, order, axis=1)
        meant[feature.name] = values
    return meant


def _is_known(feature: Feature, values: np.ndarray) -> Bool[np.ndarray, "*shape"]:
    if feature.kind == "number":
        return np.isfinite(values)
    if feature.kind == "age":
        return (values >= 0) & (values < LONGEST)
    return (values > 0) & (values <= feature.size)


def _told(inputs: Inputs, names: Sequence[str], user_names: Sequence[str], number: int) -> Told:
    """Give what is known of one user."""
    columns = [inputs[name][number].tolist() for name in names]
    history = [each for each in zip(*columns, strict=True) if each[0] != PAD]
    return Told(history, tuple(inputs[name][number].item() for name in user_names))


def _mistakes(
    size: int, of_activities: Sequence[Feature], of_users: Sequence[Feature], length: int
) -> dict[str, Callable[[Told], Told]]:
    """Name ways to write a history of at most N known activities down, in the last N places."""
    padding = (PAD, *(each.unknown for each in of_activities))
    unknown = (size + 1, *(_unlike_all(each)[-1] for each in of_activities))
    negative, negative_size, largest, smallest = (
        (item, *(_as_integer(each, item) for each in of_activities))
        for item in (-1, -size, INT32.max, INT32.min)
    )

    def within(*strange: Activity) -> Callable[[History], History]:
        """Write strange numbers between the last known activity and those before it."""
        return lambda history: [*history[:-1], *strange, *history[-1:]]

    of_histories: dict[str, Callable[[History], History]] = {
        "empty": lambda history: [],
        "one item": lambda history: history[-1:],
        "full": lambda history: history * length,
        "longer than N": lambda history: history + history[:1] * length + history,
        "padded on the right": lambda history: [*history[::-1], *[padding] * length][:length],
        "padding within": within(padding),
        "an unknown id within": within(unknown),
        "negative ids within": within(negative, negative_size),
        "the largest and the smallest number within": within(largest, smallest),
        "unknown ids alone": lambda history: [unknown, smallest, *[largest] * length][:length],
        "one item again and again": lambda history: history[-1:] * length,
        "repeated items": lambda history: [each for each in history for _ in "ab"],
    }
    mistakes: dict[str, Callable[[Told], Told]] = {
        kind: lambda told, mistake=mistake: Told(mistake(told.history), told.user)
        for kind, mistake in of_histories.items()
    }
    if not of_activities and not of_users:
        return mistakes

    def with_values(change: Change) -> Callable[[Told], Told]:
        """Change each value of every feature."""

        def changed(features: Sequence[Feature], values: Activity, place: int) -> Activity:
            pairs = zip(features, values, strict=True)
            return tuple(change(feature, value, place) for feature, value in pairs)

        def mistake(told: Told) -> Told:
            history = [
                (item, *changed(of_activities, tuple(values), place))
                for place, (item, *values) in enumerate(told.history)
            ]
            return Told(history, changed(of_users, told.user, len(history)))

        return mistake

    return mistakes | {
        "unknown values of known items": with_values(_strange),
        "unknown values here and there": with_values(
            lambda feature, value, place: _strange(feature, value, place) if place % 2 else value
        ),
        "nothing known but the items": with_values(lambda feature, value, place: feature.unknown),
        "years ago": with_values(_years_ago),
    }


def _strange(feature: Feature, value: float, place: int) -> float:
    del value
    values = _unlike_all(feature)
    return values[place // 2 % len(values)]


def _years_ago(feature: Feature, value: float, place: int) -> float:
    del place
    return min(value + 300_000_000, LONGEST - 1) if feature.kind == "age" else value


def _unlike_all(feature: Feature) -> tuple[float, ...]:
    """Give values that no known one is like."""
    if feature.kind == "number":
        return (np.nan, np.inf, -np.inf)
    if feature.kind == "age":
        return (-1, INT32.min, INT32.max, LONGEST)
    return (-1, INT32.max, INT32.min, feature.size + 1)


def _as_integer(feature: Feature, value: int) -> float:
    """Give a value that is no item's as one of a feature."""
    return np.nan if feature.kind == "number" else value
