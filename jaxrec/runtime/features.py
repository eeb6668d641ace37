"""Features: what a model takes beside the items, and the encoding of a caller's values."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, SupportsFloat

from jaxrec.errors import UserError
from jaxrec.runtime.item_index import as_list, format_value

Value = str | SupportsFloat | None
"""A raw value of an application: one of the log's values, or a number; None: it is unknown."""

Features = Mapping[str, Value | Sequence[Value]]
"""Values by the name of a feature: one for each item of the history, in the same order, for a
feature of activities; a single one for a feature of the user or of the moment."""

# The inputs for an unknown id and for an unknown age; any negative age is unknown.
_NO_VALUE, _NO_AGE = 0, -1

# Numbers beyond this magnitude may overflow float32, so they count as unknown.
_MAX_NUMBER = 1e38

_MAX_INT32 = (1 << 31) - 1


@dataclass(frozen=True)
class InputFeature:
    """A feature that a model takes beside the items.

    Attributes:
        name: the name of the feature, as in `Features`.
        of: its owner: each activity of the history, the user, or the moment of the call. Features
            of the moment are `hour`, from 0, and `weekday`, 1 for Monday, in the user's time zone.
        kind: `id`: one of `values`; `number`; or `age`: the seconds from an activity to now.
        values: for kind `id`, all known values, as in the log; for `number`, the edges between the
            buckets of numbers that the model does not distinguish.
    """

    name: str
    of: Literal["activity", "user", "moment"]
    kind: Literal["id", "number", "age"]
    values: tuple[str | int | float, ...] = ()
    # Built at once: the lock of a cached_property may be held when a server forks.
    _ids: dict[object, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ids = {value: i for i, value in enumerate(self.values, start=1)}
        object.__setattr__(self, "_ids", ids)

    @property
    def unknown(self) -> float:
        """The input for an unknown value."""
        return {"number": math.nan, "age": _NO_AGE}.get(self.kind, _NO_VALUE)

    def encode_value(self, value: object) -> float:
        """Return the input for a value.

        None, NaN, a value that is not one of `values`, an age below zero, and a number too large
        for the file are unknown.

        Raises:
            UserError: if a number or an age is expected, and the value is not a number; or if it is
                a collection.
        """
        if self.kind == "id":
            try:
                return self._ids.get(value, _NO_VALUE)
            except TypeError:  # a value without a hash, such as a list
                raise UserError(
                    f"the value {format_value(value)} of {self.name!r} is a collection; give one "
                    "value, or None if it is unknown"
                ) from None
        if value is None:
            return self.unknown
        number = self._as_number(value)
        if not abs(number) <= _MAX_NUMBER:
            return self.unknown
        # Rounded down, so that an activity less than a second in the future has a negative age.
        return number if self.kind == "number" else _clip_age(math.floor(number))

    def _as_number(self, value: Any) -> float:
        what = "a number" if self.kind == "number" else "a number of seconds"
        mistake = UserError(
            f"the value {format_value(value)} of {self.name!r} is not a number; give {what}, or "
            "None if it is unknown"
        )
        if isinstance(value, str | bytes):
            raise mistake
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError):
            raise mistake from None


def input_features(model: Mapping[str, Any]) -> tuple[InputFeature, ...]:
    """Return the features in model.json; a file older than features has none."""
    return tuple(
        InputFeature(each["name"], each["of"], each["kind"], tuple(each["values"]))
        for each in model.get("features", ())
    )


def encode_features(
    taken: Sequence[InputFeature], given: Features, count: int, what: str
) -> dict[str, float | list[float]]:
    """Return the inputs for the features of a history; missing features are unknown.

    Args:
        count: the number of items of the history.
        what: the name of the items in messages, in the plural.

    Raises:
        UserError: if the model does not take a feature, or a feature has the wrong number or kind
            of values.
    """
    others = [name for name in given if name not in {each.name for each in taken}]
    if others:
        names = ", ".join(each.name for each in taken) or "none"
        raise UserError(f"the model has no feature {others[0]!r}; it has {names}")
    found: dict[str, float | list[float]] = {}
    for each in taken:
        if each.of != "activity":
            found[each.name] = each.encode_value(_require_single(each, given.get(each.name)))
        elif each.name in given:
            values = _require_per_item(each.name, given[each.name], count, what)
            found[each.name] = [each.encode_value(value) for value in values]
        else:
            found[each.name] = [each.unknown] * count
    return found


def _require_single(feature: InputFeature, value: object) -> object:
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        raise UserError(
            f"{feature.name!r}, a feature of the {feature.of}, is {format_value(value)}; give one "
            "value"
        )
    return value


def _require_per_item(name: str, given: object, count: int, what: str) -> list[Any]:
    values = as_list(given, f"values of {name!r}")
    if len(values) != count:
        raise UserError(f"{len(values)} values of {name!r} for {count} {what}; give one for each")
    return values


def _clip_age(seconds: int) -> int:
    return min(max(seconds, _NO_AGE), _MAX_INT32)
