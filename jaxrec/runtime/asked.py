"""Asked: a caller's histories as the file takes them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from jaxrec.errors import UserError
from jaxrec.runtime.best import Closed
from jaxrec.runtime.interpreter import HISTORY, Port
from jaxrec.runtime.known import NO_ITEM

Features = Mapping[str, Sequence[float]]
"""What a model takes of each activity beside its item, by name, in the order of the items."""


Value = TypeVar("Value")


class Asked(NamedTuple):
    """One history, and what goes with it.

    Attributes:
        ids: of all its items, NO_ITEM for those that the model does not know.
        features: a value for each of its items, by name.
        exclude: ids that are left out of its list, beside its own.
    """

    ids: Sequence[int]
    features: Features
    exclude: Sequence[int]


def require_features(features: Features, ports: Mapping[str, Port], count: int, what: str) -> None:
    """Refuse features that the model does not take, or that are not one for each item.

    Args:
        count: of the items.
        what: the items in an error, in the plural.

    Raises:
        UserError: they are not those of the model.
    """
    for name, values in features.items():
        if name not in ports or name == HISTORY:
            known = ", ".join(name for name in ports if name != HISTORY) or "none"
            raise UserError(f"the model takes no feature {name!r}; it takes {known}")
        if len(values) != count:
            raise UserError(
                f"{len(values)} values of {name!r} for {count} {what}; give one for each"
            )


def one_each(
    name: str, values: Iterable[Value] | None, missing: Value, count: int
) -> Sequence[Value]:
    """Give one value for each of some histories, `missing` to all if there is none.

    Raises:
        UserError: they are not as many.
    """
    if values is None:
        return [missing] * count
    values = list(values)
    if len(values) != count:
        raise UserError(f"{name} has {len(values)} entries for {count} histories; give one each")
    return values


def fill(ports: Mapping[str, Port], asked: Sequence[Asked]) -> dict[str, np.ndarray]:
    """Write the last N known activities of each history at the right end of each input."""
    inputs = {
        name: np.zeros((len(asked), port.shape[1]), port.dtype) for name, port in ports.items()
    }
    length = ports[HISTORY].shape[1]
    for row, (ids, features, _) in enumerate(asked):
        known = [place for place, number in enumerate(ids) if number != NO_ITEM][-length:]
        for name, values in {**features, HISTORY: ids}.items():
            inputs[name][row, length - len(known) :] = [values[place] for place in known]
    return inputs


def close(asked: Sequence[Asked], catalogue_size: int, *, keep_seen: bool) -> Closed:
    """Leave out of each list what is excluded and, but for `keep_seen`, its whole history."""
    closed = np.zeros((len(asked), catalogue_size + 1), bool)
    for row, (ids, _, exclude) in enumerate(asked):
        closed[row, [NO_ITEM, *exclude, *([] if keep_seen else ids)]] = True
    return closed
