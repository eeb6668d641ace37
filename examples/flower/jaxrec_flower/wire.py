"""What travels: parameters by their names, counts, keys, and the settings of the rounds."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import jax
import numpy as np

from jaxrec.errors import UserError
from jaxrec.federated.settings import FederatedConfig
from jaxrec.training.step import name_of

# The records of a message to a device ...
PARAMETERS, KEYS = "parameters", "keys"
# ... and of its answer, which has no others.
UPDATE, COUNTS = "update", "counts"

# What is told of an update. The loss is not: it is no count, and nothing bounds it.
COUNTED = ("left_out", "shortened", "targets")


# Of the keys of a round, those that a device learns by. Who takes part and the noise stay with the
# server.
FOR_DEVICES = ("windows", "learning")

# Instead of a seed: the operating system draws.
NO_SEED = -1


def settings_of(config: Mapping[str, Any]) -> FederatedConfig:
    """Read the settings of the rounds in a run's configuration; NO_SEED is left out.

    Raises:
        UserError: a value is impossible.
    """
    known = {spec.name.replace("_", "-"): spec.name for spec in fields(FederatedConfig)}
    given = {known[key]: value for key, value in config.items() if key in known}
    if given["seed"] == NO_SEED:
        del given["seed"]
    return FederatedConfig(**given)


def to_arrays(tree: Any) -> dict[str, np.ndarray]:
    """Name the arrays of a tree."""
    return {name_of(path): np.asarray(leaf) for path, leaf in jax.tree.leaves_with_path(tree)}


def from_arrays(arrays: Mapping[str, np.ndarray], like: Any) -> Any:
    """Put arrays in the places of a tree.

    Raises:
        UserError: they are not those that it has.
    """
    wanted = to_arrays(like)
    for name in sorted(wanted.keys() | arrays.keys()):
        there, here = (_kind(each.get(name)) for each in (arrays, wanted))
        if there != here:
            raise UserError(
                f"parameter {name} is {there} there and {here} here; give the server and the "
                "devices the same run and the same share"
            )
    return jax.tree.unflatten(jax.tree.structure(like), [arrays[name] for name in wanted])


def _kind(array: np.ndarray | None) -> str:
    return "missing" if array is None else f"{array.dtype}{list(array.shape)}"
