"""Recommended items with their catalogue entries, and predicted ratings."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jaxrec.runtime.catalogue import Catalogue, Entry
from jaxrec.runtime.interpreter import RankedItems
from jaxrec.runtime.item_index import NO_ITEM, RawItem


@dataclass(frozen=True)
class Recommendation:
    """One recommended item.

    Attributes:
        item: the raw item, as in the log.
        score: higher is better; comparable within one list.
        title: None if the catalogue has none; the same for `genres` and `year`.

    Example::

        recommender = jaxrec.Recommender.load("runs/shop/export/model.tflite")
        best = recommender.recommend(["A12", "B7"])[0]
        print(best.item, best.score, best.title)
    """

    item: RawItem
    score: float
    title: str | None
    genres: list[str] | None
    year: int | None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, as JSON has them."""
        return asdict(self)


@dataclass(frozen=True)
class Rating:
    """The predicted rating of an item by a user.

    Attributes:
        item: the raw item, as in the log.
        expected: the mean of the predicted distribution of ratings.
        at_least: for each rating of the log, the probability of this rating or a higher one.
    """

    item: RawItem
    expected: float
    at_least: Mapping[float, float]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, as JSON has them: the ratings of `at_least` are strings."""
        at_least = {str(rating).removesuffix(".0"): each for rating, each in self.at_least.items()}
        return {"item": self.item, "expected": self.expected, "at_least": at_least}


def to_recommendations(lists: RankedItems, catalogue: Catalogue) -> list[list[Recommendation]]:
    """Convert lists of ids to recommendations; NO_ITEM, the padding, is left out."""
    return [
        [
            _recommendation(catalogue[number - 1], score)
            for number, score in zip(ids, scores, strict=True)
            if number != NO_ITEM
        ]
        for ids, scores in zip(lists.ids.tolist(), lists.scores.tolist(), strict=True)
    ]


def to_predictions(
    ids: Sequence[int], outputs: Mapping[str, NDArray[np.float32]]
) -> list[dict[str, Any] | None]:
    """Convert the outputs of a head for some items, [1, M] each, to a mapping for each item.

    Returns:
        Numbers or lists by the name of the output; None for unknown items.
    """
    rows = zip(*(each[0].tolist() for each in outputs.values()), strict=True)
    return [
        dict(zip(outputs, row, strict=True)) if number != NO_ITEM else None
        for number, row in zip(ids, rows, strict=True)
    ]


def to_ratings(
    items: Sequence[RawItem],
    predictions: Sequence[Mapping[str, Any] | None],
    values: Sequence[float],
) -> list[Rating | None]:
    """Convert the outputs of the rating head to ratings; None for unknown items.

    Args:
        predictions: the outputs for each item, None for an unknown one.
        values: the ratings of the log, ascending.
    """
    lowest, *others = values
    return [
        None
        if each is None
        else Rating(
            item, each["ratings"], {lowest: 1.0, **dict(zip(others, each["at_least"], strict=True))}
        )
        for item, each in zip(items, predictions, strict=True)
    ]


def _recommendation(entry: Entry, score: float) -> Recommendation:
    return Recommendation(entry["item"], score, entry["title"], entry["genres"], entry["year"])
