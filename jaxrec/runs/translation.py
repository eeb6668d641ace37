"""Translation of held-out histories from the items and features of one model to those of another.

Models of different logs number the same item differently, and read other features. A translation
has the raw items and values of the original, as far as the other model knows them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Int, Shaped

from jaxrec.data.excluded_items import ExcludedItems
from jaxrec.data.timelines import gather
from jaxrec.data.vocabulary import index_items
from jaxrec.runs.heldout import Heldout
from jaxrec.schema import ITEM, PAD, Feature, Value


@dataclass(frozen=True)
class ModelInputs:
    """The items and features that a model reads.

    Attributes:
        items: the raw item of each id, from 1, [V].
        features: features of activities, users and moments.
        history_length: the number of a user's last activities, N.
    """

    items: Sequence[int | str]
    features: Sequence[Feature]
    history_length: int


def translate(heldout: Heldout, source: ModelInputs, target: ModelInputs) -> Heldout:
    """Translate held-out histories for another model, as an app would give them to it.

    Unknown items are dropped, and the last N known ones remain. Raw items are compared as text. A
    feature that only the other model has is unknown, and so is a value that it does not list, or
    one of an activity beyond the history length of `source`. A number stands for its bucket.

    Args:
        heldout: histories in the ids of `source`.
        source: the inputs of the model that the histories are from.
        target: the inputs of the other model.
    """
    new_ids = index_items(_as_text(source.items), _as_text(target.items))
    new_ids = np.append(np.int32(PAD), new_ids)
    seen, length = heldout.seen, target.history_length
    ids = new_ids[seen.ids]
    is_known = ids != PAD
    offsets = np.append(0, np.cumsum(is_known))[seen.offsets]
    history = {ITEM: _gather_last(ids[is_known], offsets, length)}
    features = {each.name: each for each in source.features}
    for feature in target.features:
        known = features.get(feature.name)
        if known is not None and known.of == feature.of:
            values = _translate_values(heldout.history[feature.name], known, feature)
        else:
            like = heldout.history[ITEM] if feature.of == "activity" else heldout.target
            values = np.full(like.shape, feature.unknown, _dtype_of(feature))
        if feature.of == "activity":
            per_activity = _spread(values, seen.offsets, feature)[is_known]
            values = _gather_last(per_activity, offsets, length)
            values[history[ITEM] == PAD] = feature.unknown
        history[feature.name] = values
    return Heldout(
        history, new_ids[heldout.target], ExcludedItems(ids[is_known], offsets), heldout.users
    )


def _gather_last(
    values: Shaped[np.ndarray, " m"], offsets: Int[np.ndarray, " n_plus_1"], length: int
) -> Shaped[np.ndarray, "n L"]:
    """Gather the last `length` values of each row, PAD on the left of short ones."""
    # One value more, which no row has: `gather` needs one even if all rows are empty.
    return gather(np.append(values, values.dtype.type(PAD)), offsets[:-1], offsets[1:], length)


def _as_text(items: Sequence[int | str]) -> pl.Series:
    return pl.Series([str(item) for item in items], dtype=pl.String)


def _dtype_of(feature: Feature) -> type[np.generic]:
    return np.float32 if feature.kind == "number" else np.int32


def _translate_values(
    values: Shaped[np.ndarray, "*shape"], source: Feature, target: Feature
) -> Shaped[np.ndarray, "*shape"]:
    """Translate the inputs of a feature to those of a feature with the same name and owner."""
    if source.kind == target.kind != "id":
        return values
    distinct, places = np.unique(values, return_inverse=True)
    inputs = np.array(_inputs_of(_raw_values(distinct, source), target), _dtype_of(target))
    return inputs[places].reshape(values.shape)


def _raw_values(inputs: Shaped[np.ndarray, " n"], feature: Feature) -> list[Value | None]:
    """Return the raw value of each input of a feature, None if it is unknown."""
    if feature.kind == "id":
        values = [None, *feature.values]
        return [values[number] for number in inputs]
    if feature.kind == "age":
        return [None] * len(inputs)  # equal ages need no translation, and no other kind has ages
    return [None if math.isnan(number) else number for number in inputs.tolist()]


def _inputs_of(values: Sequence[Value | None], feature: Feature) -> list[float]:
    """Return the input of a feature for each raw value."""
    found: dict[Value | None, float] = {}
    if feature.kind == "id":
        found = {value: number for number, value in enumerate(feature.values, start=1)}
    elif feature.kind == "number":
        found = {value: float(value) for value in values if isinstance(value, int | float)}
    return [found.get(value, feature.unknown) for value in values]


def _spread(
    values: Shaped[np.ndarray, "n N"], offsets: Int[np.ndarray, " n_plus_1"], feature: Feature
) -> Shaped[np.ndarray, " m"]:
    """Return the value of every activity before the targets, unknown beyond the last N of each."""
    spread = np.full(offsets[-1], feature.unknown, values.dtype)
    places = offsets[1:, None] + np.arange(-values.shape[1], 0)
    is_inside = places >= offsets[:-1, None]
    spread[places[is_inside]] = values[is_inside]
    return spread
