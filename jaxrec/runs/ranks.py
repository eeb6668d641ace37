"""Ranks of a run's test targets, stored so that runs can be compared user by user."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Int

from jaxrec.evaluation.slices import Slices
from jaxrec.files import read_arrays, reading, require_one_length, write_arrays

_SLICE = "slice."


@dataclass(frozen=True, eq=False)
class Ranks:
    """The test targets of a run and their ranks.

    Attributes:
        users: the user of each target, [n].
        targets: the id of each target, [n].
        ranks: the rank of each target among all candidates, 1 for the best, [n].
        without_target_time: the ranks by the model without the target's time, [n]; None: the
            model does not use that time.
        slices: the weight of each target in the figures of a slice, [n] by the slice's name.
    """

    users: Int[np.ndarray, " n"]
    targets: Int[np.ndarray, " n"]
    ranks: Int[np.ndarray, " n"]
    without_target_time: Int[np.ndarray, " n"] | None = None
    slices: Slices = field(default_factory=dict)


def save_ranks(ranks: Ranks, path: Path) -> None:
    """Write ranks as .npz, with slices as `slice.<name>`."""
    arrays = {name: each for name, each in vars(ranks).items() if isinstance(each, np.ndarray)}
    write_arrays(path, arrays | {_SLICE + name: each for name, each in ranks.slices.items()})


def load_ranks(path: Path) -> Ranks:
    """Read ranks that `save_ranks` wrote, or those of a run of format 8.

    Raises:
        UserError: the file is missing or damaged.
    """
    arrays = read_arrays(path)
    with reading(path):
        require_one_length(*arrays.values())
        if "now_unknown" in arrays:
            arrays["without_target_time"] = arrays.pop("now_unknown")
        names = [name for name in arrays if name.startswith(_SLICE)]
        slices = {name.removeprefix(_SLICE): arrays.pop(name) for name in names}
        return Ranks(**arrays, slices=slices)
