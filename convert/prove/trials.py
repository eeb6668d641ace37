"""Trials: histories of held-out users, and all that an app may get wrong, to try a file with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from convert.inputs import as_inputs, take
from jaxrec.runs.heldout import Heldout
from jaxrec.runtime.interpreter import HISTORY, Inputs
from jaxrec.schema import PAD

INT32 = np.iinfo(np.int32)

HELD_OUT = "held out"

# How many held-out histories each mistake is tried on.
_EACH = 20

# The values of one activity, the item's id first.
Activity = tuple[int, ...]
History = list[Activity]


@dataclass(frozen=True)
class Trials:
    """Histories as a file gets them, beside what they mean.

    Attributes:
        given: any values anywhere, {input: [n, N]}.
        meant: the known activities of `given` in their order, PAD on the left, {input: [n, N]}.
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


def trials(heldout: Heldout, sizes: Mapping[str, int], *, seed: int = 0) -> Trials:
    """Give every held-out history as it is, then some of them in each way of `_mistakes`.

    Args:
        sizes: the largest id of each input.
    """
    inputs = as_inputs(heldout.history)
    count, length = inputs[HISTORY].shape
    rng = np.random.default_rng(seed)
    mistakes = _mistakes(list(sizes.values()), length)
    drawn = rng.choice(count, min(_EACH, count), replace=False)
    histories = [_activities(inputs, sizes, number) for number in drawn.tolist()]
    # Rows of N activities, each the values of all inputs.
    fill = [(PAD,) * len(sizes)] * length
    rows = [
        [*fill, *mistake(each)][-length:] for mistake in mistakes.values() for each in histories
    ]
    written = dict(zip(sizes, np.moveaxis(np.array(rows, np.int32), 2, 0), strict=True))
    given = {name: np.concatenate([inputs[name], written[name]]) for name in sizes}
    kinds = [HELD_OUT] * count + [kind for kind in mistakes for _ in drawn]
    return Trials(given, known_alone(given, sizes), kinds)


def known_alone(given: Inputs, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Move the activities with known ids to the right end, in their order; PAD before them.

    An unknown value of another feature becomes PAD where it stands.
    """
    known = {name: (rows > PAD) & (rows <= sizes[name]) for name, rows in given.items()}
    is_there = known[HISTORY]
    order = np.argsort(is_there, axis=1, kind="stable")
    return {
        name: np.take_along_axis(np.where(is_there & known[name], rows, PAD), order, axis=1)
        for name, rows in given.items()
    }


def _activities(inputs: Inputs, sizes: Mapping[str, int], number: int) -> History:
    """List the activities of one history."""
    columns = [inputs[name][number].tolist() for name in sizes]
    return [each for each in zip(*columns, strict=True) if each[0] != PAD]


def _mistakes(sizes: Sequence[int], length: int) -> dict[str, Callable[[History], History]]:
    """Name ways to write a history of at most N known activities down, in the last N places."""
    padding, unknown = ((value,) * len(sizes) for value in (PAD, sizes[0] + 1))
    largest, smallest = ((value,) * len(sizes) for value in (INT32.max, INT32.min))
    negative = ((-1,) * len(sizes), tuple(-size for size in sizes))

    def within(*strange: Activity) -> Callable[[History], History]:
        """Write strange numbers between the last known activity and those before it."""
        return lambda history: [*history[:-1], *strange, *history[-1:]]

    def strange_values(history: History) -> History:
        values = (-1, INT32.max, INT32.min, max(sizes) + 1)
        return [
            (activity[0], *(values[place % len(values)] for _ in activity[1:]))
            for place, activity in enumerate(history)
        ]

    mistakes = {
        "empty": lambda history: [],
        "one item": lambda history: history[-1:],
        "full": lambda history: history * length,
        "longer than N": lambda history: history + history[:1] * length + history,
        "padded on the right": lambda history: [*history[::-1], *[padding] * length][:length],
        "padding within": within(padding),
        "an unknown id within": within(unknown),
        "negative ids within": within(*negative),
        "the largest and the smallest number within": within(largest, smallest),
        "unknown ids alone": lambda history: [unknown, smallest, *[largest] * length][:length],
        "one item again and again": lambda history: history[-1:] * length,
        "repeated items": lambda history: [each for each in history for _ in "ab"],
    }
    if len(sizes) > 1:
        mistakes["unknown values of known items"] = strange_values
    return mistakes
