"""Features: what a model takes beside the items, and what a caller's values are to its file."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, SupportsFloat

from jaxrec.errors import UserError
from jaxrec.runtime.known import listed, shown

Value = str | SupportsFloat | None
"""As an app has it: one of the log's values, or a number; None: it is not known."""

Features = Mapping[str, Value | Sequence[Value]]
"""What is known beside the items, by the name of each feature: of activities one value for each
item of the history, in the same order; of the user and of the moment one value."""

# An id of no value, and any number below zero, as a file takes them.
_NO_VALUE, _NO_AGE = 0, -1

# What is further from zero is no float32, and unknown to a file.
_LARGEST = 1e38

_LAST_INT32 = (1 << 31) - 1


@dataclass(frozen=True)
class TakenFeature:
    """What a model takes beside the items.

    Attributes:
        name: by which it is given.
        of: what has it: each activity of the history, the user, or the moment of the call: its
            `hour`, from 0, and `weekday`, 1 being Monday, where the user is.
        kind: one of `values`, a number, or an age: the seconds from an activity to now.
        values: of kind `id`, all that the model knows, as the log has them; of a number the edges
            between those that are alike to the model.
    """

    name: str
    of: Literal["activity", "user", "moment"]
    kind: Literal["id", "number", "age"]
    values: tuple[str | int | float, ...] = ()

    @property
    def unknown(self) -> float:
        """What the file takes for a value that is not known."""
        return {"number": math.nan, "age": _NO_AGE}.get(self.kind, _NO_VALUE)

    def number_of(self, value: object) -> float:
        """Give what the file takes for a value.

        Unknown are None, NaN, a value that is not one of `values`, an age below zero, and what is
        too large for the file.

        Raises:
            UserError: it should be a number or an age, and is none.
        """
        if self.kind == "id":
            return self._ids.get(value, _NO_VALUE)
        if value is None:
            return self.unknown
        number = self._as_number(value)
        if not abs(number) <= _LARGEST:
            return self.unknown
        # Cut to whole seconds; what is less than a second ahead of now is no age either.
        return number if self.kind == "number" else _within_int32(math.floor(number))

    @cached_property
    def _ids(self) -> dict[object, int]:
        return {value: i for i, value in enumerate(self.values, start=1)}

    def _as_number(self, value: Any) -> float:
        what = "a number" if self.kind == "number" else "seconds, a number"
        mistake = UserError(
            f"the value {shown(value)} of {self.name!r} is no number; give {what}, or None where "
            "it is not known"
        )
        if isinstance(value, str | bytes):
            raise mistake
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError):
            raise mistake from None


def taken_features(model: Mapping[str, Any]) -> tuple[TakenFeature, ...]:
    """Read from model.json what a model takes; a file of before there were features takes none."""
    return tuple(
        TakenFeature(each["name"], each["of"], each["kind"], tuple(each["values"]))
        for each in model.get("features", ())
    )


def numbers_of(
    taken: Sequence[TakenFeature], given: Features, count: int, what: str
) -> dict[str, float | list[float]]:
    """Give what the file takes for the features of a history; those that are missing are unknown.

    Args:
        count: of its items.
        what: the items in an error, in the plural.

    Raises:
        UserError: the model takes no such feature, or not so many values of it, or not of this
            kind.
    """
    others = [name for name in given if name not in {each.name for each in taken}]
    if others:
        names = ", ".join(each.name for each in taken) or "none"
        raise UserError(f"the model takes no feature {others[0]!r}; it takes {names}")
    found: dict[str, float | list[float]] = {}
    for each in taken:
        if each.of != "activity":
            found[each.name] = each.number_of(_one(each, given.get(each.name)))
        elif each.name in given:
            values = _one_each(each.name, given[each.name], count, what)
            found[each.name] = [each.number_of(value) for value in values]
        else:
            found[each.name] = [each.unknown] * count
    return found


def _one(feature: TakenFeature, value: object) -> object:
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        raise UserError(
            f"{feature.name!r} is of the {feature.of}, and is {shown(value)}; give one value"
        )
    return value


def _one_each(name: str, given: object, count: int, what: str) -> list[Any]:
    values = listed(given, f"values of {name!r}")
    if len(values) != count:
        raise UserError(f"{len(values)} values of {name!r} for {count} {what}; give one for each")
    return values


def _within_int32(seconds: int) -> int:
    return min(max(seconds, _NO_AGE), _LAST_INT32)
