"""Ranks: where a run's test targets ended, kept so that runs can be compared user by user."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Int

from jaxrec.evaluation.slices import Slices
from jaxrec.files import read_arrays, reading, require_one_length, write_arrays

_SLICE = "slice."


@dataclass(frozen=True, eq=False)
class Ranks:
    """The test targets of a run.

    Attributes:
        users: the user of each target, [n].
        targets: the id of each target, [n].
        ranks: 1 for the best of all candidates, [n].
        now_unknown: the same where the model is not told the time of the target, [n]; None: it
            never is.
        slices: what each target counts in figures apart, [n] by the name of the slice.
    """

    users: Int[np.ndarray, " n"]
    targets: Int[np.ndarray, " n"]
    ranks: Int[np.ndarray, " n"]
    now_unknown: Int[np.ndarray, " n"] | None = None
    slices: Slices = field(default_factory=dict)


def save_ranks(ranks: Ranks, path: Path) -> None:
    """Write them down, slices as `slice.<name>`."""
    arrays = {name: each for name, each in vars(ranks).items() if isinstance(each, np.ndarray)}
    write_arrays(path, arrays | {_SLICE + name: each for name, each in ranks.slices.items()})


def load_ranks(path: Path) -> Ranks:
    """Read what `save_ranks` wrote.

    Raises:
        UserError: the file is missing or damaged.
    """
    arrays = read_arrays(path)
    with reading(path):
        require_one_length(*arrays.values())
        names = [name for name in arrays if name.startswith(_SLICE)]
        slices = {name.removeprefix(_SLICE): arrays.pop(name) for name in names}
        return Ranks(**arrays, slices=slices)
