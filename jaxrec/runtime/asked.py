"""Requests: a caller's histories, and the inputs of a model file for them."""

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
    """One request: a history, its features, and the items to exclude.

    Attributes:
        ids: the ids of all items of the history, NO_ITEM for unknown ones.
        features: the input of each feature: a number for each item of the history for a feature of
            activities, otherwise a single number.
        exclude: the ids to exclude from the list in addition to the history.
    """

    ids: Sequence[int]
    features: Mapping[str, float | list[float]]
    exclude: Sequence[int]


def one_each(
    name: str, values: Iterable[Entry] | None, missing: Entry, count: int
) -> Sequence[Entry]:
    """Return one value for each of `count` histories, `missing` for all if `values` is None.

    Raises:
        UserError: if the number of values is not `count`.
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
    """Build the inputs of `count` empty histories, with unknown values for all features."""
    unknown = {HISTORY: NO_ITEM, **{each.name: each.unknown for each in taken}}
    return {
        name: np.full((count, *ports[name].shape[1:]), value, ports[name].dtype)
        for name, value in unknown.items()
    }


def fill(
    ports: Mapping[str, Port], taken: Sequence[TakenFeature], asked: Sequence[Asked]
) -> dict[str, np.ndarray]:
    """Build the inputs of some requests: the last N known activities of each, right-aligned."""
    inputs = unknown_inputs(ports, taken, len(asked))
    length = ports[HISTORY].shape[1]
    for row, (ids, features, _) in enumerate(asked):
        known = [position for position, number in enumerate(ids) if number != NO_ITEM][-length:]
        for name, values in {**features, HISTORY: ids}.items():
            if isinstance(values, Sequence):
                inputs[name][row, length - len(known) :] = [values[position] for position in known]
            else:
                inputs[name][row] = values
    return inputs


def close(asked: Sequence[Asked], catalogue_size: int, *, keep_seen: bool) -> Closed:
    """Build the mask of excluded items: `exclude` and, unless `keep_seen`, the whole history."""
    excluded = np.zeros((len(asked), catalogue_size + 1), bool)
    for row, (ids, _, exclude) in enumerate(asked):
        excluded[row, [NO_ITEM, *exclude, *([] if keep_seen else ids)]] = True
    return excluded
