"""Held-out histories: what a run leaves so that its exports can be judged without its data."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int, Int32

from jaxrec.data.sequences import Timelines
from jaxrec.errors import UserError
from jaxrec.features import ITEM
from jaxrec.files import read_arrays, write_arrays

LIMIT = 10_000


@dataclass(frozen=True)
class Heldout:
    """Test histories with their targets.

    Attributes:
        history: ids of each feature, most recent last, PAD on the left, {name: [n, N]}.
        target: the item that came next, [n].
        seen: the ids met before each target, however long ago, one row after the other, [m].
        seen_offsets: row i's are `seen[seen_offsets[i]:seen_offsets[i + 1]]`, [n + 1].
    """

    history: dict[str, Int32[np.ndarray, "n N"]]
    target: Int32[np.ndarray, " n"]
    seen: Int32[np.ndarray, " m"]
    seen_offsets: Int[np.ndarray, " n_plus_1"]

    def seen_by(self, start: int, stop: int, rows: int) -> Bool[np.ndarray, "B {rows}"]:
        """Mark, for histories `start` to `stop - 1`, which of the ids below `rows` were met."""
        counts = np.diff(self.seen_offsets[start : stop + 1])
        mask = np.zeros((stop - start, rows), bool)
        within = self.seen[self.seen_offsets[start] : self.seen_offsets[stop]]
        mask[np.repeat(np.arange(stop - start), counts), within] = True
        return mask


def draw_heldout(
    timelines: Timelines, positions: Int[np.ndarray, " n"], history_length: int, *, seed: int
) -> Heldout:
    """Gather the histories of the test positions, at most LIMIT of them, drawn by the seed."""
    if len(positions) > LIMIT:
        rng = np.random.default_rng(seed)
        positions = np.sort(rng.choice(positions, LIMIT, replace=False))
    rows, seen = timelines.seen_before(positions)
    return Heldout(
        timelines.histories(positions, history_length),
        timelines.items[positions],
        seen,
        np.searchsorted(rows, np.arange(len(positions) + 1)),
    )


def save_heldout(heldout: Heldout, path: Path) -> None:
    """Write the histories, features as `history.<name>`."""
    arrays = {f"history.{name}": ids for name, ids in heldout.history.items()}
    arrays["target"] = heldout.target
    arrays["seen"] = heldout.seen
    arrays["seen_offsets"] = heldout.seen_offsets
    write_arrays(path, arrays)


def load_heldout(path: Path) -> Heldout:
    """Read histories that `save_heldout` wrote.

    Raises:
        UserError: the file is missing or damaged.
    """
    arrays = read_arrays(path)
    history = {
        name.removeprefix("history."): ids
        for name, ids in arrays.items()
        if name.startswith("history.")
    }
    try:
        heldout = Heldout(history, arrays["target"], arrays["seen"], arrays["seen_offsets"])
        counts = {len(history[ITEM]), len(heldout.target), len(heldout.seen_offsets) - 1}
    except KeyError as error:
        raise UserError(f"{path} is damaged ({error} is missing); train the run again") from None
    if len(counts) != 1:
        raise UserError(f"{path} is damaged (its arrays differ in length); train the run again")
    return heldout
