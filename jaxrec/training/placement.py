"""Placement: what lies on which device, at one place.

The devices are a mesh of two axes. A batch is cut along `data`. What PLACEMENT names is cut along
`model`, by its rows; everything else is copied. XLA derives from that what each device computes: a
look-up takes the rows that a shard has, and adds up over the shards; of a product with a whole
table each shard computes its own scores, and what goes around is their maxima and sums.

A table whose rows cannot be cut evenly is longer while it is cut: its last rows stand for no item,
get no gradient, and are gone from what `fetch` gives.
"""

import re
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxrec.data.batching import BatchShard
from jaxrec.errors import UserError
from jaxrec.training.rows import BY_ITEM, lengthen
from jaxrec.training.step import name_of

Tree = TypeVar("Tree")

_TABLES = "|".join(map(re.escape, BY_ITEM))

# The axis along which the rows lie of what a pattern finds, by its name in a state.
PLACEMENT = ((rf"(^|\.)(params|mu|nu|optimizer\.1)\.({_TABLES})$", "model"),)


def make_mesh(batch_rows: int, model_shards: int = 1) -> Mesh:
    """Line all devices of all processes up, `model_shards` of them side by side.

    Args:
        batch_rows: of what the size of every batch is a multiple.

    Raises:
        UserError: they cannot be lined up so, or a batch cannot be cut evenly.
    """
    count = len(jax.devices())
    if model_shards < 1 or count % model_shards:
        raise UserError(
            f"--model-shards={model_shards}: there are {count} devices; give a number that divides "
            "them"
        )
    data = count // model_shards
    if batch_rows % data:
        raise UserError(
            f"--batch-size={batch_rows} cannot be split over {data} devices; give it a multiple of "
            f"{data}"
        )
    axes = ("data", "model")
    # In the order of the processes: a process has neighbouring parts of a batch.
    devices = np.array(jax.devices()).reshape(data, model_shards)
    return Mesh(devices, axes, axis_types=(AxisType.Auto,) * len(axes))


def batch_shard(mesh: Mesh) -> BatchShard:
    """Tell which part of each batch this process has."""
    is_mine = np.vectorize(lambda device: device.process_index == jax.process_index())
    parts = np.flatnonzero(is_mine(mesh.devices).any(axis=1))
    return BatchShard(int(parts[0]), int(parts[-1]) + 1, len(mesh.devices))


def cut_rows(rows: int, mesh: Mesh) -> int | None:
    """Give how many rows a table of so many has while it is cut; None: it is not."""
    shards = mesh.shape["model"]
    return None if shards == 1 else -(-rows // shards) * shards


def place(state: Tree, mesh: Mesh, rows: int) -> Tree:
    """Put a state on the devices.

    Args:
        rows: of the tables of items, R.
    """
    longer = cut_rows(rows, mesh)

    def put(path: Any, leaf: Any) -> jax.Array:
        axis = _axis_of(name_of(path)) if longer else None
        if axis is not None:
            leaf = lengthen(name_of(path).removeprefix("params."), leaf, longer or rows)
        return _put(leaf, NamedSharding(mesh, PartitionSpec(axis) if axis else PartitionSpec()))

    return jax.tree.map_with_path(put, state)


def fetch(state: Tree, mesh: Mesh, rows: int) -> Tree:
    """Give a state as one device has it, in every process."""
    if cut_rows(rows, mesh) is None and jax.process_count() == 1:
        return state

    def get(path: Any, leaf: jax.Array) -> jax.Array:
        whole = multihost_utils.process_allgather(leaf, tiled=True)
        return jnp.asarray(whole[:rows] if _axis_of(name_of(path)) else whole)

    return jax.tree.map_with_path(get, state)


def split_batch(tree: Tree, mesh: Mesh) -> Tree:
    """Put arrays [K, B, ...] on the devices, cut along B, of which this process has its part."""
    return jax.tree.map(lambda leaf: _put_shard(leaf, mesh), tree)


def _axis_of(name: str) -> str | None:
    return next((axis for pattern, axis in PLACEMENT if re.search(pattern, name)), None)


def _put(leaf: Any, sharding: NamedSharding) -> jax.Array:
    if jax.process_count() == 1:
        return jax.device_put(leaf, sharding)
    # Each process has all of it, and puts what its devices are to hold.
    whole = np.asarray(leaf)
    return jax.make_array_from_callback(whole.shape, sharding, lambda place: whole[place])


def _put_shard(leaf: Any, mesh: Mesh) -> jax.Array:
    sharding = NamedSharding(mesh, PartitionSpec(None, "data"))
    if jax.process_count() == 1:
        return jax.device_put(leaf, sharding)
    return jax.make_array_from_process_local_data(sharding, leaf)
