"""Asked: a caller's histories as the file takes them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from jaxrec.errors import UserError
from jaxrec.runtime.best import Closed
from jaxrec.runtime.features import TakenFeature
from jaxrec.runtime.interpreter import HISTORY, Port
from jaxrec.runtime.known import NO_ITEM

Entry = TypeVar("Entry")


class Asked(NamedTuple):
    """One history, and what goes with it.

    Attributes:
        ids: of all its items, NO_ITEM for those that the model does not know.
        features: what the file takes for each feature of the model: for those of activities one
            number for each of its items, for those of the user one.
        exclude: ids that are left out of its list, beside its own.
    """

    ids: Sequence[int]
    features: Mapping[str, float | list[float]]
    exclude: Sequence[int]


def one_each(
    name: str, values: Iterable[Entry] | None, missing: Entry, count: int
) -> Sequence[Entry]:
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


def unknown_inputs(
    ports: Mapping[str, Port], taken: Sequence[TakenFeature], count: int
) -> dict[str, np.ndarray]:
    """Make the inputs of some empty histories, of which nothing else is known either."""
    unknown = {HISTORY: NO_ITEM, **{each.name: each.unknown for each in taken}}
    return {
        name: np.full((count, *ports[name].shape[1:]), value, ports[name].dtype)
        for name, value in unknown.items()
    }


def fill(
    ports: Mapping[str, Port], taken: Sequence[TakenFeature], asked: Sequence[Asked]
) -> dict[str, np.ndarray]:
    """Write the last N known activities of each history at the right end of each input."""
    inputs = unknown_inputs(ports, taken, len(asked))
    length = ports[HISTORY].shape[1]
    for row, (ids, features, _) in enumerate(asked):
        known = [place for place, number in enumerate(ids) if number != NO_ITEM][-length:]
        for name, values in {**features, HISTORY: ids}.items():
            if isinstance(values, Sequence):
                inputs[name][row, length - len(known) :] = [values[place] for place in known]
            else:
                inputs[name][row] = values
    return inputs


def close(asked: Sequence[Asked], catalogue_size: int, *, keep_seen: bool) -> Closed:
    """Leave out of each list what is excluded and, but for `keep_seen`, its whole history."""
    closed = np.zeros((len(asked), catalogue_size + 1), bool)
    for row, (ids, _, exclude) in enumerate(asked):
        closed[row, [NO_ITEM, *exclude, *([] if keep_seen else ids)]] = True
    return closed
