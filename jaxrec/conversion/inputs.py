"""Inputs: what a file takes of a history, by name, as arrays of numbers.

The ids of the items are `history`; every other feature of an activity keeps its name.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxrec.runtime.interpreter import HISTORY, Inputs
from jaxrec.schema import ITEM, Feature

_MOST_COMPARED = 64


def as_inputs(history: Mapping[str, Any]) -> dict[str, Any]:
    """Name the features of a batch's history as a file names its inputs."""
    return {HISTORY if name == ITEM else name: values for name, values in history.items()}


def as_history(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Name the inputs of a file as the features of a batch's history."""
    return {ITEM if name == HISTORY else name: values for name, values in inputs.items()}


def is_compared(feature: Feature) -> bool:
    """Tell whether a file compares what it is given with the values of a feature, which are few.

    Of many values an id is looked up.
    """
    return feature.kind != "id" or feature.size <= _MOST_COMPARED


def take(inputs: Inputs, chosen: Any) -> dict[str, np.ndarray]:
    """Take some rows of each input."""
    return {name: rows[chosen] for name, rows in inputs.items()}
