"""Histories to try a file with: those of held-out users, and all that an app may get wrong."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int32

from jaxrec.features import ITEM, PAD
from jaxrec.heldout import Heldout

INT32 = np.iinfo(np.int32)

HELD_OUT = "held out"

# How many held-out histories each mistake is tried on.
_EACH = 20


@dataclass(frozen=True)
class Trials:
    """Histories as a file gets them, beside what they mean.

    Attributes:
        given: any int32 values anywhere, [n, N].
        meant: the known ids of `given` in their order, PAD on the left, [n, N].
        kinds: what each one tries, HELD_OUT first, [n].
    """

    given: Int32[np.ndarray, "n N"]
    meant: Int32[np.ndarray, "n N"]
    kinds: list[str]

    def select(self, chosen: Bool[np.ndarray, " n"]) -> "Trials":
        """Take some of the histories."""
        kinds = [kind for kind, taken in zip(self.kinds, chosen, strict=True) if taken]
        return Trials(self.given[chosen], self.meant[chosen], kinds)

    def describe(self, row: int) -> str:
        """Name one history in an error."""
        return f"history {row} ({self.kinds[row]}): {self.given[row].tolist()}"


def trials(heldout: Heldout, vocabulary_size: int, *, seed: int = 0) -> Trials:
    """Give every held-out history as it is, then some of them in each way of `_mistakes`."""
    histories = heldout.history[ITEM]
    length = histories.shape[1]
    rng = np.random.default_rng(seed)
    mistakes = _mistakes(vocabulary_size)
    drawn = rng.choice(len(histories), min(_EACH, len(histories)), replace=False)
    rows = [
        mistake([i for i in histories[number].tolist() if i != PAD], length)
        for mistake in mistakes.values()
        for number in drawn
    ]
    given = np.concatenate([histories, np.array(rows, np.int32)])
    kinds = [HELD_OUT] * len(histories) + [kind for kind in mistakes for _ in drawn]
    return Trials(given, known_alone(given, vocabulary_size), kinds)


def known_alone(given: Int32[np.ndarray, "n N"], vocabulary_size: int) -> Int32[np.ndarray, "n N"]:
    """Move the known ids of each history to the right end, in their order; PAD for the others."""
    is_known = (given > PAD) & (given <= vocabulary_size)
    order = np.argsort(is_known, axis=1, kind="stable")
    return np.take_along_axis(np.where(is_known, given, np.int32(PAD)), order, axis=1)


def _mistakes(size: int) -> dict[str, Callable[[list[int], int], Sequence[int]]]:
    """Name ways to write a history of at most N known ids down in N numbers."""

    def left(ids: Sequence[int], length: int) -> list[int]:
        kept = list(ids)[-length:]
        return [PAD] * (length - len(kept)) + kept

    def within(strange: Sequence[int]) -> Callable[[list[int], int], Sequence[int]]:
        """Write strange numbers between the last known id and those before it."""
        return lambda ids, length: left([*ids[:-1], *strange, *ids[-1:]], length)

    return {
        "empty": lambda ids, length: [PAD] * length,
        "one item": lambda ids, length: left(ids[-1:], length),
        "full": lambda ids, length: left((ids * length)[-length:], length),
        "longer than N": lambda ids, length: left(ids + ids[:1] * length + ids, length),
        "padded on the right": lambda ids, length: left(ids, length)[::-1],
        "padding within": within([PAD]),
        "an unknown id within": within([size + 1]),
        "negative ids within": within([-1, -size]),
        "the largest and the smallest number within": within([INT32.max, INT32.min]),
        "unknown ids alone": lambda ids, length: [size + 1, INT32.min, *[INT32.max] * length][
            :length
        ],
        "one item again and again": lambda ids, length: left(ids[-1:] * length, length),
        "repeated items": lambda ids, length: left([i for i in ids for _ in "ab"], length),
    }
