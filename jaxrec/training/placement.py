"""Sharding: the mesh, and who holds which rows. Batches are split over devices, state is copied."""

from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxrec.errors import UserError


def data_mesh(batch_size: int) -> Mesh:
    """Line all devices up; each takes an equal part of every batch.

    Raises:
        UserError: the batch cannot be split evenly.
    """
    devices = jax.devices()
    if batch_size % len(devices):
        raise UserError(
            f"--batch-size={batch_size} cannot be split over {len(devices)} devices; give it a "
            f"multiple of {len(devices)}"
        )
    return jax.make_mesh((len(devices),), ("data",), (AxisType.Auto,), devices=devices)


def replicate(tree: Any, mesh: Mesh) -> Any:
    """Put a copy of every array on every device."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def split_batch(tree: Any, mesh: Mesh) -> Any:
    """Put each device's part of arrays [K, B, ...] on it, split along B."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec(None, "data")))
