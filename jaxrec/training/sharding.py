"""Sharding: the placement of all arrays on the devices.

The devices form a mesh of two axes. Batches are sharded along `data`. Arrays that PARTITION_RULES
name are sharded along `model`, by rows; everything else is replicated. XLA derives the computation
of each device: a gather reads the rows of each shard and adds up over the shards; for a product
with a whole table, each shard computes its own logits, and their maxima and sums are exchanged.

A table whose rows cannot be divided evenly is padded while it is sharded: its last rows belong to
no item, get no gradient, and are dropped by `unshard_state`.
"""

import re
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxrec.data.windowing import BatchShard
from jaxrec.errors import UserError
from jaxrec.training.sparse_rows import ITEM_TABLES, pad
from jaxrec.training.step import name_of

Tree = TypeVar("Tree")

_TABLES = "|".join(map(re.escape, ITEM_TABLES))

# The mesh axis of the rows of each array whose name in a state matches a pattern.
PARTITION_RULES = ((rf"(^|\.)(params|mu|nu|optimizer\.1)\.({_TABLES})$", "model"),)


def make_mesh(batch_rows: int, model_shards: int = 1) -> Mesh:
    """Build a mesh of all devices of all processes, with `model_shards` along the axis `model`.

    Args:
        batch_rows: a divisor of every batch size.

    Raises:
        UserError: the devices do not form such a mesh, or a batch cannot be split evenly.
    """
    count = len(jax.devices())
    if model_shards < 1 or count % model_shards:
        raise UserError(
            f"--model-shards={model_shards} does not divide the {count} devices; give a divisor"
        )
    data = count // model_shards
    if batch_rows % data:
        raise UserError(
            f"--batch-size={batch_rows} cannot be split over {data} devices; give it a multiple of "
            f"{data}"
        )
    axes = ("data", "model")
    # In the order of the processes, so that each has contiguous parts of a batch.
    devices = np.array(jax.devices()).reshape(data, model_shards)
    return Mesh(devices, axes, axis_types=(AxisType.Auto,) * len(axes))


def batch_shard(mesh: Mesh) -> BatchShard:
    """Return the part of each batch that this process gathers."""
    is_mine = np.vectorize(lambda device: device.process_index == jax.process_index())
    parts = np.flatnonzero(is_mine(mesh.devices).any(axis=1))
    return BatchShard(int(parts[0]), int(parts[-1]) + 1, len(mesh.devices))


def padded_rows(rows: int, mesh: Mesh) -> int | None:
    """Return the padded number of rows of a sharded table; None if it is not sharded."""
    shards = mesh.shape["model"]
    return None if shards == 1 else -(-rows // shards) * shards


def shard_state(state: Tree, mesh: Mesh, rows: int) -> Tree:
    """Shard a state over the devices.

    Args:
        rows: of the item tables, R.
    """
    padded = padded_rows(rows, mesh)

    def shard(path: Any, leaf: Any) -> jax.Array:
        axis = _mesh_axis(name_of(path)) if padded else None
        if axis is not None:
            leaf = pad(name_of(path).removeprefix("params."), leaf, padded or rows)
        return _place(leaf, NamedSharding(mesh, PartitionSpec(axis) if axis else PartitionSpec()))

    return jax.tree.map_with_path(shard, state)


def unshard_state(state: Tree, mesh: Mesh, rows: int) -> Tree:
    """Return a state unsharded and without padding, in every process."""
    if padded_rows(rows, mesh) is None and jax.process_count() == 1:
        return state

    def unshard(path: Any, leaf: jax.Array) -> jax.Array:
        # `tiled` joins the shards along their axis instead of stacking them.
        gathered = multihost_utils.process_allgather(leaf, tiled=True)
        return jnp.asarray(gathered[:rows] if _mesh_axis(name_of(path)) else gathered)

    return jax.tree.map_with_path(unshard, state)


def shard_batch(tree: Tree, mesh: Mesh) -> Tree:
    """Shard arrays [K, B, ...] along B; each process passes the part that it gathered."""
    return jax.tree.map(lambda leaf: _place_batch(leaf, mesh), tree)


def _mesh_axis(name: str) -> str | None:
    return next((axis for pattern, axis in PARTITION_RULES if re.search(pattern, name)), None)


def _place(leaf: Any, sharding: NamedSharding) -> jax.Array:
    if jax.process_count() == 1:
        return jax.device_put(leaf, sharding)
    # Each process has the whole array, and copies the shards of its own devices.
    array = np.asarray(leaf)
    return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])


def _place_batch(leaf: Any, mesh: Mesh) -> jax.Array:
    sharding = NamedSharding(mesh, PartitionSpec(None, "data"))
    if jax.process_count() == 1:
        return jax.device_put(leaf, sharding)
    return jax.make_array_from_process_local_data(sharding, leaf)
