"""Held-out histories: test histories of a run, to evaluate its exports without its log."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int, Int32, Shaped

from jaxrec.data.dataset import Dataset
from jaxrec.data.excluded_items import ExcludedItems, items_before
from jaxrec.data.feature_values import representative_numbers
from jaxrec.files import read_arrays, reading, require_one_length, write_arrays
from jaxrec.schema import ITEM

LIMIT = 10_000


@dataclass(frozen=True, eq=False)
class Heldout:
    """Test histories with their targets.

    Attributes:
        history: the inputs of an exported file by feature: of activities [n, N], most recent last,
            padded with PAD on the left; of users [n].
        target: the id of the next item, [n].
        seen: the ids seen at any time before each target, oldest first.
        users: the user of each history, [n]; None in a run older than this array.
    """

    history: dict[str, Shaped[np.ndarray, "n *N"]]
    target: Int32[np.ndarray, " n"]
    seen: ExcludedItems
    users: Int[np.ndarray, " n"] | None = None

    def subsample(self, count: int) -> "Heldout":
        """Return up to `count` of the histories, evenly spaced."""
        rows = np.unique(np.linspace(0, len(self.target) - 1, count, dtype=np.int64))
        history = {name: ids[rows] for name, ids in self.history.items()}
        users = None if self.users is None else self.users[rows]
        return Heldout(history, self.target[rows], self.seen.gather(rows), users)


def draw_heldout(dataset: Dataset, history_length: int, *, seed: int) -> Heldout:
    """Gather the histories of the test targets; beyond LIMIT, those of a random sample."""
    timelines, positions = dataset.timelines, dataset.split.test
    if len(positions) > LIMIT:
        rng = np.random.default_rng(seed)
        positions = np.sort(rng.choice(positions, LIMIT, replace=False))
    history = timelines.histories(positions, history_length)
    for feature in dataset.features:
        if feature.kind == "age":
            history[feature.name] = timelines.ages(positions, history_length)
        if feature.kind == "number":
            history[feature.name] = representative_numbers(feature, history[feature.name])
    return Heldout(
        history,
        timelines.items[positions],
        items_before(timelines, positions),
        timelines.users_of(positions),
    )


def save_heldout(heldout: Heldout, path: Path) -> None:
    """Write held-out histories as .npz, with features as `history.<name>`."""
    arrays = {f"history.{name}": ids for name, ids in heldout.history.items()}
    seen = {"seen": heldout.seen.ids, "seen_offsets": heldout.seen.offsets}
    users = {} if heldout.users is None else {"users": heldout.users}
    write_arrays(path, {**arrays, **seen, **users, "target": heldout.target})


def load_heldout(path: Path) -> Heldout:
    """Read held-out histories that `save_heldout` wrote.

    Raises:
        UserError: the file is missing or damaged.
    """
    arrays = read_arrays(path)
    history = {
        name.removeprefix("history."): ids
        for name, ids in arrays.items()
        if name.startswith("history.")
    }
    with reading(path):
        target, seen = arrays["target"], ExcludedItems(arrays["seen"], arrays["seen_offsets"])
        users = arrays.get("users")
        require_one_length(history[ITEM], target, seen, *([] if users is None else [users]))
        return Heldout(history, target, seen, users)
