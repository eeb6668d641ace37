"""Bag of words: the mean of the activities, in any order."""

import jax.numpy as jnp
from flax import nnx

from jaxrec.models.encoders.base import Activities, Encoder, Encoding, Encodings, Mask, Valid

# Number of activities in a group of a long sum.
_GROUP = 16


class Mean(Encoder):
    """The mean of the valid activities of a history."""

    def __init__(self, width_in: int, units: int, config: None, *, rngs: nnx.Rngs):
        del units, config, rngs  # no settings, no parameters
        self.width = width_in

    def encode_positions(
        self, activities_BLE: Activities, mask_BL: Mask, history_length: int
    ) -> Encodings:
        """Return the mean of the last `history_length` activities at each position."""
        return running_mean(activities_BLE, mask_BL, history_length)

    def encode_last(self, activities_BNE: Activities, valid_BN: Valid) -> Encoding:
        """Return the mean of all activities."""
        return mean(activities_BNE, valid_BN)


def running_mean(activities_BLE: Activities, mask_BL: Mask, history_length: int) -> Activities:
    """Return running means, by a product with a band: a cumulative sum is slow on CPUs."""
    ones = jnp.ones((mask_BL.shape[1], mask_BL.shape[1]), activities_BLE.dtype)
    band = jnp.tril(ones) - jnp.tril(ones, -history_length)
    sums_BLE = jnp.einsum("pl,ble->bpe", band, activities_BLE)
    counts_BL = jnp.einsum("pl,bl->bp", band, mask_BL.astype(activities_BLE.dtype))
    return sums_BLE / jnp.maximum(counts_BL, 1)[..., None]


def mean(activities_BNE: Activities, valid_BN: Valid) -> Encoding:
    """Return the mean of each history; zero where there is no activity.

    Long histories are summed in groups: devices add sequentially, and lose a digit at 200 terms.
    """
    batch, length, width = activities_BNE.shape
    if length <= _GROUP:
        sums_BE = jnp.sum(activities_BNE, axis=1)
    else:
        padded = jnp.pad(activities_BNE, ((0, 0), (0, -length % _GROUP), (0, 0)))
        groups = padded.reshape(batch, -1, _GROUP, width)
        sums_BE = jnp.sum(jnp.sum(groups, axis=2), axis=1)
    return sums_BE / jnp.maximum(jnp.sum(valid_BN, axis=1), 1)[:, None]
