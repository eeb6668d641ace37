"""Replay of a golden case: one call of the runtime, from JSON values to JSON values."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxrec.runtime import Adapter, Rating, Recommendation, Recommender

CALLS = (
    *("recommend", "recommend_many", "similar", "score", "rate", "encode"),
    *("describe", "knows", "adapt"),
)
"""The calls that the golden cases cover."""


def replay(recommender: Recommender, call: str, arguments: Mapping[str, Any]) -> Any:
    """Call a method by its name, and return the result as JSON values.

    Raises:
        UserError: if the recommender refuses the call.
    """
    converted = dict(arguments)
    if "adapter" in converted:
        converted["adapter"] = Adapter.from_json(json.dumps(converted["adapter"]))
    return _as_json(getattr(recommender, call)(**converted))


def _as_json(value: Any) -> Any:
    """Convert a result to the layout of the cases."""
    if isinstance(value, list):
        return [_as_json(each) for each in value]
    if isinstance(value, Recommendation):
        return {"item": value.item, "score": _rounded(value.score)}
    if isinstance(value, Rating):
        entry = value.to_dict()
        at_least = {rating: _rounded(each) for rating, each in entry["at_least"].items()}
        return {**entry, "expected": _rounded(value.expected), "at_least": at_least}
    if isinstance(value, Adapter):
        losses = {"before": _rounded(value.before), "after": _rounded(value.after)}
        return {"vector": _as_json(value.vector), **losses}
    if isinstance(value, dict):  # an entry of the catalogue
        return {name: value[name] for name in ("title", "genres", "year")}
    if isinstance(value, np.ndarray):
        return [_rounded(each) for each in value.tolist()]
    return _rounded(value) if isinstance(value, float) else value


def _rounded(number: float) -> float:
    """Round to seven significant digits, the precision of float32."""
    return float(f"{number:.7g}")
