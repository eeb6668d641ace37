"""The cases of adapter.tflite: a vector that is learned for a user, on integer items."""

from collections.abc import Mapping
from typing import Any

from clients.golden.case import Case, accepted, refused

_WALK = list(range(104, 112))
_AGAIN = [120, 121, 122] * 4


def adapter_cases(adapter: Mapping[str, Any]) -> list[Case]:
    """Return the cases of the file that adapts to its user, for an adapter of that file."""
    no_effect = {**adapter, "vector": [0.0] * len(adapter["vector"])}
    return [
        accepted("recommend", "without an adapter", items=_WALK, k=5),
        accepted("recommend", "with an adapter", items=_WALK, k=5, adapter=adapter),
        accepted("recommend", "a vector of zeros", items=_WALK, k=5, adapter=no_effect),
        accepted("recommend", "an empty history", items=[], k=5, adapter=adapter),
        accepted("recommend", "k is beyond the file's list", items=_WALK, k=16, adapter=adapter),
        accepted(
            "recommend",
            "candidates",
            items=_WALK,
            k=3,
            adapter=adapter,
            candidates=[101, 115, 120, 130, 131, 104],
        ),
        refused("recommend", "strings are unknown", items=["104", "105"], k=5),
        refused(
            "recommend",
            "an adapter of another model",
            items=_WALK,
            k=5,
            adapter={**adapter, "model": "0" * 64},
        ),
        refused(
            "recommend",
            "an adapter of another width",
            items=_WALK,
            k=5,
            adapter={**adapter, "vector": adapter["vector"][1:]},
        ),
        refused(
            "recommend",
            "an adapter of another format",
            items=_WALK,
            k=5,
            adapter={**adapter, "format": 2},
        ),
        accepted("recommend_many", "integer items", histories=[_WALK, [7, 101], []], k=3),
        accepted(
            "score", "with an adapter", items=_WALK, candidates=[101, 7, 115], adapter=adapter
        ),
        refused(
            "score",
            "an adapter of another model",
            items=_WALK,
            candidates=[101],
            adapter={**adapter, "model": ""},
        ),
        accepted("encode", "with an adapter", items=_WALK, adapter=adapter),
        accepted("encode", "an empty history with an adapter", items=[], adapter=adapter),
        accepted("adapt", "a vector that helps is kept", items=_AGAIN),
        accepted("adapt", "a vector that does not help is zero", items=_WALK),
        accepted("adapt", "a history longer than M", items=[*_WALK, 101, 102, *_AGAIN]),
        accepted("adapt", "unknown items are skipped", items=[7, *_AGAIN[:6], "120", *_AGAIN[6:]]),
        accepted(
            "adapt",
            "a weight for each item",
            items=[*_AGAIN, 9],
            weights=[1, 0.5, 2, 0, 1, 1, 3, 1, 1, 1, 2.5, 1, 100],
        ),
        refused("adapt", "too few known items", items=[101, 102, 103, 7, 104]),
        refused("adapt", "too few weights", items=_WALK, weights=[1, 1]),
        refused("adapt", "a negative weight", items=_WALK, weights=[1, 1, 1, 1, 1, 1, 1, -1]),
        refused("adapt", "all items are unknown", items=["104"] * 9),
        accepted("similar", "integer items", item=110, k=4),
        accepted("knows", "a known item", item=101),
        accepted("knows", "a string is not the number", item="101"),
    ]
