"""Adapter: what a file learned of its user, as an application keeps it."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jaxrec.errors import UserError
from jaxrec.runtime.known import NO_ITEM

# The number of the layout; a reader refuses any other.
_FORMAT = 1


@dataclass(frozen=True, eq=False)
class Adapter:
    """What was learned of one user, for one file. To forget it, drop it.

    Attributes:
        vector: added to the context of every history, [D]; zeros if it did not help.
        model: the SHA-256 of the graph that learned it; no other takes it.
        before: how surprising the last activities were to the model as it was shipped: the mean
            cross entropy of those that were held back ...
        after: ... and with what was learned from the others.
    """

    vector: NDArray[np.float32]
    model: str
    before: float
    after: float

    def __eq__(self, other: object) -> bool:
        """Compare by content; losses that are NaN in both are equal."""
        if not isinstance(other, Adapter):
            return NotImplemented
        return self.to_json() == other.to_json()

    @property
    def is_kept(self) -> bool:
        """Whether it helped: otherwise it changes nothing."""
        return bool(self.vector.any())

    def to_json(self) -> str:
        """Write it down, for an application to keep."""
        # JSON has no NaN, which a loss is where nothing was held back.
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
        """Read what `to_json` wrote.

        Raises:
            UserError: it is none, or damaged.
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
                f"this is no adapter ({error}); learn it again from the history"
            ) from None

    def require_fit(self, model: str, width: int) -> None:
        """Refuse an adapter that is of another model, or none.

        Args:
            model: the hash of the graph.
            width: of a context, D.

        Raises:
            UserError: it is so.
        """
        if self.model != model:
            raise UserError(
                f"the adapter is of the model {self.model[:12]}, this is {model[:12]}; learn it "
                "again from the history"
            )
        if self.vector.shape != (width,):
            raise UserError(
                f"the adapter has the shape {list(self.vector.shape)}, the model takes [{width}]; "
                "learn it again from the history"
            )
        if not np.isfinite(self.vector).all():
            raise UserError("the adapter holds what is no number; learn it again from the history")


def activities_of(
    ids: Sequence[int], weights: Iterable[float] | None, settings: Mapping[str, Any]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Give what a file learns from: the last M known items at the right end, and their weights.

    Args:
        ids: of a history, NO_ITEM for what the model does not know.
        weights: how much each counts; by default the last counts one, and one `half_life`
            activities before it half.
        settings: `adapt` of model.json.

    Raises:
        UserError: too few are known; or there are not as many weights, or one is negative or no
            number.
    """
    known = [place for place, number in enumerate(ids) if number != NO_ITEM]
    # The first is learned from only as what came before the second.
    least = settings["held_back"] + 2
    if len(known) < least:
        raise UserError(
            f"items has {len(known)} that the model knows, and learning takes {least} or more; "
            "wait until there are so many"
        )
    if weights is None:
        ages = np.arange(len(known), dtype=np.float32)[::-1]
        counts = np.float32(0.5) ** (ages / np.float32(settings["half_life"]))
    else:
        given = np.array(list(weights), np.float32)
        if given.shape != (len(ids),):
            raise UserError(f"weights has {len(given)} entries for {len(ids)} items; give one each")
        if not (np.isfinite(given).all() and (given >= 0).all()):
            raise UserError("weights holds what is less than 0 or no number; give 0 or more")
        counts = given[known]
    most = settings["activities"]
    numbers = np.array([ids[place] for place in known[-most:]], np.int32)
    padding = (most - len(numbers), 0)
    return np.pad(numbers, padding), np.pad(counts[-most:], padding)
