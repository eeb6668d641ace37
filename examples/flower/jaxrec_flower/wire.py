"""The content of messages: parameters by name, counts, keys, and the settings of the rounds."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import jax
import numpy as np

from jaxrec.errors import UserError
from jaxrec.federated.settings import FederatedConfig
from jaxrec.training.step import name_of

# Records of a message to a device.
PARAMETERS, KEYS = "parameters", "keys"
# Records of its answer, which has no others.
UPDATE, COUNTS = "update", "counts"

# Counts that are sent with an update. The loss is not sent: it is no count, and is not bounded.
COUNTED = ("excluded", "clipped", "targets")


# Keys of a round that devices need for training. Those of the cohort and of the noise stay on the
# server.
FOR_DEVICES = ("windows", "learning")

# Stands for a seed if keys are drawn by the operating system.
NO_SEED = -1


def settings_of(config: Mapping[str, Any]) -> FederatedConfig:
    """Parse the settings of the rounds from a run's configuration; NO_SEED is omitted.

    Raises:
        UserError: a value is invalid.
    """
    known = {spec.name.replace("_", "-"): spec.name for spec in fields(FederatedConfig)}
    given = {known[key]: value for key, value in config.items() if key in known}
    if given["seed"] == NO_SEED:
        del given["seed"]
    return FederatedConfig(**given)


def to_arrays(tree: Any) -> dict[str, np.ndarray]:
    """Return the arrays of a tree by name."""
    return {name_of(path): np.asarray(leaf) for path, leaf in jax.tree.leaves_with_path(tree)}


def from_arrays(arrays: Mapping[str, np.ndarray], like: Any) -> Any:
    """Return named arrays as a tree with the structure of `like`.

    Raises:
        UserError: names, shapes or types differ from those of `like`.
    """
    wanted = to_arrays(like)
    for name in sorted(wanted.keys() | arrays.keys()):
        there, here = (_describe(each.get(name)) for each in (arrays, wanted))
        if there != here:
            raise UserError(
                f"parameter {name} is {there} in the message and {here} here; give the server "
                "and the devices the same run and the same shared parameters"
            )
    return jax.tree.unflatten(jax.tree.structure(like), [arrays[name] for name in wanted])


def _describe(array: np.ndarray | None) -> str:
    return "missing" if array is None else f"{array.dtype}{list(array.shape)}"
