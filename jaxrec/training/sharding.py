"""Sharding: which device holds what, in one place.

The devices are a mesh of two axes. Batches are sharded along `data`. What PARTITION_RULES name is
sharded along `model`, by its rows; everything else is replicated. XLA derives from that what each
device computes: a look-up takes the rows that a shard has, and adds up over the shards; of a
product with a whole table each shard computes its own logits, and their maxima and sums are
exchanged.

A table whose rows cannot be divided evenly is padded while it is sharded: its last rows stand for
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
    """Return which part of each batch this process gathers."""
    is_mine = np.vectorize(lambda device: device.process_index == jax.process_index())
    parts = np.flatnonzero(is_mine(mesh.devices).any(axis=1))
    return BatchShard(int(parts[0]), int(parts[-1]) + 1, len(mesh.devices))


def padded_rows(rows: int, mesh: Mesh) -> int | None:
    """Return how many rows a table of so many has while it is sharded; None: it is not."""
    shards = mesh.shape["model"]
    return None if shards == 1 else -(-rows // shards) * shards


def shard_state(state: Tree, mesh: Mesh, rows: int) -> Tree:
    """Put a state on the devices.

    Args:
        rows: of the item tables, R.
    """
    padded = padded_rows(rows, mesh)

    def put(path: Any, leaf: Any) -> jax.Array:
        axis = _axis_of(name_of(path)) if padded else None
        if axis is not None:
            leaf = pad(name_of(path).removeprefix("params."), leaf, padded or rows)
        return _put(leaf, NamedSharding(mesh, PartitionSpec(axis) if axis else PartitionSpec()))

    return jax.tree.map_with_path(put, state)


def unshard_state(state: Tree, mesh: Mesh, rows: int) -> Tree:
    """Return a state as one device has it, in every process."""
    if padded_rows(rows, mesh) is None and jax.process_count() == 1:
        return state

    def get(path: Any, leaf: jax.Array) -> jax.Array:
        whole = multihost_utils.process_allgather(leaf, tiled=True)
        return jnp.asarray(whole[:rows] if _axis_of(name_of(path)) else whole)

    return jax.tree.map_with_path(get, state)


def shard_batch(tree: Tree, mesh: Mesh) -> Tree:
    """Put arrays [K, B, ...] on the devices, split along B, of which this process has its part."""
    return jax.tree.map(lambda leaf: _put_shard(leaf, mesh), tree)


def _axis_of(name: str) -> str | None:
    return next((axis for pattern, axis in PARTITION_RULES if re.search(pattern, name)), None)


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
