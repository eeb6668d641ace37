"""Adapters: what a model file learned of a user, in the form that an application stores."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jaxrec.errors import UserError
from jaxrec.runtime.item_index import NO_ITEM

# The version of the layout; a reader refuses any other.
_FORMAT = 1


@dataclass(frozen=True, eq=False)
class Adapter:
    """The adapter of one user for one model file. To forget what was learned, delete it.

    Attributes:
        vector: added to the query of every history, [D]; zeros if it did not help.
        model: the SHA-256 of the graph that learned the vector; no other graph accepts it.
        before: the mean cross entropy of the user's last activities, which were held out, with the
            model as it was shipped.
        after: the same with an adapter that was learned from the other activities.
    """

    vector: NDArray[np.float32]
    model: str
    before: float
    after: float

    def __eq__(self, other: object) -> bool:
        """Compare by content; losses that are NaN in both adapters are equal."""
        if not isinstance(other, Adapter):
            return NotImplemented
        return self.to_json() == other.to_json()

    @property
    def is_kept(self) -> bool:
        """True if the adapter has an effect; one that did not help was rejected."""
        return bool(self.vector.any())

    def to_json(self) -> str:
        """Return the adapter as JSON, for an application to store."""
        # JSON has no NaN, the value of both losses if nothing was held out.
        before, after = (None if math.isnan(each) else each for each in (self.before, self.after))
        return json.dumps(
            {
                "format": _FORMAT,
                "model": self.model,
                "vector": self.vector.tolist(),
                "before": before,
                "after": after,
            }
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> "Adapter":
        """Parse the output of `to_json`.

        Raises:
            UserError: if the text is not an adapter, or is damaged.
        """
        try:
            content = json.loads(text)
            if content["format"] != _FORMAT:
                raise UserError(
                    f"the adapter has format {content['format']}, this version reads {_FORMAT}; "
                    "learn it again from the history"
                )
            vector = np.array(content["vector"], np.float32)
            losses = [content[name] for name in ("before", "after")]
            before, after = (math.nan if each is None else float(each) for each in losses)
            return cls(vector, str(content["model"]), before, after)
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(
                f"this is not an adapter ({error}); learn it again from the history"
            ) from None

    def require_fit(self, model: str, width: int) -> None:
        """Check that the adapter is valid and belongs to a model.

        Args:
            model: the hash of the graph.
            width: the width of a query, D.

        Raises:
            UserError: if it is invalid, or belongs to another model.
        """
        if self.model != model:
            raise UserError(
                f"the adapter belongs to the model {self.model[:12]}, this is {model[:12]}; learn "
                "it again from the history"
            )
        if self.vector.shape != (width,):
            raise UserError(
                f"the adapter has the shape {list(self.vector.shape)}, the model takes [{width}]; "
                "learn it again from the history"
            )
        if not np.isfinite(self.vector).all():
            raise UserError(
                "the adapter has values that are not finite; learn it again from the history"
            )


def adapt_inputs(
    ids: Sequence[int], weights: Iterable[float] | None, settings: Mapping[str, Any] | None
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the inputs of `adapt`: the last M known items, right-aligned, and their weights.

    Args:
        ids: the ids of a history, NO_ITEM for unknown items.
        weights: the weight of each item; None: 1 for the last known item, halved for every
            `half_life` known items before it.
        settings: `adapt` of model.json; None if the file was exported without.

    Raises:
        UserError: if there are no settings, too few items are known, the number of weights is
            wrong, or a weight is negative or not a finite number.
    """
    if settings is None:
        raise UserError("the file has no signature `adapt`; export its run with --adapt")
    known = [position for position, number in enumerate(ids) if number != NO_ITEM]
    # The first item is no target, only the history of the second; one more target is trained on.
    least = settings["held_out"] + 2
    if len(known) < least:
        raise UserError(
            f"items has {len(known)} known items, and an adapter needs {least} or more; call this "
            "with a longer history"
        )
    if weights is None:
        ages = np.arange(len(known), dtype=np.float32)[::-1]
        counts = np.float32(0.5) ** (ages / np.float32(settings["half_life"]))
    else:
        given = np.array(list(weights), np.float32)
        if given.shape != (len(ids),):
            raise UserError(f"weights has {len(given)} entries for {len(ids)} items; give one each")
        if not (np.isfinite(given).all() and (given >= 0).all()):
            raise UserError("weights has values that are negative or not finite; give 0 or more")
        counts = given[known]
    most = settings["activities"]
    numbers = np.array([ids[position] for position in known[-most:]], np.int32)
    padding = (most - len(numbers), 0)
    return np.pad(numbers, padding), np.pad(counts[-most:], padding)
