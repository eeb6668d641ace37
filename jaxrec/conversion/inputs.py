"""Inputs of a file: arrays by name, from the features of a batch's history.

The item ids are named `history`; every other feature keeps its name.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxrec.runtime.interpreter import HISTORY, Inputs
from jaxrec.schema import ITEM, Feature

# An id feature with at most this many values is compared with them, not looked up.
_MAX_COMPARED = 64


def as_inputs(history: Mapping[str, Any]) -> dict[str, Any]:
    """Rename the features of a batch's history to the inputs of a file."""
    return {HISTORY if name == ITEM else name: values for name, values in history.items()}


def as_history(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Rename the inputs of a file to the features of a batch's history."""
    return {ITEM if name == HISTORY else name: values for name, values in inputs.items()}


def is_compared(feature: Feature) -> bool:
    """Return whether a file compares its input with the values or edges of a feature.

    Otherwise it looks the id up in the feature's embedding table.
    """
    return feature.kind != "id" or feature.size <= _MAX_COMPARED


def take_rows(inputs: Inputs, chosen: Any) -> dict[str, np.ndarray]:
    """Return the chosen rows of each input."""
    return {name: rows[chosen] for name, rows in inputs.items()}
