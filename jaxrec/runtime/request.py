"""Requests: a caller's histories, and the inputs of a model file for them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from jaxrec.errors import UserError
from jaxrec.runtime.features import InputFeature
from jaxrec.runtime.interpreter import HISTORY, Port
from jaxrec.runtime.item_index import NO_ITEM
from jaxrec.runtime.top_k import ExcludedMask

Entry = TypeVar("Entry")


class Request(NamedTuple):
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


def per_history(
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
    ports: Mapping[str, Port], taken: Sequence[InputFeature], count: int
) -> dict[str, np.ndarray]:
    """Build the inputs of `count` empty histories, with unknown values for all features."""
    unknown = {HISTORY: NO_ITEM, **{each.name: each.unknown for each in taken}}
    return {
        name: np.full((count, *ports[name].shape[1:]), value, ports[name].dtype)
        for name, value in unknown.items()
    }


def build_inputs(
    ports: Mapping[str, Port], taken: Sequence[InputFeature], requests: Sequence[Request]
) -> dict[str, np.ndarray]:
    """Build the inputs of some requests: the last N known activities of each, right-aligned."""
    inputs = unknown_inputs(ports, taken, len(requests))
    length = ports[HISTORY].shape[1]
    for row, (ids, features, _) in enumerate(requests):
        known = [position for position, number in enumerate(ids) if number != NO_ITEM][-length:]
        for name, values in {**features, HISTORY: ids}.items():
            if isinstance(values, Sequence):
                inputs[name][row, length - len(known) :] = [values[position] for position in known]
            else:
                inputs[name][row] = values
    return inputs


def excluded_mask(
    requests: Sequence[Request], catalogue_size: int, *, keep_seen: bool
) -> ExcludedMask:
    """Build the mask of excluded items: `exclude` and, unless `keep_seen`, the whole history."""
    excluded = np.zeros((len(requests), catalogue_size + 1), bool)
    for row, (ids, _, exclude) in enumerate(requests):
        excluded[row, [NO_ITEM, *exclude, *([] if keep_seen else ids)]] = True
    return excluded
