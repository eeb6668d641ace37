"""Encoders: a history of activities becomes one vector.

All have one contract, two views that a test proves equal:

    prefixes(activities_BLE, mask_BL) -> [B, L, H]   entry l encodes activities 0 to l: one pass
                                                     trains on L targets
    whole(activities_BLE, mask_BL) -> [B, H]         encodes all of them: the cheap graph that ships

`width` is H. Activities are zero where the mask is False. Padding on the left changes nothing, and
padding in the middle erases nothing (to the CNN it is a gap); a history of padding alone is encoded
as zero.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float

from jaxrec.config import EncoderName, ModelConfig
from jaxrec.models.lstm import LSTM

Activities = Float[jax.Array, "B L E"]
Mask = Bool[jax.Array, "B L"]
Prefixes = Float[jax.Array, "B L H"]
Whole = Float[jax.Array, "B H"]

_GROUP = 16


class BagOfWords(nnx.Module):
    """The mean of the activities, whatever their order."""

    def __init__(self, width: int):
        self.width = width

    def prefixes(self, activities_BLE: Activities, mask_BL: Mask) -> Prefixes:
        """Take running means, as one product with a triangle: a cumulative sum is slow on CPUs."""
        length = mask_BL.shape[1]
        triangle = jnp.tril(jnp.ones((length, length), activities_BLE.dtype))
        sums_BLE = jnp.einsum("pl,ble->bpe", triangle, activities_BLE)
        counts_BL = jnp.cumsum(mask_BL.astype(activities_BLE.dtype), axis=1)
        return sums_BLE / jnp.maximum(counts_BL, 1)[..., None]

    def whole(self, activities_BLE: Activities, mask_BL: Mask) -> Whole:
        """Take the mean of the activities that are there."""
        counts_B = jnp.sum(mask_BL.astype(activities_BLE.dtype), axis=1)
        return _sum_over_time(activities_BLE) / jnp.maximum(counts_B, 1)[:, None]


def _sum_over_time(activities_BLE: Activities) -> Whole:
    """Add long histories up in groups: devices add one after the other, and lose a digit at 200."""
    batch, length, width = activities_BLE.shape
    if length <= _GROUP:
        return jnp.sum(activities_BLE, axis=1)
    padded = jnp.pad(activities_BLE, ((0, 0), (0, -length % _GROUP), (0, 0)))
    return jnp.sum(jnp.sum(padded.reshape(batch, -1, _GROUP, width), axis=2), axis=1)


class CNN(nnx.Module):
    """Causal convolutions with ReLU, then the maximum over time (Tang and Wang, 2018, Caser)."""

    def __init__(
        self, width_in: int, channels: int, layers: int, kernel_size: int, *, rngs: nnx.Rngs
    ):
        self.width = channels
        self.kernel_size = kernel_size
        # A convolution is a product with the kernel_size last activities side by side.
        widths = [width_in] + [channels] * (layers - 1)
        self.convolutions = nnx.List(
            [
                nnx.Linear(
                    kernel_size * width,
                    channels,
                    kernel_init=nnx.initializers.he_normal(),
                    rngs=rngs,
                )
                for width in widths
            ]
        )

    def prefixes(self, activities_BLE: Activities, mask_BL: Mask) -> Prefixes:
        """Take the running maximum of the features of each position."""
        features_BLH = self._features(activities_BLE, mask_BL)
        return jax.lax.associative_scan(jnp.maximum, features_BLH, axis=1)

    def whole(self, activities_BLE: Activities, mask_BL: Mask) -> Whole:
        """Take the maximum of the features over time."""
        return jnp.max(self._features(activities_BLE, mask_BL), axis=1)

    def _features(self, activities_BLE: Activities, mask_BL: Mask) -> Prefixes:
        """Convolve; zero, the least value after a ReLU, where there is no activity."""
        x = activities_BLE
        length = mask_BL.shape[1]
        for convolution in self.convolutions:
            padded = jnp.pad(x, ((0, 0), (self.kernel_size - 1, 0), (0, 0)))
            steps = [padded[:, offset : offset + length] for offset in range(self.kernel_size)]
            x = nnx.relu(convolution(jnp.concatenate(steps, axis=-1)))
            x = jnp.where(mask_BL[..., None], x, 0)
        return x


class RNN(nnx.Module):
    """LSTMs on top of each other (Hidasi et al., 2016, GRU4Rec, with an LSTM in place of a GRU)."""

    def __init__(self, width_in: int, units: int, layers: int, *, rngs: nnx.Rngs):
        self.width = units
        widths = [width_in] + [units] * (layers - 1)
        self.layers = nnx.List([LSTM(width, units, rngs=rngs) for width in widths])

    def prefixes(self, activities_BLE: Activities, mask_BL: Mask) -> Prefixes:
        """Give the output after each activity."""
        x = activities_BLE
        for layer in self.layers:
            x = layer(x, mask_BL)
        return x

    def whole(self, activities_BLE: Activities, mask_BL: Mask) -> Whole:
        """Give the output after the last activity."""
        return self.prefixes(activities_BLE, mask_BL)[:, -1]


Encoder = BagOfWords | CNN | RNN


def make_encoder(config: ModelConfig, width_in: int, *, rngs: nnx.Rngs) -> Encoder:
    """Build the encoder that the configuration names, for activities of `width_in`."""
    name: EncoderName = config.encoder
    if name == "bow":
        return BagOfWords(width_in)
    if name == "cnn":
        return CNN(width_in, config.hidden_units, config.conv_layers, config.kernel_size, rngs=rngs)
    return RNN(width_in, config.hidden_units, config.lstm_layers, rngs=rngs)
