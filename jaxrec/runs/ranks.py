"""Ranks: where a run's test targets ended, kept so that runs can be compared user by user."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

from jaxrec.files import read_arrays, reading, require_one_length, write_arrays


@dataclass(frozen=True)
class Ranks:
    """The test targets of a run.

    Attributes:
        users: the user of each target, [n].
        targets: the id of each target, [n].
        ranks: 1 for the best of all candidates, [n].
    """

    users: Int[np.ndarray, " n"]
    targets: Int[np.ndarray, " n"]
    ranks: Int[np.ndarray, " n"]


def save_ranks(ranks: Ranks, path: Path) -> None:
    """Write them down."""
    write_arrays(path, vars(ranks))


def load_ranks(path: Path) -> Ranks:
    """Read what `save_ranks` wrote.

    Raises:
        UserError: the file is missing or damaged.
    """
    arrays = read_arrays(path)
    with reading(path):
        require_one_length(*arrays.values())
        return Ranks(**arrays)
