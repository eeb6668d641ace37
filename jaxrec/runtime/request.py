"""Requests: a caller's histories, and the inputs of a model file for them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from jaxrec.errors import UserError
from jaxrec.runtime.features import Features, InputFeature, encode_features
from jaxrec.runtime.interpreter import HISTORY, Port
from jaxrec.runtime.item_index import NO_ITEM, ItemIndex, RawItem, RawItems, as_list
from jaxrec.runtime.top_k import ExcludedMask

Entry = TypeVar("Entry")

Unknown = Literal["error", "popular"]
"""The result for a history whose items are all unknown: an error, or the popular items."""

# An error names this many histories, so that it stays one readable line.
_MAX_NAMED = 5


class Request(NamedTuple):
    """One request: a history, its features, and the items to exclude.

    Attributes:
        items: the raw items of the history.
        ids: the ids of all these items, NO_ITEM for unknown ones.
        features: the input of each feature: a number for each item of the history for a feature of
            activities, otherwise a single number.
        exclude: the ids to exclude from the list in addition to the history.
    """

    items: Sequence[RawItem]
    ids: Sequence[int]
    features: Mapping[str, float | list[float]]
    exclude: Sequence[int]

    @property
    def is_unknown(self) -> bool:
        """True if the history has items, and all are unknown."""
        return len(self.ids) > 0 and not any(self.ids)


class RequestBuilder:
    """Builder of a model's requests and of their inputs."""

    def __init__(
        self, item_index: ItemIndex, features: Sequence[InputFeature], ports: Mapping[str, Port]
    ):
        self._item_index = item_index
        self._features = features
        self._ports = ports

    def build(
        self,
        items: RawItems,
        features: Features | None,
        exclude: RawItems = (),
        *,
        unknown: str = "error",
    ) -> Request:
        """Convert the arguments of a call for one history to a request.

        Raises:
            UserError: an argument is not a list, all items of the history are unknown, or the
                features do not fit the model.
        """
        request = self._convert(items, features, exclude)
        self._check_unknown(unknown, {"": request})
        return request

    def build_many(
        self,
        histories: Iterable[RawItems],
        features: Iterable[Features] | None,
        exclude: Iterable[RawItems] | None,
        *,
        unknown: str,
    ) -> list[Request]:
        """Convert the arguments of a call for several histories to requests.

        Raises:
            UserError: as in `build`; the message has the indices of the histories.
        """
        histories = as_list(histories, "histories")
        each_features = per_history("features", features, {}, len(histories))
        each_exclude = per_history("exclude", exclude, (), len(histories))
        requests = [
            self._convert(*each, of=f" of histories[{number}]")
            for number, each in enumerate(zip(histories, each_features, each_exclude, strict=True))
        ]
        self._check_unknown(unknown, {f"[{index}]": each for index, each in enumerate(requests)})
        return requests

    def inputs(self, requests: Sequence[Request]) -> dict[str, np.ndarray]:
        """Build the inputs of some requests: the last N known activities of each, right-aligned."""
        inputs = unknown_inputs(self._ports, self._features, len(requests))
        length = self._ports[HISTORY].shape[1]
        for row, (_, ids, features, _) in enumerate(requests):
            known = [position for position, number in enumerate(ids) if number != NO_ITEM][-length:]
            for name, values in {**features, HISTORY: ids}.items():
                if isinstance(values, Sequence):
                    kept = [values[position] for position in known]
                    inputs[name][row, length - len(known) :] = kept
                else:
                    inputs[name][row] = values
        return inputs

    def _convert(
        self, items: RawItems, features: Features | None, exclude: RawItems, of: str = ""
    ) -> Request:
        """Convert a history; `of` names it in messages."""
        items = as_list(items, f"items{of}")
        ids = self._item_index.ids_of(items)
        numbers = encode_features(self._features, features or {}, len(ids), f"items{of}")
        return Request(
            items, ids, numbers, self._item_index.ids_of(exclude, f"items to exclude{of}")
        )

    def _check_unknown(self, unknown: str, requests: Mapping[str, Request]) -> None:
        """Check that no history, by the suffix that names it, has unknown items alone.

        Raises:
            UserError: there is one, and `unknown` is "error"; or `unknown` is none of its values.
        """
        if unknown not in get_args(Unknown):
            raise UserError(
                f'unknown={unknown!r} is neither "error" nor "popular"; give one of them'
            )
        found = {of: request for of, request in requests.items() if request.is_unknown}
        if not found or unknown == "popular":
            return
        names = ", ".join([*found][:_MAX_NAMED])
        more = f" and {len(found) - _MAX_NAMED:,} more" if len(found) > _MAX_NAMED else ""
        what = f"items of histories{names}{more}" if names else "items"
        raise self._item_index.all_unknown(what, next(iter(found.values())).items[0])


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


def distinct_ids(ids: Sequence[int], catalogue_size: int) -> NDArray[np.int32]:
    """Return the known ids, each once, in ascending order."""
    is_included = np.zeros(catalogue_size + 1, bool)
    is_included[np.fromiter(ids, np.intp, len(ids))] = True
    is_included[NO_ITEM] = False
    return np.flatnonzero(is_included).astype(np.int32)


def excluded_mask(
    requests: Sequence[Request], catalogue_size: int, *, keep_seen: bool
) -> ExcludedMask:
    """Build the mask of excluded items: `exclude` and, unless `keep_seen`, the whole history."""
    excluded = np.zeros((len(requests), catalogue_size + 1), bool)
    for row, (_, ids, _, exclude) in enumerate(requests):
        excluded[row, [NO_ITEM, *exclude, *([] if keep_seen else ids)]] = True
    return excluded
